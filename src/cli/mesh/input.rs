//! Policies in files, and what the same files say of the Services, workloads and mesh objects around them.

use serde_json::Value;

use crate::{
    api::MeshPolicy,
    cli::{
        args::files::FileArgs,
        exit::CliError,
        offline::{
            lint::{check, files::Files},
            refusal::Refusal,
        },
    },
    mesh::Facts,
    router::Objects,
    yaml::{self, Document},
};

/// A policy, where it is written, and in which file.
pub(super) struct Written {
    pub policy: MeshPolicy,
    pub document: Document,
    pub file: String,
}

/// What files say.
#[derive(Default)]
pub(super) struct Input {
    pub policies: Vec<Written>,
    pub facts: Facts,
    pub objects: Objects,
}

/// Reads and checks all files. Wrong ones go into `refusal`.
pub(super) fn read(args: &FileArgs, namespace: &str, refusal: &mut Refusal) -> Result<Input, CliError> {
    let mut reader = Files::default();
    let files = reader.collect(&args.all()?)?;
    let mut input = Input::default();
    for file in &files {
        for mut document in refusal.documents(&mut reader, file) {
            placed(&mut document.value, namespace);
            input.facts.add(&document.value);
            if document.text("/kind") != Some("MeshPolicy") {
                input.objects.insert(document.value);
            } else if refusal.extend(&file.name, &document, check::object(&document, None))
                && let Ok(policy) = yaml::typed(&document.value)
            {
                input.policies.push(Written { policy, document, file: file.name.clone() });
            }
        }
    }
    refusal.check("cannot plan policies with these errors")?;
    if input.policies.is_empty() {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        return Err(CliError::Failed(format!("there is no MeshPolicy in {}", names.join(", "))));
    }
    Ok(input)
}

/// An object without a namespace is in the one of the command line.
fn placed(object: &mut Value, namespace: &str) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.entry("namespace").or_insert_with(|| namespace.into());
    }
}
