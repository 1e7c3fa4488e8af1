//! `explain`: why a rollout is in its current state, what happens next and when, and what would make it roll back.

use jiff::Timestamp;

use crate::{
    api::{
        Rollout, RolloutSpec, RolloutStatus,
        analysis::{ConversionReason, MetricStatus, Verdict},
        rollout::OnFailure,
        status::{Course, Stage},
        strategy::Step,
    },
    cli::{
        args::{global::Global, names::one_name},
        connect::{connect, now},
        exit::{CliError, Exit},
        render::{
            output::{self, print},
            screen,
            table::wrap,
        },
    },
    view::phrases::{self, Place},
};

/// Explain a Rollout's current state and what happens next
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath explain checkout
  glidepath explain checkout -n shop")]
pub struct Args {
    /// The Rollout
    #[arg(value_name = "NAME", required = true)]
    pub words: Vec<String>,
}

/// Prints the explanation.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let name = one_name(&args.words, "explain")?;
    let rollout = connect(global).await?.rollout(&name).await?;
    let text = match output::objects(global.output, std::slice::from_ref(&rollout), false)? {
        Some(text) => text,
        None => explain(&rollout, now(), global.width()),
    };
    print(&text)?;
    Ok(Exit::Done)
}

/// The explanation: one paragraph per question.
pub fn explain(rollout: &Rollout, now: Timestamp, width: usize) -> String {
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let mut out = wrap(&where_it_is(rollout, status, now), 0, width);
    if let Some(stalled) = phrases::stalled(status) {
        out.push_str(&wrap(&format!("It needs an external change to proceed: {stalled}"), 0, width));
    }
    if !phrases::is_seen(rollout) && phrases::place(rollout) != Place::Unseen {
        out.push_str("The controller has not observed the latest spec yet.\n");
    }
    out.push_str(&wrap(&goes_on_when(rollout, status, now), 0, width));
    for metric in judged(rollout, status) {
        out.push_str(&wrap(&metric_words(metric), 2, width));
    }
    let rest = [rolls_back_when(rollout, status), no_verdict(rollout, status, now), next(rollout, status)];
    for text in rest.into_iter().flatten() {
        out.push_str(&wrap(&text, 0, width));
    }
    for (what, command) in screen::next_commands(rollout, status) {
        if !command.contains("explain") {
            out.push_str(&format!("  {what}: {command}\n"));
        }
    }
    out
}

fn where_it_is(rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> String {
    let name = rollout.metadata.name.as_deref().unwrap_or("?");
    let current = phrases::number(status.current_revision.as_ref());
    let stable = phrases::number(status.stable_revision.as_ref());
    let since = status.state.since().map(|at| format!(" since {}", phrases::clock(at, now))).unwrap_or_default();
    let at = format!("step {} of {}", status.step_index + 1, phrases::steps(rollout).len());
    let share = status.weights.desired;
    match phrases::place(rollout) {
        Place::Unseen => {
            format!(
                "{name} has no status: {}. 'glidepath doctor' checks whether one is running.",
                phrases::unseen(rollout)
            )
        }
        Place::FirstDeploy => {
            format!("{name} has no stable version yet: {current} is deployed at once, without steps and analysis.")
        }
        Place::Idle if status.pinned.is_some() => format!("{name} has no release in progress: {}.", status.message),
        Place::Idle => format!("{name} has no release in progress: {stable} is stable and receives 100 % of traffic."),
        Place::Held(held) => {
            let since = phrases::clock(held.since, now);
            format!("{name} is held at {at} with {current} at {share} since {since}: {}.", held.message)
        }
        Place::Paused { in_file: true } => {
            format!("{name} is paused by spec.paused at {at}, {current} at {share}.")
        }
        Place::Paused { in_file: false } => format!("{name} is paused by command at {at}, {current} at {share}."),
        Place::Step(step) => format!("{name} is at {at}: {}{since}.", step_sentence(&step, &current, status)),
        Place::StepsDone => format!("{name} has completed all steps with {current}."),
        Place::Promoting(stage) => format!("{name} is promoting {current} to stable; {}.", phrases::stage_words(stage)),
        Place::Returning => format!("{name} is shifting traffic back to {stable}: the spec returned to it."),
        Place::Kept => format!("{name} has no release in progress: {}.", status.message),
        Place::Aborted => {
            format!("{name} rolled back {current}; {stable} receives 100 % of traffic: {}.", status.message)
        }
    }
}

fn step_sentence(step: &Step, current: &str, status: &RolloutStatus) -> String {
    let share = status.weights.desired;
    if step.observe.is_some() {
        return format!("observing revision {current} at {share}");
    }
    if step.pause.is_some() {
        return format!("{} with {current} at {share}", phrases::step_words(step));
    }
    if step.analysis.is_some() || step.ramp.is_some() {
        return format!("{} with {current} at {share}", phrases::step_words(step));
    }
    if let Some(gate) = &step.gate {
        return format!("waiting for {} with {current} at {share}", phrases::gate_words(gate));
    }
    if let Some(decide) = &step.decide {
        return format!("running an A/B test of {current}, for at most {}", phrases::short(decide.at_most.signed()));
    }
    if step.set_canary_scale.is_some() {
        return format!("setting the {}", phrases::step_words(step));
    }
    format!("moving {current} to {}", phrases::step_words(step))
}

fn goes_on_when(rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> String {
    let waiting = status.waiting_for.as_ref().map(|waiting| waiting.message.as_str()).filter(|text| !text.is_empty());
    let left = status.waiting_for.as_ref().and_then(|w| w.until).map(|at| phrases::short(at.duration_since(now)));
    match phrases::place(rollout) {
        Place::Unseen | Place::Aborted | Place::Kept | Place::Idle => String::new(),
        Place::Held(_) => "The weight does not change until an operator decides.".into(),
        Place::Paused { in_file: true } => {
            "It resumes when spec.paused is false; a failed analysis still rolls back.".into()
        }
        Place::Paused { in_file: false } => {
            "It resumes on 'glidepath resume'; a failed analysis still rolls back.".into()
        }
        Place::Step(Step { observe: Some(observe), .. }) => {
            let least = observe
                .at_least
                .map(|d| format!(" and {} have elapsed", phrases::short(d.signed())))
                .unwrap_or_default();
            format!("It continues when every required metric passes{least}:")
        }
        Place::Step(Step { decide: Some(decide), .. }) => format!(
            "It ends when the goal metric has a verdict, between {} and {} after it started:",
            phrases::short(decide.at_least.signed()),
            phrases::short(decide.at_most.signed())
        ),
        Place::Step(Step { analysis: Some(_), .. }) => "It continues when the analysis passes:".into(),
        Place::Step(Step { pause: Some(pause), .. }) if pause.duration.is_none() => {
            "It continues when an operator promotes it.".into()
        }
        Place::Step(Step { gate: Some(gate), .. }) => {
            let opens = match gate.host() {
                Some(host) => format!("It continues when {host} approves, and fails when it denies"),
                None => "It continues when an operator promotes it, which is the approval".to_owned(),
            };
            let left = left.map(|left| format!("; after {left} more {}", phrases::timeout_words(&gate)));
            format!("{opens}{}.", left.unwrap_or_default())
        }
        Place::Step(Step { pause: Some(_), .. }) => {
            format!("It continues automatically in {}.", left.unwrap_or_else(|| "a moment".into()))
        }
        _ if phrases::stalled(status).is_some() => String::new(),
        _ => waiting.map(waiting_sentence).unwrap_or_default(),
    }
}

/// `waiting for ...` becomes a sentence; any other message is used as it is.
fn waiting_sentence(message: &str) -> String {
    let message = message.trim_end_matches('.');
    if message.starts_with("waiting") { format!("It is {message}.") } else { format!("{message}.") }
}

/// The metrics that the current step waits for.
fn judged<'a>(rollout: &Rollout, status: &'a RolloutStatus) -> impl Iterator<Item = &'a MetricStatus> {
    let waits = matches!(phrases::place(rollout), Place::Step(step) if screen::is_judged(&step));
    status.metrics.iter().filter(move |metric| waits && metric.required)
}

fn metric_words(metric: &MetricStatus) -> String {
    let name = &metric.name;
    let reason = if metric.reason.is_empty() { String::new() } else { format!(" ({})", metric.reason) };
    let needs = metric.needs.as_deref().map(|needs| format!(", needs {needs}")).unwrap_or_default();
    match (metric.verdict, metric.reason.as_str()) {
        (Verdict::Pass, ConversionReason::CANDIDATE_WINS) => {
            format!("{name}: the candidate converts more, {} against {}.", metric.canary, metric.stable)
        }
        (Verdict::Fail, ConversionReason::CONTROL_WINS) => {
            format!("{name}: the control converts more, {} against the candidate's {}.", metric.stable, metric.canary)
        }
        (Verdict::Inconclusive, ConversionReason::NO_DIFFERENCE) => {
            format!("{name} shows no relevant difference: {}.", metric.comparison)
        }
        (Verdict::Inconclusive, ConversionReason::INVALID) => {
            format!("{name} cannot be judged, because users were not assigned as planned: {}.", metric.comparison)
        }
        (verdict, _) => verdict_words(metric, verdict, &reason, &needs),
    }
}

fn verdict_words(metric: &MetricStatus, verdict: Verdict, reason: &str, needs: &str) -> String {
    let name = &metric.name;
    match verdict {
        Verdict::Pass => format!("{name} has passed: {} against {}.", metric.canary, metric.stable),
        Verdict::Fail => format!("{name} has failed: {} against {}.", metric.canary, metric.stable),
        Verdict::Continue => format!("{name} has no verdict yet: {} against {}{needs}.", metric.canary, metric.stable),
        Verdict::NoData => format!("{name} has no data{reason}{needs}; this is neither a pass nor a failure."),
        Verdict::Inconclusive => format!("{name} reached no verdict in time{reason}{needs}."),
    }
}

fn rolls_back_when(rollout: &Rollout, status: &RolloutStatus) -> Option<String> {
    if status.course() != Course::Stepping || status.held().is_some() {
        return None;
    }
    let required: Vec<String> = status
        .metrics
        .iter()
        .filter(|metric| metric.required && !metric.decides)
        .map(|metric| {
            format!("{} fails (now at {:.0} % of the required evidence)", metric.name, metric.fail_progress * 100.0)
        })
        .collect();
    let deadline = rollout.spec.progress_deadline().signed();
    let mut causes =
        if required.is_empty() && is_judged(&rollout.spec) { vec!["the analysis fails".into()] } else { required };
    causes.push(format!("pods or routes make no progress for {}", phrases::short(deadline)));
    causes.push("an operator aborts it".into());
    let last = causes.pop()?;
    let causes = format!("{}, or when {last}", causes.join(", when "));
    Some(match rollout.spec.on_failure.unwrap_or_default() {
        OnFailure::Rollback => format!("It rolls back when {causes}."),
        OnFailure::Hold => {
            format!(
                "It holds and waits for an operator (onFailure: Hold) when {causes}, which shifts traffic back to stable."
            )
        }
    })
}

/// Whether any analysis can fail the release. The goal of a test decides it, and fails nothing.
fn is_judged(spec: &RolloutSpec) -> bool {
    let own = spec.strategy.judged().iter().any(|(field, _)| field != "abTest.goal");
    own || spec.background().is_some()
}

fn no_verdict(rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> Option<String> {
    let Place::Step(step) = phrases::place(rollout) else { return None };
    let until = status.waiting_for.as_ref()?.until?;
    let length = phrases::short(step.at_most()?.signed());
    let then = screen::inconclusive_words(rollout);
    let policy = rollout.spec.on_inconclusive.unwrap_or_default();
    let extends = if status.state.extended() { String::new() } else { format!("extends once by {length}, then ") };
    let at = phrases::clock(until, now);
    Some(format!("At {at} without a verdict it {extends}{then} (onInconclusive: {policy:?})."))
}

/// What comes after the current step.
fn next(rollout: &Rollout, status: &RolloutStatus) -> Option<String> {
    match phrases::place(rollout) {
        Place::Promoting(Some(Stage::MoveStable | Stage::RouteToStable)) => {
            return Some(
                "Next: the old version is scaled down. Abort is no longer possible; use undo to roll back afterwards."
                    .into(),
            );
        }
        Place::Promoting(_) => {
            return Some("Next: the stable target switches to it, then the old version is scaled down.".into());
        }
        Place::Kept | Place::Aborted => {
            return Some("No automatic next step. Set a new image, or retry, to start a new attempt.".into());
        }
        Place::Step(_) | Place::Held(_) | Place::Paused { .. } => {}
        _ => return None,
    }
    let steps = phrases::steps(rollout);
    let coming = steps.iter().skip(status.step_index as usize + 1);
    let mut coming: Vec<String> = coming.map(phrases::step_words).collect();
    if coming.len() > 6 {
        let more = coming.len() - 5;
        coming.truncate(5);
        coming.push(format!("{more} more steps"));
    }
    let tested = rollout.spec.strategy.ab_test.is_some();
    coming.push(if tested { "the winner is the stable version" } else { "it becomes the stable version" }.into());
    Some(format!("Next: {}.", coming.join(", then ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn explanations() {
        for (name, sample) in samples::all() {
            insta::assert_snapshot!(format!("explain_{name}"), explain(&sample.rollout, samples::NOW, 100));
        }
    }
}
