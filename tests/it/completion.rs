//! Completion as users meet it: each shell reads its script, asks the program, which asks an API server, and offers what the
//! server has. A shell that is not installed is named on standard error; `GLIDEPATH_ALL_SHELLS=1` makes that a failure.

mod shells;

use std::{fs, os::unix::fs::symlink, path::Path, process::Command, time::Duration};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use shells::{SHELLS, Shell};

/// A folder with the program under both of its names, and a kubeconfig.
pub struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new(server: &str) -> Desk {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(desk.path().join("bin")).unwrap();
        for name in ["glidepath", "kubectl-glidepath"] {
            symlink(env!("CARGO_BIN_EXE_glidepath"), desk.path().join("bin").join(name)).unwrap();
        }
        let context =
            |name: &str| json!({ "name": name, "context": { "cluster": "c", "user": "u", "namespace": "shop" } });
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "prod",
            "clusters": [{ "name": "c", "cluster": { "server": server } }], "users": [{ "name": "u", "user": {} }],
            "contexts": [context("prod"), context("arn:aws:eks/eu"), context("arn:aws:eks/us")],
        });
        fs::write(desk.path().join("kubeconfig"), config.to_string()).unwrap();
        desk
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A program that finds ours on its PATH, and the server by its kubeconfig.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        let rest = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}/bin:{rest}", self.path().display()));
        command.env("KUBECONFIG", self.path().join("kubeconfig"));
        command.env("XDG_STATE_HOME", self.path()).env("TERM", "dumb").current_dir(self.path());
        // All tests at once on a small machine are slower than a user's Tab may be.
        command.env("GLIDEPATH_COMPLETION_TIMEOUT", "60s");
        command
    }

    /// What the program itself answers, with the line of directives.
    fn asked(&self, words: &[&str]) -> String {
        let output = self.program("glidepath").arg("__complete").args(words).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn set(number: u32, image: &str) -> Value {
    json!({
        "metadata": { "name": format!("checkout-{number}"), "annotations": { "glidepath.dev/number": number.to_string() } },
        "spec": { "selector": {}, "template": { "spec": { "containers": [{ "name": "app", "image": image }] } } },
    })
}

/// Two Rollouts in one of two namespaces.
async fn server() -> MockServer {
    let server = MockServer::start().await;
    let ours = "/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts";
    let object = |name: &str| json!({ "metadata": { "name": name } });
    let list = |items: &[Value]| json!({ "metadata": {}, "items": items });
    let steps = json!([{ "setWeight": 25 }, { "pause": {} }, { "setWeight": 50 }]);
    let rollout = json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
        "metadata": { "name": "checkout", "namespace": "shop" }, "spec": { "strategy": { "canary": { "steps": steps } } },
    });
    for (at, body) in [
        ("/api/v1/namespaces", list(&[object("shop"), object("search")])),
        (ours, list(&[object("checkout"), object("chat"), object("web")])),
        ("/apis/glidepath.dev/v1alpha1/namespaces/shop/rollouts/checkout", rollout),
        ("/apis/glidepath.dev/v1alpha1/namespaces/shop/analysisruns", list(&[object("checkout-42"), object("web-7")])),
        ("/apis/apps/v1/namespaces/shop/replicasets", list(&[set(3, "app:3"), set(11, "app:11")])),
    ] {
        let found = ResponseTemplate::new(200).set_body_json(body);
        Mock::given(path(at)).respond_with(found).mount(&server).await;
    }
    server
}

/// Lines with the cursor at their end, and every word that is offered there.
const OFFERED: [(&str, &[&str]); 17] = [
    ("glidepath prom", &["promote"]),
    ("glidepath status -o ya", &["yaml"]),
    ("glidepath status ", &["checkout", "chat", "web"]),
    ("glidepath abort ch", &["checkout", "chat"]),
    ("glidepath promote rollout/che", &["rollout/checkout"]),
    ("glidepath explain checkout ", &[]),
    ("glidepath abort checkout ", &["chat", "web"]),
    ("glidepath get runs checkout-4", &["checkout-42"]),
    ("glidepath describe run/web", &["run/web-7"]),
    ("glidepath get checkout ch", &["chat"]),
    ("glidepath get -n s", &["shop", "search"]),
    ("glidepath --context arn:aws:eks/", &["arn:aws:eks/eu", "arn:aws:eks/us"]),
    ("glidepath status --context=p", &["--context=prod"]),
    ("glidepath promote checkout --to-step ", &["1", "2", "3"]),
    ("glidepath undo checkout --to-revision ", &["11", "3"]),
    ("glidepath undo -n other checkout --to-revision ", &[]),
    ("kubectl-glidepath explain w", &["web"]),
];

async fn check(shell: &Shell) {
    let server = server().await;
    let desk = Desk::new(&server.uri());
    if !shell.is_installed(&desk) {
        return;
    }
    for (line, wanted) in OFFERED {
        let mut offered = shell.offers(&desk, line);
        let mut wanted: Vec<String> = wanted.iter().map(|word| (*word).to_owned()).collect();
        if !shell.keeps_order {
            offered.sort();
            wanted.sort();
        }
        assert_eq!(offered, wanted, "{}: {line}", shell.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bash_completes_names_from_the_server() {
    check(&SHELLS[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn zsh_completes_names_from_the_server() {
    check(&SHELLS[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fish_completes_names_from_the_server() {
    check(&SHELLS[2]).await;
}

/// kubectl runs the script with the words after `kubectl glidepath` and reads the answer as it reads its own.
#[tokio::test(flavor = "multi_thread")]
async fn kubectl_completes_the_plugin_by_the_script() {
    let server = server().await;
    let desk = Desk::new(&server.uri());
    let script = desk.program("glidepath").args(["completions", "kubectl"]).output().unwrap().stdout;
    fs::write(desk.path().join("kubectl_complete-glidepath"), script).unwrap();
    let answer =
        desk.program("sh").args(["kubectl_complete-glidepath", "undo", "checkout", "--to-revision", ""]).output();
    assert_eq!(String::from_utf8(answer.unwrap().stdout).unwrap(), "11\tapp:11\n3\tapp:3\n:4\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_offered_says_what_it_is() {
    let server = server().await;
    let desk = Desk::new(&server.uri());
    assert_eq!(desk.asked(&["promote", "checkout", "--to-step", ""]), "1\t25 %\n2\tpause\n3\t50 %\n:4\n");
    assert_eq!(desk.asked(&["--context", "p"]), "prod\tcluster c, namespace shop\n:4\n");
    let options = desk.asked(&["status", "--wat"]);
    assert!(options.starts_with("--watch\t"), "{options}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_running_local_rollouts_are_offered() {
    let desk = Desk::new("http://127.0.0.1:1");
    let open = |name: &str| glidepath::local::site::folder::Folder::open(&desk.path().join("glidepath").join(name));
    let (_api, web) = (open("api").unwrap(), open("web").unwrap());
    assert_eq!(desk.asked(&["status", "--local", "w"]), "web\n:4\n");
    drop(web);
    assert_eq!(desk.asked(&["status", "--local="]), "--local=api\n:4\n", "web has ended");
}

/// A server that accepts and never answers, one that is not there, no kubeconfig: each is nothing to offer, and no noise.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_neither_hangs_the_shell_nor_writes_into_it() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let desk = Desk::new(&format!("http://{}", silent.local_addr().unwrap()));
    for words in [vec!["status", ""], vec!["get", "-n", ""]] {
        let mut program = desk.program("glidepath");
        program.env_remove("GLIDEPATH_COMPLETION_TIMEOUT").arg("__complete").args(words);
        let output = assert_cmd::Command::from_std(program).timeout(Duration::from_secs(60)).output().unwrap();
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b":4\n"[..], &b""[..]));
    }
    assert_eq!(Desk::new("http://127.0.0.1:1").asked(&["abort", ""]), ":4\n");
    fs::remove_file(desk.path().join("kubeconfig")).unwrap();
    assert_eq!(desk.asked(&["status", ""]), ":4\n");
    assert_eq!(desk.asked(&["--context", ""]), ":4\n");
}
