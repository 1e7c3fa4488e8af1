//! What operators decided in place of steps and analysis: in words for the answer to the command, and kept with the release
//! until its end, where the history and the event name it (S18, S82).

use crate::api::{
    analysis::Verdict,
    command::RolloutCommandSpec,
    status::{ByOperator, Stage},
};

use super::{draft::Draft, items::Item, runs};

/// Decisions that are remembered of one release.
const KEPT: usize = 10;
/// So many characters of a reason are kept with a decision; the command has all of them.
const OF_A_REASON: usize = 200;

/// Who gave a command.
pub fn who(spec: &RolloutCommandSpec) -> &str {
    spec.requested_by.as_deref().unwrap_or("an unknown user")
}

/// The reason that was given, on one line.
pub fn why(spec: &RolloutCommandSpec) -> Option<String> {
    let reason = spec.reason.as_ref()?.split_whitespace().collect::<Vec<_>>().join(" ");
    (!reason.is_empty()).then_some(reason)
}

/// ` ("load test ok")` behind what was decided, or nothing without a reason.
pub fn because(spec: &RolloutCommandSpec) -> String {
    let Some(why) = why(spec) else { return String::new() };
    let short: String = why.chars().take(OF_A_REASON).collect();
    let cut = if short.len() < why.len() { "..." } else { "" };
    format!(" (\"{short}{cut}\")")
}

/// What `--full` skips from here: `steps 2 to 5 and errors`; nothing when all is done and proved.
pub fn rest(draft: &Draft<'_>) -> Option<String> {
    let steps = steps(draft.step_index(), u32::try_from(draft.items.len()).unwrap_or(u32::MAX));
    let parts: Vec<String> = steps.into_iter().chain(unproved(draft)).collect();
    joined(&parts)
}

/// `step 2`, `steps 2 to 5`: from one up to another, both from 0, without the last.
pub fn steps(from: u32, until: u32) -> Option<String> {
    match until.saturating_sub(from) {
        0 => None,
        1 => Some(format!("step {until}")),
        _ => Some(format!("steps {} to {until}", from.saturating_add(1))),
    }
}

/// The analysis that has no Pass yet, by metric, or by template where nothing was measured so far.
fn unproved(draft: &Draft<'_>) -> Vec<String> {
    let open = draft.status.metrics.iter().filter(|metric| metric.required && metric.verdict != Verdict::Pass);
    let mut names: Vec<String> = open.map(|metric| metric.name.clone()).collect();
    if !runs::background_started(draft) {
        let later = draft.input.spec.background().into_iter().flat_map(|judged| judged.templates);
        names.extend(later.map(|template| template.name));
    }
    if draft.blue_green().is_some_and(|strategy| strategy.post_promotion_analysis.is_some()) {
        names.push("the post-promotion analysis".to_owned());
    }
    names.dedup();
    names
}

fn joined(parts: &[String]) -> Option<String> {
    match parts {
        [] => None,
        [one] => Some(one.clone()),
        [first @ .., last] => Some(format!("{} and {last}", first.join(", "))),
    }
}

/// Remembers a promotion that skipped the rest.
pub fn promoted(draft: &mut Draft<'_>, spec: &RolloutCommandSpec, skipped: Option<&str>) {
    let how = if spec.full { " with --full" } else { "" };
    let skipped = skipped.map_or_else(|| "nothing was left to skip".to_owned(), |what| format!("{what} skipped"));
    keep(draft, spec, format!("promoted by {}{how}: {skipped}", who(spec)), true);
}

/// Remembers that a wait at the step in progress was ended: a hold, the step's own (`waits`), or that for a verdict. A wait
/// that was made for an operator is not skipped by one.
pub fn ended_wait(draft: &mut Draft<'_>, spec: &RolloutCommandSpec, waits: bool) {
    let is_theirs = match draft.item() {
        Some(Item::Pause(None)) => true,
        Some(Item::Gate(gate)) => gate.is_approval(),
        _ => false,
    };
    let step = draft.step_index().saturating_add(1);
    let (said, skipped) = match (draft.is_held(), waits) {
        (true, _) => (format!("the hold at step {step} ended"), true),
        (false, false) => (format!("the wait for a verdict at step {step} ended"), true),
        (false, true) if is_theirs => (format!("step {step} promoted"), false),
        (false, true) => (format!("step {step} ended early"), true),
    };
    keep(draft, spec, format!("{said} by {}", who(spec)), skipped);
}

/// Remembers a jump over steps.
pub fn jumped(draft: &mut Draft<'_>, spec: &RolloutCommandSpec, until: u32) {
    if let Some(steps) = steps(draft.step_index(), until) {
        keep(draft, spec, format!("{steps} skipped by {}", who(spec)), true);
    }
}

/// Remembers that the evidence in the promotion was overridden.
pub fn overrode(draft: &mut Draft<'_>, spec: &RolloutCommandSpec) {
    let what = match draft.stage() {
        Some(Stage::PostAnalysis) => "the post-promotion analysis skipped",
        _ => "the hold in the promotion ended",
    };
    keep(draft, spec, format!("{what} by {}", who(spec)), true);
}

fn keep(draft: &mut Draft<'_>, spec: &RolloutCommandSpec, said: String, skipped: bool) {
    let said = said + &because(spec);
    let Some(release) = draft.status.state.release_mut() else { return };
    release.by_operator.push(ByOperator { said, skipped });
    let over = release.by_operator.len().saturating_sub(KEPT);
    release.by_operator.drain(..over);
}

/// Why the release is promoted: its steps passed, but for what operators decided.
pub fn reason(draft: &Draft<'_>) -> String {
    let decisions = draft.release().map(|release| release.by_operator.as_slice()).unwrap_or_default();
    let said: Vec<&str> = decisions.iter().map(|decision| decision.said.as_str()).collect();
    let said = said.join("; ");
    let skipped = decisions.iter().any(|decision| decision.skipped);
    match (said.is_empty(), skipped, draft.is_overridden()) {
        (true, ..) => "all steps passed".to_owned(),
        (_, _, true) => said,
        (_, true, _) => format!("all other steps passed; {said}"),
        (_, false, _) => format!("all steps passed; {said}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::command::Verb;

    fn with_reason(reason: &str) -> RolloutCommandSpec {
        RolloutCommandSpec { reason: Some(reason.into()), ..RolloutCommandSpec::of("web", Verb::Promote) }
    }

    #[test]
    fn a_reason_is_one_line_and_not_too_long() {
        for (reason, said) in
            [("load test ok", " (\"load test ok\")"), ("load\n\ttest", " (\"load test\")"), ("  ", ""), ("", "")]
        {
            assert_eq!(because(&with_reason(reason)), said, "{reason:?}");
        }
        let long = because(&with_reason(&"x".repeat(1000)));
        assert!(long.ends_with("x...\")") && long.chars().count() == 208, "{long}");
    }

    #[test]
    fn steps_are_numbered_as_the_status_numbers_them() {
        for (from, until, said) in [
            (1, 5, Some("steps 2 to 5")),
            (4, 5, Some("step 5")),
            (5, 5, None),
            (6, 5, None),
            (0, 2, Some("steps 1 to 2")),
        ] {
            assert_eq!(steps(from, until).as_deref(), said, "{from} {until}");
        }
    }
}
