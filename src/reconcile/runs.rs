//! AnalysisRuns: frozen from templates in worlds without a cluster, and one look at a run, the same in every world.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use kube::api::ObjectMeta;

use crate::{
    api::{
        AnalysisRun, Rollout,
        analysis::{
            AnalysisRunSpec, AnalysisRunStatus, AnalysisTemplateSpec, Arms, LoadStatus, Pack, RunPhase, RunPrometheus,
            TemplateRef, Verdict,
        },
        reason::{MetricReason, Reason},
    },
    engine::RunRequest,
    evidence::{
        Dialect, builtin,
        resolve::{Wanted, resolve},
        run::Live,
    },
    ports::{
        RolloutKey, WorldError,
        source::{Asking, Source},
    },
};

/// The run that is asked for, whose questions can be asked in this dialect.
pub fn freeze(
    key: &RolloutKey,
    rollout: &Rollout,
    request: &RunRequest,
    templates: &BTreeMap<String, AnalysisTemplateSpec>,
    dialect: &dyn Dialect,
) -> Result<AnalysisRun, WorldError> {
    let workload = |id: &str| format!("{}-{id}", key.name);
    let services = rollout.spec.services.clone().unwrap_or_default();
    let wanted = Wanted {
        templates: request.templates.iter().map(|named| find(named, templates)).collect::<Result<_, _>>()?,
        args: &request.args,
        pack: Some(Pack::Application),
        arms: Arms {
            namespace: key.namespace.clone(),
            canary: workload(&request.canary),
            stable: workload(&request.stable),
            canary_service: services.canary,
            stable_service: services.stable,
            canary_pods: None,
        },
        // The world's own counters.
        prometheus: Some(RunPrometheus::controller()),
        background: request.background,
        epoch: request.epoch,
        one_armed: request.one_armed,
        share: request.share,
        goal: request.goal.is_some(),
        candidate_share: request.candidate_share(),
        ..Wanted::default()
    };
    let spec = resolve(wanted, dialect).map_err(|errors| WorldError::invalid_analysis(&errors))?;
    let metadata = ObjectMeta {
        name: Some(request.name.clone()),
        namespace: Some(key.namespace.clone()),
        ..ObjectMeta::default()
    };
    Ok(AnalysisRun { metadata, spec, status: None })
}

fn find(
    named: &TemplateRef,
    templates: &BTreeMap<String, AnalysisTemplateSpec>,
) -> Result<(String, AnalysisTemplateSpec), WorldError> {
    let name = &named.name;
    let found = templates.get(name).cloned().or_else(|| builtin(name));
    found.map(|template| (name.clone(), template)).ok_or_else(|| WorldError::Refused {
        reason: Reason::MissingTemplate,
        message: format!("no AnalysisTemplate \"{name}\" in this file or built in; add it to the same file"),
    })
}

/// The run's next status, when there is one, where every look is put on record.
pub async fn advance(run: &AnalysisRun, source: &dyn Source, now: Timestamp) -> Option<AnalysisRunStatus> {
    let recorded = run.status.clone().unwrap_or_default();
    let mut judged = Judged::newest(None, &run.spec, run.status.as_ref());
    judge(&mut judged.live, &run.spec, source, &|| now).await;
    let next = judged.live.recorded(&run.spec);
    (next != recorded).then_some(next)
}

/// A run as this process judged it last. Its record may be older: a restart reads those windows again.
#[derive(Debug)]
pub struct Judged {
    live: Live,
    /// When it was put on record last.
    written: Timestamp,
    /// Whether it is put on record only when something is decided.
    rarely: bool,
    /// Whether its loads are not on record as they are.
    has_new_load: bool,
}

/// What came of one look at a run.
#[derive(Debug)]
pub struct Look {
    /// What must be put on record now. Where that fails, the run in memory must be dropped: its windows are asked for again.
    pub record: Option<AnalysisRunStatus>,
    /// When to look again; `None`: the run has ended.
    pub wake: Option<Timestamp>,
}

impl Judged {
    /// What is in memory, where that is no older than the record; else the record.
    pub fn newest(known: Option<Judged>, spec: &AnalysisRunSpec, recorded: Option<&AnalysisRunStatus>) -> Self {
        let through = recorded.and_then(|status| status.windows_through);
        known.filter(|known| known.status().windows_through >= through).unwrap_or_else(|| Judged {
            live: Live::of(spec, recorded.cloned().unwrap_or_default()),
            written: Timestamp::MIN,
            rarely: false,
            has_new_load: false,
        })
    }

    /// A run whose numbers between two decisions are not read: neither by a user, nor by a process that takes over.
    pub fn recorded_rarely(self) -> Self {
        Judged { rarely: true, ..self }
    }

    /// Without the course of the evidence, which is not read of a simulated run.
    pub fn without_trails(self) -> Self {
        Judged { live: self.live.without_trails(), ..self }
    }

    /// As it was judged last.
    pub fn status(&self) -> &AnalysisRunStatus {
        self.live.status()
    }

    /// Takes up what is known of its loads: it goes on record with the next look.
    pub fn set_load(&mut self, load: Vec<LoadStatus>) {
        self.has_new_load |= self.live.set_load(load);
    }

    /// Whether a Job of a load may be created or deleted only after the next look.
    pub fn has_new_load(&self) -> bool {
        self.has_new_load
    }

    /// Asks what is due, judges it, and says what follows.
    pub async fn look(
        &mut self,
        spec: &AnalysisRunSpec,
        is_recorded: bool,
        source: &dyn Source,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Look {
        if self.is_over() {
            return Look { record: None, wake: None };
        }
        let before = told(self.status());
        let (wake, now) = judge(&mut self.live, spec, source, clock).await;
        let old = !self.rarely && is_old(spec, self.written, now);
        let write = !is_recorded || before != told(self.status()) || old || self.has_new_load;
        if write {
            (self.written, self.has_new_load) = (now, false);
        }
        Look {
            record: write.then(|| self.live.recorded(spec)),
            wake: (!self.is_over()).then(|| wake.max(now.saturating_add(SHORTEST).unwrap_or(Timestamp::MAX))),
        }
    }

    fn is_over(&self) -> bool {
        self.status().phase != RunPhase::Running
    }
}

/// Asks what is due and judges it. Gives when the next question falls due, and when the answers were there.
pub async fn judge(
    live: &mut Live,
    spec: &AnalysisRunSpec,
    source: &dyn Source,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> (Timestamp, Timestamp) {
    let asked_at = clock();
    let plan = live.plan(spec, asked_at);
    let (questions, wake) = (plan.questions(), plan.wake);
    let asking = Asking { namespace: &spec.arms.namespace, prometheus: &spec.prometheus };
    let answers = if questions.is_empty() { Vec::new() } else { source.answer(&asking, &questions).await };
    let now = clock().max(asked_at);
    live.advance(spec, &plan.answered(answers), now);
    (wake, now)
}

/// A run is looked at again no sooner.
const SHORTEST: SignedDuration = SignedDuration::from_millis(50);
/// Live numbers are written this often at most, in seconds.
const WRITE_EVERY: i64 = 60;
/// The default window in seconds (analysis.md).
const WINDOW: i64 = 15;

/// What a decision depends on, or is displayed.
type Told = (RunPhase, Verdict, u32, Option<Timestamp>, Vec<(String, Verdict, MetricReason)>);

/// What a status says that must be on record at once when it changes.
fn told(status: &AnalysisRunStatus) -> Told {
    let metrics = status.metrics.iter().map(|m| (m.name.clone(), m.verdict, m.reason.clone())).collect();
    (status.phase, status.verdict, status.epoch, status.epoch_since, metrics)
}

/// Whether the recorded numbers are older than a minute, or than six of the run's windows.
fn is_old(spec: &AnalysisRunSpec, written: Timestamp, now: Timestamp) -> bool {
    let window = spec.settings.window.map_or(WINDOW, |window| window.get().as_secs().max(1) as i64);
    now.as_second().saturating_sub(written.as_second()) >= WRITE_EVERY.min(6 * window)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{HumanDuration, analysis::MetricStatus};

    #[test]
    fn verdicts_are_written_at_once_and_numbers_now_and_then() {
        let status = |verdict, canary: &str| AnalysisRunStatus {
            metrics: vec![MetricStatus {
                name: "errors".into(),
                verdict,
                canary: canary.into(),
                ..MetricStatus::default()
            }],
            ..AnalysisRunStatus::default()
        };
        let old = status(Verdict::Continue, "1 of 10");
        assert_eq!(told(&old), told(&status(Verdict::Continue, "2 of 20")));
        assert_ne!(told(&old), told(&status(Verdict::Pass, "2 of 20")));

        let spec = |seconds| {
            let mut spec = AnalysisRunSpec::default();
            spec.settings.window = Some(HumanDuration::secs(seconds));
            spec
        };
        let at = |second| Timestamp::from_second(second).unwrap();
        for (window, age, old) in
            [(15, 59, false), (15, 60, true), (10, 59, false), (2, 11, false), (2, 12, true), (60, 60, true)]
        {
            assert_eq!(is_old(&spec(window), at(1000), at(1000 + age)), old, "window {window}, age {age}");
        }
    }
}
