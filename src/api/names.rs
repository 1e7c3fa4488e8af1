//! Names as Kubernetes accepts them, and the names that Glidepath derives from a user's.
//!
//! The limits are the platform's: a DNS label and a label's value hold 63 characters, an object's name 253, and the API
//! server cuts the base of a generated name at 58 before it appends 5 random characters.

use sha2::{Digest, Sha256};

use super::{objects::Services, revision::base32};

/// The most characters of a DNS label and of a label's value.
pub const MOST_LABEL: usize = 63;
/// The most characters of a DNS subdomain, which is what most objects' names are.
pub const MOST_SUBDOMAIN: usize = 253;
/// What the API server keeps of a `generateName` (63 less its 5 random characters).
pub const MOST_GENERATED_BASE: usize = 58;
/// The most characters of a ReplicaSet's name whose pods are called `<ReplicaSet>-xxxxx`, dash included: analyses
/// distinguish pods by that prefix.
const MOST_REPLICA_SET: usize = MOST_GENERATED_BASE - 1;
/// The length of the hash that replaces the truncated part of a long name.
const HASH: usize = 6;

/// Why a string is not a valid Kubernetes name, with kubectl's messages.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Too long.
    #[error("must be no more than {most} characters, got {size}")]
    TooLong {
        /// What is allowed.
        most: usize,
        /// What it has.
        size: usize,
    },
    /// Not a DNS label.
    #[error(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with \
         an alphanumeric character (e.g. 'my-name', or '123-abc')"
    )]
    Label,
    /// Not a DNS subdomain.
    #[error(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and \
         end with an alphanumeric character (e.g. 'example.com')"
    )]
    Subdomain,
}

/// A name of a Service, a namespace: a DNS label.
pub fn label(text: &str) -> Result<(), NameError> {
    if !is_dns_part(text) { Err(NameError::Label) } else { within(text, MOST_LABEL) }
}

/// A name of most other objects: DNS labels with dots between them.
pub fn subdomain(text: &str) -> Result<(), NameError> {
    if !text.split('.').all(is_dns_part) { Err(NameError::Subdomain) } else { within(text, MOST_SUBDOMAIN) }
}

fn within(text: &str, most: usize) -> Result<(), NameError> {
    let size = text.chars().count();
    if size > most { Err(NameError::TooLong { most, size }) } else { Ok(()) }
}

fn is_dns_part(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().last()];
    ends.iter().all(|end| end.is_some_and(plain)) && text.bytes().all(|byte| plain(byte) || byte == b'-')
}

const QUALIFIED: &str = "at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";

/// A key of a label or annotation: a name, or a DNS subdomain, a slash and a name.
pub fn qualified_name(key: &str) -> Result<(), String> {
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if !is_qualified(name) {
        return Err(format!("its name must be {QUALIFIED}"));
    }
    match prefix.map(subdomain) {
        Some(Err(_)) => Err("the prefix before the slash must be a lowercase DNS name, like example.com".to_owned()),
        _ => Ok(()),
    }
}

/// A label's value.
pub fn label_value(value: &str) -> Result<(), String> {
    if value.is_empty() || is_qualified(value) { Ok(()) } else { Err(format!("it must be empty or {QUALIFIED}")) }
}

fn is_qualified(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let ends = [text.bytes().next(), text.bytes().last()];
    text.len() <= MOST_LABEL
        && text.bytes().all(inner)
        && ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()))
}

/// The name of a revision's ReplicaSet: `<rollout>-<id>`, with `-<alternative>` behind it where the names before are taken
/// by others' ReplicaSets.
///
/// A name that would be truncated in the names of its pods is shortened, and a hash of the Rollout's whole name
/// distinguishes it from others with the same prefix. A ReplicaSet is found by owner and label, never by this name:
/// older ones may be called otherwise.
pub fn replica_set(rollout: &str, id: &str, alternative: u32) -> String {
    let end = if alternative == 0 { format!("-{id}") } else { format!("-{id}-{alternative}") };
    let room = MOST_REPLICA_SET.saturating_sub(end.len());
    if rollout.len() <= room {
        return format!("{rollout}{end}");
    }
    let hash = base32(&Sha256::digest(rollout), HASH);
    let start: String = rollout.chars().take(room.saturating_sub(HASH + 1)).collect();
    format!("{}-{hash}{end}", start.trim_end_matches(['-', '.']))
}

/// Whether a ReplicaSet of this name is one of this revision: by today's rule, or by the one before it, which left names
/// longer than their pods can bear whole.
pub fn is_replica_set(name: &str, rollout: &str, id: &str, alternative: u32) -> bool {
    let end = if alternative == 0 { format!("-{id}") } else { format!("-{id}-{alternative}") };
    let room = MOST_LABEL.saturating_sub(id.len() + "-".len() + "-0".len());
    let start: String = rollout.chars().take(room).collect();
    let before = format!("{}{end}", start.trim_end_matches(['-', '.']));
    name == replica_set(rollout, id, alternative) || name == before
}

/// The stable Service's name: as given, else `<root>-stable` (rule S6).
pub fn stable_service(services: &Services) -> Option<String> {
    services.stable.clone().or_else(|| Some(format!("{}-stable", services.root.as_ref()?)))
}

/// The canary Service's name: as given, else `<root>-canary` (rule S6).
pub fn canary_service(services: &Services) -> Option<String> {
    services.canary.clone().or_else(|| Some(format!("{}-canary", services.root.as_ref()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "8g9pz8tnpd";

    /// What the API server makes of a ReplicaSet's name for one of its pods (`SimpleNameGenerator`).
    fn pod_of(replica_set: &str) -> String {
        let base: String = format!("{replica_set}-").chars().take(MOST_GENERATED_BASE).collect();
        base + "x7k2z"
    }

    #[test]
    fn names_that_fit_are_not_touched() {
        assert_eq!(replica_set("web", ID, 0), "web-8g9pz8tnpd");
        assert_eq!(replica_set("web", ID, 2), "web-8g9pz8tnpd-2");
        let longest = "x".repeat(46);
        assert_eq!(replica_set(&longest, ID, 0), format!("{longest}-{ID}"));
    }

    // W5: the input is name-of-48.yaml.
    #[test]
    fn w5_pods_of_a_long_name_keep_their_replica_sets_name() {
        let name = replica_set("checkout-recommendation-engine-v2-eu-west-1-prod", ID, 0);
        assert!(pod_of(&name).starts_with(&format!("{name}-")), "{name}");
        let other = replica_set("checkout-recommendation-engine-v2-eu-west-1-test", ID, 0);
        assert_ne!(name, other, "names that begin alike stay apart");
    }

    // S2: what was made before the names were shortened is still found.
    #[test]
    fn s2_replica_sets_with_older_names_are_still_those_of_their_revision() {
        let rollout = "checkout-recommendation-engine-v2-eu-west-1-prod";
        for older in [format!("{rollout}-{ID}"), replica_set(rollout, ID, 0)] {
            assert!(is_replica_set(&older, rollout, ID, 0), "{older}");
        }
        assert!(is_replica_set(&format!("{rollout}-{ID}-2"), rollout, ID, 2));
        assert!(!is_replica_set(&format!("{rollout}-{ID}-2"), rollout, ID, 0));
    }

    #[test]
    fn kubectls_words_for_what_is_no_name() {
        for (text, said) in [
            ("Web_Shop", "a lowercase RFC 1123 subdomain must consist of lower case"),
            ("wéb", "a lowercase RFC 1123 subdomain"),
            ("../../etc", "a lowercase RFC 1123 subdomain"),
            ("", "a lowercase RFC 1123 subdomain"),
            ("a..b", "a lowercase RFC 1123 subdomain"),
            ("-a", "must start and end with an alphanumeric character"),
            (&"a".repeat(254), "must be no more than 253 characters, got 254"),
        ] {
            assert!(subdomain(text).unwrap_err().to_string().contains(said), "{text}");
        }
        assert_eq!(subdomain("a.b-c.9"), Ok(()));
        assert_eq!(label("a.b"), Err(NameError::Label));
        assert_eq!(label(&"a".repeat(64)), Err(NameError::TooLong { most: 63, size: 64 }));
    }

    proptest! {
        /// Whatever a Rollout is called, its ReplicaSets' names are names, their pods bear them whole, and the pattern
        /// `(.*)-[^-]*` by which counters distinguish pods yields the ReplicaSet.
        #[test]
        fn w5_every_derived_name_fits_and_matches_its_pods(
            rollout in "[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?", alternative in 0u32..=3,
        ) {
            prop_assume!(subdomain(&rollout).is_ok());
            let name = replica_set(&rollout, ID, alternative);
            prop_assert!(name.len() <= 57 && subdomain(&name).is_ok(), "{}", name);
            let pod = pod_of(&name);
            prop_assert!(pod.len() <= MOST_LABEL && pod.starts_with(&format!("{name}-")), "{}", pod);
            prop_assert_eq!(pod.rsplit_once('-').map(|(start, _)| start), Some(name.as_str()));
            prop_assert!(label_value(&rollout).is_ok());
        }
    }
}
