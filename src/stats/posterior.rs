//! What is believed of two shares after counting (Beta posteriors, uniform before): which is the better one, and what
//! it costs to keep the worse. For display only; no decision depends on it, because it is not valid under continuous
//! monitoring.

use std::f64::consts::SQRT_2;

use statrs::function::erf::erfc;

/// Grid points for one standard deviation of the narrower belief.
const POINTS_PER_DEVIATION: f64 = 40.0;
/// Beliefs of very different width would need a grid without end: then both are taken as normal in t.
const MOST_POINTS: f64 = 40_000.0;
/// Beyond so many trials the logarithms have too few digits left, and a belief is as good as normal.
const MOST_TRIALS: f64 = 1e11;
/// A belief is counted as 0 below e to the minus this.
const TAIL: f64 = 40.0;

/// A Beta distribution, of a share that is not known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Belief {
    /// Successes and one, as it were.
    pub successes: f64,
    /// Failures and one.
    pub failures: f64,
}

/// What two beliefs say of each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Better {
    /// Chance that the candidate's share is the higher one.
    pub chance: f64,
    /// What keeping the candidate costs on average where the control is better, in shares.
    pub loss_of_candidate: f64,
    /// What keeping the control costs.
    pub loss_of_control: f64,
}

impl Belief {
    /// After so many successes in so many trials, with all shares alike before; `None` without a trial.
    #[must_use]
    pub fn after(successes: f64, trials: f64) -> Option<Self> {
        let sound = trials > 0.0 && (0.0..=trials).contains(&successes) && trials.is_finite();
        sound.then_some(Self { successes: successes + 1.0, failures: trials - successes + 1.0 })
    }

    fn mean(self) -> f64 {
        self.successes / (self.successes + self.failures)
    }

    /// The belief that weighs each value independently.
    fn weighed(self) -> Self {
        Self { successes: self.successes + 1.0, ..self }
    }

    /// In terms of t = ln(share / (1 - share)) the density vanishes smoothly at both ends.
    fn middle(self) -> f64 {
        (self.successes / self.failures).ln()
    }

    fn deviation(self) -> f64 {
        (1.0 / self.successes + 1.0 / self.failures).sqrt()
    }

    fn lowest(self) -> f64 {
        self.middle() - 9.0 * self.deviation() - TAIL / self.successes
    }

    fn highest(self) -> f64 {
        self.middle() + 9.0 * self.deviation() + TAIL / self.failures
    }

    /// The density at t but for a factor, and its slope there.
    fn at(self, t: f64) -> (f64, f64) {
        let log = |t: f64| self.successes * -softplus(-t) + self.failures * -softplus(t);
        let density = (log(t) - log(self.middle())).exp();
        let share = 1.0 / (1.0 + (-t).exp());
        (density, density * (self.successes * (1.0 - share) - self.failures * share))
    }
}

/// ln(1 + e^x).
fn softplus(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// The candidate against the control.
#[must_use]
pub fn better(candidate: Belief, control: Belief) -> Better {
    // E[p 1(p > q)] = E[p] P(p' > q), with p' the belief weighed by p.
    let loss = |kept: Belief, other: Belief| {
        let gained = other.mean() * chance_of_more(other.weighed(), kept);
        (gained - kept.mean() * (1.0 - chance_of_more(kept.weighed(), other))).max(0.0)
    };
    Better {
        chance: chance_of_more(candidate, control),
        loss_of_candidate: loss(candidate, control),
        loss_of_control: loss(control, candidate),
    }
}

/// P(one > other), by the trapezoidal rule with the first term of its correction where the inner integral ends.
fn chance_of_more(one: Belief, other: Belief) -> f64 {
    let (low, high) = (one.lowest().min(other.lowest()), one.highest().max(other.highest()));
    let step = one.deviation().min(other.deviation()) / POINTS_PER_DEVIATION;
    let vast = [one, other].iter().any(|belief| belief.successes + belief.failures > MOST_TRIALS);
    if vast || (high - low) / step > MOST_POINTS {
        let z = (one.middle() - other.middle()) / one.deviation().hypot(other.deviation());
        return erfc(-z / SQRT_2) / 2.0;
    }
    let points = ((high - low) / step) as u32;
    let (mut below, mut all_of_one, mut more) = (0.0, 0.0, 0.0);
    for point in 0..=points {
        let t = low + f64::from(point) * step;
        let ((of_one, _), (of_other, slope)) = (one.at(t), other.at(t));
        let other_is_less = below + of_other / 2.0 - step * slope / 12.0;
        more += of_one * other_is_less;
        all_of_one += of_one;
        below += of_other;
    }
    let all = all_of_one * below;
    if all > 0.0 { (more / all).clamp(0.0, 1.0) } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn belief(successes: u32, trials: u32) -> Belief {
        Belief::after(successes.into(), trials.into()).unwrap()
    }

    #[test]
    fn equal_beliefs_are_even_and_swapping_sides_swaps_the_answer() {
        for (successes, trials) in [(0, 1), (1, 1), (0, 5), (3, 10), (100, 4000), (1_000_000, 90_000_000)] {
            let same = belief(successes, trials);
            let even = better(same, same);
            assert!((even.chance - 0.5).abs() < 1e-9, "{successes}/{trials}: {even:?}");
            assert!((even.loss_of_candidate - even.loss_of_control).abs() < 1e-9, "{even:?}");
        }
        let (one, other) = (belief(30, 1000), belief(9, 200));
        let (there, back) = (better(one, other), better(other, one));
        assert!((there.chance + back.chance - 1.0).abs() < 1e-8);
        assert!((there.loss_of_candidate - back.loss_of_control).abs() < 1e-9);
    }

    /// P(Beta(1,1) > Beta(2,1)) = 1/3, and E[(q - p)+] = 1/4 there; P(Beta(a,1) > Beta(1,1)) = a/(a+1).
    #[test]
    fn small_counts_give_the_exact_numbers() {
        let (flat, one) = (Belief { successes: 1.0, failures: 1.0 }, belief(1, 1));
        let seen = better(flat, one);
        assert!((seen.chance - 1.0 / 3.0).abs() < 1e-7, "{seen:?}");
        assert!((seen.loss_of_candidate - 0.25).abs() < 1e-7, "{seen:?}");
        assert!((better(belief(9, 9), flat).chance - 10.0 / 11.0).abs() < 1e-7);
    }

    #[test]
    fn beliefs_of_very_different_width_still_compare() {
        let wide = belief(3, 1_000);
        for (control, chance) in [(1_000_000, 0.8), (9_000_000, 0.01)] {
            let seen = better(wide, belief(control, 500_000_000)).chance;
            assert!((seen - chance).abs() < 0.2, "{seen}");
        }
        let narrow = Belief::after(1e18, 1.8e19).unwrap();
        assert!((better(narrow, narrow).chance - 0.5).abs() < 1e-9);
    }

    #[test]
    fn losses_differ_by_the_means() {
        for (a, b) in [((120, 4000), (165, 4000)), ((5, 100), (900, 9000)), ((0, 50), (3, 40))] {
            let (candidate, control) = (belief(a.0, a.1), belief(b.0, b.1));
            let seen = better(candidate, control);
            let difference = control.mean() - candidate.mean();
            assert!((seen.loss_of_candidate - seen.loss_of_control - difference).abs() < 1e-8, "{seen:?}");
        }
        assert_eq!(Belief::after(2.0, 1.0), None);
        assert_eq!(Belief::after(0.0, 0.0), None);
    }
}
