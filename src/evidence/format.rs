//! Formatting of numbers and notes for display.

pub(crate) use crate::stats::p_value;
use crate::stats::{Assessment, Counts, Interval, significant};

/// `7,412`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `0.12 % (9/7,412)`; nothing before the first request.
pub fn rate(bad: u64, total: u64) -> String {
    if total == 0 {
        return "no requests".to_owned();
    }
    let percent = bad as f64 * 100.0 / total as f64;
    let percent = if bad == 0 { "0".to_owned() } else { decimals(percent) };
    format!("{percent} % ({}/{})", grouped(bad), grouped(total))
}

fn decimals(percent: f64) -> String {
    if percent < 0.01 { significant(percent, 1) } else { format!("{percent:.2}") }
}

/// `ratio 1.2, 95 % CS 0.5-2.9, p = 1`.
pub fn comparison(seen: &Assessment) -> String {
    let mut parts = Vec::new();
    if let Some(ratio) = seen.ratio {
        parts.push(format!("ratio {}", significant(ratio, 3)));
    }
    if let Some(interval) = seen.interval {
        parts.push(format!("95 % CS {interval}"));
    }
    if seen.counts != Counts::default() {
        parts.push(p_value(seen.p));
    }
    parts.join(", ")
}

/// `ratio 3, 95 % CS 2.1-4.4, p = 0.0002`.
pub fn evidence_of(ratio: Option<f64>, interval: Option<Interval>, p: f64) -> String {
    let ratio = ratio.map(|ratio| format!("ratio {}", significant(ratio, 3)));
    let interval = interval.map(|interval| format!("95 % CS {interval}"));
    ratio.into_iter().chain(interval).chain([p_value(p)]).collect::<Vec<_>>().join(", ")
}

/// A response time in seconds: `82 ms`, `2.5 ms`, `1.25 s`.
pub fn time(seconds: f64) -> String {
    let milliseconds = seconds * 1000.0;
    if seconds >= 0.9995 {
        format!("{} s", significant(seconds, 3))
    } else if milliseconds >= 9.95 {
        format!("{milliseconds:.0} ms")
    } else {
        format!("{} ms", significant(milliseconds, 2))
    }
}

/// A share of requests: `12.1 %`, `0.045 %`.
pub fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 || percent >= 0.95 { format!("{percent:.1} %") } else { format!("{} %", significant(percent, 2)) }
}

/// `1,900`: a forecast, rounded up to two digits.
pub fn about(value: u64) -> String {
    let mut unit = 1_u64;
    while value / unit >= 100 {
        unit *= 10;
    }
    grouped(value.div_ceil(unit) * unit)
}

/// A measured number: `0.997`, `12`.
pub fn number(value: f64) -> String {
    significant(value, 4)
}

/// A ratio: `13.5`.
pub fn ratio(value: f64) -> String {
    significant(value, 3)
}

/// `0.003`, `1.8`: two digits.
pub fn few_digits(value: f64) -> String {
    significant(value, 2)
}

/// A share in percentage points: `4.3`. Less than a millionth of one is what is left of sums, and differs after a restart.
pub fn points(share: f64) -> String {
    few_digits((share * 1e8).round() / 1e6 + 0.0) // no minus zero
}

/// An e-value by its logarithm: `0.02`, `4,100`; beyond a million by its power of ten.
pub fn evidence(log_e: f64) -> String {
    let power = log_e / std::f64::consts::LN_10;
    if power >= 6.0 { format!("10^{}", power.floor()) } else { significant(log_e.exp(), 2) }
}

/// Notes are few, and each is reported once.
pub fn note(notes: &mut Vec<String>, new: &[String]) {
    for text in new {
        let kind = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        notes.retain(|known| kind(known) != kind(text));
        notes.push(text.clone());
    }
    let surplus = notes.len().saturating_sub(15);
    notes.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_sum_is_no_points() {
        assert_eq!([1e-14, 0.0, -1e-14, 0.043, 2e-8].map(points), ["0", "0", "0", "4.3", "0.000002"]);
    }

    #[test]
    fn response_times_and_shares_read_as_people_write_them() {
        let times = [0.0822, 0.25, 0.0025, 1.25, 0.99964, 0.0, 12.345].map(time);
        assert_eq!(times, ["82 ms", "250 ms", "2.5 ms", "1.25 s", "1 s", "0 ms", "12.3 s"]);
        assert_eq!([0.1214, 0.04, 0.0, 0.00045, 1.0].map(share), ["12.1 %", "4.0 %", "0.0 %", "0.045 %", "100.0 %"]);
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        for (value, text) in [(0, "0"), (999, "999"), (7412, "7,412"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(value), text);
        }
        for (bad, total, text) in [
            (9, 7412, "0.12 % (9/7,412)"),
            (0, 50, "0 % (0/50)"),
            (1, 100_000, "0.001 % (1/100,000)"),
            (0, 0, "no requests"),
        ] {
            assert_eq!(rate(bad, total), text);
        }
        for (value, text) in [(0, "0"), (7, "7"), (1881, "1,900"), (99, "99"), (101, "110"), (12_345, "13,000")] {
            assert_eq!(about(value), text);
        }
    }
}
