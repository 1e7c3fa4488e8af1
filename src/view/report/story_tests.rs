use serde_json::json;

use super::*;
use crate::{
    api::{AnalysisRun, RolloutCommand},
    view::samples::{self, ago},
};

fn report(rollout: &Rollout, runs: &[AnalysisRun], commands: &[RolloutCommand], which: Which) -> Option<Report> {
    Report::of(&Sources { rollout, runs, commands, now: samples::NOW, is_local: false }, which)
}

fn release(number: u64) -> Which {
    Which { release: Some(number), attempt: None }
}

#[test]
fn a_rollback_is_reported_with_what_the_canary_served() {
    let report = report(&samples::aborted().rollout, &samples::runs(), &[], Which::default()).unwrap();
    assert_eq!(
        (report.title().as_str(), report.outcome, report.decided_by.as_str()),
        ("#42", Some(Outcome::Aborted), "Glidepath")
    );
    let served = Served { metric: "errors".into(), bad: 60, total: 7_200, first_bad: Some(ago(480)) };
    assert_eq!(report.served.as_ref(), Some(&served));
    assert_eq!(report.exposed().map(|time| time.as_secs()), Some(420), "from the first failed request to the abort");
    let said: Vec<&str> = report.timeline.iter().map(|moment| moment.what.as_str()).collect();
    assert_eq!(said[0], "the release of #42 began");
    assert!(said.last().unwrap().starts_with("the release was rolled back: errors Fail at 25 %"), "{said:#?}");
    assert!(report.timeline.is_sorted_by_key(|moment| moment.at));
    assert_eq!(report.as_of, None, "the time of the report changes nothing");
}

#[test]
fn a_release_is_found_by_its_number_and_attempt() {
    let rollout = samples::aborted().rollout;
    let found = |which| report(&rollout, &[], &[], which).map(|report| (report.revision.number, report.attempt));
    for (release, attempt, expected) in [
        (None, None, Some((42, 1))),
        (Some(41), None, Some((41, 1))),
        (Some(40), Some(2), Some((40, 2))),
        (Some(40), Some(1), None),
        (Some(39), None, None),
    ] {
        assert_eq!(found(Which { release, attempt }), expected);
    }
    assert_eq!(on_record(&rollout), [(42, 1), (41, 1), (40, 2)]);
    let in_progress = samples::observing().rollout;
    assert_eq!(on_record(&in_progress)[0], (42, 1));
    let report = report(&in_progress, &samples::runs(), &[], Which::default()).unwrap();
    assert_eq!((report.outcome, report.as_of), (None, Some(samples::NOW)));
    assert_eq!(report.runs.len(), 1);
}

/// Another revision's runs and commands, and those of another time, are none of the release's.
#[test]
fn only_what_belongs_to_the_release_is_reported() {
    let rollout = samples::aborted_by_command().rollout;
    let command = |uid: &str, rollout: &str, seconds: i64| -> RolloutCommand {
        serde_json::from_value(json!({
            "apiVersion": "glidepath.dev/v1alpha1", "kind": "RolloutCommand", "metadata": { "name": uid, "uid": uid },
            "spec": { "rollout": rollout, "verb": "pause", "requestedBy": "bob" },
            "status": { "state": "Done", "message": "paused", "takenAt": ago(seconds) }
        }))
        .unwrap()
    };
    let commands = [
        command("a", "checkout", 600),
        command("b", "search", 600),
        command("c", "checkout", 5_000),
        command("c-60", "checkout", 60),
    ];
    let report = |which| report(&rollout, &samples::runs(), &commands, which).unwrap();
    let of_42 = report(Which::default());
    let said: Vec<_> = of_42.commands.iter().map(|command| (command.verb, command.by.as_deref())).collect();
    assert_eq!(said, [(Verb::Pause, Some("bob")), (Verb::Abort, Some("ann"))]);
    assert_eq!((of_42.runs.len(), of_42.decided_by.as_str()), (1, "ann"));
    let of_41 = report(release(41));
    assert_eq!((of_41.runs.len(), of_41.served.clone(), of_41.exposed()), (0, None, None));
    assert!(of_41.gone.iter().any(|gone| gone.contains("no AnalysisRun")), "{:?}", of_41.gone);
}

#[test]
fn weights_lead_to_the_end() {
    let mut rollout = samples::aborted().rollout;
    let entry = &mut rollout.status.as_mut().unwrap().history[0];
    entry.weights = vec![
        PastWeight { at: ago(1_500), weight: Percent::whole(5) },
        PastWeight { at: ago(900), weight: Percent::whole(25) },
    ];
    let steps: Vec<u32> = report(&rollout, &[], &[], Which::default())
        .unwrap()
        .weight_steps()
        .iter()
        .map(|(_, weight)| weight.basis_points() / 100)
        .collect();
    assert_eq!(steps, [0, 5, 25, 0]);
    let promoted = report(&rollout, &[], &[], release(41)).unwrap();
    assert_eq!(promoted.weight_steps().last().unwrap().1, Percent::FULL);
    assert!(promoted.gone.iter().any(|gone| gone.contains("No weights")));
}
