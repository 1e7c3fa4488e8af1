//! The gate step: an external system or an operator decides whether the release continues (rule S16).

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::HumanDuration;

/// The default timeout of a gate.
const DEFAULT_TIMEOUT: HumanDuration = HumanDuration::secs(24 * 3600);

/// The message of `lint`, the API server and the controller for a gate without a target.
pub const ONE_WAY: &str = "a gate must have exactly one of url and approval";

/// An external approval that the release waits for: by an HTTP endpoint, or manually. Exactly one of `url`, `approval`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.url) != has(self.approval)", ONE_WAY))]
pub struct Gate {
    /// The name of the gate, shown to users and sent to the endpoint.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// An `http` or `https` URL that receives a POST request whose JSON body describes the release. A 2xx response with
    /// an empty body, `OK` or `{"allow": true}` approves; with `{"allow": false, "reason": "..."}` it denies, and the
    /// release fails. After any other response, or none, the request is retried after 5s with exponential backoff, up
    /// to once a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://"))]
    pub url: Option<String>,
    /// `true` requires manual approval, with `glidepath promote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<bool>,
    /// The timeout, not counting time in which the Rollout is paused. Default 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Action on timeout. Default `Hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

impl Gate {
    /// The timeout.
    pub fn timeout(&self) -> HumanDuration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Whether it requires manual approval: also without a URL (the validator requires one of the two).
    pub fn is_approval(&self) -> bool {
        self.url.is_none()
    }

    /// The endpoint as shown to users: the host alone, since the rest of a URL may contain secrets.
    pub fn host(&self) -> Option<&str> {
        host(self.url.as_deref()?).ok()
    }
}

/// Action on the timeout of a gate: `Hold` (default) waits for an operator, `Abort` rolls back, `Promote` continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// Suspend the release at its current weight until an operator decides.
    #[default]
    Hold,
    /// Roll back.
    Abort,
    /// Continue as if the gate had approved.
    Promote,
}

/// The host of an `http` or `https` URL, or what is wrong with it.
pub fn host(url: &str) -> Result<&str, &'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority =
        rest.ok_or("must start with https:// or http://")?.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not contain credentials");
    }
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split_once(']').map(|(address, _)| address).unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(letter) { Err("has no host") } else { Ok(host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_address_is_found_or_its_mistake_named() {
        for (url, wanted) in [
            ("https://gate.example.com/ask?x=1", Ok("gate.example.com")),
            ("http://gate:8080", Ok("gate")),
            ("http://[fe80::1]:80/x", Ok("fe80::1")),
            ("ftp://gate", Err("must start with https:// or http://")),
            ("https://me:secret@gate/", Err("must not contain credentials")),
            ("https:///ask", Err("has no host")),
            ("https://ga te/", Err("has no host")),
        ] {
            assert_eq!(host(url), wanted, "{url}");
        }
    }
}
