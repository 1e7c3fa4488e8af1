//! `-o json|yaml|name`: objects for scripts.

use std::{borrow::Cow, io::Write};

use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use super::paint;
use crate::cli::{args::global::OutputFormat, exit::CliError};

/// The objects in a format for scripts; `None` where the format is one for people.
pub fn objects<K>(format: OutputFormat, objects: &[K], as_list: bool) -> Result<Option<String>, CliError>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    if format == OutputFormat::Name {
        let kind = format!("{}.{}", K::kind(&()).to_lowercase(), K::group(&()));
        return Ok(Some(objects.iter().map(|object| format!("{kind}/{}\n", object.name_any())).collect()));
    }
    if matches!(format, OutputFormat::Table | OutputFormat::Wide) {
        return Ok(None);
    }
    value(format, &document(objects, as_list)?)
}

/// A value as JSON or YAML; `None` where the format is one for people.
pub fn value(format: OutputFormat, value: &Value) -> Result<Option<String>, CliError> {
    let text = match format {
        OutputFormat::Json => serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|e| e.to_string()),
        OutputFormat::Yaml => crate::yaml::write(value).map_err(|e| e.to_string()),
        OutputFormat::Table | OutputFormat::Wide | OutputFormat::Name => return Ok(None),
    };
    text.map(Some).map_err(|error| CliError::Failed(format!("cannot print the object: {error}")))
}

fn document<K>(objects: &[K], as_list: bool) -> Result<Value, CliError>
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let plain = |object: &K| -> Result<Value, CliError> {
        let mut value =
            serde_json::to_value(object).map_err(|e| CliError::Failed(format!("cannot print the object: {e}")))?;
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        Ok(value)
    };
    match objects {
        [one] if !as_list => plain(one),
        all => {
            let items = all.iter().map(plain).collect::<Result<Vec<_>, _>>()?;
            Ok(json!({ "apiVersion": "v1", "kind": "List", "items": items }))
        }
    }
}

/// Writes to standard output what is safe to show; a closed pipe (`| head`) is no error.
pub fn print(text: &str) -> Result<(), CliError> {
    draw(&printable(text))
}

/// Writes to standard output as it is: for a screen, whose lines were made printable one by one.
pub fn draw(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// The text with whatever could steer a terminal, or turn around what is read, written out (`\\u001b`, which JSON and quoted
/// YAML read back). Files, clusters and servers say what strangers wrote; only our own colours stay.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match paint::code_at(rest) {
            Some(code) => {
                out.push_str(code);
                code.len()
            }
            None if steers(c) => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
                c.len_utf8()
            }
            None => {
                out.push(c);
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// Control characters, and those that change the direction or the end of a line.
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    turns || c.is_control() && c != '\n' && c != '\t'
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::view::samples;

    // L1.
    #[test]
    fn l1_nothing_that_a_file_says_steers_the_terminal() {
        for (text, shown) in [
            ("plain\n\twörds █", "plain\n\twörds █"),
            ("a\u{1b}]0;title\u{7}b", "a\\u001b]0;title\\u0007b"),
            ("\u{1b}[2J\r\u{9b}1m\u{7f}", "\\u001b[2J\\u000d\\u009b1m\\u007f"),
            ("abc\u{202e}cba\u{2066}", "abc\\u202ecba\\u2066"),
        ] {
            assert_eq!(printable(text), shown, "{text:?}");
        }
        let json = serde_json::json!("a\u{7f}\u{202e}\u{1b}").to_string();
        assert_eq!(
            serde_json::from_str::<Value>(&printable(&json)).unwrap(),
            "a\u{7f}\u{202e}\u{1b}",
            "scripts read the same"
        );
    }

    #[test]
    fn scripts_get_objects_and_names() {
        let rollouts = [samples::healthy().rollout];
        assert_eq!(objects(OutputFormat::Table, &rollouts, false).unwrap(), None);
        let names = objects(OutputFormat::Name, &rollouts, true).unwrap().unwrap();
        assert_eq!(names, "rollout.glidepath.dev/checkout\n");
        let yaml = objects(OutputFormat::Yaml, &rollouts, false).unwrap().unwrap();
        assert!(yaml.starts_with("apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\n"), "{yaml}");
        let list: Value =
            serde_json::from_str(&objects(OutputFormat::Json, &rollouts, true).unwrap().unwrap()).unwrap();
        assert_eq!(
            (list["kind"].as_str(), list["items"][0]["metadata"]["name"].as_str()),
            (Some("List"), Some("checkout"))
        );
    }
}
