//! What is known of Services and workloads: the names in a policy are looked up here.
//!
//! From Kubernetes objects as plain JSON, those of a cluster's caches or those of files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    pods::{self, ContainerPort, Probe},
    settings,
};
use crate::{
    api::{MeshPolicy, REVISION_LABEL, names, objects::Services, traffic::TrafficRouter},
    yaml,
};

/// Labels, by key.
pub(super) type Labels = BTreeMap<String, String>;

/// Services and workloads, and how the mesh names identities.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The trust domain of the mesh's identities.
    pub trust_domain: String,
    /// The namespace whose policies are for the whole mesh.
    pub root_namespace: String,
    /// The domain of the cluster's DNS names.
    pub cluster_domain: String,
    services: BTreeMap<(String, String), Service>,
    /// By namespace, kind and name.
    workloads: BTreeMap<(String, String, String), Workload>,
    accounts: BTreeSet<Account>,
    policies: BTreeMap<(String, String), KnownPolicy>,
    releases: BTreeMap<(String, String), Release>,
}

impl Default for Facts {
    fn default() -> Self {
        Facts {
            trust_domain: "cluster.local".to_owned(),
            root_namespace: "istio-system".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            services: BTreeMap::new(),
            workloads: BTreeMap::new(),
            accounts: BTreeSet::new(),
            policies: BTreeMap::new(),
            releases: BTreeMap::new(),
        }
    }
}

/// A policy, with the fields that it and its profile set: every plan of another policy asks for them.
#[derive(Clone, Debug)]
struct KnownPolicy {
    policy: MeshPolicy,
    fields: BTreeSet<String>,
}

/// A Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The labels of its pods.
    pub selector: Labels,
    /// The revision that a Rollout pins it to.
    pub pin: Option<String>,
    /// Its ports.
    pub ports: Vec<Port>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its number.
    pub number: u16,
    /// Its name; empty without one.
    pub name: String,
    /// The port of the pods, a number or a name.
    pub target: String,
    /// What is spoken.
    pub protocol: Protocol,
}

/// What is spoken at a port, as its `appProtocol` or the prefix of its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP of any version.
    Http,
    /// gRPC.
    Grpc,
    /// Anything else over TCP.
    Tcp,
    /// It is not said; most meshes look at the first bytes.
    Unknown,
}

/// Something that makes pods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Its kind, for example `Deployment`.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The labels of its pods.
    pub labels: Labels,
    /// The name of its pods' ServiceAccount.
    pub account: String,
    /// The annotations of its pods.
    pub annotations: Labels,
    /// The ports that its pods declare.
    pub ports: Vec<ContainerPort>,
    /// How its pods are probed.
    pub probes: Vec<Probe>,
}

/// A ServiceAccount: the identity of a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The Services that a Rollout splits traffic between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Release {
    /// The Rollout's namespace.
    pub namespace: String,
    /// Its name.
    pub rollout: String,
    /// The Service that clients use.
    pub root: Option<String>,
    /// The Service of the stable version; none where it splits by the subsets of one.
    pub stable: Option<String>,
    /// The Service of the new version; none where it splits by the subsets of one.
    pub canary: Option<String>,
    /// Whether it writes the weights of route objects.
    pub is_routed: bool,
    /// The stable revision; none before the first.
    pub stable_revision: Option<String>,
    /// The revision that is wanted: the stable one, or the one that is being released.
    pub current_revision: Option<String>,
}

/// Kinds whose pods are described at `spec.template`. A CronJob's are deeper, and its Jobs are seen themselves.
const WORKLOADS: [&str; 6] = ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "Rollout"];

impl Facts {
    /// Adds what an object says. One of another kind says nothing.
    pub fn add(&mut self, object: &Value) {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (kind, namespace, name) = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        match kind.as_str() {
            "Service" => {
                let mut selector = labels(&object["spec"]["selector"]);
                // A Rollout pins its Services to a revision. A policy is for the next one too.
                let pin = selector.remove(REVISION_LABEL);
                let ports = object["spec"]["ports"].as_array().into_iter().flatten().filter_map(port).collect();
                let key = (namespace.clone(), name.clone());
                self.services.insert(key, Service { namespace, name, selector, pin, ports });
            }
            "ServiceAccount" => drop(self.accounts.insert(Account { namespace, name })),
            "MeshPolicy" => {
                let policy = yaml::typed::<MeshPolicy>(object).ok();
                let known = policy.map(|policy| KnownPolicy { fields: settings::fields(&policy.spec), policy });
                self.policies.extend(known.map(|known| ((namespace, name), known)));
            }
            "Pod" => self.workload(kind, namespace, name, object),
            _ => {
                // Also without a template: with a workloadRef that is in the Deployment, which makes no other pods.
                let release = release(&namespace, &name, object);
                self.releases.extend(release.map(|release| ((namespace.clone(), name.clone()), release)));
                if WORKLOADS.contains(&kind.as_str()) && object["spec"]["template"].is_object() {
                    self.workload(kind, namespace, name, &object["spec"]["template"]);
                }
            }
        }
    }

    /// Forgets an object, before it is added again or because it is gone.
    pub fn remove(&mut self, kind: &str, namespace: &str, name: &str) {
        let key = (namespace.to_owned(), name.to_owned());
        match kind {
            "Service" => drop(self.services.remove(&key)),
            "ServiceAccount" => drop(self.accounts.remove(&Account { namespace: key.0, name: key.1 })),
            "MeshPolicy" => drop(self.policies.remove(&key)),
            _ => {
                if kind == "Rollout" {
                    self.releases.remove(&key);
                }
                self.workloads.remove(&(key.0, kind.to_owned(), key.1));
            }
        }
    }

    fn workload(&mut self, kind: String, namespace: String, name: String, pod: &Value) {
        self.add_workload(Workload::of_pod(kind, namespace, name, pod));
    }

    /// Adds what makes pods.
    pub fn add_workload(&mut self, workload: Workload) {
        let key = (workload.namespace.clone(), workload.kind.clone(), workload.name.clone());
        self.workloads.insert(key, workload);
    }

    /// All policies.
    pub fn policies(&self) -> impl Iterator<Item = &MeshPolicy> {
        self.policies.values().map(|known| &known.policy)
    }

    /// All policies with the fields that each sets.
    pub(super) fn policies_with_fields(&self) -> impl Iterator<Item = (&MeshPolicy, &BTreeSet<String>)> {
        self.policies.values().map(|known| (&known.policy, &known.fields))
    }

    /// The Rollouts of a namespace that split traffic.
    pub fn releases<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Release> {
        let first = (namespace.to_owned(), String::new());
        self.releases.range(first..).map(|(_, release)| release).take_while(move |one| one.namespace == namespace)
    }

    /// The Service of this name.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        self.services.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The Services of a namespace, by name.
    pub fn services_of(&self, namespace: &str) -> impl Iterator<Item = &Service> {
        let first = (namespace.to_owned(), String::new());
        self.services.range(first..).map(|(_, service)| service).take_while(move |one| one.namespace == namespace)
    }

    /// Whether anything is known of a ServiceAccount: it is there, or pods have it.
    pub fn has_account(&self, namespace: &str, name: &str) -> bool {
        let of_pods = || self.workloads_of(namespace).any(|one| one.account == name);
        self.accounts.contains(&Account { namespace: namespace.to_owned(), name: name.to_owned() }) || of_pods()
    }

    /// What makes the pods that have these labels. No labels: none, as a Service without a selector has no pods.
    pub fn workloads<'a>(&'a self, namespace: &'a str, labels: &'a Labels) -> impl Iterator<Item = &'a Workload> {
        self.workloads_of(namespace).filter(move |one| !labels.is_empty() && selects(labels, &one.labels))
    }

    /// Everything that makes pods in a namespace.
    pub fn workloads_of<'a>(&'a self, namespace: &'a str) -> impl Iterator<Item = &'a Workload> {
        let first = (namespace.to_owned(), String::new(), String::new());
        self.workloads.range(first..).map(|(_, workload)| workload).take_while(move |one| one.namespace == namespace)
    }

    /// The ServiceAccounts of a Service's pods.
    pub fn accounts(&self, service: &Service) -> BTreeSet<Account> {
        let accounts = self.workloads(&service.namespace, &service.selector);
        accounts.map(|one| Account { namespace: one.namespace.clone(), name: one.account.clone() }).collect()
    }
}

impl Workload {
    /// What an object of a kind that makes pods says.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let template = Some(&object["spec"]["template"]).filter(|template| template.is_object())?;
        Some(Workload::of_pod(text("/kind"), text("/metadata/namespace"), text("/metadata/name"), template))
    }

    fn of_pod(kind: String, namespace: String, name: String, pod: &Value) -> Self {
        Workload {
            kind,
            namespace,
            name,
            labels: labels(&pod["metadata"]["labels"]),
            account: pod["spec"]["serviceAccountName"].as_str().unwrap_or("default").to_owned(),
            annotations: labels(&pod["metadata"]["annotations"]),
            ports: pods::ports(&pod["spec"]),
            probes: pods::probes(&pod["spec"]),
        }
    }
}

impl Service {
    /// Its DNS name in a cluster of this domain.
    pub fn host(&self, facts: &Facts) -> String {
        format!("{}.{}.svc.{}", self.name, self.namespace, facts.cluster_domain)
    }
}

/// The Services of one of our Rollouts. A blue-green one switches the selector of a Service, which stays one host.
fn release(namespace: &str, name: &str, object: &Value) -> Option<Release> {
    let is_ours = object["kind"] == "Rollout"
        && object["apiVersion"].as_str().is_some_and(|version| version.starts_with("glidepath.dev/"));
    if !is_ours || object["spec"]["strategy"]["blueGreen"].is_object() {
        return None;
    }
    let services: Services = yaml::typed(&object["spec"]["services"]).ok()?;
    let routes: Vec<&Value> = object["spec"]["traffic"].as_array().into_iter().flatten().collect();
    let routers = routes.iter().filter_map(|route| yaml::typed::<TrafficRouter>(route).ok());
    let by_subset = routers.into_iter().any(|router| router.splits_by_subset());
    let split = |service: Option<String>| service.filter(|_| !by_subset);
    let revision = |of: &str| object["status"][of]["id"].as_str().map(str::to_owned);
    Some(Release {
        namespace: namespace.to_owned(),
        rollout: name.to_owned(),
        stable: split(names::stable_service(&services)),
        canary: split(names::canary_service(&services)),
        root: services.root,
        is_routed: !routes.is_empty(),
        stable_revision: revision("stableRevision"),
        current_revision: revision("currentRevision"),
    })
}

/// Whether a selector selects what has these labels; one without labels selects everything.
pub(super) fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The labels in a field of an object.
pub(super) fn labels(value: &Value) -> Labels {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

fn port(value: &Value) -> Option<Port> {
    let number = u16::try_from(value["port"].as_u64()?).ok()?;
    let name = value["name"].as_str().unwrap_or_default().to_owned();
    let target = match &value["targetPort"] {
        Value::String(named) => named.clone(),
        Value::Number(target) => target.to_string(),
        _ => number.to_string(),
    };
    let said = value["appProtocol"].as_str().unwrap_or_else(|| name.split('-').next().unwrap_or_default());
    Some(Port { number, target, protocol: protocol(said), name })
}

fn protocol(said: &str) -> Protocol {
    match said {
        "http" | "http2" | "https" | "kubernetes.io/h2c" | "kubernetes.io/ws" => Protocol::Http,
        "grpc" | "grpc-web" => Protocol::Grpc,
        "tcp" | "tls" | "mongo" | "mysql" | "redis" => Protocol::Tcp,
        _ => Protocol::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_services_accounts_are_those_of_its_pods() {
        let mut facts = Facts::default();
        for object in [
            json!({"kind": "Service", "metadata": {"namespace": "shop", "name": "web"},
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "name": "http-web", "targetPort": 8080}]}}),
            json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"},
                "spec": {"template": {"metadata": {"labels": {"app": "web", "v": "1"}}, "spec": {"serviceAccountName": "front"}}}}),
            json!({"kind": "StatefulSet", "metadata": {"namespace": "shop", "name": "db"},
                "spec": {"template": {"metadata": {"labels": {"app": "db"}}, "spec": {}}}}),
            json!({"kind": "Deployment", "metadata": {"namespace": "other", "name": "web"},
                "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {}}}}),
        ] {
            facts.add(&object);
        }
        let web = facts.service("shop", "web").unwrap();
        let front = Account { namespace: "shop".into(), name: "front".into() };
        assert_eq!(facts.accounts(web), BTreeSet::from([front]));
        assert_eq!(
            web.ports,
            [Port { number: 80, name: "http-web".into(), target: "8080".into(), protocol: Protocol::Http }]
        );
        assert!(facts.has_account("shop", "default") && !facts.has_account("shop", "back"));
        assert_eq!(web.host(&facts), "web.shop.svc.cluster.local");
    }

    #[test]
    fn the_pin_of_a_rollout_is_not_part_of_a_services_selector() {
        let mut facts = Facts::default();
        facts.add(&json!({"kind": "Service", "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"selector": {"app": "web", (REVISION_LABEL): "3x8k2m9q0a"}}}));
        let web = facts.service("shop", "web").unwrap();
        assert_eq!((&web.selector, web.pin.as_deref()), (&labels(&json!({"app": "web"})), Some("3x8k2m9q0a")));
    }

    #[test]
    fn what_is_removed_is_forgotten_and_the_rest_stays() {
        let workload = |kind: &str| {
            json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": kind, "metadata": {"namespace": "shop", "name": "web"},
                "spec": {"services": {"root": "web"}, "traffic": [{"istio": {}}],
                    "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"serviceAccountName": "front"}}}})
        };
        let mut facts = Facts::default();
        ["Rollout", "Deployment"].iter().for_each(|kind| facts.add(&workload(kind)));
        facts.add(&json!({"kind": "Service", "metadata": {"namespace": "shop", "name": "web"}}));
        facts.remove("Rollout", "shop", "web");
        assert_eq!((facts.workloads_of("shop").count(), facts.releases("shop").count()), (1, 0));
        assert!(facts.service("shop", "web").is_some() && facts.has_account("shop", "front"));
        facts.remove("Deployment", "shop", "web");
        facts.remove("Service", "shop", "web");
        assert!(facts.service("shop", "web").is_none() && !facts.has_account("shop", "front"));
    }

    #[test]
    fn a_rollout_that_references_a_deployment_splits_its_services_too() {
        let mut facts = Facts::default();
        facts.add(&json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "services": {"root": "web"}, "traffic": [{"istio": {"virtualServices": [{"name": "web"}]}}]}}));
        let release = facts.releases("shop").next().unwrap();
        assert_eq!((release.stable.as_deref(), release.canary.as_deref()), (Some("web-stable"), Some("web-canary")));
        assert_eq!(facts.workloads_of("shop").count(), 0, "the Deployment has the template");
    }

    #[test]
    fn a_split_by_subsets_has_one_service() {
        for (entry, canary) in [
            (json!({"istio": {"virtualServices": [{"name": "web"}]}}), Some("web-canary")),
            (
                json!({"istio": {"virtualServices": [{"name": "web"}], "destinationRule": {"name": "web", "stableSubset": "a", "canarySubset": "b"}}}),
                None,
            ),
            (json!({"consul": {"service": "web"}}), None),
        ] {
            let mut facts = Facts::default();
            facts.add(&json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"namespace": "shop", "name": "web"},
                "spec": {"template": {}, "services": {"root": "web"}, "traffic": [entry]}}));
            assert_eq!(facts.releases("shop").next().unwrap().canary.as_deref(), canary, "{entry}");
        }
    }

    #[test]
    fn a_service_without_a_selector_has_no_pods() {
        let mut facts = Facts::default();
        facts.add(&json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {}}}}));
        let bare = Service { namespace: "shop".into(), name: "bare".into(), ..Service::default() };
        assert!(facts.accounts(&bare).is_empty());
    }
}
