//! The kinds that are read and written, as the API server is asked for them, and the name under which we write.

use std::collections::BTreeSet;

use kube::{Resource, api::ApiResource};

use crate::{
    api::{AnalysisRun, MeshPolicy, Rollout, RolloutCommand},
    mesh::MESHES,
    router::{FIELD_MANAGER, ROUTERS, WatchedKind, custom::presets},
};

/// The field manager of our writes.
pub const MANAGER: &str = FIELD_MANAGER;

/// The kinds of objects that routers write, those of presets too, each once. Rollouts may name more.
pub fn watched_kinds() -> impl Iterator<Item = &'static WatchedKind> {
    let mut known = BTreeSet::new();
    let routers = ROUTERS.iter().flat_map(|router| router.watches);
    routers.chain(presets().map(|preset| &preset.kind)).filter(move |kind| known.insert(kind.resource()))
}

/// The kinds of every mesh that no router watches, each once.
pub fn mesh_kinds() -> impl Iterator<Item = &'static WatchedKind> {
    let mut known: BTreeSet<_> = watched_kinds().map(WatchedKind::resource).collect();
    MESHES.iter().flat_map(|mesh| mesh.kinds).filter(move |kind| known.insert(kind.resource()))
}

pub(super) fn resource<K: Resource<DynamicType = ()>>() -> ApiResource {
    ApiResource::erase::<K>(&())
}

pub(super) fn route_resource(kind: &WatchedKind, version: &str) -> ApiResource {
    ApiResource {
        group: kind.group.to_string(),
        version: version.into(),
        api_version: format!("{}/{version}", kind.group),
        kind: kind.kind.to_string(),
        plural: kind.plural.to_string(),
    }
}

pub(super) fn rollouts() -> ApiResource {
    resource::<Rollout>()
}

pub(super) fn runs_resource() -> ApiResource {
    resource::<AnalysisRun>()
}

pub(super) fn commands() -> ApiResource {
    resource::<RolloutCommand>()
}

pub(super) fn policies() -> ApiResource {
    resource::<MeshPolicy>()
}
