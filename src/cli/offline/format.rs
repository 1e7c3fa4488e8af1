//! Which `-o` a verb takes.

use crate::cli::{args::global::OutputFormat, exit::CliError};

/// Refuses a format that the verb does not have: a script would wait for what never comes.
pub(in crate::cli) fn only(format: OutputFormat, verb: &str, known: &[OutputFormat]) -> Result<(), CliError> {
    // What is printed as JSON can be picked from, too.
    let has_json = known.contains(&OutputFormat::Json);
    if known.contains(&format) || has_json && matches!(format, OutputFormat::JsonPath(_)) {
        return Ok(());
    }
    let template = has_json.then(|| "jsonpath=TEMPLATE".to_owned());
    let names: Vec<String> = known.iter().map(|one| name(*one)).chain(template).collect();
    Err(CliError::Usage(format!("{verb} has no -o {}; it has {}", name(format), names.join(", "))))
}

fn name(format: OutputFormat) -> String {
    format.name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::render::jsonpath::Template;

    #[test]
    fn a_format_that_a_verb_does_not_have_is_a_usage_error() {
        let known = [OutputFormat::Table, OutputFormat::Json];
        assert!(only(OutputFormat::Json, "lint", &known).is_ok());
        let template: &'static Template = Box::leak(Box::new(Template::read("{.errors}").unwrap()));
        assert!(only(OutputFormat::JsonPath(template), "lint", &known).is_ok());
        let error = only(OutputFormat::Wide, "lint", &known).unwrap_err();
        assert_eq!(
            (error.exit().code(), error.to_string().as_str()),
            (2, "lint has no -o wide; it has table, json, jsonpath=TEMPLATE")
        );
    }
}
