//! The Fail side: a mixture of processes started afresh every ten minutes.
//!
//! A process that began an hour before a regression has to make up for an hour of good behavior first. So a new one
//! starts every ten minutes of counted windows, with weight w_s = 6/(pi^2 s^2); the weights sum to 1, and what has not
//! started yet counts as 1. Each contributes the smaller of two e-values, for the null is a union: "at most r0 times
//! the baseline" or "at most the floor". The first and the newest six stay live; one that leaves is frozen at its
//! value, which keeps the whole an e-process.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::grid::{PerPoint, log_sum_exp, mixture};
use super::rate::RateTest;
use super::{config::RatioConfig, counts::Counts, packed, ratio};

/// Seconds of counted windows between two restarts.
pub const RESTART_EVERY_SECONDS: u64 = 600;

/// How many restarts besides the first stay live.
const NEWEST: usize = 6;

/// Every restart, live, frozen and yet to come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RestartMixture {
    /// Restarts begun so far.
    started: u32,
    /// Counted seconds the newest restart has seen.
    newest_seconds: u64,
    /// The first restart and the newest ones, oldest first.
    live: Vec<Restart>,
    /// ln of the weighted sum of the frozen ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen: Option<f64>,
}

/// One process, by what has been seen since its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Restart {
    /// s, counted from 1.
    number: u32,
    errors: u64,
    requests: u64,
    #[serde(with = "packed")]
    #[schemars(with = "String")]
    ratio: PerPoint,
}

impl RestartMixture {
    /// ln E over all restarts.
    #[must_use]
    pub fn log_e(&self, config: &RatioConfig) -> f64 {
        if self.started == 0 {
            return 0.0;
        }
        let floor = RateTest::above_floor(config.floor);
        let live = self.live.iter().map(|restart| restart.weighted(config, floor));
        let idle = unstarted_weight(self.started).ln();
        log_sum_exp(&live.chain(self.frozen).chain([idle]).collect::<Vec<_>>())
    }

    /// ln of the ratio e-value since the very start, the floor left aside; 0 before the first window.
    #[must_use]
    pub fn log_e_ratio_from_start(&self, config: &RatioConfig) -> f64 {
        self.live.first().map_or(0.0, |first| mixture(&first.ratio, config.phi()))
    }

    /// Take in one comparable window; a restart that is due begins with it.
    pub fn observe(&mut self, config: &RatioConfig, window: Counts, seconds: u64) {
        if self.started == 0 || self.newest_seconds >= RESTART_EVERY_SECONDS {
            self.begin(config);
        }
        self.newest_seconds = self.newest_seconds.saturating_add(seconds);
        let terms = ratio::towards_fail(window, config.r0());
        for restart in &mut self.live {
            ratio::add(&mut restart.ratio, &terms);
            restart.errors = restart.errors.saturating_add(window.kc);
            restart.requests = restart.requests.saturating_add(window.nc);
        }
    }

    fn begin(&mut self, config: &RatioConfig) {
        self.started = self.started.saturating_add(1);
        self.newest_seconds = 0;
        self.live.push(Restart { number: self.started, errors: 0, requests: 0, ratio: PerPoint::default() });
        while self.live.len() > 1 + NEWEST {
            let oldest = self.live.remove(1).weighted(config, RateTest::above_floor(config.floor));
            self.frozen = Some(log_sum_exp(&[self.frozen.unwrap_or(f64::NEG_INFINITY), oldest]));
        }
    }
}

impl Restart {
    /// ln (w_s min(E_ratio, E_floor)); E_ratio alone without a floor, E_floor alone without a baseline.
    fn weighted(&self, config: &RatioConfig, floor: Option<RateTest>) -> f64 {
        let phi = config.phi();
        let floor = floor.map(|floor| floor.log_e(self.errors, self.requests, phi));
        let evidence = match floor {
            floor if config.one_armed => floor.unwrap_or(0.0),
            floor => mixture(&self.ratio, phi).min(floor.unwrap_or(f64::INFINITY)),
        };
        weight(self.number).ln() + evidence
    }
}

/// w_s = 6/(pi^2 s^2).
fn weight(number: u32) -> f64 {
    let s = f64::from(number.max(1));
    6.0 / (PI * PI * s * s)
}

/// 1 - (w_1 + ... + w_m), never 0.
fn unstarted_weight(started: u32) -> f64 {
    const SUMMED: u32 = 1000;
    if started <= SUMMED {
        return 1.0 - (1..=started).map(weight).sum::<f64>();
    }
    // The tail of sum 1/s^2 by Euler-Maclaurin: exact to the last bit this far out, and free of cancellation.
    let m = f64::from(started);
    6.0 / (PI * PI) * (1.0 / m - 1.0 / (2.0 * m * m) + 1.0 / (6.0 * m * m * m))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: RatioConfig = RatioConfig::DEFAULT;

    #[test]
    fn what_has_not_started_keeps_its_weight() {
        assert!((unstarted_weight(1) - (1.0 - 6.0 / (PI * PI))).abs() < 1e-15);
        assert!((unstarted_weight(1000) / unstarted_weight(1001) - 1.001).abs() < 1e-5, "both formulas meet");
        assert!(unstarted_weight(u32::MAX) > 0.0);
    }

    #[test]
    fn windows_without_errors_leave_the_ratio_part_at_one() {
        let mut mixture = RestartMixture::default();
        mixture.observe(&CONFIG, Counts { kc: 0, nc: 100, kb: 0, nb: 900 }, 15);
        assert_eq!(mixture.log_e_ratio_from_start(&CONFIG), 0.0);
        assert!(mixture.log_e(&CONFIG) < 0.0, "the floor part has seen a hundred good requests");
    }

    #[test]
    fn the_first_and_the_newest_six_stay_live() {
        let mut mixture = RestartMixture::default();
        let window = Counts { kc: 0, nc: 75, kb: 1, nb: 675 };
        for minute in 0..1440 {
            mixture.observe(&CONFIG, window, 60);
            assert_eq!(mixture.started, minute / 10 + 1);
        }
        let numbers: Vec<u32> = mixture.live.iter().map(|restart| restart.number).collect();
        assert_eq!(numbers, [1, 139, 140, 141, 142, 143, 144]);
        assert!(mixture.log_e(&CONFIG) < 0.0);
    }

    #[test]
    fn freezing_keeps_the_value_it_froze() {
        let mut mixture = RestartMixture::default();
        let bad = Counts { kc: 40, nc: 300, kb: 1, nb: 2700 };
        for _ in 0..7 {
            mixture.observe(&CONFIG, bad, 600);
        }
        let second = mixture.live[1].weighted(&CONFIG, RateTest::above_floor(CONFIG.floor));
        mixture.observe(&CONFIG, bad, 600);
        assert_eq!(mixture.frozen, Some(second));
    }
}
