//! One service in Consul's mesh: what its config entries and instances say, and how they come to say something else.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    access::Access,
    chain,
    client::Client,
    entries::{self, Entries, RESOLVER, ROUTER, SPLITTER, begun, is_made_here},
    error::{CallError, MeshError},
    instances::{self, Instance},
    writes::{Plan, edit},
};
use crate::{
    api::Percent,
    engine::{RouteIntent, RouteSeen, Seen, Target, TargetSeen},
    router::consul::{ConsulService, META_KEY, Spelling, protocol, resolver, service_router, splitter},
};

/// What was read stays good for so long, unless something is written: ticks come in twos and threes.
const FRESH: SignedDuration = SignedDuration::from_millis(900);

/// A service whose requests Consul's mesh splits between two subsets.
pub struct Mesh {
    client: Client,
    service: ConsulService,
    health_path: Option<String>,
    recent: Mutex<Option<(Timestamp, Option<RouteIntent>, View)>>,
}

/// What Consul says of the service.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Its routes.
    pub route: RouteSeen,
    /// The revision of each subset.
    targets: [Option<String>; 2],
    /// Instances that pass their checks in the mesh, by revision.
    passing: BTreeMap<String, u32>,
}

impl Mesh {
    /// The service of this name.
    pub fn new(access: Access, name: &str, health_path: Option<String>) -> Result<Self, CallError> {
        Ok(Mesh::of(Client::new(access)?, name, health_path))
    }

    pub(super) fn of(client: Client, name: &str, health_path: Option<String>) -> Self {
        let names = &client.access().names;
        let service = ConsulService {
            spelling: Spelling::Entry,
            name: name.to_owned(),
            namespace: names.namespace.clone(),
            partition: names.partition.clone(),
            stable_subset: "stable".to_owned(),
            canary_subset: "canary".to_owned(),
            meta_key: META_KEY.to_owned(),
        };
        Mesh { client, service, health_path, recent: Mutex::default() }
    }

    /// The service and where Consul is, for messages.
    pub fn place(&self) -> String {
        format!("service {} of Consul at {}", self.service.name, self.client.address())
    }

    /// The id of the instance at a place.
    pub fn id(&self, place: usize) -> String {
        instances::id(&self.service.name, place)
    }

    /// Puts what Consul says into an observation; what it cannot say is a problem there. `written` is what the routes were
    /// made to say last.
    pub async fn fill(&self, seen: &mut Seen, written: Option<RouteIntent>, rests: bool, now: Timestamp) {
        match self.view(written, now).await {
            Ok(view) => {
                seen.stable_target = Some(view.target(Target::Stable));
                seen.canary_target = Some(view.target(Target::Canary));
                seen.route = Some(view.route);
            }
            Err(error) => {
                seen.route = Some(RouteSeen::default());
                seen.problems.push(error.problem(rests));
            }
        }
    }

    async fn view(&self, written: Option<RouteIntent>, now: Timestamp) -> Result<View, MeshError> {
        let known = self.recent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, of, view)) = known
            && of == written
            && now.duration_since(at) < FRESH
        {
            return Ok(view);
        }
        let view = self.read(written.as_ref()).await?;
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, written, view.clone()));
        Ok(view)
    }

    fn forget(&self) {
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn read(&self, written: Option<&RouteIntent>) -> Result<View, MeshError> {
        let service = &self.service;
        let entries = Entries::read(&self.client, service).await?;
        let passing = self.client.passing(&service.name, true).await?;
        let (passing, _) = instances::by_revision(&passing, &service.meta_key);
        let targets = [Target::Stable, Target::Canary];
        let targets = targets.map(|target| resolver::revision(service, entries.resolver.as_ref()?, target));
        Ok(View { route: self.route_seen(&entries, written).await?, targets, passing })
    }

    /// The routes as read back. A weight counts once the compiled chain says the same.
    async fn route_seen(&self, entries: &Entries, written: Option<&RouteIntent>) -> Result<RouteSeen, MeshError> {
        let service = &self.service;
        let headers = entries.router.as_ref().map(|router| service_router::header_routes(service, router));
        let mut seen = RouteSeen { headers: headers.unwrap_or_default(), ..RouteSeen::default() };
        let Some(entry) = &entries.splitter else { return Ok(seen) };
        let says = splitter::share(service, entry)?;
        let compiled = self.compiled().await?;
        match (says, compiled) {
            (Some(says), Some(compiled)) if says != compiled => {
                seen.disagreement = Some((says.min(compiled), says.max(compiled)));
            }
            (says, compiled) => seen.weight = says.and(compiled),
        }
        seen.drifted = written.is_some_and(|intent| self.has_drifted(entries, intent));
        Ok(seen)
    }

    fn has_drifted(&self, entries: &Entries, intent: &RouteIntent) -> bool {
        let is_kept = |plan: Result<Plan, MeshError>| matches!(plan, Ok(Plan::Keep));
        !is_kept(self.split(entries.splitter.as_ref(), intent.canary))
            || !is_kept(self.routed(entries.router.as_ref(), intent))
    }

    async fn compiled(&self) -> Result<Option<Percent>, CallError> {
        let (stable, canary) = (&self.service.stable_subset, &self.service.canary_subset);
        Ok(chain::share(&self.client.chain(&self.service.name).await?, stable, canary))
    }

    /// Points a subset at a revision. It carries no requests at that moment, and every instance is one that a subset selects.
    pub async fn aim(&self, target: Target, revision: &str) -> Result<(), MeshError> {
        self.forget();
        let service = &self.service;
        let passing = self.client.passing(&service.name, false).await?;
        if let (_, Some(instance)) = instances::by_revision(&passing, &service.meta_key) {
            let (service, key) = (service.name.clone(), service.meta_key.clone());
            return Err(MeshError::Stranger { instance, service, key });
        }
        let entries = Entries::read(&self.client, service).await?;
        let now = entries.resolver.as_ref().and_then(|entry| resolver::revision(service, entry, target));
        if now.as_deref().is_some_and(|now| now != revision) && self.carries(&entries, target)? {
            return Err(MeshError::InUse { subset: service.subset(target).to_owned(), service: service.name.clone() });
        }
        edit(&self.client, RESOLVER, service, |current| self.aimed(current, target, revision)).await
    }

    fn carries(&self, entries: &Entries, target: Target) -> Result<bool, MeshError> {
        let share = entries.splitter.as_ref().map(|entry| splitter::share(&self.service, entry)).transpose()?;
        let canary = share.flatten().unwrap_or_default();
        let router = entries.router.as_ref();
        let has_routes = router.is_some_and(|entry| !service_router::header_routes(&self.service, entry).is_empty());
        Ok(match target {
            Target::Stable => canary < Percent::FULL,
            Target::Canary => !canary.is_zero() || has_routes,
        })
    }

    /// The resolver with a target's revision. The other subset begins with the same: an empty filter selects all instances.
    fn aimed(&self, current: Option<&Value>, target: Target, revision: &str) -> Result<Plan, MeshError> {
        let service = &self.service;
        let start = current.cloned().unwrap_or_else(|| begun(RESOLVER, service));
        let mut next = resolver::with_revision(service, &start, target, revision)?;
        let other = if target == Target::Stable { Target::Canary } else { Target::Stable };
        if resolver::revision(service, &next, other).is_none() {
            next = resolver::with_revision(service, &next, other, revision)?;
        }
        Ok(Plan::of(current, next))
    }

    /// Brings the weights and the header routes about. Each is tried though the other fails; the compiled chain confirms them.
    pub async fn route(&self, intent: &RouteIntent) -> Result<(), MeshError> {
        self.forget();
        let service = &self.service;
        self.check_protocol().await?;
        let split = edit(&self.client, SPLITTER, service, |current| self.split(current, intent.canary)).await;
        let routed = edit(&self.client, ROUTER, service, |current| self.routed(current, intent)).await;
        split.and(routed)?;
        let compiled = self.compiled().await?;
        if compiled == Some(intent.canary) {
            return Ok(());
        }
        Err(MeshError::NotCompiled {
            service: service.name.clone(),
            found: compiled.map_or_else(|| "an unknown share".to_owned(), |share| share.to_string()),
            wanted: intent.canary.to_string(),
        })
    }

    async fn check_protocol(&self) -> Result<(), MeshError> {
        let [service, proxies] = entries::defaults(&self.client, &self.service).await?;
        let found = protocol::protocol(&self.service, service.as_ref(), proxies.as_ref());
        match protocol::refusal(&self.service, found) {
            Some(error) => Err(error.into()),
            None => Ok(()),
        }
    }

    fn split(&self, current: Option<&Value>, canary: Percent) -> Result<Plan, MeshError> {
        let start = current.cloned().unwrap_or_else(|| begun(SPLITTER, &self.service));
        Ok(Plan::of(current, splitter::with_share(&self.service, &start, canary)?))
    }

    fn routed(&self, current: Option<&Value>, intent: &RouteIntent) -> Result<Plan, MeshError> {
        let service = &self.service;
        let start = current.cloned().unwrap_or_else(|| begun(ROUTER, service));
        let next = service_router::with_header_routes(service, &start, &intent.headers)?;
        Ok(match current {
            Some(entry) if is_made_here(entry) && service_router::is_empty(service, &next) => Plan::Delete,
            None if service_router::is_empty(service, &next) => Plan::Keep,
            _ => Plan::of(current, next),
        })
    }

    /// Has these instances registered at the agent, and no others of ours. Gives what was changed: the place, and whether it
    /// is registered now.
    pub async fn enroll(&self, instances: &[Instance]) -> Result<Vec<(usize, bool)>, CallError> {
        let (name, key) = (&self.service.name, &self.service.meta_key);
        let registered = self.client.registered(name).await?;
        let mut changes = Vec::new();
        for place in [0, 1] {
            let there = registered.get(&self.id(place));
            match (instances.iter().find(|instance| instance.place == place), there) {
                (Some(instance), Some(there)) if instance.is(there, key) => {}
                (Some(instance), _) => {
                    self.client.register(&instance.body(name, key, self.health_path.as_deref())).await?;
                    changes.push((place, true));
                }
                (None, Some(_)) => {
                    self.client.deregister(&self.id(place)).await?;
                    changes.push((place, false));
                }
                (None, None) => {}
            }
        }
        Ok(changes)
    }
}

impl View {
    fn target(&self, target: Target) -> TargetSeen {
        let [stable, canary] = &self.targets;
        let revision = if target == Target::Stable { stable } else { canary };
        let count = |revision: &String| (revision.clone(), self.passing.get(revision).copied().unwrap_or(0));
        let endpoints = revision.iter().map(count).filter(|(_, count)| *count > 0).collect();
        TargetSeen { revision: revision.clone(), endpoints: Some(endpoints), ..TargetSeen::default() }
    }
}
