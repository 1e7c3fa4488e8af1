//! What has changed at a Rollout since the last look: a line for each event, the cause before its effect. The log of `demo`
//! and `local`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    api::{
        RolloutStatus,
        analysis::{MetricStatus, Verdict},
        reason::Reason,
    },
    engine::Notice,
    view::place::Place,
};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it happened.
    pub at: Timestamp,
    /// Whether it is a warning.
    pub warning: bool,
    /// What happened.
    pub text: String,
}

/// Where a Rollout is, in the words of who prints it.
#[derive(Clone, Debug)]
pub struct Now<'a> {
    /// The status.
    pub status: &'a RolloutStatus,
    /// Where it is.
    pub place: &'a Place,
    /// What makes another place of it: it changes only when something happens.
    pub key: String,
    /// The same in words, after the event that led there.
    pub after: String,
    /// The same in words, when nothing else says what happened.
    pub alone: String,
    /// The time.
    pub at: Timestamp,
}

/// How a transition is written.
pub type Say = fn(&Notice) -> String;

/// What was said already.
#[derive(Debug, Default)]
pub struct Changes {
    place: Option<String>,
    verdicts: BTreeMap<String, Verdict>,
}

impl Changes {
    /// The events since the last look. A verdict comes before the transition that follows from it, and that before the place
    /// that it leads to, on the same line.
    pub fn lines(&mut self, now: &Now<'_>, notices: &[(Timestamp, Notice)], say: Say) -> Vec<Line> {
        let failed = notices.iter().any(|(_, notice)| notice.warning);
        let mut lines = self.verdicts(now, failed);
        lines.extend(
            notices.iter().filter(|(_, notice)| !is_said_by_another(notice, notices)).map(|(at, notice)| Line {
                at: *at,
                warning: notice.warning,
                text: say(notice),
            }),
        );
        if self.place.as_ref() != Some(&now.key) {
            self.place = Some(now.key.clone());
            match lines.last_mut().filter(|_| !notices.is_empty()) {
                Some(_) if says_all(now.place) => {}
                Some(last) => last.text += &now.after,
                None => lines.push(Line { at: now.at, warning: false, text: now.alone.clone() }),
            }
        }
        lines
    }

    /// A line for each verdict that has changed. What made the release fail is in the words of its failure.
    fn verdicts(&mut self, now: &Now<'_>, failed: bool) -> Vec<Line> {
        let metrics = &now.status.metrics;
        self.verdicts.retain(|name, _| metrics.iter().any(|metric| metric.name == *name));
        let mut lines = Vec::new();
        for metric in metrics {
            let (before, verdict) = (self.verdicts.get(&metric.name).copied(), metric.verdict);
            // Every metric begins without data.
            if before == Some(verdict) || before.is_none() && verdict == Verdict::NoData {
                continue;
            }
            self.verdicts.insert(metric.name.clone(), verdict);
            let begins = before.is_none() && verdict == Verdict::Continue;
            let is_in_the_failure = failed && verdict == Verdict::Fail;
            if !(begins || is_in_the_failure) {
                lines.push(Line { at: now.at, warning: false, text: verdict_text(metric) });
            }
        }
        lines
    }
}

fn verdict_text(metric: &MetricStatus) -> String {
    let arm = |name: &str, seen: &str| (!seen.is_empty()).then(|| format!("{name} {seen}"));
    let arms = [arm("canary", &metric.canary), arm("stable", &metric.stable)];
    let arms: Vec<String> = arms.into_iter().flatten().collect();
    let colon = if arms.is_empty() { "" } else { ": " };
    format!("{} {:?}{colon}{}", metric.name, metric.verdict, arms.join(", "))
}

/// The end of the last step is the begin of the promotion.
fn is_said_by_another(notice: &Notice, all: &[(Timestamp, Notice)]) -> bool {
    matches!(notice.reason, Reason::StepCompleted | Reason::PauseOver)
        && all.iter().any(|(_, other)| other.reason == Reason::Promoting)
}

/// Whether the transition to this place says all there is to say of it.
fn says_all(place: &Place) -> bool {
    use Place::{Aborted, ControlKept, FirstDeploy, Held, Idle, Promoting};
    matches!(place, Aborted | ControlKept | FirstDeploy { .. } | Held(_) | Idle { .. } | Promoting(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Rollout, view::samples};

    struct Log(Changes);

    impl Log {
        fn look(&mut self, rollout: &Rollout, notices: &[(bool, Reason, &str)]) -> Vec<String> {
            let notices: Vec<(Timestamp, Notice)> = notices
                .iter()
                .map(|(warning, reason, message)| {
                    let notice = Notice { warning: *warning, reason: reason.clone(), message: (*message).into() };
                    (samples::NOW, notice)
                })
                .collect();
            let status = rollout.status.clone().unwrap_or_default();
            let place = Place::of(rollout);
            let alone = format!("step {} at {}", status.step_index, status.weights.desired);
            let (key, after) = (alone.clone(), format!(" -> {alone}"));
            let now = Now { status: &status, place: &place, key, after, alone, at: samples::NOW };
            self.0.lines(&now, &notices, |notice| notice.message.clone()).into_iter().map(|line| line.text).collect()
        }
    }

    fn with(verdict: Verdict, counts: &str) -> Rollout {
        let mut rollout = samples::observing().rollout;
        let status = rollout.status.get_or_insert_default();
        status.metrics.truncate(1);
        for metric in &mut status.metrics {
            (metric.name, metric.verdict) = ("errors".into(), verdict);
            (metric.canary, metric.stable) = (counts.into(), "0.1 % (22/22,103)".into());
        }
        rollout
    }

    #[test]
    fn counts_are_no_news_and_a_verdict_is_said_once_before_what_follows_from_it() {
        let mut log = Log(Changes::default());
        let nothing: [String; 0] = [];
        assert_eq!(log.look(&with(Verdict::NoData, ""), &[]), ["step 3 at 25 %"]);
        assert_eq!(log.look(&with(Verdict::Continue, "0 % (0/22)"), &[]), nothing);
        assert_eq!(log.look(&with(Verdict::Continue, "0 % (0/54)"), &[]), nothing);
        let mut passed = with(Verdict::Pass, "0 % (0/99)");
        passed.status.get_or_insert_default().step_index = 4;
        let completed = [(false, Reason::StepCompleted, "step 4 of 7 completed")];
        assert_eq!(
            log.look(&passed, &completed),
            ["errors Pass: canary 0 % (0/99), stable 0.1 % (22/22,103)", "step 4 of 7 completed -> step 4 at 25 %",]
        );
        assert_eq!(log.look(&passed, &[]), nothing);
        let again = with(Verdict::Continue, "1 % (3/300)");
        assert_eq!(log.look(&again, &[]).len(), 2, "a Pass that is taken back is news, and so is the step");
        assert_eq!(log.look(&with(Verdict::NoData, ""), &[]), ["errors NoData: stable 0.1 % (22/22,103)"]);
    }

    #[test]
    fn one_event_is_one_line() {
        let mut log = Log(Changes::default());
        log.look(&samples::observing().rollout, &[]);
        let aborted = samples::aborted().rollout;
        let words = "revision #42 aborted: errors failed";
        assert_eq!(log.look(&aborted, &[(true, Reason::AnalysisFailed, words)]), [words]);
        let steps = [
            (false, Reason::StepCompleted, "step 7 of 7 completed"),
            (false, Reason::Promoting, "all steps are complete: promoting the new version"),
        ];
        assert_eq!(log.look(&samples::promoting().rollout, &steps), [steps[1].2]);
        assert_eq!(
            log.look(&samples::healthy().rollout, &[(false, Reason::Promoted, "revision #42 is stable")]).len(),
            1
        );
        assert!(log.look(&samples::healthy().rollout, &[]).is_empty());
    }

    #[test]
    fn a_command_comes_before_its_effect() {
        let mut log = Log(Changes::default());
        log.look(&samples::at_pause().rollout, &[]);
        let promoted = [(false, Reason::Command, "promote by ann: done")];
        assert_eq!(log.look(&with(Verdict::Continue, ""), &promoted), ["promote by ann: done -> step 3 at 25 %"]);
    }
}
