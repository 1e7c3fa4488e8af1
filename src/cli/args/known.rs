//! Words that users know from kubectl, Argo Rollouts and Flagger and that are no verbs here: what to type instead.

use crate::cli::program::program;

/// The words, and the sentence that answers all of them. `{}` is the name of the program.
const ELSEWHERE: [(&[&str], &str); 19] = [
    (
        &["logs", "log"],
        "pods have logs: use 'kubectl logs'; '{} history NAME' shows past releases and commands, '{} explain NAME' why a release is where it is",
    ),
    (
        &["events"],
        "use 'kubectl events --for rollout.glidepath.dev/NAME'; '{} history NAME' shows past releases and commands",
    ),
    (&["dashboard", "ui", "web"], "there is no web page; '{} status NAME --watch' is a screen that follows a release"),
    (
        &["create", "apply", "new"],
        "a Rollout is a file: check it with '{} lint FILE', then use 'kubectl apply -f FILE'",
    ),
    (&["delete", "remove", "rm"], "use 'kubectl delete gro NAME' for a Rollout, '{} uninstall' for the installation"),
    (
        &["edit", "patch", "replace"],
        "use 'kubectl edit gro NAME', or '{} set image NAME CONTAINER=IMAGE' for a new version",
    ),
    (&["scale", "autoscale"], "use 'kubectl scale gro NAME --replicas N'"),
    (&["cancel", "stop", "kill", "fail", "reject"], "use '{} abort NAME', which shifts all traffic to stable"),
    (&["suspend"], "use '{} pause NAME'"),
    (
        &["continue", "unpause"],
        "use '{} resume NAME' after a pause by command, '{} promote NAME' at a pause of the steps",
    ),
    (&["approve", "advance", "skip", "next"], "use '{} promote NAME', with --full to skip the remaining steps"),
    (&["wait"], "use '{} status NAME --wait'; the exit code reports the outcome"),
    (
        &["rollout", "rollouts", "ro", "gro"],
        "the verb comes first: '{} status NAME', '{} undo NAME', '{} restart NAME'",
    ),
    (
        &["run", "start", "deploy", "release", "upgrade"],
        "use '{} set image NAME CONTAINER=IMAGE', or apply the file with its new image",
    ),
    (&["validate", "verify", "check", "diff"], "use '{} lint FILE' for files, '{} doctor' for a cluster"),
    (
        &["install", "init", "manifests"],
        "use '{} crds | kubectl apply --server-side -f -', then 'kubectl apply -k deploy/'",
    ),
    (&["info", "show", "inspect"], "use '{} status NAME', or '{} explain NAME'"),
    (&["top", "exec", "label", "annotate", "expose", "cp", "attach", "port-forward"], "use kubectl for this"),
    (&["notifications", "convert", "migrate"], "there is no such verb yet; '{} help' lists what there is"),
];

/// What to do instead, for a word that other tools have.
pub fn instead_of(word: &str) -> Option<String> {
    let (_, sentence) = ELSEWHERE.into_iter().find(|(words, _)| words.contains(&word))?;
    Some(format!("there is no verb \"{word}\": {}", sentence.replace("{}", program())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::root::command;

    /// Each `'glidepath VERB ...'` of a sentence is one that exists, and no word of the table hides a verb.
    #[test]
    fn every_sentence_leads_to_a_verb_that_exists() {
        let command = command();
        for (words, sentence) in ELSEWHERE {
            for typed in sentence.split("'{} ").skip(1) {
                let verb = typed.split([' ', '\'']).next().unwrap();
                assert!(command.find_subcommand(verb).is_some(), "{sentence}: no verb {verb}");
            }
            for word in words {
                assert!(command.find_subcommand(word).is_none(), "{word} is a verb");
            }
        }
    }

    #[test]
    fn words_of_other_tools_are_answered_in_one_sentence() {
        for (word, answer) in [
            ("cancel", "there is no verb \"cancel\": use 'glidepath abort NAME', which shifts all traffic to stable"),
            ("scale", "there is no verb \"scale\": use 'kubectl scale gro NAME --replicas N'"),
        ] {
            assert_eq!(instead_of(word).as_deref(), Some(answer));
        }
        for word in ["logs", "dashboard", "create", "delete", "edit"] {
            assert!(instead_of(word).is_some(), "{word}");
        }
        assert_eq!(instead_of("promtoe"), None);
    }
}
