//! Which kind an object is of, whatever its version: two API groups may have resources, and kinds, of one name.

use std::fmt;

/// An API group and a resource of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupResource {
    /// The API group.
    pub group: String,
    /// The resource in the API's paths, for instance `virtualservices`.
    pub plural: String,
}

impl GroupResource {
    /// The resource of an `apiVersion`.
    pub fn of(api_version: &str, plural: &str) -> Self {
        GroupResource { group: group_of(api_version).to_owned(), plural: plural.to_owned() }
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.plural, self.group)
    }
}

/// `networking.istio.io` of `networking.istio.io/v1`; empty for the core group.
pub fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}
