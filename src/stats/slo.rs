//! Service level objectives: the share of good events, the error budget, and how fast it burns.
//!
//! Source: Google, "The Site Reliability Workbook", chapter 5 (multiwindow, multi-burn-rate alerts); Sloth has the same
//! windows and one more pair. A burn rate of 1 spends the whole budget in exactly one period. An alert fires at the burn
//! rate that would spend a fixed part of the budget in its long window, so its rate depends on the period: 2 % of 30 days'
//! budget in an hour is 0.02 * 720 = 14.4, of 28 days' 13.44. The short window ends it soon after the burn ends.
//!
//! ```
//! use glidepath::stats::slo::{Events, Slo, sli, within_slo};
//!
//! let month = Events { bad: 520, total: 1_000_000 };
//! let slo = Slo { objective: 0.999, period_seconds: 30 * 86_400 };
//! let sli = sli(month).unwrap();
//! assert!(within_slo(sli, slo.objective));
//! assert!((slo.budget_left(month).unwrap() - 0.48).abs() < 1e-9);
//! ```

use serde::{Deserialize, Serialize};

/// Keeps the budget above 0, or the first bad event would be an infinite burn.
const HIGHEST_OBJECTIVE: f64 = 1.0 - 1e-9;

/// Events of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Events {
    /// Bad events.
    pub bad: u64,
    /// All events.
    pub total: u64,
}

impl Events {
    /// The share of bad events, 0 to 1; `None` without events.
    #[must_use]
    pub fn bad_share(self) -> Option<f64> {
        (self.total > 0).then(|| self.bad.min(self.total) as f64 / self.total as f64)
    }

    /// Both windows together.
    #[must_use]
    pub fn plus(self, other: Events) -> Events {
        Events { bad: self.bad.saturating_add(other.bad), total: self.total.saturating_add(other.total) }
    }
}

/// The service level indicator: the share of good events, 0 to 1; `None` without events.
#[must_use]
pub fn sli(events: Events) -> Option<f64> {
    // Of whole numbers, so that 999 of 1,000 is the same number as the objective 0.999.
    let good = events.total - events.bad.min(events.total);
    (events.total > 0).then(|| good as f64 / events.total as f64)
}

/// Whether an indicator meets its objective, both shares from 0 to 1.
#[must_use]
pub fn within_slo(sli: f64, objective: f64) -> bool {
    sli >= objective
}

/// An objective over a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slo {
    /// The share of events that have to be good, for example 0.999.
    pub objective: f64,
    /// The period that it holds over, in seconds.
    pub period_seconds: u64,
}

impl Slo {
    /// The share of events that may be bad, above 0.
    #[must_use]
    pub fn budget(&self) -> f64 {
        let objective = if self.objective.is_nan() { HIGHEST_OBJECTIVE } else { self.objective };
        1.0 - objective.clamp(0.0, HIGHEST_OBJECTIVE)
    }

    /// How many times faster than allowed a window spent the budget; `None` without events.
    #[must_use]
    pub fn burn(&self, window: Events) -> Option<f64> {
        window.bad_share().map(|share| share / self.budget())
    }

    /// The part of the budget that is left after the events of a whole period, 1 to far below 0; `None` without events.
    #[must_use]
    pub fn budget_left(&self, period: Events) -> Option<f64> {
        self.burn(period).map(|spent| 1.0 - spent)
    }

    /// Seconds until what is left of the budget is spent at this burn rate. `None` at a burn of 1 or less: the budget comes
    /// back as fast as it is spent.
    #[must_use]
    pub fn exhausted_in(&self, left: f64, burn: f64) -> Option<f64> {
        let burns = burn > 1.0 && left.is_finite();
        burns.then(|| left.max(0.0) * self.period_seconds as f64 / burn)
    }
}

/// A pair of windows that both have to burn faster than a rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BurnAlert {
    /// The part of the budget that may be spent in the long window.
    pub budget_share: f64,
    /// Seconds over which the burn has to matter.
    pub long_seconds: u64,
    /// Seconds in which it must burn as fast still.
    pub short_seconds: u64,
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// 14.4 times over an hour (of 30 days): a page.
pub const FAST: BurnAlert = BurnAlert { budget_share: 0.02, long_seconds: HOUR, short_seconds: 5 * MINUTE };
/// 6 times over six hours.
pub const SLOW: BurnAlert = BurnAlert { budget_share: 0.05, long_seconds: 6 * HOUR, short_seconds: 30 * MINUTE };
/// The workbook's alerts with Sloth's third pair, the fastest first.
pub const ALERTS: [BurnAlert; 4] = [
    FAST,
    SLOW,
    BurnAlert { budget_share: 0.1, long_seconds: 24 * HOUR, short_seconds: 2 * HOUR },
    BurnAlert { budget_share: 0.1, long_seconds: 72 * HOUR, short_seconds: 6 * HOUR },
];

impl BurnAlert {
    /// The burn rate at which it fires: budget share * period / long window.
    #[must_use]
    pub fn burn(&self, period_seconds: u64) -> f64 {
        self.budget_share * period_seconds as f64 / self.long_seconds.max(1) as f64
    }

    /// Whether both windows burn faster than that. A window without events does not burn.
    #[must_use]
    pub fn is_on(&self, slo: &Slo, long: Events, short: Events) -> bool {
        let limit = self.burn(slo.period_seconds);
        [long, short].into_iter().all(|window| slo.burn(window).is_some_and(|burn| burn > limit))
    }

    /// How close it is to firing, 0 to 1.
    #[must_use]
    pub fn progress(&self, slo: &Slo, long: Events, short: Events) -> f64 {
        let limit = self.burn(slo.period_seconds);
        let burn =
            [long, short].into_iter().map(|window| slo.burn(window).unwrap_or(0.0)).fold(f64::INFINITY, f64::min);
        if limit > 0.0 { (burn / limit).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// How long an alert takes to fire at a constant error ratio, in the unit of its window: window * burn * budget / ratio.
#[must_use]
pub fn time_to_fire(window: f64, burn: f64, budget: f64, error_ratio: f64) -> f64 {
    let time = window * burn * budget / error_ratio;
    if time.is_nan() { f64::INFINITY } else { time }
}

/// The part of the budget that a burn over a window spends, both in one unit: burn * window / period.
#[must_use]
pub fn budget_spent(burn: f64, window: f64, period: f64) -> f64 {
    let spent = burn * window / period;
    if spent.is_nan() { 0.0 } else { spent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MONTH: Slo = Slo { objective: 0.999, period_seconds: 30 * 86_400 };

    fn events(bad: u64, total: u64) -> Events {
        Events { bad, total }
    }

    #[test]
    fn an_objective_is_met_when_the_share_equals_it() {
        assert_eq!(sli(events(0, 0)), None);
        assert!(within_slo(sli(events(1, 1_000)).unwrap(), 0.999));
        assert!(!within_slo(sli(events(2, 1_000)).unwrap(), 0.999));
        assert!(!within_slo(f64::NAN, 0.999));
    }

    #[test]
    fn the_budget_is_spent_by_bad_events() {
        assert!((MONTH.budget_left(events(520, 1_000_000)).unwrap() - 0.48).abs() < 1e-9);
        assert!((MONTH.budget_left(events(2_000, 1_000_000)).unwrap() + 1.0).abs() < 1e-9, "overspent");
        assert_eq!(MONTH.budget_left(events(0, 0)), None);
        let left = MONTH.exhausted_in(0.48, 2.0).unwrap();
        assert!((left - 0.24 * 30.0 * 86_400.0).abs() < 1e-6);
        assert_eq!(MONTH.exhausted_in(0.48, 1.0), None, "it comes back as fast");
        assert_eq!(MONTH.exhausted_in(-0.5, 3.0), Some(0.0));
    }

    #[test]
    fn both_windows_have_to_burn() {
        let (hot, cool) = (events(150, 10_000), events(1, 10_000));
        assert!(FAST.is_on(&MONTH, hot, hot));
        assert!(!FAST.is_on(&MONTH, hot, cool), "it is over");
        assert!(!FAST.is_on(&MONTH, cool, hot), "a spike");
        assert!(!FAST.is_on(&MONTH, hot, events(0, 0)), "no data is no burn");
        assert!(!FAST.is_on(&MONTH, events(144, 10_000), events(144, 10_000)), "14.4 is the limit");
        let four_weeks = Slo { period_seconds: 28 * 86_400, ..MONTH };
        assert!(FAST.is_on(&four_weeks, events(144, 10_000), events(144, 10_000)), "there it is 13.44");
        assert_eq!((FAST.progress(&MONTH, hot, hot), FAST.progress(&MONTH, hot, events(0, 0))), (1.0, 0.0));
    }

    proptest! {
        #[test]
        fn any_numbers_give_a_number(bad in any::<u64>(), total in any::<u64>(), objective in any::<f64>(), period in any::<u64>()) {
            let slo = Slo { objective, period_seconds: period };
            let window = events(bad, total);
            prop_assert!(slo.budget() > 0.0 && slo.budget() <= 1.0);
            prop_assert!(slo.burn(window).is_none_or(|burn| burn.is_finite() && burn >= 0.0));
            prop_assert!(slo.budget_left(window).is_none_or(f64::is_finite));
            prop_assert!(!ALERTS.iter().any(|alert| alert.progress(&slo, window, window).is_nan()));
            prop_assert!(!budget_spent(objective, objective, objective).is_nan());
            prop_assert!(!time_to_fire(objective, objective, objective, objective).is_nan());
            prop_assert!(slo.exhausted_in(objective, objective).is_none_or(|seconds| seconds >= 0.0));
        }
    }
}
