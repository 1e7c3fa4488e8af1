//! Other writers in the small world: they change, scale and delete objects that the engine owns. The engine's own
//! writes are recorded separately, to count.

use jiff::Timestamp;

use super::SimWorld;
use glidepath::{
    api::common::Percent,
    engine::{RouteIntent, Target},
};

impl SimWorld {
    /// Somebody takes our header routes and mirror away.
    pub fn lose_routes(&mut self) {
        self.route = RouteIntent::weight(self.route.canary);
    }

    /// Edits the routes by hand.
    pub fn drift(&mut self, weight: Percent) {
        self.route.canary = weight;
        self.other_route = None;
    }

    /// Edits one of two routes by hand: they disagree.
    pub fn drift_one(&mut self, weight: Percent) {
        self.other_route = Some(weight).filter(|weight| *weight != self.route.canary);
    }

    /// Edits our routes in addition to the weight.
    pub fn spoil_routes(&mut self) {
        self.spoiled = true;
    }

    /// Another writer moves a target.
    pub fn retarget(&mut self, target: Target, revision: Option<&str>) {
        let named = if target == Target::Stable { &mut self.stable_target } else { &mut self.canary_target };
        *named = revision.map(str::to_owned);
    }

    /// Whether the routes disagree.
    pub fn disagrees(&self) -> bool {
        self.other_route.is_some()
    }

    /// The stable target lists its pods or, as with a selector that they do not match, none of them.
    pub fn list_endpoints(&mut self, listed: bool) {
        self.unlisted = !listed;
    }

    /// Another writer scales a revision.
    pub fn rescale(&mut self, id: &str, replicas: u32) {
        self.scale(id, replicas);
        self.sets.entry(id.to_owned()).and_modify(|set| set.rescaled = true);
    }

    /// Another writer deletes a revision's ReplicaSet.
    pub fn delete_set(&mut self, id: &str) {
        self.sets.remove(id);
    }

    /// Another writer deletes all AnalysisRuns.
    pub fn delete_runs(&mut self) {
        self.runs.clear();
    }

    /// How often an object was written from a moment on.
    pub fn writes_since(&self, since: Timestamp, object: &str) -> usize {
        self.writes.iter().filter(|(at, written)| *at >= since && written == object).count()
    }
}
