//! `explain`: why a rollout is in its current state, what happens next and when, and what would make it roll back.

use jiff::Timestamp;

use crate::{
    api::{
        Rollout,
        analysis::{MetricStatus, Verdict},
        reason::MetricReason,
        rollout::OnFailure,
    },
    cli::{
        args::{global::Global, names::one_name},
        connect::{connect, now},
        exit::{CliError, Exit},
        render::{
            hints,
            output::{self, print},
            table::wrap,
        },
    },
    engine::items::Item,
    view::{
        evidence::evidence,
        phrases::{self, short},
        place::Place,
        situation::{Next, RollsBackWhen, Situation},
        step::phrase,
        waits::{Then, Until, WaitsFor},
    },
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
    let situation = Situation::of(rollout, now);
    let mut out = wrap(&where_it_is(&situation, now), 0, width);
    if let Some(stalled) = &situation.stalled {
        out.push_str(&wrap(&format!("It needs an external change to proceed: {stalled}"), 0, width));
    }
    if !situation.is_seen {
        out.push_str("The controller has not observed the latest spec yet.\n");
    }
    out.push_str(&wrap(&continues_when(&situation, now), 0, width));
    for row in evidence(rollout).iter().filter(|row| row.is_awaited) {
        out.push_str(&wrap(&metric_words(row.metric), 2, width));
    }
    let rolls_back = situation.rolls_back_when.as_ref().map(rolls_back_when);
    let no_verdict = situation.until.and_then(|until| no_verdict(until, now));
    for text in [rolls_back, no_verdict, next(&situation.next)].into_iter().flatten() {
        out.push_str(&wrap(&text, 0, width));
    }
    for (effect, command) in hints::commands(rollout, &situation) {
        out.push_str(&format!("  {effect}: {command}\n"));
    }
    out
}

fn where_it_is(situation: &Situation, now: Timestamp) -> String {
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
        Place::Paused { in_spec: false } => format!("{name} is paused by command {at}, {current} at {weight}."),
        Place::Step { item, .. } => format!("{name} is {at}: {}{since}.", step_sentence(item, &current, situation)),
        Place::StepsDone => format!("{name} has completed all steps with {current}."),
        Place::Promoting(stage) => format!("{name} is promoting {current} to stable; {}.", phrases::stage(*stage)),
        Place::Returning => format!("{name} is shifting traffic back to {stable}: the spec returned to it."),
        Place::Aborted => format!("{name} rolled back {current}; {stable} receives 100 % of traffic: {summary}."),
    }
}

fn step_sentence(item: &Item, current: &str, situation: &Situation) -> String {
    let weight = situation.weight;
    match item {
        Item::Observe { .. } => format!("observing revision {current} at {weight}"),
        Item::Pause(_) | Item::Analysis(_) | Item::Ramp { .. } => {
            format!("{} with {current} at {weight}", phrase(item))
        }
        Item::Gate(_) => format!("waiting for {} with {current} at {weight}", phrase(item)),
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
        WaitsFor::Resume => "It resumes on 'glidepath resume'; a failed analysis still rolls back.".into(),
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
    if message.starts_with("waiting") { format!("It is {message}.") } else { format!("{message}.") }
}

fn metric_words(metric: &MetricStatus) -> String {
    let name = &metric.name;
    let reason = if metric.reason.is_empty() { String::new() } else { format!(" ({})", metric.reason) };
    let needs = metric.needs.as_deref().map(|needs| format!(", needs {needs}")).unwrap_or_default();
    match (metric.verdict, &metric.reason) {
        (Verdict::Pass, MetricReason::CandidateWins) => {
            format!("{name}: the candidate converts more, {} against {}.", metric.canary, metric.stable)
        }
        (Verdict::Fail, MetricReason::ControlWins) => {
            format!("{name}: the control converts more, {} against the candidate's {}.", metric.stable, metric.canary)
        }
        (Verdict::Inconclusive, MetricReason::NoDifference) => {
            format!("{name} shows no relevant difference: {}.", metric.comparison)
        }
        (Verdict::Inconclusive, MetricReason::Invalid) => {
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

fn rolls_back_when(rolls_back: &RollsBackWhen) -> String {
    let RollsBackWhen { metrics, is_judged, deadline, policy } = rolls_back;
    let fails = |(name, progress): &(String, f64)| {
        format!("{name} fails (now at {:.0} % of the required evidence), when ", progress * 100.0)
    };
    let mut causes: String = metrics.iter().map(fails).collect();
    if metrics.is_empty() && *is_judged {
        causes = "the analysis fails, when ".into();
    }
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
    use crate::{api::status::Held, view::samples};

    #[test]
    fn explanations() {
        for (name, sample) in samples::all() {
            insta::assert_snapshot!(format!("explain_{name}"), explain(&sample.rollout, samples::NOW, 100));
        }
    }

    /// There is no step 8 of 7.
    #[test]
    fn a_promotion_that_is_held_is_at_no_step() {
        let mut sample = samples::promoting();
        let held = Held { message: "no verdict within 1h".into(), since: samples::ago(60), ..Held::default() };
        sample.rollout.status.as_mut().unwrap().state.release_mut().unwrap().held = Some(held);
        let text = explain(&sample.rollout, samples::NOW, 200);
        let wanted = "checkout is held in its promotion with #42 at 100 % since 14:04:22 UTC: no verdict within 1h.\n";
        assert!(text.starts_with(wanted), "{text}");
    }
}
