//! Newtypes for units: percentages in basis points, durations in Go's format.

use std::{borrow::Cow, fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A percentage from 0 to 100 with a resolution of 0.01 % (one basis point). Written as a number (`5`, `0.25`) or as a
/// string (`"5%"`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(u32);

impl Percent {
    /// 0 %.
    pub const ZERO: Percent = Percent(0);
    /// 100 %.
    pub const FULL: Percent = Percent(10_000);

    /// From basis points; more than 10,000 is clamped to 100 %.
    pub const fn from_basis_points(points: u32) -> Self {
        Percent(if points > 10_000 { 10_000 } else { points })
    }

    /// From whole percent; more than 100 is clamped.
    pub const fn whole(percent: u32) -> Self {
        Percent::from_basis_points(percent.saturating_mul(100))
    }

    /// The value in basis points, 0 to 10,000.
    pub const fn basis_points(self) -> u32 {
        self.0
    }

    /// The value as a share, 0 to 1.
    pub fn share(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// The remainder to 100 %.
    pub const fn rest(self) -> Percent {
        Percent(10_000 - self.0)
    }

    /// Whether the value is 0.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The largest multiple of `grain` that is no more.
    pub fn rounded_down(self, grain: Percent) -> Percent {
        let step = grain.0.max(1);
        Percent(self.0 / step * step)
    }

    /// The smallest whole number of `total` that is at least this share: `ceil(w * total / 100)`.
    pub fn ceil_of(self, total: u32) -> u32 {
        let product = u64::from(self.0) * u64::from(total);
        u32::try_from(product.div_ceil(10_000)).unwrap_or(u32::MAX)
    }

    fn from_number(value: f64) -> Result<Self, PercentError> {
        if !(0.0..=100.0).contains(&value) {
            return Err(PercentError::Range(value.to_string()));
        }
        let points = value * 100.0;
        let rounded = points.round();
        if (points - rounded).abs() > 1e-6 {
            return Err(PercentError::Grain(value.to_string()));
        }
        Ok(Percent(rounded as u32))
    }
}

/// Why a text is not a percentage.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PercentError {
    /// Not a number at all.
    #[error("`{0}` is not a percentage; write a number from 0 to 100, like 5, 0.25 or \"25%\"")]
    Syntax(String),
    /// Below 0 or above 100.
    #[error("must be between 0 and 100, got {0}")]
    Range(String),
    /// Finer than a basis point.
    #[error("{0} is finer than the resolution of 0.01 %")]
    Grain(String),
}

impl FromStr for Percent {
    type Err = PercentError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.trim().trim_end_matches('%').trim_end();
        let value: f64 = number.parse().map_err(|_| PercentError::Syntax(text.to_owned()))?;
        Percent::from_number(value)
    }
}

impl fmt::Display for Percent {
    /// `25 %`, `0.25 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 100.0)
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(100) {
            serializer.serialize_u32(self.0 / 100)
        } else {
            serializer.serialize_f64(f64::from(self.0) / 100.0)
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Percent;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a percentage: a number from 0 to 100 or a string like \"25%\"")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Percent, E> {
                Percent::from_number(value as f64).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Percent, E> {
                Percent::from_number(value as f64).map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Percent, E> {
                Percent::from_number(value).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Percent, E> {
                value.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Percent {
    fn schema_name() -> Cow<'static, str> {
        "Percent".into()
    }
    fn inline_schema() -> bool {
        true
    }
    /// The API server has no "number or string": the field has no type there, but bounds that hold for whichever it is.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-preserve-unknown-fields": true,
            "minimum": 0,
            "maximum": 100,
            "pattern": r"^(100(\.0+)?|[0-9]{1,2}(\.[0-9]{1,2})?) ?%?$",
        })
    }
}

/// A duration as Go writes it: `90s`, `1h30m`, `500ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(Duration);

impl HumanDuration {
    /// From whole seconds.
    pub const fn secs(seconds: u64) -> Self {
        HumanDuration(Duration::from_secs(seconds))
    }

    /// The plain duration.
    pub const fn get(self) -> Duration {
        self.0
    }

    /// The duration as jiff's signed one, for arithmetic with timestamps.
    pub fn signed(self) -> jiff::SignedDuration {
        jiff::SignedDuration::try_from(self.0).unwrap_or(jiff::SignedDuration::MAX)
    }

    /// `start + self`, saturating at the end of time.
    pub fn after(self, start: jiff::Timestamp) -> jiff::Timestamp {
        start.saturating_add(self.signed()).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl From<Duration> for HumanDuration {
    fn from(value: Duration) -> Self {
        HumanDuration(value)
    }
}

/// Why a text is not a duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DurationError {
    /// No number with a unit.
    #[error("\"{0}\" is not a duration; write a number with a unit (ms, s, m, h or d), like 90s, 5m or 1h30m")]
    Syntax(String),
    /// A number without a unit, which other tools read as seconds.
    #[error("{0} is not a duration; write {1}s or {1}m")]
    Unit(String, String),
    /// Longer than is allowed.
    #[error("\"{0}\" is longer than a year, which is the maximum")]
    Long(String),
}

/// A year: longer durations are typos, and the bound keeps arithmetic on timestamps safe.
const LONGEST: f64 = 366.0 * 86_400.0;

impl FromStr for HumanDuration {
    type Err = DurationError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || DurationError::Syntax(text.to_owned());
        if text == "0" {
            return Ok(HumanDuration::default());
        }
        if text.parse::<f64>().is_ok_and(|number| number >= 0.0) && text.ends_with(|c: char| c.is_ascii_digit()) {
            return Err(DurationError::Unit(format!("\"{text}\""), text.to_owned()));
        }
        let mut rest = text;
        let mut total = 0.0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
            let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
            let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
            total += number * unit_seconds(&rest[digits..unit_end]).ok_or_else(wrong)?;
            rest = &rest[unit_end..];
        }
        if text.is_empty() {
            return Err(wrong());
        }
        if total > LONGEST {
            return Err(DurationError::Long(text.to_owned()));
        }
        Ok(HumanDuration(Duration::from_millis((total * 1000.0).round() as u64)))
    }
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    })
}

impl fmt::Display for HumanDuration {
    /// `1h30m`, `90s` as `1m30s`, `500ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.subsec_millis();
        let seconds = self.0.as_secs();
        let parts = [(seconds / 3600, "h"), (seconds % 3600 / 60, "m"), (seconds % 60, "s"), (u64::from(millis), "ms")];
        let mut written = false;
        for (value, unit) in parts {
            if value > 0 {
                write!(f, "{value}{unit}")?;
                written = true;
            }
        }
        if written { Ok(()) } else { f.write_str("0s") }
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration_text(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Parses a duration. A bare number has its own error, because other tools read it as seconds.
fn duration_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Visitor;
    impl de::Visitor<'_> for Visitor {
        type Value = String;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a duration like 90s, 5m or 1h30m")
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
        fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
            Err(E::custom(DurationError::Unit(value.to_string(), value.to_string())))
        }
        fn visit_f64<E: de::Error>(self, value: f64) -> Result<String, E> {
            Err(E::custom(DurationError::Unit(value.to_string(), value.to_string())))
        }
    }
    deserializer.deserialize_any(Visitor)
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "HumanDuration".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^(0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$", "maxLength": 32 })
    }
}

/// A delay that may also be `never`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// After this long.
    After(HumanDuration),
    /// Never.
    Never,
}

impl Serialize for Delay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Delay::After(duration) => duration.serialize(serializer),
            Delay::Never => serializer.serialize_str("never"),
        }
    }
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = duration_text(deserializer)?;
        if text == "never" {
            return Ok(Delay::Never);
        }
        text.parse().map(Delay::After).map_err(de::Error::custom)
    }
}

impl JsonSchema for Delay {
    fn schema_name() -> Cow<'static, str> {
        "Delay".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"^(never|0|([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+)$", "maxLength": 32 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_print_as_go_does() {
        for (text, seconds, shown) in [
            ("90s", 90.0, "1m30s"),
            ("1h30m", 5400.0, "1h30m"),
            ("500ms", 0.5, "500ms"),
            ("1.5m", 90.0, "1m30s"),
            ("0", 0.0, "0s"),
        ] {
            let duration: HumanDuration = text.parse().unwrap();
            assert_eq!(duration.get().as_secs_f64(), seconds, "{text}");
            assert_eq!(duration.to_string(), shown);
        }
        for wrong in ["", "5", "m", "5 m", "-1s", "5x", "99999d", "-5", "inf", "NaN"] {
            assert!(wrong.parse::<HumanDuration>().is_err(), "{wrong}");
        }
    }

    // W11.
    #[test]
    fn w11_what_is_no_duration_says_how_to_write_one() {
        for (json, words) in [
            ("10", "10 is not a duration; write 10s or 10m"),
            ("1.5", "1.5 is not a duration; write 1.5s or 1.5m"),
            ("\"10\"", "\"10\" is not a duration; write 10s"),
            ("\"400d\"", "\"400d\" is longer than a year"),
            ("\"5 minutes\"", "\"5 minutes\" is not a duration; write a number with a unit (ms, s, m, h or d)"),
            ("-1", "expected a duration like 90s"),
        ] {
            for said in [
                serde_json::from_str::<HumanDuration>(json).unwrap_err().to_string(),
                serde_json::from_str::<Delay>(json).unwrap_err().to_string(),
            ] {
                assert!(said.contains(words), "{json}: {said}");
            }
        }
    }

    #[test]
    fn percentages_are_numbers_or_strings_down_to_a_basis_point() {
        for (text, points) in [("5", 500), ("0.01", 1), ("\"25%\"", 2500), ("100", 10_000), ("12.5", 1250)] {
            let percent: Percent = serde_json::from_str(text).unwrap();
            assert_eq!(percent.basis_points(), points, "{text}");
        }
        for wrong in ["101", "-1", "0.001", "\"x\"", "true"] {
            assert!(serde_json::from_str::<Percent>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(serde_json::to_string(&Percent::whole(5)).unwrap(), "5");
        assert_eq!(Percent::from_basis_points(1).ceil_of(10), 1);
    }
}
