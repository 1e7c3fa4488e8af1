//! Runs a chapter of the demo: a version is released, and the engine ticks until it is promoted or rolled back.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{
        Rollout, RolloutStatus,
        command::{RolloutCommandSpec, Verb},
        status::{Outcome, Phase},
    },
    cli::{exit::CliError, interrupt::Interrupts},
    engine::Seen,
    local::{LocalWorld, traffic::Traffic},
    ports::{Clock, World, WorldError},
    reconcile::tick::tick,
    view::{commands::meant, place::Place, waits::WaitsFor},
};

use super::{
    chapter::{Chapter, Ending, How},
    show::{Frame, Show},
};

/// The interval of ticks and of redraws without changes, at the speed of the real time.
pub const BEAT: Duration = Duration::from_millis(200);
/// How long the screen stays on an end while old pods go.
const LINGER: SignedDuration = SignedDuration::from_secs(6);
/// How long a manual pause lasts before the demo promotes it.
const PERSON: SignedDuration = SignedDuration::from_secs(3);

/// The play: a world, its users, and the screen.
pub struct Play<'a> {
    /// The cluster on this machine.
    pub world: LocalWorld,
    /// The time of this play.
    pub clock: Arc<dyn Clock>,
    /// The interval of ticks and of redraws without changes.
    pub beat: Duration,
    /// The users, once there is something to use.
    pub traffic: Option<Traffic>,
    /// The screen.
    pub show: &'a mut Show,
    /// Ctrl-C ends it.
    pub interrupts: Interrupts,
}

impl Play<'_> {
    /// Releases the chapter's version and ticks until its end.
    pub async fn chapter(&mut self, chapter: Chapter) -> Result<Ending, CliError> {
        let began = self.clock.now();
        self.show.begin(&format!("{}: {}", chapter.behaviour.version, chapter.title), began)?;
        self.world.release(chapter.behaviour.clone());
        let mut over: Option<(Timestamp, How)> = None;
        loop {
            let now = self.clock.now();
            let (rollout, seen) = self.turn(now).await?;
            let status = rollout.status.clone().unwrap_or_default();
            self.draw(&rollout, &seen, now)?;
            over = over.or_else(|| ended(&status, &seen, chapter.expected).map(|how| (now, how)));
            match over.take() {
                Some((at, how)) if drained(&status, &seen) || now.duration_since(at) > LINGER => {
                    self.show.end()?;
                    return Ok(Ending { took: took(&how, began, at), chapter, how });
                }
                still => over = still,
            }
            self.stand_in(&rollout, &status, now)?;
            tokio::select! {
                () = self.world.changed() => {}
                () = tokio::time::sleep(self.beat) => {}
                () = self.interrupts.come() => {
                    self.show.end()?;
                    return Ok(Ending { chapter, took: now.duration_since(began), how: How::Interrupted });
                }
            }
        }
    }

    /// The judges and the engine each do what is due.
    async fn turn(&self, now: Timestamp) -> Result<(Arc<Rollout>, Seen), CliError> {
        self.world.judge(now).await;
        let key = self.world.key();
        match tick(&self.world, &key, &*self.clock).await {
            Err(WorldError::Refused { message, .. }) => return Err(CliError::Failed(message)),
            Err(error) => tracing::debug!(%error, "the next tick retries"),
            Ok(_) => {}
        }
        match self.world.observe(&key).await {
            Ok(Some(observation)) => {
                let refused = observation.rollout.status.as_ref().and_then(|status| status.memory.refused.first());
                match refused {
                    Some(refusal) => Err(CliError::Failed(refusal.message.clone())),
                    None => Ok((observation.rollout, observation.seen)),
                }
            }
            _ => Err(CliError::Failed(format!("the demo lost its Rollout {key}; this is a bug"))),
        }
    }

    fn draw(&mut self, rollout: &Rollout, seen: &Seen, now: Timestamp) -> Result<(), CliError> {
        let tally = self.traffic.as_ref().map(Traffic::tally);
        let notices = self.world.take_notices();
        self.show.draw(&Frame { rollout, seen, notices: &notices, tally: tally.as_ref(), now })
    }

    /// Nobody is here to end a pause without a time: after a moment the demo promotes, and says so.
    fn stand_in(&mut self, rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> Result<(), CliError> {
        let waits =
            status.phase == Some(Phase::Paused) && WaitsFor::of(&Place::of(rollout), status) == WaitsFor::Promote;
        let Some(waiting) = status.waiting_for.as_ref().filter(|_| waits) else { return Ok(()) };
        if now.duration_since(waiting.since) < PERSON || status.commands.iter().any(|c| c.taken_at >= waiting.since) {
            return Ok(());
        }
        self.world.command(RolloutCommandSpec {
            reason: Some("no operator to promote in the demo".into()),
            requested_by: Some("demo".into()),
            ..meant(rollout, Verb::Promote)
        });
        Ok(())
    }
}

/// How the chapter has ended, if it has.
fn ended(status: &RolloutStatus, seen: &Seen, expected: Option<Outcome>) -> Option<How> {
    let wanted = seen.template.as_ref().map(|template| template.id.as_str());
    let current = status.current_revision.as_ref().filter(|current| Some(current.id.as_str()) == wanted)?;
    if let Some(held) = status.held() {
        return Some(How::Held(held.message.clone()));
    }
    let settled = match status.phase {
        Some(Phase::Healthy) => true,
        Some(Phase::Degraded) => status.weights.desired.is_zero(),
        _ => return None,
    };
    if expected.is_none() {
        let healthy = status.phase == Some(Phase::Healthy);
        return Some(if healthy { How::Deployed } else { How::Held(status.message.clone()) });
    }
    let entry = status.history.iter().find(|entry| entry.revision == *current)?;
    settled.then(|| How::Over(Box::new(entry.clone())))
}

/// Whether only stable has pods left.
fn drained(status: &RolloutStatus, seen: &Seen) -> bool {
    let stable = status.stable_revision.as_ref().map(|stable| stable.id.as_str());
    seen.revisions.iter().all(|revision| Some(revision.id.as_str()) == stable || revision.pods == 0)
}

fn took(how: &How, began: Timestamp, at: Timestamp) -> SignedDuration {
    match how {
        How::Over(entry) => entry.ended_at.duration_since(began),
        _ => at.duration_since(began),
    }
}
