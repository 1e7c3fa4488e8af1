//! The gate step: somebody outside says whether the release may go on (rule S16).

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::HumanDuration;

/// How long a gate is waited for when the file does not say.
const DEFAULT_TIMEOUT: HumanDuration = HumanDuration::secs(24 * 3600);

/// What a gate needs to be asked, in the words of `lint`, the API server and the controller.
pub const ONE_WAY: &str = "a gate has exactly one of url and approval";

/// An outside word that the release waits for: an HTTP endpoint's, or a person's. Exactly one of `url`, `approval`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.url) != has(self.approval)", ONE_WAY))]
pub struct Gate {
    /// Its name, for people and for the endpoint.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// An `http` or `https` address that is asked by POST, with a JSON body that says what is being released. A status of
    /// 2xx is a yes when the body is empty, `OK` or `{"allow": true}`, and with `{"allow": false, "reason": "..."}` it is a
    /// no, and the release fails. After any other answer, or none, it is asked again, first after 5s, then less often, up to
    /// once a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://"))]
    pub url: Option<String>,
    /// `true`: a person says yes, with `glidepath promote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<bool>,
    /// How long it is waited for, without the time that the Rollout is paused. Default 24h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// What happens then. Default `Hold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_timeout: Option<OnTimeout>,
}

impl Gate {
    /// How long it is waited for.
    pub fn timeout(&self) -> HumanDuration {
        self.timeout.unwrap_or(DEFAULT_TIMEOUT)
    }

    /// Whether a person is asked. Without an address there is nobody else (the validator asks for one of the two).
    pub fn is_approval(&self) -> bool {
        self.url.is_none()
    }

    /// Where it is, for people: the host alone, since the rest of an address may hold what is nobody's business.
    pub fn host(&self) -> Option<&str> {
        host(self.url.as_deref()?).ok()
    }
}

/// What a gate without a word in time does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnTimeout {
    /// Everything stays as it is until a person decides.
    #[default]
    Hold,
    /// The release is taken back.
    Abort,
    /// It goes on as if the gate had opened.
    Promote,
}

/// The host of an `http` or `https` URL, or what is wrong with it.
pub fn host(url: &str) -> Result<&str, &'static str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority =
        rest.ok_or("must begin with https:// or http://")?.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold credentials");
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
            ("ftp://gate", Err("must begin with https:// or http://")),
            ("https://me:secret@gate/", Err("must not hold credentials")),
            ("https:///ask", Err("has no host")),
            ("https://ga te/", Err("has no host")),
        ] {
            assert_eq!(host(url), wanted, "{url}");
        }
    }
}
