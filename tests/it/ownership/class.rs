//! Two installations never act on one Rollout (finding M11): each acts on its class alone.

use glidepath::cluster::Settings;
use serde_json::json;

use super::{Shop, key, rollout};

fn shop(class: Option<&str>) -> Shop {
    Shop::with(Settings { class: class.map(str::to_owned), ..Settings::default() })
}

#[tokio::test]
async fn m11_a_controller_acts_on_rollouts_of_its_class_alone() {
    for (controller, spec, acts) in [
        (None, None, true),
        (None, Some("blue"), false),
        (Some("blue"), Some("blue"), true),
        (Some("blue"), Some("green"), false),
        (Some("blue"), None, false),
    ] {
        let shop = shop(controller);
        let mut object = rollout("web", 2);
        if let Some(class) = spec {
            object["spec"]["class"] = class.into();
        }
        shop.put("rollouts", object);
        shop.settle("web").await;
        let asked = shop.server.take_asked().len();
        assert_eq!((asked > 0, shop.pods()), (acts, if acts { 2 } else { 0 }), "{controller:?} {spec:?}");
    }
}

/// A spec that this version cannot read says whose it is all the same, and its history is not ours to prune.
#[tokio::test]
async fn m11_what_cannot_be_read_of_another_class_is_left_alone_too() {
    let shop = shop(None);
    let mut object = rollout("web", 2);
    object["spec"]["class"] = "blue".into();
    object["spec"]["settle"] = json!(5);
    shop.put("rollouts", object);
    assert!(shop.tick("web").await.unwrap().is_none());
    assert_eq!(shop.cluster.prune_history(&key("web")).await, None);
    assert!(shop.server.take_asked().is_empty());
}
