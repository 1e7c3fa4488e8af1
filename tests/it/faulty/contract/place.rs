//! Where a router has its weights, read and changed as its mesh and other tools do: by a path of its own, not by the router.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::super::store::{Key, Store};

/// Where the weights are.
pub enum Place {
    /// In each of these lists of an object's that names both Services, in their two entries.
    Lists {
        plural: &'static str,
        /// Field names and `[*]`, joined by dots; it leads to the lists.
        path: &'static str,
        /// From an entry to the name of the Service or subset.
        name: &'static str,
        /// The names of the stable and of the canary one.
        names: [&'static str; 2],
    },
    /// In annotations of a canary Ingress.
    CanaryIngress,
}

const WEIGHT: &str = "nginx.ingress.kubernetes.io/canary-weight";
const TOTAL: &str = "nginx.ingress.kubernetes.io/canary-weight-total";

impl Place {
    /// The object that has them.
    pub fn key(&self) -> Key {
        match self {
            Place::Lists { plural, .. } => Key::shop(plural, "web"),
            Place::CanaryIngress => Key::shop("ingresses", "web-web-canary"),
        }
    }

    /// The canary's part of what both have, in 10,000ths; 10,001 where two lists disagree.
    pub fn share(&self, store: &Store) -> u64 {
        let Some(object) = store.get(&self.key()) else { return 0 };
        match self {
            Place::Lists { .. } => {
                let mut shares = Vec::new();
                self.entries(&mut (**object).clone(), &mut |[stable, canary]| {
                    let weight = |entry: &Value| entry["weight"].as_u64().unwrap();
                    let (stable, canary) = (weight(stable), weight(canary));
                    shares.push(canary * 10_000 / (stable + canary));
                });
                shares.dedup();
                if let [share] = shares[..] { share } else { 10_001 }
            }
            Place::CanaryIngress => {
                let number =
                    |name: &str| object["metadata"]["annotations"][name].as_str().unwrap().parse::<u64>().unwrap();
                number(WEIGHT) * 10_000 / number(TOTAL)
            }
        }
    }

    /// Another tool writes another share.
    pub fn drift(&self, store: &mut Store, now: Timestamp, share: u64) {
        store.edit(&self.key(), now, |object| match self {
            Place::Lists { .. } => self.entries(object, &mut |[stable, canary]| {
                // Where it goes in whole numbers others in the list keep their share.
                let both = stable["weight"].as_u64().unwrap() + canary["weight"].as_u64().unwrap();
                let whole = if (both * share).is_multiple_of(10_000) { both } else { 10_000 };
                stable["weight"] = (whole - whole * share / 10_000).into();
                canary["weight"] = (whole * share / 10_000).into();
            }),
            Place::CanaryIngress => {
                object["metadata"]["annotations"][WEIGHT] = share.to_string().into();
                object["metadata"]["annotations"][TOTAL] = "10000".into();
            }
        });
    }

    /// What an object says beside our two weights, and entries of ours while there are any; its spec in the order in which it
    /// is written.
    pub fn foreign(&self, object: &Value) -> (BTreeMap<String, String>, String) {
        let mut object = object.clone();
        self.entries(&mut object, &mut |entries| {
            for entry in entries {
                entry.as_object_mut().unwrap().shift_remove("weight");
            }
        });
        drop_ours(&mut object["spec"]);
        let subsets = object.pointer_mut("/spec/subsets").and_then(Value::as_object_mut);
        subsets.into_iter().flat_map(|all| all.values_mut()).for_each(drop_revision);
        let meta = ["labels", "annotations"]
            .iter()
            .flat_map(|field| object["metadata"][field].as_object().into_iter().flatten());
        let meta = meta.filter(|(name, _)| !name.starts_with("glidepath.dev/"));
        (meta.map(|(name, value)| (name.clone(), value.to_string())).collect(), object["spec"].to_string())
    }

    /// Both entries of each list that has both.
    fn entries(&self, object: &mut Value, see: &mut dyn FnMut([&mut Value; 2])) {
        let Place::Lists { path, name, names, .. } = self else { return };
        lists(object, path, &mut |list| {
            let of =
                |wanted: &str| list.iter().position(|entry| entry.pointer(name).is_some_and(|name| name == wanted));
            let [Some(stable), Some(canary)] = names.map(of) else { return };
            if let Ok(both) = list.get_disjoint_mut([stable, canary]) {
                see(both);
            }
        });
    }
}

/// Only we route by the header of the fixtures' step.
fn drop_ours(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.retain(|item| !item.to_string().contains("x-tester"));
            items.iter_mut().for_each(drop_ours);
        }
        Value::Object(fields) => fields.values_mut().for_each(drop_ours),
        _ => {}
    }
}

/// The owner's part of a filter of Consul's.
fn drop_revision(subset: &mut Value) {
    let filter = subset.get("filter").and_then(Value::as_str).unwrap_or_default().to_owned();
    let Some((theirs, _)) = filter.split_once("Service.Meta.glidepath_revision") else { return };
    match theirs.strip_suffix(") and ").and_then(|theirs| theirs.strip_prefix('(')) {
        Some(theirs) => subset["filter"] = theirs.into(),
        None => drop(subset.as_object_mut().unwrap().shift_remove("filter")),
    }
}

fn lists(value: &mut Value, path: &str, see: &mut dyn FnMut(&mut Vec<Value>)) {
    let (field, rest) = path.split_once('.').map_or((path, None), |(field, rest)| (field, Some(rest)));
    let Some(inner) = value.get_mut(field.trim_end_matches("[*]")) else { return };
    match (rest, inner) {
        (Some(rest), Value::Array(items)) => items.iter_mut().for_each(|item| lists(item, rest, see)),
        (Some(rest), inner) => lists(inner, rest, see),
        (None, Value::Array(items)) => see(items),
        (None, _) => {}
    }
}
