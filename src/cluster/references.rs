//! Which Rollouts name which objects: for triggers, and for the rule that an object has one Rollout (S7).

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{api::Rollout, ports::RolloutKey, router};

use super::targets::{self, Split};

/// An object that a Rollout names: the resource's plural, the namespace, the name.
pub type Named = (String, String, String);

#[derive(Debug, Default)]
struct Index {
    by_object: HashMap<Named, BTreeSet<RolloutKey>>,
    by_rollout: HashMap<RolloutKey, Vec<Named>>,
}

/// The index of all Rollouts' references.
#[derive(Debug, Default)]
pub struct References {
    index: Mutex<Index>,
}

impl References {
    /// Takes in a Rollout as it is now; `None` forgets it.
    pub fn update(&self, key: &RolloutKey, rollout: Option<&Rollout>) {
        let named = rollout.map(|rollout| named_by(key, rollout)).unwrap_or_default();
        let mut index = self.lock();
        for old in index.by_rollout.remove(key).unwrap_or_default() {
            if let Some(keys) = index.by_object.get_mut(&old) {
                keys.remove(key);
                if keys.is_empty() {
                    index.by_object.remove(&old);
                }
            }
        }
        for object in &named {
            index.by_object.entry(object.clone()).or_default().insert(key.clone());
        }
        if !named.is_empty() {
            index.by_rollout.insert(key.clone(), named);
        }
    }

    /// The Rollouts that name an object.
    pub fn of(&self, plural: &str, namespace: &str, name: &str) -> Vec<RolloutKey> {
        let object = (plural.to_owned(), namespace.to_owned(), name.to_owned());
        self.lock().by_object.get(&object).map(|keys| keys.iter().cloned().collect()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The objects that may belong to one Rollout only: Services, the Deployment, the DestinationRule.
pub fn exclusive(key: &RolloutKey, rollout: &Rollout) -> Vec<Named> {
    let here = |plural: &str, name: &str| (plural.to_owned(), key.namespace.clone(), name.to_owned());
    let targets = targets::of(&rollout.spec);
    let services = [targets.stable, targets.canary].into_iter().flatten();
    let root = targets.root.filter(|_| targets.split == Split::Host);
    let mut named: Vec<Named> = services.chain(root).map(|name| here("services", &name)).collect();
    named.extend(rollout.spec.workload_ref.iter().map(|workload| here("deployments", &workload.name)));
    let rules = rollout.spec.traffic.iter().filter_map(|t| t.istio.as_ref()?.destination_rule.as_ref());
    named.extend(rules.map(|rule| here("destinationrules", &rule.name)));
    named
}

fn named_by(key: &RolloutKey, rollout: &Rollout) -> Vec<Named> {
    let mut named = exclusive(key, rollout);
    named.extend(targets::of(&rollout.spec).root.map(|root| ("services".into(), key.namespace.clone(), root)));
    let context = targets::route_context(key, rollout);
    for router in router::routers(&rollout.spec) {
        named.extend(router.objects(&context).into_iter().map(|o| (o.plural, o.namespace, o.name)));
    }
    named.sort();
    named.dedup();
    named
}
