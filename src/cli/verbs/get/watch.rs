//! `get --watch`: one line (or object) per change, until it is interrupted.

use futures::{StreamExt, TryStreamExt};
use kube::{
    Api, ResourceExt as _,
    core::NamespaceResourceScope,
    runtime::{WatchStreamExt, watcher},
};

use super::{args::Args, lines::Lines, listed::Listed};
use crate::cli::{
    connect::{Connection, now},
    exit::{CliError, Exit},
    render::output::print,
};

/// Prints what changes after what was printed.
pub(super) async fn watch<K>(
    connection: &Connection,
    args: &Args,
    names: &[String],
    mut lines: Lines,
) -> Result<Exit, CliError>
where
    K: Listed<Scope = NamespaceResourceScope>,
{
    let client = connection.client.clone();
    let api: Api<K> =
        if args.all_namespaces { Api::all(client) } else { Api::namespaced(client, &connection.namespace) };
    let (label_selector, field_selector) = (args.selector.clone(), args.field_selector.clone());
    let config = watcher::Config { label_selector, field_selector, ..watcher::Config::default() };
    let mut changes = watcher(api, config).default_backoff().applied_objects().boxed();
    let ended = |error: watcher::Error| CliError::Failed(format!("the watch ended: {error}"));
    while let Some(object) = changes.try_next().await.map_err(ended)? {
        if names.is_empty() || names.contains(&object.name_any()) {
            print(&lines.of(&[object], now())?)?;
        }
    }
    Ok(Exit::Done)
}
