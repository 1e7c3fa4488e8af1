//! How soon a bad version is rolled back by the default settings, counted from its first bad answer after its warm-up, and
//! that good versions are left alone meanwhile: real pods, Envoy, Prometheus, 50 requests a second for each Rollout.
//!
//! `make test` has one of each, with short windows; `GLIDEPATH_TRIALS=10` makes ten by the default settings, with fifty good
//! releases beside them, and holds the medians.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    controller::controller,
    lane,
    load::{Load, Plan},
    node::behaviour::{Behaviour, Latency, Version},
    playing::tell,
    say::say,
    shop::{PATIENCE, Shop, changed},
    wait::wait_until,
};

const USERS: f64 = 50.0;
const USUAL_WARM_UP: Duration = Duration::from_secs(120);
const SHORT_WARM_UP: Duration = Duration::from_secs(2);
/// Longer than any detection.
const LONGEST: Duration = Duration::from_secs(1_800);

const SETTINGS: &str = "  settings:
    window: 2s
    warmUp: 2s
    bake: {duration: 5s, requests: 100}
    phi: 1      # the harness's errors are drawn one by one
";
const RATIO: &str = "    ratio:
      bad: {builtin: errors}
      total: {builtin: requests}
      pass: {ratio: 2, ceiling: 1%}
";
const STEPS: &str = "      - setWeight: 20
      - observe: {atLeast: 5s, atMost: 3m}
      - pause: {}
      - setWeight: 50
      - observe: {atLeast: 5s, atMost: 3m}
      - pause: {}
";

/// What is wrong with a new version.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// 5 % errors instead of 0.1 %.
    Errors,
    /// Answers that take half as long again.
    Slow,
}

/// One Rollout with its users.
struct Trial {
    shop: Shop,
    fault: Option<Fault>,
    /// From when the first version is stable.
    load: Option<Load>,
    /// The new version's first pod was ready.
    ready: Option<Instant>,
    /// It had a bad answer after its warm-up.
    hurt: Option<Instant>,
    errors: u64,
    /// From there to its abort.
    took: Option<Duration>,
    /// The release under way.
    release: u64,
}

#[test]
fn bad_versions_are_rolled_back_soon_after_their_first_bad_answer_and_good_ones_never() {
    controller().check();
    // Another test may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let count: Option<usize> = std::env::var("GLIDEPATH_TRIALS").ok().map(|text| text.parse().unwrap());
    let (count, warm_up) = count.map_or((1, SHORT_WARM_UP), |count| (count, USUAL_WARM_UP));
    let releases = if warm_up == USUAL_WARM_UP { 5 } else { 1 };
    let faults = [Some(Fault::Errors), Some(Fault::Slow), None];
    let begin = |(fault, index): (Option<Fault>, usize)| Trial::begin(fault, index, warm_up);
    let mut trials: Vec<Trial> =
        faults.into_iter().flat_map(|fault| (0..count).map(move |i| (fault, i))).map(begin).collect();
    trials.iter_mut().for_each(Trial::users_come);
    trials.iter().for_each(Trial::settle_in);
    trials.iter_mut().for_each(|trial| trial.set_image(2));
    let began = Instant::now();
    while trials.iter().any(|trial| !trial.is_over(releases)) {
        assert!(began.elapsed() < LONGEST, "not over: {:?}", open(&trials, releases));
        sleep(Duration::from_millis(500));
        let all: Value = serde_json::from_str(&lane().kubectl(&["get", "gro", "-A", "-o", "json"]).unwrap()).unwrap();
        for trial in &mut trials {
            trial.look(&all, warm_up, releases);
        }
    }
    for fault in [Fault::Errors, Fault::Slow] {
        let took = in_order(&trials, fault);
        let median = took[took.len() / 2];
        say(format!(
            "{fault:?}: rolled back {took:.0?} s after the first bad answer past the warm-up; median {median:.0} s"
        ));
        let most = if fault == Fault::Errors { 60.0 } else { 120.0 };
        assert!(count == 1 || median <= most, "{fault:?}: a median of {median} s, more than {most} s: {took:?}");
    }
    for trial in trials {
        let tally = trial.load.unwrap().stop().unwrap();
        assert_eq!(tally.lost(), 0, "{}: {tally:?}", trial.shop.namespace);
    }
}

/// The seconds until the rollbacks, the shortest first.
fn in_order(trials: &[Trial], fault: Fault) -> Vec<f64> {
    let own = trials.iter().filter(|trial| trial.fault == Some(fault));
    let mut took: Vec<f64> = own.filter_map(|trial| trial.took).map(|took| took.as_secs_f64()).collect();
    took.sort_by(f64::total_cmp);
    took
}

fn open(trials: &[Trial], releases: u64) -> Vec<(&str, Value)> {
    trials
        .iter()
        .filter(|trial| !trial.is_over(releases))
        .map(|trial| (trial.shop.namespace, trial.shop.status()))
        .collect()
}

impl Trial {
    fn begin(fault: Option<Fault>, index: usize, warm_up: Duration) -> Trial {
        let name = fault.map_or("good".to_owned(), |fault| format!("{fault:?}").to_lowercase());
        let namespace: &'static str = Box::leak(format!("trial-{name}-{index}").into_boxed_str());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(tell(namespace, &behaviour(fault))).unwrap();
        let shop = Shop::apply(namespace, &yaml(fault, warm_up));
        Trial { shop, fault, load: None, ready: None, hurt: None, errors: 0, took: None, release: 1 }
    }

    fn users_come(&mut self) {
        self.shop.wait_for_stable(1);
        self.shop.answers("v1");
        self.load = Some(Load::launch(Plan::mesh(&format!("web.{}", self.shop.namespace), USERS)));
    }

    /// The first version has answered for a while: what latency is compared at is found in its past.
    fn settle_in(&self) {
        let namespace = self.shop.namespace;
        wait_until(PATIENCE, &format!("500 requests in {namespace}"), || self.shop.served("v1").0 >= 500);
    }

    fn set_image(&mut self, release: u64) {
        self.shop.release(&format!("v{release}"));
        (self.release, self.ready, self.hurt) = (release, None, None);
    }

    fn is_over(&self, releases: u64) -> bool {
        if self.fault.is_some() { self.took.is_some() } else { self.release > releases + 1 }
    }

    fn look(&mut self, all: &Value, warm_up: Duration, releases: u64) {
        if self.is_over(releases) {
            return;
        }
        let of = |rollout: &&Value| rollout["metadata"]["namespace"] == self.shop.namespace;
        let status = all["items"].as_array().unwrap().iter().find(of).unwrap()["status"].clone();
        let aborted = status["course"] == "Aborted";
        if self.fault.is_none() {
            assert!(!aborted, "a good version was aborted: {status:#}");
            if status["phase"] == "Healthy" && status["stableRevision"]["number"] == self.release {
                self.release += 1;
                if !self.is_over(releases) {
                    self.set_image(self.release);
                }
            }
            return;
        }
        self.watch_pods(warm_up);
        if aborted {
            let hurt = self.hurt.unwrap_or_else(|| panic!("aborted before any bad answer counted: {status:#}"));
            self.took = Some(hurt.elapsed());
        }
    }

    /// Notes when the new version began to do harm.
    fn watch_pods(&mut self, warm_up: Duration) {
        let pods = lane().counts(self.shop.namespace).unwrap();
        let new: Vec<_> = pods.iter().filter(|pod| pod.version == "v2").collect();
        if new.iter().any(|pod| pod.ready) {
            self.ready.get_or_insert_with(Instant::now);
        }
        let errors = new.iter().map(|pod| pod.errors).sum();
        let warm = self.ready.is_some_and(|ready| ready.elapsed() >= warm_up);
        // Slow answers come at once.
        if warm && (self.fault == Some(Fault::Slow) || errors > self.errors) {
            self.hurt.get_or_insert_with(Instant::now);
        }
        self.errors = errors;
    }
}

fn behaviour(fault: Option<Fault>) -> Behaviour {
    let version = |bad: bool| Version {
        error_rate: if bad && fault == Some(Fault::Errors) { 0.05 } else { 0.001 },
        latency: Some(Latency { median_ms: if bad && fault == Some(Fault::Slow) { 120.0 } else { 80.0 }, sigma: 0.6 }),
        ..Version::default()
    };
    let versions = (1..=6).map(|number| (format!("v{number}"), version(fault.is_some() && number > 1)));
    Behaviour { startup: 0.5, versions: versions.collect() }
}

fn yaml(fault: Option<Fault>, warm_up: Duration) -> String {
    let usual = if warm_up == USUAL_WARM_UP {
        String::new()
    } else {
        format!("  settings: {{window: 5s, warmUp: {}s}}\n", warm_up.as_secs())
    };
    let latency = "    latency: {histogram: {builtin: duration}}\n";
    match fault {
        Some(fault) => {
            let judge = if fault == Fault::Slow { latency } else { RATIO };
            let steps = "      - setWeight: 10\n      - observe: {atMost: 30m}\n";
            changed(&Shop::yaml(), &[(SETTINGS, &usual), (RATIO, judge), (STEPS, steps)])
        }
        None => {
            let settings = SETTINGS.replace("    phi: 1      # the harness's errors are drawn one by one\n", "");
            let both = format!("{RATIO}  - name: latency\n{latency}");
            let steps = "      - setWeight: 50\n      - observe: {atLeast: 20s, atMost: 10m}\n";
            changed(&Shop::yaml(), &[(SETTINGS, &settings), (RATIO, &both), (STEPS, steps)])
        }
    }
}
