//! Matches as regular expressions, for meshes that have no other form of them. They are anchored: whether an implementation
//! anchors by itself is its own affair.

use crate::api::strategy::ValueMatch;

/// An expression for a header with this value.
pub(super) fn value(value: &ValueMatch) -> String {
    match (&value.exact, &value.prefix, &value.regex) {
        (Some(exact), _, _) => format!("^{}$", regex::escape(exact)),
        (_, Some(prefix), _) => format!("^{}.*$", regex::escape(prefix)),
        (_, _, regex) => format!("^(?:{})$", regex.as_deref().unwrap_or(".*")),
    }
}

/// An expression for a `cookie` header in which one cookie has this value.
pub(super) fn cookie(cookie: &ValueMatch) -> String {
    let value = match (&cookie.exact, &cookie.prefix, &cookie.regex) {
        (Some(exact), _, _) => regex::escape(exact),
        (_, Some(prefix), _) => format!("{}[^;]*", regex::escape(prefix)),
        (_, _, regex) => format!("(?:{})", regex.as_deref().unwrap_or("[^;]*")),
    };
    format!("^(.*;\\s*)?{}={value}(;.*)?$", regex::escape(&cookie.name))
}
