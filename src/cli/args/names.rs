//! The Rollout argument: `checkout`, `rollout checkout`, `rollout/checkout`, `gro checkout`.

use crate::cli::exit::CliError;

/// The names of the kind, as in kubectl. `ro` is from Argo Rollouts.
const KIND_WORDS: [&str; 5] = ["rollout", "rollouts", "ro", "gro", "rollouts.glidepath.dev"];

/// The names among the arguments, without the kind.
pub fn names(words: &[String]) -> Vec<String> {
    let skip = usize::from(words.first().is_some_and(|word| KIND_WORDS.contains(&word.as_str())));
    words.iter().skip(skip).map(|word| without_kind(word).to_owned()).collect()
}

/// The only name among the arguments.
pub fn one_name(words: &[String], verb: &str) -> Result<String, CliError> {
    match names(words).as_slice() {
        [name] => Ok(name.clone()),
        [] => Err(CliError::Usage(format!("no Rollout given: use glidepath {verb} NAME; 'glidepath get' lists them"))),
        [_, extra, ..] => Err(CliError::Usage(format!("{verb} accepts one Rollout; unexpected argument \"{extra}\""))),
    }
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
        assert!(one_name(&[], "abort").unwrap_err().to_string().contains("glidepath abort NAME"));
    }
}
