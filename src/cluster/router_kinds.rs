//! Routers' kinds in this cluster: at which version each is watched, or why it cannot be used.
//!
//! A kind is looked for once a Rollout needs it: a cluster's Ingresses cost nothing where no Rollout splits traffic by them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tokio::sync::watch;

use super::{health::Health, locks::lock};
use crate::router::{GroupResource, WatchedKind};

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
    found: Found,
    health: Arc<Health>,
    needed: watch::Sender<bool>,
}

/// What is known of each kind.
#[derive(Debug, Default)]
pub struct RouterKinds {
    kinds: Mutex<BTreeMap<GroupResource, Watched>>,
}

impl RouterKinds {
    /// A kind that is not needed yet; the receiver says when it is.
    pub fn add(&self, kind: &WatchedKind, health: Arc<Health>) -> watch::Receiver<bool> {
        let found = Found::Unknown("not checked yet".to_owned());
        let (needed, receiver) = watch::channel(false);
        health.absent();
        lock(&self.kinds).insert(kind.resource(), Watched { found, health, needed });
        receiver
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
    pub fn found(&self, kind: &WatchedKind, found: Found) {
        if let Some(watched) = lock(&self.kinds).get_mut(&kind.resource()) {
            watched.found = found;
        }
    }

    /// The version that is watched, and so the one to write.
    pub fn version(&self, kind: &WatchedKind) -> String {
        match lock(&self.kinds).get(&kind.resource()).map(|watched| &watched.found) {
            Some(Found::Served(version)) => version.clone(),
            _ => kind.versions.newest().to_owned(),
        }
    }

    /// Whether no version that we know is served: there are no objects of it.
    pub fn is_absent(&self, kind: &WatchedKind) -> bool {
        lock(&self.kinds).get(&kind.resource()).is_some_and(|watched| watched.found == Found::Absent)
    }

    /// Why a kind cannot be used, and what to do; `None` when it can.
    pub fn trouble(&self, kind: &WatchedKind) -> Option<String> {
        let kinds = lock(&self.kinds);
        let watched = kinds.get(&kind.resource())?;
        let WatchedKind { group, kind: name, plural, .. } = kind;
        match &watched.found {
            Found::Unknown(why) => Some(format!(
                "cannot discover which versions of {name} ({group}) the API server serves: {why}; the controller keeps retrying"
            )),
            Found::Absent => Some(format!(
                "the API server does not serve {name} ({group}) in version {}; install its CustomResourceDefinition, or remove the \
                 router from spec.traffic",
                kind.versions,
            )),
            Found::Served(version) => watched.health.unreliable().map(|why| {
                format!(
                    "cannot list and watch {name} ({group}/{version}): {why}; the controller keeps retrying: check that its role allows list and watch of {plural}.{group}, and that the API server serves them"
                )
            }),
        }
    }
}
