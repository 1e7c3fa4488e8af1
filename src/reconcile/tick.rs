//! One tick: observe, decide, carry out, until nothing follows any more; then record. The same for every world.

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::{
        Rollout, RolloutStatus, SKIP_HAND_BACK,
        reason::{Reason, WakeReason},
    },
    engine::{self, Action, Decision, Input, Notice, Wake, refusals},
    ports::{Clock, Deferred, Observation, RolloutKey, World, WorldError},
};

use super::deferred::{self, Worth};

/// Decisions in one tick at most; what is left over is done by the next.
const ROUNDS: usize = 12;
/// What our writes lead to (pods, endpoints) is looked at together, so much later.
const ECHO: SignedDuration = SignedDuration::from_millis(500);

/// Runs one tick for one Rollout. `Ok(None)` means that it is gone.
///
/// One decision often follows from another without any news: a step ends, the next begins and finds its pods there. They
/// are recorded together, which spares the API server most of the writes. But no write of ours comes before the decision
/// it follows from is on record, except that of a tick's first decision, and no record completes two steps (S11).
///
/// A failed action ends the tick, and the status is recorded all the same. A refused one does not: it is put on record,
/// where it blocks the step that builds on it until it succeeds (S53), and everything else continues in its time.
pub async fn tick<W: World>(world: &W, key: &RolloutKey, clock: &dyn Clock) -> Result<Option<Decision>, WorldError> {
    let Some(observation) = world.observe(key).await? else { return Ok(None) };
    let mut tick = Tick::new(world, clock, observation, world.take_deferred(key));
    let ended = tick.run(key).await;
    // Also when it failed: what settles continues to settle.
    if !matches!(ended, Ok(None))
        && tick.known != tick.recorded
        && let Some(deferred) = tick.deferred
    {
        world.defer(key, deferred);
    }
    match ended {
        Err(WorldError::Transient(message)) if tick.wrote => Err(WorldError::Interrupted(message)),
        ended => ended,
    }
}

/// A tick that is under way.
struct Tick<'a, W: World> {
    world: &'a W,
    clock: &'a dyn Clock,
    observation: Observation<W::Snapshot>,
    /// The status on record.
    recorded: RolloutStatus,
    /// The status decided last.
    known: RolloutStatus,
    /// What of it is kept if it is not recorded.
    deferred: Option<Deferred>,
    /// What was decided and not reported yet.
    notices: Vec<Notice>,
    /// Whether anything was written.
    wrote: bool,
    /// Whether a decision of this tick changed the status since the last record.
    decided: bool,
    /// Whether something was carried out since the last record.
    acted: bool,
}

impl<'a, W: World> Tick<'a, W> {
    fn new(
        world: &'a W,
        clock: &'a dyn Clock,
        observation: Observation<W::Snapshot>,
        deferred: Option<Deferred>,
    ) -> Self {
        let recorded = observation.rollout.status.clone().unwrap_or_default();
        let known = deferred::resume(&recorded, deferred.as_ref());
        let notices = Vec::new();
        Tick {
            world,
            clock,
            observation,
            recorded,
            known,
            deferred,
            notices,
            wrote: false,
            decided: false,
            acted: false,
        }
    }

    /// Decides and carries out until nothing follows, then records.
    async fn run(&mut self, key: &RolloutKey) -> Result<Option<Decision>, WorldError> {
        let mut last = Decision::default();
        let mut cut_short = true;
        for _ in 0..ROUNDS {
            let decision = self.decide(key);
            let repeated = !decision.actions.is_empty() && decision.actions == last.actions;
            if repeated {
                cut_short = false;
                break;
            }
            if self.completes_second_step(&decision.status) {
                break;
            }
            let quiet = decision.actions.is_empty() && decision.status == self.known;
            if !self.follow(key, &decision).await? {
                return Ok(None);
            }
            last = decision;
            if quiet {
                cut_short = false;
                break;
            }
        }
        if cut_short {
            // What the next decision asks for has no event of its own.
            last.wake = Some(Wake { at: self.clock.now(), reason: WakeReason::NextDecision });
        }
        match self.record_when(key) {
            When::Now => self.record().await?,
            When::Settled => {} // the decision wakes then
            When::Never => self.deferred = None,
            When::Echo(at) => {
                let echo = Wake { at, reason: WakeReason::WritesTakeEffect };
                last.wake = last.wake.filter(|wake| wake.at <= at).or(Some(echo));
            }
        }
        Ok(Some(last))
    }

    fn decide(&self, key: &RolloutKey) -> Decision {
        let rollout = &self.observation.rollout;
        let input = Input {
            name: &key.name,
            uid: rollout.metadata.uid.as_deref().unwrap_or_default(),
            generation: rollout.metadata.generation,
            deleting: rollout.metadata.deletion_timestamp.is_some(),
            skip_hand_back: skips_hand_back(rollout),
            spec: &rollout.spec,
            status: &self.known,
            seen: &self.observation.seen,
            now: self.clock.now(),
        };
        let decision = engine::step(&input);
        self.world.decided(&input, &decision);
        decision
    }

    /// Takes a decision over and does what it asks for. `false`: the Rollout is gone.
    async fn follow(&mut self, key: &RolloutKey, decision: &Decision) -> Result<bool, WorldError> {
        let builds_on_unrecorded = self.decided;
        // What the decision was made from: its writes are not on record yet, and one that fails is forgotten.
        let before = std::mem::replace(&mut self.known, decision.status.clone());
        self.decided |= self.known != before;
        // It says what was found where the record is; what is decided after it has written nothing yet.
        if deferred::is_in_place(&self.known, &self.recorded) {
            self.deferred = Some(deferred::defer(&self.known));
        }
        self.notices.extend(decision.notices.iter().cloned());
        if decision.actions.is_empty() {
            return Ok(true);
        }
        // The answer to a command must not come before its effect is on record (rule S81): it would be lost with the process.
        let answers = decision.actions.iter().any(|action| matches!(action, Action::AnswerCommand { .. }));
        if builds_on_unrecorded || answers && self.known != self.recorded {
            self.record().await?;
            let Some(observation) = self.world.observe(key).await? else { return Ok(false) };
            self.recorded = observation.rollout.status.clone().unwrap_or_default();
            self.observation = observation;
        }
        if let Err((error, failed)) = self.carry_out(&before, &decision.actions).await {
            engine::forget_write(&mut self.known, &before, failed);
            note_failure(&mut self.known, &mut self.notices, &error, &self.recorded.message);
            self.record().await?;
            return Err(error);
        }
        self.look_again(key).await
    }

    /// On failure the error comes with the action that failed.
    async fn carry_out<'d>(
        &mut self,
        before: &RolloutStatus,
        actions: &'d [Action],
    ) -> Result<(), (WorldError, &'d Action)> {
        self.acted = true;
        for (place, action) in actions.iter().enumerate() {
            match self.world.carry_out(&self.observation, action).await {
                Ok(()) => {
                    self.wrote = true;
                    refusals::succeeded(&mut self.known, action);
                }
                Err(WorldError::Refused { reason, message }) => {
                    engine::forget_write(&mut self.known, before, action);
                    self.refused(action, &reason, &message);
                    if refusals::stops_the_rest(action) {
                        break;
                    }
                }
                Err(error) => {
                    refusals::not_carried_out(&mut self.known, &actions[place..]);
                    return Err((error, action));
                }
            }
        }
        Ok(())
    }

    /// Records a rejection; each is reported once.
    fn refused(&mut self, action: &Action, reason: &Reason, message: &str) {
        let generation = self.observation.rollout.metadata.generation;
        let why = refusals::Why { reason, message };
        if refusals::refused(&mut self.known, action, &why, generation, self.clock.now()) {
            self.notices.push(Notice { warning: true, reason: reason.clone(), message: message.to_owned() });
        }
    }

    /// Observes again. A status of another writer is a conflict.
    async fn look_again(&mut self, key: &RolloutKey) -> Result<bool, WorldError> {
        let Some(observation) = self.world.observe(key).await? else {
            self.tell().await;
            return Ok(false);
        };
        if observation.rollout.status.clone().unwrap_or_default() != self.recorded {
            return Err(WorldError::Conflict(format!("the status of Rollout {key} has changed")));
        }
        self.observation = observation;
        Ok(true)
    }

    /// Writes the status, then emits the events.
    async fn record(&mut self) -> Result<(), WorldError> {
        if self.known != self.recorded {
            self.world.record(&self.observation, &self.known).await?;
            self.recorded.clone_from(&self.known);
            self.wrote = true;
            (self.decided, self.acted) = (false, false);
        }
        self.tell().await;
        Ok(())
    }

    async fn tell(&mut self) {
        for notice in std::mem::take(&mut self.notices) {
            self.world.tell(&self.observation, &notice).await;
        }
    }

    /// Whether this status would complete a second step since the record (rule S11).
    fn completes_second_step(&self, next: &RolloutStatus) -> bool {
        let place = |status: &RolloutStatus| (status.attempt, status.step_index, status.sub_step());
        place(&self.known) != place(&self.recorded) && place(next) != place(&self.known)
    }

    /// When the status is recorded. One that may wait for the effect of what was just written, or for more of the same, is
    /// decided anew by the next tick from what it sees, so nothing is lost.
    fn record_when(&self, key: &RolloutKey) -> When {
        if !self.notices.is_empty() || self.known == self.recorded {
            return When::Now;
        }
        let now = self.clock.now();
        match Worth::of(&self.recorded, &self.known, now) {
            Worth::Nothing => When::Never,
            Worth::Settling if self.deferred.is_some() && self.world.keeps_deferred() => When::Settled,
            Worth::Words => {
                // What comes of the writes has events of its own: this is only for the case that nothing does.
                let echo = self.acted.then(|| now + ECHO);
                let until = echo.max(self.world.defers_words_until(key));
                until.filter(|until| *until > now).map_or(When::Now, When::Echo)
            }
            _ => When::Now,
        }
    }
}

/// When a status is recorded.
enum When {
    /// With this tick.
    Now,
    /// With what the writes of this tick lead to, or then.
    Echo(Timestamp),
    /// With what follows when what was written has settled.
    Settled,
    /// With whatever is recorded next.
    Never,
}

fn skips_hand_back(rollout: &Rollout) -> bool {
    let annotations = rollout.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(SKIP_HAND_BACK)).is_some_and(|value| value == "true")
}

/// The status reports what failed; a conflict is not reported, and the reason for waiting on an operator is not hidden.
fn note_failure(status: &mut RolloutStatus, notices: &mut Vec<Notice>, error: &WorldError, told: &str) {
    let WorldError::Transient(message) = error else { return };
    if told != message {
        notices.push(Notice { warning: true, reason: Reason::WriteFailed, message: message.clone() });
    }
    if status.held().is_none() {
        status.reason = Reason::WriteFailed;
        status.message.clone_from(message);
    }
}
