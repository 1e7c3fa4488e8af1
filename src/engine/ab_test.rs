//! An A/B test: who stays where, and what its goal metric's word does (rules S70 to S73).

use crate::api::{
    RolloutSpec, RolloutStatus,
    analysis::{ConversionReason, MetricStatus, Verdict},
    reason::Reason,
    status::{Outcome, State},
    strategy::{AbTestStrategy, Decide, OnNoDifference, OnWin},
};

use super::{
    decision::Stickiness,
    draft::{Draft, named},
    observing::missing,
    outcome, runs,
};

/// What the goal metric says (analysis.md, Conversion).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// The candidate is better.
    CandidateWins,
    /// Control is better.
    ControlWins,
    /// Neither is, by as much as matters.
    NoDifference,
    /// Users were not split as planned: nothing that was counted can be compared.
    Invalid,
    /// It continues.
    Open,
}

/// The stickiness of the test in progress. Its name changes with the revision and with every try.
pub fn stickiness(spec: &RolloutSpec, status: &RolloutStatus) -> Option<Stickiness> {
    let cookie = spec.strategy.ab_test.as_ref()?.sticky.clone()?;
    let candidate = &status.current_revision.as_ref()?.id;
    Some(Stickiness { cookie, test: format!("{candidate}-{}", status.attempt) })
}

/// Whether the test is over, so that the candidate is promoted; else says what it waits for. An end for control changes
/// the course.
pub fn decided(draft: &mut Draft<'_>, decide: &Decide) -> bool {
    let Some(strategy) = draft.ab_test() else { return true };
    let goal = goal(draft);
    if goal == Goal::Invalid {
        let message = format!("users were not split as planned: {}; fix the split and retry", evidence(draft));
        outcome::hold(draft, Reason::SampleRatio, &message);
        return false;
    }
    if draft.step_elapsed() < decide.at_least.signed() {
        let until = draft.step_reaches(decide.at_least);
        let message = format!("A/B test running for at least {}: {}", decide.at_least, evidence(draft));
        waits(draft, message, until);
        return false;
    }
    follow(draft, strategy, goal) || goal == Goal::Open && over_time(draft, decide)
}

/// What the goal's word does (rule S72).
fn follow(draft: &mut Draft<'_>, strategy: &AbTestStrategy, goal: Goal) -> bool {
    let text = evidence(draft);
    match goal {
        Goal::CandidateWins if strategy.on_win.unwrap_or_default() == OnWin::Hold => {
            outcome::hold(draft, Reason::CandidateWins, &format!("the candidate won: {text}"));
            false
        }
        Goal::CandidateWins => {
            draft.emit(false, Reason::CandidateWins, format!("the candidate won: {text}"));
            true
        }
        Goal::ControlWins => {
            keep_control(draft, Reason::ControlWins, &format!("control won: {text}"));
            false
        }
        Goal::NoDifference if strategy.on_no_difference.unwrap_or_default() == OnNoDifference::Promote => {
            draft.emit(false, Reason::NoDifference, format!("no difference: {text}"));
            true
        }
        Goal::NoDifference => {
            keep_control(draft, Reason::NoDifference, &format!("no difference: {text}"));
            false
        }
        Goal::Invalid | Goal::Open => false,
    }
}

/// No decision: at the end of its time the policy of the spec decides.
fn over_time(draft: &mut Draft<'_>, decide: &Decide) -> bool {
    let end = draft.not_before_first_look(draft.step_reaches(decide.at_most));
    let text = evidence(draft);
    if draft.step_elapsed() >= decide.at_most.signed() && end <= draft.now() {
        return outcome::inconclusive(draft, &format!("no decision within {}: {text}", decide.at_most));
    }
    waits(draft, format!("A/B test running: {text}"), end);
    false
}

fn waits(draft: &mut Draft<'_>, message: String, until: jiff::Timestamp) {
    let until = draft.while_clocks_run(until);
    draft.wait(Reason::Testing, message, until);
}

/// Ends the test for control: traffic returns to stable, and that is no error.
fn keep_control(draft: &mut Draft<'_>, reason: Reason, message: &str) {
    outcome::record(draft, Outcome::KeptControl, message);
    draft.status.state = State::ControlKept(outcome::at_rest(draft));
    let current = named(draft.status.current_revision.as_ref());
    draft.emit(false, reason, format!("{current} is not promoted: {message}"));
}

/// The goal metric as last written. Its reasons are the judge's.
fn goal(draft: &Draft<'_>) -> Goal {
    let Some(metric) = metric(draft) else { return Goal::Open };
    match (metric.verdict, metric.reason.as_str()) {
        (Verdict::Pass, _) => Goal::CandidateWins,
        (Verdict::Fail, _) => Goal::ControlWins,
        (Verdict::Inconclusive, ConversionReason::NO_DIFFERENCE) => Goal::NoDifference,
        (Verdict::Inconclusive, ConversionReason::INVALID) => Goal::Invalid,
        _ => Goal::Open,
    }
}

fn metric<'a>(draft: &Draft<'a>) -> Option<&'a MetricStatus> {
    draft.input.seen.runs.get(&runs::goal_name(draft))?.status.metrics.first()
}

/// `orders: 12.4 % (124/1,000) vs 10.1 % (101/1,003), lift +22 %`.
fn evidence(draft: &Draft<'_>) -> String {
    metric(draft).map_or_else(|| "no users counted yet".to_owned(), counted)
}

fn counted(metric: &MetricStatus) -> String {
    let name = &metric.name;
    if let Some(why) = missing(metric) {
        let why = if why.is_empty() { format!("{:?}", metric.verdict) } else { why };
        return format!("{name}: {why}");
    }
    let mut text = format!("{name}: {}", metric.canary);
    for (before, part) in [(" vs ", &metric.stable), (", ", &metric.comparison)] {
        if !part.is_empty() {
            text.push_str(before);
            text.push_str(part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_numbers_a_test_says_why() {
        let orders = |verdict, reason: &str, note: &str| MetricStatus {
            name: "orders".to_owned(),
            verdict,
            canary: "no users".to_owned(),
            stable: "no users".to_owned(),
            reason: reason.to_owned(),
            notes: vec![note.to_owned()],
            ..MetricStatus::default()
        };
        let refused = orders(Verdict::NoData, "SourceError", "source: connection refused");
        assert_eq!(counted(&refused), "orders: SourceError: connection refused");
        assert_eq!(counted(&orders(Verdict::NoData, "", "")), "orders: NoData");
        assert_eq!(counted(&orders(Verdict::Continue, "", "")), "orders: no users vs no users");
    }
}
