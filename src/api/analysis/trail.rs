//! How the evidence of a metric developed: few points, each a stretch of time, for charts and reports.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of points at most: a full trail merges pairs.
pub const MOST_POINTS: usize = 60;
/// Bytes of JSON at most.
pub const MOST_BYTES: usize = 3 * 1024;
/// The names of the fields and the start, with what separates them.
const FRAME: usize = 212;
/// The same of the column that few metrics have.
const REFERENCE_FRAME: usize = 16;
/// No measured value is kept beyond: it is far from anything that a chart can show.
const FARTHEST: f64 = 1e15;
/// And none that is nearer to 0.
const NEAREST: f64 = 1e-15;

/// How the evidence of a metric developed: columns of equal length, one entry a point, in time order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Trail {
    /// The start of the first point's time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The longest time that one point stands for, in seconds. It doubles when a full trail merges pairs of points.
    pub every: u32,
    /// The dispersion (phi) that the evidence was divided by, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phi: Option<f64>,
    /// The end of each point's time, in seconds after `since`.
    #[schemars(length(max = 60))]
    pub at: Vec<u32>,
    /// The canary's bad events (or conversions) in each point's time. This and the next three are empty where nothing is
    /// counted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub canary_bad: Vec<u64>,
    /// The canary's events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub canary_total: Vec<u64>,
    /// Stable's bad events (or conversions).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub stable_bad: Vec<u64>,
    /// Stable's events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub stable_total: Vec<u64>,
    /// The measured value, where the metric is one number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub value: Vec<f64>,
    /// What each value is compared with: stable's value of a gauge, what is usual, or the limit of a burn rate. 0 where there is
    /// none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub reference: Vec<f64>,
    /// The lower end of the interval of canary over stable at each point's end. Empty where nothing is compared, and where it
    /// follows from the counts, as that of a ratio metric does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub low: Vec<f64>,
    /// Its upper end; 0 where it has none yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 60))]
    pub high: Vec<f64>,
    /// The evidence towards Fail at each point's end, in whole percent of what is needed: ln E / ln(1/alpha). 100 is reached.
    #[schemars(length(max = 60))]
    pub fail: Vec<u8>,
    /// The same towards Pass.
    #[schemars(length(max = 60))]
    pub pass: Vec<u8>,
}

/// What was counted or measured in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TrailWindow {
    /// Bad events and events of canary and stable.
    Counts {
        /// The canary's bad events and events.
        canary: [u64; 2],
        /// Stable's.
        stable: [u64; 2],
    },
    /// One number.
    Value(f64),
    /// One number, and what it is compared with.
    Compared {
        /// The number, of a gauge the canary's.
        value: f64,
        /// Stable's, what is usual, or a limit.
        reference: f64,
    },
}

/// The evidence at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TrailEvidence {
    /// Towards Fail, as a share of what is needed.
    pub fail: f64,
    /// Towards Pass.
    pub pass: f64,
    /// The interval of canary over stable: its lower end, and its upper end if it has one.
    pub interval: Option<(f64, Option<f64>)>,
}

/// One point of a trail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrailPoint {
    /// The start of its time: the end of the point before.
    pub from: Timestamp,
    /// The end of its time.
    pub at: Timestamp,
    /// What was counted or measured.
    pub window: Option<TrailWindow>,
    /// The evidence at its end.
    pub evidence: TrailEvidence,
}

impl Trail {
    /// Takes a window of `length` seconds that ends at `end` (unix seconds). `before` is the evidence without it, asked for
    /// only when the point before is complete: it costs more than a window may.
    pub fn take(&mut self, end: i64, length: i64, window: TrailWindow, before: impl FnOnce() -> TrailEvidence) {
        let length = length.clamp(1, i64::from(u32::MAX));
        if self.is_broken() {
            *self = Trail::default();
        }
        let since = match self.since {
            Some(since) => since.as_second(),
            None => {
                let since = end.saturating_sub(length);
                self.since = Timestamp::from_second(since).ok();
                self.every = u32::try_from(length).unwrap_or(u32::MAX);
                since
            }
        };
        let Ok(at) = u32::try_from(end.saturating_sub(since)) else { return };
        match self.at.last().copied() {
            Some(last) if at <= last => {}
            Some(last) if self.stretch(last) == self.stretch(at) => self.add_to_last(at, window),
            last => {
                if last.is_some() {
                    self.weigh(before());
                }
                self.push(at, window);
                while self.at.len() > MOST_POINTS || self.at.len() > 1 && self.bytes() > MOST_BYTES {
                    self.merge_pairs();
                }
            }
        }
    }

    /// Notes the evidence at the end of the last point.
    pub fn weigh(&mut self, evidence: TrailEvidence) {
        put_last(&mut self.fail, percent(evidence.fail));
        put_last(&mut self.pass, percent(evidence.pass));
        if evidence.interval.is_some() || !self.low.is_empty() {
            let (low, high) = evidence.interval.unwrap_or_default();
            for (column, end) in [(&mut self.low, low), (&mut self.high, high.unwrap_or_default())] {
                column.resize(self.at.len(), 0.0);
                put_last(column, rounded(end));
            }
        }
    }

    /// Its points. None if the columns do not belong together: someone else wrote them.
    pub fn points(&self) -> Vec<TrailPoint> {
        let Some(since) = self.since.filter(|_| !self.is_broken()) else { return Vec::new() };
        let instant = |at: u32| since.saturating_add(SignedDuration::from_secs(at.into())).unwrap_or(Timestamp::MAX);
        let starts = std::iter::once(0).chain(self.at.iter().copied());
        let point = |(index, (from, at)): (usize, (u32, &u32))| TrailPoint {
            from: instant(from.max(at.saturating_sub(self.every))),
            at: instant(*at),
            window: self.window(index),
            evidence: self.evidence(index),
        };
        starts.zip(&self.at).enumerate().map(point).collect()
    }

    fn window(&self, index: usize) -> Option<TrailWindow> {
        let count = |column: &[u64]| column.get(index).copied();
        let counts = || {
            let canary = [count(&self.canary_bad)?, count(&self.canary_total)?];
            let stable = [count(&self.stable_bad)?, count(&self.stable_total)?];
            Some(TrailWindow::Counts { canary, stable })
        };
        let reference = self.reference.get(index).copied().filter(|reference| *reference != 0.0);
        let measured = |value| match reference {
            Some(reference) => TrailWindow::Compared { value, reference },
            None => TrailWindow::Value(value),
        };
        counts().or_else(|| self.value.get(index).copied().map(measured))
    }

    fn evidence(&self, index: usize) -> TrailEvidence {
        let of = |column: &[f64]| column.get(index).copied().unwrap_or_default();
        let (low, high) = (of(&self.low), of(&self.high));
        let share = |column: &[u8]| f64::from(column.get(index).copied().unwrap_or_default()) / 100.0;
        TrailEvidence {
            fail: share(&self.fail),
            pass: share(&self.pass),
            interval: (low > 0.0 || high > 0.0).then_some((low, (high > 0.0).then_some(high))),
        }
    }

    /// Columns of unequal length, or more points than there can be.
    fn is_broken(&self) -> bool {
        let length = self.at.len();
        let counts = [&self.canary_bad, &self.canary_total, &self.stable_bad, &self.stable_total];
        let optional = [&self.value, &self.reference, &self.low, &self.high];
        length > MOST_POINTS + 1
            || self.every == 0 && length > 0
            || counts.iter().any(|column| !column.is_empty() && column.len() != length)
            || optional.iter().any(|column| !column.is_empty() && column.len() != length)
            || [&self.fail, &self.pass].iter().any(|column| column.len() != length)
    }

    /// Which stretch of `every` seconds a time lies in: stretches hold their end, not their start.
    fn stretch(&self, at: u32) -> u32 {
        at.saturating_sub(1) / self.every.max(1)
    }

    fn push(&mut self, at: u32, window: TrailWindow) {
        self.at.push(at);
        self.fail.push(0);
        self.pass.push(0);
        [&mut self.low, &mut self.high, &mut self.reference]
            .into_iter()
            .filter(|column| !column.is_empty())
            .for_each(|column| column.push(0.0));
        match window {
            TrailWindow::Counts { canary, stable } => {
                let columns =
                    [&mut self.canary_bad, &mut self.canary_total, &mut self.stable_bad, &mut self.stable_total];
                columns
                    .into_iter()
                    .zip(canary.into_iter().chain(stable))
                    .for_each(|(column, count)| column.push(count));
            }
            TrailWindow::Value(value) => self.value.push(rounded(value)),
            TrailWindow::Compared { value, reference } => {
                self.value.push(significant(value));
                self.refer(reference);
            }
        }
    }

    /// Notes what the last value is compared with.
    fn refer(&mut self, reference: f64) {
        self.reference.resize(self.at.len(), 0.0);
        put_last(&mut self.reference, significant(reference));
    }

    fn add_to_last(&mut self, at: u32, window: TrailWindow) {
        put_last(&mut self.at, at);
        match window {
            TrailWindow::Counts { canary, stable } => {
                let columns =
                    [&mut self.canary_bad, &mut self.canary_total, &mut self.stable_bad, &mut self.stable_total];
                for (column, count) in columns.into_iter().zip(canary.into_iter().chain(stable)) {
                    if let Some(last) = column.last_mut() {
                        *last = last.saturating_add(count);
                    }
                }
            }
            TrailWindow::Value(value) => {
                put_last(&mut self.value, rounded(value));
                put_last(&mut self.reference, 0.0);
            }
            TrailWindow::Compared { value, reference } => {
                put_last(&mut self.value, significant(value));
                self.refer(reference);
            }
        }
    }

    /// Lets points stand for twice the time: counts are added, the evidence is that at the end.
    pub fn merge_pairs(&mut self) {
        self.every = self.every.saturating_mul(2);
        let stretches: Vec<u32> = self.at.iter().map(|at| self.stretch(*at)).collect();
        let is_last: Vec<bool> =
            (0..stretches.len()).map(|index| stretches.get(index) != stretches.get(index + 1)).collect();
        for column in [&mut self.canary_bad, &mut self.canary_total, &mut self.stable_bad, &mut self.stable_total] {
            *column = sums(column, &is_last);
        }
        for column in [&mut self.value, &mut self.reference, &mut self.low, &mut self.high] {
            *column = lasts(column, &is_last);
        }
        for column in [&mut self.fail, &mut self.pass] {
            *column = lasts(column, &is_last);
        }
        self.at = lasts(&self.at, &is_last);
    }

    /// About how long its JSON is, never less.
    fn bytes(&self) -> usize {
        let counts = [&self.canary_bad, &self.canary_total, &self.stable_bad, &self.stable_total];
        let counts = counts.into_iter().flatten().map(|count| digits(*count) + 1).sum::<usize>();
        let times = self.at.iter().map(|at| digits((*at).into()) + 1).sum::<usize>();
        let shares = self.fail.iter().chain(&self.pass).map(|share| digits((*share).into()) + 1).sum::<usize>();
        let numbers = [&self.value, &self.reference, &self.low, &self.high];
        let numbers = numbers.into_iter().flatten().map(|number| written(*number) + 1).sum::<usize>();
        let rare = if self.reference.is_empty() { 0 } else { REFERENCE_FRAME };
        FRAME + rare + counts + times + shares + numbers
    }
}

fn put_last<T>(column: &mut [T], value: T) {
    if let Some(last) = column.last_mut() {
        *last = value;
    }
}

fn sums(column: &[u64], is_last: &[bool]) -> Vec<u64> {
    let mut out = Vec::new();
    let mut sum = 0_u64;
    for (count, is_last) in column.iter().zip(is_last) {
        sum = sum.saturating_add(*count);
        if *is_last {
            out.push(std::mem::take(&mut sum));
        }
    }
    out
}

fn lasts<T: Copy>(column: &[T], is_last: &[bool]) -> Vec<T> {
    column.iter().zip(is_last).filter(|(_, is_last)| **is_last).map(|(value, _)| *value).collect()
}

fn digits(value: u64) -> usize {
    value.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// How long a rounded number is at most: `0.123`, `12.3`, `-123000.0`, `0.0000123`.
fn written(value: f64) -> usize {
    let sign = usize::from(value < 0.0);
    let value = value.abs();
    let is_whole = value.fract() == 0.0;
    sign + match value {
        _ if is_whole => digits(value as u64) + 2,
        _ if value < 0.1 => 9,
        _ => 5,
    }
}

/// Whole percent; 100 only when it is reached.
fn percent(share: f64) -> u8 {
    // Less than a billionth is what fractions of ten leave behind.
    (share * 100.0 + 1e-9).clamp(0.0, 100.0) as u8
}

/// Three digits, within what is shown: a thousandth to a hundred thousand. A large value keeps its size.
fn rounded(value: f64) -> f64 {
    if !value.is_finite() || value.abs() < 0.0005 {
        return 0.0;
    }
    let value = value.clamp(-FARTHEST, FARTHEST);
    let unit = 10_f64.powi((value.abs().log10().floor() as i32 - 2).max(-3));
    let rounded = (value / unit).round() * unit;
    // What a sum of binary fractions leaves behind would be written with all its digits.
    let text = if unit < 1.0 { format!("{rounded:.3}") } else { format!("{rounded:.0}") };
    text.parse().unwrap_or(0.0)
}

/// Three digits of any size that is measured: CPU seconds a request are few, and bytes of memory many.
fn significant(value: f64) -> f64 {
    if !value.is_finite() || value.abs() >= 1.0 || value.abs() < NEAREST {
        return rounded(value);
    }
    format!("{value:.2e}").parse().unwrap_or(0.0)
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
