//! Which service of Consul is split, between which two subsets, and which entries of a list are about it.

use serde_json::Value;

use super::spelling::Spelling;
use crate::engine::Target;

/// A service of Consul that is split by two subsets of its resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulService {
    /// How its config entries are written.
    pub spelling: Spelling,
    /// Its name, which is that of its config entries.
    pub name: String,
    /// Its namespace in Consul, where entries of lists may repeat it (Enterprise).
    pub namespace: Option<String>,
    /// Its admin partition in Consul, where entries of lists may repeat it (Enterprise).
    pub partition: Option<String>,
    /// The subset of the stable version.
    pub stable_subset: String,
    /// The subset of the new version.
    pub canary_subset: String,
    /// The key of its instances' Meta that has the revision: letters, digits and underscores, for the resolver's filter.
    pub meta_key: String,
}

impl ConsulService {
    /// The subset of a target.
    pub fn subset(&self, target: Target) -> &str {
        match target {
            Target::Stable => &self.stable_subset,
            Target::Canary => &self.canary_subset,
        }
    }

    /// Whether a split or a route's destination leads to this service. What it does not say it has from its own entry.
    pub(super) fn receives(&self, destination: &Value) -> bool {
        let is = |name: &'static str, own: Option<&str>| {
            let said = self.spelling.field(destination, name);
            said.is_null() || said.as_str().is_some_and(|said| said.is_empty() || Some(said) == own)
        };
        is("service", Some(&self.name))
            && is("namespace", self.namespace.as_deref())
            && is("partition", self.partition.as_deref())
    }

    /// The subset that a split or a route's destination names.
    pub(super) fn subset_of<'v>(&self, destination: &'v Value) -> Option<&'v str> {
        self.spelling.text(destination, "serviceSubset")
    }

    /// One of its config entries, as messages have it.
    pub(super) fn place(&self, kind: &str) -> String {
        self.spelling.place(kind, &self.name)
    }
}
