//! Which argument is completed from what: one table for the whole command line.

use std::{ffi::OsStr, sync::Arc};

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::cli::args::names;

use super::{
    lookup::{self, Candidate},
    typed::{NAME, Typed},
};

/// Where the candidates of an argument come from.
type Source = fn(&Typed) -> Vec<Candidate>;

/// The arguments besides [`NAME`] by their id, wherever they are on the command line.
const SOURCES: [(&str, Source); 7] = [
    ("namespace", lookup::namespaces),
    ("context", lookup::contexts),
    ("local", lookup::locals),
    ("to_step", lookup::steps),
    ("to_revision", lookup::revisions),
    ("policy", lookup::policies),
    ("policies", lookup::policies),
];

/// The verbs that take more than one Rollout.
const SEVERAL: [&str; 7] = ["get", "promote", "abort", "pause", "resume", "retry", "restart"];

/// The command line, with candidates for what is known only to the cluster or to this machine.
pub(super) fn with_candidates(command: Command, typed: &Typed) -> Command {
    attach(command, &Arc::new(typed.clone()))
}

fn attach(command: Command, typed: &Arc<Typed>) -> Command {
    let done = !typed.names.is_empty() && !SEVERAL.contains(&command.get_name());
    let with = |arg: Arg| match SOURCES.iter().find(|(id, _)| arg.get_id() == id) {
        Some((_, source)) => arg.add(completer(*source, typed.clone())),
        None if arg.get_id() == NAME && !done => arg.add(name_completer(typed.clone())),
        None => arg,
    };
    command.mut_args(with).mut_subcommands(|verb| attach(verb, typed))
}

fn completer(source: Source, typed: Arc<Typed>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| matching(source(&typed), &current.to_string_lossy()))
}

/// For `rollout/check`, of which only the part behind the slash is the name.
fn name_completer(typed: Arc<Typed>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let current = current.to_string_lossy();
        let (kind, name) = current.split_at(current.rfind('/').map_or(0, |slash| slash + 1));
        let found = matching(objects(&typed, kind), name);
        found.into_iter().map(|candidate| candidate.add_prefix(kind)).collect()
    })
}

/// Those that begin with what is typed.
fn matching(mut candidates: Vec<Candidate>, current: &str) -> Vec<CompletionCandidate> {
    candidates.retain(|candidate| candidate.value.starts_with(current));
    let candidate = |Candidate { value, about }: Candidate| {
        CompletionCandidate::new(value).help((!about.is_empty()).then(|| about.into()))
    };
    candidates.into_iter().map(candidate).collect()
}

/// What is not named yet: Rollouts, or AnalysisRuns after `run` and `run/`.
fn objects(typed: &Typed, kind: &str) -> Vec<Candidate> {
    let are_runs = typed.are_runs || names::of_runs(&[kind.to_owned()]).is_some();
    let mut found = if are_runs { lookup::runs(typed) } else { lookup::rollouts(typed) };
    found.retain(|candidate| !typed.names.contains(&candidate.value));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::root::command;

    /// An argument that is renamed would lose its candidates in silence.
    #[test]
    fn every_source_is_that_of_an_argument() {
        let mut root = command();
        root.build();
        let (mut there, mut open) = (std::collections::BTreeSet::new(), vec![root]);
        while let Some(verb) = open.pop() {
            there.extend(verb.get_arguments().map(|arg| arg.get_id().to_string()));
            open.extend(verb.get_subcommands().cloned());
            for named in verb.get_positionals().filter(|arg| arg.get_value_names().is_some_and(|n| n == ["NAME"])) {
                assert_eq!(named.get_id(), NAME, "{}", verb.get_name());
            }
        }
        for id in SOURCES.iter().map(|(id, _)| *id).chain([NAME]) {
            assert!(there.contains(id), "no argument is called {id}");
        }
    }
}
