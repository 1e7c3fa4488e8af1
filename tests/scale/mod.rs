//! A fleet on the test cluster: many Rollouts idle, then the image of all of them changed at once. What the controller
//! needs for it in time, memory, CPU, requests and bytes, next to what was accepted last. docs/performance.md has the
//! figures and says how to repeat them.

mod accepted;
mod compare;
mod course;
mod events;
mod figures;
mod fleet;
mod measured;
mod meter;
mod process;
mod records;
mod report;
mod requests;
mod workload;

use crate::kubectl;
use crate::lane::{Lane, Options};
use crate::node;
use crate::programs::find;
use crate::say::{say, spoken};
use anyhow::{Result, ensure};
use course::Courses;
use events::Events;
use fleet::Fleet;
use measured::Measured;
use report::Report;
use requests::Requests;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use workload::Workload;

/// A fleet that has not come as far as it should by then is stuck.
const PATIENCE: Duration = Duration::from_secs(900);
/// Between two looks.
const POLL: Duration = Duration::from_millis(500);

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The glidepath to measure; build it with `cargo build --release`. Memory of a build in a folder `debug` is not compared
    #[arg(long, default_value = "target/release/glidepath")]
    controller: PathBuf,
    #[command(flatten)]
    workload: Workload,
    /// How long the idle fleet is watched, in seconds
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// List the records of one Rollout's update: each status that was written, and the fields that it changed
    #[arg(long)]
    records: bool,
    /// Write the figures to docs/performance.json in place of comparing them with it
    #[arg(long)]
    accept: bool,
}

/// Runs inside the namespace of a test cluster, which it brings up.
pub async fn run(args: &Args) -> Result<()> {
    let controller = std::path::absolute(&args.controller)?;
    ensure!(controller.exists(), "{} is missing: cargo build --release", controller.display());
    let (report, faults) = measure(args, &controller).await?;
    println!("{report}");
    ensure!(faults.is_empty(), "{} Rollouts did not walk as they should:\n{}", faults.len(), faults.join("\n"));
    println!("No Rollout was stuck, and none skipped a step or cut a pause short.\n");
    let (workload, figures) = (args.workload.to_string(), report.figures());
    if args.accept { accepted::accept(&workload, &figures) } else { accepted::check(&workload, &figures) }
}

/// The four parts of a run, and which Rollouts did not walk through their steps as they should.
async fn measure(args: &Args, controller: &Path) -> Result<(Report, Vec<String>)> {
    let workload = args.workload;
    let lane = tokio::task::block_in_place(|| bring_up(&workload))?;
    let client = node::client(&lane.kubeconfig()).await?;
    let (courses, following) = Courses::follow(client.clone());
    let measured = Measured::start(&lane, controller).await?;
    let fleet = Fleet { client, workload };

    say(format_args!("creating {} Rollouts", workload.rollouts));
    let first = measured.phase(async {
        fleet.create().await?;
        reach(&courses, &workload, 1, "healthy").await?;
        measured.quiet(workload.quiet(), PATIENCE).await
    });
    let (first, ()) = first.await?;
    say(format_args!("all is quiet; watching it idle for {} s", args.idle));
    let (idle, ()) = measured.phase(rest(Duration::from_secs(args.idle))).await?;
    say("changing all images at once");
    let before = (Requests::of_server(&lane)?, Events::of_controller(&fleet.client).await?);
    let update = measured.phase(async {
        let began = Instant::now();
        fleet.update(2).await?;
        reach(&courses, &workload, 2, "promoted").await?;
        Ok(began)
    });
    let (update, began) = update.await?;
    say(format_args!("watching what follows for {} s", workload.tail().as_secs()));
    let (tail, ()) = measured.phase(rest(workload.tail())).await?;
    let server = Requests::of_server(&lane)?.since(&before.0);
    let events = Events::of_controller(&fleet.client).await?.since(&before.1);
    drop(following);
    if args.records {
        list_records(&courses);
    }
    let mut promoted: Vec<f64> = courses.stable_at(2).into_iter().map(|at| seconds(began, at)).collect();
    promoted.sort_by(f64::total_cmp);
    let faults = courses.faults(&fleet.keys(), 2, workload.pause());
    let release = !controller.components().any(|part| part.as_os_str() == "debug");
    Ok((Report { workload, release, first, idle, update, tail, promoted, server, events }, faults))
}

fn list_records(courses: &Courses) {
    for (records, whose) in courses.records(2).iter().zip(["as many as most have", "the most"]) {
        println!("{} records of a Rollout with {whose}:", records.len());
        records.iter().for_each(|record| print!("{record}"));
    }
}

/// Kubernetes alone; for a mesh the CRDs too, since routes are only written here and not obeyed.
fn bring_up(workload: &Workload) -> Result<Lane> {
    let lane = Lane::start(Options { istio: false, prometheus: false, gateway_api: workload.ingress })?;
    if workload.mesh {
        let crds = std::fs::read_to_string(find("istio-crds.yaml")?)?;
        kubectl::apply(lane.folder(), &crds)?;
        lane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"])?;
    }
    Ok(lane)
}

/// Waits until all Rollouts have revision `number` as their stable one, or gives up: then [`Courses::faults`] names those
/// that have not.
async fn reach(courses: &Courses, workload: &Workload, number: u64, word: &str) -> Result<()> {
    let (began, all) = (Instant::now(), workload.rollouts);
    let mut said = 0;
    while said < all && began.elapsed() < PATIENCE {
        tokio::time::sleep(POLL).await;
        let done = courses.stable_at(number).len();
        if done != said {
            said = done;
            say(format_args!("{said} of {all} are {word} after {}", spoken(began.elapsed())));
        }
    }
    if said < all {
        say(format_args!("gave up waiting: {said} of {all} are {word}"));
    }
    Ok(())
}

async fn rest(time: Duration) -> Result<()> {
    tokio::time::sleep(time).await;
    Ok(())
}

fn seconds(began: Instant, at: Instant) -> f64 {
    at.saturating_duration_since(began).as_secs_f64()
}
