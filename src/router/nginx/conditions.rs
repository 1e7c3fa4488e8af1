//! What a canary Ingress can say of requests beside the weight: one header and one cookie.
//!
//! ingress-nginx reads one canary Ingress for a path. A value that its annotation check rejects is dropped with a line in
//! its log, and the route would do nothing: such values are refused here.

use crate::{
    api::strategy::{HeaderRoute, RequestMatch, ValueMatch},
    router::error::RouteError,
};

/// The value of a cookie that ingress-nginx sends to the canary; there is no other.
const ALWAYS: &str = "always";

/// The conditions of a canary Ingress, both at once: requests that meet either go to the canary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions {
    header: Option<Header>,
    cookie: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Header {
    name: String,
    /// The end of the annotation, and its value.
    test: (&'static str, String),
}

impl Conditions {
    /// The conditions of all header routes together, or the first that cannot be said.
    pub(super) fn of(routes: &[HeaderRoute]) -> Result<Self, RouteError> {
        let mut all = Conditions::default();
        for route in routes {
            for one in &route.matches {
                all.add(one)
                    .map_err(|problem| RouteError::MatchNotExpressible { route: route.name.clone(), problem })?;
            }
        }
        Ok(all)
    }

    /// The annotations without their prefix.
    pub(super) fn annotations(&self) -> Vec<(&'static str, String)> {
        let header =
            self.header.iter().flat_map(|header| [("canary-by-header", header.name.clone()), header.test.clone()]);
        header.chain(self.cookie.iter().map(|cookie| ("canary-by-cookie", cookie.clone()))).collect()
    }

    fn add(&mut self, one: &RequestMatch) -> Result<(), String> {
        if let Some(header) = &one.header {
            let next = Header { name: name_of("header", header)?, test: test_of(header)? };
            let known = self.header.get_or_insert_with(|| next.clone());
            if *known != next {
                return Err(format!(
                    "it has one header condition, which is `{}` already; use one header and one value at a time",
                    known.name
                ));
            }
        }
        if let Some(cookie) = &one.cookie {
            let next = name_of("cookie", cookie)?;
            if cookie.exact.as_deref() != Some(ALWAYS) {
                return Err(format!(
                    "ingress-nginx routes by the cookie `{next}` only when its value is `{ALWAYS}`; set `exact: {ALWAYS}`"
                ));
            }
            let known = self.cookie.get_or_insert_with(|| next.clone());
            if *known != next {
                return Err(format!(
                    "it has one cookie condition, which is `{known}` already; use one cookie at a time"
                ));
            }
        }
        Ok(())
    }
}

fn name_of(what: &str, value: &ValueMatch) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !value.name.is_empty() && value.name.chars().all(allowed) {
        true => Ok(value.name.clone()),
        false => Err(format!("the {what} `{}` may have letters, digits, `-` and `_` only", value.name)),
    }
}

/// The value or the pattern of a header. nginx looks for a pattern anywhere in the value, a `regex` is all of it.
fn test_of(value: &ValueMatch) -> Result<(&'static str, String), String> {
    if let Some(exact) = &value.exact {
        return match !exact.is_empty() && exact.chars().all(is_plain) {
            true => Ok(("canary-by-header-value", exact.clone())),
            false => Err(format!(
                "the annotation canary-by-header-value cannot hold `{exact}`: use letters, digits and any of -._~/:"
            )),
        };
    }
    let pattern = match (&value.prefix, &value.regex) {
        (Some(prefix), _) => format!("^{}", regex::escape(prefix)),
        (None, Some(regex)) => format!("^(?:{regex})$"),
        (None, None) => return Err(format!("the header `{}` has no value; set exact, prefix or regex", value.name)),
    };
    match pattern.chars().all(|c| is_plain(c) || r"^$[](){}*+?|&=\".contains(c)) {
        true => Ok(("canary-by-header-pattern", pattern)),
        false => Err(format!(
            r"the annotation canary-by-header-pattern cannot hold `{pattern}`: use letters, digits and any of -._~/:^$[](){{}}*+?|&=\"
        )),
    }
}

/// What ingress-nginx takes in every annotation.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~/:".contains(c)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(matches: Value) -> Result<String, String> {
        let routes: Vec<HeaderRoute> = serde_json::from_value(json!([{"name": "testers", "match": matches}])).unwrap();
        let lines = |all: Conditions| all.annotations().iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        Conditions::of(&routes).map(lines).map_err(|error| error.to_string())
    }

    #[test]
    fn one_header_and_one_cookie_are_annotations() {
        for (matches, wanted) in [
            (
                json!([{"header": {"name": "X-Tester", "exact": "yes"}}]),
                "canary-by-header=X-Tester\ncanary-by-header-value=yes\n",
            ),
            (
                json!([{"header": {"name": "x", "prefix": "v1.2"}}]),
                "canary-by-header=x\ncanary-by-header-pattern=^v1\\.2\n",
            ),
            (
                json!([{"header": {"name": "x", "regex": "a|b"}}]),
                "canary-by-header=x\ncanary-by-header-pattern=^(?:a|b)$\n",
            ),
            (json!([{"cookie": {"name": "beta", "exact": "always"}}]), "canary-by-cookie=beta\n"),
            (
                json!([{"cookie": {"name": "beta", "exact": "always"}}, {"header": {"name": "x", "exact": "y"}}, {"header": {"name": "x", "exact": "y"}}]),
                "canary-by-header=x\ncanary-by-header-value=y\ncanary-by-cookie=beta\n",
            ),
        ] {
            assert_eq!(said(matches.clone()), Ok(wanted.to_owned()), "{matches}");
        }
    }

    #[test]
    fn what_annotations_cannot_say_is_refused_by_words() {
        for (matches, words) in [
            (
                json!([{"header": {"name": "a", "exact": "x"}}, {"header": {"name": "b", "exact": "x"}}]),
                "one header condition, which is `a`",
            ),
            (
                json!([{"header": {"name": "a", "exact": "x"}}, {"header": {"name": "a", "exact": "y"}}]),
                "one header condition, which is `a`",
            ),
            (json!([{"cookie": {"name": "a", "exact": "1"}}]), "only when its value is `always`; set `exact: always`"),
            (json!([{"cookie": {"name": "a", "regex": "always"}}]), "only when its value is `always`"),
            (
                json!([{"cookie": {"name": "a", "exact": "always"}}, {"cookie": {"name": "b", "exact": "always"}}]),
                "one cookie condition, which is `a`",
            ),
            (json!([{"header": {"name": "a", "exact": "x\"y"}}]), "canary-by-header-value cannot hold `x\"y`"),
            (json!([{"header": {"name": "a", "exact": ""}}]), "canary-by-header-value cannot hold ``"),
            (
                json!([{"header": {"name": "a", "regex": "[^,]+"}}]),
                "canary-by-header-pattern cannot hold `^(?:[^,]+)$`",
            ),
            (json!([{"header": {"name": "a b", "exact": "x"}}]), "the header `a b` may have letters"),
        ] {
            let refused = said(matches.clone()).unwrap_err();
            assert!(refused.starts_with("header route `testers`") && refused.contains(words), "{matches}: {refused}");
        }
    }
}
