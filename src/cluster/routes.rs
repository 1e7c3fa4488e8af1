//! Routers' objects: observed once in a tick, planned by `router`, written whole with the resourceVersion observed.

use std::{convert::Infallible, sync::Arc};

use kube::api::{DeleteParams, PostParams};
use serde_json::Value;

use super::{
    answer::Answer, call::is_missing, kinds::CachedRoute, resources::watched_kinds, shared::Cluster,
    snapshot::Snapshot, table::Entry,
};
use crate::{
    api::{Rollout, reason::Reason},
    engine::{Problem, RouteIntent, Target},
    ports::{RolloutKey, WorldError},
    router::{
        GroupResource, ObjectRef, Objects, Plan, PlannedWrite, RouteContext, RouteError, RouteScope, Router, Versions,
        WatchedKind, group_of,
    },
};

impl Cluster {
    /// What the routers want to see, from the tables.
    pub(super) fn route_objects(
        &self,
        routers: &[Box<dyn Router>],
        context: &RouteContext,
    ) -> (Objects, Option<String>) {
        let mut objects = Objects::default();
        let mut other_manager = None;
        for router in routers {
            for wanted in router.objects(context) {
                let Some(table) = self.tables.routes.get(&wanted.resource()) else { continue };
                let Some(entry) = table.get(&wanted.namespace, &wanted.name) else { continue };
                other_manager = other_manager.or_else(|| other_writer(context, &wanted, &entry.value));
                objects.insert(self.route(&entry));
            }
            for wanted in router.lists(context) {
                let Some(table) = self.tables.routes.get(&wanted.resource()) else { continue };
                table.group(&wanted.namespace, "").iter().for_each(|entry| objects.insert(self.route(entry)));
            }
        }
        (objects, other_manager)
    }

    fn route(&self, entry: &Arc<Entry<CachedRoute>>) -> Arc<Value> {
        let Ok(route) = self.recent_routes.get(entry, |kept| Ok::<_, Infallible>(kept.object()));
        route
    }

    /// Makes all routers' objects say the intent: all of them, also when one fails. Those that cannot be seen are left; that
    /// they cannot is on record as a problem.
    pub(super) async fn ensure_route(&self, snapshot: &Snapshot, intent: &RouteIntent) -> Result<(), WorldError> {
        let mut failure = None;
        for router in self.unavailable(snapshot).others(&snapshot.routers) {
            let plan = match self.plan_route(snapshot, router, intent).await {
                Ok(plan) => plan,
                Err(error) => {
                    failure.get_or_insert(error);
                    continue;
                }
            };
            for write in &plan.writes {
                if let Err(error) = self.write_route(snapshot, write).await {
                    failure.get_or_insert(error);
                }
            }
            if let Some(error) = plan.refused.first() {
                failure.get_or_insert(refused(error));
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// The writes of a router. Where the API server may drop a field it is asked first, by a dry run, and the plan is made of
    /// what it answers: nothing is in force for a moment that would then be taken back.
    async fn plan_route(
        &self,
        snapshot: &Snapshot,
        router: &dyn Router,
        intent: &RouteIntent,
    ) -> Result<Plan, WorldError> {
        let mut objects = snapshot.traffic.routes();
        let plan = router.plan_all(&snapshot.context, &objects, intent);
        let doubtful: Vec<&PlannedWrite> = plan
            .writes
            .iter()
            .filter(|write| write.object().is_some_and(|next| router.is_doubtful(&snapshot.context, &objects, next)))
            .collect();
        if doubtful.is_empty() {
            return Ok(plan);
        }
        for write in doubtful {
            if let Some(answered) = self.rehearse(snapshot, write).await? {
                objects.insert(answered);
            }
        }
        let shown = router.plan_all(&snapshot.context, &objects, intent);
        Ok(if shown.refused.len() > plan.refused.len() { shown } else { plan })
    }

    /// Makes a subset select the revision, once its pods can be found by it.
    pub(super) async fn ensure_subset(
        &self,
        snapshot: &Snapshot,
        target: Target,
        revision: &str,
    ) -> Result<(), WorldError> {
        if let Some(Problem { reason, message, .. }) = self.unannotated(snapshot, revision) {
            return Err(WorldError::Refused { reason, message });
        }
        for router in &snapshot.routers {
            let objects = snapshot.traffic.routes();
            let writes = router.plan_target(&snapshot.context, &objects, target, revision).map_err(|e| refused(&e))?;
            for write in &writes {
                self.write_route(snapshot, write).await?;
            }
        }
        Ok(())
    }

    /// Leaves the routers' objects without us: all that can be seen, and then those that cannot are waited for.
    pub(super) async fn release_routes(&self, snapshot: &Snapshot) -> Result<(), WorldError> {
        let unavailable = self.unavailable(snapshot);
        for router in unavailable.others(&snapshot.routers) {
            let objects = snapshot.traffic.routes();
            for write in router.hand_back(&snapshot.context, &objects) {
                self.write_route(snapshot, &write).await?;
            }
        }
        let refused = |why: &str| WorldError::Refused { reason: Reason::RouterUnavailable, message: why.to_owned() };
        unavailable.first().map_or(Ok(()), |why| Err(refused(why)))
    }

    async fn write_route(&self, snapshot: &Snapshot, write: &PlannedWrite) -> Result<(), WorldError> {
        match write {
            PlannedWrite::Create(_) | PlannedWrite::Replace(_) => self.put_route(snapshot, write).await,
            PlannedWrite::Delete(gone) => {
                let Some(kind) = self.kind_of(&gone.resource()) else { return Ok(()) };
                let api = self.api(&self.route_resource(&kind), &gone.namespace);
                let what = format!("delete {} {}/{}", gone.kind, gone.namespace, gone.name);
                let preconditions = snapshot.traffic.preconditions(gone);
                let params = DeleteParams { preconditions, ..DeleteParams::default() };
                match self.write(&what, api.delete(&gone.name, &params)).await {
                    Err(error) if !is_missing(&error) => Err(error),
                    _ => {
                        snapshot.traffic.deleted_route(gone);
                        if let Some(table) = self.tables.routes.get(&kind.resource()) {
                            table.gone(&gone.namespace, &gone.name);
                        }
                        Ok(())
                    }
                }
            }
        }
    }

    /// A kind that is written.
    fn kind_of(&self, resource: &GroupResource) -> Option<WatchedKind> {
        let known = || watched_kinds().find(|kind| kind.resource() == *resource).cloned();
        self.router_kinds.kind(resource).or_else(known)
    }

    async fn put_route(&self, snapshot: &Snapshot, write: &PlannedWrite) -> Result<(), WorldError> {
        let Some((written, watched)) = self.send_route(snapshot, write, false).await? else { return Ok(()) };
        if let Some(table) = self.tables.routes.get(&watched.resource()) {
            table.wrote(&written);
        }
        snapshot.traffic.wrote_route(&Entry::answered(&written)?.value);
        Ok(())
    }

    /// What the API server would make of a write.
    async fn rehearse(&self, snapshot: &Snapshot, write: &PlannedWrite) -> Result<Option<Value>, WorldError> {
        let answered = self.send_route(snapshot, write, true).await?;
        answered.map(|(answer, _)| Ok(Entry::<CachedRoute>::answered(&answer)?.value.object())).transpose()
    }

    /// Sends an object of a kind that is watched.
    async fn send_route(
        &self,
        snapshot: &Snapshot,
        write: &PlannedWrite,
        dry_run: bool,
    ) -> Result<Option<(Answer, WatchedKind)>, WorldError> {
        let Some(value) = write.object() else { return Ok(None) };
        let text = |path: &str| value.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let (kind, namespace, name) = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        let place = (group_of(text("/apiVersion")), kind, namespace, name);
        let Some(watched) = resource_of(snapshot, place).and_then(|resource| self.kind_of(&resource)) else {
            return Ok(None);
        };
        let resource = self.route_resource(&watched);
        // What a router makes is of the newest version, what it changes of the one that was read; this cluster serves that.
        let mut object = value.clone();
        object["apiVersion"] = resource.api_version.as_str().into();
        let api = self.api(&resource, namespace);
        let params = PostParams { dry_run, field_manager: Some(super::resources::MANAGER.into()) };
        let written = if matches!(write, PlannedWrite::Create(_)) {
            self.write(&format!("create {kind} {namespace}/{name}"), api.create(&params, &object)).await?
        } else {
            let what = format!("write {kind} {namespace}/{name}");
            match watched.versions {
                // No release knows the schema: a match that it lacks would be dropped, and the rule match everything.
                Versions::Named(_) => self.write(&what, api.replace_strictly(name, &params, &object)).await?,
                Versions::Known(_) => self.write(&what, api.replace(name, &params, &object)).await?,
            }
        };
        Ok(Some((written, watched)))
    }
}

/// The context and routers of a Rollout.
pub(super) fn routing(key: &RolloutKey, rollout: &Rollout, scope: &RouteScope) -> (Vec<Box<dyn Router>>, RouteContext) {
    (crate::router::routers(&rollout.spec), super::targets::route_context(key, rollout, scope))
}

/// A route's rejection as the engine's error.
pub(super) fn refused(error: &RouteError) -> WorldError {
    WorldError::Refused { reason: error.reason(), message: error.to_string() }
}

/// Who else wrote a route object last, as the reason why it drifted: one that we write, in the Rollout's own namespace. Who
/// writes in another namespace is not shown (H7).
fn other_writer(context: &RouteContext, wanted: &ObjectRef, route: &CachedRoute) -> Option<String> {
    let is_ours = wanted.is_written && wanted.namespace == context.namespace;
    route.other_manager.clone().filter(|_| is_ours)
}

/// The resource of an object that is written, by group, kind, namespace and name: the routers name all that they write.
fn resource_of(snapshot: &Snapshot, place: (&str, &str, &str, &str)) -> Option<GroupResource> {
    let mut named = snapshot.routers.iter().flat_map(|router| router.objects(&snapshot.context));
    let object = named.find(|object| {
        let ObjectRef { kind, namespace, name, .. } = object;
        (group_of(&object.api_version), kind.as_str(), namespace.as_str(), name.as_str()) == place
    })?;
    Some(object.resource())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{cluster::table::kept, router::ROUTERS};

    /// Each object of an entry with the writer whom a drift would be blamed on, were it `argocd` everywhere.
    fn blamed(entry: Value) -> Vec<String> {
        let entry = serde_json::from_value(entry).unwrap();
        let router = ROUTERS.iter().find_map(|kind| (kind.build)(&entry)).unwrap();
        let context = RouteContext { namespace: "shop".into(), rollout_name: "web".into(), ..RouteContext::default() };
        let writer = json!([{"manager": "argocd", "fieldsV1": {"f:spec": {"f:rules": {}}}}]);
        let route = kept::<CachedRoute>(&json!({"metadata": {"name": "a", "managedFields": writer}}));
        let shown = |wanted: ObjectRef| {
            let writer = other_writer(&context, &wanted, &route);
            format!("{}/{} {}", wanted.namespace, wanted.name, writer.unwrap_or_default())
        };
        router.objects(&context).into_iter().map(shown).collect()
    }

    #[test]
    fn s53_a_drift_is_blamed_on_writers_of_what_we_write() {
        assert_eq!(blamed(json!({"nginx": {"ingress": "api"}})), ["shop/api ", "shop/web-api-canary argocd"]);
        assert_eq!(blamed(json!({"smi": {"trafficSplits": [{"name": "api"}]}})), ["shop/api argocd"]);
    }

    #[test]
    fn h7_writers_of_another_namespace_are_not_shown() {
        let services = json!([{"name": "api"}, {"name": "edge", "namespace": "gateway"}]);
        assert_eq!(blamed(json!({"traefik": {"services": services}})), ["gateway/edge ", "shop/api argocd"]);
    }
}

#[cfg(test)]
#[path = "rehearsal_tests.rs"]
mod rehearsal;
