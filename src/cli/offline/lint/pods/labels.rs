//! Labels and annotations: keys and values as Kubernetes takes them.

use serde_json::Value;

use crate::{
    api::{
        names::{label_value, qualified_name},
        validate::Finding,
    },
    yaml::join,
};

/// All annotations of an object together, in bytes.
const MOST_ANNOTATIONS: usize = 256 * 1024;

/// A pod template's labels and annotations.
pub(super) fn metadata(metadata: &Value, path: &str, found: &mut Vec<Finding>) {
    map(&metadata["labels"], &join(path, "labels"), found);
    let path = join(path, "annotations");
    let annotations = || metadata["annotations"].as_object().into_iter().flatten();
    for (key, _) in annotations() {
        // Only of annotations, the API server takes capitals before the slash.
        if let Err(why) = qualified_name(&key.to_lowercase()) {
            found.push(Finding::error(
                join(&path, key),
                format!("\"{key}\" is not a valid key for an annotation: {why}"),
            ));
        }
    }
    let size: usize = annotations().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if size > MOST_ANNOTATIONS {
        found.push(Finding::error(path, format!("must have at most {MOST_ANNOTATIONS} bytes together, got {size}")));
    }
}

/// Labels, or a selector of equal labels.
pub(super) fn map(labels: &Value, path: &str, found: &mut Vec<Finding>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        let path = join(path, key);
        if let Err(why) = qualified_name(key) {
            found.push(Finding::error(&path, format!("\"{key}\" is not a valid key for a label: {why}")));
        }
        if let Some(Err(why)) = value.as_str().map(label_value) {
            found.push(Finding::error(&path, format!("{value} is not a valid label value: {why}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn annotations_have_256_kib_together() {
        for (size, wanted) in [(MOST_ANNOTATIONS - 2, 0), (MOST_ANNOTATIONS - 1, 1)] {
            let mut found = Vec::new();
            metadata(&json!({"annotations": {"a": "", "b": "x".repeat(size)}}), "m", &mut found);
            assert_eq!(found.len(), wanted, "{size}");
            assert!(
                found.iter().all(|one| one.message.starts_with("must have at most 262144 bytes together, got 262145")),
                "{found:?}"
            );
        }
    }
}
