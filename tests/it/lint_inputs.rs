//! Files after public bug reports (Argo Rollouts, Flagger, Helm charts), and what `lint` and `plan` say about each.

use assert_cmd::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/lint/inputs");

fn glidepath(verb: &str) -> Command {
    let mut command = Command::cargo_bin("glidepath").unwrap();
    command.current_dir(FOLDER).arg(verb);
    command
}

/// What a verb prints about a file of the folder, and how it ends.
fn said(verb: &str, file: &str, code: i32) -> String {
    let output = glidepath(verb).arg(file).assert().code(code).get_output().clone();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

/// What `lint` says about a Rollout of this name with this below `spec`, and how it ends.
fn linted(name: &str, spec: &str, code: i32) -> String {
    let workload = "workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}";
    let head = "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout";
    let text = format!("{head}\nmetadata: {{name: {name}}}\nspec:\n  {workload}\n  {spec}\n");
    let output = glidepath("lint").arg("-").write_stdin(text).assert().code(code).get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

const CANARY: &str = "strategy: {canary: {steps: [{setWeight: 50}, {pause: {}}]}}";

// W5.
#[test]
fn w5_names_are_checked_with_those_that_are_derived_from_them() {
    let name_of_80 = said("lint", "name-of-80.yaml", 1);
    assert!(
        name_of_80.contains("name-of-80.yaml:4:12  error   metadata.name: ")
            && name_of_80.contains("no more than 63 characters, got 80: it is the value of the label"),
        "{name_of_80}"
    );
    said("lint", "name-of-48.yaml", 0);
    let mesh = |root: &str, more: &str| {
        format!(
            "services: {{root: {root}{more}}}\n  traffic: [{{istio: {{virtualServices: [{{name: web}}]}}}}]\n  {CANARY}"
        )
    };
    let (longest, longer) = ("r".repeat(56), "r".repeat(57));
    linted("web", &mesh(&longest, ""), 0);
    linted("web", &mesh(&longer, ", stable: a, canary: b"), 0);
    let long = linted("web", &mesh(&longer, ""), 1);
    for made in ["stable", "canary"] {
        let wanted = format!(
            "spec.services.root: the {made} Service made from it, \"{longer}-{made}\", would have 64 characters"
        );
        assert!(long.contains(&wanted), "{long}");
    }
    for (name, spec, wanted) in [
        ("Web_Shop", CANARY, "metadata.name: \"Web_Shop\" is invalid: a lowercase RFC 1123 subdomain must consist of"),
        ("wéb", CANARY, "metadata.name: \"wéb\" is invalid: a lowercase RFC 1123 subdomain must consist of"),
        ("web", &mesh("Web", ""), "spec.services.root: \"Web\" is invalid: a lowercase RFC 1123 label"),
    ] {
        let found = linted(name, spec, 1);
        assert!(found.contains(wanted) && found.contains("1 error,"), "{found}");
    }
}

// W6.
#[test]
fn w6_a_quoted_number_is_no_percentage() {
    let quoted = said("lint", "quoted-number-of-pods.yaml", 1);
    for (field, number) in [("maxSurge", "4"), ("maxUnavailable", "2")] {
        let wanted = format!(
            "spec.strategy.canary.{field}: \"{number}\" is not a percentage; write {number} for pods, or \"{number}%\""
        );
        assert!(quoted.contains(&wanted), "{quoted}");
    }
    let canary = |fields: &str| format!("strategy: {{canary: {{{fields}}}}}");
    for (fields, wanted) in [
        ("maxSurge: 4294967295", "spec.strategy.canary.maxSurge: must be at most 100000, got 4294967295"),
        ("maxUnavailable: \"-1\"", "spec.strategy.canary.maxUnavailable: \"-1\" is negative; write a number of pods"),
        ("maxUnavailable: \"101%\"", "spec.strategy.canary.maxUnavailable: 101% must not be greater than 100%"),
        ("minPodsPerRevision: 100001", "spec.strategy.canary.minPodsPerRevision: must be at most 100000, got 100001"),
        ("maxSurge: {}", "spec.strategy.canary.maxSurge: "),
    ] {
        let found = linted("web", &canary(fields), 1);
        assert!(found.contains(wanted) && found.contains("1 error,"), "{fields}\n{found}");
    }
    linted("web", &canary("maxSurge: \"200%\""), 0);
}

// W8.
#[test]
fn w8_numbers_in_a_pod_template_are_refused_where_they_stand() {
    let found = said("lint", "numbers-in-template.yaml", 1);
    let (template, container) = ("spec.template", "spec.template.spec.containers[0]");
    for wanted in [
        format!(
            "numbers-in-template.yaml:9:35   error   {template}.metadata.labels.version: must be a string (quote it), got 1.10\n"
        ),
        format!(
            "numbers-in-template.yaml:15:30  error   {container}.env[0].value: must be a string (quote it), got 8080\n"
        ),
        format!(
            "numbers-in-template.yaml:15:58  error   {container}.env[1].value: must be a string (quote it), got true\n"
        ),
        "3 errors, 0 warnings".to_owned(),
    ] {
        assert!(found.contains(&wanted), "{wanted}\n{found}");
    }
}

/// A template with one threshold, and a Rollout that uses it with these arguments.
fn with_arguments(args: &str, code: i32) -> String {
    let workload = "workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}";
    let head = "apiVersion: glidepath.dev/v1alpha1\nkind:";
    let template = "spec:\n  args: [{name: max}, {name: app, value: web}]\n  metrics:\n    - name: queue\n      threshold: {query: \"x{app=\\\"{{args.app}}\\\"}\", success: \"result < {{args.max}}\"}";
    let text = format!(
        "{head} AnalysisTemplate\nmetadata: {{name: t}}\n{template}\n---\n{head} Rollout\nmetadata: {{name: web}}\nspec:\n  {workload}\n  \
         analysis: {{templates: [{{name: t}}], args: [{args}]}}\n  strategy: {{canary: {{steps: [{{setWeight: 50}}, {{observe: {{}}}}]}}}}\n"
    );
    let output = glidepath("lint").arg("-").write_stdin(text).assert().code(code).get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

// W9.
#[test]
fn w9_arguments_are_resolved_as_the_controller_does() {
    with_arguments("{name: max, value: \"5\"}", 0);
    for (args, wanted) in [
        (
            "{name: app, value: a}, {name: max, value: 5%}",
            "standard input:15:80  error   spec.analysis.args[1].value: argument max is \"5%\": template t: \
             metrics[0].threshold.success: `result < 5%` is not a CEL condition",
        ),
        (
            "{name: max, value: \"\"}",
            "spec.analysis.args[0].value: argument max is \"\": template t: metrics[0].threshold.success: ",
        ),
        (
            "{name: mx, value: \"5\"}",
            "spec.analysis.args[0].name: args: no template has an argument mx; did you mean max?",
        ),
        ("", "spec.analysis.args: template t: argument max has no value; set it under args"),
        ("{name: \"größe\", value: \"5\"}", "spec.analysis.args[0].name: \"größe\" is not an argument's name"),
    ] {
        let found = with_arguments(args, 1);
        assert!(found.contains(wanted), "{args}\n{found}");
    }
    let unnamed = said("lint", "argument-name-not-put-in.yaml", 1);
    assert!(
        unnamed.contains(
            "argument-name-not-put-in.yaml:6:11  error   spec.args[0].name: \"größe\" is not an argument's name"
        ),
        "{unnamed}"
    );
}

// W11.
#[test]
fn w11_what_is_wrong_is_said_once_and_with_what_to_write() {
    let number = said("lint", "duration-is-a-number.yaml", 1);
    assert!(
        number.contains("spec.strategy.canary.steps[1].pause.duration: 10 is not a duration; write 10s or 10m\n"),
        "{number}"
    );
    let steps = |steps: &str| format!("strategy: {{canary: {{steps: [{steps}]}}}}");
    let duration = |duration: &str| steps(&format!("{{setWeight: 5}}, {{pause: {{duration: {duration}}}}}"));
    for (spec, wanted) in [
        (duration("\"10\""), "pause.duration: \"10\" is not a duration; write 10s"),
        (duration("400d"), "pause.duration: \"400d\" is longer than a year, which is the maximum"),
        (duration("{}"), "pause.duration: must be a duration like 90s, 5m or 1h30m, got a map of fields"),
        (duration("never"), "pause.duration: \"never\" "),
        (steps("{setWeight: .nan}"), "steps[0].setWeight: .nan cannot be represented in JSON; use a finite number"),
        (steps("{setWeight: .inf}"), "steps[0].setWeight: .inf cannot be represented in JSON"),
        (format!("x-defaults: {{}}\n  {CANARY}"), "spec.x-defaults: unknown field"),
        (
            format!("{CANARY}\nx-defaults: {{}}"),
            "error   x-defaults: unknown field; there is apiVersion, kind, metadata, spec, status",
        ),
    ] {
        let found = linted("web", &spec, 1);
        assert!(found.contains(wanted) && found.contains("\n1 error, 0 warnings"), "{spec}\n{found}");
    }
}

// What routes need: found before the first deploy, not in the middle of the second release.
#[test]
fn a_split_by_service_without_root_is_refused() {
    let traffic = "traffic: [{istio: {virtualServices: [{name: web}]}}]";
    for strategy in [CANARY, "strategy: {blueGreen: {activeService: a, previewService: b}}"] {
        for services in ["", "services: {stable: a, canary: b}\n  "] {
            let found = linted("web", &format!("{services}{traffic}\n  {strategy}"), 1);
            assert!(found.contains("services.root is required to split traffic by Service"), "{found}");
        }
    }
}

/// What `lint` says about these documents.
fn linted_text(text: &str, code: i32) -> String {
    let output = glidepath("lint").arg("-").write_stdin(text.to_owned()).assert().code(code).get_output().clone();
    String::from_utf8(output.stdout).unwrap()
}

// M4: an object that carries our labels is taken for ours.
#[test]
fn m4_our_labels_are_refused_in_services_and_workloads_of_the_user() {
    let service = |metadata: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: web{metadata}}}\nspec: {{selector: {{app: web, glidepath.dev/revision: x}}}}\n"
        )
    };
    let found = linted_text(&service(""), 1);
    assert!(
        found.contains(
            "4:29  error   spec.selector.glidepath.dev/revision: keys with glidepath.dev/ are reserved for Glidepath"
        ),
        "{found}"
    );
    for pinned in [
        ", annotations: {glidepath.dev/original-selector: x}",
        ", ownerReferences: [{apiVersion: glidepath.dev/v1alpha1, kind: Rollout, name: web}]",
    ] {
        let found = linted_text(&service(pinned), 1);
        assert!(found.starts_with("0 errors, 0 warnings"), "nothing of ours is checked: {found}");
    }
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web, glidepath.dev/rollout: web}}\n  template: {metadata: {labels: {app: web, glidepath.dev/rollout: web}}}\n";
    let found = linted_text(deployment, 1);
    for path in
        ["spec.selector.matchLabels.glidepath.dev/rollout", "spec.template.metadata.labels.glidepath.dev/rollout"]
    {
        assert!(found.contains(path), "{found}");
    }
}

// L1.
#[test]
fn l1_escape_sequences_of_a_file_are_never_printed_raw() {
    let text = "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {name: \"we\\u001b[31mb\", \"\\u001b]0;x\\u0007\": 1}\nspec:\n  \"\\u001b[2Jkey\": 1\n  \"\\u202ekey\": 1\n  replicas: \"\\u001b[2J\\u009b\"\n  strategy: {canary: {}}\n";
    for args in [
        vec!["lint", "-"],
        vec!["lint", "-", "--color", "always"],
        vec!["lint", "-", "-o", "json"],
        vec!["lint", "-", "-o", "yaml"],
        vec!["plan", "-"],
    ] {
        let mut command = Command::cargo_bin("glidepath").unwrap();
        let output = command.args(&args).write_stdin(text).assert().failure().get_output().clone();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        let raw = ["\u{1b}[2J", "\u{1b}]0", "\u{7}", "\u{9b}", "\u{202e}"];
        assert!(!raw.iter().any(|raw| said.contains(raw)), "{args:?}\n{said:?}");
        // YAML has a short form of its own.
        let shown = if args.contains(&"yaml") { "\\e[2J" } else { "\\u001b[2J" };
        assert!(said.contains(shown), "{args:?}\n{said}");
    }
}
