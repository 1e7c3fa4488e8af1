//! Anomalies: a number against the same time of earlier days, by the robust z score.
//!
//! Source: Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (1993): the median and the median absolute deviation
//! (MAD) in place of mean and standard deviation, for a day with an incident in the history must not hide the next one;
//! more than 3.5 is an outlier. The season makes it fair: traffic at noon is compared with noon. A number that is always
//! positive is compared by its logarithm, as what is usual of it is a factor. The scale is 1.4826 MAD (a normal
//! distribution's standard deviation) and at least 2 %, so that a history without noise does not make everything odd.
//!
//! ```
//! use glidepath::stats::anomaly::{Finding, anomalies};
//!
//! let noon = vec![vec![100.0, 103.0, 98.0, 101.0, 99.0]; 7];
//! let usual = anomalies(&[101.0, 99.0, 104.0, 100.0, 102.0], &noon);
//! assert!(matches!(usual, Finding::Usual { .. }));
//! let burst = anomalies(&[101.0, 99.0, 160.0, 158.0, 163.0], &noon);
//! assert!(matches!(burst, Finding::Anomalous { .. }));
//! assert_eq!(anomalies(&[101.0], &noon[..2]), Finding::NoHistory);
//! ```

use serde::{Deserialize, Serialize};

/// Further from the median than so many robust standard deviations is an outlier.
pub const OUTLIER: f64 = 3.5;
/// So many of the last [`RECENT`] values have to be outliers: one alone is a scrape that went wrong.
pub const OUTLIERS: usize = 3;
/// So many of the last values count, one a minute.
pub const RECENT: usize = 5;
/// With fewer earlier days nothing is known of what is usual.
pub const FEWEST_DAYS: usize = 3;
/// A day with fewer values around the time has no part in it.
pub const FEWEST_VALUES: usize = 5;
/// The standard deviation of a normal distribution by its MAD.
const NORMAL: f64 = 1.4826;
/// The same, as Iglewicz and Hoaglin write it.
const MODIFIED: f64 = 0.6745;
/// The smallest scale, as a share of the size.
const SMALLEST_SCALE: f64 = 0.02;
/// A score beyond says no more.
const HIGHEST: f64 = 1000.0;

/// Where numbers are, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Robust {
    /// The median.
    pub median: f64,
    /// The median absolute deviation from it.
    pub mad: f64,
}

impl Robust {
    /// Of the finite values; `None` without any.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Robust> {
        let median = median(values.iter().copied())?;
        let mad = self::median(values.iter().map(|value| (value - median).abs()))?;
        Some(Robust { median, mad })
    }

    /// The modified z score 0.6745 (x - median)/MAD, within 1,000; without spread the ends of that.
    #[must_use]
    pub fn modified_z(&self, x: f64) -> f64 {
        score(MODIFIED * (x - self.median), self.mad)
    }
}

/// What is usual at one time of the day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// The median, of logarithms where `log`.
    center: f64,
    /// One robust standard deviation, above 0 unless all was 0.
    scale: f64,
    log: bool,
}

impl Usual {
    /// By the values around the same time of earlier days; `None` with fewer than [`FEWEST_DAYS`] that have enough.
    #[must_use]
    pub fn of<D: AsRef<[f64]>>(days: &[D]) -> Option<Usual> {
        let finite = |day: &D| -> Vec<f64> { day.as_ref().iter().copied().filter(|value| value.is_finite()).collect() };
        let days: Vec<Vec<f64>> = days.iter().map(finite).filter(|day| day.len() >= FEWEST_VALUES).collect();
        if days.len() < FEWEST_DAYS {
            return None;
        }
        let mut values = days.concat();
        let log = values.iter().all(|value| *value > 0.0);
        let size = if log { 1.0 } else { values.iter().fold(0.0_f64, |size, value| size.max(value.abs())) };
        if log {
            values.iter_mut().for_each(|value| *value = value.ln());
        }
        let Robust { median, mad } = Robust::of(&values)?;
        let scale = (NORMAL * mad).max(SMALLEST_SCALE * size);
        // The spread of the largest numbers overflows: it says nothing then.
        (median.is_finite() && scale.is_finite()).then_some(Usual { center: median, scale, log })
    }

    /// How unusual a number is: the robust z score, within 1,000; negative below the median.
    #[must_use]
    pub fn z(&self, x: f64) -> f64 {
        match self.log {
            true if x > 0.0 => score(x.ln() - self.center, self.scale),
            true => -HIGHEST,
            false => score(x - self.center, self.scale),
        }
    }

    /// The median as a number of the metric.
    #[must_use]
    pub fn median(&self) -> f64 {
        if self.log { self.center.exp() } else { self.center }
    }
}

/// What is found of the last minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding {
    /// There are fewer than [`FEWEST_DAYS`] earlier days to compare with.
    NoHistory,
    /// Nothing out of the ordinary.
    Usual {
        /// The last value's score.
        z: f64,
    },
    /// At least [`OUTLIERS`] of the last [`RECENT`] values are outliers.
    Anomalous {
        /// The last value's score.
        z: f64,
    },
}

/// The last values, one a minute and the newest last, against those around the same time of earlier days.
#[must_use]
pub fn anomalies<D: AsRef<[f64]>>(now: &[f64], history: &[D]) -> Finding {
    let Some(usual) = Usual::of(history) else { return Finding::NoHistory };
    let scores: Vec<f64> = now.iter().filter(|value| value.is_finite()).map(|value| usual.z(*value)).collect();
    let z = scores.last().copied().unwrap_or(0.0);
    if is_anomalous(&scores) { Finding::Anomalous { z } } else { Finding::Usual { z } }
}

/// Whether enough of the last scores are outliers, on either side.
#[must_use]
pub fn is_anomalous(scores: &[f64]) -> bool {
    outliers(scores) >= OUTLIERS
}

/// How many of the last [`RECENT`] scores are outliers.
#[must_use]
pub fn outliers(scores: &[f64]) -> usize {
    scores.iter().rev().take(RECENT).filter(|z| z.abs() > OUTLIER).count()
}

fn score(distance: f64, scale: f64) -> f64 {
    let z = distance / scale;
    if z.is_nan() { 0.0 } else { z.clamp(-HIGHEST, HIGHEST) }
}

/// The median of the finite values; the mean of the two in the middle of an even number.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(lower / 2.0 + upper / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn days(count: usize, values: &[f64]) -> Vec<Vec<f64>> {
        vec![values.to_vec(); count]
    }

    #[test]
    fn an_incident_in_the_history_hides_nothing() {
        let mut history = days(7, &[100.0, 102.0, 98.0, 101.0, 99.0]);
        history[3] = vec![900.0; 5];
        let usual = Usual::of(&history).unwrap();
        assert!(usual.z(150.0) > OUTLIER && usual.z(103.0) < OUTLIER);
        assert!((usual.median() - 100.5).abs() < 1.0);
    }

    #[test]
    fn a_fall_is_as_odd_as_a_rise() {
        let usual = Usual::of(&days(7, &[100.0, 102.0, 98.0, 101.0, 99.0])).unwrap();
        assert!((usual.z(50.0) + usual.z(200.0)).abs() < 1e-9, "half and double are alike by the logarithm");
        assert_eq!(usual.z(0.0), -HIGHEST);
    }

    #[test]
    fn few_days_are_no_history() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(Usual::of(&days(2, &values)), None);
        assert!(Usual::of(&days(3, &values)).is_some());
        assert_eq!(Usual::of(&days(7, &values[..4])), None, "days with gaps");
        assert_eq!(Usual::of(&days(7, &[f64::NAN; 9])), None);
    }

    #[test]
    fn three_of_five_minutes_decide() {
        let history = days(7, &[100.0, 102.0, 98.0, 101.0, 99.0]);
        let of = |now: &[f64]| matches!(anomalies(now, &history), Finding::Anomalous { .. });
        assert!(of(&[150.0, 100.0, 150.0, 100.0, 150.0]));
        assert!(!of(&[150.0, 150.0, 100.0, 100.0, 100.0]));
        assert!(!of(&[150.0, 100.0, 150.0, 150.0, 100.0, 100.0, 100.0]), "those before do not count");
        assert!(!of(&[]));
    }

    #[test]
    fn what_was_always_zero_is_not() {
        let usual = Usual::of(&days(7, &[0.0; 5])).unwrap();
        assert_eq!((usual.z(0.0), usual.z(1.0)), (0.0, HIGHEST));
    }

    #[test]
    fn the_largest_numbers_are_no_history() {
        assert!(
            Usual::of(&days(7, &[f64::MAX, f64::MIN, f64::MAX, f64::MIN, f64::MAX]))
                .is_none_or(|usual| usual.z(1.0).is_finite())
        );
    }

    proptest! {
        #[test]
        fn any_numbers_give_a_number(
            history in proptest::collection::vec(proptest::collection::vec(any::<f64>(), 0..9), 0..9),
            x in any::<f64>(),
        ) {
            if let Some(usual) = Usual::of(&history) {
                prop_assert!(usual.z(x).is_finite());
                prop_assert!(!usual.median().is_nan());
            }
            if let Some(robust) = history.first().and_then(|day| Robust::of(day)) {
                prop_assert!(robust.modified_z(x).is_finite());
            }
            let _ = anomalies(&[x, x, x], &history);
        }
    }
}
