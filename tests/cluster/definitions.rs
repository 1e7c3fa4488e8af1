//! CustomResourceDefinitions of other projects. Those of the projects themselves are taken where they are to be had: in
//! `GLIDEPATH_CRDS`, or in `../shared/crds` beside this checkout, in a folder for each project. Elsewhere small ones of our own
//! take their place, as strict where we write.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::lane;
use crate::programs::find;
use crate::say::say;

/// Installs the definitions of a project, or `small` in their place, and says which.
pub fn install(project: &str, small: &str) {
    let folder = folder().join(project);
    match real(&folder) {
        Some(all) => {
            say(format_args!("{project}: with its own definitions, from {}", folder.display()));
            apply(&all);
        }
        None => {
            say(format_args!("{project}: with small definitions of ours; its own are not in {}", folder.display()));
            apply(small);
        }
    }
}

/// Installs definitions that `cluster fetch` has obtained.
pub fn install_fetched(name: &str) {
    let text = fs::read_to_string(find(name).unwrap()).unwrap();
    say(format_args!("with the project's own definitions, {name}"));
    apply(&current(&text));
}

/// Applies definitions, and waits until the API server serves them.
pub fn apply(yaml: &str) {
    lane().apply(yaml).unwrap();
    lane().kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"]).unwrap();
}

fn folder() -> PathBuf {
    let named = std::env::var_os("GLIDEPATH_CRDS").filter(|value| !value.is_empty());
    named.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/crds"), PathBuf::from)
}

/// All files of a folder, one after the other; `None` where there are none.
fn real(folder: &Path) -> Option<String> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    (!texts.is_empty()).then(|| texts.join("\n---\n"))
}

/// The same definitions as the API server takes them today: SMI's are of a version that no server has served since Kubernetes
/// 1.22, with one schema for all versions.
fn current(yaml: &str) -> String {
    let documents = serde_yaml::Deserializer::from_str(yaml);
    let all = documents.map(|document| <Value as serde::Deserialize>::deserialize(document).unwrap());
    let all = all.filter(|document| !document.is_null()).map(|mut document| {
        if document["apiVersion"] == "apiextensions.k8s.io/v1beta1" {
            document["apiVersion"] = "apiextensions.k8s.io/v1".into();
            let spec = document["spec"].as_object_mut().unwrap();
            let mut schema = spec.shift_remove("validation").unwrap();
            schema["openAPIV3Schema"]["type"] = "object".into();
            spec.shift_remove("version");
            spec.shift_remove("additionalPrinterColumns");
            spec["versions"].as_array_mut().unwrap().iter_mut().for_each(|version| version["schema"] = schema.clone());
        }
        document
    });
    json!({"apiVersion": "v1", "kind": "List", "items": all.collect::<Vec<Value>>()}).to_string()
}
