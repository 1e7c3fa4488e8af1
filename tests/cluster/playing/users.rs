//! The users of a scenario: a load through the mesh client that begins once the first version is stable and answers, and
//! lasts until the scenario ends.

use super::eyes::Eyes;
use super::look::Place;
use crate::load::{Load, Plan};
use ::glidepath::api::Rollout;
use ::glidepath::api::status::Phase;
use ::glidepath::ports::targets;
use anyhow::{Context, Result};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So many good answers in a row show that the mesh client knows the Service.
const PROBES: u64 = 10;

/// Users, who come when there is something to ask.
pub struct Users {
    load: Arc<Mutex<Option<Load>>>,
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
    /// They come as soon as the first version is stable, `per_second` requests of them.
    pub fn come(per_second: f64, host: Option<String>, eyes: Arc<Eyes>, place: Arc<Place>) -> Result<Self> {
        let load: Arc<Mutex<Option<Load>>> = Arc::default();
        let own = Arc::clone(&load);
        let wanted = per_second > 0.0;
        let host = host.filter(|_| wanted);
        anyhow::ensure!(!wanted || host.is_some(), "world.traffic.rps: the files have no Service that users could ask");
        let coming = tokio::spawn(async move {
            let Some(host) = host else { return };
            let healthy = || {
                let rollout = eyes.rollout(&place.namespace, &place.rollout);
                rollout.and_then(|rollout| rollout.status.as_ref()?.phase) == Some(Phase::Healthy)
            };
            let mut changes = eyes.changes();
            while !healthy() && changes.changed().await.is_ok() {}
            while !answers(&host).await.unwrap_or(false) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            *own.lock().unwrap_or_else(PoisonError::into_inner) = Some(Load::start(&host, per_second));
        });
        Ok(Self { load, coming })
    }

    /// Requests that had no answer so far.
    pub fn lost(&self) -> u64 {
        self.load.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |load| load.tally().lost())
    }

    /// What they asked and were answered.
    pub fn told(&self) -> String {
        match &*self.load.lock().unwrap_or_else(PoisonError::into_inner) {
            None => "no users".to_owned(),
            Some(load) => {
                let tally = load.tally();
                let errors = tally.answers() - tally.status.get(&200).copied().unwrap_or_default();
                format!("{} requests, {errors} errors, {} lost {:?}", tally.sent, tally.lost(), tally.failures)
            }
        }
    }
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
