//! `get` and `list`: Rollouts as a table or as objects.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};

use super::{
    connect::{Connection, connect, now},
    exit::{CliError, Exit},
    global::{Global, OutputFormat},
    names,
    output::{self, print},
    paint::{Paint, Tone},
    table::{Cell, columns},
    words,
};
use crate::api::{Rollout, status::RevisionRef};

/// List Rollouts, or show some by name
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath get                       the Rollouts of the namespace
  glidepath get rollouts -A           of all namespaces
  glidepath get rollout checkout -w   one, and then a line whenever it changes
  glidepath get checkout -o yaml      the object itself")]
pub struct Args {
    /// `rollouts` (may be left out) and names
    #[arg(value_name = "NAME")]
    pub words: Vec<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only Rollouts with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Go on with a line per change
    #[arg(short, long)]
    pub watch: bool,
}

/// Prints the table or the objects.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let connection = connect(global).await?;
    let names = names::names(&args.words);
    let rollouts = fetch(&connection, &args, &names).await?;
    let single = names.len() == 1;
    if let Some(text) = output::objects(global.output, &rollouts, !single)? {
        print(&text)?;
        return if args.watch { watch(&connection, &args, &names, global).await } else { Ok(Exit::Done) };
    }
    if rollouts.is_empty() {
        let place = if args.all_namespaces {
            "any namespace".into()
        } else {
            format!("namespace \"{}\"", connection.namespace)
        };
        eprintln!("no Rollouts in {place}");
    } else {
        print(&table(&rollouts, &style(&args, global), now(), true))?;
    }
    if args.watch { watch(&connection, &args, &names, global).await } else { Ok(Exit::Done) }
}

async fn fetch(connection: &Connection, args: &Args, names: &[String]) -> Result<Vec<Rollout>, CliError> {
    if names.is_empty() {
        let wanted = ListParams { label_selector: args.selector.clone(), ..ListParams::default() };
        return match api(connection, args).list(&wanted).await {
            Ok(list) => Ok(list.items),
            Err(kube::Error::Api(status)) if status.code == 404 => Err(CliError::KindMissing("Rollout")),
            Err(error) => Err(connection.error("list Rollouts", &error)),
        };
    }
    if args.all_namespaces {
        return Err(CliError::Usage("a name and -A do not go together; use -n NAMESPACE".into()));
    }
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        found.push(connection.rollout(name).await?);
    }
    Ok(found)
}

fn api(connection: &Connection, args: &Args) -> Api<Rollout> {
    if args.all_namespaces { Api::all(connection.client.clone()) } else { connection.rollouts() }
}

/// One line (or object) per change, until it is interrupted.
async fn watch(connection: &Connection, args: &Args, names: &[String], global: &Global) -> Result<Exit, CliError> {
    let config = watcher::Config { label_selector: args.selector.clone(), ..watcher::Config::default() };
    let mut changes = watcher(api(connection, args), config).default_backoff().applied_objects().boxed();
    let mut shown: BTreeMap<(Option<String>, String), Option<String>> = BTreeMap::new();
    while let Some(rollout) =
        changes.try_next().await.map_err(|error| CliError::Failed(format!("the watch ended: {error}")))?
    {
        if !names.is_empty() && !names.contains(&rollout.name_any()) {
            continue;
        }
        let key = (rollout.namespace(), rollout.name_any());
        let version = rollout.resource_version();
        if shown.insert(key, version.clone()) == Some(version) {
            continue;
        }
        let rows = [rollout];
        match output::objects(global.output, &rows, false)? {
            Some(text) => print(&text)?,
            None => print(&table(&rows, &style(args, global), now(), false))?,
        }
    }
    Ok(Exit::Done)
}

fn style(args: &Args, global: &Global) -> Style {
    Style { wide: global.output == OutputFormat::Wide, namespaces: args.all_namespaces, color: global.color_on() }
}

/// Which columns, and whether painted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// More columns and absolute times.
    pub wide: bool,
    /// The namespace first.
    pub namespaces: bool,
    /// Colours.
    pub color: bool,
}

/// The Rollouts as a table.
pub fn table(rollouts: &[Rollout], style: &Style, now: Timestamp, header: bool) -> String {
    let mut head = vec!["NAME", "PHASE", "STEP", "WEIGHT", "READY", "AGE"];
    if style.namespaces {
        head.insert(0, "NAMESPACE");
    }
    head.extend(if style.wide {
        ["CREATED", "STABLE", "CURRENT", "MESSAGE"].as_slice()
    } else {
        ["MESSAGE"].as_slice()
    });
    let mut rows: Vec<Vec<Cell>> = Vec::with_capacity(rollouts.len() + 1);
    if header {
        rows.push(head.into_iter().map(|text| Cell::toned(Tone::Dim, text)).collect());
    }
    rows.extend(rollouts.iter().map(|rollout| row(rollout, style, now)));
    columns(Paint { on: style.color }, 0, &rows)
}

fn row(rollout: &Rollout, style: &Style, now: Timestamp) -> Vec<Cell> {
    let status = rollout.status.clone().unwrap_or_default();
    let phase =
        status.phase.map_or_else(|| Cell::from("Unknown"), |p| Cell::toned(words::phase_tone(p), format!("{p:?}")));
    let created = rollout.metadata.creation_timestamp.as_ref().map(|at| at.0);
    let mut cells = vec![
        rollout.name_any().into(),
        phase,
        or_dash(&status.step_shown).into(),
        or_dash(&status.weight_shown).into(),
        or_dash(&status.ready_shown).into(),
        created.map_or_else(|| "-".into(), |at| words::age(now.duration_since(at))).into(),
    ];
    if style.namespaces {
        cells.insert(0, rollout.namespace().unwrap_or_default().into());
    }
    if style.wide {
        cells.push(created.map_or_else(|| "-".into(), |at| at.to_string()).into());
        cells.extend([revision(status.stable_revision.as_ref()), revision(status.current_revision.as_ref())]);
    }
    let message = if status.phase.is_none() { "no controller has looked at it yet" } else { status.message.as_str() };
    cells.push(message.into());
    cells
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn revision(revision: Option<&RevisionRef>) -> Cell {
    revision.map_or_else(|| "-".into(), |r| format!("#{} {}", r.number, r.id)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::samples;

    #[test]
    fn tables() {
        let rollouts = [samples::healthy().rollout, samples::observing().rollout, samples::rollout(None)];
        let table = |style| table(&rollouts, &style, samples::NOW, true);
        insta::assert_snapshot!("table", table(Style::default()));
        insta::assert_snapshot!("table_wide", table(Style { wide: true, namespaces: true, color: false }));
    }
}
