//! The accumulator of the ratio judge: everything it has to remember of a run, in a few kilobytes of status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::epochs::Epochs;
use super::pass::PassEvidence;
use super::restart::RestartMixture;
use super::sequence::{Interval, RatioLikelihood};
use super::{config::RatioConfig, counts::Counts};

/// The displayed interval has a level of 95 %, whatever alpha the verdict spends.
const SHOWN_ALPHA: f64 = 0.05;

/// Weight epochs kept apart; past it the two neighbours with the most alike traffic split are added together.
const MOST_EPOCHS: usize = 16;

/// What the ratio judge knows after some windows. Fail evidence runs through; Pass evidence belongs to a weight epoch.
///
/// Use it with one and the same [`RatioConfig`], in time order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RatioState {
    fail: RestartMixture,
    /// Highest ln E there has been, towards Fail and of its ratio part since the start.
    highest: Highest,
    /// The Fail bound was reached, with enough canary errors.
    failed: bool,
    #[serde(default, skip_serializing_if = "PassEvidence::is_new")]
    pass: PassEvidence,
    /// Sums per weight epoch, the current one last.
    epochs: Epochs,
    /// Windows in which an arm saw no traffic.
    skipped: u64,
    /// Windows that counted more errors than requests.
    clamped: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Highest {
    fail: f64,
    ratio: f64,
}

/// The state of the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// ln E towards Fail, now.
    pub log_e_fail: f64,
    /// ln E reached ln(1/alpha) with enough canary errors, now or in an earlier window.
    pub fails: bool,
    /// ln E towards Pass in this weight epoch, now.
    pub log_e_pass: f64,
    /// ln E reached ln(1/beta) in this weight epoch. The minimum bake is the caller's.
    pub passes: bool,
    /// The most likely rate ratio; `None` without errors or with canary errors only.
    pub ratio: Option<f64>,
    /// Its 95 % confidence sequence; `None` before the first error.
    pub interval: Option<Interval>,
    /// Always-valid p-value of the Fail evidence, min(1, 1/max E): at most alpha wherever `fails` holds.
    pub p: f64,
    /// The same of the plain ratio test since the start, without restarts and floor.
    pub p_ratio: f64,
    /// All comparable windows.
    pub counts: Counts,
    /// Those of this weight epoch.
    pub epoch_counts: Counts,
    /// How much of the evidence that would fail is there, 0 to 1: ln E / ln(1/alpha).
    pub fail_share: f64,
    /// How much of the evidence that would pass is there, 0 to 1; 1 once passed.
    pub pass_share: f64,
    /// About how many more canary requests a Pass takes at the rates seen so far: 0 once passed,
    /// `None` where these rates lead to none.
    pub canary_requests_needed: Option<u64>,
    /// Windows left out because an arm saw no traffic.
    pub skipped_windows: u64,
    /// Windows that counted more errors than requests.
    pub clamped_windows: u64,
}

impl RatioState {
    /// No window seen.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Take in the next window of `window_seconds`. One in which an arm saw no traffic is counted as skipped, no more.
    pub fn observe(&mut self, config: &RatioConfig, window: Counts, window_seconds: u64) {
        self.clamped = self.clamped.saturating_add(u64::from(window.needs_clamp()));
        let window = if config.one_armed { Counts { kb: 0, nb: 0, ..window } } else { window };
        let says_something = window.is_comparable() || config.one_armed && window.nc > 0;
        if !says_something {
            self.skipped = self.skipped.saturating_add(1);
            return;
        }
        let window = window.clamped();
        self.epochs.add(window);
        self.fail.observe(config, window, window_seconds);
        self.pass.observe(config, window);
        self.note_bounds(config, window);
    }

    /// The settled route set changed: Pass evidence is reset, Fail evidence continues to accumulate.
    pub fn begin_epoch(&mut self) {
        self.pass = PassEvidence::default();
        self.epochs.begin(MOST_EPOCHS);
    }

    /// Evidence towards Pass is of no use, where a Fail alone is looked for: it takes a third of the record.
    pub fn forget_pass(&mut self) {
        self.pass = PassEvidence::default();
    }

    /// ln E towards Fail, now.
    #[must_use]
    pub fn log_e_fail(&self, config: &RatioConfig) -> f64 {
        self.fail.log_e(config)
    }

    /// All comparable windows so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.epochs.total()
    }

    /// Those of this weight epoch.
    #[must_use]
    pub const fn epoch_counts(&self) -> Counts {
        self.pass.counts
    }

    /// Whether a window so far reached the Fail bound, with enough canary errors.
    #[must_use]
    pub const fn fails(&self) -> bool {
        self.failed
    }

    /// Whether a window of this weight epoch reached the Pass bound.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.pass.passed
    }

    /// How much of the evidence that would fail, and of that which would pass, is there (0 to 1): what [`Self::assess`] says,
    /// at a part of its price.
    #[must_use]
    pub fn shares(&self, config: &RatioConfig) -> (f64, f64) {
        let fail = if self.failed { 1.0 } else { share(self.fail.log_e(config), config.fail_bound()) };
        let pass = if self.pass.passed { 1.0 } else { share(self.pass.log_e(config, 1.0), config.pass_bound()) };
        (fail, pass)
    }

    /// The interval of the ratio after each of these stretches of time: what [`Self::assess`] says then.
    #[must_use]
    pub fn intervals(stretches: &[Counts], config: &RatioConfig) -> Vec<Option<Interval>> {
        let until = |index: usize| {
            let likelihood = RatioLikelihood::new(stretches.get(..=index).unwrap_or_default(), config.phi());
            likelihood.interval(SHOWN_ALPHA).filter(|_| !config.one_armed)
        };
        (0..stretches.len()).map(until).collect()
    }

    /// The state of the evidence after the observed windows.
    #[must_use]
    pub fn assess(&self, config: &RatioConfig) -> Assessment {
        let (log_e_fail, log_e_pass) = (self.fail.log_e(config), self.pass.log_e(config, 1.0));
        let likelihood = RatioLikelihood::new(self.epochs.all(), config.phi());
        let passes = self.pass.passed;
        Assessment {
            log_e_fail,
            fails: self.failed,
            log_e_pass,
            passes,
            ratio: likelihood.most_likely().filter(|_| !config.one_armed),
            interval: likelihood.interval(SHOWN_ALPHA).filter(|_| !config.one_armed),
            p: (-self.highest.fail).exp().min(1.0),
            p_ratio: (-self.highest.ratio).exp().min(1.0),
            counts: self.counts(),
            epoch_counts: self.pass.counts,
            fail_share: if self.failed { 1.0 } else { share(log_e_fail, config.fail_bound()) },
            pass_share: if passes { 1.0 } else { share(log_e_pass, config.pass_bound()) },
            canary_requests_needed: self.pass.canary_requests_needed(config),
            skipped_windows: self.skipped,
            clamped_windows: self.clamped,
        }
    }

    /// Evidence may fall again, and the verdict may be asked for later than it rose: note what it reached. Without a canary
    /// error evidence towards Fail only falls: every alternative has the canary fail more often than the null has it.
    fn note_bounds(&mut self, config: &RatioConfig, window: Counts) {
        if window.kc > 0 {
            let log_e = self.fail.log_e(config);
            self.highest.fail = self.highest.fail.max(log_e);
            self.highest.ratio = self.highest.ratio.max(self.fail.log_e_ratio_from_start(config));
            self.failed |= log_e >= config.fail_bound() && self.counts().kc >= config.min_errors;
        }
        self.pass.note_bound(config);
    }
}

pub(super) fn share(log_e: f64, bound: f64) -> f64 {
    (log_e / bound).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: RatioConfig = RatioConfig::DEFAULT;
    const GOOD: Counts = Counts { kc: 0, nc: 75, kb: 1, nb: 675 };
    const BAD: Counts = Counts { kc: 4, nc: 75, kb: 1, nb: 675 };

    #[test]
    fn without_a_baseline_the_floor_fails_and_the_ceiling_passes() {
        let config = RatioConfig { one_armed: true, ..CONFIG };
        let run = |window: Counts, windows: usize| {
            let mut state = RatioState::new();
            (0..windows).for_each(|_| state.observe(&config, window, 15));
            state.assess(&config)
        };
        let bad = run(Counts { kc: 4, nc: 75, kb: 0, nb: 0 }, 8);
        assert!(bad.fails && bad.ratio.is_none() && bad.interval.is_none(), "{bad:?}");
        let good = run(Counts { kc: 0, nc: 75, kb: 0, nb: 0 }, 40);
        assert!(good.passes && !good.fails, "{good:?}");
        let baseline = Counts { kc: 4, nc: 75, kb: 60, nb: 675 };
        assert!(run(baseline, 8).fails, "what the other arm does is no excuse");
        assert!(!run(Counts::default(), 40).passes, "no traffic is no evidence");
        // At the floor the chance of a false failure is bounded as ever: no evidence either way.
        assert!(run(Counts { kc: 1, nc: 1000, kb: 0, nb: 0 }, 40).log_e_fail < config.fail_bound());
    }

    fn after(windows: &[Counts]) -> RatioState {
        let mut state = RatioState::new();
        for window in windows {
            state.observe(&CONFIG, *window, 15);
        }
        state
    }

    #[test]
    fn no_data_is_no_evidence() {
        let nothing = [Counts::default(), Counts { kc: 3, nc: 9, ..Counts::default() }];
        let seen = after(&nothing).assess(&CONFIG);
        assert_eq!((seen.log_e_fail, seen.log_e_pass, seen.p, seen.p_ratio), (0.0, 0.0, 1.0, 1.0));
        assert_eq!((seen.fails, seen.passes, seen.ratio, seen.interval), (false, false, None, None));
        assert_eq!((seen.counts, seen.skipped_windows), (Counts::default(), 2));
        let needed = seen.canary_requests_needed.unwrap();
        assert!((700..1100).contains(&needed), "a clean canary against a ceiling of 0.5 %: {needed}");
    }

    #[test]
    fn a_bad_canary_fails_and_a_good_one_passes() {
        let bad = after(&[BAD; 8]).assess(&CONFIG);
        assert!(bad.fails && !bad.passes && bad.p <= CONFIG.alpha && bad.fail_share >= 1.0, "{bad:?}");
        assert!(bad.ratio.unwrap() > 10.0 && bad.interval.unwrap().low > 2.0);

        let good = after(&[GOOD; 20]).assess(&CONFIG);
        assert!(good.passes && !good.fails && good.canary_requests_needed == Some(0), "{good:?}");
    }

    #[test]
    fn two_errors_never_fail() {
        let two = Counts { kc: 2, nc: 3, kb: 0, nb: 1_000_000 };
        let seen = after(&[two]).assess(&CONFIG);
        assert!(seen.log_e_fail > CONFIG.fail_bound() && !seen.fails);
        assert!(after(&[two, Counts { kc: 1, nc: 3, kb: 0, nb: 100 }]).assess(&CONFIG).fails);
    }

    #[test]
    fn a_fail_reached_in_between_is_not_forgotten() {
        let mut windows = vec![BAD; 3];
        windows.extend([GOOD; 400]);
        let seen = after(&windows).assess(&CONFIG);
        assert!(seen.log_e_fail < CONFIG.fail_bound() && seen.fails && seen.p <= CONFIG.alpha, "{seen:?}");
    }

    #[test]
    fn a_new_epoch_starts_pass_evidence_anew_and_keeps_fail_evidence() {
        let mut state = after(&[GOOD; 20]);
        let before = state.assess(&CONFIG);
        state.begin_epoch();
        let fresh = state.assess(&CONFIG);
        assert!(!fresh.passes && fresh.log_e_pass == 0.0 && fresh.epoch_counts == Counts::default());
        assert_eq!((fresh.log_e_fail, fresh.counts), (before.log_e_fail, before.counts));
        state.begin_epoch();
        state.observe(&CONFIG, GOOD, 15);
        assert_eq!(state.assess(&CONFIG).epoch_counts, GOOD);
    }

    #[test]
    fn what_is_needed_is_about_what_it_takes() {
        let mut state = after(&[GOOD; 4]);
        let needed = state.assess(&CONFIG).canary_requests_needed.unwrap();
        let mut took = 0;
        while !state.assess(&CONFIG).passes {
            state.observe(&CONFIG, GOOD, 15);
            took += GOOD.nc;
        }
        assert!(needed <= took && took <= needed + 2 * GOOD.nc, "needed {needed}, took {took}");
        assert_eq!(after(&[BAD; 4]).assess(&CONFIG).canary_requests_needed, None);
    }

    #[test]
    fn a_day_with_many_epochs_stays_small_and_reads_back() {
        let mut state = RatioState::new();
        for minute in 0..1440_u64 {
            if minute % 40 == 0 {
                state.begin_epoch();
            }
            let weight = 1 + minute / 40;
            let window =
                Counts { kc: minute % 7, nc: 31_415 * weight, kb: 91 - minute % 5, nb: 31_415 * (99 - weight) };
            state.observe(&CONFIG, window, 60);
        }
        let json = serde_json::to_string(&state).unwrap();
        assert!(json.len() < 6 * 1024, "{} bytes", json.len());
        let back: RatioState = serde_json::from_str(&json).unwrap();
        let (one, two) = (state.assess(&CONFIG), back.assess(&CONFIG));
        assert!((one.log_e_fail - two.log_e_fail).abs() < 1e-9 * one.log_e_fail.abs());
        assert_eq!((one.counts, one.epoch_counts), (two.counts, two.epoch_counts));
        assert!(state.epochs.all().len() <= MOST_EPOCHS);
    }

    #[test]
    fn merging_epochs_loses_no_count() {
        let mut state = RatioState::new();
        for weight in 1..60 {
            state.begin_epoch();
            state.observe(&CONFIG, Counts { kc: 1, nc: weight, kb: 2, nb: 100 - weight }, 15);
        }
        assert_eq!(state.counts(), Counts { kc: 59, nc: 59 * 30, kb: 118, nb: 5900 - 59 * 30 });
    }

    proptest! {
        #[test]
        fn a_window_without_canary_errors_never_adds_to_the_evidence_towards_fail(
            windows in prop::collection::vec((0u64..30, 1u64..2_000, 0u64..30, 1u64..9_000), 0..60),
            clean in (1u64..2_000, 0u64..50, 50u64..9_000), phi in 1.0_f64..5.0, one_armed in any::<bool>(),
        ) {
            let config = RatioConfig { phi, one_armed, ..CONFIG };
            let mut state = RatioState::new();
            for (kc, nc, kb, nb) in windows {
                state.observe(&config, Counts { kc, nc, kb, nb }, 120);
            }
            let at = |state: &RatioState| (state.fail.log_e(&config), state.fail.log_e_ratio_from_start(&config));
            let before = at(&state);
            state.observe(&config, Counts { kc: 0, nc: clean.0, kb: clean.1, nb: clean.2 }, 120);
            let after = at(&state);
            prop_assert!(after.0 <= before.0 + 1e-9 && after.1 <= before.1 + 1e-9, "{before:?} {after:?}");
        }

        #[test]
        fn any_windows_and_settings_give_numbers(
            windows in prop::collection::vec(any::<(u64, u64, u64, u64, u64)>(), 0..20),
            (r0, floor, r1, ceiling) in any::<(f64, f64, f64, Option<f64>)>(),
            (phi, alpha, beta, min_errors, one_armed) in any::<(f64, f64, f64, u64, bool)>(),
        ) {
            let config = RatioConfig { r0, floor, pass_ratio: r1, ceiling, phi, alpha, beta, min_errors, one_armed };
            let mut state = RatioState::new();
            for (kc, nc, kb, nb, seconds) in windows {
                state.observe(&config, Counts { kc, nc, kb, nb }, seconds);
                if seconds % 3 == 0 {
                    state.begin_epoch();
                }
            }
            let seen = state.assess(&config);
            prop_assert!(seen.log_e_fail.is_finite() && seen.log_e_pass.is_finite(), "{seen:?}");
            prop_assert!((0.0..=1.0).contains(&seen.p) && (0.0..=1.0).contains(&seen.p_ratio));
            prop_assert!((0.0..=1.0).contains(&seen.fail_share) && (0.0..=1.0).contains(&seen.pass_share));
            prop_assert!(serde_json::from_str::<RatioState>(&serde_json::to_string(&state).unwrap()).is_ok());
            prop_assert!(!seen.to_string().contains("NaN"));
            prop_assert_eq!(state.shares(&config), (seen.fail_share, seen.pass_share));
        }

        #[test]
        fn one_more_canary_error_never_helps_the_canary(
            windows in prop::collection::vec((0_u64..5, 20_u64..200, 0_u64..5, 20_u64..2000), 1..80), at in any::<prop::sample::Index>(),
        ) {
            let windows: Vec<Counts> = windows.into_iter().map(|(kc, nc, kb, nb)| Counts { kc, nc, kb, nb }).collect();
            let mut worse = windows.clone();
            worse[at.index(windows.len())].kc += 1;
            let (less, more) = (after(&windows).assess(&CONFIG), after(&worse).assess(&CONFIG));
            prop_assert!(more.log_e_fail >= less.log_e_fail - 1e-9);
            prop_assert!(more.log_e_pass <= less.log_e_pass + 1e-9);
        }

        #[test]
        fn cutting_windows_in_halves_changes_nothing(
            windows in prop::collection::vec((0_u64..5, 20_u64..200, 0_u64..5, 20_u64..2000), 1..30),
        ) {
            let (mut whole, mut halves) = (RatioState::new(), RatioState::new());
            for (kc, nc, kb, nb) in windows {
                let first = Counts { kc, nc, kb, nb: nb + kb };
                let second = Counts { kc: 1, kb: 0, ..first };
                whole.observe(&CONFIG, first.plus(second), 30);
                halves.observe(&CONFIG, first, 15);
                halves.observe(&CONFIG, second, 15);
            }
            let (one, two) = (whole.assess(&CONFIG), halves.assess(&CONFIG));
            prop_assert!((one.log_e_fail - two.log_e_fail).abs() < 1e-9 * (1.0 + one.log_e_fail.abs()));
            prop_assert!((one.log_e_pass - two.log_e_pass).abs() < 1e-9 * (1.0 + one.log_e_pass.abs()));
            prop_assert_eq!(one.counts, two.counts);
        }
    }
}
