//! What stands on the line before the word to complete: it says which cluster, which namespace and which Rollout is meant.

use std::ffi::OsString;

use clap::{ArgMatches, FromArgMatches as _};

use crate::cli::args::{global::Global, names};

/// The argument that holds the Rollout's name, in every verb that has one.
pub(super) const NAME: &str = "words";

/// The part of the line that is typed already.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    /// The options of every verb.
    pub global: Global,
    /// The objects that are named, without their kind.
    pub names: Vec<String>,
    /// Whether they are AnalysisRuns.
    pub are_runs: bool,
}

impl Typed {
    /// Reads the words before the cursor; a line that is not whole yet is read as far as it goes.
    pub fn read(before: &[OsString], command: clap::Command) -> Self {
        let words = ["glidepath".into()].into_iter().chain(before.iter().cloned());
        let Ok(matches) = command.ignore_errors(true).try_get_matches_from(words) else { return Self::default() };
        let global = Global::from_arg_matches(&matches).unwrap_or_default();
        let mut verb = &matches;
        while let Some((_, inner)) = verb.subcommand() {
            verb = inner;
        }
        let words = words_of(verb);
        let runs = names::of_runs(&words);
        Typed {
            global,
            are_runs: runs.is_some(),
            names: runs.unwrap_or_else(|| names::names(&words).unwrap_or_default()),
        }
    }
}

fn words_of(verb: &ArgMatches) -> Vec<String> {
    let words = verb.try_get_many::<String>(NAME).ok().flatten();
    words.into_iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::root::command;

    #[test]
    fn a_line_that_is_not_whole_is_read_as_far_as_it_goes() {
        for (line, namespace, context, names) in [
            ("", None, None, vec![]),
            ("status", None, None, vec![]),
            ("-n shop status", Some("shop"), None, vec![]),
            ("promote checkout -n shop --to-step", Some("shop"), None, vec!["checkout"]),
            ("undo rollout/checkout --context prod --to-revision", None, Some("prod"), vec!["checkout"]),
            ("get rollouts a b --namespace=shop", Some("shop"), None, vec!["a", "b"]),
            ("status -n", None, None, vec![]),
        ] {
            let words: Vec<OsString> = line.split_whitespace().map(Into::into).collect();
            let typed = Typed::read(&words, command());
            let global = (typed.global.namespace.as_deref(), typed.global.context.as_deref());
            assert_eq!(global, (namespace, context), "{line}");
            assert_eq!(typed.names, names, "{line}");
        }
        let wrong: Vec<OsString> = ["set", "image", "checkout", "--nonsense"].map(Into::into).into();
        assert_eq!(Typed::read(&wrong, command()).names, ["checkout"]);
    }
}
