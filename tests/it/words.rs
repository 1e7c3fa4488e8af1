//! Words that users know from kubectl, Argo Rollouts and every other command line, typed at the real program.

use std::process::{Command, Output};

fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(path);
    command.env("NO_COLOR", "1").env("KUBECONFIG", "/nowhere/config").env_remove("KUBERNETES_SERVICE_HOST");
    command
}

fn said(command: &mut Command, words: &str) -> (i32, String) {
    let Output { status, stdout, stderr } = command.args(words.split_whitespace()).output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (status.code().unwrap_or(-1), text)
}

const BINARY: &str = env!("CARGO_BIN_EXE_glidepath");

#[test]
fn versions_help_and_words_of_other_tools() {
    let version = format!("glidepath {}\n", env!("CARGO_PKG_VERSION"));
    for (words, code, told) in [
        ("--version", 0, version.as_str()),
        ("-V", 0, &version),
        ("version", 0, &version),
        ("help", 0, "Act on a rollout:"),
        ("help get", 0, "Usage: glidepath get [OPTIONS] [NAME]..."),
        ("help rollback", 0, "Usage: glidepath undo [OPTIONS] <NAME>"),
        ("completion bash", 0, "_glidepath"),
        ("cancel web", 2, "there is no verb \"cancel\": use 'glidepath abort NAME'"),
        ("logs web", 2, "there is no verb \"logs\": pods have logs"),
        ("create", 2, "kubectl apply -f FILE"),
        ("promtoe web", 2, "'promote'"),
        ("undo a b", 2, "undo accepts one Rollout; unexpected argument \"b\""),
        ("get -o jsonpath={.a", 2, "has no closing brace"),
        ("get -o go-template=x", 2, "jsonpath=TEMPLATE"),
        ("get --as-group ops", 2, "--as"),
    ] {
        let (was, text) = said(&mut program(BINARY), words);
        assert!(was == code && text.contains(told), "{words}: {was} {text}");
    }
}

/// Each alias ends where its verb does: at the API server, which is not there.
#[test]
fn aliases_lead_to_their_verbs_and_a_missing_kubeconfig_to_a_local_rollout() {
    let way_on = "set --kubeconfig, --context or KUBECONFIG, or --local, if 'glidepath local' runs";
    for words in ["describe web", "watch web", "rollback web", "terminate web", "abort a b", "get", "set image web a=b"]
    {
        let (code, text) = said(&mut program(BINARY), words);
        assert!(code == 1 && text.contains(way_on), "{words}: {code} {text}");
    }
    let (code, text) = said(&mut program(BINARY), "doctor");
    assert!(code == 1 && text.starts_with("✗ cannot read a kubeconfig: "), "{text}");
    assert!(text.contains("\n· Prometheus not checked"), "{text}");
    assert!(!said(&mut program(BINARY), "uninstall").1.contains("--local"));
}

/// What kubectl's users see can be pasted.
#[test]
fn hints_are_in_the_name_that_was_called() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-glidepath");
    std::os::unix::fs::symlink(BINARY, &plugin).unwrap();
    let file = folder.path().join("web.yaml");
    let moved = "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {name: web}\nspec: {restartAt: now}\n";
    std::fs::write(&file, moved).unwrap();
    let lint = format!("lint {}", file.display());
    for (words, told) in [
        (lint.as_str(), "use 'kubectl glidepath restart'"),
        ("get", "or --local, if 'kubectl glidepath local' runs"),
        ("cancel", "use 'kubectl glidepath abort NAME'"),
        ("help status", "\n  kubectl glidepath status checkout --watch\n"),
        ("help", "\n  kubectl glidepath crds | kubectl apply"),
        ("help undo", "Usage: kubectl glidepath undo [OPTIONS] <NAME>\n"),
        ("set image web", "use 'kubectl glidepath set image web CONTAINER=IMAGE'"),
        ("status --wait", "use 'kubectl glidepath status NAME --wait'"),
    ] {
        let (_, text) = said(&mut program(&plugin), words);
        assert!(text.contains(told), "{words}: {text}");
    }
}
