//! Matching of requests by header and cookie, for worlds that route requests themselves: the local proxy and the
//! simulator.

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};
use regex::Regex;

use crate::api::strategy::{RequestMatch, ValueMatch};

/// Requests that match any of several matches.
#[derive(Clone, Debug, Default)]
pub struct AnyOf(Vec<Match>);

#[derive(Clone, Debug)]
struct Match {
    name: String,
    in_cookie: bool,
    value: Wanted,
}

#[derive(Clone, Debug)]
enum Wanted {
    Exact(String),
    Prefix(String),
    Pattern(Regex),
    /// An expression that cannot be read: `lint` refuses it, so nothing is sent by it.
    Nothing,
}

impl AnyOf {
    /// Ready to be asked.
    pub fn new(matches: &[RequestMatch]) -> AnyOf {
        AnyOf(matches.iter().filter_map(Match::new).collect())
    }

    /// Whether there is no match at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a request with these headers matches one.
    pub fn fits(&self, headers: &HeaderMap) -> bool {
        self.0.iter().any(|one| one.fits(headers))
    }
}

/// A header that makes a request match one of these; none where all of them are expressions.
pub fn example(matches: &[RequestMatch]) -> Option<(HeaderName, HeaderValue)> {
    matches.iter().find_map(|one| {
        let value = |of: &ValueMatch| of.exact.clone().or_else(|| of.prefix.clone());
        let (name, value) = match (&one.cookie, &one.header) {
            (Some(cookie), _) => ("cookie", format!("{}={}", cookie.name, value(cookie)?)),
            (None, header) => (header.as_ref()?.name.as_str(), value(header.as_ref()?)?),
        };
        Some((name.parse().ok()?, value.parse().ok()?))
    })
}

impl Match {
    fn new(asked: &RequestMatch) -> Option<Match> {
        let (value, in_cookie) = match (&asked.cookie, &asked.header) {
            (Some(cookie), _) => (cookie, true),
            (None, Some(header)) => (header, false),
            (None, None) => return None,
        };
        Some(Match { name: value.name.clone(), in_cookie, value: Wanted::new(value) })
    }

    fn fits(&self, headers: &HeaderMap) -> bool {
        if self.in_cookie {
            return cookies(headers).any(|(name, value)| name == self.name && self.value.fits(value));
        }
        // Several headers of one name are one list (RFC 9110 section 5.3).
        let values: Vec<&str> = headers.get_all(&self.name).iter().filter_map(|value| value.to_str().ok()).collect();
        !values.is_empty() && self.value.fits(&values.join(","))
    }
}

/// The cookies of a request, by name.
pub fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

impl Wanted {
    fn new(value: &ValueMatch) -> Wanted {
        match value {
            ValueMatch { exact: Some(exact), .. } => Wanted::Exact(exact.clone()),
            ValueMatch { prefix: Some(prefix), .. } => Wanted::Prefix(prefix.clone()),
            ValueMatch { regex: Some(regex), .. } => {
                Regex::new(&format!("^(?:{regex})$")).map_or(Wanted::Nothing, Wanted::Pattern)
            }
            _ => Wanted::Nothing,
        }
    }

    fn fits(&self, value: &str) -> bool {
        match self {
            Wanted::Exact(exact) => value == exact,
            Wanted::Prefix(prefix) => value.starts_with(prefix),
            Wanted::Pattern(pattern) => pattern.is_match(value),
            Wanted::Nothing => false,
        }
    }
}
