//! A count of pods as Kubernetes reads an IntOrString: a number is pods, a text is a percentage and ends with `%`.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The maximum number of pods in any field, as for `spec.replicas`. It keeps sums of pods far from overflow.
pub const MOST_PODS: u32 = 100_000;
/// The largest percentage: `maxSurge` may be above 100 %, as in a Deployment.
const MOST_SHARE: u32 = 9_999;

/// A whole number of pods or a share of the desired replicas (`3` or `"25%"`), as in a Deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PodCount {
    /// A number of pods, at most [`MOST_PODS`].
    Pods(u32),
    /// A percentage of the desired replicas, whole; 100 and more are possible.
    Share(u32),
}

impl PodCount {
    /// Resolved against `replicas`, rounded up, at most [`MOST_PODS`].
    pub fn round_up(self, replicas: u32) -> u32 {
        self.resolved(replicas, |hundredths| hundredths.div_ceil(100))
    }

    /// Resolved against `replicas`, rounded down, at most [`MOST_PODS`].
    pub fn round_down(self, replicas: u32) -> u32 {
        self.resolved(replicas, |hundredths| hundredths / 100)
    }

    fn resolved(self, replicas: u32, rounded: impl Fn(u64) -> u64) -> u32 {
        let pods = match self {
            PodCount::Pods(pods) => u64::from(pods),
            PodCount::Share(percent) => rounded(u64::from(percent) * u64::from(replicas)),
        };
        u32::try_from(pods).unwrap_or(MOST_PODS).min(MOST_PODS)
    }

    fn pods(count: u64) -> Result<Self, PodCountError> {
        let pods = u32::try_from(count).ok().filter(|count| *count <= MOST_PODS);
        pods.map(PodCount::Pods).ok_or(PodCountError::Many(count))
    }
}

/// Why a value is not a count of pods.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PodCountError {
    /// More than there can be.
    #[error("must be at most {MOST_PODS}, got {0}")]
    Many(u64),
    /// Below 0.
    #[error("{0} is negative; write a number of pods, like 1, or a percentage, like \"25%\"")]
    Negative(String),
    /// A number as a text: a Deployment refuses it too.
    #[error("\"{0}\" is not a percentage; write {0} for pods, or \"{0}%\"")]
    Quoted(String),
    /// A percentage with a fraction.
    #[error("{0} is not a whole number; write a whole number of pods or a whole percentage, like \"25%\"")]
    Fraction(String),
    /// A percentage above what is allowed.
    #[error("must be at most {MOST_SHARE}%, got \"{0}\"")]
    Large(String),
    /// Anything else.
    #[error("\"{0}\" is neither a number of pods nor a percentage; write a number, like 1, or a string like \"25%\"")]
    Syntax(String),
}

impl FromStr for PodCount {
    type Err = PodCountError;

    /// The text of a percentage. Digits, then `%`: nothing else, as Kubernetes has it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix('%').unwrap_or(text);
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if digits(number) {
            if number == text {
                return Err(PodCountError::Quoted(text.to_owned()));
            }
            let share = number.parse().ok().filter(|share| *share <= MOST_SHARE);
            return share.map(PodCount::Share).ok_or_else(|| PodCountError::Large(text.to_owned()));
        }
        let quoted = || format!("\"{text}\"");
        Err(match (number.strip_prefix('-'), number.split_once('.')) {
            (Some(rest), _) if digits(&rest.replacen('.', "", 1)) => PodCountError::Negative(quoted()),
            (_, Some((whole, part))) if digits(whole) && digits(part) => PodCountError::Fraction(quoted()),
            _ => PodCountError::Syntax(text.to_owned()),
        })
    }
}

impl fmt::Display for PodCount {
    /// `3`, `25%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PodCount::Pods(pods) => write!(f, "{pods}"),
            PodCount::Share(percent) => write!(f, "{percent}%"),
        }
    }
}

impl Serialize for PodCount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            PodCount::Pods(pods) => serializer.serialize_u32(*pods),
            PodCount::Share(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for PodCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = PodCount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of pods or a string like \"25%\"")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<PodCount, E> {
                PodCount::pods(value).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<PodCount, E> {
                let count = u64::try_from(value).map_err(|_| PodCountError::Negative(value.to_string()));
                count.and_then(PodCount::pods).map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<PodCount, E> {
                // kubectl sends 3.0 for what was written as such.
                let whole = value.fract() == 0.0 && (0.0..=f64::from(MOST_PODS)).contains(&value);
                let error = if value < 0.0 { PodCountError::Negative } else { PodCountError::Fraction };
                if whole { PodCount::pods(value as u64) } else { Err(error(value.to_string())) }.map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<PodCount, E> {
                value.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for PodCount {
    fn schema_name() -> Cow<'static, str> {
        "PodCount".into()
    }
    fn inline_schema() -> bool {
        true
    }
    /// The bounds hold for a number, the pattern for a text.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "minimum": 0,
            "maximum": MOST_PODS,
            "pattern": "^[0-9]{1,4}%$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<PodCount, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn pod_counts_round_as_a_deployment_does() {
        let share = read("\"25%\"").unwrap();
        assert_eq!((share.round_up(10), share.round_down(10)), (3, 2));
        let pods = read("2").unwrap();
        assert_eq!((pods.round_up(10), pods.round_down(10)), (2, 2));
        assert_eq!(read("\"200%\"").unwrap().round_up(10), 20, "a Deployment takes it");
        assert_eq!(read("\"9999%\"").unwrap().round_up(MOST_PODS), MOST_PODS, "no sum overflows");
        for count in ["3", "\"25%\""] {
            assert_eq!(serde_json::to_string(&read(count).unwrap()).unwrap(), count);
        }
    }

    // W6, W10: the inputs are quoted-number-of-pods.yaml and surge-beyond-u32.yaml.
    #[test]
    fn w6_a_text_is_a_percentage_and_says_so() {
        for (json, words) in [
            ("\"4\"", "\"4\" is not a percentage; write 4 for pods, or \"4%\""),
            ("\"-1\"", "\"-1\" is negative; write a number of pods"),
            ("-1", "-1 is negative; write a number of pods"),
            ("\"-25%\"", "\"-25%\" is negative"),
            ("\"12.5%\"", "\"12.5%\" is not a whole number; write a whole number of pods or a whole percentage"),
            ("2.5", "2.5 is not a whole number"),
            ("\"10000%\"", "must be at most 9999%, got \"10000%\""),
            ("\"\"", "\"\" is neither a number of pods nor a percentage"),
            ("\"25 %\"", "\"25 %\" is neither"),
            ("\"%\"", "\"%\" is neither"),
            ("4294967295", "must be at most 100000, got 4294967295"),
            ("100001", "must be at most 100000, got 100001"),
        ] {
            let said = read(json).unwrap_err();
            assert!(said.contains(words), "{json}: {said}");
        }
    }
}
