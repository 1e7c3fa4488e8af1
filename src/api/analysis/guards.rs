//! Guards: how often containers of the new version's pods may be OOM-killed or restart before the release fails.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Limits on what happens to the containers of the new version's pods in one attempt. They are read from the status of
/// the pods, need no metric source, and hold from the first step on. Containers that the pod template does not list
/// (init containers, sidecars), pods that are being deleted and evicted pods do not count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Guards {
    /// The number of OOM kills that do not fail the release, over all its pods, or `unlimited`. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<Allowed>,
    /// The number of container restarts that do not fail the release, over all its pods, or `unlimited`. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restarts: Option<Allowed>,
}

impl Guards {
    /// How many OOM kills do not fail the release.
    pub fn oom_kills(&self) -> Allowed {
        self.oom_kills.unwrap_or(Allowed::UpTo(0))
    }

    /// How many restarts do not fail the release.
    pub fn restarts(&self) -> Allowed {
        self.restarts.unwrap_or(Allowed::UpTo(1))
    }
}

/// How many of something are allowed: a number, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// This many at most.
    UpTo(u32),
    /// Any number.
    Unlimited,
}

/// The largest number that can be written.
const MOST: u32 = 1_000_000;

impl Allowed {
    /// Whether so many are too many.
    pub fn is_exceeded_by(self, count: u32) -> bool {
        matches!(self, Allowed::UpTo(most) if count > most)
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::UpTo(most) => write!(f, "{most}"),
            Allowed::Unlimited => f.write_str("unlimited"),
        }
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Allowed::UpTo(most) => serializer.serialize_u32(*most),
            Allowed::Unlimited => serializer.serialize_str("unlimited"),
        }
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Allowed;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 0 to {MOST}, or `unlimited`")
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Allowed, E> {
                let most = u32::try_from(value).ok().filter(|most| *most <= MOST);
                most.map(Allowed::UpTo).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(value), &self))
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Allowed, E> {
                match u64::try_from(value) {
                    Ok(value) => self.visit_u64(value),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(value), &self)),
                }
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Allowed, E> {
                if value == "unlimited" {
                    return Ok(Allowed::Unlimited);
                }
                Err(E::invalid_value(de::Unexpected::Str(value), &self))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Allowed {
    fn schema_name() -> Cow<'static, str> {
        "Allowed".into()
    }
    fn inline_schema() -> bool {
        true
    }
    /// The bounds hold for a number, the pattern for a text.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "minimum": 0,
            "maximum": MOST,
            "pattern": "^unlimited$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_unlimited() {
        let read = |json: &str| serde_json::from_str::<Guards>(json).map_err(|error| error.to_string());
        let default = read("{}").unwrap();
        assert_eq!((default.oom_kills(), default.restarts()), (Allowed::UpTo(0), Allowed::UpTo(1)));
        let off = read(r#"{"oomKills": "unlimited", "restarts": 5}"#).unwrap();
        assert!(!off.oom_kills().is_exceeded_by(u32::MAX));
        assert!(off.restarts().is_exceeded_by(6) && !off.restarts().is_exceeded_by(5));
        assert_eq!(serde_json::to_string(&off).unwrap(), r#"{"oomKills":"unlimited","restarts":5}"#);
        for wrong in [r#"{"restarts": -1}"#, r#"{"restarts": "5"}"#, r#"{"restarts": 1.5}"#, r#"{"restarts": 1000001}"#]
        {
            let said = read(wrong).unwrap_err();
            assert!(said.contains("a whole number from 0 to 1000000, or `unlimited`"), "{wrong}: {said}");
        }
    }
}
