//! What a step looks at.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    api::{
        HumanDuration,
        policy::{Change, OnRejection, PolicyState, Wave},
    },
    mesh::check::Verdict,
};

/// What outlives a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The spec that is in force; none before the first.
    pub in_force: Option<String>,
    /// Where the change stands; none before the first step.
    pub state: Option<PolicyState>,
}

/// What a step looks at.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The time.
    pub now: Timestamp,
    /// What was recorded last.
    pub standing: &'a Standing,
    /// The spec that the policy has now.
    pub wanted: &'a str,
    /// How it is to be changed.
    pub settings: Settings,
    /// What its plan is on the mesh.
    pub plan: PlanSeen,
    /// Whether the objects of the mesh say what the last decision wanted them to.
    pub is_written: bool,
    /// What the check says of the callers; none while it is not known yet.
    pub check: Option<Verdict>,
    /// Whether the mesh can count denials without an effect.
    pub can_audit: bool,
    /// How many denials the audit counted.
    pub denials: u64,
    /// How many workloads the target has.
    pub workloads: u32,
    /// What the analysis of the wave says; none while it has no verdict.
    pub judged: Option<Judged>,
    /// Whether a caller that succeeded before was denied three times since the wave began.
    pub cuts_caller: bool,
    /// Whether a Rollout of the target or of a caller progresses (rule F4).
    pub is_releasing: bool,
    /// What an operator asks for.
    pub command: Option<Command>,
}

/// How a change is carried out: the section `change` with its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether callers are compared with the rules at all.
    pub has_guard: bool,
    /// How long denials are counted before they take effect.
    pub audit: Duration,
    /// The waves, at least one; the last has all workloads.
    pub waves: Vec<Wave>,
    /// How long each is watched.
    pub bake: Duration,
    /// What a bad verdict does.
    pub on_failure: OnRejection,
    /// Whether all of this is skipped.
    pub is_now: bool,
}

/// How far back callers are looked for where the policy does not say it.
pub const GUARD: HumanDuration = HumanDuration::secs(3600);
/// How long a wave is watched where the policy does not say it.
const BAKE: Duration = Duration::from_secs(300);

impl Settings {
    /// From a policy. `cuts` says whether it can cut a caller at all: then there is a guard by default.
    pub fn of(change: Option<&Change>, cuts: bool) -> Self {
        let change = change.cloned().unwrap_or_default();
        let is_now = change.now == Some(true);
        let all = Wave::Share(crate::api::Percent::FULL);
        let mut waves = change.waves;
        if waves.last() != Some(&all) {
            waves.push(all);
        }
        Settings {
            has_guard: !is_now && (cuts || change.guard.is_some()),
            audit: change.audit.map(|audit| audit.get()).unwrap_or_default(),
            waves,
            bake: change.bake.map_or(BAKE, |bake| bake.get()),
            on_failure: change.on_failure.unwrap_or_default(),
            is_now,
        }
    }

    /// The number of the last wave, from 0, for so many workloads: a wave that adds none is not one.
    pub fn last_wave(&self, workloads: u32) -> u32 {
        let whole = self.waves.iter().position(|wave| wave.of(workloads) >= workloads.max(1));
        u32::try_from(whole.unwrap_or(self.waves.len().saturating_sub(1))).unwrap_or(u32::MAX)
    }
}

/// What the wanted spec's plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanSeen {
    /// It can be written.
    Clear,
    /// The mesh cannot do it.
    Refused,
    /// Something of others is in the way.
    Conflicted,
}

/// What an analysis says of a wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is fine.
    Pass,
    /// It is not.
    Fail,
    /// It could not be found out.
    Inconclusive,
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Go on: a hold, an audit or a bake ends.
    Promote,
    /// Take the change back.
    Abort,
    /// Try a reverted or held spec again.
    Retry,
}
