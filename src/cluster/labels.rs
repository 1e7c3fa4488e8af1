//! Names and values as kept: a few pairs in one piece, where a map would take half a kilobyte for the first of them.

use std::{collections::BTreeMap, fmt};

use serde::{Serialize, Serializer};

/// Labels, or what selects by them, by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels(Box<[(Box<str>, Box<str>)]>);

impl Labels {
    /// The value under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let index = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.0.get(index).map(|(_, value)| &**value)
    }

    /// Whether there is a value under a name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// All pairs, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// As a map, to change it.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(map: BTreeMap<String, String>) -> Self {
        Labels(map.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_found_by_name_and_told_like_a_map() {
        let map: BTreeMap<String, String> =
            [("tier", "web"), ("app", "shop"), ("z", "")].map(|(name, value)| (name.into(), value.into())).into();
        let labels = Labels::from(map.clone());
        assert_eq!((labels.get("tier"), labels.get("z"), labels.get("b")), (Some("web"), Some(""), None));
        assert_eq!((labels.to_map(), serde_json::to_value(&labels).unwrap()), (map.clone(), serde_json::json!(map)));
        assert_eq!(labels.keys().collect::<Vec<_>>(), ["app", "tier", "z"]);
    }
}
