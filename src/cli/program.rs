//! What the program is called where it is typed: hints are written so that they can be pasted.

use std::{ffi::OsStr, path::Path, sync::LazyLock};

/// `glidepath`, or `kubectl glidepath` when kubectl runs the binary as its plugin.
pub fn program() -> &'static str {
    static NAME: LazyLock<&'static str> = LazyLock::new(|| called_as(std::env::args_os().next().as_deref()));
    *NAME
}

/// Text of ours that shows commands, such as the examples in a help, in the name of the program.
pub fn in_its_name(text: &str) -> String {
    renamed(text, program())
}

/// Words of a view, which knows no program and quotes its commands in the plain name.
pub fn quoted_in_its_name(text: &str) -> String {
    text.replace("'glidepath ", &format!("'{} ", program()))
}

fn renamed(text: &str, program: &str) -> String {
    text.replace("glidepath ", &format!("{program} "))
}

fn called_as(arg0: Option<&OsStr>) -> &'static str {
    let file = arg0.and_then(|path| Path::new(path).file_name()).map(OsStr::to_string_lossy);
    if file.is_some_and(|name| name.starts_with("kubectl-")) { "kubectl glidepath" } else { "glidepath" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_sees_its_own_name() {
        assert_eq!(called_as(Some(OsStr::new("/usr/local/bin/kubectl-glidepath"))), "kubectl glidepath");
        assert_eq!(called_as(Some(OsStr::new("target/debug/glidepath"))), "glidepath");
        assert_eq!(called_as(None), "glidepath");
    }

    #[test]
    fn examples_are_written_in_the_name_of_the_program() {
        let text = "glidepath get\n  glidepath crds | kubectl apply -f -\n  completions bash > /etc/glidepath\n";
        let plugin = "kubectl glidepath get\n  kubectl glidepath crds | kubectl apply -f -\n  completions bash > /etc/glidepath\n";
        assert_eq!(renamed(text, "kubectl glidepath"), plugin);
        assert_eq!(renamed(text, "glidepath"), text);
    }
}
