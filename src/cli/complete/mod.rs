//! Completion: `glidepath __complete WORD...` prints what the last word can be, which the scripts of `glidepath completions`
//! and kubectl ask for at every Tab.
//!
//! The protocol is the one of cobra, which kubectl speaks with its plugins: a line for each candidate, with its description
//! behind a tab, then a line with a colon and the sum of the directives. It is silent about everything that goes wrong: an
//! error in the middle of a command line helps no one.

mod candidates;
mod lookup;
mod typed;

use std::ffi::OsString;

use clap_complete::engine::{CompletionCandidate, complete};

use crate::cli::{
    exit::{CliError, Exit},
    render::{output::print, printable::printable},
};
use candidates::with_candidates;
use typed::Typed;

/// The hidden verb that completes the words after it.
pub const VERB: &str = "__complete";

/// For the shell: no blank behind the candidate.
const NO_SPACE: u32 = 2;
/// For the shell: do not offer files in place of what is printed.
const NO_FILES: u32 = 4;

/// The words of a line to complete, if it is one: the last of them is the one with the cursor.
pub fn asked() -> Option<Vec<OsString>> {
    let mut words = std::env::args_os().skip(1);
    (words.next()? == VERB).then(|| words.collect())
}

/// Prints what the last word can be.
pub fn run(mut words: Vec<OsString>, command: clap::Command) -> Result<Exit, CliError> {
    let current = words.pop().unwrap_or_default();
    print(&answer(&found(&words, current, command)))?;
    Ok(Exit::Done)
}

fn found(before: &[OsString], current: OsString, command: clap::Command) -> Vec<CompletionCandidate> {
    let wants_options = current.as_encoded_bytes().starts_with(b"-");
    // The long names say more than the short ones, and only one of both is offered.
    let current = if current == "-" { "--".into() } else { current };
    let mut command = with_candidates(command.clone(), &Typed::read(before, command));
    let typed = current.to_string_lossy().into_owned();
    let words: Vec<OsString> =
        ["glidepath".into()].into_iter().chain(before.iter().cloned()).chain([current]).collect();
    let (last, folder) = (words.len() - 1, std::env::current_dir().ok());
    let mut found = complete(&mut command, words, last, folder.as_deref()).unwrap_or_default();
    found.iter_mut().for_each(|candidate| by_its_name(candidate, &command, &typed));
    // As in kubectl: options are offered to who has typed a dash.
    found.retain(|candidate| wants_options || !candidate.get_value().as_encoded_bytes().starts_with(b"-"));
    found
}

/// Of a verb and its aliases the engine offers one, the first by the alphabet: it should be the verb, where that fits what
/// is typed.
fn by_its_name(candidate: &mut CompletionCandidate, command: &clap::Command, typed: &str) {
    let is_alias = |verb: &&clap::Command| {
        candidate.get_help() == verb.get_about()
            && verb.get_visible_aliases().any(|alias| candidate.get_value() == alias)
            && verb.get_name().starts_with(typed)
    };
    if let Some(verb) = command.get_subcommands().find(is_alias) {
        *candidate = CompletionCandidate::new(verb.get_name()).help(verb.get_about().cloned());
    }
}

fn answer(found: &[CompletionCandidate]) -> String {
    let mut text = String::new();
    let mut directives = NO_FILES;
    // Behind a folder or `--option=` the word continues.
    let continues = |candidate: &CompletionCandidate| candidate.get_value().as_encoded_bytes().ends_with(b"/");
    if !found.is_empty() && found.iter().all(continues) {
        directives += NO_SPACE;
    }
    for candidate in found {
        text += &printable(&candidate.get_value().to_string_lossy());
        let about = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        if let Some(sentence) = about.lines().next().and_then(|line| line.split(". ").next()).filter(|s| !s.is_empty())
        {
            text += &format!("\t{}", printable(sentence));
        }
        text.push('\n');
    }
    text + &format!(":{directives}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::root::command;

    fn offered(line: &str) -> Vec<String> {
        let mut words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let current = words.pop().unwrap_or_default();
        let found = found(&words, current, command());
        found.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn verbs_options_and_fixed_values_are_offered() {
        for (line, wanted) in [
            ("comp", vec!["completions"]),
            ("rollb", vec!["rollback"]),
            ("status --wat", vec!["--watch"]),
            ("status -o ya", vec!["yaml"]),
            ("status -o=ya", vec!["-o=yaml"]),
            ("--color=n", vec!["--color=never"]),
            ("completions k", vec!["kubectl"]),
            ("lint rollouts/demo", vec!["rollouts/demo.yaml"]),
            ("set ", vec!["image"]),
        ] {
            assert_eq!(offered(line), wanted, "{line}");
        }
    }

    #[test]
    fn options_are_offered_only_after_a_dash() {
        let verbs = offered("");
        assert!(verbs.contains(&"status".into()) && !verbs.iter().any(|verb| verb.starts_with('-')), "{verbs:?}");
        assert!(!verbs.iter().any(|verb| verb == "man"), "hidden: {verbs:?}");
        assert!(offered("status -").contains(&"--watch".into()));
    }

    #[test]
    fn the_answer_is_in_the_protocol_of_cobra() {
        let candidate = |value: &str| CompletionCandidate::new(value);
        assert_eq!(answer(&[]), ":4\n");
        assert_eq!(answer(&[candidate("a").help(Some("one\ntwo".into())), candidate("b")]), "a\tone\nb\n:4\n");
        assert_eq!(answer(&[candidate("rollouts/")]), "rollouts/\n:6\n", "no blank behind a folder");
        assert_eq!(answer(&[candidate("a/"), candidate("b")]), "a/\nb\n:4\n");
    }
}
