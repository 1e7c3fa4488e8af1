//! Counts per weight epoch: between changes of weight the traffic split is constant, so sums are all the interval needs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::counts::Counts;

/// Sums per weight epoch, the current one last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Epochs(Vec<Counts>);

impl Epochs {
    /// Takes in a window of the current epoch.
    pub fn add(&mut self, window: Counts) {
        match self.0.last_mut() {
            Some(epoch) => *epoch = epoch.plus(window),
            None => self.0.push(window),
        }
    }

    /// A new epoch begins. Past `most` the two neighbours with the most alike traffic split are added together.
    pub fn begin(&mut self, most: usize) {
        if self.0.last().is_some_and(|epoch| *epoch != Counts::default()) {
            self.0.push(Counts::default());
        }
        while self.0.len() > most.max(1) {
            self.merge_most_alike();
        }
    }

    /// Each epoch's.
    pub fn all(&self) -> &[Counts] {
        &self.0
    }

    /// All epochs together.
    pub fn total(&self) -> Counts {
        self.0.iter().copied().sum()
    }

    fn merge_most_alike(&mut self) {
        let split = |epoch: &Counts| (epoch.nc.max(1) as f64).ln() - (epoch.nb.max(1) as f64).ln();
        let gap = |pair: &[Counts]| match pair {
            [one, two] => (split(one) - split(two)).abs(),
            _ => f64::INFINITY,
        };
        // The current epoch, last and still empty, is not a candidate.
        let closed = self.0.len().saturating_sub(1);
        let gaps = self.0.get(..closed).unwrap_or_default().windows(2).map(gap).enumerate();
        let at = gaps.min_by(|one, two| one.1.total_cmp(&two.1)).map_or(0, |(at, _)| at);
        let merged = self.0.remove(at);
        if let Some(next) = self.0.get_mut(at) {
            *next = next.plus(merged);
        }
    }
}
