//! What must hold of every write, looked at when it takes effect, on what is stored: the invariants of semantics.md
//! section 10 as far as writes show them, one writer of traffic, and no more writes than anyone can use.
//!
//! A controller decides by what it has been shown. Capacity is therefore judged by the best that was shown to the writing
//! process lately ([`Checks::lately`]), which the server knows: it sent it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use glidepath::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, common::Percent},
    engine::replicas::for_weight,
};
use serde_json::Value;

use super::{
    leadership::Leadership,
    patches::changed,
    store::{Change, Key, Store, count, text},
    verbs::Call,
};

/// A write that took effect.
pub struct Write<'a> {
    pub process: usize,
    /// When the process sent it.
    pub sent: Duration,
    pub now: Duration,
    pub call: &'a Call,
    pub before: Option<&'a Value>,
    pub after: &'a Value,
}

/// Writes a minute that any one object may see: its status, and the rest of it.
const STATUS_WRITES: usize = 90;
const WRITES: usize = 40;

/// What was shown and written so far, and what was wrong.
pub struct Checks {
    pub wrong: Vec<String>,
    /// How long ago what a write rests on may have been shown: a tick lasts, and each of its calls up to 15 s.
    pub lately: Duration,
    pub leadership: Leadership,
    /// Available pods as shown to a process, by ReplicaSet.
    shown: BTreeMap<(usize, String), VecDeque<(Duration, u32)>>,
    /// Desired replicas of each Rollout, as they were stored.
    wanted: BTreeMap<String, VecDeque<(Duration, u32)>>,
    /// Since when a Rollout is recorded as aborted.
    aborted: BTreeMap<String, Duration>,
    writes: BTreeMap<(Key, bool), VecDeque<Duration>>,
    /// The most writes that one object saw in a minute.
    pub busiest: usize,
    /// Writes of everything but Leases that changed something.
    pub total: u64,
    totals: BTreeMap<Key, u64>,
}

impl Default for Checks {
    fn default() -> Self {
        Checks {
            wrong: Vec::new(),
            lately: Duration::from_secs(60),
            leadership: Leadership::default(),
            shown: BTreeMap::new(),
            wanted: BTreeMap::new(),
            aborted: BTreeMap::new(),
            writes: BTreeMap::new(),
            busiest: 0,
            total: 0,
            totals: BTreeMap::new(),
        }
    }
}

impl Checks {
    /// An event was sent to a process.
    pub fn delivered(&mut self, process: usize, key: &Key, object: &Arc<Value>, change: Change, now: Duration) {
        let available = if change == Change::Deleted { 0 } else { count(object, "/status/availableReplicas") };
        self.show(process, key, available, now);
    }

    /// A list or an object was sent to a process.
    pub fn read(&mut self, process: usize, call: &Call, answer: &Value, now: Duration) {
        for item in answer["items"].as_array().into_iter().flatten().chain(std::iter::once(answer)) {
            let key = Key { name: text(item, "/metadata/name").to_owned(), ..call.key() };
            self.show(process, &key, count(item, "/status/availableReplicas"), now);
        }
    }

    fn show(&mut self, process: usize, key: &Key, available: u32, now: Duration) {
        if key.plural == "replicasets" {
            keep(self.shown.entry((process, key.name.clone())).or_default(), available, now, self.lately);
        }
    }

    /// A backup was restored: what was recorded and written since is not there any more.
    pub fn restored(&mut self) {
        self.aborted.clear();
        self.leadership.restored();
    }

    /// How often controllers have changed an object.
    pub fn writes_of(&self, key: &Key) -> u64 {
        self.totals.get(key).copied().unwrap_or(0)
    }

    /// An operator or an autoscaler scaled a Rollout, or it was made.
    fn scaled(&mut self, rollout: &str, replicas: u32, now: Duration) {
        keep(self.wanted.entry(rollout.to_owned()).or_default(), replicas, now, self.lately);
    }

    /// A write by a controller took effect.
    pub fn written(&mut self, store: &Store, write: &Write<'_>) {
        let key = Key { name: text(write.after, "/metadata/name").to_owned(), ..write.call.key() };
        store.all("rollouts").for_each(|(key, r)| self.scaled(&key.name, count(r, "/spec/replicas"), write.now));
        if key.plural == "leases" {
            self.leadership.renewed(write);
        }
        let before = write.before.unwrap_or(&Value::Null);
        if write.call.method == "DELETE" || changed(before, write.after).is_empty() {
            return;
        }
        self.busy(&key, write);
        if is_traffic(key.plural, before, write.after) {
            self.leadership.traffic(&key, write);
        }
        self.owned_fields(&key, write);
        match key.plural {
            "virtualservices" => self.route(store, &key, write),
            "replicasets" => self.scale(store, &key, write),
            "services" => self.selector(&key, write),
            "rollouts" => self.status(&key, write),
            _ => {}
        }
        self.read(write.process, write.call, write.after, write.now);
        let found = std::mem::take(&mut self.leadership.wrong);
        self.wrong.extend(found);
    }

    /// Bounded writes.
    fn busy(&mut self, key: &Key, write: &Write<'_>) {
        if key.plural == "leases" {
            return;
        }
        self.total += 1;
        *self.totals.entry(key.clone()).or_default() += 1;
        let status = write.call.subresource == "status";
        let limit = if status { STATUS_WRITES } else { WRITES };
        let times = self.writes.entry((key.clone(), status)).or_default();
        times.push_back(write.now);
        while times.front().is_some_and(|first| *first + Duration::from_secs(60) < write.now) {
            times.pop_front();
        }
        let seen = times.len();
        self.busiest = self.busiest.max(seen);
        if seen > limit {
            times.clear();
            self.fail(write, format!("bounded writes: {key} was written {seen} times within a minute"));
        }
    }

    /// I13: only owned fields change in foreign objects.
    fn owned_fields(&mut self, key: &Key, write: &Write<'_>) {
        let Some(before) = write.before else { return };
        let made = write.after["metadata"]["ownerReferences"]
            .as_array()
            .is_some_and(|all| all.iter().any(|owner| owner["kind"] == "Rollout" && owner["controller"] == true));
        let mine: fn(&str) -> bool = match key.plural {
            "virtualservices" => |field| field.starts_with("/spec/http/") && field.ends_with("/weight"),
            "services" if !made => |field| {
                field == "/spec/selector/glidepath.dev~1revision"
                    || field == "/metadata/annotations/glidepath.dev~1original-selector"
                    || field == "/metadata/annotations"
                    || field == "/metadata"
            },
            "rollouts" if write.call.subresource.is_empty() => {
                |field| field.starts_with("/metadata/finalizers") || field == "/spec/replicas"
            }
            _ => return,
        };
        let (before, after) = (without_own_routes(before), without_own_routes(write.after));
        if let Some(field) = changed(&before, &after).into_iter().find(|field| !mine(field)) {
            self.fail(write, format!("I13: {key} is not ours, and {field} was changed"));
        }
    }

    /// I1, I2, I3.
    fn route(&mut self, store: &Store, key: &Key, write: &Write<'_>) {
        let rollout = key.rollout().to_owned();
        for route in write.after["spec"]["http"].as_array().into_iter().flatten() {
            // Users who stay are split again by what is left of them.
            if text(route, "/name") == "glidepath-sticky-reassign" {
                continue;
            }
            let weights: Vec<u64> =
                route["route"].as_array().into_iter().flatten().filter_map(|to| to["weight"].as_u64()).collect();
            // Fractions of a percent are written as parts of 10,000.
            if weights.len() > 1 && ![100, 10_000].contains(&weights.iter().sum::<u64>()) {
                self.fail(write, format!("I1: the weights of a route of {key} are {weights:?}"));
            }
        }
        let (was, is) = (write.before.and_then(canary_share), canary_share(write.after));
        let (was, is) = (was.unwrap_or(Percent::ZERO), is.unwrap_or(Percent::ZERO));
        if is <= was {
            return;
        }
        if self.aborted.get(&rollout).is_some_and(|since| *since < write.sent) {
            self.fail(
                write,
                format!("I3: {rollout} was aborted, and then the canary's weight rose from {was} to {is}"),
            );
        }
        let canary = Key::shop("services", &format!("{rollout}-canary"));
        let revision = store.get(&canary).map(|service| revision_of(service).to_owned()).unwrap_or_default();
        let Some(set) = self.set_of(store, &rollout, &revision) else { return };
        let replicas = least(self.wanted.get(&rollout)).unwrap_or(0);
        let need = for_weight(replicas, is).max(1);
        let available = most(self.shown.get(&(write.process, set.clone()))).unwrap_or(0);
        if available < need && replicas > 0 {
            self.fail(
                write,
                format!("I2: {is} of {rollout} need {need} pods, and {set} had {available} that were shown"),
            );
        }
    }

    /// I7: no scale-down takes available pods under N - maxUnavailable.
    fn scale(&mut self, store: &Store, key: &Key, write: &Write<'_>) {
        let Some(before) = write.before else { return };
        let (was, is) = (count(before, "/spec/replicas"), count(write.after, "/spec/replicas"));
        if is >= was {
            return;
        }
        let rollout = text(write.after, "/metadata/labels/glidepath.dev~1rollout").to_owned();
        let replicas = least(self.wanted.get(&rollout)).unwrap_or(0);
        let deleting = store.get(&Key::shop("rollouts", &rollout)).is_none_or(|rollout| {
            rollout["metadata"]["deletionTimestamp"].is_string() || rollout["spec"]["workloadRef"].is_object()
        });
        if deleting {
            return;
        }
        let ours = store.all("replicasets").filter(|(_, set)| label(set, ROLLOUT_LABEL) == rollout);
        let mut total = (0, 0);
        for (other, set) in ours {
            let available = most(self.shown.get(&(write.process, other.name.clone()))).unwrap_or(0);
            let wanted = |wanted: u32| available.min(wanted);
            let stored = count(set, "/spec/replicas");
            let (old, new) = if other == key { (wanted(was), wanted(is)) } else { (wanted(stored), wanted(stored)) };
            total = (total.0 + old, total.1 + new);
        }
        let least_allowed = replicas - replicas / 4;
        if total.1 < total.0 && total.1 < least_allowed {
            let (old, new) = total;
            self.fail(write, format!("I7: {key} went from {was} to {is}: {old} available pods of {rollout} become {new}, and {least_allowed} must stay"));
        }
    }

    /// A Service never turns from pods that serve to a revision that was shown to have none.
    fn selector(&mut self, key: &Key, write: &Write<'_>) {
        let (was, is) = (write.before.map(revision_of).unwrap_or_default(), revision_of(write.after));
        if is.is_empty() || was == is || key.name.ends_with("-canary") || key.name.ends_with("-preview") {
            return;
        }
        // Not by what is stored: a backup may have been restored that no one was shown yet.
        let serving = |revision: &str| most(self.shown.get(&(write.process, format!("{}-{revision}", key.rollout()))));
        if serving(was).unwrap_or(0) > 0 && serving(is).unwrap_or(0) == 0 {
            self.fail(write, format!("I2: {key} turned from {was} to {is}, which was shown to have no available pods"));
        }
    }

    fn status(&mut self, key: &Key, write: &Write<'_>) {
        let course = text(write.after, "/status/course");
        if course == "Aborted" || course == "Kept" {
            self.aborted.entry(key.name.clone()).or_insert(write.now);
        } else {
            self.aborted.remove(&key.name);
        }
    }

    fn set_of(&self, store: &Store, rollout: &str, revision: &str) -> Option<String> {
        let ours = |set: &Value| label(set, ROLLOUT_LABEL) == rollout && label(set, REVISION_LABEL) == revision;
        store.all("replicasets").find(|(_, set)| ours(set)).map(|(key, _)| key.name.clone())
    }

    fn fail(&mut self, write: &Write<'_>, what: String) {
        let (process, sent, now) = (write.process, write.sent.as_secs_f64(), write.now.as_secs_f64());
        self.wrong.push(format!("{now:.3} {what} (controller {process}, sent at {sent:.3})"));
    }
}

/// Whether a write moves requests: routes, selectors, numbers of pods.
fn is_traffic(plural: &str, before: &Value, after: &Value) -> bool {
    let differs = |path: &str| before.pointer(path) != after.pointer(path);
    match plural {
        "virtualservices" | "destinationrules" => differs("/spec"),
        "services" => differs("/spec/selector"),
        "replicasets" | "deployments" => differs("/spec/replicas") || differs("/spec/paused"),
        _ => false,
    }
}

/// The canary's share in the first route that has one.
fn canary_share(object: &Value) -> Option<Percent> {
    let mut routes = object["spec"]["http"].as_array()?.iter();
    routes.find_map(|route| {
        let to = route["route"].as_array()?;
        let canary = to.iter().find(|to| text(to, "/destination/host").ends_with("-canary"))?;
        let weight = |to: &Value| to["weight"].as_u64().unwrap_or(0);
        let parts = weight(canary) * 10_000 / to.iter().map(weight).sum::<u64>().max(1);
        Some(Percent::from_basis_points(u32::try_from(parts).unwrap_or(10_000)))
    })
}

/// The same in whole percent.
pub fn canary_weight(object: &Value) -> Option<u64> {
    Some(u64::from(canary_share(object)?.basis_points() / 100))
}

/// The object without the entries and cookies that are Glidepath's own.
fn without_own_routes(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(routes) = object.pointer_mut("/spec/http").and_then(Value::as_array_mut) {
        routes.retain(|route| !text(route, "/name").starts_with("glidepath-"));
        for to in routes.iter_mut().filter_map(|route| route.get_mut("route")?.as_array_mut()).flatten() {
            drop_cookie(to);
        }
    }
    object
}

/// Takes our cookie out of a destination's answers, and what is empty without it.
fn drop_cookie(to: &mut Value) {
    if !text(to, "/headers/response/add/set-cookie").contains("=glidepath.") {
        return;
    }
    let fields = [
        ("/headers/response/add", "set-cookie"),
        ("/headers/response", "add"),
        ("/headers", "response"),
        ("", "headers"),
    ];
    for (place, field) in fields {
        let Some(fields) = to.pointer_mut(place).and_then(Value::as_object_mut) else { return };
        if field == "set-cookie" || fields[field].as_object().is_some_and(|inner| inner.is_empty()) {
            fields.shift_remove(field);
        }
    }
}

/// The revision that a Service selects.
pub fn revision_of(service: &Value) -> &str {
    service["spec"]["selector"][REVISION_LABEL].as_str().unwrap_or_default()
}

fn label<'a>(object: &'a Value, name: &str) -> &'a str {
    object["metadata"]["labels"][name].as_str().unwrap_or_default()
}

/// Keeps what was shown lately, and the last of what was shown before.
fn keep(all: &mut VecDeque<(Duration, u32)>, value: u32, now: Duration, lately: Duration) {
    if all.back().is_none_or(|(_, last)| *last != value) {
        all.push_back((now, value));
    }
    while all.get(1).is_some_and(|(at, _)| *at + lately < now) {
        all.pop_front();
    }
}

fn most(all: Option<&VecDeque<(Duration, u32)>>) -> Option<u32> {
    all?.iter().map(|(_, value)| *value).max()
}

fn least(all: Option<&VecDeque<(Duration, u32)>>) -> Option<u32> {
    all?.iter().map(|(_, value)| *value).min()
}
