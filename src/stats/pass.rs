//! The Pass side: evidence of one weight epoch that the canary is not as bad as what `pass` rules out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grid::{PerPoint, log_sum_exp, mixture};
use super::{config::RatioConfig, counts::Counts, packed, rate, ratio};

/// How many times the traffic seen so far is looked ahead for a Pass.
const FARTHEST_LOOK_AHEAD: f64 = 1e6;

/// Evidence of the current weight epoch that the canary is fine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PassEvidence {
    #[serde(with = "packed")]
    #[schemars(with = "String")]
    ratio: PerPoint,
    /// What was counted in the epoch.
    pub counts: Counts,
    /// The bound was reached: latched for the epoch.
    pub passed: bool,
}

impl PassEvidence {
    /// Whether no window of the epoch was taken in.
    pub fn is_new(&self) -> bool {
        *self == PassEvidence::default()
    }

    /// Takes in one window, clamped.
    pub fn observe(&mut self, config: &RatioConfig, window: Counts) {
        self.counts = self.counts.plus(window);
        ratio::add(&mut self.ratio, &ratio::towards_pass(window, config.pass_ratio()));
    }

    /// Notes whether the bound is reached.
    pub fn note_bound(&mut self, config: &RatioConfig) {
        self.passed |= self.log_e(config, 1.0) >= config.pass_bound();
    }

    /// ln E if all that was seen had been seen `times` over: every log term is linear in the counts.
    pub fn log_e(&self, config: &RatioConfig, times: f64) -> f64 {
        let phi = config.phi() / times;
        let ratio = mixture(&self.ratio, phi);
        let ceiling = config.ceiling().map(|ceiling| rate::below_ceiling(self.counts.kc, self.counts.nc, ceiling, phi));
        match ceiling {
            ceiling if config.one_armed => ceiling.unwrap_or(0.0),
            Some(ceiling) => log_sum_exp(&[ratio, ceiling]) - std::f64::consts::LN_2,
            None => ratio,
        }
    }

    /// About how many more canary requests a Pass takes at the rates seen so far: 0 once passed, `None` where these rates lead
    /// to none. Without traffic as yet: what it takes if the canary has no bad request.
    pub fn canary_requests_needed(&self, config: &RatioConfig) -> Option<u64> {
        if self.passed {
            return Some(0);
        }
        if self.counts.nc == 0 {
            let clean = Counts { nc: 1, ..Counts::default() };
            return Self { counts: clean, ..Self::default() }.canary_requests_needed(config);
        }
        let reaches = |times: f64| self.log_e(config, times) >= config.pass_bound();
        let (mut short, mut enough) = (1.0_f64, FARTHEST_LOOK_AHEAD);
        if !reaches(enough) {
            return None;
        }
        while enough / short > 1.001 {
            let middle = (short * enough).sqrt();
            if reaches(middle) {
                enough = middle;
            } else {
                short = middle;
            }
        }
        Some(((enough - 1.0) * self.counts.nc as f64).ceil() as u64)
    }
}
