//! Carries out what a look wants to be written: strictly, and on condition of what was read.

use kube::{
    Resource,
    api::{ApiResource, DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::Value;

use crate::{
    api::MeshPolicy,
    cluster::{
        answer::Answer,
        call::is_missing,
        resources::{MANAGER, resource},
        shared::Cluster,
    },
    mesh::MeshWrite,
    ports::WorldError,
    router::{GroupResource, ObjectRef, Objects, WatchedKind, group_of},
};

/// Labels and annotations that are ours begin so.
const OURS: &str = "glidepath.dev/";

impl Cluster {
    /// One write. A field that the served definition lacks is an error, and nothing of it is written.
    pub(super) async fn write_mesh(
        &self,
        policy: &MeshPolicy,
        kinds: &[WatchedKind],
        current: &Objects,
        write: &MeshWrite,
    ) -> Result<(), WorldError> {
        match write {
            MeshWrite::Own(wanted) => self.write_own(policy, kinds, current, wanted).await,
            MeshWrite::Fields(patch) => self.patch_fields(kinds, patch).await,
            MeshWrite::Replace(object) => self.replace(kinds, object).await,
            MeshWrite::Delete(gone) => self.delete_own(current, gone).await,
        }
    }

    /// An object of the policy's own: what others have put beside our labels and annotations stays.
    async fn write_own(
        &self,
        policy: &MeshPolicy,
        kinds: &[WatchedKind],
        current: &Objects,
        wanted: &Value,
    ) -> Result<(), WorldError> {
        if let Some(there) = current.replaced_by(wanted) {
            let mut object = there.clone();
            object["spec"] = wanted["spec"].clone();
            for marks in ["labels", "annotations"] {
                if let Some(there) = object["metadata"][marks].as_object_mut() {
                    there.retain(|name, _| !name.starts_with(OURS));
                }
                for (name, value) in wanted["metadata"][marks].as_object().into_iter().flatten() {
                    object["metadata"][marks][name] = value.clone();
                }
            }
            return self.replace(kinds, &object).await;
        }
        let place = Place::of(wanted);
        let (api_resource, table) = self.kind_at(kinds, &place)?;
        let mut object = wanted.clone();
        object["apiVersion"] = api_resource.api_version.as_str().into();
        object["metadata"]["ownerReferences"] = serde_json::json!([policy.controller_owner_ref(&())]);
        let api = self.api(&api_resource, place.namespace);
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let written = self.write(&format!("create {place}"), api.create_strictly(&params, &object)).await?;
        self.wrote_mesh(table, &written);
        Ok(())
    }

    async fn replace(&self, kinds: &[WatchedKind], object: &Value) -> Result<(), WorldError> {
        let place = Place::of(object);
        let (api_resource, table) = self.kind_at(kinds, &place)?;
        let mut object = object.clone();
        object["apiVersion"] = api_resource.api_version.as_str().into();
        let api = self.api(&api_resource, place.namespace);
        let params = PostParams { field_manager: Some(MANAGER.into()), ..PostParams::default() };
        let what = format!("write {place}");
        let written = self.write(&what, api.replace_strictly(place.name, &params, &object)).await?;
        self.wrote_mesh(table, &written);
        Ok(())
    }

    async fn patch_fields(&self, kinds: &[WatchedKind], patch: &Value) -> Result<(), WorldError> {
        let place = Place::of(patch);
        let (api_resource, table) = self.kind_at(kinds, &place)?;
        let mut body = patch.clone();
        if let Some(fields) = body.as_object_mut() {
            fields.remove("apiVersion");
            fields.remove("kind");
        }
        let api = self.api(&api_resource, place.namespace);
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() }.validation_strict();
        let what = format!("patch {place}");
        let written = self.write(&what, api.patch(place.name, &params, &Patch::Merge(body))).await?;
        self.wrote_mesh(table, &written);
        Ok(())
    }

    async fn delete_own(&self, current: &Objects, gone: &ObjectRef) -> Result<(), WorldError> {
        let Some(kind) = self.router_kinds.kind(&gone.resource()) else { return Ok(()) };
        let there = current.of_kind((&kind.group, &kind.kind), &gone.namespace);
        let there = there.into_iter().find(|object| object["metadata"]["name"] == gone.name.as_str());
        let uid = there.and_then(|object| object["metadata"]["uid"].as_str()).map(str::to_owned);
        let preconditions = uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let api = self.api(&self.route_resource(&kind), &gone.namespace);
        let what = format!("delete {} {}/{}", gone.kind, gone.namespace, gone.name);
        match self.write(&what, api.delete(&gone.name, &params)).await {
            Err(error) if !is_missing(&error) => Err(error),
            _ => {
                if let Some(table) = self.tables.routes.get(&gone.resource()) {
                    table.gone(&gone.namespace, &gone.name);
                }
                Ok(())
            }
        }
    }

    /// The kind of an object at the version that is served, and where it is kept.
    fn kind_at(
        &self,
        kinds: &[WatchedKind],
        place: &Place<'_>,
    ) -> Result<(ApiResource, Option<GroupResource>), WorldError> {
        if (place.group, place.kind) == ("", "Service") {
            return Ok((resource::<k8s_openapi::api::core::v1::Service>(), None));
        }
        let kind = kinds.iter().find(|kind| (&*kind.group, &*kind.kind) == (place.group, place.kind));
        let kind =
            kind.ok_or_else(|| WorldError::Transient(format!("{place} is of a kind that this mesh does not write")))?;
        Ok((self.route_resource(kind), Some(kind.resource())))
    }

    fn wrote_mesh(&self, table: Option<GroupResource>, written: &Answer) {
        match table.map(|resource| self.tables.routes.get(&resource)) {
            Some(Some(table)) => table.wrote(written),
            Some(None) => {}
            None => self.policies.services.wrote(written),
        }
    }
}

/// Where an object is.
struct Place<'a> {
    group: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Place<'a> {
    fn of(object: &'a Value) -> Self {
        let text = |value: &'a Value| value.as_str().unwrap_or_default();
        let metadata = &object["metadata"];
        Place {
            group: group_of(text(&object["apiVersion"])),
            kind: text(&object["kind"]),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]),
        }
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}
