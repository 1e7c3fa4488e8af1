//! The program on files made to exhaust it: no more than 10 seconds, no more than 500 MB, an orderly end that says why.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::longest;

const MOST_MEMORY: u64 = 500 << 20;

const HEAD: &str = "apiVersion: glidepath.dev/v1alpha1\nkind: ";
const SPEC: &str = "  selector: {matchLabels: {app: web}}\n  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, \
                    image: \"web:1\"}]}}\n  strategy: {canary: {steps: [{setWeight: 50}]}}\n";

fn rollout(name: &str, more: &str) -> String {
    format!("{HEAD}Rollout\nmetadata: {{name: {name}}}\nspec:\n{SPEC}{more}")
}

fn scenario(world: &str, timeline: &str) -> String {
    let object: String = rollout("web", "").lines().map(|line| format!("    {line}\n")).collect();
    format!("{HEAD}Scenario\nobjects:\n  -\n{object}world: {world}\ntimeline: [{timeline}]\n")
}

/// How a run of the program ended.
struct Ended {
    code: Option<i32>,
    took: Duration,
    memory: u64,
    said: String,
}

/// Runs the program, and looks at its largest resident size every few milliseconds.
fn glidepath(args: &[&str]) -> Ended {
    let said = tempfile::NamedTempFile::new().unwrap();
    let both = || Stdio::from(said.reopen().unwrap());
    let errors = tempfile::NamedTempFile::new().unwrap();
    let begin = Instant::now();
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("glidepath"))
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(both())
        .stderr(Stdio::from(errors.reopen().unwrap()))
        .spawn()
        .unwrap();
    let (mut memory, mut took) = (0, Duration::ZERO);
    let code = loop {
        memory = memory.max(peak(&child));
        took = took.max(processor_time(&child));
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        if took > longest() * 2 || begin.elapsed() > longest() * 30 {
            child.kill().unwrap();
            break child.wait().unwrap().code();
        }
        std::thread::sleep(Duration::from_millis(3));
    };
    let said = [said, errors].map(|file| std::fs::read(file.path()).unwrap()).concat();
    Ended { code, took, memory, said: String::from_utf8_lossy(&said).into_owned() }
}

/// VmHWM of a process, in bytes.
fn peak(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) << 10
}

/// What a process has had of the processors: the machine may be busy with other tests.
fn processor_time(child: &Child) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// A name, the verbs that read it, the text, and what must be said.
type Input = (&'static str, &'static [&'static str], String, &'static str);

const ALL: &[&str] = &["lint", "plan", "scenario", "file", "local"];

fn texts_by_aliases() -> String {
    format!("a: &a {}\nb: [{}]\n", "x".repeat(900_000), vec!["*a"; 30_000].join(","))
}

fn laughs() -> String {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..40 {
        let _ = writeln!(text, "a{level}: &a{level} [{}]", vec![format!("*a{}", level - 1); 10].join(","));
    }
    text
}

fn list(entry: &str, number: usize) -> String {
    let entry: String =
        entry.lines().enumerate().map(|(at, line)| format!("{}{line}\n", if at == 0 { "- " } else { "  " })).collect();
    format!("apiVersion: v1\nkind: List\nitems:\n{}", entry.repeat(number))
}

/// Those that the review names.
fn named() -> Vec<Input> {
    let rollouts = (0..500).map(|number| rollout(&format!("web-{number}"), "")).collect::<Vec<_>>();
    let list = rollouts.iter().fold("apiVersion: v1\nkind: List\nitems:\n".to_owned(), |list, rollout| {
        let lines = rollout.lines().enumerate().map(|(at, line)| (if at == 0 { "- " } else { "  " }, line));
        lines.fold(list, |list, (indent, line)| list + indent + line + "\n")
    });
    let behind = format!("{}---\n{}", "\n".repeat(1_000), rollout("web", "")).repeat(900);
    vec![
        ("texts by aliases", ALL, texts_by_aliases(), "the strings of the document have more than 8 MiB"),
        ("aliases of aliases", ALL, laughs(), "has more than 400000 values"),
        ("500 Rollouts in a list", &["lint"], list, "0 errors"),
        ("500 Rollouts", &["lint", "plan"], rollouts.join("---\n"), ""),
        ("900 documents behind empty lines", &["lint"], behind, "there are two objects Rollout \"web\""),
        ("100,000 brackets", ALL, "[".repeat(100_000), "nests more than 100 levels deep"),
        ("100,000 braces", ALL, "{a: ".repeat(100_000), "nests more than 100 levels deep"),
        ("100,000 dashes", ALL, "- ".repeat(100_000), "nests more than 100 levels deep"),
        (
            "a scale beyond u32",
            &["lint", "scenario"],
            scenario("{}", "{scale: 4294967295}"),
            "must be at most 100000, got",
        ),
    ]
}

/// Their kind.
fn alike() -> Vec<Input> {
    let deployment = format!(
        "{HEAD}Rollout\nmetadata: {{name: web}}\nspec:\n  workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}\n  \
         strategy: {{canary: {{}}}}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec: {{replicas: 4294967295}}\n"
    );
    let many: String = (0..150_000).fold(String::new(), |all, number| all + "  f" + &number.to_string() + ": 1\n");
    let steps = format!("[{}]", "{setWeight: 5},".repeat(100_000));
    let stepped = rollout("web", "").replace("[{setWeight: 50}]", &steps);
    let ordinary = "- name: checkout\n  image: registry.example.com/shop/checkout:1.0.3\n  replicas: 3\n  labels:\n    app.kubernetes.io/name: \
                    checkout\n  env: [{name: LOG_LEVEL, value: debug}, {name: REGION, value: eu-central-1}]\n";
    let document = ordinary.repeat((4 << 20) / ordinary.len() - 1);
    let maps = format!("[{}{{}}]\n---\n", "{a: {a: 1}},".repeat(79_000));
    let year = "{after: 366d, expect: {phase: Healthy}},".repeat(20);
    vec![
        (
            "a Rollout's replicas",
            &["lint", "plan", "file"],
            rollout("web", "  replicas: 4294967295\n"),
            "must be at most 100000, got 4294967295",
        ),
        ("a Deployment's replicas", &["file"], deployment, "4294967295 is not a number of pods from 0 to 100000"),
        (
            "a patch beyond u32",
            &["scenario"],
            scenario("{}", "{patch: {spec: {replicas: 4294967295}}}"),
            "is not a number of pods",
        ),
        (
            "100,000 pods for a day",
            &["scenario"],
            scenario("{}", "{scale: 100000},{after: 1d, expect: {phase: Healthy}}"),
            "more than is simulated",
        ),
        ("100,000 pods for a table", &["file"], rollout("web", "  replicas: 100000\n"), "more than is simulated"),
        ("20 years", &["scenario"], scenario("{traffic: {rps: 1000000}}", &year), "more than is simulated"),
        (
            "10,000 deploys",
            &["scenario"],
            scenario(
                "{}",
                &(0..9_999)
                    .fold(String::new(), |all, n| all + &format!("{{after: 1s, deploy: {{image: \"a:{n}\"}}}},")),
            ),
            "more than is simulated",
        ),
        (
            "20,000 entries",
            &["lint", "scenario"],
            scenario("{}", &"{scale: 1},".repeat(20_000)),
            "has 20000 entries, more than is allowed",
        ),
        ("150,000 unknown fields", &["lint", "plan"], rollout("web", &many), "unknown field"),
        ("100,000 steps", &["lint", "plan", "file"], stepped, "has 100000 entries, more than is allowed"),
        (
            "values of 3 MiB in one list",
            &["lint"],
            format!("[{}1]", "1,".repeat(1_500_000)),
            "has more than 400000 values",
        ),
        ("a line of 3 MiB", &["lint"], "x".repeat(3 << 20), "a string has more than 1 MiB"),
        (
            "a long name of a kind",
            &["lint"],
            format!("{HEAD}{}\nmetadata: {{name: a}}\n", "x".repeat(900_000)),
            "unknown kind",
        ),
        ("10,000 empty Rollouts in a list", &["lint"], list(&rollout("web", ""), 9_990), "two objects"),
        ("a document of 5 MiB", &["lint", "plan"], document.clone() + &document, "more than the limit of 4 MiB"),
        ("25 MiB of comments", &["lint", "plan"], "#\n".repeat(25 << 19), "exceeds 24 MiB"),
        ("a million small maps", &["lint"], maps.repeat(8), "check them in several invocations"),
        ("20 MiB of ordinary documents", &["lint"], vec![document; 5].join("---\n"), "0 errors, 5 warnings"),
    ]
}

#[test]
fn hostile_files_take_no_more_than_ten_seconds_and_500_mb() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let mut wrong = String::new();
    for (name, verbs, text, wanted) in named().into_iter().chain(alike()) {
        let file = folder.path().join("hostile.yaml");
        std::fs::write(&file, text).unwrap();
        for verb in verbs {
            let ended = glidepath(&arguments(verb, &file, &state).iter().map(String::as_str).collect::<Vec<_>>());
            let line = format!("{name}, {verb}: {:?} after {:.1?}, {} MB", ended.code, ended.took, ended.memory >> 20);
            println!("{line}");
            let orderly = matches!(ended.code, Some(0..=2)) && !ended.said.contains("panicked");
            if !orderly || ended.took > longest() || ended.memory > MOST_MEMORY || !ended.said.contains(wanted) {
                let said: String = ended.said.chars().take(600).collect();
                let _ = writeln!(wrong, "{line}, wanted \"{wanted}\":\n{said}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

fn arguments(verb: &str, file: &Path, state: &str) -> Vec<String> {
    let file = file.display().to_string();
    let addresses = "--stable http://127.0.0.1:1 --canary http://127.0.0.1:2 --listen 127.0.0.1:0 --state-dir";
    let words = match verb {
        "scenario" => format!("simulate --scenario {file}"),
        "file" => format!("simulate -f {file} --runs 1"),
        "local" => format!("local -f {file} {addresses} {state}"),
        _ => format!("{verb} {file}"),
    };
    words.split(' ').map(str::to_owned).collect()
}
