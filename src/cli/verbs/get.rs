//! `get` and `list`: Rollouts or AnalysisRuns as a table or as objects.

mod args;
mod fetch;
mod lines;
mod listed;
mod watch;

use kube::core::NamespaceResourceScope;

pub use self::args::Args;
pub(super) use self::fetch::list;
pub(in crate::cli) use self::listed::{Listed, age};
use self::{fetch::fetch, lines::Lines, listed::RowStyle};
use crate::{
    api::{Rollout, analysis::AnalysisRun},
    cli::{
        args::{
            global::{Global, OutputFormat},
            names,
        },
        connect::{Connection, connect, now},
        exit::{CliError, Exit},
        render::{
            output::{self, print},
            printable::printable,
            table::UNLIMITED,
        },
        target::pasteable,
    },
};

/// Prints the table or the objects.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let connection = connect(global).await?;
    match names::of_runs(&args.words) {
        Some(names) => run_of::<AnalysisRun>(&connection, &args, &names, global).await,
        None => run_of::<Rollout>(&connection, &args, &names::names(&args.words)?, global).await,
    }
}

/// The same of one kind.
pub(in crate::cli) async fn run_of<K: Listed<Scope = NamespaceResourceScope>>(
    connection: &Connection,
    args: &Args,
    names: &[String],
    global: &Global,
) -> Result<Exit, CliError> {
    let found = fetch::<K>(connection, args, names).await?;
    let exit = if found.missing.is_empty() { Exit::Done } else { Exit::Failed };
    let style = style(args, global);
    // As kubectl's: whoever asks for all columns has room for them.
    let mut lines = Lines::new(global.output, style, if style.wide { UNLIMITED } else { global.width() });
    if args.watch {
        print(&lines.of(&found.objects, now())?)?;
    } else if let Some(text) = output::objects(global.output, &found.objects, names.len() != 1)? {
        print(&text)?;
    } else if found.objects.is_empty() && names.is_empty() {
        eprintln!("no {}s in {}", K::KIND, printable(&place(connection, args)));
    } else {
        print(&lines.of(&found.objects, now())?)?;
    }
    for error in found.missing {
        eprintln!("error: {}", printable(&pasteable(&error.to_string())));
    }
    if args.watch { watch::watch::<K>(connection, args, names, lines).await } else { Ok(exit) }
}

fn place(connection: &Connection, args: &Args) -> String {
    if args.all_namespaces { "any namespace".into() } else { format!("namespace \"{}\"", connection.namespace) }
}

fn style(args: &Args, global: &Global) -> RowStyle {
    let wide = global.output == OutputFormat::Wide;
    RowStyle { wide, namespaces: args.all_namespaces, color: global.color_on() }
}
