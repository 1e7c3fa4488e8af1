//! The burn of the canary alone, counted by the minute: 14.4 on 5m and 1m (of a period of 30 days), with at least 10 bad
//! events and an e-value that it is no accident. The e-value is that of the floor test, restarted every 10 minutes, against
//! "at most the error rate of that burn".

use serde::{Deserialize, Serialize};

use crate::{
    api::analysis::{Measurement, MetricStatus, TrailEvidence, TrailWindow, Verdict},
    evidence::{
        context::{Context, trail},
        defaults::Frozen,
        format,
        plan::Answered,
        query::{Answer, ArmCounts, Query, Scope},
        slo, windows,
    },
    stats::{
        Counts, RatioConfig,
        restart::RestartMixture,
        slo::{Events, FAST, Slo},
    },
};

/// The length of a window, in seconds.
pub const MINUTE: i64 = 60;
/// Minutes of the long window; the short one is the last of them.
const MINUTES: usize = 5;
/// Bad events in the long window that a Fail needs at least.
const MIN_BAD: u64 = 10;
/// The highest error rate that the test can be about.
const HIGHEST_FLOOR: f64 = 0.5;

/// What is known of the canary. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryBurn {
    /// The end of the last counted minute.
    through: Option<i64>,
    /// The last minutes, the newest last.
    minutes: Vec<Events>,
    test: RestartMixture,
}

/// The test's settings.
pub fn config(slo: &Slo, frozen: &Frozen) -> RatioConfig {
    RatioConfig {
        floor: (FAST.burn(slo.period_seconds) * slo.budget()).min(HIGHEST_FLOOR),
        one_armed: true,
        phi: frozen.phi,
        alpha: frozen.alpha_catastrophic,
        min_errors: MIN_BAD,
        ..RatioConfig::DEFAULT
    }
}

impl CanaryBurn {
    /// The end of the last counted minute.
    pub fn through(&self) -> Option<i64> {
        self.through
    }

    /// The ends of the minutes to ask for, and when the next one is due.
    pub fn due(&self, context: &Context) -> (Vec<i64>, i64) {
        windows::due_every(MINUTE, self.next_end(context), &context.frozen, context.now)
    }

    fn next_end(&self, context: &Context) -> i64 {
        windows::next_end(self.through, context.started, MINUTE)
    }

    /// Counts the answered minutes in order; behind an error the later ones wait. `beside` is how near the service is to
    /// burning too fast.
    pub fn take(
        &mut self,
        config: &RatioConfig,
        beside: f64,
        answers: &[&Answered],
        status: &mut MetricStatus,
        context: &Context,
    ) -> Result<(), String> {
        for answer in answers {
            let Query::Increments(query) = &answer.query else { continue };
            if query.scope != Scope::Arms || query.end.as_second() != self.next_end(context) {
                continue;
            }
            match &answer.result {
                Ok(Answer::Increments { canary, stable, notes }) => {
                    format::note(&mut status.notes, notes);
                    let minute: Events = canary.unwrap_or_default().into();
                    if let Some(trail) = trail(status, context) {
                        let before = || self.evidence(config, beside, context);
                        trail.take(query.end.as_second(), MINUTE, drawn(*canary, *stable), before);
                    }
                    self.count(config, minute, query.end.as_second());
                    status.measurements.push(measured(query.end, minute));
                }
                Ok(_) => return Err("got other numbers than the arms' counts".to_owned()),
                Err(error) => return Err(error.clone()),
            }
        }
        Ok(())
    }

    fn evidence(&self, config: &RatioConfig, beside: f64, context: &Context) -> TrailEvidence {
        let lasted = self.through.map_or(0, |through| context.weight_lasted(through));
        let pass = context.part_of_bake(lasted);
        TrailEvidence { fail: self.progress(config).max(beside), pass, interval: None }
    }

    fn count(&mut self, config: &RatioConfig, minute: Events, end: i64) {
        self.through = Some(end);
        self.minutes.push(minute);
        let surplus = self.minutes.len().saturating_sub(MINUTES);
        self.minutes.drain(..surplus);
        if minute.total > 0 {
            let counts = Counts { kc: minute.bad, nc: minute.total, kb: 0, nb: 0 };
            self.test.observe(config, counts, MINUTE.unsigned_abs());
        }
    }

    fn long(&self) -> Events {
        self.minutes.iter().fold(Events::default(), |sum, minute| sum.plus(*minute))
    }

    fn short(&self) -> Events {
        self.minutes.last().copied().unwrap_or_default()
    }

    /// Whether the long window has requests.
    pub fn has_requests(&self) -> bool {
        self.long().total > 0
    }

    /// Whether requests could have been counted by now: pods were young before.
    pub fn is_due(&self, context: &Context) -> bool {
        let long = i64::try_from(MINUTES).unwrap_or(i64::MAX) * MINUTE;
        let begun = context.started.as_second() + context.frozen.warm_up;
        self.through.is_some_and(|through| through - begun >= long)
    }

    /// Whether it burns too fast, beyond chance.
    pub fn fails(&self, slo: &Slo, config: &RatioConfig) -> bool {
        let (long, short) = (self.long(), self.short());
        FAST.is_on(slo, long, short) && long.bad >= config.min_errors && self.test.log_e(config) >= config.fail_bound()
    }

    /// How far the evidence has come, 0 to 1.
    pub fn progress(&self, config: &RatioConfig) -> f64 {
        (self.test.log_e(config) / config.fail_bound()).clamp(0.0, 1.0)
    }

    /// `1.20 % (6/500) in 5m, burn 12x`.
    pub fn shown(&self, slo: &Slo) -> String {
        let long = self.long();
        let Some(burn) = slo.burn(long) else { return format::rate(0, 0) };
        format!("{} in {}m, burn {}", format::rate(long.bad, long.total), self.minutes.len(), slo::burn(burn))
    }
}

/// Both arms' events: the canary's are judged, and stable's are drawn beside them.
fn drawn(canary: Option<ArmCounts>, stable: Option<ArmCounts>) -> TrailWindow {
    let [canary, stable] = [canary, stable].map(|arm| arm.map_or([0, 0], |arm| [arm.bad, arm.total]));
    TrailWindow::Counts { canary, stable }
}

fn measured(end: jiff::Timestamp, minute: Events) -> Measurement {
    let verdict = if minute.total > 0 { Verdict::Continue } else { Verdict::NoData };
    Measurement { at: Some(end), value: format!("canary {}/{}", minute.bad, minute.total), verdict }
}
