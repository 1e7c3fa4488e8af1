//! `glidepath lint`: checks files without a cluster, and points at file, line, column and field.

mod advice;
pub(in crate::cli) mod check;
mod familiar;
pub(in crate::cli) mod files;
mod foreign;
mod formats;
mod forms;
pub(in crate::cli) mod indentation;
mod neighbours;
pub(in crate::cli) mod object;
mod pods;
mod promql;
mod readable;
mod references;
pub(in crate::cli) mod report;
pub(in crate::cli) mod schema;
mod templates;
mod unknown;
mod written;

use std::path::PathBuf;

use crate::cli::{
    args::{
        files::FileArgs,
        global::{Global, OutputFormat},
    },
    exit::{CliError, Exit},
    offline::format::only,
    program::quoted_in_its_name,
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
Services, autoscalers and what spec.traffic names among the files are compared with the Rollouts that they belong to.

Formats for CI: -o sarif (code scanning), -o junit, -o github (annotations of GitHub Actions). The shape of -o json is in
docs/json.md.

Examples:
  glidepath lint rollouts/
  glidepath lint -f rollout.yaml -f templates/ -o json
  glidepath lint rollouts/ -o github
  kustomize build . | glidepath lint -")]
pub struct LintArgs {
    /// What is checked.
    #[command(flatten)]
    pub files: FileArgs,
}

const FORMATS: [OutputFormat; 6] = [
    OutputFormat::Table,
    OutputFormat::Json,
    OutputFormat::Yaml,
    OutputFormat::Sarif,
    OutputFormat::Junit,
    OutputFormat::Github,
];

/// Prints the findings; an error among them fails the command.
pub fn run(args: &LintArgs, global: &Global) -> Result<Exit, CliError> {
    only(global.output, "lint", &FORMATS)?;
    let report = lint(&args.files.all()?)?;
    print(&shown(&report, global)?)?;
    Ok(if report.failed() { Exit::Failed } else { Exit::Done })
}

fn shown(report: &Report, global: &Global) -> Result<String, CliError> {
    let value = match global.output {
        OutputFormat::Junit => return Ok(formats::junit(report)),
        OutputFormat::Github => return Ok(formats::github(report)),
        OutputFormat::Sarif => output::value(OutputFormat::Json, &formats::sarif(report))?,
        other => output::value(other, &report.json())?,
    };
    Ok(value
        .unwrap_or_else(|| quoted_in_its_name(&report.text_within(global.width(), Paint { on: global.color_on() }))))
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
