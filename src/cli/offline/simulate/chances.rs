//! What a Rollout's chances are: a good version and bad ones, each played with many seeds.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    args::SimulateArgs,
    layout::{self, Row},
    statistics::{Shares, stories},
    tell::{Screen, WIDEST, clock},
    without_data::{self, WithoutData},
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
        offline::junit::Case,
        render::{
            paint::{Paint, Tone},
            progress::Progress,
            table::wrap,
        },
    },
    evidence::grouped,
    sim::{
        Millis, Player, Setting,
        cluster::SimCluster,
        play::Played,
        scenario::{
            CommandEntry, DelayedSpec, Deploy, Entry, FaultKind, FaultSpec, FaultTarget, GateSpec, IncidentSpec,
            LatencySpec, VersionSpec,
        },
        trace::Trace,
    },
};

/// How many rollouts are played when the command line does not say.
const RUNS: u32 = 200;
/// How many kinds of version are played; more where response times are judged.
const ROWS: usize = 8;
const ROWS_OF_LATENCY: usize = 2;
/// A release that takes longer is left.
const LONGEST: Millis = 48 * 3_600_000;
/// The first deploy takes no longer.
const FIRST_DEPLOY: Millis = 3_600_000;
/// A late fault begins no later than this after the release.
const LATE: Millis = 1_200_000;
/// When its pods crash or run out of memory at the latest.
const CRASH: Millis = 60_000;
/// When the release comes, after ten minutes of peace, whatever the first deploy took.
const RELEASE: Millis = 600_000;
/// What good versions answer with errors, in basis points; and bad ones.
const GOOD: u32 = 10;
const BAD: u32 = 100;
/// What an incident that all versions share adds, for how long, and how long before the release one may begin.
const SHARED: u32 = 500;
const INCIDENT: Millis = 180_000;
const EARLY: Millis = 120_000;
/// How long good versions take: the median in milliseconds, and the spread of its logarithm.
const MEDIAN: u64 = 80;
const SIGMA: f64 = 0.6;
const NEW: &str = "glidepath.dev/new-version";

/// The chances of a Rollout.
pub(super) struct Table {
    name: String,
    rps: f64,
    runs: u32,
    seed: u64,
    rows: Vec<Row>,
    /// How many rows there will be.
    all: usize,
    broken: Vec<String>,
    /// Metrics whose queries nothing answers.
    without_data: Vec<WithoutData>,
    /// What is said of a template's load.
    load: Option<String>,
}

/// Why the chances of a Rollout cannot be estimated, if they cannot.
pub(super) fn unpredictable(setting: &Setting) -> Option<&'static str> {
    setting.rollout.as_ref()?.spec.strategy.ab_test.as_ref()?;
    Some(
        "the outcome of an A/B test depends on its users; set the conversion rate of each version in a scenario \
         (--scenario, docs/simulate.md), or preview it with 'glidepath plan'",
    )
}

/// Plays a Rollout.
pub(super) fn table(name: &str, setting: &Setting, args: &SimulateArgs) -> Result<Table, CliError> {
    let (seed, runs) = (args.seed.unwrap_or(1), args.runs.unwrap_or(RUNS));
    let mut table = Table {
        name: name.to_owned(),
        rps: args.rps,
        runs,
        seed,
        rows: Vec::new(),
        all: ROWS + if without_data::judges_latency(setting) { ROWS_OF_LATENCY } else { 0 },
        broken: Vec::new(),
        without_data: without_data::of(setting),
        load: without_data::load(setting),
    };
    let (good, progress) = (base(setting, args.rps), Progress::begins());
    table.add("a good version", "", &good, &progress)?;
    let usual = table.rows.first().and_then(|row| row.shares.times).map_or(LATE, |(half, _)| half);
    let (late, crash) = (within(usual, LATE), within(usual, CRASH));
    let words = format!("errors {} to {}", Percent::from_basis_points(GOOD), Percent::from_basis_points(BAD));
    table.add(&words, "from the start", &with_errors(&good), &progress)?;
    table.add(
        &words,
        &format!("after {}", clock(late)),
        &Setting { late: late_errors(late), ..good.clone() },
        &progress,
    )?;
    let pods_end = |kind| crashing(&good, kind, crash);
    let after = format!("after {}", clock(crash));
    table.add("all its pods crash", &after, &pods_end(FaultKind::PodCrash), &progress)?;
    table.add("never becomes ready", "", &never_ready(&good), &progress)?;
    table.add("OOM-killed by a leak", &after, &pods_end(FaultKind::OomKill), &progress)?;
    if without_data::judges_latency(setting) {
        let start = "from the start";
        table.add("latency x1.5", start, &responding(&good, MEDIAN * 3 / 2, None), &progress)?;
        let delayed = DelayedSpec { share: Percent::whole(2), by: HumanDuration::secs(1) };
        table.add("2 % of requests + 1 s", start, &responding(&good, MEDIAN, Some(delayed)), &progress)?;
    }
    let burst = incident(&good, RELEASE + late, INCIDENT);
    table.add("error burst in both", &format!("after {}", clock(late)), &burst, &progress)?;
    let early = incident(&good, RELEASE - EARLY, EARLY + INCIDENT);
    table.add("incident in both", &format!("from {} before", clock(EARLY)), &early, &progress)?;
    Ok(table)
}

fn base(setting: &Setting, rps: f64) -> Setting {
    let latency = without_data::judges_latency(setting).then(|| taking(MEDIAN, None));
    let mut setting = setting.clone();
    setting.scenario.world.traffic.rps = rps;
    if let Some(rollout) = &mut setting.rollout {
        rollout.spec.paused = false;
        let own = setting.deployment.as_ref().map(|(template, _)| template.clone());
        let template = rollout.spec.template.clone().or(own).unwrap_or_default();
        let images = crate::api::revision::images(&template);
        let error_rate = Some(Percent::from_basis_points(GOOD));
        let usual = VersionSpec { error_rate, latency, ..VersionSpec::default() };
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
    changed(good, |new| new.error_rate = Some(Percent::from_basis_points(BAD)))
}

fn responding(good: &Setting, median: u64, delayed: Option<DelayedSpec>) -> Setting {
    changed(good, |new| new.latency = Some(taking(median, delayed)))
}

fn taking(median: u64, delayed: Option<DelayedSpec>) -> LatencySpec {
    let median = Some(HumanDuration::from(Duration::from_millis(median)));
    LatencySpec { median, sigma: Some(SIGMA), delayed, ..LatencySpec::default() }
}

/// The same with another new version.
fn changed(good: &Setting, change: impl FnOnce(&mut VersionSpec)) -> Setting {
    let mut setting = good.clone();
    change(setting.scenario.world.versions.entry(NEW.to_owned()).or_default());
    setting
}

fn late_errors(late: Millis) -> Vec<(String, Millis, f64)> {
    vec![(NEW.to_owned(), late, Percent::from_basis_points(BAD).share())]
}

/// The time at which a version turns bad: in a release that takes less than twice as long, halfway.
fn within(usual: Millis, at: Millis) -> Millis {
    let at = at.min(usual / 2);
    if at < 10_000 { (at / 1_000 * 1_000).max(1_000) } else { at / 10_000 * 10_000 }
}

/// A good version, and an incident that it shares with stable.
fn incident(good: &Setting, at: Millis, long: Millis) -> Setting {
    let mut setting = good.clone();
    let error_rate = Percent::from_basis_points(SHARED);
    setting.scenario.world.incidents = vec![IncidentSpec { at: span(at), duration: span(long), error_rate }];
    setting
}

fn span(millis: Millis) -> HumanDuration {
    HumanDuration::from(Duration::from_millis(millis.unsigned_abs()))
}

/// From then on after the release its pods die as soon as they are up.
fn crashing(good: &Setting, kind: FaultKind, after: Millis) -> Setting {
    let mut setting = good.clone();
    let target = FaultTarget { revision: Some("r2".to_owned()), count: Some(u32::MAX) };
    setting.scenario.world.faults = vec![FaultSpec {
        at: span(RELEASE + after),
        duration: HumanDuration::secs(3600),
        kind,
        probability: None,
        target: Some(target),
    }];
    setting
}

fn never_ready(good: &Setting) -> Setting {
    changed(good, |new| new.ready = Some(Delay::Never))
}

/// The first deploy, ten minutes of peace, then the release to its end. Somebody promotes at once at every pause and approval, and gates say yes.
fn play(mut player: Player) -> Trace {
    let played: Played = (|| {
        let healthy = |cluster: &SimCluster| cluster.phase() == Some(Phase::Healthy);
        player.play_until(FIRST_DEPLOY, healthy)?;
        let release_at = player.now().max(RELEASE);
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
    fn add(&mut self, what: &str, when: &str, setting: &Setting, progress: &Progress) -> Result<(), CliError> {
        let comma = if when.is_empty() { "" } else { ", " };
        let row = self.rows.len() + 1;
        progress.next(format!("{}: row {row} of {}, {what}{comma}{when}", self.name, self.all), self.runs);
        let stories = stories(setting, self.seed, self.runs, progress, play);
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

    /// Human-readable.
    pub fn text(&self, screen: Screen) -> String {
        let title = format!(
            "{}: {} rollouts each at {} requests per second, seed {}",
            self.name,
            grouped(u64::from(self.runs)),
            self.rps,
            self.seed
        );
        let mut text = screen.paint.text(Tone::Strong, wrap(&title, 0, screen.width).trim_end()) + "\n";
        for metric in &self.without_data {
            let words = wrap(&metric.words(), 11, screen.width);
            text += &format!("  {}  {}\n", screen.paint.text(Tone::Warn, "no data"), words.trim());
        }
        if let Some(load) = &self.load {
            text += &format!("  load     {}\n", wrap(load, 11, screen.width).trim());
        }
        text += &layout::rows(&self.rows, screen.width);
        let averages = "requests and errors are averages of the new version; every pause is promoted at once, and every gate approves";
        text += &wrap(averages, 2, screen.width);
        for line in self.broken.iter().take(5) {
            text += &format!("  {}  {line}\n", screen.paint.text(Tone::Bad, "a bug"));
        }
        text
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        let rows =
            self.rows.iter().map(|row| json!({ "version": row.what, "when": row.when, "result": row.shares.json() }));
        let mut json = json!({
            "file": self.name, "rps": self.rps, "runs": self.runs, "firstSeed": self.seed,
            "rows": rows.collect::<Vec<_>>(),
            "withoutData": self.without_data.iter().map(WithoutData::json).collect::<Vec<_>>(),
            "broken": self.broken,
        });
        if let Some(load) = &self.load {
            json["load"] = json!(load);
        }
        json
    }

    /// For CI: only an invariant that broke, which is a bug, fails an estimate.
    pub fn case(&self) -> Case {
        let failure = self.broken.first().map(|first| (first.clone(), self.broken.join("\n")));
        let output = self.text(Screen { paint: Paint { on: false }, width: WIDEST });
        Case { name: self.name.clone(), failure, output, ..Case::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Rollout, RolloutSpec};

    fn table(spec: Value) -> Table {
        let spec: RolloutSpec = serde_json::from_value(spec).unwrap();
        let setting = Setting { rollout: Some(Rollout::new("web", spec)), ..Setting::default() };
        let shares = |outcomes: &[(&str, usize)], times| Shares {
            all: 200,
            outcomes: outcomes.iter().map(|(word, count)| ((*word).to_owned(), *count)).collect(),
            times,
            requests: 21_304.2,
            errors: 21.34,
        };
        let row = |what: &str, when: &str, shares| Row { what: what.into(), when: when.into(), shares };
        Table {
            name: "rollouts/blue-green.yaml".into(),
            rps: 50.0,
            runs: 200,
            seed: 1,
            rows: vec![
                row("a good version", "", shares(&[("Promoted", 197), ("held", 3)], Some((2_700_000, 5_025_000)))),
                row("errors 0.1 % to 1 %", "after 20m", shares(&[("Aborted", 200)], Some((1_385_000, 1_560_000)))),
                row("never becomes ready", "", shares(&[("held", 200)], None)),
            ],
            all: ROWS,
            broken: Vec::new(),
            without_data: without_data::of(&setting),
            load: without_data::load(&setting),
        }
    }

    #[test]
    fn the_table_fits_narrow_terminals_and_names_the_metrics_without_data() {
        let table = table(json!({"strategy": {"blueGreen": {"activeService": "web",
            "prePromotionAnalysis": {"templates": [{"name": "success-rate"}, {"name": "errors"}]}}}}));
        for width in [60, 80, 110] {
            let text = table.text(Screen { paint: Paint { on: false }, width });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
            insta::assert_snapshot!(format!("table_{width}"), text);
        }
        assert_eq!(table.json()["withoutData"][0]["template"], "success-rate");
    }
}
