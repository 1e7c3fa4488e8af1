//! How rules of a mesh match a text.

/// A pattern of a text: all of it, or what it begins or ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Any text, but one.
    Present,
    /// This text.
    Exact(String),
    /// What begins so.
    Prefix(String),
    /// What ends so.
    Suffix(String),
}

impl Pattern {
    /// A pattern as Istio writes it: `*`, `abc`, `abc*`, `*abc`.
    pub fn of(text: &str) -> Self {
        match (text, text.strip_suffix('*'), text.strip_prefix('*')) {
            ("*", ..) => Pattern::Present,
            (_, Some(prefix), _) => Pattern::Prefix(prefix.to_owned()),
            (_, _, Some(suffix)) => Pattern::Suffix(suffix.to_owned()),
            _ => Pattern::Exact(text.to_owned()),
        }
    }

    /// Whether a text matches. An empty one is none.
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Present => !text.is_empty(),
            Pattern::Exact(exact) => text == exact,
            Pattern::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Pattern::Suffix(suffix) => text.ends_with(suffix.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_istio() {
        for (pattern, text, matches) in [
            ("*", "a", true),
            ("*", "", false),
            ("cluster.local/ns/shop/*", "cluster.local/ns/shop/sa/web", true),
            ("cluster.local/ns/shop/*", "cluster.local/ns/shopping/sa/web", false),
            ("*/sa/web", "cluster.local/ns/shop/sa/web", true),
            ("web", "web", true),
            ("web", "web2", false),
        ] {
            assert_eq!(Pattern::of(pattern).matches(text), matches, "{pattern} {text}");
        }
    }
}
