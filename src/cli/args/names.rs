//! The Rollout argument: `checkout`, `rollout checkout`, `rollout/checkout`, `gro checkout`; and `run NAME`, an AnalysisRun.

use crate::cli::{exit::CliError, program::program};

/// The names of the kind, as in kubectl. `ro` is from Argo Rollouts.
const KIND_WORDS: [&str; 4] = ["rollout", "rollouts", "ro", "gro"];

/// Whether the word is the kind and no name.
pub fn is_kind(word: &str) -> bool {
    is_one_of(&KIND_WORDS, word)
}

/// As kubectl reads a kind: in any case, and with the group (`rollouts.glidepath.dev`) or version and group.
fn is_one_of(kinds: &[&str], word: &str) -> bool {
    let word = word.to_lowercase();
    let plain = word.strip_suffix(".glidepath.dev").unwrap_or(&word);
    kinds.contains(&plain.strip_suffix(".v1alpha1").unwrap_or(plain))
}

/// The names among the arguments, without the kind. An object of another kind is none.
pub fn names(words: &[String]) -> Result<Vec<String>, CliError> {
    let skip = usize::from(words.first().is_some_and(|word| is_kind(word)));
    words.iter().skip(skip).map(|word| name(word).map(str::to_owned)).collect()
}

/// The names of the other kind, as users of kubectl and Argo Rollouts type them.
const RUN_WORDS: [&str; 6] = ["run", "runs", "analysisrun", "analysisruns", "gar", "ar"];

/// The names among the words, if the words are about AnalysisRuns: `runs`, `run NAME` or `run/NAME`.
pub fn of_runs(words: &[String]) -> Option<Vec<String>> {
    let name = |word: &str| match word.split_once('/') {
        Some((kind, name)) if is_one_of(&RUN_WORDS, kind) => name.to_owned(),
        _ => word.to_owned(),
    };
    let first = words.first()?;
    let is_kind = is_one_of(&RUN_WORDS, first);
    let is_about_runs = is_kind || name(first) != *first;
    is_about_runs.then(|| words.iter().skip(usize::from(is_kind)).map(|word| name(word)).collect())
}

/// The only name among the arguments.
pub fn one_name(words: &[String], verb: &str) -> Result<String, CliError> {
    match names(words)?.as_slice() {
        [name] => Ok(name.clone()),
        [] => Err(none_given(verb)),
        [_, extra, ..] => Err(CliError::Usage(format!("{verb} accepts one Rollout; unexpected argument \"{extra}\""))),
    }
}

/// The names among the arguments, each once: at least one.
pub fn some_names(words: &[String], verb: &str) -> Result<Vec<String>, CliError> {
    let mut all: Vec<String> = Vec::new();
    for name in names(words)? {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    if all.is_empty() { Err(none_given(verb)) } else { Ok(all) }
}

fn none_given(verb: &str) -> CliError {
    CliError::Usage(format!("no Rollout given: use '{0} {verb} NAME'; '{0} get' lists them", program()))
}

fn name(word: &str) -> Result<&str, CliError> {
    let name = match word.split_once('/') {
        Some((kind, name)) if is_kind(kind) => name,
        Some((kind, name)) => return Err(another_kind(word, kind, name)),
        None => word,
    };
    // A name is a part of the address that is asked.
    if matches!(name, "" | "." | "..") || name.contains(['/', '?', '#', '%']) {
        return Err(CliError::Usage(format!(
            "\"{word}\" cannot be the name of a Rollout; '{} get' lists them",
            program()
        )));
    }
    Ok(name)
}

fn another_kind(word: &str, kind: &str, name: &str) -> CliError {
    let what = if is_one_of(&RUN_WORDS, kind) { "an AnalysisRun" } else { "an object of another kind" };
    CliError::Usage(format!(
        "\"{word}\" is {what}, and this verb is about Rollouts: name one as rollout/{name} or {name}; '{} get' lists them",
        program()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rollouts_are_named_as_kubectl_users_type_them() {
        for (typed, names_meant) in [
            ("", vec![]),
            ("rollouts", vec![]),
            ("checkout", vec!["checkout"]),
            ("rollout checkout", vec!["checkout"]),
            ("gro a b", vec!["a", "b"]),
            ("rollout/checkout", vec!["checkout"]),
            ("checkout rollout", vec!["checkout", "rollout"]),
            ("rollouts.glidepath.dev/web", vec!["web"]),
            ("rollout.glidepath.dev/web", vec!["web"]),
            ("rollouts.v1alpha1.glidepath.dev web", vec!["web"]),
            ("Rollout/web", vec!["web"]),
        ] {
            let words: Vec<String> = typed.split_whitespace().map(Into::into).collect();
            assert_eq!(names(&words).unwrap(), names_meant, "{typed}");
        }
        for (typed, wanted) in [
            (
                "deployment/web",
                "\"deployment/web\" is an object of another kind, and this verb is about Rollouts: name one as",
            ),
            ("rollouts.argoproj.io/web", "an object of another kind"),
            ("run/web", "an AnalysisRun, and this verb is about Rollouts"),
            ("rollout/", "cannot be the name of a Rollout"),
            ("a?b", "cannot be the name of a Rollout"),
            ("rollout/a/b", "cannot be the name of a Rollout"),
        ] {
            let error = names(&[typed.to_owned()]).unwrap_err();
            assert!(matches!(error, CliError::Usage(_)) && error.to_string().contains(wanted), "{typed}: {error}");
        }
        let several: Vec<String> = ["rollout", "a", "rollout/b", "a"].map(Into::into).to_vec();
        assert_eq!(some_names(&several, "abort").unwrap(), ["a", "b"]);
        assert!(some_names(&several[..1], "abort").unwrap_err().to_string().contains("no Rollout given"));
        assert!(one_name(&[], "abort").unwrap_err().to_string().contains("glidepath abort NAME"));
    }

    #[test]
    fn runs_are_named_as_kubectl_and_argo_users_type_them() {
        for (typed, meant) in [
            ("runs", Some(vec![])),
            ("run a b", Some(vec!["a", "b"])),
            ("gar", Some(vec![])),
            ("analysisrun/a", Some(vec!["a"])),
            ("analysisruns.glidepath.dev/a", Some(vec!["a"])),
            ("rollouts", None),
            ("a", None),
            ("", None),
        ] {
            let words: Vec<String> = typed.split_whitespace().map(Into::into).collect();
            let meant = meant.map(|names| names.into_iter().map(str::to_owned).collect());
            assert_eq!(of_runs(&words), meant, "{typed}");
        }
    }
}
