//! What thousands of finished AnalysisRuns and answered RolloutCommands cost a controller that has nothing to do with them
//! (C5): memory at rest and time to start. They are copies of a real run and a real command, of Rollouts that are gone, so
//! that no history limit deletes them.
//!
//! `make test` has some; `GLIDEPATH_RECORDS=20000` makes so many runs, half as many commands, and holds the start to
//! five seconds of the controller's own processor time, with the binary that `GLIDEPATH_MEASURED` names (the one that
//! users run is built for release). How long the API server takes to list them is printed next to it.

use crate::controller::{Apart, away};
use crate::http::get_ok;
use crate::lane;
use crate::measured::{memory, processor_time, program};
use crate::node;
use crate::relay::leader;
use crate::say::say;
use crate::shop::{PATIENCE, Shop};
use crate::wait::wait_until;
use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use glidepath::api::{AnalysisRun, ROLLOUT_LABEL, RolloutCommand};
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SOME: usize = 1_000;
/// Requests of ours in flight at most.
const CALLS: usize = 32;
/// A Rollout's records before its history limits delete the oldest.
const OF_ONE_ROLLOUT: usize = 20;
/// Memory is looked at so long after the controller leads.
const AT_REST: Duration = Duration::from_secs(15);
const MOST_MEMORY: u64 = 20 << 20;
const LONGEST_START: Duration = Duration::from_secs(5);

/// What one controller needed.
#[derive(Debug, Clone, Copy)]
struct Usage {
    start: Duration,
    /// Processor time until it was ready.
    busy: Duration,
    memory: u64,
    most: u64,
}

/// Starts a controller alone, lets it rest, and ends it.
fn measure(identity: &'static str) -> Usage {
    let apart = Apart::new(identity, "127.0.0.1:8096", "127.0.0.1:6443".parse().unwrap());
    let began = Instant::now();
    let mut server = apart.start_program(&program());
    wait_until(PATIENCE * 3, "the controller to be ready", || {
        server.check().unwrap();
        get_ok("http://127.0.0.1:8096/readyz").is_ok()
    });
    let (start, busy) = (began.elapsed(), processor_time(server.id()));
    wait_until(PATIENCE, "it to lead", || leader() == identity);
    sleep(AT_REST);
    let (memory, most) = (memory(server.id(), "VmRSS"), memory(server.id(), "VmHWM"));
    server.leave().unwrap();
    Usage { start, busy, memory, most }
}

/// A finished run and an answered command, as the controller leaves them.
fn samples() -> (Value, Value) {
    let shop = Shop::open("records");
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_pause(2);
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(2);
    drop(users);
    let run = || lane().get("records", "gar", "web-2-1-background").unwrap();
    wait_until(PATIENCE, "the run to end", || run()["status"]["phase"] != "Running");
    let commands: Value =
        serde_json::from_str(&lane().kubectl(&["get", "groc", "-n", "records", "-o", "json"]).unwrap()).unwrap();
    let command = commands["items"][0].clone();
    assert_eq!(command["status"]["state"], "Done", "{command:#}");
    (run(), command)
}

/// Copies of one object, each a record of a Rollout that is gone.
struct Copies {
    api: Api<DynamicObject>,
    prefix: &'static str,
    sample: Value,
}

impl Copies {
    async fn create(&self, number: usize) -> Result<()> {
        let rollout = format!("gone-{}", number / OF_ONE_ROLLOUT);
        let name = format!("{rollout}-{}-{number}", self.prefix);
        let mut copy = self.sample.clone();
        copy["metadata"] = json!({"name": name, "labels": {ROLLOUT_LABEL: rollout},
            "annotations": self.sample["metadata"]["annotations"]});
        if copy["spec"]["rollout"].is_string() {
            copy["spec"]["rollout"] = rollout.into();
        }
        self.api.create(&PostParams::default(), &serde_json::from_value(copy)?).await?;
        let status = json!({"status": self.sample["status"]});
        self.api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status)).await?;
        Ok(())
    }

    async fn create_all(&self, count: usize) -> Result<()> {
        let began = Instant::now();
        let all = stream::iter(0..count).map(|number| self.create(number)).buffer_unordered(CALLS);
        all.try_collect::<Vec<()>>().await.with_context(|| format!("cannot create {} records", self.prefix))?;
        say(format_args!("{count} records \"{}\" created in {:.0?}", self.prefix, began.elapsed()));
        Ok(())
    }
}

fn fill(runs: usize, commands: usize, (run, command): (Value, Value)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let copies = |client: &Client, resource: ApiResource, prefix, sample| Copies {
        api: Api::namespaced_with(client.clone(), "records", &resource),
        prefix,
        sample,
    };
    let filled = runtime.block_on(async {
        let client = node::client(&lane().kubeconfig()).await?;
        copies(&client, ApiResource::erase::<AnalysisRun>(&()), "run", run).create_all(runs).await?;
        copies(&client, ApiResource::erase::<RolloutCommand>(&()), "command", command).create_all(commands).await
    });
    filled.unwrap();
}

#[test]
fn c5_finished_runs_and_answered_commands_cost_little_memory_and_time() {
    let asked = std::env::var("GLIDEPATH_RECORDS").ok();
    let runs = asked.as_deref().map_or(SOME, |text| text.parse().expect("GLIDEPATH_RECORDS is a number"));
    let samples = samples();
    let size = samples.0.to_string().len();
    let _away = away();
    let none = measure("records-none");
    fill(runs, runs / 2, samples);
    let many = measure("records-many");
    let mb = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!(
        "{runs} finished runs of {size} bytes and {} commands: at rest {:.1} MB ({:.1} MB without any), at most {:.1} MB \
         ({:.1} MB), ready after {:.2?} ({:.2?}) and {:.2?} of its own processor time",
        runs / 2,
        mb(many.memory),
        mb(none.memory),
        mb(many.most),
        mb(none.most),
        many.start,
        none.start,
        many.busy
    );
    let more = many.memory.saturating_sub(none.memory);
    assert!(more <= MOST_MEMORY, "{:.1} MB more than without them: {many:?} {none:?}", mb(more));
    if asked.is_some() {
        assert!(many.busy < LONGEST_START, "{:.1?} of processor time until it was ready", many.busy);
    }
}
