//! Who may call the target's pods, as the objects of a mesh say it, in terms that are the same for every mesh.

use std::collections::BTreeMap;

use super::{caller::Caller, known::Known, pattern::Pattern};
use crate::api::address_range::AddressRange;

/// What a port accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsMode {
    /// Mutual TLS and plaintext.
    #[default]
    Permissive,
    /// Mutual TLS alone.
    Strict,
    /// No mutual TLS is taken off: callers have no identity.
    Disable,
}

/// Who may call.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What ports accept.
    pub tls: TlsMode,
    /// What single ports accept.
    pub ports: BTreeMap<u16, TlsMode>,
    /// What is denied.
    pub deny: Vec<Grant>,
    /// What is allowed, if everything else is denied.
    pub allow: Option<Vec<Grant>>,
    /// An object outside of the mesh's rules that decides too, for display.
    pub external: Option<String>,
    /// Callers whose proxies use plaintext to the target.
    pub plaintext: Vec<PlaintextCaller>,
}

/// A setting of a caller's side that takes mutual TLS away.
#[derive(Clone, Debug)]
pub struct PlaintextCaller {
    /// The object, for display.
    pub object: String,
    /// The namespace of the callers that it is for; none: all.
    pub namespace: Option<String>,
}

/// Requests that an object allows or denies: from one of the sources, one of the operations, all of the conditions.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// The object, for display.
    pub object: String,
    /// The callers; none: all.
    pub from: Vec<AccessSource>,
    /// The requests; none: all.
    pub to: Vec<Operations>,
    /// What else it depends on: `claims`.
    pub when: Vec<&'static str>,
}

/// A source: all that is given must match.
#[derive(Clone, Debug, Default)]
pub struct AccessSource {
    /// Principals (`cluster.local/ns/shop/sa/web`); none: any.
    pub principals: Vec<Pattern>,
    /// Principals that do not match.
    pub not_principals: Vec<Pattern>,
    /// Namespaces of identities.
    pub namespaces: Vec<Pattern>,
    /// Namespaces that do not match.
    pub not_namespaces: Vec<Pattern>,
    /// Addresses.
    pub addresses: Vec<AddressRange>,
    /// Addresses that do not match.
    pub not_addresses: Vec<AddressRange>,
    /// What else it depends on: `tokens`.
    pub depends: Vec<&'static str>,
}

/// Operations: all that is given must match.
#[derive(Clone, Debug, Default)]
pub struct Operations {
    /// Ports of the pods; none: any.
    pub ports: Vec<u16>,
    /// Ports that do not match.
    pub not_ports: Vec<u16>,
    /// What it depends on of an HTTP request: `paths`, `methods`. A connection has none of it.
    pub http: Vec<&'static str>,
}

/// What a rule is for: the same text means another thing to a connection that is not HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

impl Access {
    /// What the port of a caller accepts, and whether it is known which port that is.
    pub(super) fn accepts(&self, caller: &Caller) -> Known {
        let strict = |mode: TlsMode| Known::of(mode == TlsMode::Strict);
        match caller.port {
            Some(port) => strict(self.ports.get(&port).copied().unwrap_or(self.tls)),
            None if self.ports.values().any(|mode| strict(*mode) != strict(self.tls)) => Known::Depends("ports"),
            None => strict(self.tls),
        }
    }
}

impl Grant {
    /// Whether it is about this caller's requests.
    pub(super) fn matches(&self, caller: &Caller, effect: Effect) -> Known {
        let from = self.from.iter().map(|source| source.matches(caller));
        let to = self.to.iter().map(|operation| operation.matches(caller, effect));
        let when = self.when.iter().map(|on| http_only(caller, effect, on));
        Known::all([one_of(self.from.is_empty(), from), one_of(self.to.is_empty(), to), Known::all(when)])
    }
}

/// An empty list is no condition.
fn one_of(is_empty: bool, values: impl Iterator<Item = Known>) -> Known {
    if is_empty { Known::Yes } else { Known::any(values) }
}

/// A condition on an HTTP request. To a connection a rule that allows never matches, and one that denies does without it.
fn http_only(caller: &Caller, effect: Effect, on: &'static str) -> Known {
    match (caller.is_http, effect) {
        (true, _) => Known::Depends(on),
        (false, Effect::Allow) => Known::No,
        (false, Effect::Deny) => Known::Yes,
    }
}

impl AccessSource {
    fn matches(&self, caller: &Caller) -> Known {
        let principal = caller.identity.as_ref().map(super::caller::Identity::principal).unwrap_or_default();
        let namespace = caller.identity.as_ref().map(|one| one.account.namespace.as_str()).unwrap_or_default();
        let one = |patterns: &[Pattern], text: &str| Known::of(patterns.iter().any(|pattern| pattern.matches(text)));
        let address = |ranges: &[AddressRange]| match caller.address {
            Some(address) => Known::of(ranges.iter().any(|range| range.contains(address))),
            None => Known::Depends("addresses"),
        };
        let tests = [
            (!self.principals.is_empty()).then(|| one(&self.principals, &principal)),
            (!self.not_principals.is_empty()).then(|| !one(&self.not_principals, &principal)),
            (!self.namespaces.is_empty()).then(|| one(&self.namespaces, namespace)),
            (!self.not_namespaces.is_empty()).then(|| !one(&self.not_namespaces, namespace)),
            (!self.addresses.is_empty()).then(|| address(&self.addresses)),
            (!self.not_addresses.is_empty()).then(|| !address(&self.not_addresses)),
        ];
        let depends = self.depends.iter().map(|on| Known::Depends(on));
        Known::all(tests.into_iter().flatten().chain(depends))
    }
}

impl Operations {
    fn matches(&self, caller: &Caller, effect: Effect) -> Known {
        let port = |ports: &[u16]| match caller.port {
            Some(port) => Known::of(ports.contains(&port)),
            None => Known::Depends("ports"),
        };
        let tests = [
            (!self.ports.is_empty()).then(|| port(&self.ports)),
            (!self.not_ports.is_empty()).then(|| !port(&self.not_ports)),
        ];
        Known::all(tests.into_iter().flatten().chain(self.http.iter().map(|on| http_only(caller, effect, on))))
    }
}
