//! What in a cluster with Istio keeps the VirtualServices of Rollouts from being used: ambient mode without a waypoint, and
//! Sidecars that do not name both versions.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::Value;

use super::{
    check::Check,
    reader::{Kind, Reader},
};
use crate::{
    api::{Rollout, traffic::IstioTraffic},
    cli::connect::Connection,
    cluster::targets::{Split, of, route_context},
    ports::RolloutKey,
    router::{
        RouteScope,
        istio::{
            ambient::{AmbientLabels, TODO, is_for_the_mesh},
            sidecars::missing_hosts,
        },
    },
};

const GROUP: &str = "networking.istio.io";
const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const SIDECARS: Kind = Kind { group: GROUP, versions: VERSIONS, kind: "Sidecar", plural: "sidecars" };
const VIRTUAL_SERVICES: Kind =
    Kind { group: GROUP, versions: VERSIONS, kind: "VirtualService", plural: "virtualservices" };
const NAMESPACES: Kind = Kind { group: "", versions: &["v1"], kind: "Namespace", plural: "namespaces" };
const SERVICES: Kind = Kind { group: "", versions: &["v1"], kind: "Service", plural: "services" };
const DEPLOYMENTS: Kind = Kind { group: "apps", versions: &["v1"], kind: "Deployment", plural: "deployments" };

/// Lines for Rollouts that are split by Istio; none where there are none, or Istio is not installed.
pub(super) async fn checks(connection: &Connection, rollouts: &[Rollout]) -> Vec<Check> {
    let split: Vec<&Rollout> = rollouts.iter().filter(|rollout| entries(rollout).next().is_some()).collect();
    if split.is_empty() {
        return Vec::new();
    }
    let mut reader = Reader::of(connection);
    let Some(sidecars) = reader.list(&SIDECARS, None).await else { return Vec::new() };
    let mut checks: Vec<Check> = split.iter().flat_map(|rollout| of_sidecars(rollout, &sidecars)).collect();
    let namespaces = reader.list(&NAMESPACES, None).await.unwrap_or_default();
    let mut known: BTreeMap<String, Place> = BTreeMap::new();
    for rollout in &split {
        for namespace in namespaces_of(rollout) {
            if let Entry::Vacant(vacant) = known.entry(namespace) {
                let place = Place::read(&mut reader, vacant.key()).await;
                vacant.insert(place);
            }
        }
        checks.extend(of_ambient(rollout, &namespaces, &known));
    }
    if checks.is_empty() {
        let what = format!("Istio: nothing keeps it from using the routes of Rollouts ({})", split.len());
        checks.push(Check::well(what));
    }
    checks.extend(reader.unread("Istio"));
    checks
}

fn entries(rollout: &Rollout) -> impl Iterator<Item = &IstioTraffic> {
    rollout.spec.traffic.iter().filter_map(|entry| entry.istio.as_ref())
}

/// The Rollout's namespace, and those of its VirtualServices.
fn namespaces_of(rollout: &Rollout) -> Vec<String> {
    let routes = entries(rollout).flat_map(|istio| &istio.virtual_services);
    let foreign = routes.filter_map(|route| route.namespace.clone());
    [RolloutKey::of(rollout).namespace].into_iter().chain(foreign).collect()
}

/// What of one namespace decides.
struct Place {
    virtual_services: Vec<Value>,
    services: Vec<Value>,
    deployments: Vec<Value>,
}

impl Place {
    async fn read(reader: &mut Reader<'_>, namespace: &str) -> Self {
        Place {
            virtual_services: reader.list(&VIRTUAL_SERVICES, Some(namespace)).await.unwrap_or_default(),
            services: reader.list(&SERVICES, Some(namespace)).await.unwrap_or_default(),
            deployments: reader.list(&DEPLOYMENTS, Some(namespace)).await.unwrap_or_default(),
        }
    }
}

fn named<'v>(all: &'v [Value], name: &str) -> Option<&'v Value> {
    all.iter().find(|object| object["metadata"]["name"] == name)
}

fn of_sidecars(rollout: &Rollout, sidecars: &[Value]) -> Vec<Check> {
    let (key, targets) = (RolloutKey::of(rollout), of(&rollout.spec));
    if targets.split != Split::Host {
        return Vec::new();
    }
    let context = route_context(&key, rollout, &RouteScope::default());
    let check = |sidecar: &Value| {
        let missing = missing_hosts(&context, targets.root.as_deref().unwrap_or_default(), sidecar);
        let text = |field: &str| sidecar["metadata"][field].as_str().unwrap_or("?").to_owned();
        let (namespace, name) = (text("namespace"), text("name"));
        (!missing.is_empty()).then(|| {
            Check::wrong(
                format!(
                    "Istio: Rollout {key}: Sidecar {namespace}/{name} does not name {}, so its proxies cannot send requests there",
                    missing.join(" and ")
                ),
                format!("add them to `egress[].hosts`: kubectl edit sidecar {name} -n {namespace}"),
            )
        })
    };
    sidecars.iter().filter_map(check).collect()
}

fn of_ambient(rollout: &Rollout, namespaces: &[Value], known: &BTreeMap<String, Place>) -> Option<Check> {
    let key = RolloutKey::of(rollout);
    let place = known.get(&key.namespace)?;
    let routes = entries(rollout).flat_map(|istio| &istio.virtual_services);
    let mut objects = routes.filter_map(|route| {
        let namespace = route.namespace.as_ref().unwrap_or(&key.namespace);
        named(&known.get(namespace)?.virtual_services, &route.name)
    });
    objects.find(|object| is_for_the_mesh(object))?;
    let root = of(&rollout.spec).root?;
    let labels = |object: Option<&Value>, path: &str| object.and_then(|object| object.pointer(path)).cloned();
    let deployment = rollout.spec.workload_ref.as_ref().and_then(|workload| named(&place.deployments, &workload.name));
    let template = rollout.spec.template.as_ref().and_then(|template| template.pointer("/metadata/labels")).cloned();
    let pods = template.or_else(|| labels(deployment, "/spec/template/metadata/labels")).unwrap_or_default();
    let namespace = labels(named(namespaces, &key.namespace), "/metadata/labels").unwrap_or_default();
    let service = labels(named(&place.services, &root), "/metadata/labels").unwrap_or_default();
    let all = AmbientLabels { namespace: &namespace, service: &service, pods: &pods };
    all.lack_a_waypoint().then(|| {
        let what = format!(
            "Istio: Rollout {key}: its pods are in ambient mode and Service {root} has no waypoint: its VirtualServices have no effect"
        );
        Check::wrong(what, TODO)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::{
        Mock, MockServer, ResponseTemplate,
        matchers::{method, path},
    };

    use super::*;
    use crate::cli::verbs::doctor::check::Mark;

    /// What is said of one Rollout where these objects are there.
    async fn said(objects: &[(&str, Value)]) -> Vec<(Mark, String)> {
        let server = MockServer::start().await;
        for (at, items) in objects {
            let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
            let answer = ResponseTemplate::new(200).set_body_json(list);
            Mock::given(method("GET")).and(path(*at)).respond_with(answer).mount(&server).await;
        }
        let traffic = json!([{"istio": {"virtualServices": [{"name": "web"}]}}]);
        let spec = json!({"strategy": {"canary": {"steps": []}}, "services": {"root": "web"}, "traffic": traffic,
            "workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
        let rollout: Rollout =
            serde_json::from_value(json!({"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})).unwrap();
        let client = kube::Client::try_from(kube::Config::new(server.uri().parse().unwrap())).unwrap();
        let connection = Connection { client, namespace: "default".into(), address: server.uri() };
        checks(&connection, &[rollout]).await.into_iter().map(|check| (check.mark, check.what)).collect()
    }

    fn object(name: &str, labels: Value, spec: Value) -> Value {
        json!({"metadata": {"name": name, "namespace": "shop", "labels": labels}, "spec": spec})
    }

    const ALL_SIDECARS: &str = "/apis/networking.istio.io/v1/sidecars";
    const ALL_NAMESPACES: &str = "/api/v1/namespaces";
    const ROUTES: &str = "/apis/networking.istio.io/v1/namespaces/shop/virtualservices";
    const OWN_SERVICES: &str = "/api/v1/namespaces/shop/services";
    const OWN_DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/shop/deployments";

    #[tokio::test]
    async fn a_sidecar_without_the_canary_is_named() {
        assert_eq!(said(&[]).await, [], "Istio is not installed");
        let well = (Mark::Well, "Istio: nothing keeps it from using the routes of Rollouts (1)".to_owned());
        assert_eq!(said(&[(ALL_SIDECARS, json!([]))]).await, [well]);
        let hosts = json!(["shop/web-stable.shop.svc.cluster.local"]);
        let sidecar = object("callers", json!({}), json!({"egress": [{"hosts": hosts}]}));
        let what = "Istio: Rollout shop/web: Sidecar shop/callers does not name shop/web-canary.shop.svc.cluster.local, so its proxies cannot send requests there";
        assert_eq!(said(&[(ALL_SIDECARS, json!([sidecar]))]).await, [(Mark::Wrong, what.to_owned())]);
    }

    #[tokio::test]
    async fn ambient_mode_without_a_waypoint_is_named() {
        let what = "Istio: Rollout shop/web: its pods are in ambient mode and Service web has no waypoint: its VirtualServices have no effect";
        let ambient = json!({"istio.io/dataplane-mode": "ambient"});
        let route =
            |gateways: Value| json!([object("web", json!({}), json!({"hosts": ["web"], "gateways": gateways}))]);
        let in_namespace = json!([object("shop", ambient.clone(), json!({}))]);
        let deployment = object("web", json!({}), json!({"template": {"metadata": {"labels": ambient}}}));
        let base = [(ALL_SIDECARS, json!([])), (ROUTES, route(json!([])))];
        let with = |more: &[(&'static str, Value)]| [base.as_slice(), more].concat();
        for ambient in [(ALL_NAMESPACES, in_namespace.clone()), (OWN_DEPLOYMENTS, json!([deployment]))] {
            assert_eq!(said(&with(std::slice::from_ref(&ambient))).await, [(Mark::Wrong, what.to_owned())]);
            let waypoint = json!([object("web", json!({"istio.io/use-waypoint": "waypoint"}), json!({}))]);
            assert_eq!(said(&with(&[ambient, (OWN_SERVICES, waypoint)])).await.first().unwrap().0, Mark::Well);
        }
        let edge = [(ALL_SIDECARS, json!([])), (ROUTES, route(json!(["edge"]))), (ALL_NAMESPACES, in_namespace)];
        assert_eq!(said(&edge).await.first().unwrap().0, Mark::Well, "a gateway reads it");
    }
}
