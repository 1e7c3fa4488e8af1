//! The walk-through of docs/local.md is what happens: each of its commands is given, and every line that it shows is printed.
//!
//! Ports, the folder and the time differ, and the windows are shortened; the services are the tests' own.

use std::collections::BTreeMap;

use glidepath::local::traffic::{Traffic, Users};
use regex::Regex;

use super::bench::{Bench, Local, Service, get};

/// A command with the lines that the page shows under it.
struct Command {
    line: String,
    shown: Vec<String>,
}

fn commands(page: &str) -> Vec<Command> {
    let mut found: Vec<Command> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (line.strip_prefix("```"), line.strip_prefix("$ ")) {
            (Some(language), _) => inside = language == "console",
            (None, Some(command)) if inside => found.push(Command { line: command.to_owned(), shown: Vec::new() }),
            (None, None) if inside => found.last_mut().unwrap().shown.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

/// A line without what differs from one run to the next: numbers, times, the state folder, the width of columns.
fn plain(line: &str) -> String {
    let mut text = line.to_owned();
    for (pattern, with) in [
        (r"state /.*$", "state"),
        (r"\b\d+[smhd](\d+[smhd])*( ago)?\b", "T"),
        (r"\d\d:\d\d:\d\d", "T"),
        (r"\d[\d.,]*(e-\d+)?", "N"),
        (r"[<≤] ?N", "N"),
        (r" +", " "),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    text.trim().to_owned()
}

/// Every line that the page shows is printed, in its order.
fn prints(command: &Command, printed: &str) {
    let mut lines = printed.lines().map(plain);
    for shown in &command.shown {
        let found = lines.any(|line| line == plain(shown));
        assert!(found, "`{}` does not print `{}`:\n{printed}", command.line, plain(shown));
    }
}

/// The example's file at the speed of a test.
fn quick() -> String {
    let file = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/local/rollout.yaml")).unwrap();
    let mut text = file;
    for (slow, quick) in [
        ("window: 5s", "window: 1s"),
        ("warmUp: 5s", "warmUp: 1s"),
        ("duration: 10s", "duration: 2s"),
        ("atLeast: 5s", "atLeast: 1s"),
        ("scaleDownDelay: 5s", "scaleDownDelay: 0s"),
    ] {
        assert!(text.contains(slow), "the example has no {slow} any more");
        text = text.replace(slow, quick);
    }
    text
}

#[derive(Default)]
struct Played {
    services: BTreeMap<String, Service>,
    local: Option<Local>,
    users: Option<Traffic>,
    last: String,
}

impl Played {
    /// `service.py PORT VERSION [ERRORS]`.
    async fn serve(&mut self, port: &str, version: &str, errors: Option<&str>) {
        let version: &'static str = version.to_owned().leak();
        let bad_every = errors.map_or(0, |share| (1.0 / share.parse::<f64>().unwrap()) as u64);
        match self.services.get_mut(port) {
            Some(service) => service.restart(version, bad_every).await,
            None => drop(self.services.insert(port.to_owned(), Service::start(version, bad_every).await)),
        }
    }

    async fn give(&mut self, bench: &Bench, command: &Command) {
        let words: Vec<&str> = command.line.trim_end_matches(" &").split_whitespace().collect();
        match words.as_slice() {
            ["python3", "examples/local/service.py", port, version, errors @ ..] => {
                self.serve(port, version, errors.first().copied()).await;
                // The page starts each version where it says; the other place is still empty.
                if self.services.len() == 1 {
                    let mut other = Service::start("nobody", 0).await;
                    other.stop().await;
                    self.services.insert("8082".to_owned(), other);
                }
            }
            ["glidepath", "local", "-f", "examples/local/rollout.yaml", ..] => {
                let (first, second) = (&self.services["8081"], &self.services["8082"]);
                assert!(command.line.contains("--stable http://127.0.0.1:8081 --canary http://127.0.0.1:8082"));
                let mut local = bench.start(first, second, &[]);
                prints(command, local.read());
                local.until("revision #1 is stable: first deploy");
                self.local = Some(local);
            }
            ["curl", ..] => prints(command, &format!("hello from {}", get(self.address(), "/").await)),
            ["while", ..] => self.users = Some(Traffic::start(self.address(), Users::at(300))),
            ["kill", "%1"] => self.services.get_mut("8081").unwrap().stop().await,
            ["glidepath", typed @ ..] => {
                let typed: Vec<&str> = typed.iter().copied().filter(|word| *word != "--local").collect();
                self.last = bench.glidepath(&typed.join(" ")).text;
                prints(command, &self.last);
            }
            other => panic!("the page has a command that this test does not know: {other:?}"),
        }
    }

    fn address(&self) -> std::net::SocketAddr {
        self.local.as_ref().unwrap().address()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_walk_through_of_the_page_is_what_happens() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/local.md")).unwrap();
    let commands = commands(&page);
    assert!(commands.len() >= 9, "the page has only {} commands", commands.len());
    let bench = Bench::new(&quick());
    let mut played = Played::default();
    for command in &commands {
        played.give(&bench, command).await;
    }
    assert!(played.last.contains("rolled back"), "{}", played.last);
    assert!(played.users.unwrap().stop().await.answered() > 1_000);
    played.local.unwrap().end();
}
