//! The hosts that a policy is for: Istio keeps connections, breakers, retries and timeouts with a host, not with pods.
//!
//! A Service is one host. One that a Rollout splits is three: requests go to the stable and the canary Service. The canary's
//! rule is the router's copy of the stable one's, so a policy writes root and stable.

use crate::{
    api::policy::MeshPolicySpec,
    mesh::{
        facts::{Protocol, Release, Service},
        intent::{Intent, Target},
        plan::{Conflict, MeshPlan},
    },
};

/// One Service of the target.
pub(super) struct Hosts<'a> {
    pub service: &'a Service,
    /// The Services that get rules.
    pub written: Vec<&'a str>,
    /// Those that requests go to.
    pub all: Vec<&'a str>,
    /// The Rollout that splits it.
    pub release: Option<&'a Release>,
}

/// The target's Services, or why there are none for these fields.
pub(super) fn targets<'a>(intent: &'a Intent<'_>, fields: &[&str], plan: &mut MeshPlan) -> Vec<Hosts<'a>> {
    let why = match &intent.target {
        Target::Service(service) => return one(intent, service, plan).into_iter().collect(),
        Target::Namespace => {
            let services = intent.facts.services_of(intent.namespace);
            let found: Vec<_> =
                services.filter(|service| has_pods(intent, service)).map(|one| hosts(intent, one)).collect();
            if !found.is_empty() {
                return found;
            }
            format!("is kept with Services, and none of namespace {} is known that selects pods", intent.namespace)
        }
        Target::Workload(_) => {
            let names: Vec<&str> = intent.services().into_iter().map(|service| service.name.as_str()).collect();
            let of = if names.is_empty() { "the Service of these pods".to_owned() } else { names.join(" or ") };
            format!("is kept with Services on istio, not with pods; set spec.target.service to {of}")
        }
        Target::Mesh => "is kept with Services on istio; set spec.target.service, or spec.target.namespace".to_owned(),
    };
    plan.refused.extend(fields.iter().map(|field| intent.refusal(*field, why.clone())));
    Vec::new()
}

fn one<'a>(intent: &'a Intent<'_>, service: &'a Service, plan: &mut MeshPlan) -> Option<Hosts<'a>> {
    let owner = intent.facts.releases(intent.namespace).find(|release| is(release.canary.as_ref(), service));
    let Some(owner) = owner else { return Some(hosts(intent, service)) };
    plan.conflicts.push(Conflict {
        object: format!("Service {}/{}", service.namespace, service.name),
        field: "the canary's rules, as a copy of the stable Service's".to_owned(),
        manager: format!("Rollout {}", owner.rollout),
    });
    None
}

/// Whether a Service of a namespace counts itself: the API server's own has no pods, and those of a Rollout count with its
/// root.
fn has_pods(intent: &Intent<'_>, service: &Service) -> bool {
    let is_known = |root: &String| intent.facts.service(intent.namespace, root).is_some();
    let is_part = |release: &Release| {
        is(release.canary.as_ref(), service)
            || (is(release.stable.as_ref(), service) && release.root.as_ref().is_some_and(is_known))
    };
    !service.selector.is_empty() && !intent.facts.releases(intent.namespace).any(is_part)
}

fn hosts<'a>(intent: &'a Intent<'_>, service: &'a Service) -> Hosts<'a> {
    let leads = |release: &&Release| {
        is(release.root.as_ref(), service) || (release.root.is_none() && is(release.stable.as_ref(), service))
    };
    let release = intent.facts.releases(intent.namespace).find(leads);
    let mut written = vec![service.name.as_str()];
    let stable = release.and_then(|release| release.stable.as_deref());
    written.extend(stable.filter(|stable| *stable != service.name));
    let mut all = written.clone();
    all.extend(release.and_then(|release| release.canary.as_deref()));
    Hosts { service, written, all, release }
}

fn is(name: Option<&String>, service: &Service) -> bool {
    name == Some(&service.name)
}

impl Hosts<'_> {
    /// The settings for this Service: without the sections for which another policy names it, and is narrower.
    pub(super) fn spec(&self, intent: &Intent<'_>, plan: &mut MeshPlan) -> MeshPolicySpec {
        let mut spec = intent.spec.clone();
        if !matches!(intent.target, Target::Namespace) {
            return spec;
        }
        let here = intent.others.iter().filter(|other| other.namespace == intent.namespace);
        for other in here.filter(|other| other.target.service.as_ref() == Some(&self.service.name)) {
            let taken = without(&mut spec, |section| other.sets(section));
            if !taken.is_empty() {
                let name = &self.service.name;
                plan.notes.push(format!(
                    "Service {name} has its own {} from MeshPolicy {}",
                    taken.join(", "),
                    other.name
                ));
            }
        }
        spec
    }

    /// Whether every port is known to speak something else than HTTP.
    pub(super) fn is_tcp(&self) -> bool {
        !self.service.ports.is_empty() && self.service.ports.iter().all(|port| port.protocol == Protocol::Tcp)
    }

    /// Whether a full host name is one of those that requests go to.
    pub(super) fn has(&self, intent: &Intent<'_>, host: &str) -> bool {
        self.all.iter().any(|name| full(intent, name) == host)
    }
}

/// Takes the sections that are kept with hosts out of a spec where `is_taken` says so; those that were set.
fn without(spec: &mut MeshPolicySpec, is_taken: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut taken = Vec::new();
    let mut take = |section: &'static str, is_set: bool| {
        let goes = is_set && is_taken(section);
        if goes {
            taken.push(section);
        }
        goes
    };
    if take("connections", spec.connections.is_some()) {
        spec.connections = None;
    }
    if take("breaker", spec.breaker.is_some()) {
        spec.breaker = None;
    }
    if take("loadBalancer", spec.load_balancer.is_some()) {
        spec.load_balancer = None;
    }
    if take("retries", spec.retries.is_some()) {
        spec.retries = None;
    }
    if take("timeouts", spec.timeouts.is_some()) {
        spec.timeouts = None;
    }
    if take("failover", !spec.failover.is_empty()) {
        spec.failover.clear();
    }
    taken
}

/// A host as Istio understands it in an object of the policy's namespace: a name without a dot is a Service of it.
pub(super) fn full(intent: &Intent<'_>, host: &str) -> String {
    full_in(intent, host, intent.namespace)
}

/// The same in an object of another namespace.
pub(super) fn full_in(intent: &Intent<'_>, host: &str, namespace: &str) -> String {
    if host.contains('.') || host == "*" {
        return host.to_owned();
    }
    format!("{host}.{namespace}.svc.{}", intent.facts.cluster_domain)
}

/// Whether a host is a wildcard of this one.
pub(super) fn is_wildcard_of(wildcard: &str, host: &str) -> bool {
    wildcard.strip_prefix('*').is_some_and(|end| host.ends_with(end))
}
