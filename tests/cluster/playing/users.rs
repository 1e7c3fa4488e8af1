//! The users of a scenario: loads through the mesh client that begin once the first version is stable and answers, and
//! last until the scenario ends. There is one load for each kind of requests, by the headers that they carry.

use super::eyes::Eyes;
use super::look::Place;
use crate::load::{Load, Plan, Tally};
use ::glidepath::api::Rollout;
use ::glidepath::api::status::Phase;
use ::glidepath::routing::targets;
use ::glidepath::sim::scenario::TrafficSpec;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So many good answers in a row show that the mesh client knows the Service.
const PROBES: u64 = 10;

/// Users, who come when there is something to ask.
pub struct Users {
    loads: Arc<Mutex<Vec<Load>>>,
    coming: tokio::task::JoinHandle<()>,
}

/// The Service that users ask: the one that the Rollout names, else the first of the file.
pub fn host(rollout: &Rollout, objects: &[Value], namespace: &str) -> Option<String> {
    let first = || objects.iter().find(|object| object["kind"] == "Service");
    let named = targets::of(&rollout.spec).root;
    let name = named.or_else(|| first()?["metadata"]["name"].as_str().map(str::to_owned))?;
    Some(format!("{name}.{namespace}"))
}

impl Users {
    /// They come as soon as the first version is stable.
    pub fn come(traffic: &TrafficSpec, host: Option<String>, eyes: Arc<Eyes>, place: Arc<Place>) -> Result<Self> {
        let loads: Arc<Mutex<Vec<Load>>> = Arc::default();
        let own = Arc::clone(&loads);
        let wanted = traffic.rps > 0.0;
        ensure!(!wanted || host.is_some(), "world.traffic.rps: the files have no Service that users could ask");
        let plans = host.iter().flat_map(|host| plans(traffic, host)).collect::<Vec<Plan>>();
        let coming = tokio::spawn(async move {
            let Some(host) = host.filter(|_| wanted) else { return };
            let healthy = || {
                let rollout = eyes.rollout(&place.namespace, &place.rollout);
                rollout.and_then(|rollout| rollout.status.as_ref()?.phase) == Some(Phase::Healthy)
            };
            let mut changes = eyes.changes();
            while !healthy() && changes.changed().await.is_ok() {}
            while !answers(&host).await.unwrap_or(false) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            *own.lock().unwrap_or_else(PoisonError::into_inner) = plans.into_iter().map(Load::launch).collect();
        });
        Ok(Self { loads, coming })
    }

    fn tallies(&self) -> Vec<Tally> {
        self.loads.lock().unwrap_or_else(PoisonError::into_inner).iter().map(Load::tally).collect()
    }

    /// Requests that had no answer so far.
    pub fn lost(&self) -> u64 {
        self.tallies().iter().map(Tally::lost).sum()
    }

    /// What they asked and were answered.
    pub fn told(&self) -> String {
        let tallies = self.tallies();
        let sum = |of: fn(&Tally) -> u64| tallies.iter().map(of).sum::<u64>();
        let errors = sum(|tally| tally.answers() - tally.status.get(&200).copied().unwrap_or_default());
        format!("{} requests, {errors} errors, {} lost", sum(|tally| tally.sent), sum(Tally::lost))
    }
}

/// The requests of each kind, and the rest.
fn plans(traffic: &TrafficSpec, host: &str) -> Vec<Plan> {
    let kinds = traffic.headers.iter().map(|kind| {
        let plan = Plan::mesh(host, traffic.rps * kind.share.share());
        kind.set.iter().fold(plan, |plan, (name, value)| plan.header(name, value))
    });
    let rest = 1.0 - traffic.headers.iter().map(|kind| kind.share.share()).sum::<f64>();
    kinds.chain([Plan::mesh(host, traffic.rps * rest)]).filter(|plan| plan.per_second > 0.001).collect()
}

impl Drop for Users {
    fn drop(&mut self) {
        self.coming.abort();
    }
}

/// Whether the Service answers through the mesh client.
async fn answers(host: &str) -> Result<bool> {
    let plan = Plan::mesh(host, 200.0).limit(PROBES);
    let tally =
        tokio::task::spawn_blocking(move || Load::launch(plan).finish()).await.context("no probe was sent")??;
    Ok(tally.status.get(&200) == Some(&PROBES))
}
