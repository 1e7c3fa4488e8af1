//! What in a cluster with Istio keeps the VirtualServices of Rollouts from being used: ambient mode without a waypoint, and
//! Sidecars that do not name both versions.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::Value;

use super::{
    check::Check,
    reader::{Kind, Reader},
};
use crate::{
    api::{
        Rollout,
        traffic::{IstioTraffic, VirtualServiceRef},
    },
    cli::connect::Connection,
    cluster::targets::{Split, of, route_context},
    ports::RolloutKey,
    router::{
        RouteScope,
        istio::{
            ambient::{AmbientLabels, REMEDY, is_delegate, is_for_the_mesh},
            delegate::delegates_to,
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

/// The Rollout's namespace, and those of its VirtualServices and of their roots.
fn namespaces_of(rollout: &Rollout) -> Vec<String> {
    let routes = entries(rollout).flat_map(|istio| &istio.virtual_services);
    let foreign =
        routes.flat_map(|route| [route.namespace.clone(), route.delegate_of.clone().and_then(|root| root.namespace)]);
    [RolloutKey::of(rollout).namespace].into_iter().chain(foreign.flatten()).collect()
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

/// Whether a VirtualService of a Rollout is for the callers inside of the mesh. A delegate is where its root is: the one that it
/// names, or any that delegates to it among those that were read.
fn is_inside(route: &VirtualServiceRef, own: &str, known: &BTreeMap<String, Place>) -> bool {
    let of = |namespace: &str, name: &str| named(&known.get(namespace)?.virtual_services, name);
    let namespace = route.namespace.as_deref().unwrap_or(own);
    let Some(object) = of(namespace, &route.name) else { return false };
    if !is_delegate(object) {
        return is_for_the_mesh(object);
    }
    match &route.delegate_of {
        Some(root) => of(root.namespace.as_deref().unwrap_or(own), &root.name).is_some_and(is_for_the_mesh),
        None => {
            let mut all = known.values().flat_map(|place| &place.virtual_services);
            all.any(|root| is_for_the_mesh(root) && delegates_to(root, namespace, &route.name))
        }
    }
}

fn of_ambient(rollout: &Rollout, namespaces: &[Value], known: &BTreeMap<String, Place>) -> Option<Check> {
    let key = RolloutKey::of(rollout);
    let place = known.get(&key.namespace)?;
    let mut routes = entries(rollout).flat_map(|istio| &istio.virtual_services);
    routes.find(|route| is_inside(route, &key.namespace, known))?;
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
        Check::wrong(what, REMEDY)
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
        said_of(json!({"name": "web"}), objects).await
    }

    /// The same, of a Rollout that names this VirtualService.
    async fn said_of(route: Value, objects: &[(&str, Value)]) -> Vec<(Mark, String)> {
        let server = MockServer::start().await;
        for (at, items) in objects {
            let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items});
            let answer = ResponseTemplate::new(200).set_body_json(list);
            Mock::given(method("GET")).and(path(*at)).respond_with(answer).mount(&server).await;
        }
        let traffic = json!([{"istio": {"virtualServices": [route]}}]);
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
    #[tokio::test]
    async fn ambient_mode_without_a_waypoint_is_named_for_a_delegate_whose_root_is_for_the_mesh() {
        const EDGE: &str = "/apis/networking.istio.io/v1/namespaces/edge/virtualservices";
        let delegate = object("web", json!({}), json!({"http": []}));
        let root = |gateways: Value, to: Value| {
            let http = json!([{"delegate": to}]);
            json!({"metadata": {"name": "site", "namespace": "edge"},
                "spec": {"hosts": ["site"], "gateways": gateways, "http": http}})
        };
        let in_namespace = json!([object("shop", json!({"istio.io/dataplane-mode": "ambient"}), json!({}))]);
        let objects = |own: Value, edge: Value| {
            [(ALL_SIDECARS, json!([])), (ALL_NAMESPACES, in_namespace.clone()), (ROUTES, own), (EDGE, edge)]
        };
        let to = json!({"name": "web", "namespace": "shop"});
        let named = json!({"name": "web", "delegateOf": {"name": "site", "namespace": "edge"}});
        for (gateways, mark) in [(json!([]), Mark::Wrong), (json!(["edge"]), Mark::Well)] {
            let objects = objects(json!([delegate]), json!([root(gateways, to.clone())]));
            assert_eq!(said_of(named.clone(), &objects).await.first().unwrap().0, mark);
        }
        // Not named as its root, but seen to delegate to it.
        for (to, mark) in [(to.clone(), Mark::Wrong), (json!({"name": "other"}), Mark::Well)] {
            let mut root = root(json!([]), to);
            root["metadata"]["namespace"] = "shop".into();
            let objects = objects(json!([delegate, root]), json!([]));
            assert_eq!(said(&objects).await.first().unwrap().0, mark);
        }
    }
}
