//! A scene: a faulty cluster, its life, and the controllers under test; and what tests do and see in it.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    checks::{canary_weight, revision_of},
    cluster::FaultyCluster,
    deeds::drift,
    faults::{Fault, Window},
    kinds::Kind,
    leadership::identity,
    life::live,
    objects::{Set, definition, template},
    process::{Process, Running},
    store::{Key, count, text},
};

/// So many of the last requests are shown with a failure.
const LAST: usize = 60;

/// A cluster with controllers.
pub struct Scene {
    pub cluster: Arc<FaultyCluster>,
    pub controllers: Vec<Running>,
    life: tokio::task::JoinHandle<()>,
    commands: u32,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.life.abort();
    }
}

impl Scene {
    /// A cluster with Istio and these Rollouts.
    pub fn new(seed: u64, sets: Vec<Set>) -> Scene {
        let cluster = FaultyCluster::new(seed);
        cluster.with(|c| c.life.startup = Duration::from_millis(500));
        cluster.edit(|store, now| {
            for (plural, kind) in [("virtualservices", "VirtualService"), ("destinationrules", "DestinationRule")] {
                let (name, object) = definition(plural, kind);
                let key = Key { plural: "customresourcedefinitions", namespace: String::new(), name };
                store.put(&key, object, now);
            }
            for (plural, name, object) in sets.into_iter().flat_map(|set| set.objects) {
                store.put(&Key::shop(plural, &name), without_nulls(object), now);
            }
        });
        let life = tokio::spawn(live(Arc::clone(&cluster)));
        Scene { cluster, controllers: Vec::new(), life, commands: 0 }
    }

    /// Starts a controller.
    pub fn start(&mut self, process: Process) {
        self.controllers.push(Running::start(&self.cluster, process));
    }

    /// Starts so many controllers that contend for the Lease.
    pub fn start_all(&mut self, controllers: usize) {
        (0..controllers).for_each(|number| self.start(Process::new(number)));
    }

    /// One controller that needs no Lease.
    pub fn start_alone(&mut self) {
        self.start(Process { leader_elect: false, ..Process::new(0) });
    }

    /// Kills a controller in the middle of whatever it does, and starts it again.
    pub fn crash(&mut self, number: usize) {
        let index = self.controllers.iter().position(|running| running.process.number == number).unwrap();
        let running = self.controllers.swap_remove(index);
        self.controllers.push(running.crash());
    }

    /// Has a controller end properly and starts its successor.
    pub fn restart(&mut self, number: usize) {
        let index = self.controllers.iter().position(|running| running.process.number == number).unwrap();
        let running = self.controllers.swap_remove(index);
        self.controllers.push(running.restart());
    }

    /// From now on, for this long.
    pub fn fault(&self, fault: Fault, lasts: Duration) -> Window {
        Window::new(fault, self.cluster.now(), lasts)
    }

    /// Which controller holds the Lease.
    pub fn leader(&self) -> Option<usize> {
        let held = self.cluster.with(|c| {
            let mut leases = c.store.all("leases").map(|(_, lease)| text(lease, "/spec/holderIdentity").to_owned());
            leases.next()
        })?;
        self.controllers.iter().map(|running| running.process.number).find(|number| identity(*number) == held)
    }

    /// Another writer takes the Lease.
    pub fn rival_leads(&self) {
        let time = self.cluster.time();
        let names: Vec<String> =
            self.cluster.with(|c| c.store.all("leases").map(|(key, _)| key.name.clone()).collect());
        for name in names {
            let terms = self.get("leases", &name).map_or(0, |lease| count(&lease, "/spec/leaseTransitions"));
            self.patch_as(
                "rival",
                "leases",
                &name,
                &json!({"spec": {"holderIdentity": "rival", "leaseDurationSeconds": 15,
                "renewTime": time.to_string(), "acquireTime": time.to_string(), "leaseTransitions": terms + 1}}),
            );
        }
        self.cluster.with(|c| c.checks.leadership.taken());
    }

    /// And writes the canary's weight.
    pub fn rival_writes_weight(&self, rollout: &str, weight: u64) {
        drift(&self.cluster, weight);
        let now = self.cluster.now();
        self.cluster.with(|c| c.checks.leadership.rival_wrote(&Key::shop("virtualservices", rollout), now));
    }

    /// Adds a fault.
    pub fn add(&self, window: Window) {
        self.cluster.add_fault(window);
    }

    /// Waits until this holds of what is stored; fails after `limit` of virtual time, and whenever something is wrong.
    pub async fn until(&self, what: &str, limit: Duration, mut holds: impl FnMut(&Scene) -> bool) {
        let end = self.cluster.now() + limit;
        while !holds(self) {
            self.is_right();
            assert!(self.cluster.now() < end, "not within {limit:?}: {what}\n{}", self.story());
            sleep(Duration::from_millis(200)).await;
        }
        self.is_right();
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        sleep(time).await;
        self.is_right();
    }

    /// Waits until a Rollout is at rest with this image as its stable version.
    pub async fn until_healthy(&self, rollout: &str, image: &str) {
        let what = format!("{rollout} is Healthy with {image}");
        let healthy = |scene: &Scene| scene.phase(rollout) == "Healthy" && scene.stable_image(rollout) == image;
        self.until(&what, Duration::from_secs(900), healthy).await;
    }

    /// Fails when an invariant was broken.
    pub fn is_right(&self) {
        let wrong = self.cluster.with(|c| c.checks.wrong.clone());
        assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), self.story());
    }

    /// The last requests, and each Rollout's status.
    pub fn story(&self) -> String {
        self.cluster.with(|c| {
            let rollouts = c.store.all("rollouts").map(|(key, rollout)| {
                let routes =
                    c.store.get(&Key::shop("virtualservices", &key.name)).and_then(|route| canary_weight(route));
                format!(
                    "{key}: {} {}; canary weight {routes:?}",
                    text(rollout, "/status/phase"),
                    text(rollout, "/status/message")
                )
            });
            let faults = c.faults.windows.iter().map(|window| format!("{window:?}"));
            let requests = c.told[c.told.len().saturating_sub(LAST)..].iter().cloned();
            rollouts.chain(faults).chain(requests).collect::<Vec<_>>().join("\n")
        })
    }

    /// An object as stored.
    pub fn get(&self, plural: &str, name: &str) -> Option<Arc<Value>> {
        self.cluster.with(|c| c.store.get(&Key::shop(plural, name)).cloned())
    }

    /// How many objects of a kind there are.
    pub fn count(&self, plural: &str) -> usize {
        self.cluster.with(|c| c.store.all(plural).count())
    }

    /// An operator changes an object by a merge patch.
    pub fn patch(&self, plural: &str, name: &str, patch: &Value) {
        self.patch_as("kubectl", plural, name, patch);
    }

    /// Another tool does.
    pub fn patch_as(&self, manager: &str, plural: &str, name: &str, patch: &Value) {
        self.cluster.patch_as(manager, &Key::shop(plural, name), patch);
    }

    /// An operator creates an object.
    pub fn create(&self, plural: &str, name: &str, object: Value) {
        let key = Key::shop(Kind::named(plural).plural, name);
        self.cluster.edit(|store, now| store.put(&key, object, now));
    }

    /// An operator deletes an object.
    pub fn delete(&self, plural: &str, name: &str) {
        self.cluster.edit(|store, now| store.delete(&Key::shop(plural, name), now));
    }

    /// Deploys an image.
    pub fn deploy(&self, rollout: &str, image: &str) {
        let workload = self.get("deployments", rollout).is_some();
        let plural = if workload { "deployments" } else { "rollouts" };
        self.patch(plural, rollout, &json!({"spec": {"template": template(rollout, image)}}));
    }

    /// An autoscaler scales a Rollout.
    pub fn scale(&self, rollout: &str, replicas: u32) {
        self.patch_as("autoscaler", "rollouts", rollout, &json!({"spec": {"replicas": replicas}}));
    }

    /// An operator gives a command for the current revision.
    pub fn command(&mut self, rollout: &str, verb: &str) {
        self.commands += 1;
        let current = self.get("rollouts", rollout).map(|object| object["status"].clone()).unwrap_or_default();
        let mut spec = json!({"rollout": rollout, "verb": verb, "revision": current["currentRevision"]["id"]});
        if verb == "promote" {
            spec["attempt"] = current["attempt"].clone();
            spec["step"] = current["stepIndex"].clone();
        }
        let name = format!("{rollout}-{verb}-{}", self.commands);
        self.create("rolloutcommands", &name, without_nulls(json!({"spec": spec})));
    }

    /// The phase in a Rollout's status.
    pub fn phase(&self, rollout: &str) -> String {
        self.status(rollout, "/phase")
    }

    /// A text in a Rollout's status.
    pub fn status(&self, rollout: &str, path: &str) -> String {
        let object = self.get("rollouts", rollout).unwrap_or_default();
        text(&object, &format!("/status{path}")).to_owned()
    }

    /// The image of the version that is stable by status and that has pods.
    pub fn stable_image(&self, rollout: &str) -> String {
        let id = self.status(rollout, "/stableRevision/id");
        self.cluster.with(|c| {
            let set = c.store.all("replicasets").find(|(key, _)| key.name == format!("{rollout}-{id}"));
            set.map(|(_, set)| text(set, "/spec/template/spec/containers/0/image").to_owned()).unwrap_or_default()
        })
    }

    /// The canary's weight in a Rollout's VirtualService.
    pub fn weight(&self, rollout: &str) -> u64 {
        self.get("virtualservices", rollout).and_then(|route| canary_weight(&route)).unwrap_or(0)
    }

    /// The revision that a Service selects.
    pub fn selected(&self, service: &str) -> String {
        self.get("services", service).map(|service| revision_of(&service).to_owned()).unwrap_or_default()
    }

    /// The pods of a Rollout that are ready.
    pub fn available(&self, rollout: &str) -> u32 {
        self.cluster.with(|c| {
            let ours = c.store.all("replicasets").filter(|(key, _)| key.rollout() == rollout);
            ours.map(|(_, set)| count(set, "/status/availableReplicas")).sum()
        })
    }
}

/// A field that is null is not there.
fn without_nulls(mut value: Value) -> Value {
    match &mut value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(|value| *value = without_nulls(value.take()));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = without_nulls(value.take())),
        _ => {}
    }
    value
}
