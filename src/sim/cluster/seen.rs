//! What the engine observes of the cluster, and what blocks a Rollout, with the controller's messages.

use std::sync::Arc;

use super::{Replicas, SimCluster, Target};
use crate::{
    api::{AnalysisRun, analysis::AnalysisRunStatus, reason::Reason, revision},
    engine::{Problem, RouteSeen, RunSeen, Seen, TargetSeen, TemplateSeen, WorkloadSeen},
    routing::targets::Split,
    sim::replicas::count,
};

impl SimCluster {
    /// What the engine is shown.
    pub fn seen(&self) -> Seen {
        let min_ready = self.min_ready();
        let Some(rollout) = &self.rollout else { return Seen::default() };
        let template = self.wanted_template();
        Seen {
            template: template.map(|(id, raw)| TemplateSeen {
                id,
                images: revision::images(raw),
                restarted_at: revision::restarted_at(raw).map(str::to_owned),
            }),
            replicas: rollout.spec.replicas.unwrap_or(1),
            revisions: self.sets.iter().map(|set| set.seen(self.now, min_ready)).collect(),
            route: self.has_mesh().then(|| self.route_seen()),
            stable_target: self.target_seen(&self.stable, true),
            canary_target: self.target_seen(&self.canary, false),
            workload: self.deployment.as_ref().filter(|_| rollout.spec.workload_ref.is_some()).map(|d| WorkloadSeen {
                wanted: d.own.wanted,
                pods: count(d.own.pods.len()),
                available: d.own.ready(self.now),
                paused: d.paused,
                ..WorkloadSeen::default()
            }),
            runs: self.runs.iter().map(|(name, run)| (name.clone(), run_seen(run))).collect(),
            pods: self.restarts().then(|| self.sets.iter().flat_map(|set| set.pods_seen(self.now)).collect()),
            commands: self.commands.clone(),
            problems: self.problems(),
            file_invalid: self.file_invalid(),
            selector: format!("app={}", self.key.name),
            ..Seen::default()
        }
    }

    /// Whether a restart is on record: pods are looked at one by one only then.
    fn restarts(&self) -> bool {
        self.recorded().is_some_and(|status| status.state.restart().is_some())
    }

    pub(super) fn route_seen(&self) -> RouteSeen {
        let readable = self.missing_route().is_none();
        RouteSeen {
            weight: readable.then_some(self.route.weight),
            headers: self.route.headers.clone(),
            mirror: self.route.mirror,
            sticky: self.route.sticky,
            ..RouteSeen::default()
        }
    }

    pub(super) fn target_seen(&self, target: &Target, stable: bool) -> Option<TargetSeen> {
        let named = if stable { &self.targets.stable } else { &self.targets.canary };
        let subset = self.targets.split == Split::Subset;
        if named.is_none() && !subset {
            return None;
        }
        let ready = |set: &Replicas| (set.id.clone(), set.ready(self.now));
        let listed = self.sets.iter().filter(|set| Some(&set.id) == target.revision.as_ref()).map(ready);
        Some(TargetSeen {
            revision: target.revision.clone(),
            endpoints: (!subset).then(|| listed.collect()),
            ..TargetSeen::default()
        })
    }

    /// The kind and name of a route object that is missing.
    pub(super) fn missing_route(&self) -> Option<(&'static str, &str)> {
        let traffic = &self.rollout.as_ref()?.spec.traffic;
        let services =
            traffic.iter().filter_map(|entry| entry.istio.as_ref()).flat_map(|istio| &istio.virtual_services);
        let routes = traffic.iter().filter_map(|entry| entry.gateway.as_ref()).flat_map(|gateway| &gateway.routes);
        let named = services.map(|service| ("VirtualService", service.name.as_str()));
        let splitters = traffic.iter().filter_map(|entry| entry.consul.as_ref());
        let named = named.chain(splitters.map(|consul| ("ServiceSplitter", consul.service.as_str())));
        let mut named = named.chain(routes.map(|route| (route.kind.as_str(), route.name.as_str())));
        named.find(|(kind, name)| self.missing.contains(&((*kind).to_owned(), (*name).to_owned())))
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let Some(rollout) = &self.rollout else { return Vec::new() };
        let spec = &rollout.spec;
        let problem = |reason: Reason, message: String, blocks_all| Problem { reason, message, blocks_all };
        let mut found = Vec::new();
        if let Some(invalid) = &self.invalid {
            found.push(problem(Reason::InvalidSpec, invalid.clone(), true));
        }
        if let Some(workload) = spec.workload_ref.as_ref().filter(|_| self.deployment.is_none()) {
            let message =
                format!("Missing Deployment/{}: referenced by workloadRef; create it or fix the name", workload.name);
            found.push(problem(Reason::MissingWorkload, message, false));
        }
        let root = spec.services.as_ref().and_then(|services| services.root.as_ref());
        if let Some(root) = root.filter(|root| self.missing.contains(&("Service".to_owned(), (*root).clone()))) {
            let message = format!("Missing Service/{root}: referenced by services.root; create it or fix the name");
            found.push(problem(Reason::MissingService, message, false));
        }
        if let Some((kind, name)) = self.missing_route() {
            let message = format!("Missing {kind}/{name}: create it, or remove it from spec.traffic");
            let is_istio = kind == "VirtualService";
            let reason = if is_istio { Reason::MissingVirtualService } else { Reason::MissingRoute };
            found.push(problem(reason, message, false));
        }
        found
    }
}

fn run_seen(run: &AnalysisRun) -> RunSeen {
    let status = run.status.as_ref().map(AnalysisRunStatus::shown).unwrap_or_default();
    let (phase, verdict, status) = (status.phase, status.verdict, Arc::new(status));
    RunSeen { phase, verdict, epoch_wanted: run.spec.epoch, stop: run.spec.stop, status }
}
