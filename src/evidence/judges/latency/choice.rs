//! What the judge tests is chosen once, by stable's requests in the hour before the run (six hours where that has too few),
//! and frozen: whether the histogram is native or classic, and the bounds. A source error is no history and is asked again.

use serde::{Deserialize, Serialize};

use crate::{
    api::analysis::{AnalysisRunSpec, LatencyMetric},
    evidence::{
        context::Context,
        defaults::Defaults,
        format,
        no_data::NoData,
        plan::Answered,
        query::{Answer, BucketKind, BucketsQuery, Query, Scope},
        windows::{self, instant},
    },
    stats::{
        bounds::{Bounds, FEWEST_REQUESTS},
        histogram::Histogram,
    },
};

const HOUR: u32 = 3600;
/// Without a bound to test, the history is asked again so often, in seconds: stable may be new.
const AGAIN: i64 = 60;
/// A source that fails so often in a row when asked for native histograms does not know them.
const UNKNOWN_AFTER: u32 = 2;

/// What is asked and frozen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Choice {
    /// Histories without a bound to test.
    tries: u32,
    /// Why the last one had none.
    lacks: Option<Lack>,
    frozen: Option<Chosen>,
}

/// The choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chosen {
    /// Windows begin after this unix second: those before chose the bounds.
    pub since: i64,
    /// Whether native series are read.
    pub native: bool,
    /// How many seconds the unit of the bounds is.
    pub unit: f64,
    /// The bounds.
    pub bounds: Bounds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Lack {
    Series,
    Requests(u64),
    Bound,
}

impl Choice {
    /// What was chosen, once it is.
    pub fn frozen(&self) -> Option<&Chosen> {
        self.frozen.as_ref()
    }

    /// The histories that are due, and when to look again.
    pub fn ask(&self, metric: &LatencyMetric, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let (end, seconds) = self.history(context);
        let due = if self.tries < 2 { end } else { windows::read_at(end, &context.frozen) };
        if due > context.now.as_second() {
            return (Vec::new(), due);
        }
        let ask = |kind| BucketsQuery {
            window_seconds: seconds,
            warm_up_seconds: 0,
            whole_pods: true,
            ..question(metric, spec, context, kind, end)
        };
        let kinds = [BucketKind::Native, BucketKind::Classic(Vec::new())];
        (kinds.map(ask).map(Query::Buckets).into(), context.now.as_second() + AGAIN)
    }

    /// Chooses by the answers. Without both of them nothing is chosen, and they are asked for again.
    pub fn take(&mut self, metric: &LatencyMetric, answers: &[&Answered], silence: &mut NoData, context: &Context) {
        let native = stable(answers, |kind| *kind == BucketKind::Native);
        let classic = stable(answers, |kind| *kind != BucketKind::Native);
        let (Some(native), Some(classic)) = (native, classic) else { return };
        let found = match (native, classic) {
            (_, Err(error)) => return silence.failed(error, context),
            (Err(error), Ok(_)) if silence.errors < UNKNOWN_AFTER => return silence.failed(error, context),
            (Err(_), Ok(classic)) => [None, classic],
            (Ok(native), Ok(classic)) => [native, classic],
        };
        silence.answered();
        let (limits, since) = (Defaults::latency(metric), self.history(context).0);
        let [native, classic] = found.map(|found| {
            let (history, unit) = found.filter(|(history, _)| history.total() >= FEWEST_REQUESTS)?;
            let bounds = Bounds::choose(history, limits.tolerance, limits.slo_seconds.map(|slo| slo / unit))?;
            Some(Chosen { since, native: false, unit, bounds })
        });
        self.frozen = native.map(|native| Chosen { native: true, ..native }).or(classic);
        if self.frozen.is_none() {
            self.lacks = Some(lack(found.into_iter().flatten().map(|(history, _)| history)));
            // A controller that slept does not go through every minute of it.
            let minutes = (context.now.as_second() - context.started.as_second()) / AGAIN;
            let latest = if self.tries == 0 { 0 } else { u32::try_from(minutes).unwrap_or(0) };
            self.tries = self.tries.saturating_add(1).max(latest);
        }
    }

    /// The end of the history to ask for, and its length in seconds.
    fn history(&self, context: &Context) -> (i64, u32) {
        let started = context.started.as_second();
        match self.tries {
            0 => (started, HOUR),
            1 => (started, 6 * HOUR),
            tries => (started.saturating_add(AGAIN * i64::from(tries - 1)), HOUR),
        }
    }

    /// Why there is nothing to test, in words: a note.
    pub fn missing(&self) -> Option<String> {
        let text = match self.lacks.filter(|_| self.frozen.is_none())? {
            Lack::Series => {
                "stable has no series of it with buckets; check its name, its labels and that stable has requests \
                 (Prometheus 2.42 cannot subtract native histograms)"
                    .to_owned()
            }
            Lack::Requests(seen) => format!(
                "stable had {} requests before the run; bounds are chosen by at least {FEWEST_REQUESTS}",
                format::grouped(seen)
            ),
            Lack::Bound => {
                "no bucket bound has from 0.05 % to 60 % of stable's requests above it; use finer buckets".to_owned()
            }
        };
        Some(format!("histogram: {text}"))
    }
}

/// The question of the window that ends at `end`.
pub fn question(
    metric: &LatencyMetric,
    spec: &AnalysisRunSpec,
    context: &Context,
    kind: BucketKind,
    end: i64,
) -> BucketsQuery {
    let seconds = |value: i64| u32::try_from(value).unwrap_or(u32::MAX);
    BucketsQuery {
        histogram: metric.histogram.clone(),
        kind,
        pack: context.frozen.pack,
        arms: spec.arms.clone(),
        scope: Scope::Arms,
        end: instant(end),
        window_seconds: seconds(context.frozen.window),
        piece_seconds: None,
        warm_up_seconds: seconds(context.frozen.warm_up),
        whole_pods: false,
    }
}

type Found<'a> = Option<(&'a Histogram, f64)>;

/// Stable's histogram in the answer of this kind, with its unit; `None` before it was asked.
fn stable<'a>(answers: &[&'a Answered], is_it: impl Fn(&BucketKind) -> bool) -> Option<Result<Found<'a>, &'a str>> {
    let asked =
        |answer: &&Answered| matches!(&answer.query, Query::Buckets(query) if query.whole_pods && is_it(&query.kind));
    let answer = answers.iter().copied().find(asked)?;
    Some(match &answer.result {
        Ok(Answer::Buckets { stable, unit, .. }) => Ok(stable.as_ref().map(|stable| (stable, *unit))),
        Ok(_) => Err("got another answer than a histogram"),
        Err(error) => Err(error.as_str()),
    })
}

fn lack<'a>(found: impl Iterator<Item = &'a Histogram>) -> Lack {
    match found.map(Histogram::total).max() {
        None => Lack::Series,
        Some(seen) if seen < FEWEST_REQUESTS => Lack::Requests(seen),
        Some(_) => Lack::Bound,
    }
}
