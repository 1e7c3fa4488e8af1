//! The burn of the whole service, looked at once a minute: 14.4 on 1h and 5m, or 6 on 6h and 30m (of a period of 30 days).

use serde::{Deserialize, Serialize};

use crate::{
    api::analysis::{MetricStatus, TrailEvidence, TrailWindow},
    evidence::{
        context::{Context, trail},
        format,
        plan::Answered,
        query::{Answer, IncrementsQuery, Query, Scope},
        slo, windows,
    },
    stats::slo::{BurnAlert, Events, FAST, SLOW, Slo},
};

/// Time between two looks, in seconds.
const MINUTE: i64 = 60;
/// Time between two looks at the whole period, in seconds: it changes slowly, and is shown only.
const PERIOD_EVERY: i64 = 3_600;
/// The windows that decide, in seconds.
const WINDOWS: [u64; 4] = [FAST.short_seconds, SLOW.short_seconds, FAST.long_seconds, SLOW.long_seconds];

/// What is known of the service. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceBurn {
    /// The end of the last windows.
    through: Option<i64>,
    /// Each window's seconds and events.
    windows: Vec<(u64, Events)>,
    /// The burn was there when the analysis began, and has not ended.
    began_before: bool,
    /// When the whole period was asked for.
    period_asked: Option<i64>,
    period: Option<Events>,
}

/// How the service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was not looked at yet.
    NotMeasured,
    /// It had no request in the last hour.
    Silent,
    /// Its budget burns slowly enough.
    Calm,
    /// It burns too fast.
    Burns,
    /// It burns too fast, and did before the analysis began.
    BurnedBefore,
}

impl ServiceBurn {
    /// The end of the last windows.
    pub fn through(&self) -> Option<i64> {
        self.through
    }

    /// The windows to ask for, as end and seconds, and when the next ones are due. The first end at the start of the analysis
    /// or a little before; windows that were missed are not asked for, since the latest say it all.
    pub fn due(&self, slo: &Slo, context: &Context) -> (Vec<(i64, u64)>, i64) {
        let frozen = &context.frozen;
        let next = self.next_end(context);
        let late = context.now.as_second() - windows::read_at(next, frozen);
        if late < 0 {
            return (Vec::new(), windows::read_at(next, frozen));
        }
        let end = next + late.div_euclid(MINUTE) * MINUTE;
        let mut asked: Vec<(i64, u64)> = WINDOWS.iter().map(|seconds| (end, *seconds)).collect();
        if self.period_asked.is_none_or(|at| end >= at + PERIOD_EVERY) {
            asked.push((end, slo.period_seconds));
        }
        (asked, windows::read_at(end + MINUTE, frozen))
    }

    fn next_end(&self, context: &Context) -> i64 {
        let started = context.started.as_second();
        self.through.map_or(started - started.rem_euclid(MINUTE), |through| through + MINUTE)
    }

    /// Takes one look in. An error of a deciding window is one; the period is only shown.
    pub fn take(
        &mut self,
        slo: &Slo,
        answers: &[&Answered],
        context: &Context,
        notes: &mut Vec<String>,
    ) -> Result<(), String> {
        let mut looks: Vec<(u64, Events)> = Vec::new();
        let mut end = None;
        for answer in answers {
            let Some(query) = of_service(answer) else { continue };
            let seconds = u64::from(query.window_seconds);
            if seconds == slo.period_seconds {
                self.take_period(query, answer);
                continue;
            }
            match &answer.result {
                Ok(Answer::Events { counts, notes: new }) => {
                    format::note(notes, new);
                    looks.push((seconds, counts.unwrap_or_default().into()));
                    end = end.max(Some(query.end.as_second()));
                }
                Ok(_) => return Err("got other numbers than the service's counts".to_owned()),
                Err(error) => return Err(error.clone()),
            }
        }
        // All of one look, or it is asked again.
        if let Some(end) = end.filter(|_| looks.len() == WINDOWS.len()) {
            self.look(slo, looks, end, context);
        }
        Ok(())
    }

    fn look(&mut self, slo: &Slo, looks: Vec<(u64, Events)>, end: i64, context: &Context) {
        if end < self.next_end(context) {
            return;
        }
        let is_first = self.through.is_none();
        self.windows = looks;
        self.through = Some(end);
        let burns_now = [FAST, SLOW].iter().any(|alert| self.burns_in(slo, alert, alert.short_seconds));
        self.began_before = burns_now && (is_first || self.began_before);
    }

    /// A burn in the short window alone, which is enough to say that one has begun, or is not over.
    fn burns_in(&self, slo: &Slo, alert: &BurnAlert, seconds: u64) -> bool {
        slo.burn(self.events(seconds)).is_some_and(|burn| burn > alert.burn(slo.period_seconds))
    }

    /// Takes the burn of the last minutes into the trail, beside its limit.
    pub fn draw(&self, slo: &Slo, status: &mut MetricStatus, before: TrailEvidence, context: &Context) {
        let Some((end, value)) = self.through.zip(slo.burn(self.events(FAST.short_seconds))) else { return };
        let window = TrailWindow::Compared { value, reference: FAST.burn(slo.period_seconds) };
        if let Some(trail) = trail(status, context) {
            trail.take(end, MINUTE, window, || before);
        }
    }

    fn take_period(&mut self, query: &IncrementsQuery, answer: &Answered) {
        // Its end lies on the grid of its pieces, up to an hour before the time at which it was asked.
        self.period_asked = Some(query.end.as_second());
        if let Ok(Answer::Events { counts, .. }) = &answer.result {
            self.period = counts.map(Events::from);
        }
    }

    fn events(&self, seconds: u64) -> Events {
        self.windows.iter().find(|(length, _)| *length == seconds).map(|(_, events)| *events).unwrap_or_default()
    }

    /// How it stands now.
    pub fn state(&self, slo: &Slo) -> State {
        let burns = [FAST, SLOW].iter().any(|alert| slo::is_on(alert, slo, &self.windows));
        match self.through {
            None => State::NotMeasured,
            Some(_) if burns && self.began_before => State::BurnedBefore,
            Some(_) if burns => State::Burns,
            Some(_) if self.events(FAST.long_seconds).total == 0 => State::Silent,
            Some(_) => State::Calm,
        }
    }

    /// How close it is to burning too fast, 0 to 1.
    pub fn progress(&self, slo: &Slo) -> f64 {
        let of =
            |alert: &BurnAlert| alert.progress(slo, self.events(alert.long_seconds), self.events(alert.short_seconds));
        [FAST, SLOW].iter().map(of).fold(0.0, f64::max)
    }

    /// In one line; nothing before it was looked at. The slow windows are shown when they burn.
    pub fn shown(&self, slo: &Slo) -> String {
        if self.through.is_none() {
            return String::new();
        }
        let slow = slo::is_on(&SLOW, slo, &self.windows);
        let shown = if slow { vec![SLOW, FAST] } else { vec![FAST] };
        let windows = shown.iter().flat_map(|alert| [alert.long_seconds, alert.short_seconds]);
        let windows: Vec<(u64, Events)> = windows.map(|seconds| (seconds, self.events(seconds))).collect();
        slo::shown(slo, self.period, &windows)
    }
}

fn of_service(answer: &Answered) -> Option<&IncrementsQuery> {
    match &answer.query {
        Query::Increments(query) if query.scope == Scope::Service => Some(query),
        _ => None,
    }
}
