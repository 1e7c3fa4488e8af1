//! One look at a scenario's namespace: what expectations are held against. Every value is read from the objects
//! themselves, the weight from the route and not from what the controller says that it wrote.

use super::at_path;
use super::eyes::{Eyes, Told};
use ::glidepath::api::command::CommandState;
use ::glidepath::api::{NUMBER_ANNOTATION, Percent, REVISION_LABEL, Rollout, RolloutStatus, revision};
use ::glidepath::routing::targets::{self, Split, Targets};
use ::glidepath::sim::Millis;
use ::glidepath::sim::expect::{RevisionShown, Seen, Selects};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::ResourceExt;
use serde_json::Value;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

/// Header routes are entries with this prefix.
const OURS: &str = "glidepath-";
const MIRROR: &str = "glidepath-mirror";

/// What is looked at, whether it is there or not.
pub struct Place {
    pub namespace: String,
    /// The Rollout's name.
    pub rollout: String,
    /// The spec that the scenario began with: names of Services and routes stay when the Rollout is gone.
    pub first: Rollout,
    pub began: Instant,
}

/// What is there at one moment.
pub struct Look {
    eyes: Arc<Eyes>,
    place: Arc<Place>,
    pub rollout: Option<Arc<Rollout>>,
    sets: Vec<Arc<ReplicaSet>>,
    deployment: Option<Arc<Deployment>>,
    /// The spec of the first VirtualService, where traffic is split by routes.
    route: Option<Value>,
    targets: Targets,
    pub told: Vec<Told>,
    answer: Option<(CommandState, String)>,
    lost: u64,
}

impl Look {
    /// Looks now. `command` is the last one that was given.
    pub fn take(eyes: &Arc<Eyes>, place: &Arc<Place>, command: Option<&str>, lost: u64) -> Self {
        let namespace = place.namespace.as_str();
        let rollout = eyes.rollout(namespace, &place.rollout);
        let spec = &rollout.as_deref().unwrap_or(&place.first).spec;
        let workload = spec.workload_ref.as_ref();
        let answer = command.and_then(|name| eyes.command(namespace, name)).and_then(|command| {
            let status = command.status.as_ref()?;
            Some((status.state?, status.message.clone()))
        });
        Self {
            sets: eyes.sets(namespace),
            deployment: workload.and_then(|workload| eyes.deployment(namespace, &workload.name)),
            route: route_name(&place.first).and_then(|name| eyes.route(namespace, &name)),
            targets: targets::of(spec),
            told: eyes.told(namespace),
            answer,
            lost,
            eyes: Arc::clone(eyes),
            place: Arc::clone(place),
            rollout,
        }
    }

    fn entries(&self) -> Vec<Value> {
        let route = self.route.as_ref().and_then(|route| route["http"].as_array());
        route.cloned().unwrap_or_default()
    }

    /// Whether a destination is the canary's.
    fn is_canary(&self, destination: &Value) -> bool {
        match self.subsets() {
            Some((_, canary)) => destination["subset"] == canary,
            None => destination["host"].as_str() == self.targets.canary.as_deref(),
        }
    }

    /// The names of the stable and the canary subset.
    fn subsets(&self) -> Option<(String, String)> {
        let mut istio = self.place.first.spec.traffic.iter().filter_map(|traffic| traffic.istio.as_ref());
        let rule = istio.find_map(|istio| istio.destination_rule.as_ref())?;
        Some((rule.stable_subset.clone(), rule.canary_subset.clone()))
    }

    fn subset(&self, stable: bool) -> Selects {
        let mut istio = self.place.first.spec.traffic.iter().filter_map(|traffic| traffic.istio.as_ref());
        let rule = istio.find_map(|istio| istio.destination_rule.as_ref());
        let (Some(rule), Some((stable_name, canary_name))) = (rule, self.subsets()) else { return Selects::Nothing };
        let name = if stable { stable_name } else { canary_name };
        let Some(spec) = self.eyes.rule(&self.place.namespace, &rule.name) else { return Selects::Nothing };
        let subsets = spec["subsets"].as_array().cloned().unwrap_or_default();
        let label = |subset: &Value| subset["labels"][REVISION_LABEL].as_str().map(str::to_owned);
        let found = subsets.iter().find(|subset| subset["name"] == name);
        found.map_or(Selects::Nothing, |subset| label(subset).map_or(Selects::All, Selects::Revision))
    }

    fn target(&self, stable: bool) -> Selects {
        let name = if stable { &self.targets.stable } else { &self.targets.canary };
        match (self.targets.split, name) {
            (Split::Subset, _) => self.subset(stable),
            (_, Some(name)) => self.service(name),
            (_, None) => Selects::All,
        }
    }
}

/// The first VirtualService that the Rollout names.
fn route_name(rollout: &Rollout) -> Option<String> {
    let istio = rollout.spec.traffic.iter().filter_map(|traffic| traffic.istio.as_ref());
    istio.flat_map(|istio| &istio.virtual_services).map(|service| service.name.clone()).next()
}

fn available(set: &ReplicaSet) -> u32 {
    let status = set.status.as_ref();
    status.and_then(|status| status.available_replicas).and_then(|pods| u32::try_from(pods).ok()).unwrap_or(0)
}

fn percent(value: &Value) -> Percent {
    value.as_f64().map_or(Percent::ZERO, |share| Percent::from_basis_points((share * 100.0).round() as u32))
}

impl Seen for Look {
    fn status(&self) -> Cow<'_, RolloutStatus> {
        let status = self.rollout.as_deref().and_then(|rollout| rollout.status.as_ref());
        status.map_or_else(|| Cow::Owned(RolloutStatus::default()), Cow::Borrowed)
    }

    fn is_there(&self) -> bool {
        self.rollout.is_some()
    }

    fn revisions(&self) -> Vec<RevisionShown> {
        let shown = self.sets.iter().filter_map(|set| {
            let template = serde_json::to_value(set.spec.as_ref()?.template.as_ref()?).ok()?;
            Some(RevisionShown {
                id: set.labels().get(REVISION_LABEL)?.clone(),
                number: set.annotations().get(NUMBER_ANNOTATION)?.parse().ok()?,
                image: revision::images(&template).into_iter().next().unwrap_or_default(),
                available: available(set),
            })
        });
        shown.collect()
    }

    /// The Deployment's own ReplicaSets are among them.
    fn available(&self) -> u32 {
        self.sets.iter().map(|set| available(set)).sum()
    }

    fn route_weight(&self) -> Option<Percent> {
        route_name(&self.place.first)?;
        let entries = self.entries();
        let users = entries.iter().filter(|entry| !entry["name"].as_str().unwrap_or_default().starts_with(OURS));
        let all = users.filter_map(|entry| entry["route"].as_array()).flatten();
        let mut canary = all.filter(|to| self.is_canary(&to["destination"]));
        Some(canary.next().map_or(Percent::ZERO, |to| percent(&to["weight"])))
    }

    fn header_routes(&self) -> Vec<String> {
        let entries = self.entries();
        let names = entries.iter().filter_map(|entry| entry["name"].as_str()).filter(|name| *name != MIRROR);
        names.filter_map(|name| name.strip_prefix(OURS)).map(str::to_owned).collect()
    }

    fn mirror(&self) -> Percent {
        let entries = self.entries();
        let copied = entries.iter().find(|entry| self.is_canary(&entry["mirror"]));
        copied.map_or(Percent::ZERO, |entry| percent(&at_path(entry, "/mirrorPercentage/value")))
    }

    fn service(&self, name: &str) -> Selects {
        let Some(service) = self.eyes.service(&self.place.namespace, name) else { return Selects::Nothing };
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let revision = selector.and_then(|selector| selector.get(REVISION_LABEL));
        revision.cloned().map_or(Selects::All, Selects::Revision)
    }

    fn active(&self) -> Selects {
        self.target(true)
    }

    fn preview(&self) -> Selects {
        self.target(false)
    }

    fn workload(&self) -> Option<(u32, bool)> {
        let spec = self.deployment.as_ref()?.spec.as_ref()?;
        let replicas = spec.replicas.and_then(|replicas| u32::try_from(replicas).ok());
        Some((replicas.unwrap_or(1), spec.paused.unwrap_or(false)))
    }

    fn answer(&self) -> Option<(CommandState, String)> {
        self.answer.clone()
    }

    fn told(&self, reason: &str, since: Millis) -> bool {
        let at = |told: &Told| since_beginning(self.place.began, told.at);
        self.told.iter().any(|told| told.reason == reason && at(told) >= since)
    }

    fn lost(&self) -> u64 {
        self.lost
    }
}

/// A moment as the scenario's time.
pub fn since_beginning(began: Instant, at: Instant) -> Millis {
    Millis::try_from(at.saturating_duration_since(began).as_millis()).unwrap_or(Millis::MAX)
}
