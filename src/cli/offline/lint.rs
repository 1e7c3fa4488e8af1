//! `glidepath lint`: checks files without a cluster, and points at file, line, column and field.

pub(in crate::cli) mod check;
pub(in crate::cli) mod files;
mod neighbours;
pub(in crate::cli) mod object;
mod pods;
mod report;
pub(in crate::cli) mod schema;
mod templates;
mod written;

use std::path::PathBuf;

use crate::cli::{
    args::global::Global,
    exit::{CliError, Exit},
    render::{
        output::{self, print},
        paint::Paint,
    },
};

pub use report::{Report, Reported};

/// Validate Rollout and AnalysisTemplate files
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Exit codes: 0 no errors (warnings allowed), 1 errors or nothing to check, 2 usage error

Checks the fields, types and bounds of every Glidepath object, the templates and arguments that a Rollout references, and its
pod template (or that of the adopted Deployment, if it is among the files) as the API server validates a Deployment's:
fields and types of Kubernetes 1.33 to 1.37, names, ports, volumes, probes, resources and selectors.

Examples:
  glidepath lint rollouts/
  glidepath lint rollout.yaml -o json
  kustomize build . | glidepath lint -")]
pub struct LintArgs {
    /// Files, folders (their .yaml, .yml and .json files), or `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Prints the findings; an error among them fails the command.
pub fn run(args: &LintArgs, global: &Global) -> Result<Exit, CliError> {
    let report = lint(&args.paths)?;
    let text = match output::value(global.output, &report.json())? {
        Some(text) => text,
        None => report.text(Paint { on: global.color_on() }),
    };
    print(&text)?;
    Ok(if report.failed() { Exit::Failed } else { Exit::Done })
}

/// Checks the files under these paths.
pub fn lint(paths: &[PathBuf]) -> Result<Report, CliError> {
    let mut reader = files::Files::default();
    let files = reader.collect(paths)?;
    Ok(check::all(&files, &mut reader))
}

/// Checks one file that has been read already.
pub fn lint_bytes(name: &str, bytes: &[u8]) -> Result<Report, CliError> {
    let mut reader = files::Files::default();
    let file = reader.read(name, bytes)?;
    Ok(check::all(&[file], &mut reader))
}
