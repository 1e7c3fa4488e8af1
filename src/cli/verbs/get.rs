//! `get` and `list`: Rollouts as a table or as objects.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, Request, TypeMeta},
    runtime::{WatchStreamExt, watcher},
};

use crate::{
    api::{Rollout, status::RevisionRef},
    cli::{
        args::{
            global::{Global, OutputFormat},
            names,
        },
        connect::{Connection, connect, now},
        exit::{CliError, Exit},
        render::{
            output::{self, print},
            paint::{Paint, Tone},
            table::{Cell, columns},
        },
    },
    cluster::{
        raw_object::{Page, RawObject},
        table::key_of,
    },
    view::phrases,
};

/// List Rollouts, or show some by name
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath get                       the Rollouts of the namespace
  glidepath get rollouts -A           in all namespaces
  glidepath get rollout checkout -w   one, and a line for every change
  glidepath get checkout -o yaml      the object itself")]
pub struct Args {
    /// `rollouts` (optional) and names
    #[arg(value_name = "NAME")]
    pub words: Vec<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only Rollouts with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Watch: print a line per change
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
        return listed(connection, args, &wanted).await;
    }
    if args.all_namespaces {
        return Err(CliError::Usage("a name cannot be combined with -A; use -n NAMESPACE".into()));
    }
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        found.push(connection.rollout(name).await?);
    }
    Ok(found)
}

/// All that can be read: one that cannot is named, and hides no other.
async fn listed(connection: &Connection, args: &Args, wanted: &ListParams) -> Result<Vec<Rollout>, CliError> {
    let (rollouts, unreadable) = list(connection, args.all_namespaces, wanted).await?;
    for Unreadable { name, why } in unreadable {
        eprintln!("warning: {name} cannot be decoded and is not shown: {why}");
    }
    Ok(rollouts)
}

/// A Rollout that the API server stores and no client of ours can read.
#[derive(Debug)]
pub(super) struct Unreadable {
    /// `Rollout shop/web`
    pub name: String,
    /// The field at fault.
    pub why: String,
}

/// The Rollouts of a namespace or of all, each decoded separately.
pub(super) async fn list(
    connection: &Connection,
    all_namespaces: bool,
    wanted: &ListParams,
) -> Result<(Vec<Rollout>, Vec<Unreadable>), CliError> {
    let failed = |error: &kube::Error| match error {
        kube::Error::Api(status) if status.code == 404 => CliError::KindMissing("Rollout"),
        error => connection.error("list Rollouts", error),
    };
    let url = Rollout::url_path(&(), (!all_namespaces).then_some(connection.namespace.as_str()));
    let request = Request::new(url).list(wanted).map_err(|error| failed(&kube::Error::BuildRequest(error)))?;
    let text = connection.client.request_text(request).await.map_err(|error| failed(&error))?;
    readable(&text).map_err(|error| failed(&kube::Error::SerdeError(error)))
}

fn readable(list: &str) -> Result<(Vec<Rollout>, Vec<Unreadable>), serde_json::Error> {
    let page: Page<'_> = serde_json::from_str(list)?;
    let types = TypeMeta { api_version: Rollout::api_version(&()).into(), kind: Rollout::kind(&()).into() };
    let (mut rollouts, mut unreadable) = (Vec::new(), Vec::new());
    for raw in page.items() {
        match rollout(raw, &types) {
            Ok(rollout) => rollouts.push(rollout),
            Err(fault) => unreadable.push(fault),
        }
    }
    Ok((rollouts, unreadable))
}

fn rollout(raw: &str, types: &TypeMeta) -> Result<Rollout, Unreadable> {
    let object = RawObject::item(raw, types).map_err(|why| Unreadable { name: "a Rollout".to_owned(), why })?;
    object.decode().map_err(|why| {
        let key = key_of(object.metadata());
        Unreadable { name: format!("Rollout {}/{}", key.namespace, key.name), why }
    })
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
    let phase = status.phase.map_or_else(|| Cell::from("Unknown"), |p| Cell::toned(p.into(), format!("{p:?}")));
    let created = rollout.metadata.creation_timestamp.as_ref().map(|at| at.0);
    let mut cells = vec![
        rollout.name_any().into(),
        phase,
        or_dash(&status.step_shown).into(),
        or_dash(&status.weight_shown).into(),
        or_dash(&status.ready_shown).into(),
        created.map_or_else(|| "-".into(), |at| phrases::age(now.duration_since(at))).into(),
    ];
    if style.namespaces {
        cells.insert(0, rollout.namespace().unwrap_or_default().into());
    }
    if style.wide {
        cells.push(created.map_or_else(|| "-".into(), |at| at.to_string()).into());
        cells.extend([revision(status.stable_revision.as_ref()), revision(status.current_revision.as_ref())]);
    }
    let message =
        if status.phase.is_none() { phrases::unseen(rollout.spec.class.as_deref()) } else { status.message.clone() };
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
    use crate::view::samples;

    /// One Rollout that cannot be decoded does not hide the others (C3).
    #[test]
    fn a_rollout_that_cannot_be_read_is_named_and_hides_no_other() {
        let deep = format!("{}1{}", r#"{"a":"#.repeat(140), "}".repeat(140));
        let item = |name: &str, template: &str| {
            format!(
                r#"{{"metadata":{{"name":"{name}","namespace":"shop"}},
                "spec":{{"strategy":{{"canary":{{"steps":[]}}}},"template":{template}}}}}"#
            )
        };
        let list = format!(r#"{{"items":[{},{},7]}}"#, item("bad", &deep), item("web", "{}"));
        let (rollouts, unreadable) = readable(&list).unwrap();
        assert_eq!(rollouts.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["web"]);
        assert_eq!(unreadable[0].name, "Rollout shop/bad");
        assert_eq!(unreadable.len(), 2);
        assert!(readable(r#"{"items":null}"#).unwrap().0.is_empty());
    }

    #[test]
    fn tables() {
        let rollouts = [samples::healthy().rollout, samples::observing().rollout, samples::rollout(None)];
        let table = |style| table(&rollouts, &style, samples::NOW, true);
        insta::assert_snapshot!("table", table(Style::default()));
        insta::assert_snapshot!("table_wide", table(Style { wide: true, namespaces: true, color: false }));
    }
}
