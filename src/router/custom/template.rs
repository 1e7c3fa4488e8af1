//! One match of a header as an entry of a mesh's list, with the name and the value to be filled in.
//!
//! Whoever may create Rollouts writes the template, and the controller writes what it says into an object that they need not be
//! allowed to write. So it holds nothing but what tells one kind of match from another: fields, `true` or `false`, and words.

use serde_json::{Map, Value};

use super::path::is_field;

const NAME: &str = "{name}";
const VALUE: &str = "{value}";
/// Objects within each other.
const DEEPEST: usize = 4;
const MOST_LEAVES: usize = 8;
const LONGEST_WORD: usize = 32;

/// A valid template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    body: Value,
    /// Where the name of the header is, as a JSON pointer.
    name: String,
}

impl Template {
    /// Reads a template; or what is wrong with it.
    pub(super) fn parse(body: &Value) -> Result<Self, String> {
        let mut leaves = Vec::new();
        leaves_of(body, "", DEEPEST, &mut leaves)?;
        if leaves.len() > MOST_LEAVES {
            return Err(format!("it has more than {MOST_LEAVES} fields"));
        }
        let places = |text: &str| -> Vec<&String> {
            leaves.iter().filter(|(_, leaf)| *leaf == text).map(|(at, _)| at).collect()
        };
        match (places(NAME).as_slice(), places(VALUE).len()) {
            ([name], 1) => Ok(Template { body: body.clone(), name: (*name).clone() }),
            _ => Err(format!("one field must be \"{NAME}\" and one \"{VALUE}\"")),
        }
    }

    /// The entry for a header.
    pub(super) fn filled(&self, name: &str, value: &str) -> Value {
        filled(&self.body, name, value)
    }

    /// The header that an entry of the list is for.
    pub(super) fn header<'v>(&self, entry: &'v Value) -> Option<&'v str> {
        entry.pointer(&self.name)?.as_str()
    }
}

/// Every leaf with its pointer. An error where there is anything but objects, words and truth values.
fn leaves_of(value: &Value, at: &str, depth: usize, leaves: &mut Vec<(String, Value)>) -> Result<(), String> {
    let fields = match value {
        Value::Object(fields) if depth > 0 && !fields.is_empty() => fields,
        Value::Bool(_) if !at.is_empty() => {
            leaves.push((at.to_owned(), value.clone()));
            return Ok(());
        }
        Value::String(text) if !at.is_empty() && (text == NAME || text == VALUE || is_word(text)) => {
            leaves.push((at.to_owned(), value.clone()));
            return Ok(());
        }
        _ => {
            return Err(format!(
                "it must be an object of fields that are \"{NAME}\", \"{VALUE}\", a word, true or false"
            ));
        }
    };
    fields.iter().try_for_each(|(field, inner)| match is_field(field) {
        true => leaves_of(inner, &format!("{at}/{field}"), depth - 1, leaves),
        false => Err(format!("`{field}` is not the name of a field")),
    })
}

/// What a mesh calls a kind of match, such as `RegularExpression`.
fn is_word(text: &str) -> bool {
    is_field(text) && text.len() <= LONGEST_WORD
}

fn filled(body: &Value, name: &str, value: &str) -> Value {
    match body {
        Value::String(text) if text == NAME => name.into(),
        Value::String(text) if text == VALUE => value.into(),
        Value::Object(fields) => {
            let fields: Map<String, Value> =
                fields.iter().map(|(field, inner)| (field.clone(), filled(inner, name, value))).collect();
            fields.into()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_template_is_filled_and_read_back() {
        for (body, wanted) in [
            (
                json!({"header": {"name": "{name}", "exact": "{value}"}}),
                json!({"header": {"name": "x-a", "exact": "{name}"}}),
            ),
            (
                json!({"type": "Exact", "name": "{name}", "value": "{value}"}),
                json!({"type": "Exact", "name": "x-a", "value": "{name}"}),
            ),
            (
                json!({"name": "{name}", "value": "{value}", "regex": true}),
                json!({"name": "x-a", "value": "{name}", "regex": true}),
            ),
        ] {
            let template = Template::parse(&body).unwrap();
            // A value that looks like a placeholder stays.
            let filled = template.filled("x-a", "{name}");
            assert_eq!(filled, wanted);
            assert_eq!(template.header(&filled), Some("x-a"));
            assert_eq!(template.header(&json!({"prefix": "/"})), None);
        }
    }

    // H7: a template is no way to write anything else.
    #[test]
    fn h7_what_is_no_match_is_refused() {
        for body in [
            json!("{name}"),
            json!(["{name}", "{value}"]),
            json!({"name": "{name}"}),
            json!({"name": "{name}", "value": "{value}", "again": "{value}"}),
            json!({"name": "{name}", "value": "is {value}"}),
            json!({"name": "{name}", "value": "{value}", "config": {"functions": ["return"]}}),
            json!({"name": "{name}", "value": "{value}", "config": "return function() end"}),
            json!({"name": "{name}", "value": "{value}", "weight": 1}),
            json!({"name": "{name}", "value": "{value}", "a/b": true}),
            json!({"name": "{name}", "value": "{value}", "none": {}}),
            json!({"a": {"b": {"c": {"d": {"name": "{name}", "value": "{value}"}}}}}),
        ] {
            assert!(Template::parse(&body).is_err(), "{body}");
        }
    }
}
