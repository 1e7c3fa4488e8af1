//! Writes that the API server is asked about first.

use serde_json::json;

use super::*;
use crate::{
    api::{FINALIZER, Percent, strategy::MirrorRoute},
    cluster::watch::{
        fake_api::{Answer as Says, FakeApi},
        process::Process,
    },
};

const GATEWAY: &str = "/apis/gateway.networking.k8s.io/v1";
const ROUTE: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/web";

fn web() -> Value {
    let services = json!({"root": "web", "stable": "web-stable", "canary": "web-canary"});
    json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop", "uid": "web", "resourceVersion": "50", "finalizers": [FINALIZER]},
        "spec": {"replicas": 1, "strategy": {"canary": {"steps": []}}, "services": services, "template": {},
            "traffic": [{"gateway": {"routes": [{"name": "web"}]}}]},
        "status": {"course": "Stepping"}})
}

fn route(version: &str) -> Value {
    let to = |name: &str, weight: u8| json!({"name": name, "port": 80, "weight": weight});
    json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop", "uid": "r", "resourceVersion": version},
        "spec": {"parentRefs": [{"name": "public"}],
            "rules": [{"backendRefs": [to("web-stable", 1), to("web-canary", 0)]}]}})
}

fn share_of(route: &Value) -> &Value {
    &route["spec"]["rules"][0]["filters"][0]["requestMirror"]["percent"]
}

/// Before v1.3 of the Gateway API a mirror has no share: written, it would copy all requests until it is taken back.
#[tokio::test(start_paused = true)]
async fn a_mirror_whose_share_would_be_dropped_is_never_in_force() {
    for drops in [true, false] {
        let api = FakeApi::default();
        api.version(100);
        api.answer("/apis/glidepath.dev/v1alpha1/rollouts", Says::Items(vec![web().to_string()]));
        api.answer(GATEWAY, Says::Resources(vec!["httproutes"]));
        api.answer(&format!("{GATEWAY}/httproutes"), Says::Items(vec![route("60").to_string()]));
        let process = Process::start(&api);
        process.synced().await;
        process.observe("web").await.unwrap();
        process.pass(15, &[]).await;
        let snapshot = process.observe("web").await.unwrap().snapshot;
        let mirror = Some(MirrorRoute { percent: Percent::whole(10), ..MirrorRoute::default() });
        let intent = RouteIntent { mirror, ..RouteIntent::default() };

        // What the API server keeps of the write: an older schema knows no `percent`.
        let objects = snapshot.traffic.routes();
        let writes = snapshot.routers[0].plan(&snapshot.context, &objects, &intent).unwrap();
        let mut kept = writes[0].object().unwrap().clone();
        if drops {
            let filter = kept.pointer_mut("/spec/rules/0/filters/0/requestMirror").unwrap();
            filter.as_object_mut().unwrap().shift_remove("percent");
        }
        api.answer(ROUTE, Says::Object(kept.to_string()));

        let written = process.cluster.ensure_route(&snapshot, &intent).await;
        let asked = api.requests(&format!("{ROUTE}?&dryRun=All"));
        let sent: Vec<Value> =
            api.writes().into_iter().filter(|(path, _)| path == ROUTE).map(|(_, sent)| sent).collect();
        assert_eq!((asked, sent.len()), (1, 2), "once as a dry run, once in force");
        assert_eq!(share_of(&sent[0]), 10);
        match drops {
            true => {
                assert!(
                    matches!(written, Err(WorldError::Refused { reason: Reason::MirrorShareDropped, .. })),
                    "{written:?}"
                );
                assert_eq!(sent[1]["spec"]["rules"][0].get("filters"), None);
            }
            false => assert_eq!((written, share_of(&sent[1])), (Ok(()), &json!(10))),
        }
    }
}
