//! From values to places: linear and logarithmic axes with ticks where people expect them.

/// The farthest that a logarithmic axis reaches, so that one wild number does not flatten the others.
const SMALLEST: f64 = 0.01;
const LARGEST: f64 = 100.0;

/// An axis. Total: a value beyond its ends, or no number, is placed at an end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    is_log: bool,
}

impl Scale {
    /// An axis from `low` to `high` that is drawn between two places.
    pub(super) fn linear((low, high): (f64, f64), (from, to): (f64, f64)) -> Scale {
        let high = if high > low { high } else { low + 1.0 };
        Scale { low, high, from, to, is_log: false }
    }

    /// A logarithmic axis around these values; 1 is always on it.
    pub(super) fn log(values: impl Iterator<Item = f64>, (from, to): (f64, f64)) -> Scale {
        let known = values.filter(|value| value.is_finite() && *value > 0.0);
        let (low, high) = known.fold((0.8_f64, 1.25_f64), |(low, high), value| (low.min(value), high.max(value)));
        let ticks = log_ticks();
        let low = low.max(SMALLEST);
        let high = high.min(LARGEST);
        let below = ticks.iter().rev().find(|tick| **tick <= low).copied().unwrap_or(SMALLEST);
        let above = ticks.iter().find(|tick| **tick >= high).copied().unwrap_or(LARGEST);
        Scale { low: below, high: above, from, to, is_log: true }
    }

    /// Where a value is drawn.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = if value.is_nan() { self.low } else { value.clamp(self.low, self.high) };
        let part = match self.is_log {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        self.from + (self.to - self.from) * if part.is_finite() { part } else { 0.0 }
    }

    /// The values that are written beside it.
    pub(super) fn ticks(&self) -> Vec<f64> {
        match self.is_log {
            true => log_ticks().into_iter().filter(|tick| (self.low..=self.high).contains(tick)).collect(),
            false => (0..=4).map(|quarter| self.low + (self.high - self.low) * f64::from(quarter) / 4.0).collect(),
        }
    }
}

/// 1, 2 and 5 times each power of ten.
fn log_ticks() -> Vec<f64> {
    vec![0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
}

/// The least of 1, 2, 4 and 8 times a power of ten that is no less: the end of a linear axis whose quarters are round.
pub(super) fn round_up(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powi(value.log10().floor().clamp(-12.0, 14.0) as i32);
    [1.0, 2.0, 4.0, 8.0, 10.0].into_iter().map(|unit| unit * power).find(|end| *end >= value).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_place_on_the_axis() {
        let log = Scale::log([0.5, 13.5, f64::INFINITY, f64::NAN, -3.0].into_iter(), (100.0, 0.0));
        assert_eq!((log.place(0.5), log.place(20.0)), (100.0, 0.0));
        let linear = Scale::linear((0.0, 0.0), (0.0, 50.0));
        for scale in [log, linear] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -1.0, 1e300] {
                assert!((0.0..=100.0).contains(&scale.place(value)), "{scale:?} {value}");
            }
        }
        assert_eq!(log.ticks(), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]);
        assert_eq!(linear.ticks(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn ends_are_round() {
        for (value, end) in [(0.0134, 0.02), (0.0, 1.0), (1.0, 1.0), (3.0, 4.0), (9.0, 10.0), (f64::NAN, 1.0)] {
            assert!((round_up(value) - end).abs() < 1e-12, "{value}");
        }
    }
}
