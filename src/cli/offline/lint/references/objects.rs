//! The objects of the files, found by kind and name.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::{
    api::{GROUP, rollout::RolloutSpec, validate::Finding},
    cli::offline::lint::{readable, schema::nearest},
    yaml::Document,
};

/// Findings by the index of the document that they belong to.
pub(in crate::cli::offline::lint) type Found = Vec<(usize, Finding)>;

/// Of more objects of one kind and name none is meant.
const MOST_ALIKE: usize = 64;
/// Among more names of one kind a slip is not searched for: each name of each Rollout would be compared with all.
const MOST_NAMES: usize = 500;

/// A Rollout of the files.
pub(super) struct Rollout<'a> {
    pub index: usize,
    pub name: &'a str,
    pub spec: RolloutSpec,
}

/// The objects of the files, by kind and name.
pub(super) struct Objects<'a> {
    pub documents: &'a [(&'a str, &'a Document)],
    by_name: HashMap<(&'a str, &'a str), Vec<usize>>,
    names: HashMap<&'a str, Vec<&'a str>>,
    /// Files with a Rollout: their objects belong to it, not to a Rollout of another file.
    occupied: HashSet<&'a str>,
}

impl<'a> Objects<'a> {
    /// Those of these documents, each with the name of its file.
    pub fn of(documents: &'a [(&'a str, &'a Document)]) -> Objects<'a> {
        let mut objects =
            Objects { documents, by_name: HashMap::new(), names: HashMap::new(), occupied: HashSet::new() };
        for (index, (file, document)) in documents.iter().enumerate() {
            if is_rollout(document) {
                objects.occupied.insert(file);
            }
            if let (Some(kind), Some(name)) = (document.text("/kind"), document.text("/metadata/name")) {
                objects.by_name.entry((kind, name)).or_default().push(index);
                objects.names.entry(kind).or_default().push(name);
            }
        }
        objects
    }

    /// Our Rollouts.
    pub fn rollouts(&self) -> impl Iterator<Item = Rollout<'a>> {
        self.documents.iter().enumerate().filter_map(move |(index, (_, document))| {
            let spec =
                is_rollout(document).then(|| readable::read::<RolloutSpec>(&document.value["spec"]).spec).flatten()?;
            Some(Rollout { index, name: document.text("/metadata/name")?, spec })
        })
    }

    /// One document.
    pub fn document(&self, index: usize) -> &'a Document {
        self.documents[index].1
    }

    /// Its namespace, if it names one.
    pub fn namespace(&self, index: usize) -> Option<&'a str> {
        self.document(index).text("/metadata/namespace")
    }

    /// Whether two objects may belong together: they are in one file, or one is in a file without Rollouts.
    pub fn is_beside(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.documents[one].0, self.documents[other].0);
        one == other || !(self.occupied.contains(one) && self.occupied.contains(other))
    }

    /// Whether there is an object of this kind and name, in whatever namespace.
    pub fn has(&self, kind: &str, name: &str) -> bool {
        self.by_name.contains_key(&(kind, name))
    }

    /// The object of this kind and name that another one means: one of its namespace, in its own file or in any. Where there
    /// are several (overlays), none is meant.
    pub fn find(&self, from: usize, group: &str, kind: &str, name: &str, namespace: Option<&str>) -> Option<usize> {
        let fits = |index: &&usize| {
            let version = self.document(**index).text("/apiVersion").unwrap_or_default();
            is_of(version, group) && is_same(self.namespace(**index), namespace) && self.is_beside(**index, from)
        };
        let named = self.by_name.get(&(kind, name)).filter(|named| named.len() <= MOST_ALIKE)?;
        let all: Vec<usize> = named.iter().filter(fits).copied().collect();
        let here: Vec<usize> =
            all.iter().copied().filter(|index| self.documents[*index].0 == self.documents[from].0).collect();
        match (here.as_slice(), all.as_slice()) {
            ([one], _) | ([], [one]) => Some(*one),
            _ => None,
        }
    }

    /// All objects of a kind that another one may mean, of each name one.
    pub fn all(&self, from: usize, group: &str, kind: &str, namespace: Option<&str>) -> Vec<usize> {
        let names = self.names.get(kind).filter(|names| names.len() <= MOST_NAMES);
        names.into_iter().flatten().filter_map(|name| self.find(from, group, kind, name, namespace)).collect()
    }

    /// `no Service "chekout" in these files; did you mean checkout?`, if one is near and none has the name.
    pub fn near(&self, kind: &str, name: &str) -> Option<String> {
        let names = self.names.get(kind).filter(|names| names.len() <= MOST_NAMES && !self.has(kind, name))?;
        nearest(name, names).map(|near| format!("no {kind} \"{name}\" in these files; did you mean {near}?"))
    }

    /// The pod template of a Rollout: its own, or that of the Deployment that it adopts.
    pub fn template<'r>(&self, rollout: &'r Rollout<'_>) -> Option<&'r Value>
    where
        'a: 'r,
    {
        if let Some(own) = &rollout.spec.template {
            return Some(own);
        }
        let name = &rollout.spec.workload_ref.as_ref()?.name;
        let index = self.find(rollout.index, "apps", "Deployment", name, self.namespace(rollout.index))?;
        self.document(index).value.pointer("/spec/template")
    }
}

fn is_rollout(document: &Document) -> bool {
    document.text("/kind") == Some("Rollout")
        && document.text("/apiVersion").is_some_and(|version| is_of(version, GROUP))
}

/// Whether an apiVersion is of this group; the core group is empty.
pub(super) fn is_of(version: &str, group: &str) -> bool {
    version.split_once('/').map_or("", |(group, _)| group) == group
}

/// Whoever names no namespace is put into one by kubectl or kustomize.
pub(super) fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_none() || other.is_none() || one == other
}
