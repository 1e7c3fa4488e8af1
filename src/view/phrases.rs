//! Phrases that all views share: times, steps, what a rollout is doing right now.

use std::borrow::Cow;

use jiff::{SignedDuration, Timestamp};

use crate::api::{
    LOCAL_OPTION, Rollout, RolloutStatus,
    reason::ConditionType,
    status::{Course, Held, Outcome, Stage},
    strategy::{Gate, OnTimeout, Step},
};

/// How a command on this Rollout ends: with the option that leads to it, when it is a local one.
pub fn option(rollout: &Rollout) -> String {
    let annotations = rollout.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get(LOCAL_OPTION)).map(|option| format!(" {option}")).unwrap_or_default()
}

/// The state of a rollout, as users see it.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, for the length of a line")]
pub enum Place<'a> {
    /// No controller has written a status yet.
    Unseen,
    /// The first version comes up.
    FirstDeploy,
    /// Nothing is being released.
    Idle,
    /// Held until an operator decides.
    Held(&'a Held),
    /// Paused, by the file or by a command.
    Paused {
        /// `spec.paused`, which only an edit of the file lifts.
        in_file: bool,
    },
    /// A step is in progress.
    Step(Step),
    /// All steps are done and the promotion is about to begin.
    StepsDone,
    /// The new version takes everything.
    Promoting(Option<Stage>),
    /// Traffic returns because the file went back.
    Returning,
    /// Taken back.
    Aborted,
    /// An A/B test was decided for control.
    Kept,
}

/// The place of a rollout. A hold and a pause hide the step that they stop.
pub fn place(rollout: &Rollout) -> Place<'_> {
    let Some(status) = rollout.status.as_ref().filter(|s| s.phase.is_some()) else { return Place::Unseen };
    match status.course() {
        Course::FirstDeploy => return Place::FirstDeploy,
        Course::Idle => return Place::Idle,
        Course::Aborted => return Place::Aborted,
        Course::ControlKept => return Place::Kept,
        Course::Returning => return Place::Returning,
        Course::Stepping | Course::Promoting => {}
    }
    if let Some(held) = status.held() {
        return Place::Held(held);
    }
    if rollout.spec.paused || status.paused_by_command {
        return Place::Paused { in_file: rollout.spec.paused };
    }
    if status.course() == Course::Promoting {
        return Place::Promoting(status.stage());
    }
    steps(rollout).get(status.step_index as usize).cloned().map_or(Place::StepsDone, Place::Step)
}

/// The steps of the file; a blue-green release as it is walked.
pub fn steps(rollout: &Rollout) -> Cow<'_, [Step]> {
    rollout.spec.strategy.steps()
}

/// The strategy's name, as the field is called.
pub fn strategy(rollout: &Rollout) -> &'static str {
    rollout.spec.strategy.name()
}

/// A short name of a step, for the step bar.
pub fn step_label(step: &Step) -> String {
    if let Some(weight) = step.set_weight {
        return weight.to_string();
    }
    if let Some(pause) = &step.pause {
        return pause.duration.map_or_else(|| "pause".into(), |d| format!("pause {}", short(d.signed())));
    }
    if step.observe.is_some() {
        return "observe".into();
    }
    if step.analysis.is_some() {
        return "analysis".into();
    }
    if let Some(scale) = &step.set_canary_scale {
        return match (scale.replicas, scale.percent) {
            (Some(replicas), _) => format!("scale {replicas}"),
            (None, Some(percent)) => format!("scale {percent}"),
            (None, None) => "scale as weight".into(),
        };
    }
    if let Some(gate) = &step.gate {
        return gate_words(gate);
    }
    if step.decide.is_some() {
        return "test".into();
    }
    if let Some(route) = &step.set_header_route {
        return if route.matches.is_empty() { format!("no {}", route.name) } else { format!("header {}", route.name) };
    }
    if let Some(mirror) = &step.set_mirror_route {
        return if mirror.percent.is_zero() { "no mirror".into() } else { format!("mirror {}", mirror.percent) };
    }
    step.ramp.as_ref().map_or_else(|| "?".into(), |ramp| format!("ramp to {}", ramp.to))
}

/// `gate change-freeze`, `approval release-manager`.
pub fn gate_words(gate: &Gate) -> String {
    format!("{} {}", if gate.is_approval() { "approval" } else { "gate" }, gate.name)
}

/// What a gate that stays shut does in the end.
pub fn timeout_words(gate: &Gate) -> &'static str {
    match gate.on_timeout.unwrap_or_default() {
        OnTimeout::Hold => "it holds and waits for an operator",
        OnTimeout::Abort => "it rolls back",
        OnTimeout::Promote => "it continues anyway",
    }
}

/// A step as part of a sentence: `analysis checkout-load-test`, `a pause of 10m`.
pub fn step_words(step: &Step) -> String {
    if let Some(weight) = step.set_weight {
        return weight.to_string();
    }
    if let Some(pause) = &step.pause {
        return pause.duration.map_or_else(
            || "a pause until an operator promotes".into(),
            |d| format!("a pause of {}", short(d.signed())),
        );
    }
    if let Some(observe) = &step.observe {
        let least = observe.at_least.map(|d| format!(" for at least {}", short(d.signed())));
        return format!("observe{}", least.unwrap_or_default());
    }
    if let Some(analysis) = &step.analysis {
        let names: Vec<&str> = analysis.templates.iter().map(|t| t.name.as_str()).collect();
        return format!("analysis {}", names.join(", "));
    }
    if let Some(gate) = &step.gate {
        return gate_words(gate);
    }
    if let Some(decide) = &step.decide {
        return format!("a test of at most {}", short(decide.at_most.signed()));
    }
    if step.set_canary_scale.is_some() {
        return format!("canary {}", step_label(step));
    }
    if step.set_header_route.is_some() || step.set_mirror_route.is_some() {
        return step_label(step);
    }
    let ramp = |r: &crate::api::strategy::Ramp| {
        format!("a ramp from {} to {} by {} every {}", r.from, r.to, r.by, short(r.every.signed()))
    };
    step.ramp.as_ref().map_or_else(|| "an unknown step".into(), ramp)
}

/// How long the step in progress has run, pauses not counted.
pub fn elapsed(status: &RolloutStatus, now: Timestamp) -> SignedDuration {
    let Some(clock) = status.state.clock() else {
        return status.state.since().map_or(SignedDuration::ZERO, |since| now.duration_since(since));
    };
    let until = clock.stopped_since.unwrap_or(now);
    let counted = until.duration_since(clock.since) - SignedDuration::from_millis(clock.held_ms);
    counted.max(SignedDuration::ZERO)
}

/// The message of the Stalled condition, when it is true.
pub fn stalled(status: &RolloutStatus) -> Option<&str> {
    status
        .conditions
        .iter()
        .find(|c| c.type_ == ConditionType::Stalled && c.status == "True")
        .map(|c| c.message.as_str())
}

/// Whether the controller has seen the newest file.
pub fn is_seen(rollout: &Rollout) -> bool {
    let seen = rollout.status.as_ref().and_then(|status| status.observed_generation);
    match (seen, rollout.metadata.generation) {
        (Some(seen), Some(now)) => seen >= now,
        (None, Some(_)) => false,
        _ => true,
    }
}

/// What is said of a Rollout without a status.
pub fn unseen(rollout: &Rollout) -> String {
    match &rollout.spec.class {
        Some(class) => format!("no controller with --class {class} has reconciled it yet"),
        None => "no controller has reconciled it yet".to_owned(),
    }
}

/// `#42`, or `a new revision` before it has a number.
pub fn number(revision: Option<&crate::api::status::RevisionRef>) -> String {
    revision.map_or_else(|| "a new revision".into(), |r| format!("#{}", r.number))
}

/// The human-readable stage of a promotion.
pub fn stage_words(stage: Option<Stage>) -> &'static str {
    match stage {
        None => "promoting",
        Some(Stage::Scale) => "promoting: the new version scales to all its pods",
        Some(Stage::RouteToCanary) => "promoting: all traffic shifts to the new version's pods",
        Some(Stage::MoveStable) => "promoting: the stable target switches to the new version",
        Some(Stage::PostAnalysis) => "promoting: the new version is analyzed at 100 %",
        Some(Stage::RouteToStable) => "promoting: routes return to the stable target",
    }
}

/// The display of an outcome (Aborted and RolledBack are both shown as `rolled back`).
pub fn outcome_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted | Outcome::FastPromoted => "promoted",
        Outcome::Aborted | Outcome::RolledBack => "rolled back",
        Outcome::Superseded => "superseded",
        Outcome::KeptControl => "not promoted: control kept",
    }
}

/// A length of time in at most two units: `45s`, `3m12s`, `2h5m`, `6d4h`.
pub fn short(duration: SignedDuration) -> String {
    let total = duration.as_secs().max(0);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
    };
    match total {
        0..60 => format!("{total}s"),
        60..3600 => two(total / 60, "m", total % 60, "s"),
        3600..86_400 => two(total / 3600, "h", total % 3600 / 60, "m"),
        _ => two(total / 86_400, "d", total % 86_400 / 3600, "h"),
    }
}

/// An age in one unit, as kubectl prints it: `45s`, `12m`, `5h`, `6d`.
pub fn age(duration: SignedDuration) -> String {
    let total = duration.as_secs().max(0);
    match total {
        0..120 => format!("{total}s"),
        120..7200 => format!("{}m", total / 60),
        7200..172_800 => format!("{}h", total / 3600),
        _ => format!("{}d", total / 86_400),
    }
}

/// `14:02:10 UTC` for a time of today, else with the date.
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    let same_day = at.strftime("%F").to_string() == now.strftime("%F").to_string();
    at.strftime(if same_day { "%H:%M:%S UTC" } else { "%F %H:%M UTC" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::{State, Stepping};

    #[test]
    fn times_are_short() {
        for (seconds, shown, aged) in [
            (0, "0s", "0s"),
            (45, "45s", "45s"),
            (192, "3m12s", "3m"),
            (300, "5m", "5m"),
            (7500, "2h5m", "2h"),
            (532_800, "6d4h", "6d"),
            (-3, "0s", "0s"),
        ] {
            let duration = SignedDuration::from_secs(seconds);
            assert_eq!((short(duration).as_str(), age(duration).as_str()), (shown, aged), "{seconds}");
        }
    }

    #[test]
    fn a_paused_clock_stands_still() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let mut stepping = Stepping::begin(at(1000));
        stepping.clock.held_ms = 10_000;
        let status = |stepping: &Stepping| {
            let state = State::Stepping(Box::new(stepping.clone()));
            RolloutStatus { state, ..RolloutStatus::default() }
        };
        assert_eq!(elapsed(&status(&stepping), at(1100)).as_secs(), 90);
        stepping.clock.stopped_since = Some(at(1050));
        let status = status(&stepping);
        assert_eq!(elapsed(&status, at(1100)).as_secs(), 40);
    }
}
