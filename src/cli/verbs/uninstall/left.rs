//! What is left in the cluster once the Rollouts are gone: objects that bear our label.

use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};

use crate::{api::ROLLOUT_LABEL, router::ROUTERS};

/// A kind that we make.
struct Made {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    /// What to do about one that stays.
    todo: &'static str,
}

const KINDS: [Made; 6] = [
    Made {
        group: "apps",
        kind: "ReplicaSet",
        plural: "replicasets",
        todo: "its pods keep running; create a Deployment for them, then delete it",
    },
    Made {
        group: "",
        kind: "Service",
        plural: "services",
        todo: "clients or routes may use it; delete it when unused",
    },
    Made {
        group: "networking.istio.io",
        kind: "DestinationRule",
        plural: "destinationrules",
        todo: "delete it with the canary Service",
    },
    Made {
        group: "gateway.networking.k8s.io",
        kind: "HTTPRoute",
        plural: "httproutes",
        todo: "it leads to the root Service; delete it when unused",
    },
    Made {
        group: "networking.k8s.io",
        kind: "Ingress",
        plural: "ingresses",
        todo: "it sends requests to the canary Service; delete it",
    },
    Made {
        group: "consul.hashicorp.com",
        kind: "ServiceRouter",
        plural: "servicerouters",
        todo: "it sends requests to the canary subset; delete it",
    },
];

/// One line per object that is left, or that there is none.
pub(super) async fn report(client: &Client, namespace: Option<&str>) -> String {
    let mut lines = String::new();
    for made in &KINDS {
        let Made { kind, todo, .. } = made;
        match labeled(client, namespace, made).await {
            Ok(objects) => objects.into_iter().for_each(|object| {
                let namespace = object.namespace().unwrap_or_default();
                lines += &format!("left: {kind} {namespace}/{}: {todo}\n", object.name_any());
            }),
            Err(error) => {
                lines += &format!("left: cannot list {kind}s ({error}); search for the label {ROLLOUT_LABEL}\n")
            }
        }
    }
    if lines.is_empty() { "left: nothing\n".to_owned() } else { lines }
}

/// The objects of a kind with our label, at the first version that is served; none of a mesh that is not installed.
async fn labeled(client: &Client, namespace: Option<&str>, made: &Made) -> Result<Vec<DynamicObject>, kube::Error> {
    for version in versions(made) {
        let of = GroupVersionKind::gvk(made.group, version, made.kind);
        let resource = ApiResource::from_gvk_with_plural(&of, made.plural);
        let api: Api<DynamicObject> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        match api.list(&ListParams::default().labels(ROLLOUT_LABEL)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            answer => return answer.map(|list| list.items),
        }
    }
    Ok(Vec::new())
}

/// The versions that the router of a kind knows; Kubernetes' own kinds have one.
fn versions(made: &Made) -> Vec<&'static str> {
    let mut known = ROUTERS.iter().flat_map(|router| router.watches);
    let known = known.find(|known| known.group == made.group && known.kind == made.kind);
    known.map_or_else(|| vec!["v1"], |known| known.versions.iter().collect())
}
