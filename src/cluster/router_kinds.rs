//! Routers' kinds in this cluster: at which version each is watched, or why it cannot be used.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use super::{health::Health, locks::lock};
use crate::router::WatchedKind;

/// What discovery says of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It could not be asked, and why.
    Unknown(String),
    /// No version that we know is served.
    Absent,
    /// The version to use.
    Served(&'static str),
}

#[derive(Debug)]
struct Watched {
    found: Found,
    health: Arc<Health>,
}

/// What is known of each kind, by its plural.
#[derive(Debug, Default)]
pub struct RouterKinds {
    kinds: Mutex<BTreeMap<&'static str, Watched>>,
}

impl RouterKinds {
    /// Begins to look for a kind.
    pub fn watch(&self, kind: &'static WatchedKind, health: Arc<Health>) {
        let found = Found::Unknown("not checked yet".to_owned());
        lock(&self.kinds).insert(kind.plural, Watched { found, health });
    }

    /// What a look has found.
    pub fn found(&self, kind: &WatchedKind, found: Found) {
        if let Some(watched) = lock(&self.kinds).get_mut(kind.plural) {
            watched.found = found;
        }
    }

    /// The version that is watched, and so the one to write.
    pub fn version(&self, kind: &WatchedKind) -> &'static str {
        let served = |watched: &Watched| match watched.found {
            Found::Served(version) => Some(version),
            _ => None,
        };
        let served = lock(&self.kinds).get(kind.plural).and_then(served);
        served.or_else(|| kind.versions.first().copied()).unwrap_or_default()
    }

    /// Why a kind cannot be used, and what to do; `None` when it can.
    pub fn trouble(&self, kind: &WatchedKind) -> Option<String> {
        let kinds = lock(&self.kinds);
        let watched = kinds.get(kind.plural)?;
        let WatchedKind { group, kind: name, plural, .. } = kind;
        match &watched.found {
            Found::Unknown(why) => Some(format!(
                "cannot discover which versions of {name} ({group}) the API server serves: {why}; the controller keeps retrying"
            )),
            Found::Absent => Some(format!(
                "the API server does not serve {name} ({group}) in version {}; install its CustomResourceDefinition, or remove the \
                 router from spec.traffic",
                kind.versions.join(", "),
            )),
            Found::Served(version) => watched.health.unreliable().map(|why| {
                format!(
                    "cannot list and watch {name} ({group}/{version}): {why}; the controller keeps retrying: check that its role allows list and watch of {plural}.{group}, and that the API server serves them"
                )
            }),
        }
    }
}
