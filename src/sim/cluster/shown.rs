//! The simulator's world as expectations see it.

use std::borrow::Cow;

use super::{SimCluster, Target};
use crate::{
    api::{Percent, RolloutStatus, command::CommandState},
    routing::targets::Split,
    sim::{
        expect::{RevisionShown, Seen, Selects},
        time::Millis,
    },
};

impl Seen for SimCluster {
    fn status(&self) -> Cow<'_, RolloutStatus> {
        self.recorded().map_or_else(|| Cow::Owned(RolloutStatus::default()), Cow::Borrowed)
    }

    fn is_there(&self) -> bool {
        self.rollout.is_some()
    }

    fn revisions(&self) -> Vec<RevisionShown> {
        let min_ready = self.min_ready();
        let shown = self.sets.iter().map(|set| RevisionShown {
            id: set.id.clone(),
            number: set.number,
            image: set.image(),
            available: set.available(self.now, min_ready),
        });
        shown.collect()
    }

    fn available(&self) -> u32 {
        SimCluster::available(self)
    }

    fn route_weight(&self) -> Option<Percent> {
        self.has_mesh().then_some(self.route.weight)
    }

    fn header_routes(&self) -> Vec<String> {
        self.route.headers.clone()
    }

    fn mirror(&self) -> Percent {
        self.route.mirror.unwrap_or_default()
    }

    fn service(&self, name: &str) -> Selects {
        let names = &self.targets;
        match Some(name) {
            name if name == names.stable.as_deref() => selects(&self.stable),
            name if name == names.canary.as_deref() => selects(&self.canary),
            name if name == names.root.as_deref() && names.split == Split::Host => selects(&self.stable),
            name if name == names.root.as_deref() => Selects::All,
            _ => Selects::Nothing,
        }
    }

    fn active(&self) -> Selects {
        selects(&self.stable)
    }

    fn preview(&self) -> Selects {
        selects(&self.canary)
    }

    fn workload(&self) -> Option<(u32, bool)> {
        self.deployment.as_ref().map(|deployment| (deployment.own.wanted, deployment.paused))
    }

    fn answer(&self) -> Option<(CommandState, String)> {
        let last = self.answers.last().filter(|_| self.commands.is_empty());
        last.map(|(_, state, message)| (*state, message.clone()))
    }

    fn told(&self, reason: &str, since: Millis) -> bool {
        self.notices.iter().any(|(at, notice)| *at >= since && notice.reason.as_str() == reason)
    }

    fn lost(&self) -> u64 {
        self.lost_so_far()
    }
}

fn selects(target: &Target) -> Selects {
    target.revision.clone().map_or(Selects::All, Selects::Revision)
}
