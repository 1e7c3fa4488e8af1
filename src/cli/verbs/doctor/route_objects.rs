//! Whether the route objects that Rollouts name can be used as they are: read, and judged by their routers as the controller
//! does.

use kube::{
    Api,
    api::{ApiResource, DynamicObject, ListParams},
};
use serde_json::Value;

use super::{check::Check, routers::Served};
use crate::{
    api::Rollout,
    cli::{connect::Connection, exit::innermost},
    cluster::targets::route_context,
    engine::RouteIntent,
    ports::RolloutKey,
    router::{self, GroupResource, Objects, ROUTERS, RouteError, RouteScope},
};

/// The objects of so many Rollouts are read.
const MOST_ROLLOUTS: usize = 50;
/// So many objects of a list are read.
const MOST_OBJECTS: u32 = 500;

/// What there is to say of a Rollout's route objects.
enum Judged {
    Well,
    Refused(RouteError),
    /// Another line says so.
    NotServed,
}

/// A line for each Rollout whose routes block it, and one for the others.
pub(super) async fn checks(connection: &Connection, rollouts: &[Rollout]) -> Vec<Check> {
    let (mut served, mut checks, mut well) = (Served::default(), Vec::new(), 0);
    for rollout in rollouts.iter().filter(|rollout| !rollout.spec.traffic.is_empty()).take(MOST_ROLLOUTS) {
        match judged(connection, &mut served, rollout).await {
            Ok(Judged::Well) => well += 1,
            Ok(Judged::NotServed) => {}
            Ok(Judged::Refused(error)) => checks.push(Check::wrong(
                format!("Rollout {}: {error}", RolloutKey::of(rollout)),
                "its releases wait until this is fixed",
            )),
            Err(error) => {
                checks.push(unknown(&error));
                return checks;
            }
        }
    }
    if well > 0 {
        checks
            .insert(0, Check::well(format!("routes can be read and are in use: {well} of the Rollouts with routers")));
    }
    checks
}

fn unknown(error: &kube::Error) -> Check {
    Check::absent(
        format!("route objects not checked: {}", innermost(error)),
        "this needs permission to get the objects that spec.traffic names",
    )
}

async fn judged(connection: &Connection, served: &mut Served, rollout: &Rollout) -> Result<Judged, kube::Error> {
    let key = RolloutKey::of(rollout);
    let context = route_context(&key, rollout, &RouteScope::default());
    let routers = router::routers(&rollout.spec);
    let mut objects = Objects::default();
    for router in &routers {
        for wanted in router.objects(&context) {
            let resource = resource(connection, served, &wanted.resource(), &wanted.kind).await?;
            match resource {
                Some(resource) => {
                    let api: Api<DynamicObject> =
                        Api::namespaced_with(connection.client.clone(), &wanted.namespace, &resource);
                    let found = api.get_opt(&wanted.name).await?;
                    found.iter().for_each(|object| objects.insert(plain(object, &resource)));
                }
                None if wanted.required => return Ok(Judged::NotServed),
                None => {}
            }
        }
        for wanted in router.lists(&context) {
            let Some(resource) = resource(connection, served, &wanted.resource(), &wanted.kind).await? else {
                continue;
            };
            let api: Api<DynamicObject> = Api::namespaced_with(connection.client.clone(), &wanted.namespace, &resource);
            let found = api.list(&ListParams::default().limit(MOST_OBJECTS)).await?;
            found.items.iter().for_each(|object| objects.insert(plain(object, &resource)));
        }
    }
    let refused = router::read_all(&routers, &context, &objects, &RouteIntent::default()).err();
    let refused = refused.or_else(|| routers.iter().find_map(|router| router.not_accepted(&context, &objects)));
    Ok(refused.map_or(Judged::Well, Judged::Refused))
}

/// The kind at the version that the controller would use; none where it is not served.
async fn resource(
    connection: &Connection,
    served: &mut Served,
    wanted: &GroupResource,
    kind: &str,
) -> Result<Option<ApiResource>, kube::Error> {
    let Some(known) = ROUTERS.iter().flat_map(|router| router.watches).find(|known| known.resource() == *wanted) else {
        return Ok(None);
    };
    let version = served.version(connection, known).await?;
    Ok(version.map(|version| ApiResource {
        group: wanted.group.clone(),
        version: version.to_owned(),
        api_version: format!("{}/{version}", wanted.group),
        kind: kind.to_owned(),
        plural: wanted.plural.clone(),
    }))
}

/// An item of a list does not state its kind.
fn plain(object: &DynamicObject, resource: &ApiResource) -> Value {
    let mut plain = serde_json::to_value(object).unwrap_or_default();
    plain["apiVersion"] = resource.api_version.as_str().into();
    plain["kind"] = resource.kind.as_str().into();
    plain
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path},
    };

    use super::*;
    use crate::cli::verbs::doctor::{check::Mark, routers::rollouts};

    const GROUP: &str = "consul.hashicorp.com/v1alpha1";

    async fn serves(server: &MockServer, at: &str, body: Value) {
        let answer = ResponseTemplate::new(200).set_body_json(body);
        Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
    }

    /// What is said of a Rollout behind Consul whose splitter has this condition Synced.
    async fn said(plurals: &[&str], synced: &str) -> Vec<(Mark, String)> {
        let server = MockServer::start().await;
        let missing =
            json!({"kind": "Status", "status": "Failure", "message": "no", "reason": "NotFound", "code": 404});
        let missing = ResponseTemplate::new(404).set_body_json(missing);
        Mock::given(method("GET")).respond_with(missing).with_priority(9).mount(&server).await;
        let resource = |plural: &&str| json!({"name": plural, "singularName": "", "namespaced": true, "kind": plural, "verbs": []});
        let resources: Vec<Value> = plurals.iter().map(resource).collect();
        let list = json!({"kind": "APIResourceList", "groupVersion": GROUP, "resources": resources});
        serves(&server, &format!("/apis/{GROUP}"), list).await;
        let spec = json!({"strategy": {"canary": {"steps": []}}, "traffic": [{"consul": {"service": "web"}}]});
        let rollout = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
        let list = json!({"kind": "RolloutList", "metadata": {}, "items": [rollout]});
        serves(&server, "/apis/glidepath.dev/v1alpha1/rollouts", list).await;
        let splits = json!([{"weight": 100, "serviceSubset": "stable"}, {"weight": 0, "serviceSubset": "canary"}]);
        let entry = |kind: &str, spec: Value, synced: &str| {
            let status = json!({"conditions": [{"type": "Synced", "status": synced, "reason": "Test"}]});
            json!({"apiVersion": GROUP, "kind": kind, "metadata": {"name": "web", "namespace": "shop"}, "spec": spec, "status": status})
        };
        let at = |plural: &str| format!("/apis/{GROUP}/namespaces/shop/{plural}/web");
        let splitter = entry("ServiceSplitter", json!({"splits": splits}), synced);
        serves(&server, &at("servicesplitters"), splitter).await;
        let subsets = json!({"subsets": {"stable": {}, "canary": {}}});
        serves(&server, &at("serviceresolvers"), entry("ServiceResolver", subsets, "True")).await;
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let connection = Connection { client, namespace: "shop".into(), address: server.uri() };
        let rollouts = rollouts(&connection).await;
        checks(&connection, &rollouts).await.into_iter().map(|check| (check.mark, check.what)).collect()
    }

    #[tokio::test]
    async fn routes_that_block_a_rollout_are_named() {
        let all = ["servicesplitters", "serviceresolvers", "servicerouters", "servicedefaults", "proxydefaults"];
        let well = "routes can be read and are in use: 1 of the Rollouts with routers".to_owned();
        assert_eq!(said(&all, "True").await, [(Mark::Well, well)]);
        let wrong = "Rollout shop/web: ServiceSplitter shop/web is not in force in Consul: Synced is False (Test)";
        assert_eq!(said(&all, "False").await, [(Mark::Wrong, wrong.to_owned())]);
        assert_eq!(said(&all[1..], "True").await, [], "a kind that is not served has its own line");
    }
}
