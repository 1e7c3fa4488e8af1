//! The settings of a policy with those that its profile and its presets give.
//!
//! What the policy says itself comes first, then its presets, then its profile. Profiles are files in `profiles/`.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value, json};

use super::paths;
use crate::{
    api::policy::{BreakerPreset, MeshPolicySpec, RetryPreset},
    yaml,
};

/// The profiles that come with Glidepath, as files.
pub const PROFILES: [(&str, &str); 3] = [
    ("dev", include_str!("profiles/dev.yaml")),
    ("staging", include_str!("profiles/staging.yaml")),
    ("prod", include_str!("profiles/prod.yaml")),
];

/// A spec as it is carried out, and where what the policy does not say itself comes from.
#[derive(Debug)]
pub(super) struct Settings {
    pub spec: Value,
    pub origins: Vec<Origin>,
}

/// Where a field comes from that the policy does not set.
#[derive(Debug)]
pub(super) struct Origin {
    pub field: String,
    pub from: String,
}

/// What is wrong with a policy before any mesh is asked.
#[derive(Debug)]
pub(super) struct Problem {
    pub field: &'static str,
    pub why: String,
}

/// The settings of a policy. A preset is replaced by its values.
pub(super) fn of(policy: &MeshPolicySpec) -> Result<Settings, Problem> {
    let written = serde_json::to_value(policy).map_err(|error| Problem { field: "", why: error.to_string() })?;
    let mut settings = Settings { spec: written, origins: Vec::new() };
    if let Some(name) = &policy.profile {
        fill(&mut settings, "", profile(name)?, &format!("profile {name}"));
    }
    for (section, values, name) in presets(&settings.spec) {
        if let Some(section) = settings.spec[section].as_object_mut() {
            section.remove("preset");
        }
        fill(&mut settings, section, &values, &format!("preset {name}"));
    }
    match contradiction(policy, &settings) {
        Some(problem) => Err(problem),
        None => Ok(settings),
    }
}

/// The fields that a policy and its profile set: `breaker.interval`. None where its settings are refused.
pub(super) fn fields(policy: &MeshPolicySpec) -> BTreeSet<String> {
    let set = of(policy).map(|settings| paths::set(&settings.spec)).unwrap_or_default();
    set.into_iter().map(|set| set.field).collect()
}

/// What the policy itself says of its change, and its profile would skip. Where both are its own, validation refuses it.
fn contradiction(policy: &MeshPolicySpec, settings: &Settings) -> Option<Problem> {
    let from = settings.origins.iter().find(|origin| origin.field == "change.now")?;
    let change = policy.change.as_ref().filter(|_| settings.spec["change"]["now"] == true)?;
    let skipped = [
        ("change.guard", change.guard.is_some()),
        ("change.audit", change.audit.is_some()),
        ("change.waves", !change.waves.is_empty()),
        ("change.bake", change.bake.is_some()),
    ];
    let (field, _) = skipped.into_iter().find(|(_, is_set)| *is_set)?;
    let why = format!("{} sets change.now, which skips it; set change.now: false, or remove it", from.from);
    Some(Problem { field, why })
}

fn profile(name: &str) -> Result<&'static Value, Problem> {
    /// Each is read once: every plan of every policy asks.
    static READ: LazyLock<[Result<Value, String>; 3]> = LazyLock::new(|| PROFILES.map(|(_, text)| read(text)));
    let unknown = || {
        let known: Vec<&str> = PROFILES.iter().map(|(name, _)| *name).collect();
        Problem { field: "profile", why: format!("there is no profile {name}; there are {}", known.join(", ")) }
    };
    let wrong = |error: &String| Problem { field: "profile", why: format!("profile {name} cannot be read: {error}") };
    let mut profiles = PROFILES.iter().zip(READ.iter());
    let (_, profile) = profiles.find(|((known, _), _)| *known == name).ok_or_else(unknown)?;
    profile.as_ref().map_err(wrong)
}

fn read(profile: &str) -> Result<Value, String> {
    let documents = yaml::read(profile).map_err(|error| error.to_string())?;
    let document = documents.into_iter().next().ok_or("it is empty")?;
    document.map(|document| document.value).map_err(|error| error.to_string())
}

/// The values of each preset that a spec names. Sources: docs/policies.md.
fn presets(spec: &Value) -> Vec<(&'static str, Value, &'static str)> {
    let breaker = yaml::typed(&spec["breaker"]["preset"]).ok().map(|preset| match preset {
        BreakerPreset::Default => (breaker(5, "10s", "30s", 50), "default"),
        BreakerPreset::Aggressive => (breaker(3, "5s", "60s", 80), "aggressive"),
    });
    let retries = yaml::typed(&spec["retries"]["preset"]).ok().map(|preset| match preset {
        RetryPreset::Default => (json!({"attempts": 2, "on": ["connect-failure", "refused-stream"]}), "default"),
        RetryPreset::Idempotent => (
            json!({"attempts": 3, "on": ["connect-failure", "refused-stream", "gateway-error", "reset"]}),
            "idempotent",
        ),
    });
    let named = [("breaker", breaker), ("retries", retries)];
    named.into_iter().filter_map(|(section, preset)| preset.map(|(values, name)| (section, values, name))).collect()
}

fn breaker(errors: u32, interval: &str, ejection: &str, most: u32) -> Value {
    json!({"consecutiveErrors": errors, "interval": interval, "baseEjectionTime": ejection, "maxEjectionPercent": most})
}

/// Fills what the spec leaves out at a section, field by field.
fn fill(settings: &mut Settings, section: &str, values: &Value, from: &str) {
    let at = if section.is_empty() { &mut settings.spec } else { &mut settings.spec[section] };
    merge(at, values, section, from, &mut settings.origins);
}

fn merge(into: &mut Value, values: &Value, path: &str, from: &str, origins: &mut Vec<Origin>) {
    let Value::Object(values) = values else { return };
    if into.is_null() {
        *into = Value::Object(Map::new());
    }
    let Some(fields) = into.as_object_mut() else { return };
    for (name, value) in values {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match fields.get_mut(name) {
            Some(there) if there.is_object() => merge(there, value, &path, from, origins),
            Some(there) if !there.is_null() => {}
            _ => {
                fields.insert(name.clone(), value.clone());
                origins.push(Origin { field: path, from: from.to_owned() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(spec: Value) -> Value {
        of(&yaml::typed(&spec).unwrap()).unwrap().spec
    }

    #[test]
    fn the_policy_comes_before_its_preset_and_its_profile() {
        let spec = settings(json!({
            "target": {"service": "web"}, "profile": "prod",
            "breaker": {"preset": "aggressive", "interval": "1s"}, "timeouts": {"idle": "1m"},
        }));
        assert_eq!(
            spec["breaker"],
            json!({"consecutiveErrors": 3, "interval": "1s", "baseEjectionTime": "60s", "maxEjectionPercent": 80})
        );
        assert_eq!(spec["timeouts"], json!({"idle": "1m", "request": "15s"}));
        assert_eq!(spec["mtls"], json!({"mode": "Strict"}));
        assert_eq!(spec["telemetry"]["sampling"], json!(1));
        assert_eq!(spec["change"]["guard"], json!("168h"));
    }

    #[test]
    fn a_change_that_the_profile_would_skip_is_refused_by_field() {
        let spec = |change: Value| {
            yaml::typed(&json!({"target": {"service": "web"}, "profile": "dev", "change": change})).unwrap()
        };
        for (change, field) in [(json!({"guard": "1h"}), "change.guard"), (json!({"bake": "5m"}), "change.bake")] {
            let problem = of(&spec(change)).unwrap_err();
            assert_eq!(problem.field, field);
            assert_eq!(problem.why, "profile dev sets change.now, which skips it; set change.now: false, or remove it");
        }
        assert_eq!(of(&spec(json!({"guard": "1h", "now": false}))).unwrap().spec["change"]["now"], false);
        assert!(of(&spec(json!({"onFailure": "Hold"}))).is_ok());
    }

    #[test]
    fn every_profile_is_a_spec_but_for_its_target() {
        for (name, _) in PROFILES {
            let spec = settings(json!({"target": {"namespace": true}, "profile": name}));
            yaml::typed::<MeshPolicySpec>(&spec).unwrap();
            assert!(spec["mtls"]["mode"].is_string(), "{name}: {spec}");
        }
        let unknown =
            of(&yaml::typed(&json!({"target": {"namespace": true}, "profile": "test"})).unwrap()).unwrap_err();
        assert_eq!(unknown.why, "there is no profile test; there are dev, staging, prod");
    }
}
