//! Role metadata: labels and annotations on pods while they have a role (`canaryMetadata`, `stableMetadata`).
//!
//! They are in the ReplicaSet's pod template, so that new pods are created with them, and in the pods themselves. One
//! annotation records what was added and the previous values: it separates the user's template from the added metadata
//! ([`without`]), so a role creates no revision (rule S1), and each pod records what to remove.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The annotation in ReplicaSets' pod templates and on pods that records the role metadata.
pub const METADATA_ANNOTATION: &str = "glidepath.dev/metadata";

/// Labels and annotations for pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodMetadata {
    /// Labels. Labels of the Rollout's selector and keys of Glidepath are rejected.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl PodMetadata {
    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }

    /// Both kinds, as they are named in an object's metadata.
    fn parts(&self) -> [(&'static str, &BTreeMap<String, String>); 2] {
        [("labels", &self.labels), ("annotations", &self.annotations)]
    }
}

/// The metadata that was added to a template or pod for its role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Added {
    /// The added metadata.
    #[serde(skip_serializing_if = "PodMetadata::is_empty")]
    pub given: PodMetadata,
    /// The template's own values that it overrides.
    #[serde(skip_serializing_if = "PodMetadata::is_empty")]
    pub before: PodMetadata,
}

impl Added {
    /// The addition of this metadata to an unmodified template.
    pub fn to(pure: &Value, given: PodMetadata) -> Self {
        let own = |part: &str, wanted: &BTreeMap<String, String>| {
            let own = |key: &String| pure.pointer("/metadata")?.get(part)?.get(key)?.as_str().map(str::to_owned);
            wanted.keys().filter_map(|key| Some((key.clone(), own(key)?))).collect()
        };
        let before =
            PodMetadata { labels: own("labels", &given.labels), annotations: own("annotations", &given.annotations) };
        Added { given, before }
    }

    /// The value of the annotation.
    pub fn text(&self) -> Option<String> {
        (!self.given.is_empty()).then(|| serde_json::to_string(self).ok()).flatten()
    }

    /// A merge patch of an object's `metadata` from this to `next`.
    pub fn patch_to(&self, next: &Added) -> Value {
        let mut patch = json!({"labels": {}, "annotations": {METADATA_ANNOTATION: next.text()}});
        let before = self.before.parts();
        for ((part, given), (_, before)) in self.given.parts().into_iter().zip(before) {
            for key in given.keys() {
                patch[part][key] = before.get(key).cloned().into();
            }
        }
        for (part, given) in next.given.parts() {
            for (key, value) in given {
                patch[part][key] = value.as_str().into();
            }
        }
        patch
    }
}

/// The observed role metadata of a template or pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Carried {
    /// Nothing was added to it.
    #[default]
    Nothing,
    /// All of the added metadata is present.
    Whole(Box<Added>),
    /// Some of the added metadata is missing or changed.
    Astray(Box<Added>),
}

impl Carried {
    /// The role metadata in this object metadata.
    pub fn by(labels: Option<&BTreeMap<String, String>>, annotations: Option<&BTreeMap<String, String>>) -> Self {
        let Some(text) = annotations.and_then(|all| all.get(METADATA_ANNOTATION)) else { return Carried::Nothing };
        let Ok(added) = serde_json::from_str::<Box<Added>>(text) else { return Carried::Astray(Box::default()) };
        let there = |part: &BTreeMap<String, String>, all: Option<&BTreeMap<String, String>>| {
            part.iter().all(|(key, value)| all.and_then(|all| all.get(key)) == Some(value))
        };
        let whole = there(&added.given.labels, labels) && there(&added.given.annotations, annotations);
        // Another formatting of the annotation would never compare equal.
        let ours = added.text().as_ref() == Some(text);
        if whole && ours { Carried::Whole(added) } else { Carried::Astray(added) }
    }

    /// The role metadata of a pod template.
    pub fn by_template(template: &Value) -> Self {
        if annotation(template).is_none() {
            return Carried::Nothing;
        }
        let metadata: PodMetadata = serde_json::from_value(template["metadata"].clone()).unwrap_or_default();
        Carried::by(Some(&metadata.labels), Some(&metadata.annotations))
    }

    /// What was added, whether or not all of it is present.
    pub fn added(&self) -> Added {
        match self {
            Carried::Nothing => Added::default(),
            Carried::Whole(added) | Carried::Astray(added) => Added::clone(added),
        }
    }

    /// A short fingerprint for comparing a pod with its template.
    pub fn mark(&self) -> Mark {
        match self {
            Carried::Nothing => Mark::NOTHING,
            Carried::Whole(added) => Mark::of(added),
            Carried::Astray(_) => Mark::ASTRAY,
        }
    }
}

/// A fingerprint of a pod's role metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark(u64);

impl Mark {
    /// Nothing was added.
    pub const NOTHING: Mark = Mark(0);
    /// The added metadata was changed.
    pub const ASTRAY: Mark = Mark(1);

    /// The fingerprint of the added metadata, all of which is present.
    pub fn of(added: &Added) -> Self {
        let Some(text) = added.text() else { return Mark::NOTHING };
        let digest: [u8; 32] = Sha256::digest(text).into();
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        Mark(u64::from_be_bytes(first).max(2))
    }
}

/// The template without its role metadata.
pub fn without(mut template: Value) -> Value {
    let Some(text) = annotation(&template) else { return template };
    let added: Added = serde_json::from_str(text).unwrap_or_default();
    let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) else { return template };
    for ((part, given), (_, before)) in added.given.parts().into_iter().zip(added.before.parts()) {
        let keys = given.keys().map(String::as_str).chain([METADATA_ANNOTATION]);
        take_out(metadata, part, keys, before);
    }
    template
}

fn take_out<'a>(
    metadata: &mut Map<String, Value>,
    part: &str,
    keys: impl Iterator<Item = &'a str>,
    before: &BTreeMap<String, String>,
) {
    let Some(all) = metadata.get_mut(part).and_then(Value::as_object_mut) else { return };
    for key in keys {
        match before.get(key) {
            Some(value) => all.insert(key.to_owned(), value.as_str().into()),
            None => all.shift_remove(key),
        };
    }
    if all.is_empty() {
        metadata.shift_remove(part);
    }
}

fn annotation(template: &Value) -> Option<&str> {
    template.pointer("/metadata/annotations")?.get(METADATA_ANNOTATION)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(value: Value) -> PodMetadata {
        serde_json::from_value(value).unwrap()
    }

    fn pure() -> Value {
        json!({"metadata": {"labels": {"app": "web", "tier": "front"}}, "spec": {"containers": []}})
    }

    /// A JSON merge patch, as the API server does it (RFC 7386).
    fn merge(into: &mut Value, patch: &Value) {
        let Some(fields) = patch.as_object() else { return *into = patch.clone() };
        for (key, value) in fields {
            if value.is_null() {
                into.as_object_mut().unwrap().shift_remove(key);
            } else {
                merge(into.as_object_mut().unwrap().entry(key).or_insert(json!({})), value);
            }
        }
    }

    /// The template with this role metadata, replacing its current one.
    fn given(template: &Value, wanted: &PodMetadata) -> Value {
        let next = Added::to(&without(template.clone()), wanted.clone());
        let patch = Carried::by_template(template).added().patch_to(&next);
        let mut template = template.clone();
        merge(&mut template["metadata"], &patch);
        let annotations = &template["metadata"]["annotations"];
        if annotations.as_object().is_some_and(Map::is_empty) {
            template["metadata"].as_object_mut().unwrap().shift_remove("annotations"); // as the API server does
        }
        template
    }

    #[test]
    fn s1_what_is_added_for_a_role_is_told_apart_from_the_template() {
        let canary = metadata(json!({"labels": {"role": "canary", "tier": "trial"}, "annotations": {"note": "new"}}));
        let stable = metadata(json!({"labels": {"role": "stable"}}));
        let mut template = pure();
        for wanted in [&canary, &stable, &canary, &PodMetadata::default(), &stable] {
            template = given(&template, wanted);
            assert_eq!(without(template.clone()), pure(), "{template}");
            let carried = Carried::by_template(&template);
            assert_eq!(carried.added().given, *wanted);
            assert!(!matches!(carried, Carried::Astray(_)), "{template}");
        }
        assert_eq!(template["metadata"]["labels"], json!({"app": "web", "tier": "front", "role": "stable"}));
        assert_eq!(given(&template, &PodMetadata::default()), pure(), "and leaves nothing behind");
    }

    #[test]
    fn what_somebody_changed_is_noticed() {
        let wanted = metadata(json!({"labels": {"role": "canary"}, "annotations": {"note": "new"}}));
        let whole = given(&pure(), &wanted);
        let changes = [
            json!({"labels": {"role": null}}),
            json!({"labels": {"role": "mine"}}),
            json!({"annotations": {"note": null}}),
        ];
        for change in changes {
            let mut template = whole.clone();
            merge(&mut template["metadata"], &change);
            assert_eq!(Carried::by_template(&template).mark(), Mark::ASTRAY, "{change}");
            assert_eq!(given(&template, &wanted), whole, "{change}");
        }
        for words in ["nonsense", "{}"] {
            let mut template = whole.clone();
            template["metadata"]["annotations"][METADATA_ANNOTATION] = words.into();
            assert_eq!(Carried::by_template(&template).mark(), Mark::ASTRAY, "{words}");
        }
        let mut template = whole.clone();
        merge(&mut template["metadata"], &json!({"labels": {"other": "mine"}}));
        assert_eq!(Carried::by_template(&template).mark(), Carried::by_template(&whole).mark(), "not our business");
    }

    #[test]
    fn marks_tell_what_is_carried() {
        let of = |value: Value| Mark::of(&Added::to(&pure(), metadata(value)));
        assert_eq!(of(json!({})), Mark::NOTHING);
        assert_ne!(of(json!({"labels": {"a": "1"}})), of(json!({"annotations": {"a": "1"}})));
        assert_ne!(of(json!({"labels": {"a": "1"}})), of(json!({"labels": {"a": "2"}})));
        assert_eq!(of(json!({"labels": {"a": "1", "b": "2"}})), of(json!({"labels": {"b": "2", "a": "1"}})));
    }
}
