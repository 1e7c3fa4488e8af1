//! The scenario files that `glidepath simulate` plays in virtual time, on real components: what is believed of the world in
//! memory is held against Kubernetes, Istio, Envoy and Prometheus.

use crate::controller::controller;
use crate::lane;
use crate::playing::{Stage, refused};
use crate::say::{say, spoken};
use ::glidepath::cli::offline::simulate::{self, Loaded};
use futures::StreamExt;
use std::path::Path;
use std::time::Instant;

/// What is played both ways. A file that is dropped, renamed or restricted to one way is missed here.
const PLAYED: [&str; 23] = [
    // The longest first, so that they do not end last.
    "scaled-in-the-middle",
    "deployment-is-taken-over",
    "deleted-in-the-middle",
    "blue-green-abort",
    "good-version",
    "gate-opens-late",
    "subset-split",
    "undo",
    "bad-version",
    "retry",
    "canary-never-ready",
    "superseded",
    "good-version-without-a-mesh",
    "routes-come-and-go",
    "back-to-stable",
    "paused-in-the-file-by-hand",
    "promote-full",
    "gate-says-no",
    "a-deployment-goes-and-comes",
    "deleted-and-created-again",
    "testers-meet-it-first",
    "restarted-by-command",
    "first-deploy",
];
/// Scenarios at a time: two cores serve the users of so many.
const AT_ONCE: usize = 6;
/// Names a few of them, separated by commas, for whoever works on one.
const SOME: &str = "SCENARIOS";

fn named(name: &str) -> Loaded {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/scenarios/{name}.yaml"));
    let mut loaded = simulate::load(&file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.len(), 1, "{name}: one scenario in a file is played here");
    loaded.remove(0)
}

#[test]
fn the_scenarios_are_played_on_the_real_cluster() {
    controller().check();
    let wanted = std::env::var(SOME).ok();
    let wanted: Option<Vec<&str>> = wanted.as_deref().map(|names| names.split(',').collect());
    let is_wanted = |name: &&str| wanted.as_ref().is_none_or(|names| names.contains(name));
    let files: Vec<(&str, Loaded)> = PLAYED.into_iter().filter(is_wanted).map(|name| (name, named(name))).collect();
    assert_eq!(files.len(), wanted.as_ref().map_or(PLAYED.len(), Vec::len), "{SOME} names a file that is not played");
    let began = Instant::now();
    let mut played = threads().block_on(async {
        let stage = Stage::open(lane()).await.unwrap();
        let plays = files.iter().map(|(name, loaded)| stage.play(name, loaded));
        futures::stream::iter(plays).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await
    });
    played.sort_by(|one, other| one.name.cmp(&other.name));
    for one in &played {
        let how = if one.failed.is_none() { "passed" } else { "FAILED" };
        say(format_args!("{:<30} {how} in {}", one.name, spoken(one.took)));
    }
    say(format_args!("{} scenarios in {}", played.len(), spoken(began.elapsed())));
    let failed: Vec<String> = played.into_iter().filter_map(|one| one.failed).collect();
    assert!(failed.is_empty(), "{} of the scenarios failed:\n{}", failed.len(), failed.join("\n"));
}

/// The beginning of files that go as the real cluster does not.
const BEGINNING: &str = "apiVersion: glidepath.dev/v1alpha1
kind: Scenario
files: [MESH]
timeline:
  - {within: 30s, expect: {phase: Healthy, stableImage: \"shop:1\", pods: {stable: 4}}}
  - {deploy: {image: \"shop:2\"}}
";
/// How each continues, and what its story must say.
const WRONG: [(&str, &str, &[&str]); 3] = [
    (
        "wrong-in-time",
        "  - {within: 20s, expect: {phase: Paused, weight: 25}}
  - {within: 1s, expect: {weight: 26, pods: {stable: 3, canary: 1}, services: {shop-canary: r1}, events: [Promoted]}}",
        &[
            "wrong-in-time.yaml:8:5, timeline[3]",
            "weight is 25 %, wanted 26 %",
            "pods.stable is 4, wanted 3",
            "services.shop-canary is r2, wanted r1",
            "there was no event Promoted",
            "Paused step 2/4 at 25 %",
        ],
    ),
    (
        "wrong-throughout",
        "  - {throughout: 20s, expect: {stableImage: \"shop:1\", weight: 0}}",
        &["wrong-throughout.yaml:7:5, timeline[2]", "weight is 25 %, wanted 0 %"],
    ),
    (
        "wrong-always",
        "  - {within: 20s, expect: {phase: Degraded}}\nalways: {totalAvailableAtLeast: 4, weightAtMost: 20}",
        &["wrong-always.yaml:8:1, always", "the canary weight is 25 %, wanted at most 20 %"],
    ),
];

#[test]
fn what_the_real_cluster_does_not_do_fails_with_its_place_and_what_was_seen() {
    controller().check();
    let folder = tempfile::tempdir().unwrap();
    let mesh = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/files/mesh.yaml");
    let beginning = BEGINNING.replace("MESH", mesh.to_str().unwrap());
    let files = WRONG.map(|(name, rest, _)| {
        let file = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&file, format!("{beginning}{rest}\n")).unwrap();
        (name, simulate::load(&file).unwrap_or_else(|error| panic!("{error}")).remove(0))
    });
    let played = threads().block_on(async {
        let stage = Stage::open(lane()).await.unwrap();
        futures::future::join_all(files.iter().map(|(name, loaded)| stage.play(name, loaded))).await
    });
    for (played, (name, _, parts)) in played.iter().zip(WRONG) {
        let story = played.failed.as_ref().unwrap_or_else(|| panic!("{name} passed"));
        for part in parts {
            assert!(story.contains(part), "{name}: {part:?} is not in\n{story}");
        }
        assert!(!story.contains("pods.canary"), "what is as expected is not told:\n{story}");
    }
}

fn threads() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Every field that the real cluster cannot play is named, and nothing else.
#[test]
fn what_cannot_be_played_here_is_named_by_its_path() {
    let paths = |name: &str| -> Vec<String> { refused(&named(name)).into_iter().map(|(path, _)| path).collect() };
    assert_eq!(paths("paused-in-the-file"), ["world.faults[0]"]);
    assert_eq!(paths("threshold-metric"), ["world.series.queue"]);
    assert_eq!(paths("no-room"), ["world.podCapacity"]);
    assert_eq!(paths("an-autoscaler-scales-both"), ["world.hpa"]);
    assert!(paths("ab-users-stay").contains(&"world.traffic.users".to_owned()));
    assert_eq!(paths("gates-open"), ["on", "world.faults[0]", "world.gates.change-window"]);
    let conversions = paths("ab-candidate-wins");
    assert!(conversions.iter().any(|path| path.ends_with(".conversion")), "{conversions:?}");
    for name in PLAYED {
        assert_eq!(paths(name), Vec::<String>::new(), "{name}");
    }
}
