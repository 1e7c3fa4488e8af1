//! Pods that come and go: ReplicaSets are filled as far as there is room, routes and targets are written, and the
//! Deployment's own controller rolls unless it is held still.

use serde_json::Value;

use super::{Deployment, SimCluster, Version, requests::rates};
use crate::{
    engine::RouteIntent,
    sim::{
        pods::{Pod, sum},
        replicas::{Replicas, count, first_image},
        scenario::FaultKind,
        time::{Millis, millis},
    },
};

/// What is written reaches the proxies after so long.
const ROUTE_LAG: Millis = 200;

impl SimCluster {
    /// The Deployment's pods have been there for long.
    pub(super) fn begin_deployment(&mut self, template: Value, replicas: u32) {
        let mut own = Replicas::new("", 0, String::new(), template.clone());
        own.wanted = replicas;
        for _ in 0..replicas {
            let mut pod = self.new_pod(&template);
            pod.ready_at = Some(0);
            own.pods.push(pod);
        }
        self.deployment = Some(Deployment { own, template, paused: false });
    }

    /// A Deployment that is new to the cluster: its pods start now.
    pub fn create_deployment(&mut self, template: Value, replicas: u32) {
        let mut own = Replicas::new("", 0, String::new(), template.clone());
        own.wanted = replicas;
        self.deployment = Some(Deployment { own, template, paused: false });
        self.roll_deployment();
        self.news = true;
    }

    /// The Deployment goes, with its own pods.
    pub fn remove_deployment(&mut self) -> Option<()> {
        let deployment = self.deployment.take()?;
        for pod in deployment.own.pods {
            self.take_down(String::new(), pod);
        }
        self.news = true;
        Some(())
    }

    pub(super) fn all_pods(&self) -> impl Iterator<Item = &Pod> {
        let own = self.deployment.iter().flat_map(|deployment| deployment.own.pods.iter());
        self.sets.iter().flat_map(|set| set.pods.iter()).chain(own)
    }

    /// Pods that count as available, of all revisions and the Deployment.
    pub fn available(&self) -> u32 {
        let min_ready = self.min_ready();
        let ours: u32 = self.sets.iter().map(|set| set.available(self.now, min_ready)).sum();
        ours + self.deployment.as_ref().map_or(0, |deployment| deployment.own.ready(self.now))
    }

    pub(super) fn version_index(&mut self, image: &str) -> usize {
        let known = self.versions.iter().position(|version| version.image == image);
        known.unwrap_or_else(|| {
            self.versions.push(Version { image: image.to_owned(), ..Version::default() });
            self.versions.len() - 1
        })
    }

    pub(super) fn new_pod(&mut self, template: &Value) -> Pod {
        let image = first_image(template);
        let version = self.version_index(&image);
        self.versions[version].first.get_or_insert(self.now);
        self.serials += 1;
        let phase = self.dice.below(self.scrape.unsigned_abs()) as Millis;
        let first_scrape = self.now + phase;
        Pod::new(self.serials, version, self.now, self.ready_time(&image), first_scrape)
    }

    /// When a pod of this image that starts now is ready.
    pub fn ready_time(&self, image: &str) -> Option<Millis> {
        use crate::api::common::Delay;
        match self.laws.versions.get(image).and_then(|version| version.ready) {
            Some(Delay::Never) => None,
            Some(Delay::After(after)) => Some(self.now + millis(after)),
            None => Some(self.now + self.laws.startup),
        }
    }

    /// Scales a revision.
    pub fn scale(&mut self, id: &str, replicas: u32) {
        let Some(index) = self.sets.iter().position(|set| set.id == id) else { return };
        if self.sets[index].wanted != replicas {
            self.sets[index].wanted = replicas;
            self.sets[index].version += 1;
            self.news = true;
        }
        self.take_surplus(index);
        self.fill();
    }

    pub(super) fn take_surplus(&mut self, index: usize) {
        let gone = self.sets[index].shrink(self.now);
        let workload = self.sets[index].workload.clone();
        for pod in gone {
            self.take_down(workload.clone(), pod);
        }
    }

    pub(super) fn take_down(&mut self, workload: String, mut pod: Pod) {
        let rates = rates(&self.laws, &self.versions[pod.version], self.now);
        let answered = pod.draw(rates, &mut self.dice);
        self.versions[pod.version].answered = sum(self.versions[pod.version].answered, answered);
        pod.end(self.now);
        self.gone.push((workload, pod));
    }

    /// Makes the pods that are asked for, as far as there is room.
    pub(super) fn fill(&mut self) {
        for index in 0..self.sets.len() {
            let missing = self.sets[index].wanted.saturating_sub(count(self.sets[index].pods.len()));
            let room = self.laws.capacity.map_or(u32::MAX, |room| room.saturating_sub(count(self.all_pods().count())));
            let template = self.sets[index].template.clone();
            for _ in 0..missing.min(room) {
                let metadata = self.sets[index].metadata.clone();
                let mut pod = self.new_pod(&template);
                pod.metadata = metadata;
                self.sets[index].pods.push(pod);
            }
            self.sets[index].without_room = missing - missing.min(room);
        }
    }

    /// Takes one pod away, for another one to come.
    pub fn evict(&mut self, uid: &str) {
        let found = self.sets.iter().enumerate().find_map(|(index, set)| {
            let pod = set.pods.iter().position(|pod| pod.uid() == uid)?;
            Some((index, pod))
        });
        if let Some((index, pod)) = found {
            let set = &mut self.sets[index];
            set.version += 1;
            let (workload, pod) = (set.workload.clone(), set.pods.remove(pod));
            self.take_down(workload, pod);
            self.fill();
            self.news = true;
        }
    }

    /// The autoscaler writes the Rollout's replicas, as the API server's scale subresource lets it.
    pub(super) fn autoscale(&mut self) {
        let Some(mut autoscaler) = self.autoscaler.take() else { return };
        let now = self.now;
        let ready: Vec<f64> = self.all_pods().filter(|pod| pod.is_ready(now)).map(|pod| pod.sent.rate).collect();
        let wanted = self.rollout.as_ref().and_then(|rollout| rollout.spec.replicas);
        if let Some(replicas) = wanted.and_then(|wanted| autoscaler.look(now, wanted, &ready))
            && let Some(rollout) = &mut self.rollout
        {
            rollout.spec.replicas = Some(replicas);
            self.touch_spec();
        }
        self.autoscaler = Some(autoscaler);
    }

    /// Crashes so many pods of a revision: their processes start again, and where a container ended the kubelet counts it.
    pub fn crash(&mut self, id: &str, pods: u32, kind: FaultKind) {
        let Some(index) = self.sets.iter().position(|set| set.id == id) else { return };
        let ready_at = self.ready_time(&self.sets[index].image());
        let now = self.now;
        let set = &mut self.sets[index];
        let mut crashed = false;
        for pod in set.pods.iter_mut().filter(|pod| pod.is_ready(now)).take(pods as usize) {
            crashed = true;
            pod.crash(ready_at);
            if kind != FaultKind::PodCrash {
                pod.restarts += 1;
                pod.was_oom_killed = kind == FaultKind::OomKill;
            }
        }
        if crashed {
            set.version += 1;
            self.news = true;
        }
    }

    /// Writes the routes. They reach the proxies a moment later.
    pub fn write_route(&mut self, intent: &RouteIntent) {
        let lag = self.faults.router_lag(self.now).unwrap_or(ROUTE_LAG);
        self.route.weight = intent.canary;
        self.route.headers = intent.headers.iter().map(|route| route.name.clone()).collect();
        self.route.headers.sort();
        self.route.sticky = intent.sticky.is_some();
        self.route.mirror = intent.mirror.as_ref().map(|mirror| mirror.percent);
        self.route.version += 1;
        self.route.underway.push((self.now + lag, self.users.ways(intent)));
        self.news = true;
    }

    /// Moves a target.
    pub fn move_target(&mut self, stable: bool, revision: Option<String>) {
        let target = if stable { &mut self.stable } else { &mut self.canary };
        if target.revision != revision {
            target.revision = revision;
            target.version += 1;
            self.news = true;
        }
    }

    /// Takes a ReplicaSet with its pods away.
    pub fn remove_set(&mut self, id: &str) {
        if let Some(index) = self.sets.iter().position(|set| set.id == id) {
            self.sets[index].wanted = 0;
            self.take_surplus(index);
            self.sets.remove(index);
            self.news = true;
        }
    }

    /// Writes the Deployment's spec.
    pub fn write_deployment(&mut self, replicas: Option<u32>, paused: bool, template: Option<Value>) {
        let Some(deployment) = &mut self.deployment else { return };
        let replicas = replicas.unwrap_or(deployment.own.wanted);
        let template = template.unwrap_or_else(|| deployment.template.clone());
        let (was, is) = ((deployment.own.wanted, deployment.paused), (replicas, paused));
        if was == is && template == deployment.template {
            return;
        }
        deployment.own.version += 1;
        (deployment.own.wanted, deployment.paused) = is;
        deployment.template = template;
        self.news = true;
        self.roll_deployment();
    }

    /// The Deployment's own controller: scales always, and rolls to its template unless it is held still.
    pub(super) fn roll_deployment(&mut self) {
        let Some(mut deployment) = self.deployment.take() else { return };
        let now = self.now;
        if !deployment.paused && deployment.own.template != deployment.template {
            deployment.own.template = deployment.template.clone();
        }
        let version = self.version_index(&first_image(&deployment.own.template));
        let (new, old): (Vec<Pod>, Vec<Pod>) = deployment.own.pods.drain(..).partition(|pod| pod.version == version);
        deployment.own.pods = new;
        for pod in deployment.own.shrink(now) {
            self.take_down(String::new(), pod);
        }
        while count(deployment.own.pods.len()) < deployment.own.wanted {
            let pod = self.new_pod(&deployment.own.template.clone());
            deployment.own.pods.push(pod);
        }
        // Old pods stay until the new ones serve.
        let keep = deployment.own.wanted.saturating_sub(deployment.own.ready(now)) as usize;
        for (index, pod) in old.into_iter().enumerate() {
            if index < keep { deployment.own.pods.push(pod) } else { self.take_down(String::new(), pod) }
        }
        self.deployment = Some(deployment);
    }
}
