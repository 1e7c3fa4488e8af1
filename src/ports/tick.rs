//! One tick: observe, decide, carry out, record. The same for every world.

use jiff::Timestamp;

use super::{RolloutKey, World, WorldError};
use crate::{
    api::{Rollout, SKIP_HAND_BACK},
    engine::{self, Decision, Input, Notice, Problem},
};

/// Runs one tick for one Rollout. `Ok(None)` means that it is gone.
///
/// A failed action stops the actions behind it (they build on it), becomes a problem in the status, and the status is
/// recorded all the same.
pub async fn tick(world: &dyn World, key: &RolloutKey, now: Timestamp) -> Result<Option<Decision>, WorldError> {
    let Some(observation) = world.observe(key).await? else { return Ok(None) };
    let uid = observation.rollout.metadata.uid.clone().unwrap_or_default();
    let last = observation.rollout.status.clone().unwrap_or_default();
    let input = Input {
        name: &key.name,
        uid: &uid,
        generation: observation.rollout.metadata.generation,
        deleting: observation.rollout.metadata.deletion_timestamp.is_some(),
        skip_hand_back: skips_hand_back(&observation.rollout),
        spec: &observation.rollout.spec,
        status: &last,
        seen: &observation.seen,
        now,
    };
    let mut decision = engine::step(&input);
    let mut failure = None;
    for action in &decision.actions {
        if let Err(error) = world.carry_out(&observation, action).await {
            failure = Some(error);
            break;
        }
    }
    if let Some(error) = &failure {
        note_failure(&mut decision, error, &last.message);
    }
    if decision.status != last {
        world.record(&observation, &decision.status).await?;
    }
    for notice in &decision.notices {
        world.tell(&observation, notice).await;
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(Some(decision)),
    }
}

fn skips_hand_back(rollout: &Rollout) -> bool {
    let annotations = rollout.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(SKIP_HAND_BACK)).is_some_and(|value| value == "true")
}

/// The status says what could not be done; a lost race is no news.
fn note_failure(decision: &mut Decision, error: &WorldError, told: &str) {
    let problem = match error {
        WorldError::Conflict(_) => return,
        WorldError::Transient(message) => {
            Problem { reason: "WriteFailed".into(), message: message.clone(), blocks_all: false }
        }
        WorldError::Refused { reason, message } => {
            Problem { reason: reason.clone(), message: message.clone(), blocks_all: false }
        }
    };
    if told != problem.message {
        decision.notices.push(Notice {
            warning: true,
            reason: problem.reason.clone(),
            message: problem.message.clone(),
        });
    }
    decision.status.reason = problem.reason;
    decision.status.message = problem.message;
}
