//! The gate step: an outside word that the release waits for (rule S16). An endpoint is asked until it says yes or no, and
//! not again once that is on record; an operator promotes.

use std::time::Duration;

use crate::api::{
    common::HumanDuration,
    reason::{Reason, WakeReason},
    status::GateMemory,
    strategy::{Gate, OnTimeout},
};

use super::{
    decision::{Action, GateQuestion, Notice},
    draft::Draft,
    input::GateAnswer,
    items::Item,
    standing::{Ending, Standing},
    wait::Wait,
};

/// The first wait before an endpoint is asked again, in seconds; each later one is twice as long.
const FIRST_WAIT: u64 = 5;
/// The longest.
const LONGEST_WAIT: u64 = 60;
/// How much of an endpoint's text is kept, in characters.
const LONGEST_TEXT: usize = 300;

/// Takes in what the endpoint of the step's gate says, or has it asked when that is due.
pub fn follow(draft: &mut Draft<'_>) {
    let Some(Item::Gate(gate)) = draft.item().cloned() else { return };
    let mut memory = gate_memory(draft).cloned().unwrap_or_default();
    let Some(question) = question(draft, &gate, memory.asked).filter(|_| !memory.open) else { return };
    match answer(draft, &question) {
        Some(Some(GateAnswer::Yes)) => {
            memory.open = true;
            draft.emit(false, Reason::GateOpened, format!("gate {} approved", gate.name));
        }
        Some(Some(GateAnswer::Unclear(why))) => {
            memory.asked += 1;
            memory.said = why.chars().take(LONGEST_TEXT).collect();
            memory.again_at = Some(wait_after(memory.asked).after(draft.now()));
            draft.wake(memory.again_at.unwrap_or(draft.now()), WakeReason::AskGate);
        }
        Some(Some(GateAnswer::No(_))) => return, // the step ends by it
        Some(None) => {}                         // it is being asked
        None => ask(draft, question, &memory),
    }
    if let Some(stepping) = draft.status.state.stepping_mut() {
        stepping.gate = Some(memory);
    }
}

/// What was said to a question; `None` within: it is being asked.
fn answer<'a>(draft: &Draft<'a>, question: &GateQuestion) -> Option<&'a Option<GateAnswer>> {
    draft.input.seen.gate.as_ref().filter(|seen| seen.is_about(question)).map(|seen| &seen.answer)
}

/// Where the step stands: over when the gate is open, else it waits until a no or the timeout ends it.
pub fn standing(draft: &Draft<'_>, gate: &Gate) -> Standing {
    let memory = gate_memory(draft);
    if !gate.is_approval() && memory.is_some_and(|memory| memory.open) {
        return Standing::Over;
    }
    let question = question(draft, gate, memory.map_or(0, |memory| memory.asked));
    if let Some(Some(GateAnswer::No(why))) = question.and_then(|question| answer(draft, &question)) {
        let message = format!("gate {} denied{}", gate.name, because(why));
        return Standing::Ends(Ending::Fails(Reason::GateRefused, message));
    }
    let timeout = gate.timeout();
    if draft.is_time_over(timeout) {
        return timed_out(draft, gate, timeout);
    }
    let end = draft.not_before_first_look(draft.step_reaches(timeout));
    let (reason, message) = waiting(draft, gate);
    Standing::Waits(Wait::until(reason, message, draft.while_clocks_run(end)))
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

fn timed_out(draft: &Draft<'_>, gate: &Gate, timeout: HumanDuration) -> Standing {
    let message = match so_far(draft) {
        _ if gate.is_approval() => format!("{} was not approved within {timeout}", gate.name),
        Some(so_far) => format!("gate {} did not approve within {timeout}, {so_far}", gate.name),
        None => format!("gate {} did not approve within {timeout}", gate.name),
    };
    match gate.on_timeout.unwrap_or_default() {
        OnTimeout::Hold => Standing::Ends(Ending::Holds(Reason::GateTimeout, message)),
        OnTimeout::Abort => Standing::Ends(Ending::Aborts(Reason::GateTimeout, message)),
        OnTimeout::Promote => {
            let message = format!("{message}; continuing anyway");
            Standing::Told(Notice { warning: true, reason: Reason::GateTimeout, message })
        }
    }
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
