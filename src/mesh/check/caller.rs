//! Who called the target, as metrics know it.

use std::{fmt, net::IpAddr};

use jiff::Timestamp;

use crate::mesh::facts::Account;

/// The identity of a caller's pods in a mesh.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The mesh's trust domain.
    pub trust_domain: String,
    /// The ServiceAccount.
    pub account: Account,
}

impl Identity {
    /// From a SPIFFE id, with or without its scheme: `spiffe://cluster.local/ns/shop/sa/web`.
    pub fn of(text: &str) -> Option<Self> {
        let text = text.strip_prefix("spiffe://").unwrap_or(text);
        let (trust_domain, rest) = text.split_once("/ns/")?;
        let (namespace, name) = rest.split_once("/sa/")?;
        let account = Account { namespace: namespace.to_owned(), name: name.to_owned() };
        (!trust_domain.is_empty()).then(|| Identity { trust_domain: trust_domain.to_owned(), account })
    }

    /// As a principal of Istio's.
    pub fn principal(&self) -> String {
        format!("{}/ns/{}/sa/{}", self.trust_domain, self.account.namespace, self.account.name)
    }
}

/// Requests or connections of one kind of caller that succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Caller {
    /// What metrics call it, for people: `shop/web`; empty where they do not know.
    pub workload: String,
    /// Its identity; none without mutual TLS.
    pub identity: Option<Identity>,
    /// Whether it used mutual TLS.
    pub is_mutual: bool,
    /// Its address, where it is known.
    pub address: Option<IpAddr>,
    /// The port of the pod, where it is known.
    pub port: Option<u16>,
    /// Whether it is HTTP (gRPC too), so that methods and paths are of use.
    pub is_http: bool,
    /// How many requests, or connections where it is not HTTP.
    pub count: f64,
    /// When the last one was.
    pub last_seen: Option<Timestamp>,
}

/// A question for callers. Each sample of the answers names one in its label `arm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerQuery {
    /// How many requests or connections.
    pub counts: String,
    /// When the last one was, in seconds since 1970.
    pub last_seen: String,
    /// Whether it is about HTTP.
    pub is_http: bool,
}

impl fmt::Display for Caller {
    /// `shop/web as ServiceAccount shop/front`, `shop/cron in plaintext`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.workload.is_empty() { "an unknown workload" } else { &self.workload };
        match &self.identity {
            Some(Identity { account, .. }) => {
                write!(f, "{name} as ServiceAccount {}/{}", account.namespace, account.name)
            }
            None => write!(f, "{name} in plaintext"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_from_what_metrics_say() {
        let identity = Identity::of("spiffe://cluster.local/ns/shop/sa/web").unwrap();
        assert_eq!(identity.principal(), "cluster.local/ns/shop/sa/web");
        assert_eq!(Identity::of("cluster.local/ns/shop/sa/web"), Some(identity));
        assert_eq!(Identity::of("unknown"), None);
        assert_eq!(Identity::of("/ns/a/sa/b"), None);
    }
}
