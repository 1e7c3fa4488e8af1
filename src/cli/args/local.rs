//! How `--local` and the words around it are read. Its value may be left out, so `--local web` can name a local rollout or
//! be a flag in front of a Rollout's name, and nothing that was typed may get lost.

use std::{ffi::OsString, path::Path};

use super::names::{is_kind, names};
use crate::cli::{
    exit::CliError,
    local::place::{kubeconfig, root, with_rollout},
};

const FLAG: &str = "--local";

/// The arguments with a `--local` that cannot mean the next word moved to the end, where it has no value: in front of a verb
/// (`--local get`) and of an image (`--local web=web:v2`).
pub fn in_order(mut arguments: Vec<OsString>, is_verb: impl Fn(&str) -> bool) -> Vec<OsString> {
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    let Some(at) = arguments.iter().take(end).position(|word| word == FLAG) else { return arguments };
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    let is_after_verb = arguments.iter().take(at).skip(1).any(|word| is_verb(&text(word)));
    let next = arguments.get(at + 1).filter(|_| at + 1 < end).map(text);
    let is_another = next.is_some_and(|next| next.contains('=') || !is_after_verb && is_verb(&next));
    if is_another {
        let flag = arguments.remove(at);
        arguments.insert(end - 1, flag);
    }
    arguments
}

/// What `--local` is followed by as a word of its own.
pub fn value(arguments: &[OsString]) -> Option<String> {
    let at = arguments.iter().position(|word| word == FLAG)?;
    arguments.get(at + 1).map(|word| word.to_string_lossy().into_owned()).filter(|word| !word.starts_with('-'))
}

/// Reads the words of a verb together with the value of `--local`. Of several local rollouts that run, a Rollout's name means
/// the one that has it.
pub fn settle(
    local: &mut Option<String>,
    words: &mut Vec<String>,
    is_one_word: bool,
    wants_one: bool,
) -> Result<(), CliError> {
    name_one(local, words, is_one_word, wants_one)?;
    let plain: Vec<String> = words.iter().filter(|word| !word.contains('=')).cloned().collect();
    if let (None, [name]) = (&local, names(&plain)?.as_slice()) {
        *local = with_rollout(&root()?, name);
    }
    Ok(())
}

/// Names the Rollout. Where no Rollout is named, a value that is the name of no
/// local rollout is the Rollout's; and a verb on one Rollout is about the only one there.
fn name_one(
    local: &mut Option<String>,
    words: &mut Vec<String>,
    is_one_word: bool,
    wants_one: bool,
) -> Result<(), CliError> {
    if is_named(words) {
        return Ok(());
    }
    if is_one_word && let Some(name) = local.take_if(|value| !is_local(value)) {
        name_it(words, name);
        return Ok(());
    }
    if wants_one && let Some(name) = only_rollout(&kubeconfig(local.as_deref())?) {
        name_it(words, name);
    }
    Ok(())
}

fn name_it(words: &mut Vec<String>, name: String) {
    let kind = words.first().is_some_and(|word| is_kind(word));
    words.insert(usize::from(kind), name);
}

fn is_named(words: &[String]) -> bool {
    let kind = words.first().is_some_and(|word| is_kind(word));
    words.iter().skip(usize::from(kind)).any(|word| !word.contains('='))
}

/// Whether a local rollout of this name was ever started, or a folder is meant. `rollout/web` is a Rollout.
fn is_local(value: &str) -> bool {
    match value.split_once('/') {
        Some((kind, _)) => !is_kind(kind),
        None => root().is_ok_and(|root| root.join(value).is_dir()),
    }
}

/// The name of the Rollout whose kubeconfig this is: a local has one.
fn only_rollout(kubeconfig: &Path) -> Option<String> {
    let there = std::fs::read_dir(kubeconfig.with_file_name("rollouts")).ok()?.flatten();
    let mut names = there.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()));
    let only = names.next()?;
    names.next().is_none().then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn a_verb_or_an_image_after_local_is_not_its_value() {
        for (typed, read) in [
            ("glidepath --local get", "glidepath get --local"),
            ("glidepath --local status web --watch", "glidepath status web --watch --local"),
            ("glidepath set image web --local web=web:v2", "glidepath set image web web=web:v2 --local"),
            ("glidepath set image --local web=web:v2 -- x", "glidepath set image web=web:v2 --local -- x"),
            ("glidepath status --local web", "glidepath status --local web"),
            ("glidepath --local api status web", "glidepath --local api status web"),
            ("glidepath status web --local", "glidepath status web --local"),
            ("glidepath status --local get", "glidepath status --local get"),
            ("glidepath get -- --local get", "glidepath get -- --local get"),
        ] {
            let typed = words(typed).into_iter().map(OsString::from).collect();
            let ordered = in_order(typed, |word| ["get", "status", "set"].contains(&word));
            assert_eq!(ordered, words(read).into_iter().map(OsString::from).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_value_that_is_no_local_rollout_is_the_name_of_the_rollout() {
        let nowhere = "no-local-rollout-has-this-name";
        for typed in ["", "rollout", "web=web:v2"] {
            let (mut local, mut typed) = (Some(nowhere.to_owned()), words(typed));
            settle(&mut local, &mut typed, true, true).unwrap();
            assert_eq!((local, typed.iter().find(|word| !is_kind(word)).unwrap().as_str()), (None, nowhere));
        }
        let (mut local, mut typed) = (Some(nowhere.to_owned()), words("web"));
        settle(&mut local, &mut typed, true, true).unwrap();
        assert_eq!((local.as_deref(), typed.as_slice()), (Some(nowhere), ["web".to_owned()].as_slice()));
        // `--local=NAME` is nothing else.
        let error = settle(&mut local, &mut vec![], false, true).unwrap_err().to_string();
        assert!(error.contains("was never started"), "{error}");
    }

    #[test]
    fn the_only_rollout_of_a_local_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        assert_eq!(only_rollout(&kubeconfig), None);
        let rollouts = folder.path().join("rollouts");
        std::fs::create_dir(&rollouts).unwrap();
        std::fs::write(rollouts.join("web.json"), "{}").unwrap();
        std::fs::write(rollouts.join("web.json.new"), "").unwrap();
        assert_eq!(only_rollout(&kubeconfig).as_deref(), Some("web"));
        std::fs::write(rollouts.join("api.json"), "{}").unwrap();
        assert_eq!(only_rollout(&kubeconfig), None);
    }
}
