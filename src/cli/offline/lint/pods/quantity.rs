//! Quantities as Kubernetes writes them: `500m`, `0.5`, `1Gi`, `2e3`.

use serde_json::Value;

/// The number that a quantity means, in its base unit (cores, bytes).
pub(super) fn parse(value: &Value) -> Result<f64, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => {
            return Err(format!(
                "must be a quantity like 500m, 2 or 512Mi, got {}",
                super::super::schema::kind_of(other)
            ));
        }
    };
    read(&text).ok_or_else(|| wrong(&text))
}

fn wrong(text: &str) -> String {
    let near = meant(text).map(|right| format!("; did you mean {right}?")).unwrap_or_default();
    format!("\"{text}\" is not a quantity; write a number with a unit or none, like 500m, 2, 512Mi or 1Gi{near}")
}

/// What was probably meant: units without `B`, in their case, without a blank.
fn meant(text: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let plain = plain.trim_end_matches(['b', 'B']);
    let end = plain.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = plain.split_at(end);
    let unit = UNITS.iter().map(|(unit, _)| *unit).find(|known| known.len() > 1 && known.eq_ignore_ascii_case(unit));
    let right = unit.map_or_else(|| plain.to_owned(), |unit| format!("{number}{unit}"));
    (right != text && read(&right).is_some()).then_some(right)
}

const UNITS: [(&str, f64); 16] = [
    ("", 1.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
];

fn read(text: &str) -> Option<f64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, unit) = digits.split_at(end);
    if !number.contains(|c: char| c.is_ascii_digit()) || number.matches('.').count() > 1 {
        return None;
    }
    let size = match unit.strip_prefix(['e', 'E']) {
        Some(exponent) if !exponent.is_empty() && !exponent.starts_with('i') => 10f64.powi(exponent.parse().ok()?),
        _ => UNITS.iter().find(|(known, _)| *known == unit)?.1,
    };
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    Some(sign * format!("0{number}").parse::<f64>().ok()? * size)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for (value, number) in [
            (json!("500m"), 0.5),
            (json!("0.5"), 0.5),
            (json!(0.5), 0.5),
            (json!(2), 2.0),
            (json!("1Gi"), 1024.0 * 1024.0 * 1024.0),
            (json!("2e3"), 2000.0),
            (json!("2E3"), 2000.0),
            (json!("2E"), 2e18),
            (json!("2Ei"), 2.0 * 1_152_921_504_606_846_976.0),
            (json!("1e-3"), 0.001),
            (json!(".5"), 0.5),
            (json!("5."), 5.0),
            (json!("-1"), -1.0),
            (json!("+1k"), 1000.0),
        ] {
            assert_eq!(parse(&value), Ok(number), "{value}");
        }
        for (value, words) in [
            ("512MB", "did you mean 512M?"),
            ("512mi", "did you mean 512Mi?"),
            ("1 Gi", "did you mean 1Gi?"),
            ("1gib", "did you mean 1Gi?"),
            ("", "is not a quantity"),
            (".", "is not a quantity"),
            ("1.2.3", "is not a quantity"),
            ("half", "is not a quantity"),
            ("1K", "is not a quantity"),
            ("1e", "is not a quantity"),
        ] {
            let found = parse(&json!(value)).unwrap_err();
            assert!(found.contains(words), "{value}: {found}");
        }
        assert!(parse(&json!({})).unwrap_err().contains("got a map of fields"));
    }
}
