//! An A/B test: what its goal metric's word does (rules S70 to S73).

use crate::api::{
    analysis::{MetricStatus, Verdict},
    reason::{MetricReason, Reason},
    strategy::{AbTestStrategy, Decide, OnNoDifference, OnWin},
};

use super::{
    decision::Notice,
    draft::Draft,
    observing::missing,
    runs,
    standing::{Ending, Standing},
    wait::Wait,
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

/// Where the test stands: over when the candidate is to be promoted.
pub fn standing(draft: &Draft<'_>, decide: &Decide) -> Standing {
    let Some(strategy) = draft.ab_test() else { return Standing::Over };
    let (goal, text) = (goal(draft), evidence(draft));
    if goal == Goal::Invalid {
        let message = format!("users were not split as planned: {text}; fix the split and retry");
        return Standing::Ends(Ending::Holds(Reason::SampleRatio, message));
    }
    if draft.step_elapsed() < decide.at_least.signed() {
        let until = draft.step_reaches(decide.at_least);
        return waits(draft, format!("A/B test running for at least {}: {text}", decide.at_least), until);
    }
    by_goal(strategy, goal, &text).unwrap_or_else(|| without_decision(draft, decide, &text))
}

/// What the goal's word does (rule S72); `None` as long as it has none.
fn by_goal(strategy: &AbTestStrategy, goal: Goal, text: &str) -> Option<Standing> {
    let promotes = |reason, message| Standing::Told(Notice { warning: false, reason, message });
    Some(match goal {
        Goal::CandidateWins => {
            let (reason, message) = (Reason::CandidateWins, format!("the candidate won: {text}"));
            match strategy.on_win.unwrap_or_default() {
                OnWin::Hold => Standing::Ends(Ending::Holds(reason, message)),
                OnWin::Promote => promotes(reason, message),
            }
        }
        Goal::ControlWins => Standing::Ends(Ending::KeepsControl(Reason::ControlWins, format!("control won: {text}"))),
        Goal::NoDifference => {
            let (reason, message) = (Reason::NoDifference, format!("no difference: {text}"));
            match strategy.on_no_difference.unwrap_or_default() {
                OnNoDifference::Promote => promotes(reason, message),
                OnNoDifference::KeepControl => Standing::Ends(Ending::KeepsControl(reason, message)),
            }
        }
        Goal::Invalid | Goal::Open => return None,
    })
}

/// At the end of its time the policy of the spec decides.
fn without_decision(draft: &Draft<'_>, decide: &Decide, text: &str) -> Standing {
    if draft.is_time_over(decide.at_most) {
        return Standing::Ends(Ending::Inconclusive(format!("no decision within {}: {text}", decide.at_most)));
    }
    let end = draft.not_before_first_look(draft.step_reaches(decide.at_most));
    waits(draft, format!("A/B test running: {text}"), end)
}

fn waits(draft: &Draft<'_>, message: String, until: jiff::Timestamp) -> Standing {
    Standing::Waits(Wait::until(Reason::Testing, message, draft.while_clocks_run(until)))
}

/// The goal metric as last written. Its reasons are the judge's.
fn goal(draft: &Draft<'_>) -> Goal {
    let Some(metric) = metric(draft) else { return Goal::Open };
    match (metric.verdict, &metric.reason) {
        (Verdict::Pass, _) => Goal::CandidateWins,
        (Verdict::Fail, _) => Goal::ControlWins,
        (Verdict::Inconclusive, MetricReason::NoDifference) => Goal::NoDifference,
        (Verdict::Inconclusive, MetricReason::Invalid) => Goal::Invalid,
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
            reason: reason.into(),
            notes: vec![note.to_owned()],
            ..MetricStatus::default()
        };
        let refused = orders(Verdict::NoData, "SourceError", "source: connection refused");
        assert_eq!(counted(&refused), "orders: SourceError: connection refused");
        assert_eq!(counted(&orders(Verdict::NoData, "", "")), "orders: NoData");
        assert_eq!(counted(&orders(Verdict::Continue, "", "")), "orders: no users vs no users");
    }
}
