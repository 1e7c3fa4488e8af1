//! The beginning of a scenario: its namespace, the behavior of its versions, its objects, and last its Rollout. With
//! that its clock starts.

use super::Stage;
use super::deeds::{self, Hands};
use super::eyes::Eyes;
use super::look::Place;
use super::telling::Teller;
use super::users::{self, Users};
use crate::lane::NODE_URL;
use crate::node::behaviour::{Behaviour, Latency, Version};
use ::glidepath::api::Rollout;
use ::glidepath::api::common::Delay;
use ::glidepath::cli::offline::simulate::Loaded;
use ::glidepath::sim::scenario::{Scenario, VersionSpec};
use ::glidepath::sim::trace::Mark;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds from a pod's creation to ready when the file does not say: as in virtual time.
const USUAL_STARTUP: f64 = 2.0;
/// The longest wait for a Deployment.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that a player needs.
pub struct Setting {
    pub scenario: Scenario,
    pub eyes: Arc<Eyes>,
    pub place: Arc<Place>,
    pub hands: Hands,
    pub users: Users,
    /// How many entries were carried out with the creation.
    pub done: usize,
}

/// Creates everything.
pub async fn create(stage: &Stage, name: &str, loaded: &Loaded, teller: &mut Teller) -> Result<Setting> {
    let scenario = loaded.setting.scenario.clone();
    let namespace = format!("play-{name}");
    let mut objects = loaded.objects.clone();
    for object in &mut objects {
        object["metadata"]["namespace"] = namespace.as_str().into();
    }
    let done = deeds::fold_first(&scenario.timeline, &mut objects)?;
    let first = deeds::named(&mut objects, "Rollout")?.clone();
    let rollout: Rollout = serde_json::from_value(first.clone())?;
    let hands = Hands {
        client: stage.eyes.client.clone(),
        folder: stage.folder.clone(),
        namespace: namespace.clone(),
        rollout: rollout.metadata.name.clone().context("the Rollout has no name")?,
    };
    hands.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})).await?;
    tell(&namespace, &behaviour(&scenario)).await?;
    let others: Vec<&Value> = objects.iter().filter(|object| object["kind"] != "Rollout").collect();
    for object in &others {
        hands.apply(object).await?;
    }
    for deployment in others.iter().filter(|object| object["kind"] == "Deployment") {
        await_deployment(&stage.eyes, &namespace, deployment).await?;
    }
    hands.apply(&first).await?;
    let began = Instant::now();
    teller.begin(began);
    done.iter().for_each(|text| teller.line(Mark::Done, text));
    stage.gates.begin(&namespace, &scenario, &rollout, began);
    let host = users::host(&rollout, &objects, &namespace);
    let place = Arc::new(Place { namespace, rollout: hands.rollout.clone(), first: rollout, began });
    let eyes = Arc::clone(&stage.eyes);
    let users = Users::come(&scenario.world.traffic, host, Arc::clone(&eyes), Arc::clone(&place))?;
    Ok(Setting { scenario, eyes, place, hands, users, done: done.len() })
}

/// How the file says that versions behave.
fn behaviour(scenario: &Scenario) -> Behaviour {
    let version = |spec: &VersionSpec| Version {
        error_rate: spec.error_rate.map_or(0.0, |rate| rate.share()),
        latency: spec.latency.as_ref().and_then(|latency| {
            let median_ms = latency.median?.get().as_secs_f64() * 1000.0;
            Some(Latency { median_ms, sigma: latency.sigma.unwrap_or_default() })
        }),
        startup: spec.ready.and_then(|ready| match ready {
            Delay::After(time) => Some(time.get().as_secs_f64()),
            Delay::Never => None,
        }),
        never_ready: spec.ready == Some(Delay::Never),
    };
    let versions = scenario.world.versions.iter().map(|(image, spec)| (image.clone(), version(spec)));
    let startup = scenario.world.pod_startup.map_or(USUAL_STARTUP, |time| time.get().as_secs_f64());
    Behaviour { startup, versions: versions.collect() }
}

/// Tells the node harness how a namespace's pods behave.
pub async fn tell(namespace: &str, behaviour: &Behaviour) -> Result<()> {
    let url = format!("{NODE_URL}/behaviour/{namespace}");
    let answer = reqwest::Client::new().put(&url).json(behaviour).send().await?;
    ensure!(answer.status().is_success(), "{url} answered {}", answer.status());
    Ok(())
}

/// A Deployment has its pods when a scenario begins.
async fn await_deployment(eyes: &Eyes, namespace: &str, deployment: &Value) -> Result<()> {
    let (name, wanted) = (deployment["metadata"]["name"].as_str().unwrap_or_default(), &deployment["spec"]["replicas"]);
    let is_up = || {
        let status = eyes.deployment(namespace, name)?.status.clone()?;
        Some(status.available_replicas.map(i64::from) == Some(wanted.as_i64().unwrap_or(1)))
    };
    let mut changes = eyes.changes();
    let up = async { while is_up() != Some(true) && changes.changed().await.is_ok() {} };
    tokio::time::timeout(PATIENCE, up).await.with_context(|| format!("Deployment {name} did not come up"))
}
