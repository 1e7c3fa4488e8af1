//! The canary's weights in the course of one release, for people alone.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::Percent;

/// Weights that are kept of a release: with more, every other one is left out.
pub const MOST_WEIGHTS: usize = 32;

/// The canary's share of traffic from a time on, as it was desired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PastWeight {
    /// From when on.
    pub at: Timestamp,
    /// The share.
    pub weight: Percent,
}

/// Notes a weight, if it is another than before. The first and the last are always kept.
pub fn note(weights: &mut Vec<PastWeight>, at: Timestamp, weight: Percent) {
    if weights.last().map_or(Percent::ZERO, |last| last.weight) == weight {
        return;
    }
    if weights.len() >= MOST_WEIGHTS {
        let mut index = 0;
        weights.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }
    weights.push(PastWeight { at, weight });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_noted_when_they_change_and_stay_few() {
        let mut weights = Vec::new();
        for second in 0..1_000_u32 {
            let at = Timestamp::from_second(second.into()).unwrap();
            note(&mut weights, at, Percent::from_basis_points(second / 2));
            assert!(weights.len() <= MOST_WEIGHTS);
        }
        let ends = |weight: Option<&PastWeight>| weight.map(|w| (w.at.as_second(), w.weight.basis_points()));
        assert_eq!(ends(weights.first()), Some((2, 1)), "a canary begins without traffic");
        assert_eq!(ends(weights.last()), Some((998, 499)));
        assert!(weights.is_sorted_by_key(|weight| weight.at));
    }
}
