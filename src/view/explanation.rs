//! The situation in sentences: why a rollout is in its current state, what happens next and when, and what would make it
//! roll back.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    commands::Offer,
    document::Shape,
    evidence::evidence,
    guards,
    metric_words::metric_words,
    phrases::{self, short},
    place::Place,
    situation::{Next, RollsBackWhen, Situation, rolled_back},
    step::phrase,
    waits::{Then, Until, WaitsFor},
};
use crate::{
    api::{Rollout, rollout::OnFailure},
    engine::items::Item,
};

/// One sentence or more for each question that a user has.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Where it is, and how it got there.
    pub summary: String,
    /// What blocks it until something outside changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked_by: Option<String>,
    /// Whether the controller has observed the latest spec.
    pub observed: bool,
    /// What a pause holds back while nothing is in progress that it could stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub also_paused: Option<String>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continues_when: Option<String>,
    /// The metrics that it waits for, one sentence each.
    pub metrics: Vec<String>,
    /// What its containers have done that the guards count: OOM kills and restarts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guards: Option<String>,
    /// What would roll it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolls_back_when: Option<String>,
    /// What happens, and when, if there is no verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_verdict: Option<String>,
    /// What comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The commands that would be accepted now.
    pub commands: Vec<Offer>,
}

impl Shape for Explanation {
    const KIND: &'static str = "RolloutExplanation";
}

impl Explanation {
    /// Of a Rollout, now.
    pub fn of(rollout: &Rollout, now: Timestamp) -> Self {
        let situation = Situation::of(rollout, now);
        let some = |text: String| (!text.is_empty()).then_some(text);
        let awaited = evidence(rollout);
        Explanation {
            summary: where_it_is(rollout, &situation, now),
            blocked_by: situation.stalled.clone(),
            observed: situation.is_seen,
            also_paused: situation.also_paused.as_ref().map(|aside| format!("It is {aside}.")),
            continues_when: some(continues_when(&situation, now)),
            metrics: awaited.iter().filter(|row| row.is_awaited).map(|row| metric_words(row.metric)).collect(),
            guards: guards::counted(rollout)
                .map(|counts| format!("Guards: {}.", guards::counts_in_words(counts, &rollout.spec.guards()))),
            rolls_back_when: situation.rolls_back_when.as_ref().map(rolls_back_when),
            without_verdict: situation.until.and_then(|until| no_verdict(until, now)),
            next: next(&situation.next),
            commands: situation.offers,
        }
    }
}

fn where_it_is(rollout: &Rollout, situation: &Situation, now: Timestamp) -> String {
    let Situation { name, weight, summary, .. } = situation;
    let current = phrases::number(situation.current.as_ref());
    let stable = phrases::number(situation.stable.as_ref());
    let since = situation.since.map(|at| format!(" since {}", phrases::clock(at, now))).unwrap_or_default();
    let at = situation.counter.map_or("in its promotion".into(), |at| format!("at step {} of {}", at.step, at.of));
    match &situation.place {
        Place::Unseen { class } => {
            let unseen = phrases::unseen(class.as_deref());
            format!("{name} has no status: {unseen}. 'glidepath doctor' checks whether one is running.")
        }
        Place::FirstDeploy { .. } => {
            format!("{name} has no stable version yet: {current} is deployed at once, without steps and analysis.")
        }
        Place::Idle { pinned: false } => {
            format!("{name} has no release in progress: {stable} is stable and receives 100 % of traffic.")
        }
        Place::Idle { pinned: true } | Place::ControlKept => format!("{name} has no release in progress: {summary}."),
        Place::Held(held) => format!("{name} is held {at} with {current} at {weight}{since}: {}.", held.message),
        Place::Paused { in_spec: true } => format!("{name} is paused by spec.paused {at}, {current} at {weight}."),
        Place::Paused { in_spec: false } => format!(
            "{name} is paused{} {at}, {current} at {weight}{}.",
            paused_by(situation),
            paused_why(situation, now)
        ),
        Place::Step { item, .. } => format!("{name} is {at}: {}{since}.", step_sentence(item, &current, situation)),
        Place::StepsDone => format!("{name} has completed all steps with {current}."),
        Place::Promoting(stage) => {
            let stage = phrases::stage(*stage);
            format!("{name} is promoting {current}: {}.", stage.strip_prefix("promoting: ").unwrap_or(stage))
        }
        Place::Returning => {
            let is_pinned = rollout.status.as_ref().is_some_and(|status| status.pinned.is_some());
            let why = if is_pinned { "undo pinned it" } else { "the spec returned to it" };
            format!("{name} is shifting traffic back to {stable}: {why}.")
        }
        Place::Aborted => {
            format!("{name}: {}. {}.", rolled_back(rollout).trim_end_matches('.'), after_rollback(situation, &stable))
        }
    }
}

fn paused_by(situation: &Situation) -> String {
    let by = situation.paused.as_ref().map(|act| act.by()).unwrap_or_default();
    if by.is_empty() { " by command".into() } else { by }
}

fn paused_why(situation: &Situation, now: Timestamp) -> String {
    let Some(act) = &situation.paused else { return String::new() };
    let why = act.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!(" since {}{why}", phrases::clock(act.at, now))
}

/// How far a release was when it was rolled back, and where the traffic is.
fn after_rollback(situation: &Situation, stable: &str) -> String {
    let is_back = situation.weight.is_zero() && situation.accepted.is_none_or(|accepted| accepted.is_zero());
    let traffic = if is_back { "receives 100 % of traffic" } else { "is getting its traffic back" };
    let step = situation.ended.as_ref().and_then(|ended| ended.step);
    let was = step.map(|step| {
        if step.all_complete {
            return format!("All {} steps were complete; ", step.of);
        }
        let at = step.weight.map(|weight| format!(", at {weight}"));
        format!("It was at step {} of {}{}; ", step.number, step.of, at.unwrap_or_default())
    });
    format!("{}{stable} {traffic}", was.unwrap_or_default())
}

fn step_sentence(item: &Item, current: &str, situation: &Situation) -> String {
    let weight = situation.weight;
    let at = if weight.is_zero() { String::new() } else { format!(" at {weight}") };
    match item {
        Item::Observe { .. } => format!("observing revision {current} at {weight}"),
        // The next sentence says until when.
        Item::Pause(None) => format!("a pause with {current}{at}"),
        Item::Pause(Some(_)) | Item::Analysis(_) | Item::Ramp { .. } => format!("{} with {current}{at}", phrase(item)),
        Item::Gate(_) => format!("waiting for {} with {current}{at}", phrase(item)),
        Item::Decide(decide) => {
            format!("running an A/B test of {current}, for at most {}", short(decide.at_most.signed()))
        }
        Item::SetCanaryScale(_) => format!("setting the {}", phrase(item)),
        Item::SetWeight(_) | Item::HeaderRoute(_) | Item::MirrorRoute(_) => {
            format!("moving {current} to {}", phrase(item))
        }
    }
}

fn continues_when(situation: &Situation, now: Timestamp) -> String {
    let left = situation.until.map(|until| short(until.at.duration_since(now)));
    match &situation.waits_for {
        WaitsFor::Nothing => String::new(),
        WaitsFor::Decision => "The weight does not change until an operator decides.".into(),
        WaitsFor::SpecUnpaused => "It resumes when spec.paused is false; a failed analysis still rolls back.".into(),
        WaitsFor::Resume => "It continues when an operator resumes it; a failed analysis still rolls back.".into(),
        WaitsFor::Metrics(at_least) => {
            let least = at_least.signed();
            let least = if least.is_zero() { String::new() } else { format!(" and {} have elapsed", short(least)) };
            format!("It continues when every required metric passes{least}:")
        }
        WaitsFor::Goal { at_least, at_most } => format!(
            "It ends when the goal metric has a verdict, between {} and {} after it started:",
            short(at_least.signed()),
            short(at_most.signed())
        ),
        WaitsFor::Analysis => "It continues when the analysis passes:".into(),
        WaitsFor::Promote => "It continues when an operator promotes it.".into(),
        WaitsFor::Approval(_) => {
            let opens = "It continues when an operator promotes it, which is the approval";
            format!("{opens}{}.", timeout(situation, now))
        }
        WaitsFor::Gate(host) => {
            format!("It continues when {host} approves, and fails when it denies{}.", timeout(situation, now))
        }
        WaitsFor::Time => format!("It continues automatically in {}.", left.unwrap_or_else(|| "a moment".into())),
        WaitsFor::Cluster(_) if situation.stalled.is_some() => String::new(),
        WaitsFor::Cluster(message) => waiting_sentence(message),
    }
}

/// What a gate that stays shut does, and when.
fn timeout(situation: &Situation, now: Timestamp) -> String {
    match situation.until {
        Some(Until { at, then: Then::TimesOut(policy) }) => {
            format!("; after {} more {}", short(at.duration_since(now)), phrases::timeout(policy))
        }
        _ => String::new(),
    }
}

/// `waiting for ...` becomes a sentence; any other message is used as it is.
fn waiting_sentence(message: &str) -> String {
    let message = message.trim_end_matches('.');
    if message.starts_with("waiting") {
        return format!("It is {message}.");
    }
    let mut letters = message.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn rolls_back_when(rolls_back: &RollsBackWhen) -> String {
    let RollsBackWhen { metrics, is_judged, guards, deadline, policy } = rolls_back;
    let fails = |(name, progress): &(String, f64)| {
        format!("{name} fails (now at {:.0} % of the required evidence), when ", progress * 100.0)
    };
    let mut causes: String = metrics.iter().map(fails).collect();
    if metrics.is_empty() && *is_judged {
        causes = "the analysis fails, when ".into();
    }
    causes.extend(guards.iter().map(|guard| format!("{guard}, when ")));
    let deadline = short(deadline.signed());
    let causes = format!("{causes}pods or routes make no progress for {deadline}, or when an operator aborts it");
    match policy {
        OnFailure::Rollback => format!("It rolls back when {causes}."),
        OnFailure::Hold => format!(
            "It holds and waits for an operator (onFailure: Hold) when {causes}, which shifts traffic back to stable."
        ),
    }
}

fn no_verdict(until: Until, now: Timestamp) -> Option<String> {
    let Then::NoVerdict { extends_by, policy } = until.then else { return None };
    let extends =
        extends_by.map(|length| format!("extends once by {}, then ", short(length.signed()))).unwrap_or_default();
    let (at, then) = (phrases::clock(until.at, now), phrases::inconclusive(policy));
    Some(format!("At {at} without a verdict it {extends}{then} (onInconclusive: {policy:?})."))
}

/// How many of the coming steps are named.
const NAMED: usize = 6;

/// What comes after the current step.
fn next(next: &Next) -> Option<String> {
    Some(match next {
        Next::Nothing => return None,
        Next::ScaleDown => {
            "Next: the old version is scaled down. Abort is no longer possible; use undo to roll back afterwards."
                .into()
        }
        Next::Switch => "Next: the stable target switches to it, then the old version is scaled down.".into(),
        Next::NewAttempt => "No automatic next step. Set a new image, or retry, to start a new attempt.".into(),
        Next::Steps { coming, is_test } => {
            let mut coming = coming.clone();
            if coming.len() > NAMED {
                let more = coming.split_off(NAMED - 1).len();
                coming.push(format!("{more} more steps"));
            }
            coming.push(
                if *is_test { "the winner is the stable version" } else { "it becomes the stable version" }.into(),
            );
            format!("Next: {}.", coming.join(", then "))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::status::Held,
        view::{document::document, samples},
    };

    #[test]
    fn the_shape_of_an_explanation() {
        for (name, sample) in [("observing", samples::observing()), ("aborted", samples::aborted_by_command())] {
            let json = document(&sample.rollout, &Explanation::of(&sample.rollout, samples::NOW)).unwrap();
            insta::assert_snapshot!(format!("explanation_{name}"), serde_json::to_string_pretty(&json).unwrap());
        }
    }

    /// There is no step 8 of 7.
    #[test]
    fn a_promotion_that_is_held_is_at_no_step() {
        let mut sample = samples::promoting();
        let held = Held { message: "no verdict within 1h".into(), since: samples::ago(60), ..Held::default() };
        sample.rollout.status.as_mut().unwrap().state.release_mut().unwrap().held = Some(held);
        let wanted = "checkout is held in its promotion with #42 at 100 % since 14:04:22 UTC: no verdict within 1h.";
        assert_eq!(Explanation::of(&sample.rollout, samples::NOW).summary, wanted);
    }

    /// The condition, the message and the history of an abort say the same.
    #[test]
    fn an_abort_is_explained_once_with_its_author() {
        let rollout = samples::aborted_by_command().rollout;
        let Explanation { summary, blocked_by, .. } = Explanation::of(&rollout, samples::NOW);
        let wanted = "checkout: #42 was rolled back by ann: \"dashboards look odd\". It was at step 4 of 7, at 25 %; #41 \
                      receives 100 % of traffic.";
        assert_eq!((summary.as_str(), blocked_by), (wanted, None));
    }
}
