//! Whole-number weights: how a canary's share is written next to foreign destinations.

use super::error::RouteError;
use crate::api::Percent;

/// Which two of a route's destinations are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// The index of the stable destination.
    pub stable: usize,
    /// The index of the canary destination.
    pub canary: usize,
}

/// Why weights cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unexpressible {
    /// The other destinations have all of it.
    NothingLeft,
    /// The numbers would leave the range of an Istio weight.
    TooLarge,
}

impl Unexpressible {
    /// The refusal to write `weight` into `place`.
    pub fn at(self, place: String, weight: Percent) -> RouteError {
        match self {
            Unexpressible::NothingLeft => RouteError::NoShareLeft { place },
            Unexpressible::TooLarge => RouteError::WeightNotExpressible { place, weight },
        }
    }
}

/// A whole, as routers count it: percents where they suffice, else basis points.
const WHOLES: [u128; 2] = [100, 10_000];

/// The route's weights with the canary's share of *our* part at `canary`; every other destination keeps its share of
/// the route. Weights that already say so, in whatever whole, come back as they are. Exact: where neither 100 nor
/// 10,000 can express every share, the smallest whole that can is used, since Istio's weights are relative.
pub fn split(weights: &[u64], pair: Pair, canary: Percent) -> Result<Vec<u64>, Unexpressible> {
    let exact = exact_shares(weights, pair, canary)?;
    if says(weights, &exact) {
        return Ok(weights.to_vec());
    }
    let whole: u128 = exact.iter().sum();
    let written = WHOLES.into_iter().find(|w| w.is_multiple_of(whole)).unwrap_or(whole);
    if written > i32::MAX as u128 {
        return Err(Unexpressible::TooLarge);
    }
    exact.iter().map(|share| u64::try_from(share * (written / whole)).map_err(|_| Unexpressible::TooLarge)).collect()
}

/// Like [`split`], in the smallest whole numbers, none above `largest`. Where ours alone can say it, the others keep not only
/// their shares but their numbers.
pub fn smallest(weights: &[u64], pair: Pair, canary: Percent, largest: u64) -> Result<Vec<u64>, Unexpressible> {
    let exact = exact_shares(weights, pair, canary)?;
    if says(weights, &exact) {
        return Ok(weights.to_vec());
    }
    let of = |index: usize| weights.get(index).copied().map_or(0, u128::from);
    let ours = of(pair.stable) + of(pair.canary);
    let others = weights.iter().map(|weight| u128::from(*weight)).sum::<u128>() > ours;
    let parts = ours * u128::from(canary.basis_points());
    let written = if others && parts.is_multiple_of(10_000) {
        let canary = parts / 10_000;
        let keep = |(index, weight): (usize, &u64)| match index {
            i if i == pair.canary => canary,
            i if i == pair.stable => ours - canary,
            _ => u128::from(*weight),
        };
        weights.iter().enumerate().map(keep).collect()
    } else {
        exact
    };
    let fits = |weight: u128| u64::try_from(weight).ok().filter(|weight| *weight <= largest);
    written.into_iter().map(|weight| fits(weight).ok_or(Unexpressible::TooLarge)).collect()
}

/// The canary's share in all routes, if they agree; else the lowest and the highest. A route that weighs neither destination
/// sends the canary nothing.
pub fn agreed(shares: &[Option<Percent>]) -> (Option<Percent>, Option<(Percent, Percent)>) {
    let weight = shares.first().copied().flatten().filter(|first| shares.iter().all(|share| *share == Some(*first)));
    let all = || shares.iter().map(|share| share.unwrap_or(Percent::ZERO));
    let spread = all().min().zip(all().max()).filter(|_| weight.is_none());
    (weight, spread)
}

/// The canary's part of our two weights, rounded down to a basis point. `None` when neither has any.
pub fn share(stable: u64, canary: u64) -> Option<Percent> {
    let ours = u128::from(stable) + u128::from(canary);
    let points = (u128::from(canary) * 10_000).checked_div(ours)?;
    u32::try_from(points).ok().map(Percent::from_basis_points)
}

/// The smallest whole numbers of the same proportions.
pub fn lowest_terms(weights: &[u64]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |a, b| common_divisor(a, u128::from(*b))).max(1);
    weights.iter().map(|weight| u64::try_from(u128::from(*weight) / divisor).unwrap_or(*weight)).collect()
}

/// The weights of stable and canary for users who were assigned to stable at the weight `before` and are assigned again at
/// `now`: the canary gets (now - before) / (1 - before) of them.
pub fn reassigned(before: Percent, now: Percent) -> [u64; 2] {
    let [before, now] = [before, now].map(|weight| u64::from(weight.basis_points()));
    let weights = lowest_terms(&[10_000_u64.saturating_sub(now), now.saturating_sub(before)]);
    [0, 1].map(|index| weights.get(index).copied().unwrap_or_default())
}

/// `weight` on a router's grain, rounded toward stable (rule S50). A step that would become nothing is refused.
pub fn on_grain(weight: Percent, grain: Percent) -> Result<Percent, RouteError> {
    let rounded = weight.rounded_down(grain);
    if rounded.is_zero() && !weight.is_zero() {
        return Err(RouteError::WeightTooFine { weight, grain });
    }
    Ok(rounded)
}

/// Whether weights say these shares, in whatever whole.
fn says(weights: &[u64], exact: &[u128]) -> bool {
    let whole: u128 = exact.iter().sum();
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    total > 0 && weights.iter().zip(exact).all(|(now, share)| u128::from(*now) * whole == share * total)
}

/// The smallest whole numbers that express the wanted shares.
fn exact_shares(weights: &[u64], pair: Pair, canary: Percent) -> Result<Vec<u128>, Unexpressible> {
    let is_ours = |index: usize| index == pair.stable || index == pair.canary;
    let part = |ours: bool| -> u128 {
        weights.iter().enumerate().filter(|(i, _)| is_ours(*i) == ours).map(|(_, w)| u128::from(*w)).sum()
    };
    let ours = match (part(true), part(false)) {
        (0, 0) => 1,
        (0, _) => return Err(Unexpressible::NothingLeft),
        (ours, _) => ours,
    };
    let shares: Vec<u128> = weights
        .iter()
        .enumerate()
        .map(|(index, weight)| match index {
            i if i == pair.canary => ours * u128::from(canary.basis_points()),
            i if i == pair.stable => ours * u128::from(canary.rest().basis_points()),
            _ => u128::from(*weight) * 10_000,
        })
        .collect();
    let divisor = shares.iter().fold(0, |a, b| common_divisor(a, *b)).max(1);
    Ok(shares.iter().map(|s| s / divisor).collect())
}

fn common_divisor(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::reason::Reason;

    const FIRST_TWO: Pair = Pair { stable: 0, canary: 1 };

    #[test]
    fn weights_are_percents_where_they_suffice_and_basis_points_else() {
        for (now, points, wanted) in [
            (vec![100, 0], 500, vec![95, 5]),
            (vec![100, 0], 1, vec![9999, 1]),
            (vec![100, 0], 1250, vec![8750, 1250]),
            (vec![8750, 1250], 2000, vec![80, 20]),
            (vec![0, 0], 0, vec![100, 0]),
            (vec![100, 0], 10_000, vec![0, 100]),
            // What already says so keeps its spelling.
            (vec![1, 0], 0, vec![1, 0]),
            (vec![190, 10], 500, vec![190, 10]),
            // A fifth belongs to another destination.
            (vec![80, 0, 20], 2500, vec![60, 20, 20]),
            (vec![80, 0, 20], 500, vec![76, 4, 20]),
            (vec![80, 0, 20], 100, vec![7920, 80, 2000]),
            // Thirds fit into no hundred.
            (vec![2, 0, 1], 5000, vec![1, 1, 1]),
            (vec![67, 0, 33], 1, vec![669_933, 67, 330_000]),
        ] {
            assert_eq!(
                split(&now, FIRST_TWO, Percent::from_basis_points(points)),
                Ok(wanted),
                "{now:?} to {points} basis points"
            );
        }
    }

    #[test]
    fn the_smallest_weights_change_no_other_where_ours_suffice() {
        for (now, points, wanted) in [
            (vec![1, 1], 0, vec![1, 0]),
            (vec![1, 0], 500, vec![19, 1]),
            (vec![19, 1], 5000, vec![1, 1]),
            (vec![1, 1], 10_000, vec![0, 1]),
            (vec![95, 5], 500, vec![95, 5]),
            (vec![0, 0], 1000, vec![9, 1]),
            // A fifth belongs to another backend.
            (vec![80, 0, 20], 2500, vec![60, 20, 20]),
            (vec![4, 0, 1], 500, vec![19, 1, 5]),
        ] {
            let written = smallest(&now, FIRST_TWO, Percent::from_basis_points(points), 1_000_000);
            assert_eq!(written, Ok(wanted), "{now:?} to {points} basis points");
        }
        let five = Percent::whole(5);
        assert_eq!(smallest(&[0, 0, 1], FIRST_TWO, five, 1_000_000), Err(Unexpressible::NothingLeft));
        assert_eq!(smallest(&[999_983, 0, 999_979], FIRST_TWO, five, 1_000_000), Err(Unexpressible::TooLarge));
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        assert_eq!(split(&[0, 0, 100], FIRST_TWO, Percent::whole(5)), Err(Unexpressible::NothingLeft));
        let huge = [2_000_000_011, 0, 1_999_999_973];
        assert_eq!(split(&huge, FIRST_TWO, Percent::whole(5)), Err(Unexpressible::TooLarge));
    }

    #[test]
    fn a_coarser_grain_rounds_toward_stable_but_never_to_nothing() {
        let (grain, points) = (Percent::whole(1), Percent::from_basis_points);
        assert_eq!(on_grain(points(1250), grain), Ok(points(1200)));
        assert_eq!(on_grain(points(99), grain).map_err(|e| e.reason()), Err(Reason::WeightTooFine));
        assert_eq!(on_grain(Percent::ZERO, grain), Ok(Percent::ZERO));
        assert_eq!(on_grain(points(1), points(1)), Ok(points(1)));
    }

    #[test]
    fn the_lowest_terms_have_the_same_proportions() {
        for (weights, wanted) in
            [(vec![950, 50], vec![19, 1]), (vec![1000, 0, 500], vec![2, 0, 1]), (vec![0, 0], vec![0, 0])]
        {
            assert_eq!(lowest_terms(&weights), wanted);
        }
    }

    #[test]
    fn users_of_stable_are_assigned_again_by_what_is_left_of_them() {
        for (before, now, wanted) in [
            (500, 2_500, [15, 4]),
            (2_500, 5_000, [2, 1]),
            (500, 500, [1, 0]),
            (1, 2, [9_998, 1]),
            (100, 9_999, [1, 9_899]),
        ] {
            let [before, now] = [before, now].map(Percent::from_basis_points);
            assert_eq!(reassigned(before, now), wanted, "{before} to {now}");
        }
    }

    #[test]
    fn a_share_is_relative_to_our_two_weights() {
        assert_eq!(share(60, 20), Some(Percent::whole(25)));
        assert_eq!(share(0, 0), None);
        assert_eq!(share(2, 1), Some(Percent::from_basis_points(3333)));
    }
}
