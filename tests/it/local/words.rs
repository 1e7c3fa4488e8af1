//! What is typed around `--local`, AnalysisRuns and templates, with the real program.

use std::{
    path::Path,
    process::{Command, Output},
};

use glidepath::local::traffic::{Traffic, Users};

use super::{
    bench::{Bench, Local, Service},
    judged,
};

fn program(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_glidepath"));
    command.env_remove("KUBECONFIG").env("NO_COLOR", "1").env("HOME", home).env("XDG_STATE_HOME", home);
    command
}

fn said(home: &Path, words: &str) -> (i32, String) {
    let Output { status, stdout, stderr } = program(home).args(words.split_whitespace()).output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (status.code().unwrap_or(-1), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_around_local_are_read_as_they_were_meant() {
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let (bench, home) = (Bench::new(&judged()), tempfile::tempdir().unwrap());
    let mut start = program(home.path());
    start.args(["local", "--stable", &first.url(), "--canary", &second.url(), "--listen", "127.0.0.1:0", "-f"]);
    start.arg(bench.file());
    let mut local = Local::start(start);
    local.until("revision #1 is stable: first deploy");

    let (code, list) = said(home.path(), "--local get");
    assert!(code == 0 && list.starts_with("NAME ") && list.contains("\nweb "), "{list}");
    let steps = "\n  steps ";
    for words in [
        "status --local",
        "status --local web",
        "--local web status",
        "describe web --local",
        "status --local rollout/web",
    ] {
        let (code, screen) = said(home.path(), words);
        assert!(code == 0 && screen.starts_with("web ") && screen.contains(steps), "{words}: {screen}");
    }
    for (words, code, told) in [
        ("status --local nope", 1, "Rollout \"nope\" not found in namespace \"default\"; there are: web"),
        ("status --local=nope", 1, "was never started; running now: web"),
        ("abort --local web", 1, "web: abort refused"),
        ("abort --local nope", 1, "Rollout \"nope\" not found"),
        ("abort web nope --local", 1, "web: abort refused"),
        ("get web nope --local", 1, "error: Rollout \"nope\" not found"),
        ("get pods --local", 1, "use 'kubectl get pods'"),
        ("lint --local x.yaml", 2, "note: \"x.yaml\" was read as the value of --local"),
        ("set image --local web=web:v2 --dry-run=server", 0, "web: image set, web=web:v2 (server dry run)"),
        ("get web --local -o jsonpath={.status.currentRevision.number}/{.status.phase}", 0, "1/Healthy"),
    ] {
        let (was, text) = said(home.path(), words);
        assert!(was == code && text.contains(told), "{words}: {was} {text}");
    }

    let users = Traffic::start(local.address(), Users::at(200));
    let (code, text) = said(home.path(), "set image --local web=web:v2 --wait --timeout 2m");
    assert_eq!(code, 0, "{text}");
    users.stop().await;
    let (_, name) = said(home.path(), "get runs --local -o jsonpath={.items[0].metadata.name}");
    let (_, runs) = said(home.path(), "get runs --local");
    assert!(runs.contains(&format!("\n{name} ")) && runs.starts_with("NAME "), "{name}: {runs}");
    let (code, run) = said(home.path(), &format!("describe run {name} --local"));
    assert!(code == 0 && run.contains("\n  METRIC ") && run.contains("\n  errors "), "{run}");
    assert_eq!(said(home.path(), "describe run nope --local").0, 1);
    local.end();
}

/// What is pasted from an error must ask the same server as the command did.
#[test]
fn an_error_hints_with_the_options_that_were_typed() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("prod.yaml");
    let config = "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], users: [{name: a, \
                  user: {}}], contexts: [{name: a, context: {cluster: a, user: a}}], current-context: a}";
    std::fs::write(&file, config).unwrap();
    let options = format!("-n shop --context a --kubeconfig {}", file.display());
    let (code, text) = said(home.path(), &format!("status web {options}"));
    assert!(code == 1 && text.contains(&format!("; 'glidepath doctor {options}' checks the connection")), "{text}");
}
