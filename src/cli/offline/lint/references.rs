//! What a Rollout names and what names it, where both are in the files: route objects, Services, autoscalers, its Deployment.
//!
//! Files rarely hold everything that is in a cluster, so an object that is missing is only pointed at when the files have one
//! whose name is nearly the same. What is there must fit.

mod linkerd;
mod mesh;
mod named_routes;
mod objects;
mod routes;
mod scalers;
mod services;
mod sessions;

use crate::{api::validate::Finding, yaml::Document};
use objects::{Found, Objects, Rollout};
use scalers::Scaled;

/// What does not fit together in these documents, each with the name of its file.
pub(super) fn check(documents: &[(&str, &Document)]) -> Found {
    let files = Objects::of(documents);
    let (mut found, mut scaled) = (Found::new(), Vec::new());
    // One at a time: the specs of all would take as much memory as the files.
    for rollout in files.rollouts() {
        deployment(&rollout, &files, &mut found);
        routes::check(&rollout, &files, &mut found);
        linkerd::check(&rollout, &files, &mut found);
        mesh::check(&rollout, &files, &mut found);
        sessions::check(&rollout, &files, &mut found);
        services::check(&rollout, &files, &mut found);
        scaled.push(Scaled::of(&rollout));
    }
    scalers::check(&scaled, &files, &mut found);
    found
}

fn deployment(rollout: &Rollout<'_>, files: &Objects<'_>, found: &mut Found) {
    let Some(workload) = &rollout.spec.workload_ref else { return };
    if let Some(words) = files.near("Deployment", &workload.name) {
        found.push((rollout.index, Finding::warning("spec.workloadRef.name", words)));
    }
}

#[cfg(test)]
mod router_tests;
#[cfg(test)]
mod tests;
