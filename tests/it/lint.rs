//! What `lint` and `plan` print, and how they end.

use assert_cmd::Command;

fn glidepath(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("glidepath").unwrap();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    command
}

fn golden(name: &str, text: &[u8]) {
    let text = String::from_utf8(text.to_vec()).unwrap();
    insta::with_settings!({snapshot_path => "../golden/lint", prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, text);
    });
}

#[test]
fn bad_files_are_told_by_file_line_field_and_what_to_do() {
    let output = glidepath(&["lint", "tests/golden/lint/bad"]).assert().code(1).get_output().clone();
    golden("bad", &output.stdout);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn json_carries_the_same_findings() {
    let text = glidepath(&["lint", "tests/golden/lint/bad"]).assert().get_output().stdout.clone();
    let lines = String::from_utf8(text).unwrap().lines().count() - 1;
    let output = glidepath(&["lint", "tests/golden/lint/bad", "-o", "json"]).assert().code(1).get_output().clone();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["findings"].as_array().unwrap().len(), lines);
    assert_eq!(value["findings"][0]["line"], 6);
}

#[test]
fn standard_input_is_read_and_good_files_end_with_0() {
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/rollouts/canary-istio.yaml")).unwrap();
    let output = glidepath(&["lint", "-"]).write_stdin(text).assert().success().get_output().clone();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said,
        "0 errors, 0 warnings in 1 file; 2 objects of other kinds, checked only where a Rollout names them\n"
    );
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    for (args, wanted) in [
        (vec!["lint", "no-such-folder"], "cannot read no-such-folder"),
        (vec!["lint", "src/api"], "there is no .yaml, .yml or .json file in src/api"),
        (vec!["plan", "no-such-file.yaml"], "cannot read no-such-file.yaml"),
        (vec!["plan"], "there is no file to read; name files, folders, or - for standard input"),
        (vec!["lint"], "there is no file to read"),
        (vec!["simulate"], "there is no file to read"),
        (vec!["lint", "rollouts", "-o", "wide"], "lint has no -o wide; it has table, json, yaml, sarif, junit, github"),
        (vec!["lint", "rollouts", "-o", "name"], "lint has no -o name"),
        (vec!["plan", "rollouts", "-o", "wide"], "plan has no -o wide"),
        (vec!["plan", "rollouts", "-o", "sarif"], "plan has no -o sarif"),
        (vec!["simulate", "rollouts/canary.yaml", "-o", "name"], "simulate has no -o name"),
        (vec!["get", "-o", "sarif"], "-o sarif, junit and github are formats of lint"),
        (vec!["status", "web", "--wait", "-o", "junit"], "-o sarif, junit and github are formats of lint"),
        (vec!["lnit"], "unrecognized subcommand 'lnit'"),
    ] {
        let output = glidepath(&args).assert().code(2).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: ") && said.contains(wanted), "{args:?}: {said}");
    }
}

#[test]
fn plan_prints_the_timeline() {
    for (name, file) in [("plan-istio", "rollouts/canary-istio.yaml"), ("plan-replicas", "rollouts/canary.yaml")] {
        let output = glidepath(&["plan", file]).assert().success().get_output().clone();
        golden(name, &output.stdout);
    }
}

#[test]
fn plan_refuses_a_rollout_that_cannot_work_and_names_the_field() {
    let output = glidepath(&["plan", "tests/golden/lint/bad/fields.yaml"]).assert().code(1).get_output().clone();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("error: cannot plan a release with these errors:\ntests/golden/lint/bad/fields.yaml:"),
        "{said}"
    );
    assert!(said.contains("fields.yaml:12:7   error   spec.template.metadata.labels: "), "{said}");
}

/// The same mistake has one form in every verb: lint's, on a line of its own, which editors and terminals open.
#[test]
fn every_verb_says_what_is_wrong_with_a_file_in_the_same_line() {
    const LINE: &str = "tests/golden/lint/newcomers/types-and-rules.yaml:7:3   error   spec.paused: must be true or false, got the string \"true\"; write paused: true\n";
    const FILE: &str = "tests/golden/lint/newcomers/types-and-rules.yaml";
    let local = ["--stable", "http://127.0.0.1:1", "--canary", "http://127.0.0.1:2", "--listen", "127.0.0.1:0"];
    for args in [
        vec!["lint", FILE],
        vec!["lint", "-f", FILE],
        vec!["plan", FILE],
        vec!["plan", "--filename", FILE],
        vec!["simulate", FILE],
        vec!["simulate", "-f", FILE],
        vec!["demo", "--rollout", FILE],
        [vec!["local", FILE], local.to_vec()].concat(),
        [vec!["local", "--file", FILE], local.to_vec()].concat(),
    ] {
        let output = glidepath(&args).assert().code(1).get_output().clone();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let is_line = |line: &str| LINE.split_whitespace().eq(line.split_whitespace());
        assert!(said.lines().any(is_line), "{args:?}: {said}");
    }
}

/// Files, folders and standard input, several of them, with and without `-f`.
#[test]
fn files_are_named_alike_in_every_verb() {
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/rollouts/canary.yaml")).unwrap();
    let several = ["rollouts/canary.yaml", "-f", "rollouts/blue-green.yaml", "-f", "-"];
    for (verb, times) in [("lint", "3 files"), ("plan", "checkout  10 pods")] {
        let mut command = glidepath(&[&[verb], several.as_slice()].concat());
        let output = command.write_stdin(text.clone()).assert().success().get_output().stdout.clone();
        assert!(String::from_utf8(output).unwrap().contains(times), "{verb}");
    }
    let plans = glidepath(&["plan", "rollouts", "-o", "name"]).assert().success().get_output().stdout.clone();
    assert_eq!(String::from_utf8(plans).unwrap().lines().count(), 5);
    let mut command = glidepath(&["simulate", "-f", "-", "rollouts/demo.yaml", "--runs", "1", "-o", "json"]);
    let output = command.write_stdin(text).assert().success().get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let files: Vec<&str> =
        report["estimates"].as_array().unwrap().iter().filter_map(|one| one["file"].as_str()).collect();
    assert_eq!(files, ["rollouts/demo.yaml (checkout)", "standard input (checkout)"]);
}

/// Scripts read these: a field that is renamed or gone needs another apiVersion.
#[test]
fn reports_for_scripts_keep_their_shape() {
    const FILE: &str = "tests/golden/lint/newcomers/types-and-rules.yaml";
    let report = |args: &[&str]| {
        let output = glidepath(args).assert().get_output().stdout.clone();
        serde_json::from_slice::<serde_json::Value>(&output).unwrap()
    };
    let lint = report(&["lint", FILE, "-o", "json"]);
    golden("lint-report", (serde_json::to_string_pretty(&lint).unwrap() + "\n").as_bytes());
    let mut plan = report(&["plan", "rollouts/canary.yaml", "-o", "json"]);
    shorten(&mut plan);
    golden("plan-report", (serde_json::to_string_pretty(&plan).unwrap() + "\n").as_bytes());
    let mut estimate = report(&["simulate", "rollouts/blue-green.yaml", "--runs", "1", "-o", "json"]);
    let mut scenario = report(&["simulate", "--scenario", "tests/scenarios/first-deploy.yaml", "-o", "json"]);
    for report in [&mut estimate, &mut scenario] {
        shorten(report);
    }
    golden("simulation-estimate", (serde_json::to_string_pretty(&estimate).unwrap() + "\n").as_bytes());
    golden("simulation-scenario", (serde_json::to_string_pretty(&scenario).unwrap() + "\n").as_bytes());
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/json.md")).unwrap();
    for report in [lint, plan, estimate, scenario] {
        for field in fields(&report) {
            assert!(page.contains(&format!("`{field}`")), "docs/json.md does not describe {field}");
        }
    }
}

/// The first entry of each list has its shape, and numbers are another test's.
fn shorten(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Array(all) => {
            all.truncate(1);
            all.iter_mut().for_each(shorten);
        }
        serde_json::Value::Object(fields) => {
            fields.remove("outcomes");
            fields.values_mut().for_each(shorten);
        }
        serde_json::Value::Number(number) => *number = 0.into(),
        _ => {}
    }
}

fn fields(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::Array(all) => all.iter().flat_map(fields).collect(),
        serde_json::Value::Object(all) => {
            all.iter().flat_map(|(name, inner)| [vec![name.clone()], fields(inner)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

/// What CI systems read: a file with errors fails, a file without objects of ours fails too.
#[test]
fn ci_formats_are_printed_and_decide_like_the_table() {
    const BAD: &str = "tests/golden/lint/newcomers/types-and-rules.yaml";
    for (format, begins) in
        [("sarif", "{\n  \"$schema\""), ("junit", "<?xml version"), ("github", "::error file=tests/golden")]
    {
        let output = glidepath(&["lint", BAD, "-o", format]).assert().code(1).get_output().stdout.clone();
        let said = String::from_utf8(output).unwrap();
        assert!(said.starts_with(begins) && said.contains("spec.replicas"), "{said}");
        glidepath(&["lint", "rollouts", "-o", format]).assert().success();
    }
    let scenario = "tests/scenarios/first-deploy.yaml";
    let output =
        glidepath(&["simulate", "--scenario", scenario, "-o", "junit"]).assert().success().get_output().stdout.clone();
    let said = String::from_utf8(output).unwrap();
    assert!(
        said.contains("<testsuites name=\"glidepath simulate\" tests=\"1\" failures=\"0\">") && said.contains(scenario),
        "{said}"
    );
}

/// A folder of a platform team is checked while a developer waits.
#[test]
fn a_thousand_files_are_linted_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/rollouts/canary-istio.yaml")).unwrap();
    for index in 0..1_000 {
        let name = format!("service-{index}");
        std::fs::write(folder.path().join(format!("{name}.yaml")), text.replace("checkout", &name)).unwrap();
    }
    let output = glidepath(&["lint", folder.path().to_str().unwrap()]).assert().success().get_output().stdout.clone();
    let said = String::from_utf8(output).unwrap();
    assert_eq!(
        said,
        "0 errors, 0 warnings in 1000 files; 2000 objects of other kinds, checked only where a Rollout names them\n"
    );
}

#[test]
fn version_and_completions_are_printed() {
    let version = glidepath(&["version", "-o", "json"]).assert().success().get_output().stdout.clone();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&version).unwrap()["version"], env!("CARGO_PKG_VERSION"));
    // The first four ask the program, which knows the verbs; tests/it/completion.rs runs them. The others have them inside.
    for shell in ["bash", "zsh", "fish", "kubectl", "powershell", "elvish"] {
        let output = glidepath(&["completions", shell]).assert().success().get_output().stdout.clone();
        let inside = if ["powershell", "elvish"].contains(&shell) { "lint" } else { "__complete" };
        assert!(String::from_utf8(output).unwrap().contains(inside), "{shell}");
    }
    let verbs = glidepath(&["__complete", "li"]).assert().success().get_output().stdout.clone();
    assert_eq!(
        String::from_utf8(verbs).unwrap().lines().map(|line| line.split('\t').next().unwrap()).collect::<Vec<_>>(),
        ["list", "lint", ":4"]
    );
}

#[test]
fn what_strangers_feed_it_is_answered() {
    const HEAD: &str = "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec:\n  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n";
    let spec = |rest: &str| format!("{HEAD}{rest}");
    for (text, code, wanted) in [
        (String::new(), 1, "standard input:1:1  warning the file is empty"),
        ("# nothing\n".into(), 1, "the file is empty"),
        ("hello\n".into(), 1, "is not a Kubernetes object"),
        ("kind: ConfigMap\napiVersion: v1\n".into(), 1, "there is no Glidepath object in these files"),
        (
            "kind: Canary\napiVersion: flagger.app/v1beta1\n".into(),
            1,
            "2:1  warning apiVersion: a Canary of flagger.app/v1beta1 is Flagger's and is not checked; Glidepath's is Rollout of glidepath.dev/v1alpha1",
        ),
        ("kind: Rollout\n".into(), 1, "1:1  error   apiVersion: is missing; write glidepath.dev/v1alpha1"),
        (
            "kind: Rollout\napiVersion: argoproj.io/v1alpha1\n".into(),
            1,
            "a Rollout of argoproj.io/v1alpha1 is Argo Rollouts' and is not checked",
        ),
        (
            spec("\treplicas: 4\n"),
            1,
            "6:1  error   not readable as YAML: found character that cannot start any token, while scanning for the next token; indent with spaces, not with tabs",
        ),
        (
            spec("  strategy: {canary: {steps: [{setWieght: 5}]}}\n"),
            1,
            "6:32  error   spec.strategy.canary.steps[0].setWieght: unknown field; did you mean setWeight?\n1 error,",
        ),
        (
            spec("  strategy: {canry: {}}\n"),
            1,
            "6:14  error   spec.strategy.canry: unknown field; did you mean canary?\n1 error,",
        ),
        (format!("\u{feff}{}", spec("  strategy: {canary: {}}\n")), 0, "0 errors, 0 warnings in 1 file\n"),
        (
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- {}",
                spec("  strategy: {canry: {}}\n").trim_end().replace('\n', "\n  ")
            ),
            1,
            "9:16  error   spec.strategy.canry: unknown field",
        ),
    ] {
        let output = glidepath(&["lint", "-"]).write_stdin(text.clone()).assert().code(code).get_output().clone();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(wanted), "{text}\n{said}");
    }
}

/// The mistakes of whoever comes from another tool, one file each, and what is said of all of them at once.
#[test]
fn mistakes_of_newcomers_are_told_what_to_write() {
    let output = glidepath(&["lint", "tests/golden/lint/newcomers"]).assert().code(1).get_output().clone();
    golden("newcomers", &output.stdout);
}

#[test]
fn findings_and_plans_are_printed_as_yaml_and_plans_read_standard_input() {
    let output = glidepath(&["lint", "rollouts", "-o", "yaml"]).assert().success().get_output().stdout.clone();
    assert!(
        String::from_utf8(output)
            .unwrap()
            .starts_with("apiVersion: glidepath.dev/cli/v1\nkind: LintReport\nerrors: 0\n")
    );
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/rollouts/canary.yaml")).unwrap();
    for (format, wanted) in [
        ("yaml", "apiVersion: glidepath.dev/cli/v1\nkind: PlanReport\nplans:\n- rollout: checkout\n"),
        ("name", "rollout.glidepath.dev/checkout\n"),
    ] {
        let mut plan = glidepath(&["plan", "-", "-o", format]);
        let output = plan.write_stdin(text.clone()).assert().success().get_output().stdout.clone();
        assert!(String::from_utf8(output).unwrap().starts_with(wanted), "{format}");
    }
}

#[test]
fn without_a_cluster_every_verb_says_what_is_missing_and_ends_with_1() {
    for args in [
        "get",
        "status web",
        "explain web",
        "history web",
        "promote web",
        "undo web --write",
        "set image web a=b",
        "controller",
    ] {
        let words: Vec<&str> = args.split(' ').chain(["--kubeconfig", "no-such-file"]).collect();
        let output = glidepath(&words).assert().code(1).get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: cannot read a kubeconfig: no-such-file: "), "{args}: {said}");
    }
    let doctor = glidepath(&["doctor", "--kubeconfig", "no-such-file"]).assert().code(1).get_output().clone();
    let list = String::from_utf8(doctor.stdout).unwrap();
    assert!(list.starts_with("✗ cannot read a kubeconfig: no-such-file: "), "{list}");
}
