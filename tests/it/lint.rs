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
    assert_eq!(said, "0 errors, 0 warnings in 1 file; 2 objects of other kinds not checked\n");
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    for (args, wanted) in [
        (vec!["lint", "no-such-folder"], "cannot read no-such-folder"),
        (vec!["lint", "src/api"], "there is no .yaml, .yml or .json file in src/api"),
        (vec!["plan", "no-such-file.yaml"], "cannot read no-such-file.yaml"),
        (vec!["plan", "rollouts"], "rollouts is a folder"),
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
        said.contains("fields.yaml:12:7: spec.template.metadata.labels: ") && said.ends_with("checks it\n"),
        "{said}"
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
        ("kind: ConfigMap\napiVersion: v1\n".into(), 0, "there is no Glidepath object in these files"),
        ("kind: Rollout\n".into(), 1, "1:1  error   apiVersion: is missing; write glidepath.dev/v1alpha1"),
        (
            "kind: Rollout\napiVersion: argoproj.io/v1alpha1\n".into(),
            1,
            "a Rollout of argoproj.io/v1alpha1 is not checked",
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

#[test]
fn findings_and_plans_are_printed_as_yaml_and_plans_read_standard_input() {
    let output = glidepath(&["lint", "rollouts", "-o", "yaml"]).assert().success().get_output().stdout.clone();
    assert!(String::from_utf8(output).unwrap().starts_with("errors: 0\n"));
    let text = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/rollouts/canary.yaml")).unwrap();
    for (format, wanted) in [("yaml", "- rollout: checkout\n"), ("name", "rollout.glidepath.dev/checkout\n")] {
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
