//! The anomaly judge joined to a metric: the last minutes of a number against the same time of earlier days.
//!
//! The number is asked for once a minute, only what is new. Its history is asked for half an hour ahead, one question for
//! each earlier season, and only median and spread of each minute are kept: about 2 kB.

use serde::{Deserialize, Serialize};

use super::judge::{Judge, Memory, Problems, Since};
use crate::{
    api::{
        analysis::{AnalysisRunSpec, AnomalyMetric, Measurement, MetricStatus, TrailEvidence, TrailWindow, Verdict},
        reason::MetricReason,
    },
    evidence::{
        context::{Context, keep_last, trail},
        defaults::{AnomalyLimits, Defaults, Frozen},
        dialect::Dialect,
        format,
        no_data::NoData,
        plan::Answered,
        query::{Answer, Query},
        windows::instant,
    },
    stats::anomaly::{OUTLIER, OUTLIERS, RECENT, Usual, outliers},
};

const MINUTE: i64 = 60;
/// The history of so many minutes is asked for at once.
const AHEAD: i64 = 30;
/// So far on either side of a minute its history reaches, in seconds.
const AROUND: i64 = 15 * MINUTE;
/// So long everything has to be as usual for a Pass, from the start or from a new weight, in seconds.
const CALM: i64 = 5 * MINUTE;

/// What the judge remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnomalyMemory {
    /// The last minute that was asked for.
    through: Option<i64>,
    /// The last minutes, the newest last.
    recent: Vec<Minute>,
    /// What is usual in each minute from `usual_from` on.
    usual: Vec<Option<Usual>>,
    usual_from: i64,
    /// How many series the last answer had, where it had more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    several: Option<usize>,
    /// Since when there is nothing to judge, and when to ask again after an error.
    silence: NoData,
}

/// One minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Minute {
    /// `None` where the answer held no number.
    value: Option<f64>,
    /// `None` without history.
    z: Option<f64>,
    usual: Option<f64>,
}

impl Judge for AnomalyMetric {
    type Memory = AnomalyMemory;

    fn problems(&self, _dialect: &dyn Dialect) -> Problems {
        let problems = AnomalyMetric::problems(self).into_iter();
        problems.map(|(field, problem)| (format!("anomaly.{field}"), problem)).collect()
    }

    fn takes_alpha(&self) -> bool {
        false
    }

    fn soonest(&self, frozen: &Frozen, _since: Since) -> i64 {
        CALM + MINUTE + frozen.delay
    }

    fn begin(&self, _context: &Context) -> AnomalyMemory {
        AnomalyMemory::default()
    }

    fn ask(&self, memory: &AnomalyMemory, _spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let (first, last) = memory.due(context);
        if last < first {
            return (Vec::new(), first + context.frozen.delay);
        }
        let mut queries = vec![range(&self.query, first, last)];
        if !memory.knows(first, last) {
            queries.extend(history(self, first));
        }
        (queries, last + MINUTE + context.frozen.delay)
    }

    fn advance(&self, memory: &mut AnomalyMemory, status: &mut MetricStatus, answers: &[&Answered], context: &Context) {
        match memory.take(self, answers, status, context) {
            Err(error) => memory.silence.failed(&error, context),
            Ok(true) => memory.silence.answered(),
            Ok(false) => {}
        }
        keep_last(&mut status.measurements);
        let standing = standing(&Defaults::anomaly(self), memory, context);
        memory.silence.conclude(standing, status, context);
        show(status, memory, context);
    }

    fn sentence(&self, status: &MetricStatus) -> Option<String> {
        let MetricStatus { name, canary, comparison, .. } = status;
        match status.reason {
            MetricReason::Anomalous => Some(format!("{name} is anomalous: {canary}, {comparison}")),
            MetricReason::NoHistory => Some(format!(
                "{name} has no history: fewer than 3 earlier days to compare with; set required: false until there are"
            )),
            _ => None,
        }
    }
}

impl Memory for AnomalyMemory {
    fn silence(&self) -> &NoData {
        &self.silence
    }
}

/// The number once a minute, from one minute through another.
fn range(query: &str, first: i64, last: i64) -> Query {
    let step_seconds = u32::try_from(MINUTE).unwrap_or(u32::MAX);
    Query::Range { query: query.to_owned(), start: instant(first), end: instant(last), step_seconds }
}

/// The history of the minutes from `first` on: one question for each earlier season.
fn history(metric: &AnomalyMetric, first: i64) -> impl Iterator<Item = Query> {
    let limits = Defaults::anomaly(metric);
    let season = limits.season.as_secs().cast_signed();
    (1..=limits.seasons().cast_signed()).map(move |back| {
        let same = first - back * season;
        range(&metric.query, same - AROUND, same + (AHEAD - 1) * MINUTE + AROUND)
    })
}

impl AnomalyMemory {
    /// The first and the last minute to ask for, none if the last is before the first. The verdict rests on the last five, so
    /// no more are asked for, and at the start there are those before it.
    fn due(&self, context: &Context) -> (i64, i64) {
        let now = context.now.as_second() - context.frozen.delay;
        let last = now - now.rem_euclid(MINUTE);
        let recent = i64::try_from(RECENT).unwrap_or(i64::MAX);
        let oldest = last - (recent - 1) * MINUTE;
        (self.through.map_or(oldest, |through| (through + MINUTE).max(oldest)), last)
    }

    fn knows(&self, first: i64, last: i64) -> bool {
        first >= self.usual_from && last < self.usual_from + MINUTE * i64::try_from(self.usual.len()).unwrap_or(0)
    }

    fn usual_at(&self, minute: i64) -> Option<Usual> {
        let place = usize::try_from((minute - self.usual_from).div_euclid(MINUTE)).ok()?;
        self.usual.get(place).copied().flatten()
    }

    /// Takes one look in. `true`: there was one; an answer that is missing leaves everything as it was, to be asked again.
    fn take(
        &mut self,
        metric: &AnomalyMetric,
        answers: &[&Answered],
        status: &mut MetricStatus,
        context: &Context,
    ) -> Result<bool, String> {
        let Some((first, last, now)) = newest(answers) else { return Ok(false) };
        if self.through.is_some_and(|through| first <= through) {
            return Ok(false); // measured before
        }
        if !self.knows(first, last) && !self.learn(metric, answers, first)? {
            return Ok(false);
        }
        let values = match series(now)? {
            Ok(values) => values,
            Err(several) => {
                (self.several, self.through) = (Some(several), Some(last));
                return Ok(true);
            }
        };
        self.several = None;
        for at in (first..=last).step_by(usize::try_from(MINUTE).unwrap_or(1)) {
            let value = values.iter().find(|(second, _)| *second == at).map(|(_, value)| *value);
            self.draw(at, value, status, context);
            self.count(at, value);
            status.measurements.push(self.measured(at));
        }
        self.through = Some(last);
        Ok(true)
    }

    /// Takes the history in, all of it or nothing.
    fn learn(&mut self, metric: &AnomalyMetric, answers: &[&Answered], first: i64) -> Result<bool, String> {
        let mut seasons = Vec::new();
        for question in history(metric, first) {
            let Some(answer) = answers.iter().find(|answer| answer.query == question) else { return Ok(false) };
            let Query::Range { start, .. } = &question else { continue };
            // Several series are no history; that there are several now is reported.
            seasons.push((start.as_second() + AROUND, series(answer)?.unwrap_or_default()));
        }
        let around = |same: i64, values: &[(i64, f64)]| -> Vec<f64> {
            values.iter().filter(|(second, _)| (second - same).abs() <= AROUND).map(|(_, value)| *value).collect()
        };
        let usual = |minute: i64| {
            let days = seasons.iter().map(|(same, values)| around(same + minute * MINUTE, values));
            Usual::of(&days.collect::<Vec<_>>())
        };
        self.usual = (0..AHEAD).map(usual).collect();
        self.usual_from = first;
        Ok(true)
    }

    /// Takes a minute with a value into the trail.
    fn draw(&self, at: i64, value: Option<f64>, status: &mut MetricStatus, context: &Context) {
        let Some(value) = value else { return };
        let Some(trail) = trail(status, context) else { return };
        let window = match self.usual_at(at) {
            Some(usual) => TrailWindow::Compared { value, reference: usual.median() },
            None => TrailWindow::Value(value),
        };
        trail.take(at, MINUTE, window, || evidence(self, context));
    }

    fn count(&mut self, at: i64, value: Option<f64>) {
        let usual = self.usual_at(at);
        let z = usual.zip(value).map(|(usual, value)| usual.z(value));
        self.recent.push(Minute { value, z, usual: usual.map(|usual| usual.median()) });
        let surplus = self.recent.len().saturating_sub(RECENT);
        self.recent.drain(..surplus);
    }

    fn measured(&self, at: i64) -> Measurement {
        let minute = self.recent.last().copied().unwrap_or_default();
        let verdict = match (minute.value, minute.z) {
            (None, _) => Verdict::NoData,
            (_, Some(z)) if z.abs() <= OUTLIER => Verdict::Pass,
            _ => Verdict::Inconclusive,
        };
        let z = minute.z.map(|z| format!(" (z {z:.1})")).unwrap_or_default();
        let value =
            minute.value.map_or_else(|| "no result".to_owned(), |value| format!("{}{z}", format::number(value)));
        Measurement { at: Some(instant(at)), value, verdict }
    }

    fn scores(&self) -> Vec<f64> {
        self.recent.iter().filter_map(|minute| minute.z).collect()
    }
}

/// The question about the last minutes, with its first and last second: the others are about earlier days.
fn newest<'a>(answers: &[&'a Answered]) -> Option<(i64, i64, &'a Answered)> {
    let times = |answer: &&'a Answered| match &answer.query {
        Query::Range { start, end, .. } => Some((start.as_second(), end.as_second(), *answer)),
        _ => None,
    };
    answers.iter().filter_map(times).max_by_key(|(_, last, _)| *last)
}

/// The points of an answer; in place of them how many series there were.
fn series(answer: &Answered) -> Result<Result<Vec<(i64, f64)>, usize>, String> {
    match &answer.result {
        Ok(Answer::Series(points)) => Ok(Ok(points.clone())),
        Ok(Answer::Several(series)) => Ok(Err(*series)),
        Ok(_) => Err("got something else than a series over time".to_owned()),
        Err(error) => Err(error.clone()),
    }
}

fn standing(limits: &AnomalyLimits, memory: &AnomalyMemory, context: &Context) -> (Verdict, MetricReason) {
    let scores = memory.scores();
    let measured = memory.recent.iter().filter(|minute| minute.value.is_some()).count();
    let Some(through) = memory.through else {
        let fails = memory.silence.errors > 0;
        return if fails {
            (Verdict::NoData, MetricReason::SourceError)
        } else {
            (Verdict::Continue, MetricReason::NotMeasured)
        };
    };
    if outliers(&scores) >= OUTLIERS {
        let verdict = if limits.aborts { Verdict::Fail } else { Verdict::Inconclusive };
        (verdict, MetricReason::Anomalous)
    } else if memory.silence.errors > 0 {
        (Verdict::NoData, MetricReason::SourceError)
    } else if memory.several.is_some() {
        (Verdict::NoData, MetricReason::SeveralSeries)
    } else if measured < OUTLIERS {
        (Verdict::NoData, MetricReason::NoResult)
    } else if scores.len() < OUTLIERS {
        (Verdict::Inconclusive, MetricReason::NoHistory)
    } else if context.weight_lasted(through) < CALM {
        (Verdict::Continue, MetricReason::Undecided)
    } else {
        (Verdict::Pass, MetricReason::Usual)
    }
}

/// `150, usually 100` and `z 5.3, 4 of the last 5 minutes beyond 3.5`.
fn show(status: &mut MetricStatus, memory: &AnomalyMemory, context: &Context) {
    let last = memory.recent.last().copied().unwrap_or_default();
    let usual = last.usual.map(|usual| format!("usually {}", format::number(usual)));
    let value = last.value.map(format::number);
    status.canary = value.into_iter().chain(usual).collect::<Vec<_>>().join(", ");
    let (beyond, evidence) = (outliers(&memory.scores()), evidence(memory, context));
    let z = last.z.map(|z| format!("z {z:.1}"));
    let odd = (beyond > 0).then(|| format!("{beyond} of the last {} minutes beyond {OUTLIER}", memory.recent.len()));
    status.comparison = z.into_iter().chain(odd).collect::<Vec<_>>().join(", ");
    status.fail_progress = evidence.fail;
    if let Some(trail) = &mut status.trail {
        trail.weigh(evidence);
    }
    let left = u64::try_from(CALM - calm(memory, context)).unwrap_or(0).div_ceil(MINUTE.unsigned_abs());
    status.needs = (status.verdict == Verdict::Continue && left > 0).then(|| format!("{left} more minutes as usual"));
}

/// How long this weight was looked at, in seconds.
fn calm(memory: &AnomalyMemory, context: &Context) -> i64 {
    memory.through.map_or(0, |through| context.weight_lasted(through))
}

/// For the trail: minutes beyond as a part of those that make an anomaly, and calm minutes as a part of those that pass.
fn evidence(memory: &AnomalyMemory, context: &Context) -> TrailEvidence {
    let fail = (outliers(&memory.scores()) as f64 / OUTLIERS as f64).min(1.0);
    let pass = if fail < 1.0 { (calm(memory, context) as f64 / CALM as f64).min(1.0) } else { 0.0 };
    TrailEvidence { fail, pass, interval: None }
}

#[cfg(test)]
#[path = "anomaly_tests.rs"]
mod tests;
