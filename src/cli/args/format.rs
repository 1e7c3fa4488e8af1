//! `-o`: the output formats.

use std::ffi::OsStr;

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, TypedValueParser},
    error::ErrorKind,
};

use crate::cli::render::jsonpath::Template;

/// `-o`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum OutputFormat {
    /// Human-readable
    #[default]
    Table,
    /// Human-readable, with more columns and absolute times
    Wide,
    /// The objects as JSON
    Json,
    /// The objects as YAML
    Yaml,
    /// Only `kind/name`, one per line
    Name,
    /// SARIF 2.1.0, of `lint`
    Sarif,
    /// JUnit XML, of `lint` and `simulate`
    Junit,
    /// Annotations of GitHub Actions, of `lint`
    Github,
    /// What a template of kubectl's kind makes of the objects. It is read once and lives as long as the program.
    JsonPath(&'static Template),
}

/// What is said of the formats for CI where they do not apply.
pub const FOR_CI: &str = "-o sarif, junit and github are formats of lint (junit also of simulate)";

impl OutputFormat {
    /// Whether it is one that CI systems read, of findings and test results.
    pub fn is_for_ci(self) -> bool {
        matches!(self, OutputFormat::Sarif | OutputFormat::Junit | OutputFormat::Github)
    }

    /// As it is written after `-o`.
    pub fn name(self) -> &'static str {
        NAMED.iter().find(|(_, format, _)| *format == self).map_or("jsonpath", |(name, ..)| *name)
    }
}

/// The formats with a plain name, and what they are.
const NAMED: [(&str, OutputFormat, &str); 8] = [
    ("table", OutputFormat::Table, "Human-readable"),
    ("wide", OutputFormat::Wide, "Human-readable, with more columns and absolute times"),
    ("json", OutputFormat::Json, "The objects as JSON"),
    ("yaml", OutputFormat::Yaml, "The objects as YAML"),
    ("name", OutputFormat::Name, "Only kind/name, one per line"),
    ("sarif", OutputFormat::Sarif, "SARIF 2.1.0, of lint"),
    ("junit", OutputFormat::Junit, "JUnit XML, of lint and simulate"),
    ("github", OutputFormat::Github, "Annotations of GitHub Actions, of lint"),
];

const JSONPATH: &str = "jsonpath=";

/// Reads the option's value.
#[derive(Clone)]
pub(super) struct Format;

impl TypedValueParser for Format {
    type Value = OutputFormat;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<OutputFormat, Error> {
        let wrong = |why: String| Error::raw(ErrorKind::InvalidValue, format!("{why}\n")).with_cmd(command);
        read(&value.to_string_lossy()).map_err(wrong)
    }

    /// For shells, which complete them.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let named = NAMED.iter().map(|(name, _, help)| PossibleValue::new(*name).help(*help));
        let template =
            PossibleValue::new(JSONPATH).help("What a template such as {.status.phase} makes of the objects");
        Some(Box::new(named.chain([template])))
    }
}

fn read(text: &str) -> Result<OutputFormat, String> {
    if let Some(template) = text.strip_prefix(JSONPATH) {
        let template = Template::read(template).map_err(|why| format!("-o {JSONPATH}: {why}"))?;
        return Ok(OutputFormat::JsonPath(Box::leak(Box::new(template))));
    }
    let named = NAMED.iter().find(|(name, ..)| *name == text).map(|(_, format, _)| *format);
    named.ok_or_else(|| {
        format!("there is no output format \"{text}\"; use table, wide, json, yaml, name or jsonpath=TEMPLATE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_by_name_or_as_a_template() {
        assert_eq!(read("wide"), Ok(OutputFormat::Wide));
        let Ok(OutputFormat::JsonPath(template)) = read("jsonpath={.a}!") else { panic!() };
        assert_eq!(template.render(&serde_json::json!({ "a": 1 })), "1!");
        assert!(read("jsonpath={.a").unwrap_err().contains("no closing brace"));
        assert!(read("go-template={{.a}}").unwrap_err().contains("jsonpath=TEMPLATE"));
    }
}
