//! The Rollout argument: `checkout`, `rollout checkout`, `rollout/checkout`, `gro checkout`; and `run NAME`, an AnalysisRun.

use crate::cli::{exit::CliError, program::program};

/// The names of the kind, as in kubectl. `ro` is from Argo Rollouts.
const KIND_WORDS: [&str; 5] = ["rollout", "rollouts", "ro", "gro", "rollouts.glidepath.dev"];

/// Whether the word is the kind and no name.
pub fn is_kind(word: &str) -> bool {
    KIND_WORDS.contains(&word)
}

/// The names among the arguments, without the kind.
pub fn names(words: &[String]) -> Vec<String> {
    let skip = usize::from(words.first().is_some_and(|word| is_kind(word)));
    words.iter().skip(skip).map(|word| without_kind(word).to_owned()).collect()
}

/// The names of the other kind, as users of kubectl and Argo Rollouts type them.
const RUN_WORDS: [&str; 7] = ["run", "runs", "analysisrun", "analysisruns", "gar", "ar", "analysisruns.glidepath.dev"];

/// The names among the words, if the words are about AnalysisRuns: `runs`, `run NAME` or `run/NAME`.
pub fn of_runs(words: &[String]) -> Option<Vec<String>> {
    let name = |word: &str| match word.split_once('/') {
        Some((kind, name)) if RUN_WORDS.contains(&kind) => name.to_owned(),
        _ => word.to_owned(),
    };
    let first = words.first()?;
    let is_kind = RUN_WORDS.contains(&first.as_str());
    let is_about_runs = is_kind || name(first) != *first;
    is_about_runs.then(|| words.iter().skip(usize::from(is_kind)).map(|word| name(word)).collect())
}

/// The only name among the arguments.
pub fn one_name(words: &[String], verb: &str) -> Result<String, CliError> {
    match names(words).as_slice() {
        [name] => Ok(name.clone()),
        [] => Err(none_given(verb)),
        [_, extra, ..] => Err(CliError::Usage(format!("{verb} accepts one Rollout; unexpected argument \"{extra}\""))),
    }
}

/// The names among the arguments, each once: at least one.
pub fn some_names(words: &[String], verb: &str) -> Result<Vec<String>, CliError> {
    let mut all: Vec<String> = Vec::new();
    for name in names(words) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    if all.is_empty() { Err(none_given(verb)) } else { Ok(all) }
}

fn none_given(verb: &str) -> CliError {
    CliError::Usage(format!("no Rollout given: use '{0} {verb} NAME'; '{0} get' lists them", program()))
}

fn without_kind(word: &str) -> &str {
    match word.split_once('/') {
        Some((kind, name)) if KIND_WORDS.contains(&kind) => name,
        _ => word,
    }
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
        ] {
            let words: Vec<String> = typed.split_whitespace().map(Into::into).collect();
            assert_eq!(names(&words), names_meant, "{typed}");
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
