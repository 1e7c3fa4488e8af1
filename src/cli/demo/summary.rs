//! The demo's summary: what happened, its impact on users, that no request was lost, and what to try next.

use jiff::SignedDuration;

use crate::{
    api::status::Outcome,
    cli::{program::in_its_name, render::table::wrap},
    evidence::grouped,
    local::traffic::Tally,
};

use super::chapter::{Ending, How};

/// The whole account.
pub struct Account {
    /// The chapters that were played.
    pub endings: Vec<Ending>,
    /// What users saw .
    pub tally: Tally,
    /// What the pods counted.
    pub counted: u64,
    /// Copies of requests that pods answered too.
    pub mirrored: u64,
    /// Whether the file has an analysis: without one no bad version is detected.
    pub judged: bool,
    /// How wide the text may be.
    pub width: usize,
}

impl Account {
    /// Whether the good version was promoted and the bad one rolled back.
    pub fn as_told(&self) -> bool {
        self.endings.len() == 3 && self.endings.iter().all(Ending::as_told)
    }

    /// Whether every request that was sent was answered by a pod, by both counts.
    pub fn none_lost(&self) -> bool {
        let tally = &self.tally;
        let counted = tally.sent + self.mirrored == self.counted;
        tally.sent == tally.answered() && counted && tally.refused + tally.transport_failures == 0
    }
}

/// The summary.
pub fn text(account: &Account) -> String {
    let mut out = String::from("What happened\n");
    for ending in &account.endings {
        out.push_str(&chapter(ending, account.width));
    }
    out.push_str(&format!("\n{}", requests(account)));
    let interrupted = account.endings.iter().any(|ending| ending.how == How::Interrupted);
    out.push_str(&in_its_name(match (account.as_told(), interrupted) {
        (true, _) => NEXT,
        (false, true) => "",
        (false, false) if !account.judged => NOT_JUDGED,
        (false, false) => NOT_AS_TOLD,
    }));
    out
}

fn chapter(ending: &Ending, width: usize) -> String {
    let version = &ending.chapter.behaviour.version;
    let took = seconds(ending.took);
    let (what, why) = match &ending.how {
        How::Deployed => (format!("deployed in {took}"), String::new()),
        How::Interrupted => (format!("stopped by ctrl-c after {took}"), String::new()),
        How::Held(why) => (format!("held after {took}"), why.clone()),
        How::Over(entry) => {
            let word = match entry.outcome {
                Outcome::Promoted | Outcome::FastPromoted => "promoted",
                Outcome::Aborted | Outcome::RolledBack => "caught and rolled back",
                Outcome::Superseded => "superseded",
                Outcome::KeptControl => "not promoted: control kept",
            };
            let why = if entry.outcome == Outcome::Promoted { String::new() } else { entry.reason.clone() };
            (format!("{word} after {took}"), why)
        }
    };
    let why = wrap(&why, 6, width);
    let why = why.trim_end();
    let why = if why.is_empty() { String::new() } else { format!("\n{why}") };
    format!("  {version}  {}: {what}{why}\n", ending.chapter.title)
}

fn requests(account: &Account) -> String {
    let tally = &account.tally;
    if tally.sent == 0 {
        return String::new();
    }
    let mut out = String::from("What users saw\n");
    let errors: u64 = tally.versions.values().map(|answers| answers.errors).sum();
    if let Some(bad) = account.endings.get(2) {
        let met = tally.of(&bad.chapter.behaviour.version);
        let share = 100.0 * met.all as f64 / tally.sent as f64;
        out.push_str(&format!(
            "  {} of {} reached the bad version ({share:.1} %), which returned {}\n",
            grouped(met.all),
            counted(tally.sent, "request"),
            counted(met.errors, "error")
        ));
    }
    out.push_str(&format!("  {} in total, including the usual ones of the good versions\n", counted(errors, "error")));
    out.push_str(&beside_the_weight(account));
    let (sent, answered, counted) = (grouped(tally.sent), grouped(tally.answered()), grouped(account.counted));
    let verdict = if account.none_lost() { "none was lost" } else { "SOME WERE LOST" };
    out.push_str(&format!(
        "  {verdict}: {sent} sent, {answered} answers seen, {counted} counted by the pods;\n  \
         {} failed in transit, {} found no pod\n",
        tally.transport_failures, tally.refused
    ));
    out
}

/// What header routes and mirrors did; nothing without any.
fn beside_the_weight(account: &Account) -> String {
    let mut out = String::new();
    let testers = &account.tally.testers;
    if !testers.is_empty() {
        let of: Vec<String> =
            testers.iter().map(|(version, count)| format!("{} by {version}", grouped(*count))).collect();
        let all = counted(testers.values().sum(), "request");
        out.push_str(&format!("  {all} carried what a header route matches, answered {}\n", of.join(", ")));
    }
    if account.mirrored > 0 {
        let copies = counted(account.mirrored, "request");
        out.push_str(&format!("  {copies} mirrored to the canary, whose answers no user saw\n"));
    }
    out
}

const NEXT: &str = "
What to try next
  glidepath demo --error-rate 1%          a smaller fault takes longer to prove
  glidepath demo --rps 50                 fewer requests: evidence comes slowly
  glidepath demo --rollout rollout.yaml   your own file, with its own times
  glidepath lint rollout.yaml             check it; 'glidepath plan' prints it
  glidepath doctor                        is a cluster ready for it?
";

const NOT_JUDGED: &str = "
The file has no spec.analysis, so nothing judged the bad version: its steps alone were
played. rollouts/demo.yaml shows how an analysis is added.
";

const NOT_AS_TOLD: &str = "
The demo did not go as expected: the good version promoted, the bad one rolled back. Evidence
needs requests, and a fault that is worse than stable by more than the tolerance:
--rps and --error-rate change that.
";

/// `1 error`, `1,200 errors`.
pub fn counted(count: u64, of: &str) -> String {
    if count == 1 { format!("1 {of}") } else { format!("{} {of}s", grouped(count)) }
}

/// `12.3s`, `1m12s`.
pub fn seconds(duration: SignedDuration) -> String {
    let total = duration.as_secs_f64().max(0.0);
    if total < 60.0 { format!("{total:.1}s") } else { format!("{}m{:02}s", total as u64 / 60, total as u64 % 60) }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use super::*;
    use crate::{
        api::status::{HistoryEntry, RevisionRef},
        cli::demo::chapter::Chapter,
        local::{pods::Behaviour, traffic::Answers},
    };

    fn ending(version: &str, expected: Option<Outcome>, how: How) -> Ending {
        let behaviour =
            Behaviour { version: version.into(), error_rate: 0.0, latency: Duration::ZERO, start_up: Duration::ZERO };
        let chapter = Chapter { title: "a release".into(), behaviour, expected };
        Ending { chapter, took: SignedDuration::from_millis(12_340), how }
    }

    fn over(outcome: Outcome, reason: &str) -> How {
        How::Over(Box::new(HistoryEntry {
            revision: RevisionRef::default(),
            images: Vec::new(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            ended_at: jiff::Timestamp::UNIX_EPOCH,
            outcome,
            reason: reason.into(),
            attempt: 1,
            step_index: 0,
            weight: None,
            weights: Vec::new(),
        }))
    }

    fn account(third: How) -> Account {
        let answers = |all, errors| Answers { all, errors };
        let versions = [("v2".to_owned(), answers(1_500, 1)), ("v3".to_owned(), answers(500, 25))];
        let tally = Tally { sent: 2_000, versions: BTreeMap::from(versions), ..Tally::default() };
        let endings = vec![
            ending("v1", None, How::Deployed),
            ending("v2", Some(Outcome::Promoted), over(Outcome::Promoted, "")),
            ending("v3", Some(Outcome::Aborted), third),
        ];
        Account { endings, tally, counted: 2_000, mirrored: 0, judged: true, width: usize::MAX }
    }

    #[test]
    fn the_summary_gives_the_whole_account() {
        let account = account(over(Outcome::Aborted, "errors failed: 5 %"));
        let text = text(&account);
        for said in [
            "v2  a release: promoted after 12.3s\n",
            "v3  a release: caught and rolled back after 12.3s\n      errors failed: 5 %\n",
            "500 of 2,000 requests reached the bad version (25.0 %), which returned 25 errors",
            "26 errors in total",
            "none was lost: 2,000 sent, 2,000 answers seen, 2,000 counted by the pods;\n  0 failed in transit, 0 found no pod",
            "What to try next",
        ] {
            assert!(text.contains(said), "{said}\nnot in\n{text}");
        }
        assert!(account.as_told() && account.none_lost());
    }

    #[test]
    fn testers_and_mirrored_requests_are_in_the_account() {
        let mut account = account(over(Outcome::Aborted, "worse"));
        account.tally.testers = BTreeMap::from([("v1".to_owned(), 10), ("v2".to_owned(), 1_200)]);
        (account.mirrored, account.counted) = (40, 2_040);
        let text = text(&account);
        assert!(
            text.contains("  1,210 requests carried what a header route matches, answered 10 by v1, 1,200 by v2\n")
        );
        assert!(text.contains("  40 requests mirrored to the canary, whose answers no user saw\n"));
        assert!(account.none_lost() && text.contains("2,000 answers seen, 2,040 counted by the pods"), "{text}");
    }

    #[test]
    fn a_reason_is_whole_where_there_is_no_terminal() {
        let why = format!("errors failed: {}p = 0.02", "6.00 % (6/100) vs 0.11 % (1/900), ".repeat(4));
        let mut account = account(over(Outcome::Aborted, &why));
        assert!(text(&account).contains(&format!("      {why}\n")));
        account.width = 80;
        assert!(text(&account).lines().all(|line| line.len() <= 90), "{}", text(&account));
    }

    #[test]
    fn one_is_not_many() {
        let mut account = account(over(Outcome::Aborted, "worse"));
        for answers in account.tally.versions.values_mut() {
            answers.errors = u64::from(answers.all == 500);
        }
        let text = text(&account);
        assert!(text.contains("which returned 1 error\n  1 error in total,"), "{text}");
        assert_eq!((counted(0, "error"), counted(1_200, "error")), ("0 errors".into(), "1,200 errors".into()));
    }

    #[test]
    fn what_did_not_go_as_told_or_was_lost_is_said() {
        let promoted = account(over(Outcome::Promoted, ""));
        assert!(!promoted.as_told() && text(&promoted).contains("did not go as expected"));
        let unjudged = Account { judged: false, ..account(over(Outcome::Promoted, "")) };
        assert!(text(&unjudged).contains("has no spec.analysis"), "{}", text(&unjudged));
        for lose in [
            |account: &mut Account| account.tally.sent += 1,
            |account: &mut Account| account.counted -= 1,
            |account: &mut Account| account.tally.refused = 1,
        ] {
            let mut account = account(over(Outcome::Aborted, "worse"));
            lose(&mut account);
            assert!(!account.none_lost() && text(&account).contains("SOME WERE LOST"));
        }
    }
}
