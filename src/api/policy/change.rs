//! How a change of a policy takes effect: checked against the callers seen, in waves, watched, reverted.

use std::borrow::Cow;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::Value;

use crate::api::{
    common::{HumanDuration, Percent},
    strategy::Judged,
};

/// How a change is checked, rolled out and reverted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.now) || !self.now || (!has(self.guard) && !has(self.audit) && !has(self.waves) && !has(self.bake))",
    "now skips guard, audit, waves and bake; remove them or now"
))]
pub struct Change {
    /// How far back callers are looked for that the change would cut. Default 1h where callers can be cut; else none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<HumanDuration>,
    /// How long denials are only counted, where the mesh can do that, before they take effect. Default: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<HumanDuration>,
    /// How many workloads have the change after each wave: a number or a share. Default: all at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub waves: Vec<Wave>,
    /// How long each wave is watched. Default 5m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bake: Option<HumanDuration>,
    /// The analysis of the target while the change is watched. Default: its requests fail no more than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Judged>,
    /// What happens when it is judged bad: `Revert` (default), or `Hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnRejection>,
    /// Skips all of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<bool>,
}

/// What happens to a change that is judged bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnRejection {
    /// The former policy is written back.
    #[default]
    Revert,
    /// The change stays as far as it is, and waits for an operator.
    Hold,
}

/// How far a wave reaches: `1` (a number of workloads) or `25%` (a share of them, rounded up).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wave {
    /// So many workloads.
    Count(u32),
    /// This share of them.
    Share(Percent),
}

impl Wave {
    /// How many of `all` workloads have the change after it: at least one.
    pub fn of(self, all: u32) -> u32 {
        let reached = match self {
            Wave::Count(count) => count,
            Wave::Share(share) => share.ceil_of(all),
        };
        reached.clamp(1, all.max(1))
    }
}

impl Serialize for Wave {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Wave::Count(count) => serializer.serialize_u32(*count),
            Wave::Share(share) => serializer.collect_str(&format_args!("{}%", share.share() * 100.0)),
        }
    }
}

impl<'de> Deserialize<'de> for Wave {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(deserializer)?;
        let share = written.as_str().filter(|text| text.ends_with('%'));
        let share = share.and_then(|text| text.parse().ok()).map(Wave::Share);
        let count = || written.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
        let wave = share.or_else(|| count().map(Wave::Count));
        wave.ok_or_else(|| {
            D::Error::custom(format!(
                "{written} is not a wave; write a number of workloads like 1, or a share like 25%"
            ))
        })
    }
}

impl JsonSchema for Wave {
    fn schema_name() -> Cow<'static, str> {
        "Wave".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "minimum": 1,
            "pattern": r"^(100|[0-9]{1,2})(\.[0-9]{1,2})?%$",
        })
    }
}
