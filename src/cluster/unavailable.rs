//! Routers whose kinds cannot be seen: nothing is known of their objects, and nothing is written to them.
//!
//! Of several routers the others still lead back to stable: an abort does not wait for the mesh that fails.

use super::{shared::Cluster, snapshot::Snapshot};
use crate::{
    api::{
        reason::Reason,
        status::{Course, RolloutStatus},
    },
    engine::Problem,
    router::{GroupResource, Router},
};

/// What keeps each router of a Rollout from being used, in their order.
pub(super) struct Unavailable(Vec<Option<String>>);

impl Unavailable {
    /// Whether all can be used.
    pub fn is_none(&self) -> bool {
        self.first().is_none()
    }

    /// The first reason.
    pub fn first(&self) -> Option<&str> {
        self.0.iter().flatten().next().map(String::as_str)
    }

    /// Those that can be used.
    pub fn others<'a>(&self, routers: &'a [Box<dyn Router>]) -> Vec<&'a dyn Router> {
        let usable = routers.iter().zip(&self.0).filter(|(_, trouble)| trouble.is_none());
        usable.map(|(router, _)| router.as_ref()).collect()
    }

    /// A Rollout at rest keeps its pods as they are wanted; one that has anything under way stays exactly as it is, unless it
    /// has another router, by which its traffic can return.
    pub fn problem(&self, snapshot: &Snapshot) -> Option<Problem> {
        let message = self.first()?.to_owned();
        let course = snapshot.rollout.status.as_ref().map(RolloutStatus::course);
        let rests = matches!(course, Some(Course::Idle | Course::Aborted | Course::ControlKept));
        let all = self.0.iter().all(Option::is_some);
        Some(Problem { reason: Reason::RouterUnavailable, message, blocks_all: all && !rests })
    }
}

impl Cluster {
    /// What keeps the routers of a Rollout from being used now.
    pub(super) fn unavailable(&self, snapshot: &Snapshot) -> Unavailable {
        Unavailable(snapshot.routers.iter().map(|router| self.trouble(snapshot, router.as_ref())).collect())
    }

    /// What keeps a router from being used. Of a kind that has gone there is nothing to be restored, for a Rollout that goes or
    /// no longer names it; and without ReferenceGrants there is no consent but by annotation.
    fn trouble(&self, snapshot: &Snapshot, router: &dyn Router) -> Option<String> {
        let objects = router.objects(&snapshot.context).into_iter().map(|object| object.resource());
        let lists = router.lists(&snapshot.context).into_iter().filter(|list| !list.is_consent());
        let leaves = snapshot.objects_changed || snapshot.rollout.metadata.deletion_timestamp.is_some();
        let gone = |kind: &GroupResource| leaves && self.router_kinds.is_absent(kind);
        let mut kinds = objects.chain(lists.map(|list| list.resource())).filter(|kind| !gone(kind));
        kinds.find_map(|kind| self.router_kinds.trouble(&kind, &snapshot.key.namespace))
    }
}
