//! Fields of an object by JSON pointer (RFC 6901): keys of annotations have dots and slashes, so dots cannot separate names.

use serde_json::{Map, Value};

/// Every leaf by its pointer. A list is one leaf, as the API server sees lists without keys; a map without fields is none.
pub(super) fn leaves(value: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    gather(value, String::new(), &mut found);
    found
}

fn gather<'v>(value: &'v Value, at: String, found: &mut Vec<(String, &'v Value)>) {
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| gather(value, format!("{at}/{}", escaped(name)), found));
        }
        Value::Null => {}
        _ => found.push((at, value)),
    }
}

/// A name as a part of a pointer.
pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The names in a pointer.
pub(super) fn names(at: &str) -> impl Iterator<Item = String> {
    at.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~"))
}

/// The pointers to the maps around a field, the widest first.
pub(super) fn around(at: &str) -> impl Iterator<Item = &str> {
    at.match_indices('/').map(|(end, _)| &at[..end]).filter(|around| !around.is_empty())
}

/// Whether a field is one, or below it.
pub(super) fn is_within(at: &str, outer: &str) -> bool {
    at.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// As messages have it: `spec.trafficPolicy`, and a name with dots in brackets.
pub(super) fn dotted(at: &str) -> String {
    let mut text = String::new();
    for name in names(at) {
        if name.contains('.') {
            text.push_str(&format!("[{name}]"));
        } else {
            text.push_str(if text.is_empty() { "" } else { "." });
            text.push_str(&name);
        }
    }
    text
}

/// How many of the maps around a field are not there.
pub(super) fn missing(object: &Value, at: &str) -> usize {
    around(at).filter(|around| !object.pointer(around).is_some_and(Value::is_object)).count()
}

/// Sets a field, with the maps around it.
pub(super) fn set(object: &mut Value, at: &str, to: Value) {
    let mut inner = object;
    for name in names(at) {
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        inner = &mut inner[name];
    }
    *inner = to;
}

/// Takes a field out, and up to so many of the maps around it, as far as they are empty then.
pub(super) fn remove(object: &mut Value, at: &str, mut maps: usize) {
    let mut at = at;
    while let Some((around, name)) = at.rsplit_once('/') {
        let Some(map) = object.pointer_mut(around).and_then(Value::as_object_mut) else { return };
        map.shift_remove(&names(&format!("/{name}")).collect::<String>());
        if maps == 0 || !map.is_empty() {
            return;
        }
        maps -= 1;
        at = around;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_field_that_is_set_and_removed_leaves_the_others() {
        let before = json!({"metadata": {"annotations": {"a.b/c": "1"}}, "spec": {"pool": {}}});
        let wanted = json!({"metadata": {"annotations": {"x.y/~z": "2"}}, "spec": {"pool": {"tcp": {"most": [1]}}}});
        let mut object = before.clone();
        let leaves = leaves(&wanted);
        let pointers: Vec<&str> = leaves.iter().map(|(at, _)| at.as_str()).collect();
        assert_eq!(pointers, ["/metadata/annotations/x.y~1~0z", "/spec/pool/tcp/most"]);
        assert_eq!(pointers.iter().map(|at| missing(&before, at)).collect::<Vec<_>>(), [0, 1]);
        for (at, value) in &leaves {
            set(&mut object, at, (*value).clone());
            assert_eq!(object.pointer(at), Some(*value));
        }
        leaves.iter().for_each(|(at, _)| remove(&mut object, at, missing(&before, at)));
        assert_eq!(object, before);
    }

    #[test]
    fn a_pointer_is_read_as_a_path() {
        assert_eq!(dotted("/spec/trafficPolicy/tls"), "spec.trafficPolicy.tls");
        assert_eq!(
            dotted("/metadata/annotations/retry.linkerd.io~1http"),
            "metadata.annotations[retry.linkerd.io/http]"
        );
        assert!(is_within("/spec/a/b", "/spec/a") && !is_within("/spec/ab", "/spec/a"));
        assert_eq!(around("/spec/a/b").collect::<Vec<_>>(), ["/spec", "/spec/a"]);
    }
}
