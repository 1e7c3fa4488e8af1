//! The evidence in one line: `1.34 % vs 0.10 % (9/671 vs 6/6039), ratio 13.5, 95 % CS 2.6-86, p = 0.0002`.

use std::fmt;

use super::{sequence::Interval, state::Assessment};

impl fmt::Display for Assessment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.counts;
        let (Some(canary), Some(baseline)) = (counts.canary_rate(), counts.baseline_rate()) else {
            return out.write_str("no comparable traffic yet");
        };
        write!(out, "{:.2} % vs {:.2} % ", canary * 100.0, baseline * 100.0)?;
        write!(out, "({}/{} vs {}/{})", counts.kc, counts.nc, counts.kb, counts.nb)?;
        if let Some(ratio) = self.ratio {
            write!(out, ", ratio {}", significant(ratio, 3))?;
        }
        if let Some(interval) = self.interval {
            write!(out, ", 95 % CS {interval}")?;
        }
        write!(out, ", {}", p_value(self.p))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = significant(self.low, 2);
        match self.high {
            Some(high) => write!(out, "{low}-{}", significant(high, 2)),
            None => write!(out, "over {low}"),
        }
    }
}

/// `value` to so many significant digits, without an exponent: 13.5, 0.0002, 86.
pub(crate) fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(digits - 1 - magnitude).unwrap_or(0).min(12);
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `p = 0.02`: one significant digit; what is smaller than anyone needs is said to be so.
pub(crate) fn p_value(p: f64) -> String {
    if p < 1e-6 { "p < 0.000001".to_owned() } else { format!("p = {}", significant(p, if p > 0.1 { 2 } else { 1 })) }
}

#[cfg(test)]
mod tests {
    use super::super::{config::RatioConfig, counts::Counts, state::RatioState};
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        let table = [
            (13.5, 3, "13.5"),
            (85.74, 2, "86"),
            (2.5818, 2, "2.6"),
            (0.0, 3, "0"),
            (1234.5, 2, "1234"),
            (1.0, 2, "1"),
            (0.000_202_5, 1, "0.0002"),
            (3e-26, 2, "0"),
        ];
        for (value, digits, text) in table {
            assert_eq!(significant(value, digits), text, "{value}");
        }
        assert_eq!(p_value(1.0), "p = 1");
        assert_eq!(p_value(1e-9), "p < 0.000001");
    }

    #[test]
    fn the_line_says_rates_counts_ratio_interval_and_p() {
        let line = |counts| {
            let mut state = RatioState::new();
            state.observe(&RatioConfig::DEFAULT, counts, 15);
            state.assess(&RatioConfig::DEFAULT).to_string()
        };
        let table = [
            (
                Counts { kc: 9, nc: 671, kb: 6, nb: 6039 },
                "1.34 % vs 0.10 % (9/671 vs 6/6039), ratio 13.5, 95 % CS 2.6-86, p = 0.0003",
            ),
            (Counts::default(), "no comparable traffic yet"),
            (Counts { kc: 0, nc: 10, kb: 0, nb: 90 }, "0.00 % vs 0.00 % (0/10 vs 0/90), p = 1"),
        ];
        for (counts, text) in table {
            assert_eq!(line(counts), text);
        }
        assert!(line(Counts { kc: 50, nc: 1000, kb: 0, nb: 900 }).contains("95 % CS over "));
    }
}
