//! The A/B judge: does the candidate convert a larger share of its users than the control, or a smaller one, or is there
//! no difference that matters? First it asks whether users were assigned as planned; if not, nothing else is believed.
//!
//! The interval is an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform
//! central limit theory and asymptotic confidence sequences", 2021): it holds the true difference at all times together, so
//! that one may look as often as one likes. Between changes of weight shares are constant; over such epochs differences are
//! pooled with weights n_a n_b/(n_a + n_b), so that a change of weight during a change of mood does not look like an effect.
//! The two variants are one pair: with more, pairs would share alpha.

use serde::{Deserialize, Serialize};

use super::{
    counts::Counts,
    posterior::{Belief, Better, better},
    share::log_split,
};

/// How closely the alternatives of the sample-ratio check lie around the plan.
const CONCENTRATION: f64 = 100.0;
/// The e-value at which the split is broken.
const BROKEN: f64 = 1000.0;
/// Conversions of each variant that any decision needs: below, the interval is too good to be true.
pub const FEWEST_CONVERSIONS: u64 = 100;
/// No forecast goes further than this many times the users so far.
const FURTHEST: f64 = 1e6;

/// What the judge is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConversionConfig {
    /// Chance of a false winner, at all looks together.
    pub alpha: f64,
    /// Differences up to this part of the control's share do not matter.
    pub difference: f64,
    /// The number of users, of both variants, at which the interval is to be narrowest.
    pub planned_users: f64,
}

/// The state of the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Users were not assigned as planned.
    Invalid,
    /// The candidate converts more.
    CandidateWins,
    /// The control converts more.
    ControlWins,
    /// A difference that matters is ruled out.
    NoDifference,
    /// None of these yet.
    Undecided,
}

/// How users were assigned in one epoch, and the evidence that it was not as planned over all so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SplitSeen {
    /// The candidate's planned share, 0 to 1.
    pub planned: f64,
    /// The candidate's users.
    pub candidate: u64,
    /// All users.
    pub total: u64,
    /// ln E against the plan.
    pub log_e: f64,
}

/// Sums over the epochs that are over; w is an epoch's weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Pooled {
    /// Sum of w.
    weight: f64,
    /// Sums of w p, candidate and control.
    shares: [f64; 2],
    /// Sums of w^2 p(1-p)/n.
    variances: [f64; 2],
}

/// All that was counted. In `Counts` a conversion is `k` and a user is `n`; `c` is the candidate, `b` the control.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConversionState {
    pooled: Pooled,
    /// Of the epochs that are over and in which both variants had users.
    past: Counts,
    current: Counts,
    planned: Option<f64>,
    /// ln E against the plans of the epochs that are over.
    past_split: f64,
    /// The split when it was found broken: what was counted stays spoilt.
    broken: Option<SplitSeen>,
}

/// The evidence in numbers. Differences and lifts are candidate against control.
#[derive(Clone, Debug, PartialEq)]
pub struct ConversionSeen {
    /// What it comes to.
    pub decision: Decision,
    /// What was counted, but for epochs in which one variant had no users.
    pub counts: Counts,
    /// The difference of the shares; `None` while a variant has no user.
    pub difference: Option<Difference>,
    /// The sample-ratio check; `None` where no share is planned.
    pub split: Option<SplitSeen>,
    /// Which is believed to be better; `None` before each variant has its fewest conversions.
    pub better: Option<Better>,
    /// How many more users a decision takes at the current rates; `None` when that is beyond every horizon.
    pub users_needed: Option<u64>,
}

/// A difference of two shares, pooled over epochs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Of the shares.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
    /// Half the width of its interval.
    pub half_width: f64,
    /// The control's share.
    pub control: f64,
    /// Always-valid p-value of "there is none".
    pub p: f64,
}

impl Difference {
    /// The ends of its interval.
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        (self.value - self.half_width, self.value + self.half_width)
    }

    /// The difference relative to the control's share, with its interval; `None` while that share is 0.
    #[must_use]
    pub fn lift(&self) -> Option<(f64, f64, f64)> {
        let (low, high) = self.interval();
        (self.control > 0.0).then(|| (self.value / self.control, low / self.control, high / self.control))
    }
}

impl ConversionState {
    /// A new epoch begins, with this planned share of the candidate, 0 to 1, where one is planned.
    pub fn begin_epoch(&mut self, planned: Option<f64>) {
        self.past_split += self.split_of_epoch().unwrap_or(0.0);
        self.pooled = self.pooled.with(self.current);
        self.past = self.comparable();
        (self.current, self.planned) = (Counts::default(), planned);
    }

    /// Takes in a window.
    pub fn observe(&mut self, window: Counts) {
        self.current = self.current.plus(window);
        if self.broken.is_none() {
            self.broken = self.split().filter(|split| split.log_e >= BROKEN.ln());
        }
    }

    /// What was counted in epochs in which both variants had users.
    fn comparable(&self) -> Counts {
        if self.current.is_comparable() { self.past.plus(self.current) } else { self.past }
    }

    /// What the evidence comes to.
    #[must_use]
    pub fn decision(&self, config: &ConversionConfig) -> Decision {
        match self.difference(config) {
            _ if self.broken.is_some() => Decision::Invalid,
            Some(difference) if has_fewest(self.comparable()) => decided(&difference, config),
            _ => Decision::Undecided,
        }
    }

    /// The state of the evidence, with everything that is displayed.
    #[must_use]
    pub fn assess(&self, config: &ConversionConfig) -> ConversionSeen {
        let judged = self.comparable();
        let difference = self.difference(config);
        let believed = || self.pooled.with(self.current).better(judged.clamped());
        ConversionSeen {
            decision: self.decision(config),
            counts: self.past.plus(self.current),
            difference,
            split: self.broken.or_else(|| self.split()),
            better: has_fewest(judged).then(believed).flatten(),
            users_needed: difference.and_then(|difference| forecast(&difference, judged, config)),
        }
    }

    fn difference(&self, config: &ConversionConfig) -> Option<Difference> {
        self.pooled.with(self.current).difference(users(self.comparable()), config)
    }

    fn split(&self) -> Option<SplitSeen> {
        let log_e = self.past_split + self.split_of_epoch()?;
        let (candidate, total) = (self.current.nc, self.current.nc.saturating_add(self.current.nb));
        Some(SplitSeen { planned: self.planned?, candidate, total, log_e })
    }

    /// ln E against this epoch's plan. Shares of 0 and 1 are never judged by it.
    fn split_of_epoch(&self) -> Option<f64> {
        let planned = self.planned.filter(|planned| *planned > 0.0 && *planned < 1.0)?;
        Some(log_split([self.current.nc, self.current.nb], [planned, 1.0 - planned], CONCENTRATION))
    }
}

impl Pooled {
    /// With one epoch more. One in which a variant had no user weighs nothing.
    fn with(mut self, epoch: Counts) -> Self {
        let epoch = epoch.clamped();
        if !epoch.is_comparable() {
            return self;
        }
        let arms = [(epoch.kc, epoch.nc), (epoch.kb, epoch.nb)].map(|(k, n)| (k as f64, n as f64));
        let weight = arms[0].1 * arms[1].1 / (arms[0].1 + arms[1].1);
        self.weight += weight;
        for (arm, (k, n)) in arms.into_iter().enumerate() {
            let share = k / n;
            self.shares[arm] += weight * share;
            self.variances[arm] += weight * weight * share * (1.0 - share) / n;
        }
        self
    }

    fn difference(&self, users: f64, config: &ConversionConfig) -> Option<Difference> {
        if self.weight <= 0.0 {
            return None;
        }
        let [candidate, control] = self.shares.map(|share| share / self.weight);
        let error = (self.variances[0] + self.variances[1]).sqrt() / self.weight;
        let rho = rho(config.planned_users, config.alpha);
        Some(Difference {
            value: candidate - control,
            error,
            half_width: half_width(error, users, rho, config.alpha),
            control,
            p: p_value(candidate - control, error, users, rho),
        })
    }

    /// As if both variants had been counted in one epoch: so many users as give the same share with the same variance.
    fn better(&self, counts: Counts) -> Option<Better> {
        let belief = |arm: usize, conversions: u64, users: u64| {
            let (share, variance) = (self.shares[arm] / self.weight, self.variances[arm] / (self.weight * self.weight));
            let alike = share * (1.0 - share) / variance;
            match alike.is_finite() && alike > 0.0 {
                true => Belief::after(share * alike, alike),
                false => Belief::after(conversions as f64, users as f64),
            }
        };
        if self.weight <= 0.0 {
            return None;
        }
        Some(better(belief(0, counts.kc, counts.nc)?, belief(1, counts.kb, counts.nb)?))
    }
}

fn has_fewest(counts: Counts) -> bool {
    counts.kc.min(counts.kb) >= FEWEST_CONVERSIONS
}

fn users(counts: Counts) -> f64 {
    counts.nc as f64 + counts.nb as f64
}

fn decided(difference: &Difference, config: &ConversionConfig) -> Decision {
    let (low, high) = difference.interval();
    let matters = config.difference * difference.control;
    if low > 0.0 {
        Decision::CandidateWins
    } else if high < 0.0 {
        Decision::ControlWins
    } else if low > -matters && high < matters {
        Decision::NoDifference
    } else {
        Decision::Undecided
    }
}

/// The parameter of the mixture that makes the interval narrowest after `planned` users.
#[must_use]
pub fn rho(planned: f64, alpha: f64) -> f64 {
    let log = -2.0 * sound(alpha).ln();
    ((log + log.ln_1p()) / planned.max(1.0)).sqrt()
}

/// Half the width of the interval around an estimate with this standard error after `users`.
#[must_use]
pub fn half_width(error: f64, users: f64, rho: f64, alpha: f64) -> f64 {
    let grown = users * rho * rho;
    if users <= 0.0 {
        return f64::INFINITY;
    }
    error * (2.0 * (grown + 1.0) / grown * ((grown + 1.0).sqrt() / sound(alpha)).ln()).sqrt()
}

/// The smallest alpha whose interval leaves out 0, for this rho: valid at every look.
#[must_use]
pub fn p_value(estimate: f64, error: f64, users: f64, rho: f64) -> f64 {
    if error <= 0.0 {
        return if estimate == 0.0 { 1.0 } else { 0.0 };
    }
    let (grown, z) = (users * rho * rho, estimate / error);
    ((grown + 1.0).sqrt() * (-z * z * grown / (2.0 * (grown + 1.0))).exp()).min(1.0)
}

/// An error chance that is none decides nothing by accident: 5 % instead.
fn sound(alpha: f64) -> f64 {
    if alpha > 0.0 && alpha < 1.0 { alpha } else { 0.05 }
}

/// How many more users it takes until a winner is found, or a difference that matters ruled out, whichever is first, if both
/// shares are as they look now; and until each variant has its fewest conversions.
fn forecast(now: &Difference, counts: Counts, config: &ConversionConfig) -> Option<u64> {
    let users = users(counts);
    let fewest = counts.kc.min(counts.kb);
    let least = if fewest == 0 { return None } else { (FEWEST_CONVERSIONS as f64 / fewest as f64).max(1.0) };
    let rho = rho(config.planned_users, config.alpha);
    let decides = |times: f64| {
        let error = now.error / times.sqrt();
        let then = Difference { half_width: half_width(error, users * times, rho, config.alpha), error, ..*now };
        decided(&then, config) != Decision::Undecided
    };
    if decides(least) {
        return Some((users * (least - 1.0)).ceil() as u64);
    }
    let (mut short, mut enough) = (least, FURTHEST.max(least));
    if !decides(enough) {
        return None;
    }
    for _ in 0..60 {
        let between = (short * enough).sqrt();
        if decides(between) { enough = between } else { short = between }
    }
    Some((users * (enough - 1.0)).ceil() as u64)
}

#[cfg(test)]
#[path = "conversion_tests.rs"]
mod tests;
