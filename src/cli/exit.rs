//! Exit codes and errors. An error says what failed, where, and what to do.

use std::process::ExitCode;

use super::{answer::excerpt, program::program, target::doctor};
use crate::api::status::Outcome;

/// The exit codes. They are an interface: CI pipelines branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: promoted, or done.
    Done,
    /// 1: an error, a failed first deploy, a refused or obsolete command.
    Failed,
    /// 2: usage error.
    Usage,
    /// 10: the rollout was aborted or rolled back.
    RolledBack,
    /// 11: timed out before the end.
    TimedOut,
    /// 12: superseded by a newer version.
    Superseded,
    /// 13: an A/B test decided for control.
    KeptControl,
    /// 14: the rollout waits for an operator.
    WaitsForHuman,
    /// 130: interrupted by Ctrl-C, as the shell numbers it.
    Interrupted,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::RolledBack => 10,
            Exit::TimedOut => 11,
            Exit::Superseded => 12,
            Exit::KeptControl => 13,
            Exit::WaitsForHuman => 14,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Promoted | Outcome::FastPromoted => Exit::Done,
            Outcome::Aborted | Outcome::RolledBack => Exit::RolledBack,
            Outcome::Superseded => Exit::Superseded,
            Outcome::KeptControl => Exit::KeptControl,
        }
    }
}

/// The exit codes as the help of waiting commands prints them.
pub const EXIT_CODES_HELP: &str = "Exit codes:
  0   promoted, or nothing left to do
  1   an error, a failed first deploy, a refused or obsolete command
  2   usage error
  10  aborted or rolled back
  11  timed out
  12  superseded by a newer version
  13  an A/B test decided for control
  14  waits for an operator (returned at once for a wait without an end)
  130 interrupted by Ctrl-C; the release continues";

/// What to do about a connection.
const CHECKS_IT: &str = "'glidepath doctor' checks the connection";

/// Why a command failed. Every message is one line: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Invalid arguments.
    #[error("{0}")]
    Usage(String),
    /// No kubeconfig, or one that cannot be used.
    #[error("cannot read a kubeconfig: {0}; set --kubeconfig, --context or KUBECONFIG")]
    Kubeconfig(String),
    /// The same, for a verb that a local rollout could answer.
    #[error(
        "cannot read a kubeconfig: {0}; set --kubeconfig, --context or KUBECONFIG, or --local, if '{program} local' runs",
        program = program()
    )]
    NoClusterOrLocal(String),
    /// The API server does not respond.
    #[error("cannot reach the API server{at}: {why}; {}", doctor(CHECKS_IT))]
    Unreachable {
        /// ` at <url>`, or empty when the address is not known here.
        at: String,
        /// The innermost reason.
        why: String,
    },
    /// No such object.
    #[error("{kind} \"{name}\" not found in namespace \"{namespace}\"; {there}")]
    NotFound {
        /// The kind.
        kind: &'static str,
        /// The name that was typed.
        name: String,
        /// The namespace that was searched.
        namespace: String,
        /// What there is instead, and what to do.
        there: String,
    },
    /// The CRDs are missing.
    #[error(
        "the CRD of kind {0} is not installed; install the CRDs with '{program} crds | kubectl apply --server-side -f -'",
        program = program()
    )]
    KindMissing(&'static str),
    /// What answers is no API server.
    #[error(
        "{at} does not answer as a Kubernetes API server: it answered {what}; check the server in the kubeconfig \
         (--kubeconfig, --context), and proxies in front of it"
    )]
    NotKubernetes {
        /// The server's address.
        at: String,
        /// What it answered, in short.
        what: String,
    },
    /// The API server refused.
    #[error("the API server rejected the request to {doing}: {why}{todo}")]
    Refused {
        /// The attempted operation.
        doing: String,
        /// The API server's message.
        why: String,
        /// What to do, with its separator; may be empty.
        todo: String,
    },
    /// The API server did not answer within `--timeout`.
    #[error("not done after {limit}: no response from the API server at {at}; {}", doctor(CHECKS_IT))]
    TimedOut {
        /// The limit of the command.
        limit: String,
        /// The API server's address.
        at: String,
    },
    /// Any other error, with its full message.
    #[error("{0}")]
    Failed(String),
}

impl CliError {
    /// The exit code that goes with the error.
    pub const fn exit(&self) -> Exit {
        match self {
            CliError::Usage(_) => Exit::Usage,
            CliError::TimedOut { .. } => Exit::TimedOut,
            _ => Exit::Failed,
        }
    }

    /// Without a kubeconfig there may still be a local rollout.
    #[must_use]
    pub fn or_local(self) -> Self {
        match self {
            CliError::Kubeconfig(why) => CliError::NoClusterOrLocal(why),
            other => other,
        }
    }

    /// Puts what was being done to an error of kube's client.
    pub fn kube(doing: impl Into<String>, error: &kube::Error) -> Self {
        let doing = doing.into();
        match error {
            kube::Error::Api(status) => {
                let todo = match status.code {
                    401 => "; log in to the cluster again".into(),
                    403 => format!("; {}", doctor("'glidepath doctor' lists the permissions you have")),
                    _ => String::new(),
                };
                let why = if status.message.is_empty() { &status.reason } else { &status.message };
                CliError::Refused { doing, why: excerpt(why), todo }
            }
            other => CliError::Unreachable { at: String::new(), why: excerpt(&innermost(other)) },
        }
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        CliError::Failed(format!("cannot write the output: {error}"))
    }
}

/// The deepest cause: the outer layers of HTTP clients only say that something failed.
pub fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_code() {
        for (outcome, code) in [
            (Outcome::Promoted, 0),
            (Outcome::FastPromoted, 0),
            (Outcome::Aborted, 10),
            (Outcome::RolledBack, 10),
            (Outcome::Superseded, 12),
            (Outcome::KeptControl, 13),
        ] {
            assert_eq!(Exit::from(outcome).code(), code, "{outcome:?}");
        }
    }

    #[test]
    fn without_a_kubeconfig_a_local_rollout_is_a_way_on() {
        let error = CliError::Kubeconfig("/home/ann/.kube/config: not found".into()).or_local();
        assert_eq!(
            error.to_string(),
            "cannot read a kubeconfig: /home/ann/.kube/config: not found; set --kubeconfig, --context or KUBECONFIG, or \
             --local, if 'glidepath local' runs"
        );
        assert_eq!(error.exit(), Exit::Failed);
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let all = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::RolledBack, 10),
            (Exit::TimedOut, 11),
            (Exit::Superseded, 12),
            (Exit::KeptControl, 13),
            (Exit::WaitsForHuman, 14),
            (Exit::Interrupted, 130),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code);
            assert!(EXIT_CODES_HELP.contains(&format!("\n  {code} ")), "{code} is not in the help");
        }
    }
}
