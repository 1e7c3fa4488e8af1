//! What becomes of a controller with its log, which no API server is needed for: the log is full of trouble.

use std::{
    fs::File,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::sleep;

/// A controller without an API server.
fn controller(folder: &tempfile::TempDir, log: Stdio) -> Child {
    let config = folder.path().join("config");
    let text = "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], \
                users: [{name: a, user: {}}], contexts: [{name: a, context: {cluster: a, user: a}}], current-context: a}";
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_glidepath"));
    command.args(["controller", "--listen", "127.0.0.1:0", "--kubeconfig"]).arg(&config);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

#[tokio::test]
async fn a_controller_outlives_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let full = File::options().write(true).open("/dev/full").unwrap();
    for (name, log) in [("a closed pipe", Stdio::piped()), ("a full disk", full.into())] {
        let mut controller = controller(&folder, log);
        drop(controller.stderr.take());
        sleep(Duration::from_secs(2)).await;
        let ended = controller.try_wait().unwrap();
        controller.kill().unwrap();
        controller.wait().unwrap();
        assert_eq!(ended, None, "with {name} it ended");
    }
}

#[tokio::test]
async fn an_api_server_that_is_away_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let mut controller = controller(&folder, Stdio::piped());
    sleep(Duration::from_secs(4)).await;
    controller.kill().unwrap();
    let output = controller.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    let warnings: Vec<&str> = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect();
    assert_eq!(warnings.len(), 1, "{log}");
    assert!(warnings[0].contains("cannot reach the API server; retrying with backoff"), "{log}");
    assert!(warnings[0].contains("Connection refused"), "{log}");
}
