//! The gate step: an outside word that the release waits for (rule S16). An endpoint is asked until it says yes or no, and
//! not again once that is on record; an operator promotes.

use std::time::Duration;

use crate::api::{
    common::HumanDuration,
    reason::{Reason, WakeReason},
    status::{Course, GateMemory},
    strategy::{Gate, OnTimeout},
};

use super::{
    decision::{Action, GateQuestion},
    draft::Draft,
    input::GateAnswer,
    outcome,
};

/// The first wait before an endpoint is asked again, in seconds; each later one is twice as long.
const FIRST_WAIT: u64 = 5;
/// The longest.
const LONGEST_WAIT: u64 = 60;
/// How much of an endpoint's text is kept, in characters.
const LONGEST_TEXT: usize = 300;

/// Whether the gate is open, so that the step is over; else says what it waits for. A no and the timeout may change the
/// course.
pub fn passed(draft: &mut Draft<'_>, gate: &Gate) -> bool {
    if !gate.is_approval() && asked(draft, gate) {
        return true;
    }
    if draft.course() != Course::Stepping || draft.is_held() {
        return false; // it said no
    }
    let timeout = gate.timeout();
    let end = draft.not_before_first_look(draft.step_reaches(timeout));
    if draft.step_elapsed() >= timeout.signed() && end <= draft.now() {
        return timed_out(draft, gate, timeout);
    }
    let until = draft.while_clocks_run(end);
    let (reason, message) = waiting(draft, gate);
    draft.wait(reason, message, until);
    false
}

fn waiting(draft: &Draft<'_>, gate: &Gate) -> (Reason, String) {
    let name = &gate.name;
    if gate.is_approval() {
        return (Reason::Approval, format!("waiting for manual approval: {name}"));
    }
    let so_far = so_far(draft).map(|text| format!(", {text}")).unwrap_or_default();
    (Reason::Gate, format!("waiting for gate {name}{so_far}"))
}

fn gate_memory<'d>(draft: &'d Draft<'_>) -> Option<&'d GateMemory> {
    draft.status.state.stepping()?.gate.as_ref()
}

/// What the endpoint has said, if anything.
fn so_far(draft: &Draft<'_>) -> Option<String> {
    let GateMemory { asked, said, .. } = gate_memory(draft).filter(|gate| gate.asked > 0)?;
    let times = if *asked == 1 { "once".to_owned() } else { format!("{asked} times") };
    Some(format!("asked {times}: {said}"))
}

fn timed_out(draft: &mut Draft<'_>, gate: &Gate, timeout: HumanDuration) -> bool {
    let message = match so_far(draft) {
        _ if gate.is_approval() => format!("{} was not approved within {timeout}", gate.name),
        Some(so_far) => format!("gate {} did not approve within {timeout}, {so_far}", gate.name),
        None => format!("gate {} did not approve within {timeout}", gate.name),
    };
    match gate.on_timeout.unwrap_or_default() {
        OnTimeout::Hold => outcome::hold(draft, Reason::GateTimeout, &message),
        OnTimeout::Abort => outcome::abort(draft, Reason::GateTimeout, &message),
        OnTimeout::Promote => {
            draft.emit(true, Reason::GateTimeout, format!("{message}; continuing anyway"));
            return true;
        }
    }
    false
}

/// Takes the endpoint's answer in, or has it asked when that is due. Says whether it opened.
fn asked(draft: &mut Draft<'_>, gate: &Gate) -> bool {
    let mut memory = gate_memory(draft).cloned().unwrap_or_default();
    if memory.open {
        return true;
    }
    let Some(question) = question(draft, gate, memory.asked) else { return false };
    let seen = draft.input.seen.gate.clone().filter(|seen| seen.is_about(&question));
    match seen.map(|seen| seen.answer) {
        Some(Some(GateAnswer::Yes)) => {
            memory.open = true;
            draft.emit(false, Reason::GateOpened, format!("gate {} approved", gate.name));
        }
        Some(Some(GateAnswer::No(why))) => {
            outcome::fail(draft, Reason::GateRefused, &format!("gate {} denied{}", gate.name, because(&why)));
            return false;
        }
        Some(Some(GateAnswer::Unclear(why))) => {
            memory.asked += 1;
            memory.said = why.chars().take(LONGEST_TEXT).collect();
            memory.again_at = Some(wait_after(memory.asked).after(draft.now()));
            draft.wake(memory.again_at.unwrap_or(draft.now()), WakeReason::AskGate);
        }
        Some(None) => {} // it is being asked
        None => ask(draft, question, &memory),
    }
    let open = memory.open;
    if let Some(stepping) = draft.status.state.stepping_mut() {
        stepping.gate = Some(memory);
    }
    open
}

/// While paused no gate is asked (rule S36).
fn ask(draft: &mut Draft<'_>, question: GateQuestion, memory: &GateMemory) {
    match memory.again_at.filter(|at| *at > draft.now()) {
        _ if draft.is_paused() => {}
        Some(at) => draft.wake(at, WakeReason::AskGate),
        None => draft.ask(Action::AskGate(question)),
    }
}

fn question(draft: &Draft<'_>, gate: &Gate, number: u32) -> Option<GateQuestion> {
    let revision = draft.status.current_revision.clone()?;
    let (step, attempt) = (draft.step_index(), draft.status.attempt);
    Some(GateQuestion {
        key: format!("{}/{}/{step}/{attempt}", draft.input.uid, revision.id),
        since: draft.status.state.since()?,
        number,
        gate: gate.name.clone(),
        url: gate.url.clone()?,
        rollout: draft.input.name.to_owned(),
        images: draft.revision(&revision.id).map(|seen| seen.images.clone()).unwrap_or_default(),
        revision,
        step,
        attempt,
    })
}

fn because(why: &str) -> String {
    let why: String = why.chars().take(LONGEST_TEXT).collect();
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

fn wait_after(asked: u32) -> HumanDuration {
    let doubled = FIRST_WAIT << asked.saturating_sub(1).min(10);
    HumanDuration::from(Duration::from_secs(doubled.min(LONGEST_WAIT)))
}
