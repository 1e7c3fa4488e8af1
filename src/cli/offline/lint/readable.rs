//! A spec as its type, without the fields that cannot be read: a wrong type in one place does not hide what is wrong in others.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::yaml::{self, YamlError};

/// What could be read of a spec.
pub(super) struct Readable<T> {
    /// The spec, if all of it but single fields could be read.
    pub spec: Option<T>,
    /// What was wrong first: the path from the object's root, and the message.
    pub wrong: Option<(String, String)>,
    /// The fields that were left out.
    pub left_out: Vec<String>,
}

/// More wrong fields are not left out one by one.
const MOST_FIELDS: usize = 64;
/// Without these nothing else in a spec can be judged.
const ESSENTIAL: [&str; 11] = [
    "spec.analysis",
    "spec.metrics",
    "spec.selector",
    "spec.services",
    "spec.strategy",
    "spec.strategy.abTest",
    "spec.strategy.blueGreen",
    "spec.strategy.canary",
    "spec.strategy.canary.steps",
    "spec.template",
    "spec.traffic",
];

/// Reads what can be read.
pub(super) fn read<T: DeserializeOwned>(spec: &Value) -> Readable<T> {
    // Most specs are whole, and a copy of one takes as much memory as it does.
    if let Ok(spec) = yaml::typed::<T>(spec) {
        return Readable { spec: Some(spec), wrong: None, left_out: Vec::new() };
    }
    let mut rest = spec.clone();
    let mut read = Readable { spec: None, wrong: None, left_out: Vec::new() };
    for _ in 0..MOST_FIELDS {
        match yaml::typed::<T>(&rest) {
            Ok(spec) => {
                read.spec = Some(spec);
                return read;
            }
            Err(error) => {
                let (path, message) = placed(error);
                let gone = path.strip_prefix("spec.").and_then(|inside| without(&mut rest, inside));
                read.wrong.get_or_insert((path, message));
                match gone.map(|path| format!("spec.{path}")) {
                    Some(path) if !ESSENTIAL.contains(&path.as_str()) => read.left_out.push(path),
                    _ => return read,
                }
            }
        }
    }
    read
}

fn placed(error: YamlError) -> (String, String) {
    match error {
        YamlError::Shape { path, message } if path == "." => ("spec".to_owned(), message),
        YamlError::Shape { path, message } => (format!("spec.{path}"), message),
        other => ("spec".to_owned(), other.to_string()),
    }
}

/// Takes the field at this path out, or the nearest one around it that is no entry of a list: entries keep their indexes.
fn without(value: &mut Value, path: &str) -> Option<String> {
    let mut end = path.len();
    loop {
        let path = &path[..end];
        let (parent, field) = path.rsplit_once('.').unwrap_or(("", path));
        if !field.ends_with(']') && object(value, parent).and_then(|parent| parent.shift_remove(field)).is_some() {
            return Some(path.to_owned());
        }
        end = path.rfind(['.', '['])?;
    }
}

fn object<'v>(value: &'v mut Value, path: &str) -> Option<&'v mut serde_json::Map<String, Value>> {
    let parts = path.split(['.', '[', ']']).filter(|part| !part.is_empty());
    let found = parts.into_iter().try_fold(value, |value, part| match value {
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        other => other.get_mut(part),
    });
    found?.as_object_mut()
}

/// Whether what is said of this path follows from a field that was left out: the field itself, or an object around it.
pub(super) fn follows(path: &str, left_out: &[String]) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    left_out.iter().any(|field| within(field, path) || within(path, field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::rollout::RolloutSpec;

    #[test]
    fn what_cannot_be_read_is_left_out_and_the_rest_is_read() {
        let steps = json!([{"setWeight": "much"}, {"pause": {"duration": []}}, {"setWeight": 20}]);
        let spec = json!({"replicas": "four", "strategy": {"canary": {"steps": steps}}});
        let read = read::<RolloutSpec>(&spec);
        let steps = "spec.strategy.canary.steps";
        assert_eq!(
            read.left_out,
            ["spec.replicas".to_owned(), format!("{steps}[0].setWeight"), format!("{steps}[1].pause.duration")]
        );
        assert_eq!(read.wrong.unwrap().0, "spec.replicas");
        assert_eq!(read.spec.unwrap().strategy.canary.unwrap().steps.len(), 3);
        for essential in [json!({"strategy": 5}), json!({"strategy": {"canary": {"steps": [5]}}}), json!([])] {
            let read = super::read::<RolloutSpec>(&essential);
            assert!(read.spec.is_none() && read.wrong.is_some(), "{essential}");
        }
    }

    #[test]
    fn what_follows_from_a_field_that_was_left_out_is_known() {
        let left_out = ["spec.steps[1].pause".to_owned()];
        for (path, is) in [
            ("spec.steps[1].pause", true),
            ("spec.steps[1].pause.duration", true),
            ("spec.steps[1]", true),
            ("spec.steps", true),
            ("spec.steps[10]", false),
            ("spec.steps[1].paused", false),
            ("spec.replicas", false),
        ] {
            assert_eq!(follows(path, &left_out), is, "{path}");
        }
    }
}
