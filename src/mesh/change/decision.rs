//! What a step decides.

use jiff::Timestamp;

use super::input::Standing;
use crate::api::policy::{HeldAt, HoldReason, PolicyState};

/// What a step decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What is recorded.
    pub standing: Standing,
    /// What the objects of the mesh have to say.
    pub desired: Desired,
    /// What the change waits for; none when nothing is in progress.
    pub wait: Option<Wait>,
    /// When to look again, if nothing happens before.
    pub wake: Option<Timestamp>,
    /// What became of the command, if there was one.
    pub command: Option<Result<(), Refused>>,
}

/// What the objects of the mesh have to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desired {
    /// The spec that is in force; none: no object of the policy.
    InForce(Option<String>),
    /// That, and the new spec counts what it would deny.
    Audit(String),
    /// The new spec for the workloads up to this wave, the others as in force.
    Wave(String, u32),
}

/// What a change waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The callers.
    Check,
    /// A Rollout of the target or of a caller.
    Release,
    /// The objects of the mesh.
    Writes,
    /// The end of the audit.
    Audit,
    /// The end of the bake.
    Bake,
    /// An operator.
    Operator(HoldReason),
    /// An edit: of the policy, or of what is in its way.
    Edit,
}

/// Why a command is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nothing is in progress.
    #[error("no change is in progress")]
    NothingInProgress,
    /// The change is being taken back.
    #[error("the change is being reverted")]
    Reverting,
    /// The plan cannot be carried out.
    #[error("the policy cannot be written as it is; fix it first")]
    CannotBeWritten,
}

impl Desired {
    /// What a state wants.
    pub fn of(standing: &Standing) -> Self {
        let in_force = || Desired::InForce(standing.in_force.clone());
        match &standing.state {
            Some(PolicyState::Auditing(of)) => Desired::Audit(of.spec.clone()),
            Some(PolicyState::Applying(of)) => Desired::Wave(of.spec.clone(), of.wave),
            Some(PolicyState::Baking(of)) => Desired::Wave(of.spec.clone(), of.wave),
            Some(PolicyState::Held(of)) => match of.at {
                HeldAt::Check {} => in_force(),
                HeldAt::Audit {} => Desired::Audit(of.spec.clone()),
                HeldAt::Wave { wave } => Desired::Wave(of.spec.clone(), wave),
            },
            _ => in_force(),
        }
    }
}
