//! A shop: one service in a namespace of its own, released by Glidepath, with users who never stop asking.

use crate::controller::controller;
use crate::limits::binomial_999;
use crate::load::{Load, Plan, Tally};
use crate::wait::{wait_for, wait_until};
use crate::{glidepath, lane};
use anyhow::{Result, bail, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The longest wait for anything that should be a matter of seconds.
pub const PATIENCE: Duration = Duration::from_secs(60);
const YAML: &str = include_str!("config/shop.yaml");
/// The steps of the shop's releases.
pub const TWO_WEIGHTS: &str = "
      - setWeight: 20
      - observe: {atLeast: 5s, atMost: 3m}
      - pause: {}
      - setWeight: 50
      - observe: {atLeast: 5s, atMost: 3m}
      - pause: {}
";
/// Requests a second.
const USERS: f64 = 200.0;

/// One service and its Rollout `web`.
pub struct Shop {
    pub namespace: &'static str,
}

impl Shop {
    /// A namespace with the service at version v1, healthy and answering through the mesh.
    pub fn open(namespace: &'static str) -> Self {
        let shop = Self::apply(namespace, YAML);
        shop.wait("the first version to be stable", |status| status["phase"] == "Healthy");
        shop.answers("v1");
        shop
    }

    /// A service without a mesh and without an analysis, whose releases wait for an operator at half of its two pods.
    pub fn promoted_by_hand(namespace: &'static str) -> Self {
        let changes = [
            ("replicas: 4", "replicas: 2"),
            ("  analysis: {templates: [{name: errors}]}\n", ""),
            ("observe: {atLeast: 4s, atMost: 3m}", "pause: {}"),
        ];
        let shop = Self::apply(namespace, &changed(include_str!("config/plain.yaml"), &changes));
        shop.wait_for_stable(1);
        shop
    }

    /// A shop made of some YAML in which NAMESPACE represents the namespace.
    pub fn apply(namespace: &'static str, yaml: &str) -> Self {
        assert_not_taken(namespace);
        controller().check();
        lane().apply(&yaml.replace("NAMESPACE", namespace)).unwrap();
        Self { namespace }
    }

    /// The same YAML that [`Shop::open`] applies, to be changed by a test.
    pub fn yaml() -> String {
        YAML.to_owned()
    }

    /// The same without the objects of one kind.
    pub fn yaml_without(kind: &str) -> String {
        let parts = YAML.split("---\n").filter(|part| !part.contains(&format!("kind: {kind}\n")));
        parts.collect::<Vec<_>>().join("---\n")
    }

    /// Waits until users get this version and nothing else.
    pub fn answers(&self, version: &str) {
        wait_until(PATIENCE, &format!("{version} to answer through Envoy"), || {
            let tally = Load::launch(Plan::mesh(&self.host(), 500.0).limit(50)).finish().unwrap();
            tally.of(version) == 50
        });
    }

    /// Users who ask all the time.
    pub fn users(&self) -> Load {
        Load::start(&self.host(), USERS)
    }

    fn host(&self) -> String {
        format!("web.{}", self.namespace)
    }

    /// A good version: another image.
    pub fn release(&self, version: &str) {
        self.glidepath(&["set", "image", "web", &format!("web={version}")]).unwrap();
    }

    /// A version of which this share of answers are errors.
    pub fn release_with_errors(&self, version: &str, share: &str) {
        let container = "/spec/template/spec/containers/0";
        self.patch(&json!([
            {"op": "replace", "path": format!("{container}/image"), "value": version},
            {"op": "replace", "path": format!("{container}/env/0/value"), "value": share},
        ]));
    }

    /// A JSON patch of the Rollout.
    pub fn patch(&self, patch: &Value) {
        let patch = patch.to_string();
        lane().kubectl(&["patch", "gro", "web", "-n", self.namespace, "--type=json", "-p", &patch]).unwrap();
    }

    /// The command line under test in this namespace; its output, or what it complained about.
    pub fn glidepath(&self, args: &[&str]) -> Result<String> {
        let out = glidepath().args(args).args(["-n", self.namespace]).output()?;
        let text = String::from_utf8(out.stdout)?;
        if !out.status.success() {
            bail!("glidepath {args:?} ended with {}: {text}{}", out.status, String::from_utf8_lossy(&out.stderr));
        }
        Ok(text)
    }

    /// The Rollout's status; `null` before the first.
    pub fn status(&self) -> Value {
        lane().get(self.namespace, "gro", "web").unwrap()["status"].take()
    }

    /// Waits for a status.
    pub fn wait(&self, what: &str, condition: impl FnMut(&Value) -> bool) -> Value {
        self.wait_longer(PATIENCE, what, condition)
    }

    /// Waits for a status that takes its time.
    pub fn wait_longer(&self, patience: Duration, what: &str, mut condition: impl FnMut(&Value) -> bool) -> Value {
        let looked = wait_for(patience, what, || {
            let status = self.status();
            ensure!(condition(&status), "{}: {}", status["phase"], status["message"]);
            Ok(status)
        });
        looked.unwrap_or_else(|error| panic!("{error:#}\nat last: {:#}", self.status()))
    }

    /// Waits until the rollout is at the pause with this index.
    pub fn wait_for_pause(&self, index: u64) -> Value {
        self.wait_longer(PATIENCE * 2, &format!("the pause at step {index}"), |status| {
            status["stepIndex"] == index && status["phase"] == "Paused" && status["held"].is_null()
        })
    }

    /// Waits until this revision number is stable and all is well.
    pub fn wait_for_stable(&self, number: u64) -> Value {
        self.wait_longer(PATIENCE * 2, &format!("revision {number} to be stable"), |status| {
            status["phase"] == "Healthy" && status["stableRevision"]["number"] == number
        })
    }

    /// The weights of the route, stable's first.
    pub fn weights(&self) -> (u64, u64) {
        self.weights_of("web", 0)
    }

    /// The weights of one http route of a VirtualService, stable's first.
    pub fn weights_of(&self, virtual_service: &str, route: usize) -> (u64, u64) {
        // At the version that is served throughout, also where a test serves no other.
        let kind = "virtualservice.v1beta1.networking.istio.io";
        let service = lane().get(self.namespace, kind, virtual_service).unwrap();
        let route = &service["spec"]["http"][route]["route"];
        let weight = |host: &str| {
            let found = route.as_array().unwrap().iter().find(|to| to["destination"]["host"] == host);
            found.and_then(|to| to["weight"].as_u64()).unwrap_or_default()
        };
        (weight("web-stable"), weight("web-canary"))
    }

    /// Requests that the pods of one version served, and those of all versions, pods that are gone included.
    pub fn served(&self, version: &str) -> (u64, u64) {
        let counts = lane().counts(self.namespace).unwrap();
        let own = counts.iter().filter(|pod| pod.version == version).map(|pod| pod.requests).sum();
        (own, counts.iter().map(|pod| pod.requests).sum())
    }

    /// While users ask, pods of `version` get the share that the step asks for, by their own count.
    pub fn assert_share(&self, version: &str, share: f64) {
        let before = self.served(version);
        wait_until(PATIENCE, "3,000 requests", || self.served(version).1 - before.1 >= 3000);
        let after = self.served(version);
        let (got, drawn) = (after.0 - before.0, after.1 - before.1);
        let limits = binomial_999(drawn, share);
        assert!(limits.contains(&got), "{got} of {drawn} requests reached {version}, outside {limits:?}");
    }

    /// Messages of the events of the Rollout with this reason.
    pub fn events(&self, reason: &str) -> Vec<String> {
        let all = lane().get(self.namespace, "events", "--field-selector=involvedObject.kind=Rollout").unwrap();
        let all = all["items"].as_array().cloned().unwrap_or_default();
        let wanted = all.iter().filter(|event| event["reason"] == reason);
        wanted.map(|event| event["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// How the last rollout ended, and why.
    pub fn last_outcome(&self) -> (String, String) {
        let status = self.status();
        let last = &status["history"][0];
        let text = |field: &str| last[field].as_str().unwrap_or_default().to_owned();
        (text("outcome"), text("reason"))
    }
}

/// No other test has this namespace: what one left there would be what the next one finds, depending on which ran first.
#[track_caller]
fn assert_not_taken(namespace: &'static str) {
    static TAKEN: Mutex<BTreeMap<&str, String>> = Mutex::new(BTreeMap::new());
    let test = thread::current().name().unwrap_or("main").to_owned();
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let by = taken.entry(namespace).or_insert_with(|| test.clone());
    assert_eq!(*by, test, "both use the namespace {namespace}");
}

/// No request was lost, and every answer was a good one.
#[track_caller]
pub fn assert_all_well(tally: &Tally) {
    assert_eq!(tally.lost(), 0, "{tally:?}");
    assert_eq!(tally.status.get(&200), Some(&tally.sent), "{tally:?}");
}

/// Some YAML with texts replaced that must be in it.
#[track_caller]
pub fn changed(yaml: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(yaml.to_owned(), |yaml, (text, replacement)| {
        assert!(yaml.contains(text), "the YAML has no {text:?}");
        yaml.replace(text, replacement)
    })
}
