//! Whether the API server serves the kinds that routers write.
//!
//! A router has a line where one of its kinds is there, or where a Rollout needs it. A kind that every API server serves says
//! nothing of a router: only a Rollout makes it worth a line.

use std::collections::BTreeMap;

use kube::api::ListParams;

use super::check::Check;
use crate::{
    api::Rollout,
    cli::{connect::Connection, exit::innermost, verbs::get::list},
    cluster::targets::route_context,
    ports::RolloutKey,
    router::{self, GroupResource, ROUTERS, RouteScope, RouterKind, WatchedKind},
};

/// The group of the kinds that are no CustomResourceDefinitions.
const BUILT_IN: &str = "networking.k8s.io";
/// So many Rollouts are looked at.
const MOST_ROLLOUTS: u32 = 500;

/// The kinds that Rollouts need, each with the first Rollout that does.
type Needs = BTreeMap<GroupResource, RolloutKey>;

/// A kind, and the version of it that the controller would use.
type Found<'k> = (&'k WatchedKind, Option<&'k str>);

/// A line for each router that there is something to say of; one line where there is none.
pub(super) async fn checks(connection: &Connection, rollouts: &[Rollout]) -> Vec<Check> {
    let needs = needs(rollouts);
    let (mut served, mut checks) = (Served::default(), Vec::new());
    for router in ROUTERS {
        match served.kinds(connection, router).await {
            Ok(found) => checks.extend(check(router.name(), &found, &needs)),
            Err(error) => return vec![unknown(&error)],
        }
    }
    for kind in named_kinds(rollouts) {
        match served.version(connection, &kind).await {
            Ok(version) => checks.extend(named_check(&kind, version, &needs)),
            Err(error) => return vec![unknown(&error)],
        }
    }
    if checks.is_empty() {
        checks.push(Check::absent(
            "no mesh or gateway that Glidepath writes routes for is installed",
            "only Rollouts with spec.traffic need one; without it the ratio of replicas splits traffic",
        ));
    }
    checks
}

fn unknown(error: &kube::Error) -> Check {
    Check::absent(
        format!("kinds of routers not checked: {}", innermost(error)),
        "this needs permission to read /apis of the API server",
    )
}

/// Rollouts of all namespaces, or of one where only that may be read.
pub(super) async fn rollouts(connection: &Connection) -> Vec<Rollout> {
    let first = ListParams::default().limit(MOST_ROLLOUTS);
    for all_namespaces in [true, false] {
        if let Ok((rollouts, _)) = list(connection, all_namespaces, &first).await {
            return rollouts;
        }
    }
    Vec::new()
}

fn needs(rollouts: &[Rollout]) -> Needs {
    let mut needs = Needs::new();
    for rollout in rollouts {
        let key = RolloutKey::of(rollout);
        let context = route_context(&key, rollout, &RouteScope::default());
        let objects = router::routers(&rollout.spec).into_iter().flat_map(|router| router.objects(&context));
        for object in objects.filter(|object| object.required) {
            needs.entry(object.resource()).or_insert_with(|| key.clone());
        }
    }
    needs
}

/// The kinds that only Rollouts name, each once.
fn named_kinds(rollouts: &[Rollout]) -> Vec<WatchedKind> {
    let mut kinds: Vec<WatchedKind> = Vec::new();
    let routers = rollouts.iter().flat_map(|rollout| router::routers(&rollout.spec));
    for kind in routers.flat_map(|router| router.kinds()) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

/// Whether the API server serves a kind that a Rollout names.
fn named_check(kind: &WatchedKind, version: Option<&str>, needs: &Needs) -> Option<Check> {
    let rollout = needs.get(&kind.resource())?;
    let what = format!("{} ({})", kind.kind, kind.newest());
    Some(match version {
        Some(_) => Check::well(format!("a kind of the router custom is served: {what}")),
        None => Check::wrong(
            format!("custom: Rollout {rollout} needs {what}, which is not served as {}", kind.plural),
            format!(
                "install the CustomResourceDefinition {}, or fix apiVersion, kind and plural in spec.traffic",
                kind.definition()
            ),
        ),
    })
}

/// What the API server serves, by group and version, each asked for once.
#[derive(Default)]
pub(super) struct Served {
    plurals: BTreeMap<String, Vec<String>>,
}

impl Served {
    async fn kinds(
        &mut self,
        connection: &Connection,
        router: &RouterKind,
    ) -> Result<Vec<Found<'static>>, kube::Error> {
        let mut found = Vec::new();
        for kind in router.written() {
            found.push((kind, self.version(connection, kind).await?));
        }
        Ok(found)
    }

    pub(super) async fn version<'k>(
        &mut self,
        connection: &Connection,
        kind: &'k WatchedKind,
    ) -> Result<Option<&'k str>, kube::Error> {
        for version in kind.versions.iter() {
            let of = format!("{}/{version}", kind.group);
            if !self.plurals.contains_key(&of) {
                self.plurals.insert(of.clone(), plurals(connection, &of).await?);
            }
            if self.plurals.get(&of).is_some_and(|plurals| plurals.iter().any(|plural| *plural == kind.plural)) {
                return Ok(Some(version));
            }
        }
        Ok(None)
    }
}

/// The resources of a group and version; none where it is not served.
async fn plurals(connection: &Connection, group_version: &str) -> Result<Vec<String>, kube::Error> {
    match connection.client.list_api_group_resources(group_version).await {
        Ok(list) => Ok(list.resources.into_iter().map(|resource| resource.name).collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// What there is to say of one router, if anything.
fn check(name: &str, found: &[Found<'_>], needs: &Needs) -> Option<Check> {
    let missing = || found.iter().filter(|(_, version)| version.is_none()).map(|(kind, _)| *kind);
    if let Some((kind, rollout)) = missing().find_map(|kind| Some((kind, needs.get(&kind.resource())?))) {
        let versions = &kind.versions;
        return Some(Check::wrong(
            format!("{name}: Rollout {rollout} needs {}, which is not served", kind.kind),
            format!("install {name} with the CustomResourceDefinition {} ({versions})", kind.definition()),
        ));
    }
    let says = |kind: &WatchedKind| kind.group != BUILT_IN || needs.contains_key(&kind.resource());
    let there: Vec<String> =
        found.iter().filter_map(|(kind, version)| version.map(|version| format!("{} {version}", kind.kind))).collect();
    if !found.iter().any(|(kind, version)| version.is_some() && says(kind)) {
        return None;
    }
    let missing: Vec<&str> = missing().map(|kind| kind.kind.as_ref()).collect();
    let without = if missing.is_empty() { String::new() } else { format!("; not served: {}", missing.join(", ")) };
    Some(Check::well(format!("kinds of {name} are served: {}{without}", there.join(", "))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path},
    };

    use super::*;
    use crate::cli::verbs::doctor::check::Mark;

    async fn serves(server: &MockServer, at: &str, body: Value) {
        let answer = ResponseTemplate::new(200).set_body_json(body);
        Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
    }

    async fn group(server: &MockServer, version: &str, plurals: &[&str]) {
        let resource = |plural: &&str| json!({"name": plural, "singularName": "", "namespaced": true, "kind": plural, "verbs": []});
        let resources: Vec<Value> = plurals.iter().map(resource).collect();
        let list = json!({"kind": "APIResourceList", "groupVersion": version, "resources": resources});
        serves(server, &format!("/apis/{version}"), list).await;
    }

    /// What is said where these groups are served beside Ingresses, and one Rollout has this traffic.
    async fn said(groups: &[(&str, &[&str])], rollouts: &str, traffic: Value) -> Vec<(Mark, String)> {
        let server = MockServer::start().await;
        group(&server, "networking.k8s.io/v1", &["ingresses"]).await;
        for (version, plurals) in groups {
            group(&server, version, plurals).await;
        }
        let spec = json!({"strategy": {"canary": {"steps": []}}, "services": {"root": "web"}, "traffic": traffic});
        let rollout = json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec});
        serves(&server, rollouts, json!({"kind": "RolloutList", "metadata": {}, "items": [rollout]})).await;
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let connection = Connection { client, namespace: "shop".into(), address: server.uri() };
        let rollouts = super::rollouts(&connection).await;
        checks(&connection, &rollouts).await.into_iter().map(|check| (check.mark, check.what)).collect()
    }

    const ALL: &str = "/apis/glidepath.dev/v1alpha1/rollouts";
    const OWN: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts";

    #[tokio::test]
    async fn routers_that_are_there_are_named_with_their_kinds_and_versions() {
        let groups: [(&str, &[&str]); 4] = [
            ("networking.istio.io/v1beta1", &["virtualservices", "destinationrules", "gateways"]),
            ("gateway.networking.k8s.io/v1", &["httproutes", "grpcroutes", "gateways"]),
            ("gateway.networking.k8s.io/v1alpha2", &["tlsroutes"]),
            ("split.smi-spec.io/v1alpha2", &["trafficsplits"]),
        ];
        let wanted = [
            "kinds of Istio are served: VirtualService v1beta1, DestinationRule v1beta1",
            "kinds of Gateway API are served: HTTPRoute v1, GRPCRoute v1, TLSRoute v1alpha2; not served: TCPRoute",
            "kinds of Service Mesh Interface are served: TrafficSplit v1alpha2",
        ];
        assert_eq!(said(&groups, ALL, json!([])).await, wanted.map(|what| (Mark::Well, what.to_owned())));
    }

    #[tokio::test]
    async fn without_a_router_there_is_one_line() {
        let what = "no mesh or gateway that Glidepath writes routes for is installed".to_owned();
        assert_eq!(said(&[], ALL, json!([])).await, [(Mark::Absent, what)]);
    }

    #[tokio::test]
    async fn what_a_rollout_needs_has_a_line_whether_it_is_there_or_not() {
        let traffic = json!([{"nginx": {"ingress": "web"}}, {"traefik": {"services": [{"name": "web"}]}}]);
        for rollouts in [ALL, OWN] {
            let wanted = [
                (Mark::Wrong, "Traefik: Rollout shop/web needs TraefikService, which is not served".to_owned()),
                (Mark::Well, "kinds of ingress-nginx are served: Ingress v1".to_owned()),
            ];
            assert_eq!(said(&[], rollouts, traffic.clone()).await, wanted);
        }
        let tcp = json!([{"gateway": {"routes": [{"kind": "TCPRoute", "name": "web"}]}}]);
        let some: [(&str, &[&str]); 1] = [("gateway.networking.k8s.io/v1", &["httproutes"])];
        let wanted = (Mark::Wrong, "Gateway API: Rollout shop/web needs TCPRoute, which is not served".to_owned());
        assert_eq!(said(&some, ALL, tcp).await, [wanted]);
    }

    #[tokio::test]
    async fn a_kind_that_only_a_rollout_names_has_a_line() {
        let traffic = json!([
            {"custom": {"preset": "contour", "name": "web"}},
            {"custom": {"apiVersion": "mesh.example.com/v1", "kind": "Route", "name": "web",
                "backends": {"path": "spec.backends", "service": "name"}}},
        ]);
        let groups: [(&str, &[&str]); 1] = [("projectcontour.io/v1", &["httpproxies"])];
        let wanted = [
            (Mark::Well, "a kind of the router custom is served: HTTPProxy (projectcontour.io/v1)"),
            (Mark::Wrong, "custom: Rollout shop/web needs Route (mesh.example.com/v1), which is not served as routes"),
        ];
        assert_eq!(said(&groups, ALL, traffic).await, wanted.map(|(mark, what)| (mark, what.to_owned())));
    }

    #[tokio::test]
    async fn where_nothing_can_be_known_there_is_one_line() {
        let server = MockServer::start().await;
        let refusal =
            json!({"kind": "Status", "status": "Failure", "message": "no", "reason": "Forbidden", "code": 403});
        let refused = ResponseTemplate::new(403).set_body_json(refusal);
        Mock::given(method("GET")).respond_with(refused).mount(&server).await;
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let connection = Connection { client, namespace: "shop".into(), address: server.uri() };
        let checks = checks(&connection, &super::rollouts(&connection).await).await;
        assert!(checks.len() == 1 && checks[0].what.starts_with("kinds of routers not checked"), "{checks:?}");
        assert_eq!(checks[0].mark, Mark::Absent);
    }
}
