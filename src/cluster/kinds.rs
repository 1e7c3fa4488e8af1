//! The kinds we watch, pruned to the fields that decide something.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, OwnerReference};
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    face::{COPIED_FACE, ServiceFace},
    labels::Labels,
    raw_object::{RawObject, decode},
    resources::MANAGER,
    table::{Kept, mark},
    text::Text,
};
use crate::api::{
    REVISION_ANNOTATION, REVISION_LABEL, ROLLOUT_LABEL,
    metadata::{self, Carried},
    revision,
};

pub use crate::api::NUMBER_ANNOTATION as NUMBER;
/// The annotation on Services that remembers the selector the user wrote, as JSON.
pub const ORIGINAL_SELECTOR: &str = "glidepath.dev/original-selector";

/// A ReplicaSet of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedReplicaSet {
    /// The owning Rollout's name.
    pub rollout: String,
    /// The revision id.
    pub revision: String,
    /// The revision's number.
    pub number: u64,
    /// Who controls it: only then is it a revision of that Rollout.
    pub controller: Option<Owner>,
    /// How long its pods must be ready before they count, in seconds.
    pub min_ready: u32,
    /// What its spec asks for.
    pub wanted: u32,
    /// Pods that exist.
    pub pods: u32,
    /// Pods that are ready.
    pub ready: u32,
    /// Pods that are available.
    pub available: u32,
    /// The canonical text of its template without our label, and without what was added for a role.
    pub template: Text,
    /// What was added to its template for a role.
    pub carried: Carried,
    /// Whether its template says the revision to a mesh that reads annotations.
    pub is_annotated: bool,
    /// The images of its containers.
    pub images: Vec<String>,
    /// The message of a ReplicaFailure condition: quota, admission.
    pub failure: Option<String>,
    /// Who set its replicas last, when it was not us.
    pub other_manager: Option<String>,
}

impl Kept for CachedReplicaSet {
    fn is_selected(meta: &ObjectMeta) -> bool {
        mark(meta.labels.as_ref(), ROLLOUT_LABEL).is_some()
    }

    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let meta = object.metadata();
        let (spec, status): (Workload, WorkloadStatus) = (object.read("spec")?, object.read("status")?);
        let failure = status.conditions.iter().find(|c| c.type_ == "ReplicaFailure" && c.status == "True");
        let annotated =
            spec.template.pointer("/metadata/annotations").and_then(|all| all[REVISION_ANNOTATION].as_str());
        Ok(CachedReplicaSet {
            is_annotated: annotated.is_some() && annotated == mark(meta.labels.as_ref(), REVISION_LABEL),
            rollout: mark(meta.labels.as_ref(), ROLLOUT_LABEL).unwrap_or_default().to_owned(),
            revision: mark(meta.labels.as_ref(), REVISION_LABEL).unwrap_or_default().to_owned(),
            number: mark(meta.annotations.as_ref(), NUMBER).and_then(|n| n.parse().ok()).unwrap_or(0),
            controller: controller(meta).map(Owner::of),
            min_ready: spec.min_ready_seconds,
            wanted: spec.replicas,
            pods: status.replicas,
            ready: status.ready_replicas,
            available: status.available_replicas,
            images: revision::images(&spec.template),
            carried: Carried::by_template(&spec.template),
            template: normal_template(spec.template).into(),
            failure: failure.map(|condition| condition.message.clone()),
            other_manager: other_manager(object, &["replicas"]),
        })
    }
    fn group(&self) -> Option<&str> {
        Some(&self.rollout)
    }
}

/// What we read of the spec of a ReplicaSet or a Deployment.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Workload {
    replicas: u32,
    min_ready_seconds: u32,
    paused: bool,
    pub(super) selector: LabelSelector,
    pub(super) template: Value,
}

/// What we read of the status of a ReplicaSet or a Deployment.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WorkloadStatus {
    replicas: u32,
    ready_replicas: u32,
    available_replicas: u32,
    conditions: Vec<Condition>,
}

/// A condition of an object or a pod.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Condition {
    #[serde(rename = "type")]
    pub type_: String,
    pub status: String,
    pub reason: String,
    pub message: String,
}

impl CachedReplicaSet {
    /// The names of the containers that its template lists, without init containers.
    pub fn container_names(&self) -> Vec<String> {
        let template: Value = self.template.read().unwrap_or_default();
        let containers = template.pointer("/spec/containers").and_then(Value::as_array);
        let name = |container: &Value| Some(container.get("name")?.as_str()?.to_owned());
        containers.into_iter().flatten().filter_map(name).collect()
    }

    /// Whether the Rollout of this uid controls it.
    pub fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller.as_ref().is_some_and(|owner| &*owner.uid == uid)
    }
}

/// An object's controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `Rollout`, `Deployment`, ...
    pub kind: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid.
    pub uid: Box<str>,
}

impl Owner {
    fn of(owner: &OwnerReference) -> Self {
        Owner { kind: owner.kind.as_str().into(), name: owner.name.as_str().into(), uid: owner.uid.as_str().into() }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} (uid {})", self.kind, self.name, self.uid)
    }
}

/// A Service.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedService {
    /// What it selects.
    pub selector: Labels,
    /// What a Service made from it copies.
    face: Text,
    /// Of a Service that we made: which face of root it has.
    pub copied: Option<Box<str>>,
    /// Whether the user's selector is remembered by us.
    pub has_original: bool,
    /// Who controls it: the Rollout that it was made for, when we made it.
    pub controller: Option<Owner>,
    /// Who set its selector last, when it was not us.
    pub other_manager: Option<String>,
}

impl CachedService {
    /// What a Service made from it copies.
    pub fn face(&self) -> ServiceFace {
        self.face.read().unwrap_or_default()
    }
}

impl Kept for CachedService {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let meta = object.metadata();
        let spec: Map<String, Value> = object.read("spec")?;
        let selector = spec.get("selector").and_then(|selector| BTreeMap::<String, String>::deserialize(selector).ok());
        let original = mark(meta.annotations.as_ref(), ORIGINAL_SELECTOR);
        let original = original.and_then(|text| serde_json::from_str::<BTreeMap<String, String>>(text).ok());
        Ok(CachedService {
            selector: selector.unwrap_or_default().into(),
            face: Text::of(&ServiceFace::of(meta, &spec)),
            copied: mark(meta.annotations.as_ref(), COPIED_FACE).map(Into::into),
            has_original: original.is_some(),
            controller: controller(meta).map(Owner::of),
            other_manager: other_manager(object, &["selector"]),
        })
    }
}

/// An EndpointSlice.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedSlice {
    /// Its Service.
    pub service: String,
    /// Names of pods that are ready.
    pub ready: Vec<String>,
}

impl Kept for CachedSlice {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let service = mark(object.metadata().labels.as_ref(), "kubernetes.io/service-name").unwrap_or_default();
        let endpoints: Vec<Endpoint> = object.read("endpoints")?;
        let mut ready: Vec<String> = endpoints.into_iter().filter_map(Endpoint::ready_pod).collect();
        ready.sort();
        ready.dedup();
        Ok(CachedSlice { service: service.to_owned(), ready })
    }
    fn group(&self) -> Option<&str> {
        Some(&self.service)
    }
}

/// What we read of an endpoint.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    conditions: Option<EndpointConditions>,
    target_ref: Option<Named>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EndpointConditions {
    ready: Option<bool>,
}

/// A reference to an object, as far as we follow it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    kind: String,
    name: String,
}

impl Endpoint {
    /// The pod behind it; an endpoint is ready unless it says otherwise.
    fn ready_pod(self) -> Option<String> {
        let ready = self.conditions.and_then(|conditions| conditions.ready).unwrap_or(true);
        ready.then(|| self.target_ref.unwrap_or_default().name)
    }
}

/// A Deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedDeployment {
    /// What its spec asks for.
    pub wanted: u32,
    /// Its own pods.
    pub pods: u32,
    /// Its own available pods.
    pub available: u32,
    /// Whether its own controller is held still.
    pub paused: bool,
    /// Its selector.
    pub selector: LabelSelector,
    /// Its template as canonical text.
    pub template: Text,
    /// When its pods were asked to be replaced, as written into the template.
    pub restarted_at: Option<String>,
    /// Who set its replicas or `paused` last, when it was not us.
    pub other_manager: Option<String>,
}

impl Kept for CachedDeployment {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let (spec, status): (Workload, WorkloadStatus) = (object.read("spec")?, object.read("status")?);
        Ok(CachedDeployment {
            wanted: spec.replicas,
            pods: status.replicas,
            available: status.available_replicas,
            paused: spec.paused,
            selector: spec.selector,
            restarted_at: revision::restarted_at(&spec.template).map(str::to_owned),
            other_manager: other_manager(object, &["replicas", "paused"]),
            template: normal_template(spec.template).into(),
        })
    }
}

/// A HorizontalPodAutoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedAutoscaler {
    /// The Deployment that it scales; empty when it scales something else.
    pub deployment: String,
}

/// What we read of the spec of an autoscaler.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Scaler {
    scale_target_ref: Named,
}

impl Kept for CachedAutoscaler {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let target = object.read::<Scaler>("spec")?.scale_target_ref;
        Ok(CachedAutoscaler { deployment: if target.kind == "Deployment" { target.name } else { String::new() } })
    }
    fn group(&self) -> Option<&str> {
        Some(&self.deployment)
    }
}

/// An object of a router, whole: a plan edits what it owns and keeps the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedRoute {
    /// The object without managedFields.
    object: Text,
    /// The last foreign writer of its spec.
    pub other_manager: Option<String>,
}

impl CachedRoute {
    /// The object without managedFields.
    pub fn object(&self) -> Value {
        self.object.read().unwrap_or_default()
    }
}

impl Kept for CachedRoute {
    fn keep(object: &RawObject<'_>) -> Result<Self, String> {
        let json = object.json()?;
        // What JSON allows and we do not know how to write again must not be taken for nothing later.
        decode::<Value>(&json)?;
        Ok(CachedRoute { object: json.into(), other_manager: newest_other(object, |owned| !owned.is_empty()) })
    }
    /// All of a namespace belong together: a router may want to see all of a kind.
    fn group(&self) -> Option<&str> {
        Some("")
    }
}

/// The field manager other than us that wrote any of these fields of the spec last. The API server takes a field from its
/// manager when another one changes it, so that after a write of ours there is none.
fn other_manager(object: &RawObject<'_>, fields: &[&str]) -> Option<String> {
    newest_other(object, |owned| fields.iter().any(|field| owned.contains(*field)))
}

/// The field manager other than us that wrote last, of those whose fields of the spec count.
fn newest_other(object: &RawObject<'_>, counts: impl Fn(&BTreeSet<String>) -> bool) -> Option<String> {
    let others = object.writers().into_iter().filter(|writer| writer.manager.as_deref() != Some(MANAGER));
    others.filter(|writer| counts(&writer.spec_fields)).max_by_key(|writer| writer.time)?.manager
}

/// The canonical text of a template without what says its revision, and without what a role adds.
pub fn normal_template(template: Value) -> Box<str> {
    let template = revision::without_marks(metadata::without(template));
    revision::canonical(&revision::without_restart(&template)).into()
}

/// Who controls an object: only one owner may.
pub(super) fn controller(meta: &ObjectMeta) -> Option<&OwnerReference> {
    meta.owner_references.as_deref()?.iter().find(|owner| owner.controller == Some(true))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::metadata::{Added, METADATA_ANNOTATION, Mark},
        cluster::{
            cached_pod::CachedPod,
            table::{Entry, kept},
        },
    };

    /// A fleet rests most of the time: an object is kept in no more bytes than its own text has, and what every entry needs.
    #[test]
    fn what_is_kept_is_no_longer_than_the_text_of_the_object() {
        let route = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": {"name": "web", "namespace": "shop"}, "spec": {"hosts": ["web"], "http": [{"route": []}]}});
        let virtual_service = kept::<CachedRoute>(&route);
        assert!(virtual_service.object.len() < route.to_string().len());
        assert_eq!(virtual_service.object(), route);

        let ports = json!([{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]);
        let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": ports}});
        let face = kept::<CachedService>(&service).face;
        assert!(face.len() < service.to_string().len() + 40, "{face:?}");
        let sizes = [size_of::<Entry<CachedRoute>>(), size_of::<Entry<CachedSlice>>()];
        assert!(sizes.iter().all(|size| *size <= 200), "{sizes:?}");
        let sizes =
            [size_of::<Entry<CachedService>>(), size_of::<Entry<CachedPod>>(), size_of::<Entry<CachedReplicaSet>>()];
        assert!(sizes.iter().all(|size| *size <= 400), "{sizes:?}");
    }

    #[test]
    fn our_label_does_not_make_a_template_differ() {
        let with = json!({"metadata": {"labels": {"app": "a", REVISION_LABEL: "x"}, "creationTimestamp": null}});
        assert_eq!(&*normal_template(with), r#"{"metadata":{"labels":{"app":"a"}}}"#);
        let with = json!({"metadata": {"annotations": {REVISION_ANNOTATION: "x"}}});
        assert_eq!(&*normal_template(with), r#"{"metadata":{}}"#);
        let with = json!({"metadata": {"annotations": {REVISION_ANNOTATION: "x", "n": "1"}}});
        assert_eq!(&*normal_template(with), r#"{"metadata":{"annotations":{"n":"1"}}}"#);
    }

    #[test]
    fn a_revision_is_said_by_the_annotation_only_where_it_is_the_same() {
        for (annotation, is_annotated) in [("x", true), ("y", false)] {
            let metadata = json!({"labels": {REVISION_LABEL: "x"}, "annotations": {REVISION_ANNOTATION: annotation}});
            let set = json!({"metadata": {"name": "a", "labels": {REVISION_LABEL: "x"}}, "spec": {"template": {"metadata": metadata}}});
            assert_eq!(kept::<CachedReplicaSet>(&set).is_annotated, is_annotated);
            let mut pod = json!({ "metadata": metadata });
            pod["metadata"]["name"] = "a-1".into();
            assert_eq!(kept::<CachedPod>(&pod).is_annotated, is_annotated);
        }
        assert!(!kept::<CachedReplicaSet>(&json!({"metadata": {"name": "a"}})).is_annotated);
    }

    /// What the Rollout's or Deployment's template is compared with, and what a hand-back writes into the Deployment.
    #[test]
    fn s1_what_a_role_adds_does_not_make_a_template_differ() {
        let pure = json!({"metadata": {"labels": {"app": "a", "tier": "front"}}});
        let wanted =
            serde_json::from_value(json!({"labels": {"role": "canary", "tier": "trial"}, "annotations": {"n": "1"}}));
        let added = Added::to(&pure, wanted.unwrap());
        let template = json!({"metadata": {
            "labels": {"app": "a", "tier": "trial", "role": "canary", REVISION_LABEL: "x"},
            "annotations": {"n": "1", METADATA_ANNOTATION: added.text()}, "creationTimestamp": null}});
        let set = kept::<CachedReplicaSet>(&json!({
            "metadata": {"name": "a"}, "spec": {"template": template}}));
        assert_eq!(set.template, normal_template(pure).into());
        assert_eq!(set.carried, Carried::Whole(Box::new(added)));
        let mut metadata = template["metadata"].clone();
        metadata["name"] = "a".into();
        let mut pod = json!({ "metadata": metadata });
        assert_eq!(kept::<CachedPod>(&pod).carried, set.carried.mark(), "a pod that was born of it");
        pod["metadata"]["labels"].as_object_mut().unwrap().remove("role");
        assert_eq!(kept::<CachedPod>(&pod).carried, Mark::ASTRAY);
    }

    /// The field manager that last scaled a ReplicaSet is known from managedFields, also through the scale subresource;
    /// after our own write there is none (H1).
    #[test]
    fn s53_who_scaled_a_replica_set_is_known() {
        let replicas = json!({"f:spec": {"f:replicas": {}}});
        let template = json!({"f:spec": {"f:template": {}}});
        let ours = |fields: &Value| json!({"manager": MANAGER, "fieldsV1": fields});
        let kubectl = |fields: &Value| json!({"manager": "kubectl", "subresource": "scale", "fieldsV1": fields});
        for (managers, other) in [
            (json!([ours(&template), kubectl(&replicas)]), Some("kubectl")),
            (json!([ours(&replicas), kubectl(&template)]), None),
            (json!([]), None),
        ] {
            let set = kept::<CachedReplicaSet>(&json!({"metadata": {"name": "a", "managedFields": managers}}));
            assert_eq!(set.other_manager.as_deref(), other);
        }
    }

    /// What others write beside the spec is no drift of routes.
    #[test]
    fn s53_who_wrote_the_spec_of_a_route_last_is_known() {
        let writer = |manager: &str, field: &str, time: &str| json!({"manager": manager, "time": time, "fieldsV1": {field: {"f:http": {}}}});
        let managers = json!([
            writer(MANAGER, "f:spec", "2026-01-04T00:00:00Z"),
            writer("kubectl", "f:spec", "2026-01-01T00:00:00Z"),
            writer("argocd", "f:spec", "2026-01-02T00:00:00Z"),
            writer("istiod", "f:status", "2026-01-03T00:00:00Z")
        ]);
        let route = json!({"metadata": {"name": "a", "managedFields": managers}});
        assert_eq!(kept::<CachedRoute>(&route).other_manager.as_deref(), Some("argocd"));
    }

    #[test]
    fn endpoints_count_unless_they_say_not_ready() {
        let slice = kept::<CachedSlice>(&json!({
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "endpoints": [
                {"targetRef": {"name": "b"}, "conditions": {"ready": true}}, {"targetRef": {"name": "a"}},
                {"targetRef": {"name": "c"}, "conditions": {"ready": false}}]}));
        assert_eq!((slice.service.as_str(), slice.ready), ("web", vec!["a".to_owned(), "b".to_owned()]));
    }
}
