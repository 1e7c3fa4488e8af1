//! Which Rollouts name which objects: for triggers, and for the rule that an object has one Rollout (S7).

use std::{
    collections::{BTreeSet, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    api::Rollout,
    ports::RolloutKey,
    router::{self, RouteScope},
};

use super::{
    few::Few,
    selection::Selection,
    targets::{self, Split},
    text::Text,
};

/// An object that a Rollout names: the resource, the namespace, the name. Routers' resources bear their group.
pub type ObjectRef = (String, String, String);

/// These keys contain labels of pods, and labels of selectors.
const OFFERS: &str = "labels of pods";
const DEMANDS: &str = "labels of selectors";
/// Those who consent, as a router's resource.
const GRANTS: &str = "referencegrants.gateway.networking.k8s.io";
/// Stands for every object of a kind in a namespace.
const ANY_NAME: &str = "";

/// Stands for an object or a label: there are ten of a Rollout, and they are looked up and never shown. Two of one digest
/// would have their Rollouts looked at more often, no more: what is claimed is compared in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    digest: u64,
    /// Labels are shared by many, what can belong to one Rollout only is claimed.
    may_be_claimed: bool,
}

impl Name {
    fn of((word, namespace, name): &ObjectRef) -> Self {
        let may_be_claimed = word != OFFERS && word != DEMANDS && word != GRANTS;
        Name { digest: digest(word, namespace, name), may_be_claimed }
    }
}

fn digest(word: &str, namespace: &str, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (word, namespace, name).hash(&mut hasher);
    hasher.finish()
}

#[derive(Debug, Default)]
struct Index {
    by_object: HashMap<u64, Few<Arc<RolloutKey>>>,
    by_rollout: HashMap<Arc<RolloutKey>, Row>,
}

/// What is known of one Rollout.
#[derive(Debug)]
struct Row {
    named: Box<[Name]>,
    /// A [`Selection`].
    selection: Text,
    /// Rollouts whose pods it selects, or who select its pods.
    overlaps: BTreeSet<RolloutKey>,
}

/// The index of all Rollouts' references.
#[derive(Debug, Default)]
pub struct References {
    index: Mutex<Index>,
}

impl References {
    /// Takes in a Rollout as it is now, with what it selects; `None` forgets it. Gives the Rollouts that share an object or
    /// pods with it, before or after, if that changed: what they may claim has changed too.
    pub fn update(&self, key: &RolloutKey, rollout: Option<(&Rollout, Selection)>) -> BTreeSet<RolloutKey> {
        let row = rollout.map(|(rollout, selection)| {
            let mut named: Vec<Name> = named_by(key, rollout, &selection).iter().map(Name::of).collect();
            named.sort_unstable();
            named.dedup();
            let row = Row { named: named.into(), selection: Text::of(&selection), overlaps: BTreeSet::new() };
            (row, selection)
        });
        let mut index = self.lock();
        let same = index.by_rollout.get(key).map(|old| (&old.named, &old.selection))
            == row.as_ref().map(|(new, _)| (&new.named, &new.selection));
        if same {
            return BTreeSet::new();
        }
        let mut rivals = index.remove(key);
        rivals.extend(row.map(|(row, selection)| index.insert(key, row, &selection)).unwrap_or_default());
        rivals
    }

    /// The Rollouts whose pods it selects, or who select its pods.
    pub fn overlapping(&self, key: &RolloutKey) -> Vec<RolloutKey> {
        self.lock().by_rollout.get(key).map(|row| row.overlaps.iter().cloned().collect()).unwrap_or_default()
    }

    /// The Rollouts that name an object.
    pub fn of(&self, plural: &str, namespace: &str, name: &str) -> Vec<RolloutKey> {
        let index = self.lock();
        let named = [name, ANY_NAME].map(|name| digest(plural, namespace, name));
        let keys: BTreeSet<&Arc<RolloutKey>> =
            named.iter().filter_map(|object| index.by_object.get(object)).flat_map(Few::iter).collect();
        keys.into_iter().map(|key| RolloutKey::clone(key)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// Forgets a Rollout; gives those that shared something with it.
    fn remove(&mut self, key: &RolloutKey) -> BTreeSet<RolloutKey> {
        let Some(row) = self.by_rollout.remove(key) else { return BTreeSet::new() };
        let mut rivals = row.overlaps;
        for object in row.named {
            let Some(keys) = self.by_object.get_mut(&object.digest) else { continue };
            keys.remove(key);
            if keys.is_empty() {
                self.by_object.remove(&object.digest);
            } else if object.may_be_claimed {
                rivals.extend(keys.iter().map(|key| RolloutKey::clone(key)));
            }
        }
        for rival in &rivals {
            if let Some(row) = self.by_rollout.get_mut(rival) {
                row.overlaps.remove(key);
            }
        }
        rivals
    }

    /// Takes a Rollout in; gives those that share something with it.
    fn insert(&mut self, key: &RolloutKey, mut row: Row, selection: &Selection) -> BTreeSet<RolloutKey> {
        row.overlaps = self.overlaps(key, selection);
        for other in &row.overlaps {
            if let Some(other) = self.by_rollout.get_mut(other) {
                other.overlaps.insert(key.clone());
            }
        }
        let (shared, mut rivals) = (Arc::new(key.clone()), row.overlaps.clone());
        for object in &row.named {
            let keys = self.by_object.entry(object.digest).or_default();
            if object.may_be_claimed {
                rivals.extend(keys.iter().map(|key| RolloutKey::clone(key)));
            }
            keys.insert(Arc::clone(&shared));
        }
        self.by_rollout.insert(shared, row);
        rivals
    }

    /// Only Rollouts that share a label with the selector, on either side, are looked at; and only when one changes.
    fn overlaps(&self, key: &RolloutKey, selection: &Selection) -> BTreeSet<RolloutKey> {
        let under = |word: &str, label: String| self.by_object.get(&digest(word, &key.namespace, &label));
        let demanded = selection.demands().into_iter().map(|label| under(OFFERS, label));
        let rarest = demanded.min_by_key(|keys| keys.map_or(0, Few::len)).flatten();
        let demanding = selection.offers().into_iter().filter_map(|label| under(DEMANDS, label));
        let candidates = rarest.into_iter().chain(demanding).flat_map(Few::iter);
        let overlaps = |other: &&RolloutKey| {
            let other = self.by_rollout.get(*other).and_then(|row| row.selection.read::<Selection>().ok());
            other.is_some_and(|other| other.overlaps(selection))
        };
        candidates.map(Arc::as_ref).filter(|other| *other != key).filter(overlaps).cloned().collect()
    }
}

/// The objects that may belong to one Rollout only: Services, the Deployment, the DestinationRule, the ServiceResolver. One of
/// another namespace is not claimed: its owner decides whose it is.
pub fn exclusive(key: &RolloutKey, rollout: &Rollout) -> Vec<ObjectRef> {
    let here = |plural: &str, name: &str| (plural.to_owned(), key.namespace.clone(), name.to_owned());
    let targets = targets::of(&rollout.spec);
    let services = [targets.stable, targets.canary].into_iter().flatten();
    let root = targets.root.filter(|_| targets.split == Split::Host);
    let mut named: Vec<ObjectRef> = services.chain(root).map(|name| here("services", &name)).collect();
    named.extend(rollout.spec.workload_ref.iter().map(|workload| here("deployments", &workload.name)));
    let rules = rollout.spec.traffic.iter().filter_map(|t| t.istio.as_ref()?.destination_rule.as_ref());
    named.extend(rules.map(|rule| here("destinationrules", &rule.name)));
    let services = rollout.spec.traffic.iter().filter_map(|entry| entry.consul.as_ref());
    let own = services.filter(|consul| consul.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace));
    named.extend(own.map(|consul| here("serviceresolvers", &consul.service)));
    named
}

fn named_by(key: &RolloutKey, rollout: &Rollout, selection: &Selection) -> Vec<ObjectRef> {
    let mut named = exclusive(key, rollout);
    let here = |word: &str, label: String| (word.to_owned(), key.namespace.clone(), label);
    named.extend(selection.offers().into_iter().map(|label| here(OFFERS, label)));
    named.extend(selection.demands().into_iter().map(|label| here(DEMANDS, label)));
    named.extend(targets::of(&rollout.spec).root.map(|root| ("services".into(), key.namespace.clone(), root)));
    // Only the names count here, and these do not depend on the controller's settings.
    let context = targets::route_context(key, rollout, &RouteScope::default());
    for router in router::routers(&rollout.spec) {
        named.extend(router.objects(&context).into_iter().map(|o| (o.resource().to_string(), o.namespace, o.name)));
        let consent = router.lists(&context).into_iter().filter(|list| list.is_consent());
        named.extend(consent.map(|list| (list.resource().to_string(), list.namespace, ANY_NAME.to_owned())));
    }
    named
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> RolloutKey {
        RolloutKey { namespace: "shop".into(), name: name.into() }
    }

    fn rollout(name: &str, root: &str, app: &str) -> Rollout {
        let labels = json!({"app": app, "part-of": "shop"});
        let spec = json!({"strategy": {"canary": {"steps": []}}, "services": {"root": root, "stable": root},
            "selector": {"matchLabels": {"app": app}}, "template": {"metadata": {"labels": labels}}});
        Rollout::new(name, serde_json::from_value(spec).unwrap())
    }

    fn add(references: &References, name: &str, root: &str, app: &str) -> Vec<String> {
        let rollout = rollout(name, root, app);
        let rivals = references.update(&key(name), Some((&rollout, Selection::of(&rollout, None))));
        rivals.into_iter().map(|rival| rival.name).collect()
    }

    #[test]
    fn s7_those_in_each_others_way_are_known_and_told() {
        let references = References::default();
        assert!(add(&references, "a", "web", "web").is_empty());
        assert!(add(&references, "b", "api", "api").is_empty(), "a label that all share is no conflict");
        assert_eq!(add(&references, "c", "other", "web"), ["a"], "the same pods");
        assert_eq!(references.overlapping(&key("a")), [key("c")]);
        assert_eq!(add(&references, "d", "api", "d"), ["b"], "the same Service");
        assert!(references.overlapping(&key("d")).is_empty());
        assert!(add(&references, "d", "api", "d").is_empty(), "nothing new");
        assert_eq!(references.update(&key("c"), None), [key("a")].into(), "a may go on");
        assert!(references.overlapping(&key("a")).is_empty());
    }
}
