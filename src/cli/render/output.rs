//! `-o json|yaml|name|jsonpath=`: objects for scripts.

use std::io::Write;

use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde_json::{Value, json};

use super::printable::printable;
use crate::{
    api::Rollout,
    cli::{
        args::global::{FOR_CI, OutputFormat},
        exit::CliError,
    },
    view::{
        document::{Shape, document, schema},
        explanation::Explanation,
        history::History,
        overview::Overview,
    },
};

pub use crate::view::document::API_VERSION;

/// The objects in a machine-readable format; `None` for a human-readable one.
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
    value(format, &plain_objects(objects, as_list)?)
}

/// What an inspecting verb prints of a Rollout in a machine-readable format; `None` for a human-readable one.
pub fn shape<T: Shape>(
    format: OutputFormat,
    rollout: &Rollout,
    shape: impl FnOnce() -> T,
) -> Result<Option<String>, CliError> {
    match format {
        OutputFormat::Name => objects(format, std::slice::from_ref(rollout), false),
        OutputFormat::Table | OutputFormat::Wide => Ok(None),
        _ => {
            let document = document(rollout, &shape());
            value(format, &document.map_err(|error| CliError::Failed(format!("cannot print the status: {error}")))?)
        }
    }
}

/// Every shape: its kind, and the JSON schema of its own fields.
pub fn shapes() -> [(&'static str, Value); 3] {
    fn of<T: Shape>() -> (&'static str, Value) {
        (T::KIND, schema::<T>())
    }
    [of::<Overview>(), of::<History>(), of::<Explanation>()]
}

/// A value as JSON or YAML; `None` for a human-readable format.
pub fn value(format: OutputFormat, value: &Value) -> Result<Option<String>, CliError> {
    let text = match format {
        OutputFormat::Json => serde_json::to_string_pretty(value).map(|text| text + "\n").map_err(|e| e.to_string()),
        OutputFormat::Yaml => crate::yaml::write(value).map_err(|e| e.to_string()),
        OutputFormat::JsonPath(template) => Ok(template.render(value)),
        OutputFormat::Table | OutputFormat::Wide | OutputFormat::Name => return Ok(None),
        OutputFormat::Sarif | OutputFormat::Junit | OutputFormat::Github => {
            return Err(CliError::Usage(FOR_CI.into()));
        }
    };
    text.map(Some).map_err(|error| CliError::Failed(format!("cannot print the object: {error}")))
}

/// The objects as `-o json` prints them.
fn plain_objects<K>(objects: &[K], as_list: bool) -> Result<Value, CliError>
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::render::jsonpath::Template, view::samples};

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
        let template: &'static Template =
            Box::leak(Box::new(Template::read("{.metadata.name} {.status.phase}").unwrap()));
        let text = objects(OutputFormat::JsonPath(template), &rollouts, false).unwrap();
        assert_eq!(text.as_deref(), Some("checkout Healthy"));
    }
}
