//! Response times as people read them: quantiles of both arms, and the bound with the most evidence.

use serde::{Deserialize, Serialize};

use super::choice::Chosen;
use crate::{
    evidence::format,
    stats::{
        Counts, LatencyAssessment,
        bounds::Pair,
        histogram::{Histogram, Quantile, quantile},
    },
};

const QUANTILES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

/// Requests of one arm at or below each bound that is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Times {
    below: Vec<u64>,
    total: u64,
}

impl Times {
    /// Adds a window; one whose buckets do not show every bound is left out.
    pub fn add(&mut self, window: &Histogram, bounds: &[f64]) {
        let total = window.total();
        let below: Option<Vec<u64>> =
            bounds.iter().map(|bound| Some(total.saturating_sub(window.above(*bound)?))).collect();
        let Some(below) = below else { return };
        self.below.resize(bounds.len(), 0);
        for (sum, count) in self.below.iter_mut().zip(below) {
            *sum = sum.saturating_add(count);
        }
        self.total = self.total.saturating_add(total);
    }

    /// `p50 82 ms, p95 210 ms, p99 over 500 ms (interpolated)`.
    pub fn text(&self, chosen: &Chosen) -> String {
        let below: Vec<(f64, u64)> = chosen.bounds.read.iter().copied().zip(self.below.iter().copied()).collect();
        let text = |(name, q): (&str, f64)| {
            let at = quantile(&below, self.total, q, chosen.bounds.schema.is_some())?;
            Some(match at {
                Quantile::Near(value) => format!("{name} {}", format::time(value * chosen.unit)),
                Quantile::Over(value) => format!("{name} over {}", format::time(value * chosen.unit)),
            })
        };
        let texts: Vec<String> = QUANTILES.into_iter().filter_map(text).collect();
        if texts.is_empty() { "no requests".to_owned() } else { format!("{} (interpolated)", texts.join(", ")) }
    }
}

/// `slower than 250 ms: 12.1 % vs 4.0 %, ratio 3, 95 % CS 2.1-4.4, p = 0.0002`. Where the tolerance is in the bounds stable's
/// is said too: `slower than 250 ms: 12.1 % vs 4.0 % slower than 210 ms`.
pub fn comparison(seen: &LatencyAssessment, pair: Pair, before: Option<f64>, unit: f64) -> String {
    let Counts { kc, nc, kb, nb } = seen.counts;
    if nc == 0 {
        return String::new();
    }
    let share = |bad: u64, total: u64| format::share(bad as f64 / total.max(1) as f64);
    let mut text = format!("slower than {}: {}", format::time(pair.canary * unit), share(kc, nc));
    let other = if pair.stable < pair.canary {
        format!(" slower than {}", format::time(pair.stable * unit))
    } else {
        String::new()
    };
    text += &match before {
        Some(before) => format!(" vs {}{other} before", format::share(before)),
        None => format!(" vs {}{other}", share(kb, nb)),
    };
    format!("{text}, {}", format::evidence_of(seen.ratio, seen.interval, seen.p))
}

/// `buckets: native, 8 bounds from 82 ms to 410 ms`: what was chosen, as a note.
pub fn chosen(chosen: &Chosen) -> String {
    let kind = match (chosen.native, chosen.bounds.schema) {
        (true, None) => "native with custom bounds",
        (true, Some(_)) => "native",
        (false, _) => "classic",
    };
    let at = |bound: Option<&crate::stats::bounds::Bound>| bound.map_or(0.0, |bound| bound.at * chosen.unit);
    let tested = &chosen.bounds.tested;
    let (first, last) = (format::time(at(tested.first())), format::time(at(tested.last())));
    match tested.len() {
        1 => format!("buckets: {kind}, bound {first}"),
        several => format!("buckets: {kind}, {several} bounds from {first} to {last}"),
    }
}
