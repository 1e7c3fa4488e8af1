//! Commands of operators and CI: one a tick, judged against the moment they were meant for (rules S80 to S84).

use crate::api::{
    command::{CommandState, RolloutCommandSpec, Verb},
    common::HumanDuration,
    reason::Reason,
    status::{CommandRecord, Course, Pinned, Stage},
};

use super::{
    by_operator, canary,
    decision::Action,
    draft::{Draft, named},
    guards, inconclusive,
    input::{CommandSeen, Input},
    items::Item,
    outcome, promotion, restart, revisions,
};

/// Commands that are remembered.
const KEPT: usize = 20;
/// How long a command may wait to be executed; an abort never expires.
const EXPIRY: HumanDuration = HumanDuration::secs(600);

type Answer = (CommandState, String);

/// Executes the next command and repeats the answers of those already executed.
pub fn execute(draft: &mut Draft<'_>) {
    execute_next(draft, |_| true);
}

/// Executes an abort alone: all others wait until the spec is valid.
pub fn execute_abort(draft: &mut Draft<'_>) {
    execute_next(draft, |verb| verb == Verb::Abort);
}

fn execute_next(draft: &mut Draft<'_>, accepts: impl Fn(Verb) -> bool) {
    let waiting = draft.input.seen.commands.clone();
    let mut fresh: Vec<&CommandSeen> = Vec::new();
    for command in waiting.iter().filter(|command| accepts(command.spec.verb)) {
        match draft.status.commands.iter().find(|record| record.uid == command.uid).cloned() {
            Some(record) => answer(draft, &command.name, record.state, &record.message),
            None => fresh.push(command),
        }
    }
    fresh.sort_by_key(|command| (command.spec.verb != Verb::Abort, command.created, command.name.clone()));
    let Some(command) = fresh.first() else { return };
    let (state, message) = carry_out(draft, command);
    record(draft, command, state, &message);
    answer(draft, &command.name, state, &message);
}

fn answer(draft: &mut Draft<'_>, name: &str, state: CommandState, message: &str) {
    draft.ask(Action::AnswerCommand { name: name.to_owned(), state, message: message.to_owned() });
}

/// The command's uid enters the status in the same write as its effect: it is never carried out twice.
fn record(draft: &mut Draft<'_>, command: &CommandSeen, state: CommandState, message: &str) {
    let taken_at = draft.now();
    let spec = &command.spec;
    let who = by_operator::who(spec);
    let warning = state != CommandState::Done;
    let because = by_operator::because(spec);
    draft.emit(warning, Reason::Command, format!("{} by {who}{because}: {message}", spec.verb.as_str()));
    draft.status.commands.insert(
        0,
        CommandRecord {
            uid: command.uid.clone(),
            name: command.name.clone(),
            verb: spec.verb,
            state,
            message: message.to_owned(),
            requested_by: spec.requested_by.clone(),
            why: spec.reason.clone(),
            taken_at,
        },
    );
    draft.status.commands.truncate(KEPT);
}

fn done(message: impl Into<String>) -> Answer {
    (CommandState::Done, message.into())
}

fn refused(message: impl Into<String>) -> Answer {
    (CommandState::Refused, message.into())
}

fn obsolete(message: impl Into<String>) -> Answer {
    (CommandState::Obsolete, message.into())
}

/// What the answer to a command would be, were it given now. Nothing is carried out.
pub fn answer_to(input: &Input<'_>, spec: &RolloutCommandSpec) -> (CommandState, String) {
    let command = CommandSeen { uid: String::new(), name: String::new(), created: input.now, spec: spec.clone() };
    carry_out(&mut Draft::new(input), &command)
}

fn carry_out(draft: &mut Draft<'_>, command: &CommandSeen) -> Answer {
    let spec = &command.spec;
    if spec.verb != Verb::Abort && EXPIRY.after(command.created) < draft.now() {
        return obsolete("expired after 10 minutes");
    }
    if let Some(answer) = stale(draft, spec) {
        return answer;
    }
    match spec.verb {
        Verb::Promote => promote(draft, spec),
        Verb::Abort => abort(draft, spec),
        Verb::Pause => pause(draft),
        Verb::Resume => resume(draft),
        Verb::Retry => retry(draft),
        Verb::Undo => undo(draft, spec),
        Verb::Restart => restart(draft, command),
    }
}

/// A command names the moment it is meant for; at another moment it does nothing.
fn stale(draft: &Draft<'_>, spec: &RolloutCommandSpec) -> Option<Answer> {
    let status = &draft.status;
    let current = draft.current_id();
    if let Some(meant) = &spec.revision
        && Some(meant) != current.as_ref()
    {
        return Some(obsolete(format!(
            "meant for revision {meant}, but the current one is {}",
            named(status.current_revision.as_ref())
        )));
    }
    if spec.verb != Verb::Promote {
        return None;
    }
    if let Some(meant) = spec.attempt.filter(|meant| *meant != status.attempt) {
        return Some(obsolete(format!("meant for attempt {meant}, but the current attempt is {}", status.attempt)));
    }
    if let Some(meant) = spec.step.filter(|meant| *meant != draft.step_index()) {
        return Some(obsolete(format!(
            "meant for step {}, but the current step is {}",
            meant.saturating_add(1),
            draft.step_index().saturating_add(1)
        )));
    }
    // A promotion that skips the rest says the same in every stage.
    if spec.step.is_some() && !spec.full && spec.stage != draft.stage() {
        return Some(obsolete("meant for another stage of the promotion"));
    }
    let sub = spec.sub_step.filter(|meant| *meant != status.sub_step())?;
    Some(obsolete(format!("meant for sub-step {sub} of the ramp, but the current sub-step is {}", status.sub_step())))
}

fn abort(draft: &mut Draft<'_>, spec: &RolloutCommandSpec) -> Answer {
    match draft.course() {
        Course::FirstDeploy => refused("no stable version yet"),
        Course::Aborted => done("already aborted"),
        Course::ControlKept => done("the A/B test was already decided for control"),
        Course::Idle | Course::Returning => refused("no release is in progress"),
        Course::Promoting if draft.past_return() => refused("the promotion can no longer be aborted; use undo"),
        Course::Stepping | Course::Promoting => {
            let who = by_operator::who(spec);
            let why = by_operator::why(spec).map(|reason| format!(": {reason}")).unwrap_or_default();
            outcome::abort(draft, Reason::AbortedByCommand, &format!("by {who}{why}"));
            done("shifting all traffic to stable")
        }
    }
}

fn pause(draft: &mut Draft<'_>) -> Answer {
    if draft.status.paused_by_command {
        return done("already paused");
    }
    draft.status.paused_by_command = true;
    done("paused until resume")
}

fn resume(draft: &mut Draft<'_>) -> Answer {
    if draft.input.spec.paused {
        return refused("paused by spec.paused: set it to false");
    }
    if !draft.status.paused_by_command {
        return done(not_paused(draft));
    }
    draft.status.paused_by_command = false;
    done("resumed")
}

/// What waits in place of a pause by command, and what ends that.
fn not_paused(draft: &Draft<'_>) -> String {
    let promote = format!("'glidepath promote {}'", draft.input.name);
    let waits = match draft.item() {
        _ if draft.is_held() => format!("the release is held for an operator: {promote}"),
        Some(Item::Pause(None)) => format!("the step waits for an operator: {promote}"),
        Some(Item::Gate(gate)) if gate.is_approval() => format!("the step waits for an approval: {promote}"),
        Some(Item::Pause(Some(_))) => format!("the step ends by itself, or now with {promote}"),
        _ => return "not paused".to_owned(),
    };
    format!("not paused by command; {waits}")
}

fn retry(draft: &mut Draft<'_>) -> Answer {
    let stopped = draft.course().is_rolled_back() || draft.is_held();
    let Some(current) = draft.status.current_revision.clone().filter(|_| stopped) else {
        return refused("nothing failed, so there is nothing to retry");
    };
    let attempt = draft.status.attempt + 1;
    outcome::begin(draft, current, attempt);
    done(format!("starting attempt {attempt} at step 1"))
}

fn promote(draft: &mut Draft<'_>, spec: &RolloutCommandSpec) -> Answer {
    match draft.course() {
        Course::Aborted => return obsolete("the revision was aborted; use retry"),
        Course::ControlKept => return obsolete("the A/B test was decided for control; use retry for another one"),
        Course::Stepping => {}
        Course::Promoting if waits_for_operator(draft) => {
            by_operator::overrode(draft, spec);
            override_evidence(draft);
            restart_stage(draft);
            return done("resumed, evidence overridden");
        }
        Course::Promoting if spec.full => return done("already being promoted"),
        _ => return refused("no release is in progress"),
    }
    if draft.is_paused() {
        return refused(if draft.input.spec.paused { "paused by spec.paused" } else { "paused: resume it first" });
    }
    if spec.full {
        let skipped = override_rest(draft, spec);
        outcome::promote(draft);
        return done(skipped.map_or_else(|| "nothing is left to skip".to_owned(), |what| format!("skipping {what}")));
    }
    match spec.to_step {
        Some(step) => promote_to(draft, spec, step),
        None => promote_once(draft, spec),
    }
}

/// Whether a promotion in progress waits for a verdict or for an operator.
fn waits_for_operator(draft: &Draft<'_>) -> bool {
    !draft.is_paused() && (draft.is_held() || draft.stage() == Some(Stage::PostAnalysis))
}

fn restart_stage(draft: &mut Draft<'_>) {
    if let Some(stage) = draft.stage() {
        promotion::move_to(draft, stage);
    }
}

/// An operator's command overrides the evidence; what was gathered before does not count any more (S34).
fn override_evidence(draft: &mut Draft<'_>) {
    release_hold(draft);
    if let Some(release) = draft.status.state.release_mut() {
        release.overridden = true;
    }
}

/// Overrides all that is left, and remembers what that was.
fn override_rest(draft: &mut Draft<'_>, spec: &RolloutCommandSpec) -> Option<String> {
    let skipped = by_operator::rest(draft);
    by_operator::promoted(draft, spec, skipped.as_deref());
    override_evidence(draft);
    skipped
}

fn release_hold(draft: &mut Draft<'_>) {
    if let Some(release) = draft.status.state.release_mut()
        && release.held.take().is_some()
    {
        release.evidence_round += 1;
        release.canary_losses = 0;
        guards::begin(draft);
    }
}

fn promote_once(draft: &mut Draft<'_>, spec: &RolloutCommandSpec) -> Answer {
    let was_held = draft.is_held();
    let index = draft.step_index();
    let waits = match draft.item() {
        Some(Item::Pause(_) | Item::Observe { .. } | Item::Analysis(_) | Item::Gate(_) | Item::Decide(_)) => true,
        Some(Item::Ramp { .. }) => draft.status.sub_step() % 2 == 1,
        Some(_) => false,
        None => {
            override_rest(draft, spec);
            return done("promoting without waiting for more evidence");
        }
    };
    let unproved = inconclusive::is_waited_for(draft);
    if !waits && !was_held && !unproved {
        return refused("this step does not wait for an operator");
    }
    by_operator::ended_wait(draft, spec, waits);
    release_hold(draft);
    if unproved {
        inconclusive::excuse(draft);
    }
    if waits {
        canary::advance(draft);
    }
    done(format!("ended the wait at step {}", index + 1))
}

fn promote_to(draft: &mut Draft<'_>, spec: &RolloutCommandSpec, step: u32) -> Answer {
    let (from, steps, now) = (draft.step_index(), draft.items.len(), draft.now());
    let target = step.saturating_sub(1);
    if step == 0 || target as usize > steps {
        return refused(format!("there are steps 1 to {steps}"));
    }
    if target <= from {
        return refused(format!("step {step} is not ahead of the current step {}", from + 1));
    }
    let judged = |item: &Item| matches!(item, Item::Observe { .. } | Item::Analysis(_) | Item::Decide(_));
    if draft.items[from as usize..(target as usize).min(steps)].iter().any(judged) {
        return refused("there is an analysis in between; only --full skips it");
    }
    by_operator::jumped(draft, spec, target);
    if let Some(stepping) = draft.status.state.stepping_mut() {
        stepping.move_to((target, 0), now);
    }
    done(format!("continuing at step {step}"))
}

fn undo(draft: &mut Draft<'_>, spec: &RolloutCommandSpec) -> Answer {
    let Some(file) = draft.input.seen.template.as_ref().map(|template| template.id.clone()) else {
        return refused("the workload is missing");
    };
    let Some(target) = undo_target(draft, spec.to_revision) else {
        let mut kept: Vec<u64> = draft.input.seen.revisions.iter().map(|revision| revision.number).collect();
        kept.sort_unstable();
        let kept: Vec<String> = kept.iter().map(|number| format!("#{number}")).collect();
        return refused(format!("no such earlier revision; the kept revisions are {}", kept.join(", ")));
    };
    let (id, number) = target;
    if draft.current_id().as_ref() == Some(&id) {
        return done(format!("revision #{number} is already current"));
    }
    let course = course_of_undo(draft, &id, number);
    draft.status.pinned = (id != file).then_some(Pinned { revision: id, against: file });
    let pinned = if draft.status.pinned.is_some() { "; pinned until the template changes" } else { "" };
    done(format!("{course}{pinned}"))
}

/// How the release of an earlier revision goes: back to stable at once, by the short way, or through all steps.
fn course_of_undo(draft: &Draft<'_>, id: &str, number: u64) -> String {
    if draft.stable_id().as_deref() == Some(id) {
        return format!("shifting all traffic back to revision #{number}, which is stable");
    }
    let again = format!("#{number}'s template is released again as #{}", draft.next_number(id));
    if revisions::shortcut(draft, id).is_some() {
        return format!("{again}, without steps and analysis: it was stable before");
    }
    match draft.items.len() {
        0 => again,
        steps => {
            let steps = if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") };
            format!("{again}, through {steps}; 'glidepath promote {} --full' skips them", draft.input.name)
        }
    }
}

fn restart(draft: &mut Draft<'_>, command: &CommandSeen) -> Answer {
    if !restart::is_possible(draft) {
        return refused("a release is in progress and replaces the pods anyway");
    }
    // The API server's clock made this moment, as it made the pods'.
    restart::begin(draft, command.created);
    done("restarting pods, limited by maxUnavailable and PodDisruptionBudgets")
}

/// The revision to go back to: the one named, else stable during a rollout, else the one promoted before.
fn undo_target(draft: &Draft<'_>, number: Option<u64>) -> Option<(String, u64)> {
    let seen = &draft.input.seen.revisions;
    if let Some(number) = number {
        return seen.iter().find(|revision| revision.number == number).map(|revision| (revision.id.clone(), number));
    }
    let stable = draft.status.stable_revision.as_ref()?;
    if draft.canary_id().is_some() {
        return Some((stable.id.clone(), stable.number));
    }
    let kept = |id: &str| seen.iter().any(|revision| revision.id == id);
    let earlier = draft.status.promoted.iter().find(|revision| revision.id != stable.id && kept(&revision.id))?;
    Some((earlier.id.clone(), earlier.number))
}
