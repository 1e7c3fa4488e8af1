//! What a Rollout's chances are: a good version and bad ones, each played with many seeds.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    args::SimulateArgs,
    read,
    statistics::{Shares, stories},
    tell::clock,
};
use crate::{
    api::{
        command::Verb,
        common::{Delay, HumanDuration, Percent},
        reason::Reason,
        status::{Course, Phase, Waiting},
    },
    cli::{
        exit::CliError,
        render::paint::{Paint, Tone},
    },
    evidence::grouped,
    sim::{
        Millis, Player, Setting,
        cluster::SimCluster,
        play::Played,
        scenario::{CommandEntry, Deploy, Entry, FaultKind, FaultSpec, FaultTarget, GateSpec, VersionSpec},
        trace::Trace,
    },
};

/// How many rollouts are played when the command line does not say.
const RUNS: u32 = 200;
/// A release that takes longer is left.
const LONGEST: Millis = 48 * 3_600_000;
/// The first deploy takes no longer.
const FIRST_DEPLOY: Millis = 3_600_000;
/// A late fault begins no later than this after the release.
const LATE: Millis = 1_200_000;
/// What good versions answer with errors, in basis points; and bad ones.
const GOOD: u32 = 10;
const BAD: u32 = 100;
const NEW: &str = "glidepath.dev/new-version";

/// One kind of version.
struct Row {
    what: String,
    when: String,
    shares: Shares,
}

/// The chances of a Rollout.
pub struct Table {
    name: String,
    rps: f64,
    runs: u32,
    seed: u64,
    rows: Vec<Row>,
    broken: Vec<String>,
    /// Metrics whose queries nothing answers.
    without_numbers: Vec<String>,
}

/// Plays a Rollout file.
pub fn table(file: &Path, args: &SimulateArgs) -> Result<Table, CliError> {
    let setting = read::rollout_file(file)?;
    if setting.rollout.as_ref().is_some_and(|rollout| rollout.spec.strategy.ab_test.is_some()) {
        let name = file.display();
        return Err(CliError::Usage(format!(
            "{name}: the outcome of an A/B test depends on its users; set the conversion rate of each version in a scenario (--scenario, docs/simulate.md), or preview it with 'glidepath plan {name}'"
        )));
    }
    let (seed, runs) = (args.seed.unwrap_or(1), args.runs.unwrap_or(RUNS));
    let mut table = Table {
        name: file.display().to_string(),
        rps: args.rps,
        runs,
        seed,
        rows: Vec::new(),
        broken: Vec::new(),
        without_numbers: Vec::new(),
    };
    table.without_numbers = without_numbers(&setting);
    let good = base(&setting, args.rps);
    table.add("a good version", "", &good)?;
    let usual = table.rows.first().and_then(|row| row.shares.times).map_or(LATE, |(half, _)| half);
    let late = LATE.min(usual / 2) / 10_000 * 10_000;
    let words = format!("errors {} to {}", Percent::from_basis_points(GOOD), Percent::from_basis_points(BAD));
    table.add(&words, "from the start", &with_errors(&good))?;
    table.add(&words, &format!("after {}", clock(late)), &Setting { late: late_errors(late), ..good.clone() })?;
    table.add("all its pods crash", "after 1m", &crashing(&good))?;
    table.add("never becomes ready", "", &never_ready(&good))?;
    Ok(table)
}

/// Threshold metrics ask for numbers of the user's own, which only a scenario can give.
fn without_numbers(setting: &Setting) -> Vec<String> {
    let metrics = setting.templates.values().flat_map(|template| &template.metrics);
    metrics.filter(|metric| metric.threshold.is_some()).map(|metric| metric.name.clone()).collect()
}

fn base(setting: &Setting, rps: f64) -> Setting {
    let mut setting = setting.clone();
    setting.scenario.world.traffic.rps = rps;
    if let Some(rollout) = &mut setting.rollout {
        rollout.spec.paused = false;
        let own = setting.deployment.as_ref().map(|(template, _)| template.clone());
        let template = rollout.spec.template.clone().or(own).unwrap_or_default();
        let images = crate::api::revision::images(&template);
        let usual = VersionSpec { error_rate: Some(Percent::from_basis_points(GOOD)), ..VersionSpec::default() };
        for image in images.into_iter().take(1).chain([NEW.to_owned()]) {
            setting.scenario.world.versions.insert(image, usual.clone());
        }
        // What gates say is not what is asked here.
        let steps = rollout.spec.strategy.steps();
        let gates = steps.iter().filter_map(|step| step.gate.as_ref());
        let yes = || vec![GateSpec { status: 200, ..GateSpec::default() }];
        setting.scenario.world.gates = gates.map(|gate| (gate.name.clone(), yes())).collect();
    }
    setting
}

fn with_errors(good: &Setting) -> Setting {
    let mut setting = good.clone();
    let bad = VersionSpec { error_rate: Some(Percent::from_basis_points(BAD)), ..VersionSpec::default() };
    setting.scenario.world.versions.insert(NEW.to_owned(), bad);
    setting
}

fn late_errors(late: Millis) -> Vec<(String, Millis, f64)> {
    vec![(NEW.to_owned(), late, Percent::from_basis_points(BAD).share())]
}

/// From a minute after the release on its pods die as soon as they are up.
fn crashing(good: &Setting) -> Setting {
    let mut setting = good.clone();
    let target = FaultTarget { revision: Some("r2".to_owned()), count: Some(u32::MAX) };
    // The release comes 10 minutes after the start, whatever the first deploy took.
    setting.scenario.world.faults = vec![FaultSpec {
        at: HumanDuration::secs(660),
        duration: HumanDuration::secs(3600),
        kind: FaultKind::PodCrash,
        probability: None,
        target: Some(target),
    }];
    setting
}

fn never_ready(good: &Setting) -> Setting {
    let mut setting = good.clone();
    let never = VersionSpec { ready: Some(Delay::Never), ..VersionSpec::default() };
    setting.scenario.world.versions.insert(NEW.to_owned(), never);
    setting
}

/// The first deploy, ten minutes of peace, then the release to its end. Somebody promotes at once at every pause and approval, and gates say yes.
fn play(mut player: Player) -> Trace {
    let played: Played = (|| {
        let healthy = |cluster: &SimCluster| cluster.phase() == Some(Phase::Healthy);
        player.play_until(FIRST_DEPLOY, healthy)?;
        let release_at = player.now().max(600_000);
        player.pass_to(release_at)?;
        let release = Entry { deploy: Some(Deploy { image: NEW.to_owned() }), ..Entry::default() };
        player.act(&release)?;
        loop {
            let came = player.play_until(LONGEST, |cluster| is_over(cluster) || waits_for_promote(cluster))?;
            if !came || is_over(&player.cluster()) {
                return Ok(());
            }
            player.act(&Entry { command: Some(promote()), ..Entry::default() })?;
        }
    })();
    if let Err(failure) = played {
        player.fail(*failure);
    }
    player.finish()
}

fn is_over(cluster: &SimCluster) -> bool {
    let Some(status) = cluster.rollout.as_ref().and_then(|rollout| rollout.status.as_ref()) else { return true };
    status.held().is_some() || matches!(status.course(), Course::Idle | Course::Aborted) && released(cluster)
}

/// The engine has taken the new version up.
fn released(cluster: &SimCluster) -> bool {
    let wanted = cluster.wanted_template().map(|(id, _)| id);
    let current = cluster.recorded().and_then(|status| status.current_revision.as_ref());
    current.is_some_and(|current| Some(&current.id) == wanted.as_ref())
}

fn waits_for_promote(cluster: &SimCluster) -> bool {
    let Some(status) = cluster.rollout.as_ref().and_then(|rollout| rollout.status.as_ref()) else { return false };
    let waits = |waiting: &Waiting| waiting.until.is_none() || waiting.reason == Reason::Approval;
    let open = status.waiting_for.as_ref().is_some_and(waits);
    status.phase == Some(Phase::Paused) && status.held().is_none() && open && cluster.commands.is_empty()
}

fn promote() -> CommandEntry {
    CommandEntry {
        verb: Verb::Promote,
        full: false,
        revision: None,
        step: None,
        attempt: None,
        to_step: None,
        to_revision: None,
        reason: None,
    }
}

impl Table {
    fn add(&mut self, what: &str, when: &str, setting: &Setting) -> Result<(), CliError> {
        let stories = stories(setting, self.seed, self.runs, play);
        let mut failures = stories.iter().filter_map(|story| story.failure.as_ref());
        if let Some(too_much) = failures.find(|failure| failure.is_too_much()) {
            return Err(CliError::Failed(format!("{}: {what}: {}", self.name, too_much.seen.join("; "))));
        }
        let broken = stories.iter().filter_map(|story| Some((story.seed, story.failure.as_ref()?)));
        self.broken.extend(broken.map(|(seed, failure)| format!("{what}, seed {seed}: {}", failure.seen.join("; "))));
        let releases: Vec<_> = stories.iter().filter_map(|story| story.releases.last()).collect();
        self.rows.push(Row { what: what.to_owned(), when: when.to_owned(), shares: Shares::of(&releases) });
        Ok(())
    }

    /// Invariants that broke: bugs.
    pub fn broken(&self) -> &[String] {
        &self.broken
    }

    /// Human-readable.
    pub fn text(&self, paint: Paint) -> String {
        let title = format!(
            "{}: {} rollouts each at {} requests per second, seed {}",
            self.name,
            grouped(u64::from(self.runs)),
            self.rps,
            self.seed
        );
        let mut text = format!("{}\n", paint.text(Tone::Strong, &title));
        text += &format!(
            "{:<22} {:<15} {:>11} {:>9} {:>7}  {:>19}  {:>10}  {:>7}\n",
            "", "", "rolled back", "promoted", "held", "to the end p50/p90", "requests", "errors"
        );
        for row in &self.rows {
            text += &row.text();
        }
        text += "  requests and errors are averages of the new version; every pause is promoted at once,\n  and every gate approves\n";
        if !self.without_numbers.is_empty() {
            text += &format!(
                "  the queries of {} have no data here, so a rollout that requires them is held; set the data in a scenario (world.series)\n",
                self.without_numbers.join(", ")
            );
        }
        for line in self.broken.iter().take(5) {
            text += &format!("  {}  {line}\n", paint.text(Tone::Bad, "a bug"));
        }
        text
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        let rows =
            self.rows.iter().map(|row| json!({ "version": row.what, "when": row.when, "result": row.shares.json() }));
        json!({
            "file": self.name, "rps": self.rps, "runs": self.runs, "firstSeed": self.seed,
            "rows": rows.collect::<Vec<_>>(), "broken": self.broken,
        })
    }
}

impl Row {
    fn text(&self) -> String {
        let Row { what, when, shares } = self;
        let percent = |outcome: &str| format!("{:.1} %", 100.0 * shares.share(outcome));
        let times = shares.times.map(|(half, most)| format!("{} / {}", clock(half), clock(most)));
        format!(
            "{what:<22} {when:<15} {:>11} {:>9} {:>7}  {:>19}  {:>10}  {:>7.1}\n",
            percent("Aborted"),
            percent("Promoted"),
            percent("held"),
            times.unwrap_or_else(|| "-".to_owned()),
            grouped(shares.requests.round() as u64),
            shares.errors
        )
    }
}
