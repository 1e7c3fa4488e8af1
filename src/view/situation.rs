//! The situation of a Rollout: where it is, what it waits for, until when, what comes then, what would roll it back, and
//! what can be done. It is computed once, here; `status`, `explain`, `watch`, `wait` and the hints render it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    acts::{self, Act},
    commands::{Offer, offers},
    guards,
    history::{self, PastRelease},
    pause, phrases,
    place::{Place, is_seen},
    step::{Counter, phrase},
    waits::{Until, WaitsFor},
};
use crate::{
    api::{
        HumanDuration, Percent, Rollout, RolloutStatus,
        command::Verb,
        reason::ConditionType,
        rollout::OnFailure,
        status::{Phase, RevisionRef, State},
    },
    engine::items::items,
};

/// The situation of a Rollout at one moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Situation {
    /// The Rollout's name.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The phase; `None` before a controller has seen it.
    pub phase: Option<Phase>,
    /// The step in progress, while steps are.
    pub counter: Option<Counter>,
    /// The stable revision.
    pub stable: Option<RevisionRef>,
    /// The desired revision.
    pub current: Option<RevisionRef>,
    /// The canary's planned share of traffic.
    pub weight: Percent,
    /// The share that was read back last.
    pub accepted: Option<Percent>,
    /// Since when it is there.
    pub since: Option<Timestamp>,
    /// How long it is there, pauses not counted.
    pub elapsed: SignedDuration,
    /// Whether the controller has observed the latest spec.
    pub is_seen: bool,
    /// Why it needs an external change to proceed.
    pub stalled: Option<String>,
    /// The engine's summary in one line; empty where it says nothing.
    pub summary: String,
    /// The pause by command that is in force.
    pub paused: Option<Act>,
    /// A pause where the place is none, with what it holds back.
    pub also_paused: Option<String>,
    /// How the release of the current revision ended, if it was rolled back or lost a test.
    pub ended: Option<PastRelease>,
    /// What the engine says of it that its place does not say.
    pub said: Option<String>,
    /// What it waits for.
    pub waits_for: WaitsFor,
    /// When that ends by itself.
    pub until: Option<Until>,
    /// What comes next.
    pub next: Next,
    /// What would roll it back.
    pub rolls_back_when: Option<RollsBackWhen>,
    /// What can be done.
    pub offers: Vec<Offer>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Next {
    /// Nothing that is worth a word.
    Nothing,
    /// The steps after this one, then the end of the release.
    Steps {
        /// Each as part of a sentence.
        coming: Vec<String>,
        /// Whether a test finds the winner.
        is_test: bool,
    },
    /// The stable target switches to the new version.
    Switch,
    /// The old version is scaled down, and nothing can be aborted any more.
    ScaleDown,
    /// A new attempt, if an operator starts one.
    NewAttempt,
}

/// What would roll a release back.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RollsBackWhen {
    /// Required metrics that fail, each with how much of the evidence for it there is, from 0 to 1.
    pub metrics: Vec<(String, f64)>,
    /// Whether any analysis can fail it.
    pub is_judged: bool,
    /// What the containers of the new version may not do, each as it follows `when`.
    pub guards: Vec<String>,
    /// No progress for so long.
    pub deadline: HumanDuration,
    /// Whether it rolls back at once or holds.
    pub policy: OnFailure,
}

impl Situation {
    /// Of a Rollout, now.
    pub fn of(rollout: &Rollout, now: Timestamp) -> Self {
        let empty = RolloutStatus::default();
        let status = rollout.status.as_ref().unwrap_or(&empty);
        let place = Place::of(rollout);
        let waits_for = WaitsFor::of(&place, status);
        let offers = offers(rollout, &place, &waits_for, now);
        let over = matches!(place, Place::Aborted | Place::ControlKept);
        let ended = history::ended(rollout).filter(|_| over);
        let stalled = stalled(status, &place);
        Situation {
            name: rollout.metadata.name.clone().unwrap_or_else(|| "?".into()),
            phase: status.phase,
            counter: Counter::of(rollout),
            stable: status.stable_revision.clone(),
            current: status.current_revision.clone(),
            weight: status.weights.desired,
            accepted: status.weights.accepted,
            since: if let Place::Held(held) = &place { Some(held.since) } else { status.state.since() },
            elapsed: elapsed(&place, status, now),
            is_seen: is_seen(rollout) || matches!(place, Place::Unseen { .. }),
            summary: summary(status, &place),
            said: said(&place, &waits_for, status, ended.as_ref()).filter(|said| stalled.as_ref() != Some(said)),
            stalled,
            paused: acts::paused(status),
            also_paused: pause::aside(rollout, &place),
            ended,
            until: Until::of(rollout, &place),
            next: next(rollout, status, &place, &offers),
            rolls_back_when: rolls_back_when(rollout, status),
            place,
            waits_for,
            offers,
        }
    }
}

/// How long the step in progress has run, pauses not counted; a hold and a pause last as long as the time does.
fn elapsed(place: &Place, status: &RolloutStatus, now: Timestamp) -> SignedDuration {
    let stopped_since = match place {
        Place::Held(held) => Some(held.since),
        Place::Paused { .. } => {
            let stopped = status.state.clock().and_then(|clock| clock.stopped_since);
            acts::paused(status).map(|act| act.at).or(stopped)
        }
        _ => None,
    };
    if let Some(since) = stopped_since {
        return now.duration_since(since).max(SignedDuration::ZERO);
    }
    let Some(clock) = status.state.clock() else {
        return status.state.since().map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    };
    clock.elapsed(now).max(SignedDuration::ZERO)
}

/// The message of the Stalled condition, while it is true. Of a hold and a rollback their place says it.
fn stalled(status: &RolloutStatus, place: &Place) -> Option<String> {
    if matches!(place, Place::Held(_) | Place::Aborted | Place::ControlKept) {
        return None;
    }
    let is_stalled = |c: &&crate::api::conditions::Condition| c.type_ == ConditionType::Stalled && c.status == "True";
    status.conditions.iter().find(is_stalled).map(|condition| condition.message.clone())
}

fn wait(status: &RolloutStatus) -> &str {
    status.waiting_for.as_ref().map_or("", |waiting| &waiting.message)
}

/// Of a pause there is more to say than the engine's message: who paused it, and why.
fn summary(status: &RolloutStatus, place: &Place) -> String {
    if matches!(place, Place::Paused { .. }) {
        return String::new();
    }
    let held = status.held().map_or("", |held| &held.message);
    let said = [status.message.as_str(), held, wait(status)].into_iter().find(|text| !text.is_empty());
    said.unwrap_or_default().to_owned()
}

fn said(place: &Place, waits_for: &WaitsFor, status: &RolloutStatus, ended: Option<&PastRelease>) -> Option<String> {
    let text = match place {
        Place::Unseen { .. } | Place::Paused { .. } => "",
        Place::Held(held) => &held.message,
        Place::Idle { pinned: false } if status.phase == Some(Phase::Healthy) => "",
        Place::Aborted | Place::ControlKept => return Some(why_ended(status, ended)),
        Place::Idle { .. } => &status.message,
        _ => match waits_for {
            WaitsFor::Metrics(_) | WaitsFor::Promote | WaitsFor::Time | WaitsFor::Approval(_) => "",
            _ if wait(status).is_empty() => &status.message,
            _ => wait(status),
        },
    };
    (!text.is_empty()).then(|| text.to_owned())
}

/// Why a release ended, and what the engine adds to it. The message repeats the reason behind what happened to which
/// revision.
fn why_ended(status: &RolloutStatus, ended: Option<&PastRelease>) -> String {
    let Some(ended) = ended.filter(|ended| !ended.reason.is_empty()) else {
        // Without a record of its end there is only the message, which names the revision first.
        return status.message.split_once(" was rolled back: ").map_or(&*status.message, |(_, why)| why).to_owned();
    };
    let added = status.message.split_once(&ended.reason).map_or("", |(_, added)| added);
    ended.why() + added
}

/// What became of the current revision: `#42 was rolled back by ann: "dashboards look odd"`.
pub fn rolled_back(rollout: &Rollout) -> String {
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let number = phrases::number(status.current_revision.as_ref());
    let ended = history::ended(rollout);
    let gap = if ended.as_ref().is_some_and(|ended| ended.aborted.is_some()) { " " } else { ": " };
    format!("{number} was rolled back{gap}{}", why_ended(status, ended.as_ref()))
}

fn next(rollout: &Rollout, status: &RolloutStatus, place: &Place, offers: &[Offer]) -> Next {
    match place {
        Place::Promoting(_) if offers.iter().any(|offer| offer.verb == Verb::Abort) => Next::Switch,
        Place::Promoting(_) => Next::ScaleDown,
        Place::ControlKept | Place::Aborted => Next::NewAttempt,
        Place::Step { .. } | Place::Held(_) | Place::Paused { .. } => {
            let steps = items(&rollout.spec.strategy.steps());
            let coming = steps.iter().skip(status.step_index as usize + 1).map(phrase).collect();
            Next::Steps { coming, is_test: rollout.spec.strategy.ab_test.is_some() }
        }
        Place::Unseen { .. } | Place::FirstDeploy { .. } | Place::Idle { .. } | Place::StepsDone | Place::Returning => {
            Next::Nothing
        }
    }
}

fn rolls_back_when(rollout: &Rollout, status: &RolloutStatus) -> Option<RollsBackWhen> {
    if !matches!(status.state, State::Stepping(_)) || status.held().is_some() {
        return None;
    }
    let spec = &rollout.spec;
    let required = status.metrics.iter().filter(|metric| metric.required && !metric.decides);
    // The goal of a test decides it, and fails nothing.
    let own = spec.strategy.judged().iter().any(|(field, _)| field != "abTest.goal");
    Some(RollsBackWhen {
        metrics: required.map(|metric| (metric.name.clone(), metric.fail_progress)).collect(),
        is_judged: own || spec.background().is_some(),
        guards: guards::causes(&spec.guards()),
        deadline: spec.progress_deadline(),
        policy: spec.on_failure.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::status::Stepping, view::samples};

    #[test]
    fn a_paused_clock_stands_still() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut stepping = Stepping::begin(at(1000));
        stepping.clock.held_ms = 10_000;
        let elapsed = |stepping: &Stepping| {
            let state = State::Stepping(Box::new(stepping.clone()));
            elapsed(&Place::StepsDone, &RolloutStatus { state, ..RolloutStatus::default() }, at(1100)).as_secs()
        };
        assert_eq!(elapsed(&stepping), 90);
        stepping.clock.stopped_since = Some(at(1050));
        assert_eq!(elapsed(&stepping), 40);
    }

    /// A page in a browser renders the same values; the address of a gate, which may hold a secret, is none of them.
    #[test]
    fn every_situation_can_be_written_as_json_and_holds_no_address() {
        for (name, sample) in samples::all() {
            let json = serde_json::to_string(&Situation::of(&sample.rollout, samples::NOW)).unwrap();
            assert!(json.contains("\"waitsFor\"") && !json.contains("key=1"), "{name}: {json}");
        }
    }
}
