//! A fault whose names are looked up: which pods its target is, and when it ends.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    api::{
        MeshFault, REVISION_LABEL,
        fault::{FAULT_LABEL, FaultRevision, FaultTarget, MeshFaultSpec},
    },
    mesh::{
        facts::{Facts, Labels, Protocol, Release, Service, selects},
        plan::Refusal,
    },
};

/// What a fault wants of a mesh.
#[derive(Debug)]
pub struct FaultIntent<'a> {
    /// The mesh.
    pub mesh: &'static str,
    /// The fault's namespace.
    pub namespace: &'a str,
    /// The fault's name.
    pub fault: &'a str,
    /// The Service whose pods it is for.
    pub service: &'a Service,
    /// The labels of those pods.
    pub pods: Labels,
    /// What it does to requests.
    pub spec: &'a MeshFaultSpec,
    /// When it ends.
    pub until: Timestamp,
}

impl<'a> FaultIntent<'a> {
    /// Looks up what a fault is for.
    pub(in crate::mesh) fn of(
        mesh: &'static str,
        fault: &'a MeshFault,
        until: Timestamp,
        facts: &'a Facts,
    ) -> Result<Self, Refusal> {
        let (namespace, name) = identity(fault);
        let refusal = |(field, why): (&str, String)| Refusal { field: field.to_owned(), mesh, why };
        let service = service(&fault.spec.target, namespace, facts).map_err(refusal)?;
        let pods = pods(&fault.spec.target, service, facts).map_err(refusal)?;
        Ok(FaultIntent { mesh, namespace, fault: name, service, pods, spec: &fault.spec, until })
    }

    /// A refusal of this fault.
    pub fn refusal(&self, field: impl Into<String>, why: impl Into<String>) -> Refusal {
        Refusal { field: field.into(), mesh: self.mesh, why: why.into() }
    }

    /// The object of the fault's own. It has the name of its Service, so that the API server holds one fault per target whoever
    /// writes it.
    pub fn own(&self, api_version: &str, kind: &str, spec: Value) -> Value {
        json!({
            "apiVersion": api_version,
            "kind": kind,
            "metadata": {
                "name": format!("{}-fault", self.service.name),
                "namespace": self.namespace,
                "labels": {FAULT_LABEL: self.fault},
            },
            "spec": spec,
        })
    }
}

/// Namespace and name.
pub(super) fn identity(fault: &MeshFault) -> (&str, &str) {
    let metadata = &fault.metadata;
    (metadata.namespace.as_deref().unwrap_or("default"), metadata.name.as_deref().unwrap_or_default())
}

/// Which field is wrong, and why.
type Wrong = (&'static str, String);

fn service<'a>(target: &FaultTarget, namespace: &str, facts: &'a Facts) -> Result<&'a Service, Wrong> {
    let wrong = |why: &str| ("target.service", format!("Service {namespace}/{} {why}", target.service));
    let missing = || ("target.service", format!("there is no Service {namespace}/{}", target.service));
    let service = facts.service(namespace, &target.service).ok_or_else(missing)?;
    if service.selector.is_empty() {
        return Err(wrong("selects no pods, and a fault is for pods"));
    }
    if !service.ports.is_empty() && service.ports.iter().all(|port| port.protocol == Protocol::Tcp) {
        return Err(wrong("has no port with HTTP or gRPC, whose requests alone can have a fault"));
    }
    Ok(service)
}

/// A Service that a Rollout pins to a revision has only the pods of that one.
fn pods(target: &FaultTarget, service: &Service, facts: &Facts) -> Result<Labels, Wrong> {
    let revision = match target.revision {
        FaultRevision::Any => service.pin.clone(),
        FaultRevision::Stable | FaultRevision::Canary => {
            let revision = of_rollout(target.revision, service, facts).map_err(|why| ("target.revision", why))?;
            if service.pin.as_ref().is_some_and(|pin| *pin != revision) {
                let (namespace, name) = (&service.namespace, &service.name);
                let why =
                    format!("Service {namespace}/{name} has only pods of another revision; name the root Service");
                return Err(("target.revision", why));
            }
            Some(revision)
        }
    };
    let pin = revision.map(|revision| (REVISION_LABEL.to_owned(), revision));
    Ok(service.selector.clone().into_iter().chain(pin).collect())
}

/// The revision of the Rollout that splits the Service's traffic.
fn of_rollout(wanted: FaultRevision, service: &Service, facts: &Facts) -> Result<String, String> {
    let (namespace, name) = (&service.namespace, &service.name);
    let Some(release) = facts.releases(namespace).find(|release| splits(release, service, facts)) else {
        return Err(format!("no Rollout splits the traffic of Service {namespace}/{name}; set it to any"));
    };
    let rollout = &release.rollout;
    let stable = release.stable_revision.clone();
    match wanted {
        FaultRevision::Canary => {
            let idle =
                || format!("Rollout {namespace}/{rollout} releases no revision now; start a release, or set it to any");
            release.current_revision.clone().filter(|current| Some(current) != stable.as_ref()).ok_or_else(idle)
        }
        FaultRevision::Stable | FaultRevision::Any => {
            stable.ok_or_else(|| format!("Rollout {namespace}/{rollout} has no stable revision in its status yet"))
        }
    }
}

fn splits(release: &Release, service: &Service, facts: &Facts) -> bool {
    let named = [&release.root, &release.stable, &release.canary];
    let mut own = facts.workloads_of(&release.namespace).filter(|one| one.kind == "Rollout");
    named.into_iter().flatten().any(|name| *name == service.name)
        || own.any(|one| one.name == release.rollout && selects(&service.selector, &one.labels))
}
