//! What the engine is shown of the small world.

use jiff::Timestamp;

use super::{
    SimWorld,
    pods::{ReplicaSet, SimPod, SimRun, is_ready, ready},
};
use glidepath::{
    api::analysis::{AnalysisRunStatus, MetricStatus, RunPhase, ShareStatus, Verdict},
    engine::{GateSeen, PodSeen, RevisionSeen, RouteSeen, RunSeen, Seen, TargetSeen, TemplateSeen, TerminationSeen},
};

impl SimWorld {
    /// What the engine is shown.
    pub fn seen(&self) -> Seen {
        Seen {
            template: Some(TemplateSeen {
                id: self.template.clone(),
                images: vec![self.template.clone()],
                ..TemplateSeen::default()
            }),
            replicas: self.replicas,
            revisions: self.sets.iter().map(|(id, set)| revision(id, set, self.now)).collect(),
            route: (!self.effective().traffic.is_empty()).then(|| RouteSeen {
                weight: Some(self.route.canary).filter(|_| self.other_route.is_none()),
                disagreement: self
                    .other_route
                    .map(|other| (other.min(self.route.canary), other.max(self.route.canary))),
                drifted: self.spoiled || self.other_route.is_some(),
                other_manager: Some("argocd".to_owned()),
                headers: self.headers(),
                mirror: self.mirror(),
                sticky: self.route.sticky.is_some(),
                keeps_sessions: self.keeps_sessions,
                pending: self.pending.then(|| "the gateway has not seen it".to_owned()),
                ..RouteSeen::default()
            }),
            stable_target: self.target(&self.stable_target).map(|target| match self.unlisted {
                true => TargetSeen { endpoints: Some(Default::default()), ..target },
                false => target,
            }),
            canary_target: self.target(&self.canary_target),
            runs: self.runs.iter().map(|(name, run)| (name.clone(), self.run(run))).collect(),
            pods: self.status.state.restart().map(|_| self.pods()),
            commands: self.commands.clone(),
            gate: self.asked.last().map(|question| GateSeen { question: question.clone(), answer: self.gate_says() }),
            deciding_since: self.deciding_since,
            objects_changed: self.spec.on_old_objects(&self.status).is_some(),
            ..Seen::default()
        }
    }

    fn pods(&self) -> Vec<PodSeen> {
        let all = self.sets.iter().flat_map(|(id, set)| set.pods.iter().map(move |pod| (id, pod)));
        let seen = all.map(|(id, pod)| PodSeen {
            name: format!("checkout-{}", pod.serial),
            uid: pod.serial.to_string(),
            revision: id.clone(),
            created: pod.created,
            ready: is_ready(pod, self.now),
        });
        seen.collect()
    }

    fn target(&self, selected: &Option<String>) -> Option<TargetSeen> {
        let spec = self.effective();
        if spec.traffic.is_empty() && spec.strategy.blue_green.is_none() {
            return None;
        }
        let endpoints = selected.iter().map(|id| (id.clone(), self.available(id))).collect();
        Some(TargetSeen { revision: selected.clone(), endpoints: Some(endpoints), ..TargetSeen::default() })
    }

    fn run(&self, run: &SimRun) -> RunSeen {
        let behaviour = self.behaviours.get(&run.canary).copied().unwrap_or_default();
        let (verdict, reason) = if run.goal { behaviour.goal } else { (behaviour.verdict, "") };
        let phase = match (run.stop, verdict) {
            (true, _) => RunPhase::Stopped,
            (false, Verdict::Fail) if !run.goal => RunPhase::Finished,
            _ => RunPhase::Running,
        };
        let status = AnalysisRunStatus {
            phase,
            verdict,
            epoch: run.epoch,
            message: "measured".into(),
            metrics: run.goal.then(|| goal_metric(verdict, reason)).into_iter().collect(),
            share: run.share.map(|planned| ShareStatus {
                epoch: run.epoch,
                canary: u64::from(planned.basis_points()),
                total: 10_000,
                verdict: behaviour.share,
                ..ShareStatus::default()
            }),
            ..AnalysisRunStatus::default()
        };
        RunSeen { phase, verdict, epoch_wanted: run.epoch, stop: run.stop, status: status.into() }
    }
}

fn goal_metric(verdict: Verdict, reason: &str) -> MetricStatus {
    let (name, canary) = ("orders".to_owned(), "12 %".to_owned());
    MetricStatus { name, verdict, reason: reason.into(), canary, required: true, ..MetricStatus::default() }
}

fn revision(id: &str, set: &ReplicaSet, now: Timestamp) -> RevisionSeen {
    let available = ready(set, now);
    RevisionSeen {
        id: id.to_owned(),
        number: set.number,
        workload: format!("checkout-{id}"),
        images: vec![id.to_owned()],
        wanted: set.wanted,
        pods: u32::try_from(set.pods.len()).unwrap_or(u32::MAX),
        ready: available,
        available,
        trouble: None,
        metadata: set.metadata.clone(),
        metadata_astray: false,
        other_manager: set.rescaled.then(|| "kubectl".to_owned()),
        terminations: set.pods.iter().filter(|pod| pod.restarts > 0).map(termination).collect(),
    }
}

fn termination(pod: &SimPod) -> TerminationSeen {
    TerminationSeen {
        pod: format!("checkout-{}", pod.serial),
        container: "app".to_owned(),
        ended: pod.restarts,
        restarts: pod.restarts,
        oom_killed: pod.oom_killed,
        exit_code: if pod.oom_killed { 137 } else { 1 },
        reason: "Error".to_owned(),
    }
}
