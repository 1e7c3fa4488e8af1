//! `report`: the story of one release, for the review afterwards.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use kube::{Api, api::ListParams};

use crate::{
    api::{AnalysisRun, ROLLOUT_LABEL, Rollout, RolloutCommand},
    cli::{
        args::{
            global::{Global, OutputFormat},
            names::one_name,
        },
        connect::{Connection, connect, now},
        exit::{CliError, Exit},
        program::program,
        render::{
            output::print,
            printable::printable,
            report::{html::html, markdown::markdown},
        },
    },
    view::report::{
        sources::{Sources, Which},
        story::{Report, on_record},
    },
};

/// Report on a release: what happened when, why, and with which numbers
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath report checkout                        the last release, as Markdown
  glidepath report checkout --html incident.html   one page with charts, readable offline
  glidepath report checkout --release 42 --md 42.md
  glidepath report checkout --release 42 --attempt 1

Without --html or --md, Markdown is printed.")]
pub struct Args {
    /// The Rollout
    #[arg(value_name = "NAME", required = true)]
    pub words: Vec<String>,
    /// The revision's number, as 'history' lists it. Default: the release in progress, else the last one
    #[arg(long, value_name = "N")]
    pub release: Option<u64>,
    /// The attempt at that revision. Default: the last one
    #[arg(long, value_name = "N", requires = "release")]
    pub attempt: Option<u32>,
    /// Write one self-contained HTML page to this file; - is standard output
    #[arg(long, value_name = "FILE", conflicts_with = "md")]
    pub html: Option<PathBuf>,
    /// Write Markdown to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    pub md: Option<PathBuf>,
}

/// Prints or writes the report.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    if !matches!(global.output, OutputFormat::Table | OutputFormat::Wide) {
        let words = "report prints Markdown, or writes a page with --html FILE; for scripts there is 'history -o json'";
        return Err(CliError::Usage(words.into()));
    }
    let name = one_name(&args.words, "report")?;
    let connection = connect(global).await?;
    let rollout = connection.rollout(&name).await?;
    let runs = listed::<AnalysisRun>(&connection, Some(&name)).await?;
    let commands = listed::<RolloutCommand>(&connection, None).await?;
    let is_local = global.local.is_some();
    let sources = Sources { rollout: &rollout, runs: &runs, commands: &commands, now: now(), is_local };
    let which = Which { release: args.release, attempt: args.attempt };
    let report = Report::of(&sources, which).ok_or_else(|| not_on_record(&rollout, which))?;
    let zone = TimeZone::system();
    match (&args.html, &args.md) {
        (Some(file), _) => write(file, &html(&report, &zone))?,
        (None, Some(file)) => write(file, &markdown(&report, &zone))?,
        (None, None) => print(&markdown(&report, &zone))?,
    }
    Ok(Exit::Done)
}

/// Objects of the namespace, of one Rollout where they are labeled with it. Those that may not be listed are an error: a
/// report that left them out would look complete.
async fn listed<K>(connection: &Connection, rollout: Option<&str>) -> Result<Vec<K>, CliError>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let label = rollout.map(|name| format!("{ROLLOUT_LABEL}={name}"));
    let wanted = ListParams { label_selector: label, ..ListParams::default() };
    let list = api.list(&wanted).await;
    Ok(list.map_err(|error| connection.error(format!("list {}", K::plural(&())), &error))?.items)
}

fn not_on_record(rollout: &Rollout, which: Which) -> CliError {
    let there: Vec<String> =
        on_record(rollout).into_iter().map(|(number, attempt)| format!("{number} attempt {attempt}")).collect();
    let asked = which.release.map(|number| format!(" {number}")).unwrap_or_default();
    let attempt = which.attempt.map(|attempt| format!(" attempt {attempt}")).unwrap_or_default();
    let name = rollout.metadata.name.as_deref().unwrap_or("NAME");
    let there = match there.as_slice() {
        [] => "no release is recorded yet".to_owned(),
        there => format!("recorded are: {}; '{} history {name}' lists them", there.join(", "), program()),
    };
    CliError::Failed(format!("release{asked}{attempt} is not on record; {there}"))
}

/// What steers a terminal is written out: a report is read with `cat` and `less` too.
fn write(file: &Path, text: &str) -> Result<(), CliError> {
    if file.as_os_str() == "-" {
        return print(text);
    }
    let written = std::fs::write(file, printable(text).as_bytes());
    written.map_err(|error| CliError::Failed(format!("cannot write {}: {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn a_release_that_is_not_on_record_names_those_that_are() {
        let rollout = samples::aborted().rollout;
        let error = not_on_record(&rollout, Which { release: Some(7), attempt: Some(2) }).to_string();
        assert!(
            error.starts_with("release 7 attempt 2 is not on record; recorded are: 42 attempt 1, 41 attempt 1"),
            "{error}"
        );
        assert!(error.ends_with(" history checkout' lists them"), "{error}");
        let none = not_on_record(&samples::rollout(None), Which::default()).to_string();
        assert_eq!(none, "release is not on record; no release is recorded yet");
    }

    #[test]
    fn a_file_holds_nothing_that_steers_a_terminal() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("report.md");
        write(&file, "a\u{1b}[2Jb\n").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "a\\u001b[2Jb\n");
        assert!(write(&folder.path().join("no/such/folder"), "").is_err());
    }
}
