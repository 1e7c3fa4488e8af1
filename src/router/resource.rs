//! Which kind an object is of: two API groups may have resources, and kinds, of one name.

use std::fmt;

/// An API group and a resource of it, whatever the version. Where only a Rollout names them, version and kind count too:
/// another Rollout may name them otherwise, and neither is in the other's way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupResource {
    /// The API group.
    pub group: String,
    /// The resource in the API's paths, for instance `virtualservices`.
    pub plural: String,
    /// Version and kind of what only a Rollout names.
    named: Option<(String, String)>,
}

impl GroupResource {
    /// The resource of an `apiVersion`.
    pub fn of(api_version: &str, plural: &str) -> Self {
        GroupResource { group: group_of(api_version).to_owned(), plural: plural.to_owned(), named: None }
    }

    /// The resource of a kind that only a Rollout names.
    pub fn named(api_version: &str, kind: &str, plural: &str) -> Self {
        let version = api_version.rsplit('/').next().unwrap_or_default();
        GroupResource { named: Some((version.to_owned(), kind.to_owned())), ..GroupResource::of(api_version, plural) }
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
