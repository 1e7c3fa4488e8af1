//! What of Glidepath's own is in route objects beside the weights: the same for every router that adds such.

use crate::{
    api::{Percent, strategy::MirrorRoute},
    engine::RouteIntent,
};

/// What of ours is in an object, or in several.
#[derive(Debug, Default)]
pub(super) struct OwnSeen {
    /// The names of the header routes, sorted, each once.
    pub(super) headers: Vec<String>,
    /// The share that is copied; of several objects, the first's that copies.
    pub(super) mirror: Option<Percent>,
    /// Whether anything keeps users on a version.
    pub(super) sticky: bool,
}

impl OwnSeen {
    /// Also what is in another object.
    pub(super) fn add(&mut self, other: OwnSeen) {
        self.headers.extend(other.headers);
        self.headers.sort();
        self.headers.dedup();
        self.mirror = self.mirror.or(other.mirror);
        self.sticky |= other.sticky;
    }

    /// What the objects say, if everything that is there is as the steps know it; what else they say is drift.
    pub(super) fn intent(&self, canary: Percent, known: &RouteIntent) -> RouteIntent {
        let is_there = |name: &String| self.headers.contains(name);
        RouteIntent {
            canary,
            headers: known.headers.iter().filter(|route| is_there(&route.name)).cloned().collect(),
            mirror: self.mirror.map(|percent| MirrorRoute { percent, ..known.mirror.clone().unwrap_or_default() }),
            sticky: known.sticky.clone().filter(|_| self.sticky),
        }
    }
}
