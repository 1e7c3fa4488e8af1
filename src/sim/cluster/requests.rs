//! Time passes: requests flow to pods as routes, targets and readiness have it, and are counted as a Prometheus would.

use super::{Laws, SimCluster, Target, Version};
use crate::{
    api::Percent,
    evidence::{ArmCounts, Histogram},
    routing::targets::Split,
    sim::{
        flow::Flow,
        latency::{Law, TimesQuery},
        pods::{Pod, PodCounts, Rates, sum, sum_counts},
        replicas::Replicas,
        rng::Rng,
        time::Millis,
    },
};

impl SimCluster {
    /// Lets time pass to `to`: requests flow as they do now, and what is due then becomes so.
    pub fn advance(&mut self, to: Millis) {
        let from = self.now;
        if to <= from {
            return;
        }
        self.flow(to - from);
        let SimCluster { sets, deployment, versions, laws, dice, scrape, .. } = self;
        let own = deployment.iter_mut().flat_map(|deployment| deployment.own.pods.iter_mut());
        for pod in sets.iter_mut().flat_map(|set| set.pods.iter_mut()).chain(own) {
            let rates = rates(laws, &versions[pod.version], to);
            let answered = pod.pass(from, to, rates, *scrape, dice);
            versions[pod.version].answered = sum(versions[pod.version].answered, answered);
        }
        let min_ready = self.min_ready();
        let due = |at: Millis| at > from && at <= to;
        let mut news = false;
        for set in &mut self.sets {
            let changes = |pod: &Pod| pod.ready_at.is_some_and(|at| due(at) || due(at + min_ready));
            if set.pods.iter().any(changes) {
                set.version += 1;
                news = true;
            }
        }
        let own_changes = self
            .deployment
            .as_ref()
            .is_some_and(|deployment| deployment.own.pods.iter().any(|pod| pod.ready_at.is_some_and(due)));
        self.news |= news || own_changes;
        self.now = to;
        if self.turns().any(|at| at == to) {
            self.count_up();
        }
        if self.late_news.is_some_and(|at| at <= to) {
            self.late_news = None;
            self.news = true;
        }
        self.route_arrives();
        self.roll_deployment();
        self.autoscale();
        self.gone.retain(|(_, pod)| !pod.is_forgotten(to));
        let kept = self.all_pods().chain(self.gone.iter().map(|(_, pod)| pod)).map(Pod::kept);
        self.samples = kept.sum();
    }

    fn route_arrives(&mut self) {
        let now = self.now;
        for (_, ways) in self.route.underway.extract_if(.., |(at, _)| *at <= now) {
            self.route.effective = ways;
        }
    }

    /// Sets the rate of every pod as targets, routes and readiness are now, for so long.
    fn flow(&mut self, span: Millis) {
        let now = self.now;
        let pinned = self.targets.split != Split::Replicas && self.stable.revision.is_some();
        let by = |target: &Target| target.revision.clone().unwrap_or_default();
        let flow = if pinned {
            self.users.meet(&self.route.effective, self.canary.revision.as_ref());
            let shares = self.users.shares(&self.route.effective);
            Flow::Split { stable: by(&self.stable), canary: by(&self.canary), shares }
        } else {
            // Without a mesh the root Service keeps the user's selector (rule S6).
            Flow::Even
        };
        let own = self.deployment.as_mut().map(|deployment| deployment.own.pods.as_mut_slice()).unwrap_or_default();
        let rps = if self.users.came { self.users.rps } else { 0.0 };
        let lost = flow.spread(rps, &mut self.sets, own, now);
        self.users.came |= lost.any_pod;
        self.users.pass(&self.route.effective, span);
        self.expected_lost += lost.rate * span as f64 / 1000.0;
    }

    /// Draws the requests that no scrape has seen yet: for a summary, or when a pod goes.
    pub fn count_up(&mut self) {
        let now = self.now;
        let SimCluster { sets, deployment, versions, laws, dice, .. } = self;
        let own = deployment.iter_mut().flat_map(|deployment| deployment.own.pods.iter_mut());
        for pod in sets.iter_mut().flat_map(|set| set.pods.iter_mut()).chain(own) {
            let rates = rates(laws, &versions[pod.version], now);
            let answered = pod.draw(rates, dice);
            versions[pod.version].answered = sum(versions[pod.version].answered, answered);
        }
        self.lost += self.dice.poisson(std::mem::take(&mut self.expected_lost));
    }

    /// What all versions have answered.
    pub fn answered(&self) -> ArmCounts {
        self.versions.iter().map(|version| version.answered).fold(ArmCounts::default(), sum)
    }

    /// What an image's pods have answered.
    pub fn answered_by(&self, image: &str) -> ArmCounts {
        self.versions.iter().find(|version| version.image == image).map(|v| v.answered).unwrap_or_default()
    }

    /// What the pods of all revisions counted in a window, those that came or went within it included.
    pub fn service_increments(&self, end: Millis, window: Millis) -> Option<PodCounts> {
        let alive = self.sets.iter().flat_map(|set| set.pods.iter());
        let own = self.deployment.iter().flat_map(|deployment| deployment.own.pods.iter());
        let gone = self.gone.iter().map(|(_, pod)| pod);
        alive.chain(own).chain(gone).filter_map(|pod| pod.counted(end, window)).reduce(sum_counts)
    }

    /// What an arm counted in a window.
    pub fn increments(&self, workload: &str, end: Millis, window: Millis, warm_up: Millis) -> Option<PodCounts> {
        let own = |set: &&Replicas| set.workload == workload;
        let alive = self.sets.iter().filter(own).flat_map(|set| set.pods.iter());
        let gone = self.gone.iter().filter(|(name, _)| name == workload).map(|(_, pod)| pod);
        alive.chain(gone).filter_map(|pod| pod.increments(end, window, warm_up)).reduce(sum_counts)
    }

    /// The pods of all revisions that have series at this time, and had them so long before: name, number and image.
    pub fn scraped_pods(&self, at: Millis, warm_up: Millis) -> impl Iterator<Item = (String, u64, &str)> {
        let alive = self.sets.iter().flat_map(|set| set.pods.iter().map(|pod| (&set.workload, pod)));
        let gone = self.gone.iter().map(|(workload, pod)| (workload, pod));
        let all = alive.chain(gone).filter(move |(_, pod)| pod.has_series(at, warm_up));
        all.filter_map(|(workload, pod)| {
            let image = &self.versions.get(pod.version)?.image;
            Some((format!("{workload}-{}", pod.serial), pod.serial, image.as_str()))
        })
    }

    /// How an arm's requests in a window took, or all of them until its end. Nothing where the version's response times are not
    /// exported in this form.
    pub fn response_times(&self, workload: &str, window: &TimesQuery) -> Option<Histogram> {
        let alive = self.sets.iter().filter(|set| set.workload == workload).flat_map(|set| set.pods.iter());
        let gone = self.gone.iter().filter(|(name, _)| name == workload).map(|(_, pod)| pod);
        let pods: Vec<&Pod> = alive.chain(gone).collect();
        let image = &self.versions.get(pods.first()?.version)?.image;
        let law = self.laws.versions.get(image)?.latency.as_ref().and_then(Law::of)?;
        let (end, length) = (window.end, window.length);
        let requests = |pod: &&Pod| match window.whole_pods {
            true => pod.requests_until(end),
            false => Some(pod.increments(end, length, window.warm_up)?.answers.total),
        };
        let requests = pods.iter().filter_map(requests).reduce(|sum, more| sum + more)?;
        let place = workload.bytes().fold(end.unsigned_abs(), |hash, byte| hash.rotate_left(7) ^ u64::from(byte));
        let dice = &mut Rng::new(self.laws.seed, place);
        (law.is_native() == window.native).then(|| law.counted(requests, dice))
    }
}

/// How a version's answers turn out now.
pub(super) fn rates(laws: &Laws, version: &Version, now: Millis) -> Rates {
    let spec = laws.versions.get(&version.image);
    let conversion = spec.and_then(|version| version.conversion).map_or(0.0, Percent::share);
    let burst = spec.and_then(|version| version.error_burst).map_or(1, u64::from);
    let errors = laws.incidents.error_rate(own_error_rate(laws, version, now), now);
    Rates { errors, burst, conversion }
}

fn own_error_rate(laws: &Laws, version: &Version, now: Millis) -> f64 {
    let late = laws.late.iter().find(|(image, ..)| *image == version.image);
    if let Some((_, delay, rate)) = late
        && version.first.is_some_and(|first| now - first > *delay)
    {
        return *rate;
    }
    let spec = laws.versions.get(&version.image);
    spec.and_then(|version| version.error_rate).map_or(0.0, Percent::share)
}
