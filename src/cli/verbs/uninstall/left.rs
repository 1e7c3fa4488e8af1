//! What is left in the cluster once the Rollouts are gone: objects that bear our label.

use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
};

use crate::api::ROLLOUT_LABEL;

/// Kinds that we make, and what to do about one that stays.
const KINDS: [(&str, &str, &str, &str); 6] = [
    ("apps", "v1", "ReplicaSet", "its pods keep running; create a Deployment for them, then delete it"),
    ("", "v1", "Service", "clients or routes may use it; delete it when unused"),
    ("networking.istio.io", "v1", "DestinationRule", "delete it with the canary Service"),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "it leads to the root Service; delete it when unused"),
    ("networking.k8s.io", "v1", "Ingress", "it sends requests to the canary Service; delete it"),
    ("consul.hashicorp.com", "v1alpha1", "ServiceRouter", "it sends requests to the canary subset; delete it"),
];

/// One line per object that is left, or that there is none.
pub(super) async fn report(client: &Client, namespace: Option<&str>) -> String {
    let mut lines = String::new();
    for (group, version, kind, todo) in KINDS {
        let plural = match kind {
            "Ingress" => "ingresses".to_owned(),
            _ => format!("{}s", kind.to_lowercase()),
        };
        let api_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        let resource =
            ApiResource { group: group.into(), version: version.into(), api_version, kind: kind.into(), plural };
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        match api.list(&ListParams::default().labels(ROLLOUT_LABEL)).await {
            Ok(list) => list.items.iter().for_each(|object| {
                let namespace = object.namespace().unwrap_or_default();
                lines += &format!("left: {kind} {namespace}/{}: {todo}\n", object.name_any());
            }),
            // A mesh that is not installed has nothing of ours.
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => {
                lines += &format!("left: cannot list {kind}s ({error}); search for the label {ROLLOUT_LABEL}\n")
            }
        }
    }
    if lines.is_empty() { "left: nothing\n".to_owned() } else { lines }
}
