//! The repository's own scenarios: each is played, and each rule of semantics.md that has none is named in a list that can
//! only shrink on purpose.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use glidepath::{
    cli::{
        offline::simulate::{self, Loaded},
        render::paint::Paint,
    },
    sim::{Player, process::Crash, trace::Trace},
};

/// The rules of semantics.md, by section.
pub const RULES: [std::ops::RangeInclusive<u32>; 7] = [1..=8, 10..=22, 30..=41, 50..=58, 60..=63, 70..=73, 80..=84];
/// Rules without a scenario, with the reason.
const UNCOVERED: &str = include_str!("../scenarios/uncovered.txt");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Every scenario, in the order of the files' names.
pub fn all() -> Vec<Loaded> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    files.sort();
    files.iter().flat_map(|file| simulate::load(file).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// One scenario by its file's name.
pub fn named(name: &str) -> Loaded {
    simulate::load(&folder().join(format!("{name}.yaml"))).unwrap_or_else(|error| panic!("{error}")).remove(0)
}

fn played_with(loaded: &Loaded, seed: Option<u64>) -> Result<(), String> {
    let story = Player::new(&loaded.setting, seed).unwrap().play();
    match &story.failure {
        None => Ok(()),
        Some(failure) => Err(simulate::failure(loaded, story.seed, failure, Paint { on: false })),
    }
}

#[test]
fn every_scenario_is_played_as_it_says() {
    let mut failed = Vec::new();
    for loaded in all() {
        println!("{}", loaded.name);
        failed.extend(played_with(&loaded, None).err());
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_same_seed_is_the_same_story() {
    for name in ["everything-goes-wrong", "bad-version", "leaders-change"] {
        let story = || Player::new(&named(name).setting, Some(11)).unwrap().play();
        let (one, other) = (story(), story());
        assert_eq!(one.lines, other.lines, "{name}");
        assert_eq!((one.lost, one.versions), (other.lost, other.versions), "{name}");
    }
}

/// Statistics leave out what nothing follows from, and so count the same.
#[test]
fn statistics_are_those_of_the_stories() {
    for loaded in all() {
        let player = || Player::new(&loaded.setting, None).unwrap();
        let (story, counted) = (player().play(), player().for_statistics().play());
        let seen = |story: Trace| (story.releases, story.end, story.versions, story.lost, story.met, story.state);
        assert_eq!(seen(story), seen(counted), "{}", loaded.name);
    }
}

/// Faults come at other moments with each seed, and everything holds all the same.
#[test]
fn faults_change_no_end_whatever_the_seed() {
    let mut failed = Vec::new();
    for loaded in all() {
        if loaded.setting.scenario.world.faults.iter().all(|fault| fault.probability.is_none()) {
            continue;
        }
        let broken = (1..=40).find_map(|seed| played_with(&loaded, Some(seed)).err());
        failed.extend(broken);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Every scenario with the rules that its description begins with.
pub fn rules() -> Vec<(String, BTreeSet<u32>)> {
    let of = |loaded: &Loaded| -> BTreeSet<u32> {
        let named = loaded.setting.scenario.description.split(':').next().unwrap_or_default();
        let number = |rule: &str| rule.strip_prefix('S').and_then(|number| number.parse().ok());
        let number = |rule| number(rule).unwrap_or_else(|| panic!("{}: \"{rule}\" is no rule", loaded.name));
        named.split(", ").map(number).collect()
    };
    let name = |loaded: &Loaded| Path::new(&loaded.name).file_stem().unwrap().display().to_string();
    all().iter().map(|loaded| (name(loaded), of(loaded))).collect()
}

/// Rules without a scenario, with the reason.
pub fn uncovered() -> BTreeMap<u32, String> {
    let lines = UNCOVERED.lines().filter_map(|line| line.strip_prefix('S')?.split_once(char::is_whitespace));
    lines.map(|(rule, reason)| (rule.parse().unwrap(), reason.trim().to_owned())).collect()
}

#[test]
fn every_scenario_names_its_rules_and_every_rule_its_scenario() {
    let known: BTreeSet<u32> = RULES.into_iter().flatten().collect();
    let mut covered = BTreeSet::new();
    for (name, rules) in rules() {
        assert!(rules.is_subset(&known), "{name}: there is no rule among S1 to S84 in {rules:?}");
        covered.extend(rules);
    }
    let uncovered: BTreeSet<u32> = known.difference(&covered).copied().collect();
    let listed: BTreeSet<u32> = self::uncovered().into_keys().collect();
    assert_eq!(uncovered, listed, "tests/scenarios/uncovered.txt lists other rules than those without a scenario");
}

/// The same with time to spare: a controller that dies comes back a second later.
fn patient(mut loaded: Loaded) -> Loaded {
    let timeline = &mut loaded.setting.scenario.timeline;
    timeline.retain(|entry| entry.throughout.is_none());
    for entry in timeline.iter_mut() {
        entry.within = entry.within.map(|within| (within.get() + Duration::from_secs(30)).into());
        if let Some(expect) = &mut entry.expect {
            // A number may be skipped, and what was reported may be lost with the process.
            expect.services.clear();
            expect.events.clear();
            expect.pods.clear();
        }
    }
    // What drains has gone by then.
    timeline.push(serde_json::from_value(serde_json::json!({"after": "10m", "expect": {"requestsLost": 0}})).unwrap());
    loaded
}

/// What a rollout leaves behind: status, pods, targets and routes. Times differ, and so may the numbers of revisions.
fn end(story: &Trace) -> String {
    let status = &story.status;
    let outcomes: Vec<_> = status.history.iter().map(|entry| (entry.outcome, &entry.images)).collect();
    let place = (status.phase, status.course(), status.step_index, status.attempt);
    format!("{place:?} {outcomes:?} {} lost {}", story.state, story.lost)
}

/// Lets the controller die just before and just after each write, and compares the end with the undisturbed run.
fn dies_everywhere(name: &str) -> Vec<String> {
    let loaded = patient(named(name));
    let play = |crash: Option<Crash>| {
        let mut player = Player::new(&loaded.setting, None).unwrap();
        crash.into_iter().for_each(|crash| player.crash_at(crash));
        player.play()
    };
    let undisturbed = play(None);
    assert!(undisturbed.passed() && undisturbed.writes > 10, "{name}: {:?}", undisturbed.failure);
    let mut wrong = Vec::new();
    for write in 0..undisturbed.writes {
        for before in [true, false] {
            let crash = Crash { write, before };
            let story = play(Some(crash));
            let (wanted, seen) = (end(&undisturbed), end(&story));
            if story.failure.is_some() || wanted != seen {
                wrong.push(format!("{name} {crash:?}: {:?}\n  wanted {wanted}\n  seen   {seen}", story.failure));
            }
        }
    }
    println!("{name}: died before and after each of {} writes", undisturbed.writes);
    wrong
}

/// I14: crash and immediate restart, at every write: same steps, same end.
#[test]
fn a_controller_that_dies_at_any_write_comes_to_the_same_end() {
    let names = [
        "good-version-by-time",
        "bad-version",
        "superseded",
        "back-to-stable",
        "template-changed-during-adoption",
        "threshold-metric",
        "subset-split-by-time",
    ];
    let wrong: Vec<String> = names.into_iter().flat_map(dies_everywhere).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The same for commands, whose answer must not come before their effect is on record (rule S81).
#[test]
fn a_command_outlives_a_controller_that_dies_at_any_write() {
    let names = ["good-version", "abort-by-command", "retry", "undo", "promote-full", "gate-says-no"];
    let wrong: Vec<String> = names.into_iter().flat_map(dies_everywhere).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_scenario_of_the_documentation_is_played_as_it_says() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/simulate.md")).unwrap();
    let block = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.yaml");
    std::fs::write(&file, block).unwrap();
    let loaded = simulate::load(&file).unwrap_or_else(|error| panic!("{error}")).remove(0);
    assert_eq!(played_with(&loaded, None), Ok(()));
}

fn glidepath(args: &[&str]) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("glidepath").unwrap();
    command.current_dir(folder()).arg("simulate").args(args);
    command
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_failed_expectation_ends_with_1_and_says_what_was_seen_instead() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("wrong.yaml");
    let rollout = self::folder().join("files/mesh.yaml");
    let text = format!(
        "apiVersion: glidepath.dev/v1alpha1\nkind: Scenario\nfiles: [{}]\ntimeline:\n  - {{within: 5s, expect: {{phase: \
         Healthy}}}}\n  - {{after: 1s, expect: {{phase: Paused, pods: {{stable: 3}}}}}}\n",
        rollout.display()
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let output = glidepath(&["--scenario", file]).assert().code(1).get_output().clone();
    let text = said(&output.stdout);
    for part in ["wrong.yaml:6:5", "phase is Healthy, wanted Paused", "pods.stable is 4, wanted 3", "--seed 1"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let output = glidepath(&["--scenario", file, "--json"]).assert().code(1).get_output().clone();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (value["scenarios"][0]["passed"].as_bool(), value["scenarios"][0]["failure"]["line"].as_u64()),
        (Some(false), Some(6))
    );
    let output = glidepath(&["--scenario", file, "--runs", "3"]).assert().code(1).get_output().clone();
    assert!(said(&output.stdout).contains("met in 0 of 3 runs"));
}

#[test]
fn always_takes_a_bound_of_lost_requests() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lost.yaml");
    let rollout = self::folder().join("files/mesh.yaml");
    let play = |most: u64| {
        let text = format!(
            "apiVersion: glidepath.dev/v1alpha1\nkind: Scenario\nfiles: [{}]\nworld:\n  traffic: {{rps: 10}}\n  faults: [{{at: \
             20s, kind: podCrash, target: {{revision: stable, count: 4}}}}]\ntimeline: [{{at: 1m, expect: {{phase: Healthy}}}}]\nalways: \
             {{requestsLost: {most}}}\n",
            rollout.display()
        );
        std::fs::write(&file, text).unwrap();
        played_with(&simulate::load(&file).unwrap().remove(0), None)
    };
    let lost = play(0).unwrap_err();
    assert!(lost.contains("lost.yaml:8:1  always") && lost.contains("requests were lost, wanted at most 0"), "{lost}");
    assert_eq!(play(1_000), Ok(()));
}

#[test]
fn what_cannot_be_played_is_refused_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.yaml");
    let head = "apiVersion: glidepath.dev/v1alpha1\nkind: Scenario\n";
    let mesh = self::folder().join("files/mesh.yaml");
    for (text, code, wanted) in [
        (
            format!("{head}files: [{}]\ntimeline: [{{whithin: 1s}}]\n", mesh.display()),
            1,
            "s.yaml:4:13 error timeline[0].whithin: unknown field; did you mean within?",
        ),
        (format!("{head}files: [nowhere.yaml]\ntimeline: [{{scale: 1}}]\n"), 2, "cannot read"),
        (format!("{head}objects: [{{kind: Service}}]\ntimeline: [{{scale: 1}}]\n"), 1, "there is no Rollout"),
        (
            format!(
                "{head}objects:\n  - apiVersion: glidepath.dev/v1alpha1\n    kind: Rollout\n    metadata: {{name: a}}\n    spec: {{replcas: 3}}\ntimeline: [{{scale: 1}}]\n"
            ),
            1,
            "s.yaml:7:12 error objects[0].spec.replcas: unknown field; did you mean replicas?",
        ),
        (
            format!("{head}files: [{}]\ntimeline: [{{scale: 1}}]\nalways: {{requestLost: 0}}\n", mesh.display()),
            1,
            "s.yaml:5:10 error always.requestLost: unknown field; did you mean requestsLost?",
        ),
        ("a: [\n".to_owned(), 1, "not readable as YAML"),
    ] {
        std::fs::write(&file, &text).unwrap();
        let output = glidepath(&["--scenario", file.to_str().unwrap()]).assert().code(code).get_output().clone();
        let error = said(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(error.contains(wanted), "{wanted} is not in\n{error}");
    }
    glidepath(&[]).assert().code(2);
    glidepath(&["--scenario", "no-such-file.yaml"]).assert().code(2);
}

#[test]
fn a_rollout_file_gets_its_table_of_chances() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("rollouts/canary-istio.yaml");
    let output =
        glidepath(&["-f", file.to_str().unwrap(), "--runs", "8", "--json"]).assert().success().get_output().clone();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let share = |row: usize, outcome: &str| {
        value["estimates"][0]["rows"][row]["result"]["outcomes"][outcome].as_f64().unwrap_or(0.0)
    };
    assert!(share(0, "Promoted") >= 0.75, "{value:#}");
    assert!(share(1, "Aborted") >= 0.75 && share(2, "Aborted") >= 0.75 && share(4, "Aborted") == 1.0, "{value:#}");
    let rows = value["estimates"][0]["rows"].as_array().unwrap();
    let named = |name: &str| rows.iter().position(|row| row["version"] == name).unwrap_or_else(|| panic!("{value:#}"));
    let number = |row: usize, pointer: &str| rows[row].pointer(pointer).unwrap().as_f64().unwrap();
    let (crash, leak) = (named("all its pods crash"), named("OOM-killed by a leak"));
    let end = "/result/secondsToOutcome/p90";
    assert!(
        share(leak, "Aborted") == 1.0 && number(leak, end) < number(crash, end) / 5.0,
        "the guard waits for nothing"
    );
    for shared in ["error burst in both", "incident in both"].map(named) {
        let errors = number(shared, "/result/errors") / number(shared, "/result/requests");
        let usual = number(0, "/result/errors") / number(0, "/result/requests");
        assert!(share(shared, "Aborted") == 0.0 && errors > 1.5 * usual, "row {shared}: {value:#}");
    }
}

/// Nothing looks at a release that nothing judges for as long as it pauses: its requests are answered in time all the same.
#[test]
fn errors_that_begin_later_are_fewer() {
    let file = folder().join("files/pausing.yaml");
    let args = ["-f", file.to_str().unwrap(), "--runs", "3", "--rps", "500", "--json"];
    let output = glidepath(&args).assert().success().get_output().clone();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let errors = |row: usize| value["estimates"][0]["rows"][row]["result"]["errors"].as_f64().unwrap();
    assert!(errors(0) * 3.0 < errors(2) && errors(2) < errors(1) * 0.7, "{value:#}");
}

#[test]
fn gates_and_approvals_do_not_hold_the_table_up() {
    let file = folder().join("files/gates.yaml");
    let output =
        glidepath(&["-f", file.to_str().unwrap(), "--runs", "1", "--json"]).assert().success().get_output().clone();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["estimates"][0]["rows"][0]["result"]["outcomes"]["Promoted"], 1.0, "{value:#}");
}

#[test]
fn lint_takes_scenarios_like_every_other_file_of_ours() {
    let report = glidepath::cli::offline::lint::lint(&[folder()]).unwrap();
    let errors: Vec<_> = report.findings.iter().filter(|finding| finding.severity == "error").collect();
    assert!(errors.is_empty() && report.checked > 50, "{errors:#?}");
}
