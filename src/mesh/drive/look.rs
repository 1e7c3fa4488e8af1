//! One look at a policy: which state follows, what to record of it, and what to write.

use jiff::{SignedDuration, Timestamp};

use super::{
    narrow, record,
    seen::{Ask, Seen, spec_id},
    wanted::Wanted,
};
use crate::{
    api::policy::{HeldAt, MeshPolicyStatus, PolicyState},
    mesh::{
        MeshWrite,
        change::{self, Decision, Desired, Input, Judged, Refused, Standing},
        services,
    },
};

/// A change that waits for its callers looks again this often.
const AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// So often it is asked who is denied, and how often where that takes the queries of many Services.
const WATCHED: SignedDuration = SignedDuration::from_secs(5);
const MANY_WATCHED: SignedDuration = SignedDuration::from_secs(15);
/// So many Services are many.
const MANY: usize = 4;

/// What a look says.
#[derive(Debug)]
pub struct Look {
    /// What to record, before anything is written.
    pub status: MeshPolicyStatus,
    /// What to write then, in this order.
    pub writes: Vec<MeshWrite>,
    /// What to ask of the metrics, to look once more with the answers.
    pub ask: Option<Ask>,
    /// When to look again, if nothing happens before.
    pub wake: Option<Timestamp>,
    /// What became of the command, if there was one.
    pub command: Option<Result<(), Refused>>,
}

/// Looks at a policy that is not being deleted.
pub fn look(seen: &Seen<'_>) -> Look {
    let recorded = seen.policy.status.clone().unwrap_or_default();
    let wanted = Wanted::of(seen);
    let standing = Standing { in_force: recorded.in_force.clone(), state: recorded.state.clone() };
    let before = Desired::of(&standing);
    let pending = wanted.pending(seen, &before);
    let checked = wanted.checked(seen);
    let namespace = seen.policy.metadata.namespace.as_deref().unwrap_or_default();
    let workloads = narrow::workloads(namespace, &seen.policy.spec, seen.facts).len();
    let id = spec_id(&seen.policy.spec);
    let input = Input {
        now: seen.now,
        standing: &standing,
        wanted: &id,
        settings: wanted.settings.clone(),
        plan: wanted.plan_seen(),
        is_written: pending.is_empty(),
        check: wanted.verdict(seen, checked.as_deref()),
        can_audit: false,
        denials: 0,
        workloads: u32::try_from(workloads).unwrap_or(u32::MAX),
        judged: Some(Judged::Pass),
        cuts_caller: wanted.cut(seen).is_some(),
        is_releasing: seen.releasing.is_some(),
        command: seen.command,
    };
    let decision = change::step(&input);
    let writes = if decision.desired == before { pending } else { wanted.pending(seen, &decision.desired) };
    let status = record::status(seen, &wanted, &decision, checked.as_deref(), writes.is_empty());
    Look { ask: wanted.ask(seen, &decision), wake: wake(seen, &decision), status, writes, command: decision.command }
}

/// When the metrics may say something else, beside what the step itself waits for.
fn wake(seen: &Seen<'_>, decision: &Decision) -> Option<Timestamp> {
    let again = match decision.standing.state.as_ref() {
        Some(PolicyState::Held(held)) if held.at == HeldAt::Check {} => Some(AGAIN),
        Some(PolicyState::Checking(_)) => Some(AGAIN),
        Some(PolicyState::Baking(_)) => {
            Some(if services(seen.policy, seen.facts).len() > MANY { MANY_WATCHED } else { WATCHED })
        }
        _ => None,
    };
    let again = again.and_then(|after| seen.now.saturating_add(after).ok());
    [decision.wake, again].into_iter().flatten().min()
}
