//! The objects in files that several verbs work with.

use super::lint::files::File;
use crate::{
    api::{AnalysisTemplate, ClusterAnalysisTemplate, analysis::AnalysisTemplateSpec},
    cli::exit::CliError,
    yaml::{self, Document, YamlError},
};

/// The template in a document, of a namespace or of the cluster, by its name; none in one of another kind.
pub(in crate::cli) fn template(document: &Document) -> Result<Option<(String, AnalysisTemplateSpec)>, YamlError> {
    let spec = match document.text("/kind") {
        Some("AnalysisTemplate") => yaml::typed::<AnalysisTemplate>(&document.value)?.spec,
        Some("ClusterAnalysisTemplate") => yaml::typed::<ClusterAnalysisTemplate>(&document.value)?.spec.into(),
        _ => return Ok(None),
    };
    Ok(Some((document.text("/metadata/name").unwrap_or_default().to_owned(), spec)))
}

/// What a verb that needs a Rollout says of files without one.
pub(in crate::cli) fn no_rollout(files: &[File]) -> CliError {
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    CliError::Failed(format!("there is no Rollout in {}", names.join(", ")))
}
