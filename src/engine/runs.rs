//! Which AnalysisRuns exist, and what their verdicts mean for the rollout (rule S14).

use crate::api::{
    RolloutStatus,
    analysis::{MetricStatus, RunPhase, Verdict},
    common::Percent,
    status::Stage,
    strategy::Judged,
};

use super::{
    checks,
    decision::{Action, Goal, RunRequest},
    draft::Draft,
    inconclusive,
    input::RunSeen,
    items, verification,
};

/// The step that the background analysis starts with, if there is one and any step sends traffic.
fn starting_step(draft: &Draft<'_>) -> Option<u32> {
    draft.input.spec.background()?;
    let first = items::first_traffic(&draft.items)?;
    let asked = draft.input.spec.analysis.as_ref().and_then(|analysis| analysis.starting_step);
    Some(asked.map_or(first, |step| step.max(first)))
}

/// Whether the background analysis belongs to the rollout by now.
pub fn background_started(draft: &Draft<'_>) -> bool {
    let stepping = draft.status.state.stepping();
    stepping.is_some_and(|stepping| starting_step(draft).is_some_and(|first| stepping.step >= first))
}

/// Whether the analyses let the canary have more traffic: none before all of them can be made and the background run is
/// there, and none while that is Inconclusive (S14).
pub fn allow_more_traffic(draft: &Draft<'_>) -> bool {
    let is_there = draft.input.seen.runs.contains_key(&background_name(draft));
    checks::are_done(draft) && (!background_started(draft) || is_there && !inconclusive::is_found(draft))
}

/// The name of the background run.
pub fn background_name(draft: &Draft<'_>) -> String {
    run_name(draft, "background")
}

/// The name of the current analysis step's run.
pub fn step_name(draft: &Draft<'_>) -> String {
    run_name(draft, &format!("step{}", draft.step_index().saturating_add(1)))
}

/// The name of the run after a blue-green switch.
pub fn post_name(draft: &Draft<'_>) -> String {
    run_name(draft, "post")
}

/// The name of the run that decides an A/B test.
pub fn goal_name(draft: &Draft<'_>) -> String {
    run_name(draft, "goal")
}

/// How the names of all runs of the current attempt begin.
pub fn run_prefix(rollout: &str, status: &RolloutStatus) -> String {
    let number = status.current_revision.as_ref().map_or(0, |revision| revision.number);
    format!("{rollout}-{number}-{}-", status.attempt)
}

fn run_name(draft: &Draft<'_>, what: &str) -> String {
    let round = evidence_round(draft);
    let round = if round == 0 { String::new() } else { format!("-round{round}") };
    format!("{}{what}{round}", run_prefix(draft.input.name, &draft.status))
}

fn evidence_round(draft: &Draft<'_>) -> u32 {
    draft.release().map_or(0, |release| release.evidence_round)
}

/// What keeps the runs of this tick: the background one and the current analysis step's exist, all others end.
pub fn wanted(draft: &Draft<'_>) -> Vec<Action> {
    let background = background_started(draft)
        .then(|| (Kind::Background, background_name(draft), draft.input.spec.background().unwrap_or_default()));
    let wanted: Vec<(Kind, String, Judged)> = background.into_iter().chain(current_analysis(draft)).collect();
    let is_wanted = |name: &String| wanted.iter().any(|(_, wanted, _)| wanted == name);
    // A run that an invalid file does not name is no reason to lose its evidence.
    let keeps_all = draft.input.seen.file_invalid && draft.release().is_some();
    let runs = draft.input.seen.runs.iter();
    let ends = runs.filter(|(name, run)| !is_wanted(name) && run.phase == RunPhase::Running && !run.stop && !keeps_all);
    let stops: Vec<Action> = ends.map(|(name, _)| Action::StopRun { name: name.clone() }).collect();
    let asked = wanted.into_iter().filter_map(|(kind, name, judged)| request(draft, kind, name, judged));
    asked.map(Action::EnsureRun).chain(stops).collect()
}

/// What a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Behind the steps.
    Background,
    /// A step of its own.
    Step,
    /// After a blue-green switch.
    Post,
    /// Decides an A/B test: its word is no failure.
    Goal,
}

/// The analysis that is waited for now, with the name of its run: a step's, a test's goal, or the one after a blue-green
/// switch.
fn current_analysis(draft: &Draft<'_>) -> Option<(Kind, String, Judged)> {
    match draft.item() {
        Some(items::Item::Analysis(step)) => Some((Kind::Step, step_name(draft), step.judged())),
        Some(items::Item::Decide(decide)) => Some((Kind::Goal, goal_name(draft), decide.goal.clone())),
        _ if draft.stage() == Some(Stage::PostAnalysis) => {
            let analysis = draft.blue_green()?.post_promotion_analysis.as_ref()?;
            Some((Kind::Post, post_name(draft), analysis.judged()))
        }
        _ => None,
    }
}

/// What is asked of a run; `None`: it is there as it is to be, has ended, or cannot be yet.
fn request(draft: &Draft<'_>, kind: Kind, name: String, judged: Judged) -> Option<RunRequest> {
    let epoch = draft.status.memory.epoch;
    if draft.input.seen.runs.get(&name).is_some_and(|run| run.phase != RunPhase::Running || run.epoch_wanted == epoch) {
        return None;
    }
    // Its arms are the two versions.
    let (canary, stable) = (draft.canary_id()?, draft.stable_id()?);
    draft.revision(&canary).and(draft.revision(&stable))?;
    let place = match kind {
        Kind::Background => "background".to_owned(),
        Kind::Post => "post".to_owned(),
        Kind::Goal => "goal".to_owned(),
        Kind::Step => draft.step_index().to_string(),
    };
    // The settled weight, not the spec's: while a lost candidate gets no users (S56), none are planned for it.
    let by_weight = draft.ab_test().and_then(|test| test.weight);
    let goal = Goal { candidate_share: by_weight.and(draft.status.memory.settled_weight) };
    let key = format!("{}/{canary}/{place}/{}/{}", draft.input.uid, draft.status.attempt, evidence_round(draft));
    Some(RunRequest {
        name,
        key,
        templates: judged.templates,
        args: judged.args,
        // A test continues after its first result, which may come too early to count.
        background: matches!(kind, Kind::Background | Kind::Goal),
        canary,
        stable,
        epoch,
        one_armed: draft.blue_green().is_some(),
        share: planned_share(draft).filter(|_| kind == Kind::Background),
        goal: (kind == Kind::Goal).then_some(goal),
    })
}

/// Without a mesh connections are spread over pods, and their requests say little.
fn planned_share(draft: &Draft<'_>) -> Option<Percent> {
    draft.status.memory.settled_weight.filter(|_| draft.has_mesh() && verification::not_compared(draft).is_none())
}

/// What a run says about the traffic that is settled now: a Pass of an earlier epoch is none.
pub fn verdict(draft: &Draft<'_>, name: &str) -> Verdict {
    let Some(run) = draft.input.seen.runs.get(name) else { return Verdict::NoData };
    let stale = run.status.epoch != draft.status.memory.epoch;
    match run.verdict {
        Verdict::Pass if stale => Verdict::Continue,
        verdict => verdict,
    }
}

/// The message of the first run that has proved the canary worse.
pub fn failure(draft: &Draft<'_>) -> Option<String> {
    let current = current_analysis(draft).filter(|(kind, ..)| *kind != Kind::Goal).map(|(_, name, _)| name);
    let names = [background_started(draft).then(|| background_name(draft)), current];
    names.into_iter().flatten().find_map(|name| {
        let run = draft.input.seen.runs.get(&name).filter(|run| run.verdict == Verdict::Fail)?;
        Some(failure_text(run))
    })
}

fn failure_text(run: &RunSeen) -> String {
    let failed = |metric: &&MetricStatus| metric.verdict == Verdict::Fail && metric.required;
    let texts: Vec<String> = run.status.metrics.iter().filter(failed).map(metric_text).collect();
    if texts.is_empty() { run.status.message.clone() } else { texts.join("; ") }
}

fn metric_text(metric: &MetricStatus) -> String {
    let mut text = format!("{} failed: {}", metric.name, metric.canary);
    if !metric.stable.is_empty() {
        text.push_str(&format!(" vs {}", metric.stable));
    }
    if !metric.comparison.is_empty() {
        text.push_str(&format!(", {}", metric.comparison));
    }
    text
}

/// The runs' evidence as the status shows it, without the judges' memory. `None`: the last stays readable after an abort or a
/// promotion.
pub fn evidence(draft: &Draft<'_>) -> Option<Vec<MetricStatus>> {
    let background = background_started(draft).then(|| background_name(draft));
    let goal = draft.ab_test().map(|_| goal_name(draft));
    let current = current_analysis(draft).filter(|(kind, ..)| *kind != Kind::Goal).map(|(_, name, _)| name);
    let names: Vec<String> = background.into_iter().chain(goal.clone()).chain(current).collect();
    if names.is_empty() {
        return None;
    }
    let runs = names.iter().filter_map(|name| Some((Some(name) == goal.as_ref(), draft.input.seen.runs.get(name)?)));
    let shown = runs.flat_map(|(decides, run)| run.status.metrics.iter().map(move |metric| readable(metric, decides)));
    Some(shown.collect())
}

fn readable(metric: &MetricStatus, decides: bool) -> MetricStatus {
    MetricStatus {
        name: metric.name.clone(),
        verdict: metric.verdict,
        required: metric.required,
        decides,
        reason: metric.reason.clone(),
        canary: metric.canary.clone(),
        stable: metric.stable.clone(),
        comparison: metric.comparison.clone(),
        needs: metric.needs.clone(),
        fail_progress: metric.fail_progress,
        errors_in_a_row: metric.errors_in_a_row,
        notes: metric.notes.clone(),
        // The judges' memory and their last measurements are most of a metric, and stay with the run.
        accumulator: None,
        measurements: Vec::new(),
        trail: None,
    }
}
