//! The content that ships: every Rollout and template file lints without a finding, and every Rollout has a plan.

use std::path::PathBuf;

use glidepath::cli::{offline::lint::lint, render::paint::Paint};

fn root(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn shipped_files_lint_without_a_finding() {
    for folder in ["rollouts", "examples"] {
        let report = lint(&[root(folder)]).unwrap();
        assert!(report.checked > 0, "{folder} holds nothing of ours");
        // The demo and a local rollout play on one machine in two minutes: no probes, and windows shortened on purpose, which
        // lint points out.
        let short = ["rollouts/demo.yaml", "examples/local/rollout.yaml"];
        let is_short = |file: &str| short.iter().any(|short| file.ends_with(short));
        let unmeant = report.findings.iter().filter(|f| !(is_short(&f.file) && f.severity == "warning"));
        assert_eq!(unmeant.count(), 0, "{}", report.text(Paint { on: false }));
    }
}

#[test]
fn shipped_templates_lint_without_a_finding() {
    let entries = std::fs::read_dir(root("analysis")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    let report = lint(&files).unwrap();
    assert_eq!(report.checked, files.len());
    assert!(report.findings.is_empty(), "{}", report.text(Paint { on: false }));
}

/// The scenario of the example is a question that users have: what happens when the new version leaks memory?
#[test]
fn the_shipped_scenario_is_played_as_it_says() {
    let mut simulate = assert_cmd::Command::cargo_bin("glidepath").unwrap();
    let played =
        simulate.args(["simulate", "--scenario"]).arg(root("examples/checkout/oom-kill.yaml")).assert().success();
    let text = String::from_utf8_lossy(&played.get_output().stdout).into_owned();
    assert!(text.contains("1 OOM kill, 0 allowed: container app of pod checkout-"), "{text}");
}

#[test]
fn every_shipped_rollout_has_a_plan() {
    for file in ["rollouts/canary.yaml", "rollouts/canary-istio.yaml", "examples/checkout/rollout.yaml"] {
        let mut plan = assert_cmd::Command::cargo_bin("glidepath").unwrap();
        plan.arg("plan").arg(root(file)).assert().success();
    }
}
