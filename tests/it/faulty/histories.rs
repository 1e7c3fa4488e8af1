//! Random histories: releases, commands, an autoscaler, other tools, crashes of pods and processes, and faults at any
//! moment, for one or two controllers. Every write is checked when it takes effect, and when the faults are over every
//! release comes to rest. A failure prints its seed and what is left of the history when everything is taken out that it
//! does not need.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    deeds::{Deed, Plan},
    scene::Scene,
    store::{count, text},
};
use crate::soak::Soak;

static SOAK: Soak = Soak::new("faulty cluster", "GLIDEPATH_FAULTY_HISTORIES", 2_000);

/// After the last fault and deed, this long at the most until everything is at rest. A silent watch alone is given up after
/// five minutes, and a failing release waits for its deadline of ten.
const REST: Duration = Duration::from_secs(1_500);
/// An analysis whose source does not answer says so within this time.
const SAID_WITHIN: Duration = Duration::from_secs(150);
/// At rest nothing is written for this long.
const QUIET: Duration = Duration::from_secs(30);

#[test]
fn whatever_fails_writes_are_right_and_releases_end() {
    let (first, count) = (seed(), u64::from(SOAK.histories()));
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let failures: Vec<String> = thread::scope(|scope| {
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    break;
                }
                let plan = Plan::draw(seed);
                if let Err(why) = play(&plan) {
                    if keep_going() {
                        println!("history {}: {}", seed - first + 1, summary(plan, why));
                        continue;
                    }
                    failed.store(true, Ordering::Relaxed);
                    let played = seed - first + 1;
                    return Some(format!("history {played}: {}", shrunk(plan, why)));
                }
            }
            None
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().filter_map(|handle| handle.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..16 {
        let plan = Plan::draw(seed);
        let [first, second] = [play(&plan), play(&plan)].map(|outcome| outcome.unwrap_or_else(|why| vec![why]));
        let differs = first.iter().zip(&second).position(|(first, second)| first != second);
        let both = differs.map(|line| (&first[line.saturating_sub(5)..=line], &second[line]));
        assert!(first.len() == second.len() && differs.is_none(), "seed {seed}: {both:#?}");
    }
}

/// Where the seeds begin: `GLIDEPATH_FAULTY_SEED=17` with one history replays the seed of a failure.
fn seed() -> u64 {
    std::env::var("GLIDEPATH_FAULTY_SEED").map_or(0, |seed| seed.parse().unwrap())
}

/// Whether every failing history is named in a line, and none ends the search (`GLIDEPATH_FAULTY_KEEP_GOING=1`).
fn keep_going() -> bool {
    std::env::var_os("GLIDEPATH_FAULTY_KEEP_GOING").is_some()
}

/// A failure in one line: its seed, what was wrong, and what it needs.
fn summary(plan: Plan, why: String) -> String {
    let (plan, why) = smallest(plan, why);
    let faults: Vec<_> = plan.faults.iter().map(|window| (window.fault, window.plural)).collect();
    let deeds: Vec<_> = plan.deeds.iter().map(|(_, deed)| deed).collect();
    let wrong = why.lines().next().unwrap_or_default();
    format!("seed {}: {wrong} | {:?} {deeds:?} {faults:?} {} controllers", plan.seed, plan.shape, plan.skews.len())
}

/// Plays a history; gives all that happened, or what was wrong.
pub fn play(plan: &Plan) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut scene = plan.scene();
        let outcome = live(&mut scene, plan).await;
        SOAK.count(scene.cluster.with(|c| c.requested), scene.cluster.now().as_secs());
        outcome.map_err(|why| format!("{why}\n{}", scene.story()))?;
        Ok(scene.cluster.with(|c| std::mem::take(&mut c.told)))
    })
}

async fn live(scene: &mut Scene, plan: &Plan) -> Result<(), String> {
    let restores = plan.deeds.iter().any(|(_, deed)| *deed == Deed::Restore);
    for (at, deed) in &plan.deeds {
        until(scene, plan, *at).await?;
        if restores && *deed != Deed::Restore {
            scene.cluster.with(|c| c.backup = Some(Box::new(c.store.clone())));
        }
        deed.perform(scene);
    }
    until(scene, plan, plan.over()).await?;
    let end = plan.over() + REST;
    while let Some(why) = restless(scene) {
        if scene.cluster.now() > end {
            return Err(format!("the faults are over since {REST:?}, and {why}"));
        }
        until(scene, plan, scene.cluster.now() + Duration::from_secs(1)).await?;
    }
    quiet(scene, plan).await
}

/// Lets time pass, and looks for what is wrong.
async fn until(scene: &Scene, plan: &Plan, at: Duration) -> Result<(), String> {
    loop {
        if let Some(wrong) = wrong(scene, plan) {
            return Err(wrong);
        }
        let now = scene.cluster.now();
        if now >= at {
            return Ok(());
        }
        tokio::time::sleep((at - now).min(Duration::from_secs(1))).await;
    }
}

/// What no write shows: I4, and analyses that say nothing.
fn wrong(scene: &Scene, plan: &Plan) -> Option<String> {
    if let Some(wrong) = scene.cluster.with(|c| c.checks.wrong.first().cloned()) {
        return Some(wrong);
    }
    if plan.only_evidence_promotes() && scene.stable_image("web").contains("bad") {
        return Some("I4: a version that answers every fifth request with an error is stable".into());
    }
    scene.cluster.with(|c| {
        let now = scene.cluster.now();
        if !c.faults.calm_for(now, SAID_WITHIN) || plan.restores_within(now, SAID_WITHIN) {
            return None;
        }
        let fails = c.faults.source_fails_for(now, SAID_WITHIN);
        let mut silent = c.store.all("analysisruns").filter(|(_, run)| is_silent(run, scene.cluster.time(), fails));
        silent.next().map(|(key, _)| format!("{key} has said nothing for {SAID_WITHIN:?}"))
    })
}

/// Whether a run that is under way has no status, or none that says that its source fails where it does.
fn is_silent(run: &Value, time: Timestamp, fails: bool) -> bool {
    let created: Option<Timestamp> = text(run, "/metadata/creationTimestamp").parse().ok();
    let old = created.is_some_and(|created| time.duration_since(created).unsigned_abs() > SAID_WITHIN);
    let runs = matches!(text(run, "/status/phase"), "" | "Running") && run["spec"]["stop"] != true;
    old && runs && (run["status"].is_null() || fails && !says_that_its_source_fails(run))
}

fn says_that_its_source_fails(run: &Value) -> bool {
    let metrics = run["status"]["metrics"].as_array();
    metrics.into_iter().flatten().any(|metric| count(metric, "/errorsInARow") > 0)
}

/// What is not at rest yet.
fn restless(scene: &Scene) -> Option<String> {
    let names: Vec<String> = scene.cluster.with(|c| c.store.all("rollouts").map(|(key, _)| key.name.clone()).collect());
    names.iter().find_map(|name| {
        let phase = scene.phase(name);
        let rollout = scene.get("rollouts", name)?;
        let wanted = count(&rollout, "/spec/replicas");
        let message = scene.status(name, "/message");
        let observed = rollout["status"]["observedGeneration"] == rollout["metadata"]["generation"];
        let why = match phase.as_str() {
            _ if name == "deep" => return None,
            _ if !observed => "its newest spec is not observed",
            "Healthy" | "Degraded" if scene.weight(name) != 0 => "its route leads to the canary",
            "Healthy" if scene.available(name) < wanted => "pods are missing",
            "Healthy" | "Degraded" | "Paused" => return None,
            _ => "it is under way",
        };
        Some(format!("{name} is not at rest: {why} ({phase}: {message})"))
    })
}

/// I8: the fixed point is quiet.
async fn quiet(scene: &Scene, plan: &Plan) -> Result<(), String> {
    let end = scene.cluster.now() + REST;
    let mut since = scene.cluster.now();
    let writes = || scene.cluster.with(|c| c.checks.total);
    let mut seen = writes();
    while scene.cluster.now() < since + QUIET {
        until(scene, plan, scene.cluster.now() + Duration::from_secs(1)).await?;
        if writes() != seen {
            (since, seen) = (scene.cluster.now(), writes());
        }
        if scene.cluster.now() > end {
            return Err("I8: everything is at rest, and something is written on and on".into());
        }
    }
    Ok(())
}

/// What is left of a failing history without all that it does not need.
fn shrunk(plan: Plan, why: String) -> String {
    let (plan, why) = smallest(plan, why);
    let seed = plan.seed;
    format!(
        "{why}\n\n{plan:#?}\n\nreplay it: GLIDEPATH_FAULTY_SEED={seed} GLIDEPATH_FAULTY_HISTORIES=1 cargo test --test it \
         whatever_fails_writes"
    )
}

/// Takes out, one by one, what the failure does not need.
fn smallest(mut plan: Plan, mut why: String) -> (Plan, String) {
    let mut part = 0;
    while let Some(smaller) = plan.without(part) {
        match play(&smaller) {
            Err(still) => (plan, why) = (smaller, still),
            Ok(_) => part += 1,
        }
    }
    (plan, why)
}
