//! What a random history is made of, all of it drawn from one seed.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::{
    checks::canary_weight,
    cluster::FaultyCluster,
    faults::{Fault, Window},
    objects::{Set, blue_green, canary, canary_with, plain},
    process::Process,
    scene::Scene,
    store::Key,
};

/// The last fault begins, and the last deed is done, so many seconds after the start.
const BUSY: u64 = 300;
/// A restore takes up to so long.
const RESTORED_WITHIN: Duration = Duration::from_secs(20);

/// Something that a user, or the world, does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    Deploy(&'static str),
    Command(&'static str),
    Scale(u32),
    /// One pod fails, for so many seconds.
    CrashPod(u64, u64),
    /// A node is drained: one pod goes.
    DeletePod(u64),
    /// Another tool writes the canary's weight.
    Drift(u64),
    /// Another tool keeps writing it: every so many milliseconds, for so many seconds.
    Fight(u64, u64, u64),
    /// A controller is killed and comes back.
    Crash(usize),
    /// A controller is asked to end, as by a rolling update, and its successor starts.
    Restart(usize),
    /// The server forgets the history that watches need.
    Compact,
    /// The backup of before the last deed is restored.
    Restore,
    /// A user's object that serde_json cannot read.
    Undecodable,
    /// The Service that callers use is deleted and comes back as its owner's file says it.
    ReapplyService,
}

/// One history.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub shape: Shape,
    pub replicas: u32,
    /// Each controller's clock, in milliseconds off.
    pub skews: Vec<i64>,
    pub deeds: Vec<(Duration, Deed)>,
    pub faults: Vec<Window>,
}

/// The kind of release.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Mesh,
    Analysed,
    Dynamic,
    Plain,
    BlueGreen,
}

impl Plan {
    /// The history of a seed.
    pub fn draw(seed: u64) -> Plan {
        let mut random = StdRng::seed_from_u64(seed);
        let shapes = [Shape::Mesh, Shape::Analysed, Shape::Analysed, Shape::Dynamic, Shape::Plain, Shape::BlueGreen];
        let shape = *shapes.choose(&mut random).unwrap();
        let replicas = random.random_range(1..9);
        let controllers = random.random_range(1..3);
        let skews = (0..controllers).map(|_| random.random_range(-4_000..=4_000)).collect();
        let mut deeds: Vec<(Duration, Deed)> = (0..random.random_range(1..9))
            .map(|_| (seconds(&mut random, 20, BUSY), deed(&mut random, controllers)))
            .collect();
        deeds.push((Duration::from_secs(20), Deed::Deploy("shop/app:2")));
        deeds.sort_by_key(|(at, _)| *at);
        let mut faults: Vec<Window> = (0..random.random_range(0..6)).map(|_| fault(&mut random, controllers)).collect();
        if shape == Shape::Analysed && random.random() {
            let failing = if random.random() { Fault::SourceHangs } else { Fault::SourceFails };
            faults.push(Window::new(failing, seconds(&mut random, 10, 40), seconds(&mut random, 100, 400)));
        }
        Plan { seed, shape, replicas, skews, deeds, faults }
    }

    /// When the last fault and deed are over.
    pub fn over(&self) -> Duration {
        let lasts = |deed: &Deed| Duration::from_secs(if let Deed::Fight(_, _, lasts) = deed { *lasts } else { 0 });
        let deeds = self.deeds.iter().map(|(at, deed)| *at + lasts(deed)).max().unwrap_or_default();
        self.faults.iter().map(|window| window.until).max().unwrap_or_default().max(deeds) + Duration::from_secs(60)
    }

    /// Whether only evidence can promote a version.
    pub fn only_evidence_promotes(&self) -> bool {
        let promotes = |deed: &Deed| matches!(deed, Deed::Command("promote") | Deed::Restore);
        self.shape == Shape::Analysed && !self.deeds.iter().any(|(_, deed)| promotes(deed))
    }

    /// Whether a backup was restored in the time until now, or is being restored: objects are as they were then.
    pub fn restores_within(&self, now: Duration, long: Duration) -> bool {
        let mut restores = self.deeds.iter().filter(|(_, deed)| *deed == Deed::Restore);
        restores.any(|(at, _)| (*at..*at + RESTORED_WITHIN + long).contains(&now))
    }

    /// The same without its `part`th fault, deed or controller; `None` when there are no more.
    pub fn without(&self, part: usize) -> Option<Plan> {
        let mut plan = self.clone();
        if part < plan.faults.len() {
            plan.faults.remove(part);
        } else if part - plan.faults.len() < plan.deeds.len() {
            plan.deeds.remove(part - plan.faults.len());
        } else if part == plan.faults.len() + plan.deeds.len() && plan.skews.len() > 1 {
            plan.skews.pop();
        } else {
            return None;
        }
        Some(plan)
    }

    /// The cluster in which it is played.
    pub fn scene(&self) -> Scene {
        let mut scene = Scene::new(self.seed, vec![self.set()]);
        self.faults.iter().for_each(|window| scene.add(window.clone()));
        for (number, skew) in self.skews.iter().enumerate() {
            scene.start(Process { skew: SignedDuration::from_millis(*skew), ..Process::new(number) });
        }
        scene
    }

    fn set(&self) -> Set {
        let steps = || json!([{"setWeight": 20}, {"pause": {"duration": "10s"}}, {"setWeight": 60}, {"pause": {"duration": "10s"}}]);
        let analysis = json!({"analysis": {"templates": [{"name": "golden-signals"}]}});
        let dynamic = json!({"strategy": {"canary": {"dynamicStableScale": true}}});
        let observed = json!([{"setWeight": 20}, {"observe": {"atLeast": "30s", "atMost": "5m"}}, {"setWeight": 60},
            {"pause": {"duration": "10s"}}]);
        match self.shape {
            Shape::Mesh => canary("web", self.replicas),
            Shape::Analysed => canary_with("web", self.replicas, observed, analysis),
            Shape::Dynamic => canary_with("web", self.replicas, steps(), dynamic),
            Shape::Plain => plain("web", self.replicas),
            Shape::BlueGreen => blue_green("web", self.replicas),
        }
    }
}

fn seconds(random: &mut StdRng, from: u64, to: u64) -> Duration {
    Duration::from_millis(random.random_range(from * 1_000..to * 1_000))
}

fn deed(random: &mut StdRng, controllers: usize) -> Deed {
    match random.random_range(0..24) {
        0..7 => {
            Deed::Deploy(["shop/app:1", "shop/app:2", "shop/app:3", "shop/app:4-bad"].choose(random).copied().unwrap())
        }
        7..11 => Deed::Command(["abort", "promote", "pause", "resume", "retry"].choose(random).copied().unwrap()),
        11..13 => Deed::Scale(random.random_range(1..9)),
        13 => Deed::CrashPod(random.random(), random.random_range(1..30)),
        14 => Deed::DeletePod(random.random()),
        15 => Deed::Drift(random.random_range(0..=100)),
        16 => {
            let every = [50, 500, 2_000].choose(random).copied().unwrap();
            Deed::Fight(random.random_range(0..=100), every, random.random_range(10..90))
        }
        17..19 => Deed::Crash(random.random_range(0..controllers)),
        19 if random.random() => Deed::Compact,
        19 => Deed::Restart(random.random_range(0..controllers)),
        20 | 21 => Deed::Restore,
        22 => Deed::Undecodable,
        _ => Deed::ReapplyService,
    }
}

fn fault(random: &mut StdRng, controllers: usize) -> Window {
    let kinds =
        ["rollouts", "virtualservices", "replicasets", "services", "pods", "endpointslices", "leases", "rollouts"];
    let fault = match random.random_range(0..18) {
        0 => Fault::Refused(429),
        1 => Fault::Refused(500),
        2 => Fault::Refused(503),
        3 | 4 => Fault::AnswerLost,
        5 => Fault::RequestLost,
        6 => Fault::SlowWrites(seconds(random, 1, 20)),
        7..10 => Fault::Held,
        10 => Fault::WatchEnds,
        11 => Fault::WatchBreaks,
        12 | 13 => Fault::WatchSilent,
        14 => Fault::SourceHangs,
        15 => Fault::SourceFails,
        _ => Fault::WatchSlow(seconds(random, 1, 20)),
    };
    let window = Window::new(fault, seconds(random, 10, BUSY), seconds(random, 1, 60));
    if matches!(fault, Fault::SourceHangs | Fault::SourceFails) {
        return Window { until: window.until + seconds(random, 0, 300), ..window };
    }
    let window =
        if fault == Fault::Held || random.random() { window.of(random.random_range(0..controllers)) } else { window };
    let window = if fault != Fault::Held && random.random() {
        window.on(kinds.choose(random).copied().unwrap())
    } else {
        window
    };
    let always = matches!(fault, Fault::Held | Fault::WatchSilent);
    window.percent(if always { 100 } else { *[20, 50, 100].choose(random).unwrap() })
}

impl Deed {
    /// Does it.
    pub fn perform(&self, scene: &mut Scene) {
        scene.cluster.note(format!("{self:?}"));
        match *self {
            Deed::Deploy(image) => scene.deploy("web", image),
            Deed::Command(verb) => scene.command("web", verb),
            Deed::Scale(replicas) => scene.scale("web", replicas),
            Deed::CrashPod(which, lasts) => crash_pod(scene, which, Duration::from_secs(lasts)),
            Deed::DeletePod(which) => {
                if let Some(key) = a_pod(scene, which) {
                    scene.cluster.edit(|store, now| store.delete(&key, now));
                }
            }
            Deed::Drift(weight) => drift(&scene.cluster, weight),
            Deed::Fight(weight, every, lasts) => drop(tokio::spawn(fight(
                Arc::clone(&scene.cluster),
                weight,
                Duration::from_millis(every),
                Duration::from_secs(lasts),
            ))),
            Deed::Crash(number) => scene.crash(number.min(scene.controllers.len() - 1)),
            Deed::Restart(number) => scene.restart(number.min(scene.controllers.len() - 1)),
            Deed::Compact => scene.cluster.with(|c| c.store.compact()),
            Deed::Restore => {
                if let Some(backup) = scene.cluster.with(|c| c.backup.take()) {
                    scene.cluster.restore(&backup);
                }
            }
            Deed::Undecodable => scene.create("rollouts", "deep", deep(140)),
            Deed::ReapplyService => {
                scene.patch(
                    "services",
                    "web",
                    &json!({"spec": {"selector": {"app": "web", "glidepath.dev/revision": null}}}),
                );
            }
        }
    }
}

fn a_pod(scene: &Scene, which: u64) -> Option<Key> {
    scene.cluster.with(|c| {
        let pods: Vec<&Key> = c.store.all("pods").map(|(key, _)| key).collect();
        let count = u64::try_from(pods.len()).ok().filter(|count| *count > 0)?;
        pods.get(usize::try_from(which % count).ok()?).map(|key| (*key).clone())
    })
}

fn crash_pod(scene: &Scene, which: u64, lasts: Duration) {
    let (Some(key), time) = (a_pod(scene, which), scene.cluster.time()) else { return };
    let back = scene.cluster.now() + lasts;
    scene.cluster.with(|c| c.life.crash(&mut c.store, &key, back, time));
}

/// Another tool writes both weights of a Rollout called `web`, unless they are as it wants them.
pub fn drift(cluster: &FaultyCluster, canary: u64) {
    let key = Key::shop("virtualservices", "web");
    let Some(route) = cluster.with(|c| c.store.get(&key).cloned()) else { return };
    if canary_weight(&route) == Some(canary) {
        return;
    }
    let mut spec = route["spec"].clone();
    for to in spec["http"][0]["route"].as_array_mut().into_iter().flatten() {
        let is_canary = to["destination"]["host"].as_str().is_some_and(|host| host.ends_with("-canary"));
        to["weight"] = if is_canary { canary } else { 100 - canary }.into();
    }
    cluster.patch_as("other-tool", &key, &json!({"spec": spec}));
}

async fn fight(cluster: Arc<FaultyCluster>, weight: u64, every: Duration, lasts: Duration) {
    let end = cluster.now() + lasts;
    while cluster.now() < end {
        drift(&cluster, weight);
        tokio::time::sleep(every).await;
    }
}

/// A Rollout whose template is nested so deep.
pub fn deep(levels: usize) -> Value {
    let nested = (0..levels).fold(json!("deep"), |inner, _| json!({"a": inner}));
    let mut rollout = super::objects::canary("deep", 1).objects.swap_remove(1).2;
    rollout["spec"]["template"]["metadata"]["annotations"] = nested;
    rollout
}
