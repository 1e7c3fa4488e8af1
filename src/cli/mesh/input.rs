//! Policies and faults in files, and what the same files say of the Services, workloads and mesh objects around them.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    api::{MeshFault, MeshPolicy},
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

/// A policy or a fault, where it is written, and in which file.
pub(super) struct Written<T> {
    pub object: T,
    pub document: Document,
    pub file: String,
}

/// What files say.
#[derive(Default)]
pub(super) struct Input {
    pub policies: Vec<Written<MeshPolicy>>,
    pub faults: Vec<Written<MeshFault>>,
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
            match document.text("/kind") {
                Some("MeshPolicy") => input.policies.extend(written(document, &file.name, refusal)),
                Some("MeshFault") => input.faults.extend(written(document, &file.name, refusal)),
                _ => input.objects.insert(document.value),
            }
        }
    }
    refusal.check("cannot plan objects with these errors")?;
    if input.policies.is_empty() && input.faults.is_empty() {
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        return Err(CliError::Failed(format!("there is no MeshPolicy or MeshFault in {}", names.join(", "))));
    }
    Ok(input)
}

/// An object of ours, unless something is wrong with it.
fn written<T: DeserializeOwned>(document: Document, file: &str, refusal: &mut Refusal) -> Option<Written<T>> {
    if !refusal.extend(file, &document, check::object(&document, None)) {
        return None;
    }
    let object = yaml::typed(&document.value).ok()?;
    Some(Written { object, document, file: file.to_owned() })
}

/// An object without a namespace is in the one of the command line.
fn placed(object: &mut Value, namespace: &str) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.entry("namespace").or_insert_with(|| namespace.into());
    }
}
