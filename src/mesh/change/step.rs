//! One step: which state follows.

use jiff::{SignedDuration, Timestamp};

use super::{
    decision::{Decision, Desired, Refused, Wait},
    input::{Command, Input, Judged, PlanSeen, Standing},
};
use crate::{
    api::policy::{
        Baking, Held, HeldAt, HoldReason, InWave, OnRejection, PolicyState as State, RevertReason, Reverted, Since,
        Until,
    },
    mesh::check::Verdict,
};

/// More steps than any input takes: a state is left at most once for each cause.
const MOST: usize = 16;

/// Decides until nothing follows.
pub fn step(input: &Input<'_>) -> Decision {
    let mut now = Now { input, is_written: input.is_written };
    let mut standing = input.standing.clone();
    let command = now.input.command.map(|command| now.command(&mut standing, command));
    for _ in 0..MOST {
        let Some(next) = now.next(&standing) else { break };
        now.enter(&mut standing, next);
    }
    let (wait, wake) = now.waits(&standing);
    Decision { desired: Desired::of(&standing), standing, wait, wake, command }
}

/// The input, and whether what was seen of the objects still counts: a state that wants other objects has not seen them.
struct Now<'a> {
    input: &'a Input<'a>,
    is_written: bool,
}

impl Now<'_> {
    fn enter(&mut self, standing: &mut Standing, next: State) {
        let before = Desired::of(standing);
        if let State::Active(active) = &next {
            standing.in_force = Some(active.spec.clone());
        }
        standing.state = Some(next);
        self.is_written &= Desired::of(standing) == before;
    }

    fn wanted(&self) -> Since {
        Since { spec: self.input.wanted.to_owned(), since: self.input.now }
    }

    /// The state that follows; none while it stays.
    fn next(&self, standing: &Standing) -> Option<State> {
        let input = self.input;
        let state = standing.state.as_ref();
        if state.is_none_or(|state| state.spec() != input.wanted) {
            return Some(self.begin(standing));
        }
        match (state?, input.plan) {
            // Nothing stops what writes the former objects back.
            (State::Reverting(reverting), _) => self.is_written.then(|| State::Reverted(reverting.clone())),
            (State::Reverted(_), _) => None,
            (State::Refused(_), PlanSeen::Refused) | (State::Conflicted(_), PlanSeen::Conflicted) => None,
            (_, PlanSeen::Refused) => Some(State::Refused(self.wanted())),
            (_, PlanSeen::Conflicted) => Some(State::Conflicted(self.wanted())),
            (State::Refused(_) | State::Conflicted(_), PlanSeen::Clear) => Some(self.begin(standing)),
            (State::Active(_), PlanSeen::Clear) => None,
            (State::Checking(_), PlanSeen::Clear) => self.checked(),
            (State::Auditing(auditing), PlanSeen::Clear) => self.audited(auditing),
            (State::Applying(applying), PlanSeen::Clear) => self.is_written.then(|| self.written(applying)),
            (State::Baking(baking), PlanSeen::Clear) => self.baked(baking),
            (State::Held(held), PlanSeen::Clear) => self.released(held),
        }
    }

    /// The beginning of a change; to what is in force, there is nothing to change.
    fn begin(&self, standing: &Standing) -> State {
        let is_in_force = standing.in_force.as_deref() == Some(self.input.wanted);
        if is_in_force { State::Active(self.wanted()) } else { State::Checking(self.wanted()) }
    }

    /// Rules P1 and F4. It ends when what was written of another spec is taken back.
    fn checked(&self) -> Option<State> {
        let input = self.input;
        let hold = |because| Some(self.held(HeldAt::Check {}, because));
        if !self.is_written || input.is_releasing {
            return None;
        }
        if !input.settings.has_guard {
            return Some(self.admitted());
        }
        match input.check? {
            Verdict::Allowed => Some(self.admitted()),
            Verdict::Depends if input.can_audit && !input.settings.audit.is_zero() => Some(self.admitted()),
            Verdict::Depends => hold(HoldReason::Depends),
            Verdict::Cut => hold(HoldReason::WouldCut),
            Verdict::Unknown => hold(HoldReason::Unknown),
        }
    }

    /// After the check: the audit, where there is one.
    fn admitted(&self) -> State {
        let Input { settings, can_audit, now, wanted, .. } = self.input;
        if settings.is_now || settings.audit.is_zero() || !can_audit {
            return self.wave(0);
        }
        State::Auditing(Until { spec: (*wanted).to_owned(), until: after(*now, settings.audit) })
    }

    fn wave(&self, wave: u32) -> State {
        let last = self.input.settings.last_wave(self.input.workloads);
        let wave = if self.input.settings.is_now { last } else { wave.min(last) };
        State::Applying(InWave { spec: self.input.wanted.to_owned(), wave, since: self.input.now })
    }

    /// Rule P2.
    fn audited(&self, auditing: &Until) -> Option<State> {
        if self.input.denials > 0 {
            return Some(self.held(HeldAt::Audit {}, HoldReason::Denials));
        }
        let is_over = self.is_written && self.input.now >= auditing.until && !self.input.is_releasing;
        is_over.then(|| self.wave(0))
    }

    /// Rule P4: a wave that is written is watched.
    fn written(&self, applying: &InWave) -> State {
        let Input { settings, now, wanted, .. } = self.input;
        if settings.is_now || settings.bake.is_zero() {
            return self.after_wave(applying.wave);
        }
        State::Baking(Baking { spec: (*wanted).to_owned(), wave: applying.wave, until: after(*now, settings.bake) })
    }

    fn after_wave(&self, wave: u32) -> State {
        let last = self.input.settings.last_wave(self.input.workloads);
        if wave >= last { State::Active(self.wanted()) } else { self.wave(wave + 1) }
    }

    /// Rules P5 and F4.
    fn baked(&self, baking: &Baking) -> Option<State> {
        let input = self.input;
        let at = HeldAt::Wave { wave: baking.wave };
        let failed = match (input.cuts_caller, input.judged) {
            (true, _) => Some(RevertReason::CallerDenied),
            (false, Some(Judged::Fail)) => Some(RevertReason::JudgedBad),
            _ => None,
        };
        if let Some(because) = failed {
            return Some(match input.settings.on_failure {
                OnRejection::Revert => self.reverting(because),
                OnRejection::Hold => self.held(at, HoldReason::JudgedBad),
            });
        }
        let until = after(input.now, input.settings.bake);
        if input.is_releasing {
            return (baking.until < until).then(|| State::Baking(Baking { until, ..baking.clone() }));
        }
        if input.now < baking.until {
            return None;
        }
        match input.judged {
            Some(Judged::Inconclusive) => Some(self.held(at, HoldReason::Inconclusive)),
            Some(_) => Some(self.after_wave(baking.wave)),
            None => None,
        }
    }

    /// A hold at the check ends by itself when the callers are gone or the rules allow them; any other by an operator.
    fn released(&self, held: &Held) -> Option<State> {
        let is_allowed = self.input.check == Some(Verdict::Allowed) && !self.input.is_releasing;
        (held.at == HeldAt::Check {} && is_allowed).then(|| self.admitted())
    }

    fn held(&self, at: HeldAt, because: HoldReason) -> State {
        State::Held(Held { spec: self.input.wanted.to_owned(), at, because, since: self.input.now })
    }

    fn reverting(&self, because: RevertReason) -> State {
        State::Reverting(Reverted { spec: self.input.wanted.to_owned(), because, since: self.input.now })
    }

    /// Carries a command out. It is about the spec that the policy has now.
    fn command(&mut self, standing: &mut Standing, command: Command) -> Result<(), Refused> {
        let state = standing.state.clone().filter(|state| state.spec() == self.input.wanted);
        let next = match (command, &state) {
            (_, None | Some(State::Active(_))) => return Err(Refused::NothingInProgress),
            (_, Some(State::Refused(_) | State::Conflicted(_))) => return Err(Refused::CannotBeWritten),
            (Command::Retry, Some(State::Reverted(_) | State::Held(_))) => State::Checking(self.wanted()),
            (_, Some(State::Reverting(_))) => return Err(Refused::Reverting),
            (_, Some(State::Reverted(_))) | (Command::Retry, _) => return Err(Refused::NothingInProgress),
            (Command::Abort, _) => self.reverting(RevertReason::Aborted),
            (Command::Promote, Some(State::Held(Held { at: HeldAt::Wave { wave }, .. }))) => self.after_wave(*wave),
            (Command::Promote, Some(State::Baking(baking))) => self.after_wave(baking.wave),
            (Command::Promote, Some(State::Applying(_))) => return Ok(()),
            (Command::Promote, _) => self.wave(0),
        };
        self.enter(standing, next);
        Ok(())
    }

    /// What the state waits for, and when to look again.
    fn waits(&self, standing: &Standing) -> (Option<Wait>, Option<Timestamp>) {
        let Some(state) = &standing.state else { return (None, None) };
        match state {
            State::Active(_) => ((!self.is_written).then_some(Wait::Writes), None),
            State::Checking(_) if self.input.is_releasing => (Some(Wait::Release), None),
            State::Checking(_) => (Some(if self.is_written { Wait::Check } else { Wait::Writes }), None),
            State::Auditing(auditing) => (Some(Wait::Audit), Some(auditing.until)),
            State::Applying(_) | State::Reverting(_) => (Some(Wait::Writes), None),
            State::Baking(_) if self.input.is_releasing => (Some(Wait::Release), None),
            State::Baking(baking) => (Some(Wait::Bake), Some(baking.until)),
            State::Held(held) => (Some(Wait::Operator(held.because)), None),
            State::Reverted(_) | State::Refused(_) | State::Conflicted(_) => (Some(Wait::Edit), None),
        }
    }
}

fn after(now: Timestamp, duration: std::time::Duration) -> Timestamp {
    let duration = SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
    now.saturating_add(duration).unwrap_or(Timestamp::MAX)
}
