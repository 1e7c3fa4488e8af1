//! Routers' kinds in this cluster: at which version each is watched, or why it cannot be used.
//!
//! A kind is looked for once a Rollout needs it: a cluster's Ingresses cost nothing where no Rollout splits traffic by them.
//! Kinds that only Rollouts name are bounded in number, as whoever may create a Rollout names them: a namespace has some, and
//! all together have some. Such a kind is watched until the process ends, also when no Rollout names it any more.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::{Notify, watch};

use super::{health::Health, locks::lock};
use crate::router::{GroupResource, WatchedKind};

/// What is said of a kind that was not looked for yet.
const NOT_CHECKED: &str = "not checked yet";
/// So many kinds that only Rollouts name are watched.
const MOST_NAMED: usize = 64;
/// So many of them may be named first by the Rollouts of one namespace.
const MOST_OF_NAMESPACE: usize = 8;

/// What discovery says of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It could not be asked, and why.
    Unknown(String),
    /// No version that we know is served.
    Absent,
    /// The version to use.
    Served(String),
}

#[derive(Debug)]
struct Watched {
    kind: WatchedKind,
    found: Found,
    health: Arc<Health>,
    needed: watch::Sender<bool>,
    /// The namespace whose Rollout named it first; `None` of a kind that routers always know.
    named_in: Option<String>,
}

/// A kind to look for.
#[derive(Debug)]
pub struct NewKind {
    pub kind: WatchedKind,
    pub health: Arc<Health>,
    /// Says when a Rollout needs it.
    pub needed: watch::Receiver<bool>,
}

/// What is known of each kind.
#[derive(Debug, Default)]
pub struct RouterKinds {
    kinds: Mutex<BTreeMap<GroupResource, Watched>>,
    /// Those that a Rollout has named, and that no task looks for yet.
    named: Mutex<Vec<NewKind>>,
    more: Notify,
}

impl RouterKinds {
    /// A kind that is not needed yet.
    pub fn add(&self, kind: &WatchedKind, health: Arc<Health>) -> NewKind {
        health.absent();
        let (watched, new) = watched(kind, health, None);
        lock(&self.kinds).insert(kind.resource(), watched);
        new
    }

    /// A Rollout of a namespace names a kind. Gives whether it was new; a kind beyond the bounds is not watched.
    pub fn name(&self, kind: &WatchedKind, namespace: &str, health: impl FnOnce() -> Arc<Health>) -> bool {
        let mut kinds = lock(&self.kinds);
        if kinds.contains_key(&kind.resource()) || bound(&kinds, namespace).is_some() {
            return false;
        }
        let (watched, new) = watched(kind, health(), Some(namespace.to_owned()));
        watched.health.absent();
        kinds.insert(kind.resource(), watched);
        drop(kinds);
        lock(&self.named).push(new);
        self.more.notify_one();
        true
    }

    /// The next kind that a Rollout has named.
    pub async fn next_named(&self) -> NewKind {
        loop {
            let next = lock(&self.named).pop();
            match next {
                Some(new) => return new,
                None => self.more.notified().await,
            }
        }
    }

    /// A Rollout needs a kind.
    pub fn need(&self, resource: &GroupResource) {
        let kinds = lock(&self.kinds);
        if let Some(watched) = kinds.get(resource)
            && !watched.needed.send_replace(true)
        {
            watched.health.needed();
        }
    }

    /// What a look has found.
    pub fn found(&self, resource: &GroupResource, found: Found) {
        if let Some(watched) = lock(&self.kinds).get_mut(resource) {
            watched.found = found;
        }
    }

    /// A kind.
    pub fn kind(&self, resource: &GroupResource) -> Option<WatchedKind> {
        lock(&self.kinds).get(resource).map(|watched| watched.kind.clone())
    }

    /// Whether a CustomResourceDefinition of this name is one of theirs.
    pub fn has_definition(&self, name: &str) -> bool {
        lock(&self.kinds).values().any(|watched| watched.kind.definition() == name)
    }

    /// The version that is watched, and so the one to write.
    pub fn version(&self, kind: &WatchedKind) -> String {
        match lock(&self.kinds).get(&kind.resource()).map(|watched| &watched.found) {
            Some(Found::Served(version)) => version.clone(),
            _ => kind.versions.newest().to_owned(),
        }
    }

    /// Whether no version that we know is served: there are no objects of it.
    pub fn is_absent(&self, resource: &GroupResource) -> bool {
        lock(&self.kinds).get(resource).is_some_and(|watched| watched.found == Found::Absent)
    }

    /// Whether a kind was not looked for yet.
    pub fn is_sought(&self, resource: &GroupResource) -> bool {
        let is_new = |found: &Found| matches!(found, Found::Unknown(why) if why == NOT_CHECKED);
        lock(&self.kinds).get(resource).is_some_and(|watched| is_new(&watched.found))
    }

    /// Why a kind cannot be used by the Rollouts of a namespace, and what to do; `None` when it can.
    pub fn trouble(&self, resource: &GroupResource, namespace: &str) -> Option<String> {
        let kinds = lock(&self.kinds);
        match kinds.get(resource) {
            Some(watched) => watched.trouble(),
            None => bound(&kinds, namespace).map(|bound| format!("{resource} is not watched: {bound}")),
        }
    }
}

fn watched(kind: &WatchedKind, health: Arc<Health>, named_in: Option<String>) -> (Watched, NewKind) {
    let found = Found::Unknown(NOT_CHECKED.to_owned());
    let (sender, needed) = watch::channel(false);
    let new = NewKind { kind: kind.clone(), health: Arc::clone(&health), needed };
    (Watched { kind: kind.clone(), found, health, needed: sender, named_in }, new)
}

/// Why a namespace can name no more kinds.
fn bound(kinds: &BTreeMap<GroupResource, Watched>, namespace: &str) -> Option<String> {
    let named: Vec<&str> = kinds.values().filter_map(|watched| watched.named_in.as_deref()).collect();
    if named.iter().filter(|of| **of == namespace).count() >= MOST_OF_NAMESPACE {
        return Some(format!(
            "the Rollouts of namespace {namespace} have named {MOST_OF_NAMESPACE} kinds in spec.traffic[].custom, which is the most; use one of these, or restart the controller once the others are no longer named"
        ));
    }
    (named.len() >= MOST_NAMED).then(|| {
        format!(
            "Rollouts have named {MOST_NAMED} kinds in spec.traffic[].custom, which is the most; restart the controller once some are no longer named"
        )
    })
}

impl Watched {
    fn trouble(&self) -> Option<String> {
        let WatchedKind { group, kind: name, plural, versions } = &self.kind;
        let is_named = self.named_in.is_some();
        match &self.found {
            Found::Unknown(why) => Some(format!(
                "cannot discover which versions of {name} ({group}) the API server serves: {why}; the controller keeps retrying"
            )),
            Found::Absent if is_named => Some(format!(
                "the API server does not serve {name} ({group}) in version {versions} as {plural}; install its CustomResourceDefinition, \
                 or fix apiVersion, kind and plural of the router custom in spec.traffic"
            )),
            Found::Absent => Some(format!(
                "the API server does not serve {name} ({group}) in version {versions}; install its CustomResourceDefinition, or remove the \
                 router from spec.traffic"
            )),
            Found::Served(version) => self.health.unreliable().map(|why| {
                let grant = match is_named {
                    true => format!(
                        ", as a ClusterRole with the label glidepath.dev/aggregate-to-controller: \"true\" and the rule \
                         {{apiGroups: [{group}], resources: [{plural}], verbs: [list, watch, update]}} does"
                    ),
                    false => String::new(),
                };
                format!(
                    "cannot list and watch {name} ({group}/{version}): {why}; the controller keeps retrying: check that its role allows list and watch of {plural}.{group}{grant}, and that the API server serves them"
                )
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cluster::health::Streams, router::Versions};

    fn kind(name: &str) -> WatchedKind {
        let plural = format!("{}s", name.to_lowercase());
        WatchedKind {
            group: "mesh.example.com".into(),
            versions: Versions::Named("v1".into()),
            kind: name.to_owned().into(),
            plural: plural.into(),
        }
    }

    #[test]
    fn kinds_that_rollouts_name_are_bounded_in_a_namespace_and_in_all() {
        let (kinds, streams) = (RouterKinds::default(), Streams::default());
        let name = |namespace: &str, name: &str| kinds.name(&kind(name), namespace, || streams.add_optional(name));
        let trouble =
            |namespace: &str, name: &str| kinds.trouble(&kind(name).resource(), namespace).unwrap_or_default();
        for number in 0..MOST_OF_NAMESPACE {
            assert!(name("greedy", &format!("Kind{number}")));
        }
        assert!(!name("greedy", "Kind0"), "it is known");
        assert!(
            !name("greedy", "Another") && trouble("greedy", "Another").contains("namespace greedy have named 8 kinds")
        );
        assert_eq!(trouble("modest", "Another"), "", "it may be named there");
        assert!(name("modest", "Another"));
        assert!(trouble("greedy", "Another").contains("not checked yet"), "what another names can be used");
        for number in MOST_OF_NAMESPACE + 1..MOST_NAMED {
            assert!(name(&format!("n{number}"), &format!("Kind{number}")));
        }
        assert!(!name("late", "Last") && trouble("late", "Last").contains("Rollouts have named 64 kinds"));
    }

    #[test]
    fn a_kind_of_another_version_or_of_a_false_name_is_in_no_ones_way() {
        let (kinds, streams) = (RouterKinds::default(), Streams::default());
        let route = kind("Route");
        let others = [
            WatchedKind { versions: Versions::Named("v0".into()), ..route.clone() },
            WatchedKind { kind: "False".into(), ..route.clone() },
        ];
        for other in &others {
            assert!(kinds.name(other, "hostile", || streams.add_optional("Route")));
            kinds.found(&other.resource(), Found::Absent);
        }
        assert!(kinds.name(&route, "shop", || streams.add_optional("Route")));
        assert!(!kinds.is_absent(&route.resource()));
        assert!(kinds.has_definition("routes.mesh.example.com"));
    }
}
