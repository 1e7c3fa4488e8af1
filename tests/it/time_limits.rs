//! Commands against API servers that do not answer, or answer a little: every wait has its end, and says how it ended.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// An API server on loopback; `answer` writes what follows a request for a path, and the connection stays open.
struct Server {
    folder: TempDir,
}

impl Server {
    fn start(answer: fn(&str) -> String) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                thread::spawn(move || serve(stream.unwrap(), answer));
            }
        });
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a", "users": [{"name": "a", "user": {}}],
            "clusters": [{"name": "a", "cluster": {"server": url}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a", "namespace": "shop"}}],
        });
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), config.to_string()).unwrap();
        Server { folder }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("config")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_glidepath"));
        command.args(line.split_whitespace()).arg("--kubeconfig").arg(self.config()).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Exit code, what it said, and how long it took.
    fn run(&self, line: &str) -> (i32, String, Duration) {
        let began = Instant::now();
        let output = self.command(line).output().unwrap();
        (output.status.code().unwrap(), said(&output), began.elapsed())
    }
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

fn serve(mut stream: TcpStream, answer: fn(&str) -> String) {
    let mut request = String::new();
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut bytes) {
        request += &String::from_utf8_lossy(&bytes[..read]);
        if request.contains("\r\n\r\n") {
            let path = request.split(' ').nth(1).unwrap().to_owned();
            request.clear();
            stream.write_all(answer(&path).as_bytes()).unwrap();
        }
    }
}

fn whole(body: &Value) -> String {
    let body = body.to_string();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// A release at a weight, with its steps still to come, or promoted.
fn rollout(promoted: bool) -> Value {
    let revision = |id: &str, number: u64| json!({"id": id, "number": number});
    let stable = if promoted { revision("v2", 2) } else { revision("v1", 1) };
    let idle = json!({"idle": {"since": "2026-01-01T00:00:00Z"}});
    let since = "2026-01-01T00:00:00Z";
    let stepping = json!({"stepping": {"step": 0, "clock": {"since": since}, "release": {"since": since}}});
    json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop", "uid": "u", "generation": 1, "resourceVersion": if promoted { "2" } else { "1" }},
        "spec": {
            "replicas": 1, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:2"}]}},
            "strategy": {"canary": {"steps": [{"setWeight": 50}]}},
        },
        "status": {
            "observedGeneration": 1, "phase": if promoted { "Healthy" } else { "Progressing" }, "reason": "", "message": "",
            "stableRevision": stable, "currentRevision": revision("v2", 2),
            "state": if promoted { idle } else { stepping },
        },
    })
}

/// A release that does not progress: the watch is open, and nothing comes.
fn in_progress(path: &str) -> String {
    match (path.contains("watch=true"), path.contains("/rollouts/")) {
        (true, _) => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        (_, true) => whole(&rollout(false)),
        _ => whole(&json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": "1"}, "items": []})),
    }
}

/// A release that is promoted while it is watched.
fn promoted(path: &str) -> String {
    if !path.contains("watch=true") {
        return in_progress(path);
    }
    let event = json!({"type": "MODIFIED", "object": rollout(true)}).to_string() + "\n";
    in_progress(path) + &format!("{:x}\r\n{event}\r\n", event.len())
}

/// A server of another kind.
fn page(_: &str) -> String {
    let body = format!(
        "<!doctype html><html><head><title>Sign in</title></head><body>{}</body></html>",
        "word ".repeat(5_000)
    );
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn page_not_found(path: &str) -> String {
    page(path).replacen("200 OK", "404 Not Found", 1)
}

fn other_json(_: &str) -> String {
    whole(&json!({"ok": true, "items": []}))
}

fn never(_: &str) -> String {
    String::new()
}

/// The head of an answer, and the body never.
fn only_the_head(_: &str) -> String {
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{".to_owned()
}

#[test]
fn the_limit_of_a_wait_covers_reading() {
    for (name, answer) in [("never", never as fn(&str) -> String), ("only the head", only_the_head)] {
        let server = Server::start(answer);
        for line in [
            "status web --wait --timeout 1s",
            "status web --watch --timeout 1s",
            "set image web web=web:2 --wait --timeout 1s",
        ] {
            let (code, text, took) = server.run(line);
            assert_eq!(code, 11, "{name}: {line}: {text}");
            assert!(text.contains("not done after 1s: no response from the API server at http://127.0.0.1"), "{text}");
            assert!(took < Duration::from_secs(10), "{name}: {line} took {took:?}");
        }
    }
}

#[test]
fn each_call_has_its_own_limit() {
    for answer in [never as fn(&str) -> String, only_the_head] {
        let server = Server::start(answer);
        for line in ["get", "status web", "promote web", "doctor", "undo web --write"] {
            let (code, text, took) = server.run(&format!("{line} --request-timeout 1"));
            assert_eq!(code, 1, "{line}: {text}");
            assert!(text.contains("no response within 1s"), "{line}: {text}");
            assert!(took < Duration::from_secs(10), "{line} took {took:?}");
        }
    }
    let (code, text, _) = Server::start(never).run("get --request-timeout soon");
    assert!(code == 2 && text.contains("\"soon\" is not a duration"), "{text}");
}

#[test]
fn a_server_that_is_not_kubernetes_is_said_to_be_none() {
    for answer in [page as fn(&str) -> String, page_not_found, other_json] {
        let server = Server::start(answer);
        for line in
            ["get", "get runs", "get web", "status web", "abort web", "describe run a", "set image web a=b", "doctor"]
        {
            let (code, text, _) = server.run(line);
            assert_eq!(code, 1, "{line}: {text}");
            assert!(text.contains("does not answer as a Kubernetes API server: it answered"), "{line}: {text}");
            assert!(!text.contains("CRD") && text.len() < 1_000, "{line}: {text}");
        }
    }
    let (_, text, _) = Server::start(page_not_found).run("get");
    assert!(text.contains("it answered 404 with an HTML page, \"Sign in\""), "{text}");
    let (code, text, _) = Server::start(page).run("abort deployment/web");
    assert!(code == 2 && text.contains("\"deployment/web\" is an object of another kind"), "{text}");
}

#[tokio::test]
async fn a_wait_that_times_out_or_is_interrupted_says_that_the_release_continues() {
    let server = Server::start(in_progress);
    let config = server.config();
    let follow = format!(
        "the rollout continues, follow it with 'glidepath status web --kubeconfig {} --watch'",
        config.display()
    );
    let (code, text, _) = server.run("status web --wait --timeout 1s");
    assert!(code == 11 && text.contains("web: not done after 1s: ") && text.contains(&follow), "{code} {text}");
    for line in ["status web --wait", "status web --watch"] {
        let waiting = server.command(line).spawn().unwrap();
        sleep(Duration::from_secs(1)).await;
        let interrupt = Command::new("kill").args(["-INT", &waiting.id().to_string()]).status().unwrap();
        assert!(interrupt.success());
        let output = waiting.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert!(said(&output).contains(&follow), "{}", said(&output));
    }
}

#[test]
fn a_watch_prints_an_object_for_every_change() {
    let server = Server::start(promoted);
    let output = server.command("status web --watch -o json").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let objects = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let phases: Vec<String> = objects.map(|object| object.unwrap()["phase"].as_str().unwrap().to_owned()).collect();
    assert_eq!(phases, ["Progressing", "Healthy"], "the output is objects and nothing else, one for each change");
    assert!(String::from_utf8_lossy(&output.stderr).contains("web: #2 is stable"));

    let last = server.command("status web --wait -o json").output().unwrap();
    let object: Value = serde_json::from_slice(&last.stdout).unwrap();
    assert_eq!((last.status.code(), object["phase"].as_str()), (Some(0), Some("Healthy")));

    let (code, text, _) = server.run("status web --watch -o name");
    assert!(code == 2 && text.contains("use -o table, wide, json or yaml"), "{text}");
}
