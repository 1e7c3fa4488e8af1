//! Where the step in progress stands (rules S11 to S16): over, or what it waits for, or how it ends. It is read from what
//! was observed and is a value; `canary` acts on it.

use crate::api::{
    analysis::Verdict,
    common::{HumanDuration, Percent},
    reason::Reason,
    strategy::DEFAULT_AT_MOST,
};

use super::{
    ab_test,
    decision::{Notice, Target},
    draft::Draft,
    extra_routes, gate,
    items::Item,
    observing, runs, settling, verification,
    wait::Wait,
    weights,
};

/// How far traffic and pods have come towards what the step wants.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The wanted weight is in force, with the pods it needs.
    pub reached: bool,
    /// The wanted weight.
    pub goal: Percent,
}

/// Where a step, or a stage of the promotion, stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It is over.
    Over,
    /// It is over, and why is an event.
    Told(Notice),
    /// It waits.
    Waits(Wait),
    /// Its time without a verdict is over, and is extended once by as much.
    Extends(HumanDuration),
    /// It does not end as the steps say.
    Ends(Ending),
}

/// How a step ends otherwise, with the reason as users read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// No verdict in time: `onInconclusive` decides.
    Inconclusive(String),
    /// It failed: `onFailure` decides.
    Fails(Reason, String),
    /// The release is rolled back.
    Aborts(Reason, String),
    /// The release waits for an operator.
    Holds(Reason, String),
    /// The A/B test ends for control.
    KeepsControl(Reason, String),
}

/// Where the step in progress stands; all steps done, where the observation after them does.
pub fn of_step(draft: &Draft<'_>, arrival: Arrival) -> Standing {
    match draft.item() {
        Some(Item::SetWeight(_)) => moved(draft, arrival),
        // A change of weight is what is verified (S52): requests beside it are not its share.
        Some(Item::HeaderRoute(_) | Item::MirrorRoute(_)) if arrival.reached => Standing::Over,
        Some(Item::HeaderRoute(_) | Item::MirrorRoute(_)) => Standing::Waits(for_weight(draft, arrival.goal)),
        Some(Item::Ramp { every, .. }) if draft.status.sub_step() % 2 == 1 => paused(draft, Some(*every)),
        Some(Item::Ramp { .. }) => moved(draft, arrival),
        Some(Item::Pause(duration)) => paused(draft, *duration),
        Some(Item::Observe { at_least, at_most }) => observed(draft, *at_least, *at_most),
        Some(Item::Analysis(step)) => analysed(draft, &runs::step_name(draft), step.at_most()),
        Some(Item::Gate(gate)) => gate::standing(draft, gate),
        Some(Item::Decide(decide)) => ab_test::standing(draft, decide),
        Some(Item::SetCanaryScale(_)) => scaled(draft),
        None => last_observation(draft),
    }
}

fn moved(draft: &Draft<'_>, arrival: Arrival) -> Standing {
    if arrival.reached { verification::standing(draft) } else { Standing::Waits(for_weight(draft, arrival.goal)) }
}

/// What stands between the routes and the wanted weight.
fn for_weight(draft: &Draft<'_>, goal: Percent) -> Wait {
    let need = weights::canary_need(draft, goal);
    let canary = draft.canary_id().unwrap_or_default();
    let available = draft.available(&canary);
    if !draft.has_mesh() {
        let message = format!("scaling towards {goal}: {available} canary pods available");
        return Wait::progress(Reason::Pods, available, with_trouble(draft, &canary, message));
    }
    if available < need {
        let message = format!("waiting for {} of {need} canary pods", need - available);
        return Wait::progress(Reason::Pods, available, with_trouble(draft, &canary, message));
    }
    let on_canary =
        draft.input.seen.canary_target.as_ref().filter(|target| target.revision.as_deref() == Some(&canary));
    match on_canary.map(|target| weights::listed(draft, target, &canary)) {
        None if !draft.status.weights.settled => {
            settling::of_routes(draft, 0, "shifting the traffic of the previous revision back to stable first")
        }
        None => Wait::progress(Reason::Endpoints, 0, "switching the canary target to the new revision"),
        Some(listed) if listed < need => {
            Wait::progress(Reason::Endpoints, listed, format!("{listed} of {need} canary pods are endpoints"))
        }
        Some(_) if !weights::target_settled(draft, Target::Canary) => {
            let settles_at = settling::target(draft, Target::Canary);
            Wait::settling(settles_at, Reason::TargetSettles, 1, "waiting for the canary endpoints to settle")
        }
        Some(_) => {
            let message =
                format!("shifting traffic to {}, waiting for the routes to settle", extra_routes::shown(draft, goal));
            settling::of_routes(draft, 1, message)
        }
    }
}

fn with_trouble(draft: &Draft<'_>, canary: &str, message: String) -> String {
    match draft.revision(canary).and_then(|revision| revision.trouble.clone()) {
        Some(trouble) => format!("{message}: {trouble}"),
        None => message,
    }
}

fn scaled(draft: &Draft<'_>) -> Standing {
    let need = weights::canary_need(draft, draft.step_weight());
    let canary = draft.canary_id().unwrap_or_default();
    let (available, wanted) = draft.revision(&canary).map_or((0, 0), |seen| (seen.available, seen.wanted));
    if wanted == need && available >= need {
        return previewed(draft);
    }
    let message = format!("waiting to scale from {available} to {need} canary pods");
    Standing::Waits(Wait::progress(Reason::Pods, available, with_trouble(draft, &canary, message)))
}

/// Rule S60: a preview stands when its target leads to it.
fn previewed(draft: &Draft<'_>) -> Standing {
    if draft.blue_green().is_none() || weights::target_settled(draft, Target::Canary) {
        return Standing::Over;
    }
    let settles_at = settling::target(draft, Target::Canary);
    Standing::Waits(Wait::settling(settles_at, Reason::Preview, 0, "switching the preview target to the new revision"))
}

/// A pause is over by time, even if no tick saw its end; without a duration a promote ends it (S13).
fn paused(draft: &Draft<'_>, duration: Option<HumanDuration>) -> Standing {
    // A pause by command comes first: nothing promotes before it is lifted.
    let first = if draft.is_paused() { "paused: resume it first; then " } else { "" };
    let Some(duration) = duration else {
        let message = format!("{first}paused by its steps until an operator promotes");
        return Standing::Waits(Wait::until(Reason::Pause, message, None));
    };
    let until = duration.after(draft.status.state.since().unwrap_or(draft.now()));
    if until <= draft.now() {
        return Standing::Over;
    }
    Standing::Waits(Wait::until(Reason::Pause, format!("{first}paused by its steps for {duration}"), Some(until)))
}

fn observed(draft: &Draft<'_>, at_least: HumanDuration, at_most: HumanDuration) -> Standing {
    let passed = runs::verdict(draft, &runs::background_name(draft)) == Verdict::Pass;
    let early = draft.step_elapsed() < at_least.signed();
    if !passed {
        return without_verdict(draft, at_most, Reason::Observe);
    }
    if !early {
        return Standing::Over;
    }
    let weight = draft.step_weight();
    let message = format!("observing at {weight}: passed; waiting for at least {at_least} in total");
    let until = draft.while_clocks_run(draft.step_reaches(at_least));
    Standing::Waits(Wait::until(Reason::Observe, message, until))
}

/// Before promotion there is an implicit observation, unless the evidence already passed at this weight or an operator
/// promoted.
fn last_observation(draft: &Draft<'_>) -> Standing {
    if draft.is_overridden() || !runs::background_started(draft) {
        return Standing::Over;
    }
    let required = draft.input.seen.runs.get(&runs::background_name(draft));
    let advisory = required
        .is_some_and(|run| !run.status.metrics.is_empty() && run.status.metrics.iter().all(|metric| !metric.required));
    if advisory { Standing::Over } else { observed(draft, HumanDuration::default(), DEFAULT_AT_MOST) }
}

/// A wait for the verdict of a run of its own.
pub fn analysed(draft: &Draft<'_>, name: &str, at_most: HumanDuration) -> Standing {
    match runs::verdict(draft, name) {
        Verdict::Pass => Standing::Over,
        Verdict::Inconclusive if draft.input.seen.runs.get(name).is_some_and(|run| run.phase != Default::default()) => {
            Standing::Ends(Ending::Inconclusive("the analysis ended without a verdict".to_owned()))
        }
        _ => without_verdict(draft, at_most, Reason::Analysis),
    }
}

/// At the end of its time a wait for a verdict is extended once, then the policy decides.
fn without_verdict(draft: &Draft<'_>, at_most: HumanDuration, reason: Reason) -> Standing {
    let extended = draft.status.state.extended();
    let length = if extended { HumanDuration::from(at_most.get() * 2) } else { at_most };
    let end = draft.not_before_first_look(draft.step_reaches(length));
    let (traffic, evidence) = (observing::under(draft), observing::evidence(draft));
    if !draft.is_time_over(length) {
        let message = format!("observing {traffic}: {evidence}");
        return Standing::Waits(Wait::until(reason, message, draft.while_clocks_run(end)));
    }
    if !extended {
        return Standing::Extends(at_most);
    }
    Standing::Ends(Ending::Inconclusive(format!("no verdict within {length} of observing {traffic}: {evidence}")))
}
