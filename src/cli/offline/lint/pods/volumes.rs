//! What the API server's validation says of volumes, and of containers that mount them.

use std::collections::HashSet;

use serde_json::Value;

use super::read::{list, text};
use crate::{
    api::{names::label, validate::Finding},
    cli::offline::lint::schema::hint,
    yaml::join,
};

/// The volumes of a pod and the mounts of its containers.
pub(super) fn check(spec: &Value, path: &str, found: &mut Vec<Finding>) {
    let mut names: Vec<&str> = Vec::new();
    for (index, volume) in list(spec, "volumes").iter().enumerate() {
        let Some(name) = text(volume, "name") else { continue };
        let path = format!("{path}.volumes[{index}].name");
        if let Err(error) = label(name) {
            found.push(Finding::error(&path, format!("\"{name}\" is invalid: {error}")));
        }
        if names.contains(&name) {
            found.push(Finding::error(&path, format!("there are two volumes \"{name}\"; names are unique in a pod")));
        }
        names.push(name);
    }
    for field in ["containers", "initContainers"] {
        for (index, container) in list(spec, field).iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            uses(container, "volumeMounts", "mountPath", &names, &path, found);
            uses(container, "volumeDevices", "devicePath", &names, &path, found);
        }
    }
}

/// What a container mounts exists, each at a path of its own.
fn uses(container: &Value, field: &str, place: &str, names: &[&str], path: &str, found: &mut Vec<Finding>) {
    let mut taken = HashSet::new();
    for (index, mount) in list(container, field).iter().enumerate() {
        let path = format!("{path}.{field}[{index}]");
        if let Some(name) = text(mount, "name").filter(|name| !names.contains(name)) {
            let there = if names.is_empty() { "; the pod has no volumes".to_owned() } else { hint(name, names) };
            found.push(Finding::error(join(&path, "name"), format!("there is no volume \"{name}\"{there}")));
        }
        if let Some(at) = text(mount, place).filter(|at| !taken.insert(*at)) {
            found.push(Finding::error(join(&path, place), format!("two volumes are mounted at {at}")));
        }
    }
}

/// One mount on its own.
pub(super) fn mount(mount: &Value, path: &str, found: &mut Vec<Finding>) {
    let paths = ["subPath", "subPathExpr"].map(|field| (field, text(mount, field)));
    for (field, within) in paths.iter().filter_map(|(field, within)| Some((field, (*within)?))) {
        if within.starts_with('/') || within.split('/').any(|part| part == "..") {
            let message = format!("\"{within}\" must be a path below the volume: no / at its start, no ..");
            found.push(Finding::error(join(path, field), message));
        }
    }
    if paths.iter().all(|(_, within)| within.is_some()) {
        found.push(Finding::error(
            join(path, "subPathExpr"),
            "must not be set together with subPath; remove one of them",
        ));
    }
}

/// A volume is of one kind. Without any it is an emptyDir.
pub(super) fn one_source(volume: &Value, path: &str, found: &mut Vec<Finding>) {
    let given = volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && value.is_object());
    let kinds: Vec<&str> = given.map(|(key, _)| key.as_str()).collect();
    if let [_, second, ..] = kinds.as_slice() {
        let message = format!("a volume must have exactly one source, got {}", kinds.join(" and "));
        found.push(Finding::error(join(path, second), message));
    }
}
