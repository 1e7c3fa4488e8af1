//! Names of revisions (rule S1): a hash over the pod template exactly as the user wrote it.
//!
//! Never over a typed struct: a library that learns a new field must not start a rollout in any cluster.

use std::borrow::Cow;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{REVISION_ANNOTATION, REVISION_LABEL};

/// The version of the hash below; a change of the algorithm gets another number and keeps the old one readable.
pub const HASH_VERSION: &str = "1";

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 10;

/// The revision id of a template: the first 10 characters, in Crockford's base32 and lower case, of the SHA-256 of its
/// canonical text.
pub fn id(template: &Value) -> String {
    base32(&Sha256::digest(canonical(&without_restart(template))), LENGTH)
}

/// What `kubectl rollout restart` writes into a template. It alone makes no revision (rules S1 and S83).
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// When the template asks for its pods to be replaced, as written.
pub fn restarted_at(template: &Value) -> Option<&str> {
    template.pointer("/metadata/annotations")?.get(RESTARTED_AT)?.as_str()
}

/// The template without that mark.
pub fn without_restart(template: &Value) -> Cow<'_, Value> {
    let mut template = Cow::Borrowed(template);
    if restarted_at(&template).is_none() {
        return template;
    }
    let Some(metadata) = template.to_mut().get_mut("metadata").and_then(Value::as_object_mut) else { return template };
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(RESTARTED_AT);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    template
}

/// The template of a ReplicaSet without what says its revision, and so as it was before it was one.
pub fn without_marks(mut template: Value) -> Value {
    let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) else { return template };
    if let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut) {
        labels.shift_remove(REVISION_LABEL);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
        && annotations.shift_remove(REVISION_ANNOTATION).is_some()
        && annotations.is_empty()
    {
        metadata.shift_remove("annotations");
    }
    template
}

/// Canonical JSON: keys sorted, nulls removed (also those in lists of objects' fields; list items stay), no spaces.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

/// The images of a template's containers, in their order.
pub fn images(template: &Value) -> Vec<String> {
    template
        .pointer("/spec/containers")
        .and_then(Value::as_array)
        .map(|containers| containers.iter().filter_map(|c| Some(c.get("image")?.as_str()?.to_owned())).collect())
        .unwrap_or_default()
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_by(|a, b| a.0.cmp(b.0));
            text.push('{');
            for (index, (key, value)) in fields.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

pub(super) fn base32(bytes: &[u8], length: usize) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    (0..length)
        .map(|index| {
            let digit = (0..5).fold(0, |digit, offset| digit << 1 | bit(index * 5 + offset));
            char::from(ALPHABET[digit])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn s1_the_id_ignores_order_and_nulls_and_nothing_else() {
        let one = json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": [{"image": "x:1"}]}});
        let same = json!({"spec": {"containers": [{"image": "x:1", "resources": null}]},
            "metadata": {"creationTimestamp": null, "labels": {"b": "2", "a": "1"}}});
        assert_eq!(id(&one), id(&same));
        for other in [
            json!({"metadata": {"labels": {"a": "1", "b": "3"}}, "spec": {"containers": [{"image": "x:1"}]}}),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": [{"image": "x:2"}]}}),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"containers": [{"image": "x:1", "args": []}]}}),
        ] {
            assert_ne!(id(&one), id(&other), "{other}");
        }
    }

    #[test]
    fn s1_a_restart_is_no_revision() {
        let plain = json!({"metadata": {"labels": {"a": "1"}}, "spec": {}});
        let marked = json!({"metadata": {"labels": {"a": "1"}, "annotations": {RESTARTED_AT: "2026-01-01T00:00:00Z"}}, "spec": {}});
        assert_eq!((id(&plain), restarted_at(&plain)), (id(&marked), None));
        assert_eq!(restarted_at(&marked), Some("2026-01-01T00:00:00Z"));
        let other = json!({"metadata": {"labels": {"a": "1"}, "annotations": {"b": "1"}}, "spec": {}});
        assert_ne!(id(&plain), id(&other));
    }

    /// These ids name ReplicaSets in users' clusters: they never change.
    #[test]
    fn s1_ids_are_the_same_for_ever() {
        assert_eq!(
            canonical(&json!({"b": [1, null, {"c": null}], "a": "\u{e9}\n"})),
            "{\"a\":\"\u{e9}\\n\",\"b\":[1,null,{}]}"
        );
        // printf '{}' | sha256sum = 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a
        assert_eq!(id(&json!({})), "8g9pz8tnpd");
    }

    #[test]
    fn base32_takes_five_bits_a_digit() {
        for (bytes, digits) in
            [(&[0u8; 7][..], "0000000000"), (&[0xff; 7], "zzzzzzzzzz"), (&[0x08, 0x42, 0x10, 0, 0, 0, 0], "1111000000")]
        {
            assert_eq!(base32(bytes, 10), digits);
        }
    }
}
