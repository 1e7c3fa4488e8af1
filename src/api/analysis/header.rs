//! A header of requests, with its value or the Secret that holds it.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::auth::SecretKeyRef;

/// The message for a header with no value or with two.
const ONE_VALUE: &str = "set exactly one of value and secretRef";
/// Headers that belong to the connection, not to a user.
const RESERVED: [&str; 8] = [
    "host",
    "connection",
    "content-length",
    "content-type",
    "transfer-encoding",
    "te",
    "upgrade",
    "proxy-authorization",
];
/// Headers whose value is a credential: every reader of the object would see it.
const CREDENTIALS: [&str; 2] = ["authorization", "cookie"];

/// A header. Exactly one of `value`, `secretRef`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.value) != has(self.secretRef)", ONE_VALUE))]
pub struct Header {
    /// Its name.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z0-9-]+$"))]
    pub name: String,
    /// Its value, visible to every reader of this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub value: Option<String>,
    /// The Secret and key with its value. Default key: `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretKeyRef>,
}

impl Header {
    /// What is wrong with these headers: which of them, and why.
    pub fn problems(headers: &[Header]) -> Vec<(usize, String)> {
        let mut problems = Vec::new();
        for (index, header) in headers.iter().enumerate() {
            let again = headers.iter().take(index).any(|earlier| earlier.name.eq_ignore_ascii_case(&header.name));
            let problem = if again { Some(format!("{} is set twice", header.name)) } else { header.problem() };
            problems.extend(problem.map(|problem| (index, problem)));
        }
        problems
    }

    fn problem(&self) -> Option<String> {
        let name = self.name.to_ascii_lowercase();
        let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if name.is_empty() || !name.chars().all(letter) {
            Some(format!("{} is not the name of a header", self.name))
        } else if RESERVED.contains(&name.as_str()) {
            Some(format!("{} cannot be set", self.name))
        } else if self.value.is_some() == self.secret_ref.is_some() {
            Some(ONE_VALUE.to_owned())
        } else if CREDENTIALS.contains(&name.as_str()) && self.value.is_some() {
            Some(format!(
                "{} is a credential, which every reader of this object would see; use secretRef or auth",
                self.name
            ))
        } else if self
            .value
            .as_ref()
            .is_some_and(|value| value.is_empty() || value.chars().any(|c| c.is_control() || !c.is_ascii()))
        {
            Some(format!("the value of {} is not one line of ASCII text", self.name))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_cannot_be_sent_or_would_show_a_credential_are_refused() {
        let header =
            |name: &str, value: &str| Header { name: name.into(), value: Some(value.into()), secret_ref: None };
        let secret = Some(SecretKeyRef { name: "s".into(), key: None });
        let hidden = Header { secret_ref: secret, value: None, ..header("Authorization", "") };
        let fine = [header("X-Team", "shop"), header("Accept", "text/csv; q=1"), hidden.clone()];
        assert_eq!(Header::problems(&fine), []);
        for (header, words) in [
            (header("Authorization", "Bearer hunter2"), "is a credential"),
            (header("Host", "x"), "cannot be set"),
            (header("X Team", "x"), "is not the name"),
            (header("", "x"), "is not the name"),
            (header("X-Other", "a\r\nHost: b"), "is not one line"),
            (header("x-team", "b"), "is set twice"),
            (Header { value: Some("x".into()), ..hidden }, "exactly one"),
        ] {
            let found = Header::problems(&[fine[0].clone(), header]);
            assert!(found.len() == 1 && found[0].0 == 1 && found[0].1.contains(words), "{found:?}");
            assert!(!found[0].1.contains("hunter2"), "{found:?}");
        }
    }
}
