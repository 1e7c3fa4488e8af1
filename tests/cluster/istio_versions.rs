//! A release while the API server serves Istio's kinds at v1beta1 alone (Istio before 1.22, OpenShift Service Mesh 2), and
//! while that changes. Istio itself reads v1 here: it follows the routes once v1 is served again.

use crate::lane;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;
use serde_json::{Value, json};

const KINDS: [&str; 2] = ["virtualservices", "destinationrules"];
/// A change of what is served is looked for once a minute.
const NOTICED: std::time::Duration = PATIENCE.saturating_mul(2);

/// Serves v1 no more until it is dropped.
struct OnlyV1Beta1;

impl OnlyV1Beta1 {
    fn begin() -> Self {
        KINDS.iter().for_each(|plural| serve_v1(plural, false));
        OnlyV1Beta1
    }
}

impl Drop for OnlyV1Beta1 {
    fn drop(&mut self) {
        KINDS.iter().for_each(|plural| serve_v1(plural, true));
    }
}

fn serve_v1(plural: &str, served: bool) {
    let name = format!("{plural}.networking.istio.io");
    let definition: Value =
        serde_json::from_str(&lane().kubectl(&["get", "crd", &name, "-o", "json"]).unwrap()).unwrap();
    let versions = definition["spec"]["versions"].as_array().unwrap();
    let index = versions.iter().position(|version| version["name"] == "v1").unwrap();
    let patch = json!([{"op": "replace", "path": format!("/spec/versions/{index}/served"), "value": served}]);
    lane().kubectl(&["patch", "crd", &name, "--type=json", "-p", &patch.to_string()]).unwrap();
}

/// At which version the controller last wrote the route.
fn written_at() -> Option<String> {
    let kind = "virtualservice.v1beta1.networking.istio.io";
    let args = ["get", kind, "web", "-n", "beta", "--show-managed-fields", "-o", "json"];
    let route: Value = serde_json::from_str(&lane().kubectl(&args).ok()?).ok()?;
    let writers = route["metadata"]["managedFields"].as_array()?;
    let ours = writers.iter().find(|writer| writer["manager"] == "glidepath")?;
    ours["apiVersion"].as_str().map(str::to_owned)
}

#[test]
fn a_release_goes_on_where_istio_is_served_at_v1beta1_alone() {
    let analysis = "  analysis: {templates: [{name: errors}]}\n";
    let steps = "\n      - setWeight: 20\n      - pause: {}\n";
    let shop = Shop::apply("beta", &changed(&Shop::yaml(), &[(analysis, ""), (TWO_WEIGHTS, steps)]));
    shop.wait_for_stable(1);
    shop.answers("v1");
    let users = shop.users();

    let only = OnlyV1Beta1::begin();
    shop.release("v2");
    shop.wait_longer(NOTICED, "the pause", |status| status["phase"] == "Paused" && status["stepIndex"] == 1);
    assert_eq!(shop.weights(), (80, 20));
    assert_eq!(written_at().as_deref(), Some("networking.istio.io/v1beta1"));
    drop(only);

    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_longer(NOTICED, "the promotion", |status| status["stableRevision"]["number"] == 2);
    shop.wait_for_stable(2);
    shop.answers("v2");
    wait_until(NOTICED, "a write at v1 again", || written_at().as_deref() == Some("networking.istio.io/v1"));
    assert_all_well(&users.stop().unwrap());
}
