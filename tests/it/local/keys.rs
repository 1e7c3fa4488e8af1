//! The key that ends a watch, on a terminal of its own (`script` makes one).

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::mpsc::channel,
    time::Duration,
};

use super::{
    bench::{Bench, Service},
    judged,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn q_ends_a_watch_and_leaves_the_terminal_as_it_was() {
    let (first, second) = (Service::start("v1", 0).await, Service::start("v2", 0).await);
    let bench = Bench::new(&judged());
    let mut local = bench.start(&first, &second, &[]);
    local.until("revision #1 is stable: first deploy");

    let watch = format!("{} status web --watch --local {}", env!("CARGO_BIN_EXE_glidepath"), bench.state().display());
    let typed = format!("stty sane; {watch}; echo ended with $?; stty -a");
    let mut script = Command::new("script");
    script.args(["-q", "-c", &typed, "/dev/null"]).env("TERM", "xterm").env_remove("KUBECONFIG");
    let mut terminal = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut keyboard = terminal.stdin.take().unwrap();
    let (send, lines) = channel();
    let shown = BufReader::new(terminal.stdout.take().unwrap());
    std::thread::spawn(move || shown.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    let until = |text: &str| {
        let mut seen = String::new();
        while let Ok(line) = lines.recv_timeout(Duration::from_secs(60)) {
            seen += &format!("{line}\n");
            if line.contains(text) {
                return line;
            }
        }
        panic!("no line with \"{text}\" in:\n{seen}")
    };

    until("q quits");
    // Another key does nothing.
    keyboard.write_all(b"xq").unwrap();
    until("ended with 0");
    let mode = until("icanon");
    assert!(!mode.contains("-icanon"), "{mode}");
    drop(keyboard);
    terminal.wait().unwrap();
    local.end();
}
