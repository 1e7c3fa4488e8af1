//! What every chart is: a drawing, and the table of its numbers.

/// A drawing and the same numbers as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// The drawing: an `svg` element with its own style, title and description.
    pub svg: String,
    /// The names of the table's columns.
    pub head: Vec<&'static str>,
    /// Its rows: a point each.
    pub rows: Vec<Vec<String>>,
}

/// A moment that is marked on the time axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When, in unix seconds.
    pub at: i64,
    /// What happened, in a word or two.
    pub label: String,
}

/// `14:05:22`, in UTC.
pub fn clock(at: i64) -> String {
    let second = at.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// A number with at most three digits that matter, and no exponent: `0.012`, `1.25`, `1200`.
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let magnitude = value.abs();
    let text = match magnitude {
        _ if magnitude >= 1e7 => format!("{value:.1e}"),
        _ if magnitude >= 100.0 => format!("{value:.0}"),
        _ if magnitude >= 10.0 => format!("{value:.1}"),
        _ if magnitude >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').replace("-0", "0").to_owned(),
        false => text,
    }
}

/// A share as a percentage: `1.25 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", short(share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (1.25, "1.25"),
            (0.012_34, "0.0123"),
            (12.34, "12.3"),
            (1_234.5, "1234"),
            (1.25e9, "1.2e9"),
            (f64::NAN, "-"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!(percent(0.0125), "1.25 %");
        for (at, text) in [(0, "00:00:00"), (1_795_269_922, "14:05:22"), (-1, "23:59:59")] {
            assert_eq!(clock(at), text);
        }
    }
}
