//! The latency judge: is the canary slower? The error rate judge asked of "slower than this bound" at several bounds.
//!
//! At each bound of the buckets a restart mixture tests whether more of the canary's requests are slower than of stable's.
//! Their average is an e-process too, whatever the bounds have to do with each other: a slower canary shows at the bounds
//! where it is slower, and those where it is not cost a constant factor. A Pass is about one bound, the SLO's.
//!
//! Source: averages of e-processes are e-processes (Vovk and Wang, "E-values: calibration, combination and applications",
//! 2021). Example: 4 of 300 requests above 500 ms against 5 of 2,700 are ln E = 2.0 alone; averaged with two bounds that
//! show nothing they are ln E = 0.94 (vector `lat-01`).

use serde::{Deserialize, Serialize};

use super::epochs::Epochs;
use super::grid::log_mean_exp;
use super::pass::PassEvidence;
use super::restart::RestartMixture;
use super::sequence::{Interval, RatioLikelihood};
use super::state::share;
use super::{config::RatioConfig, counts::Counts};

/// The displayed interval has a level of 95 %, whatever alpha the verdict spends.
const SHOWN_ALPHA: f64 = 0.05;
/// Weight epochs that each bound keeps apart.
const MOST_EPOCHS: usize = 4;

/// What one window showed at one bound.
#[derive(Clone, Copy, Debug)]
pub struct Slow {
    /// How the bound is judged. Only its accepted ratio may change from window to window.
    pub config: RatioConfig,
    /// Slow requests out of all; `None` where the buckets do not show them.
    pub window: Option<Counts>,
}

/// What the latency judge knows after some windows. Use it with the same bounds, in time order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LatencyState {
    bounds: Vec<AtBound>,
    /// Highest ln E there has been.
    highest: f64,
    /// The bound that had the largest E when the Fail bound was reached.
    fired: Option<usize>,
    pass: PassEvidence,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AtBound {
    fail: RestartMixture,
    epochs: Epochs,
}

/// The state of the evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyAssessment {
    /// ln E towards Fail, now.
    pub log_e_fail: f64,
    /// Always-valid p-value of it: min(1, 1/max E).
    pub p: f64,
    /// How much of the evidence that would fail is there, 0 to 1.
    pub fail_share: f64,
    /// The bound with the largest E: when it failed, or now. `None` before the first window.
    pub bound: Option<usize>,
    /// Slow requests at that bound.
    pub counts: Counts,
    /// The most likely ratio there; `None` without slow requests of stable.
    pub ratio: Option<f64>,
    /// Its 95 % confidence sequence.
    pub interval: Option<Interval>,
    /// Requests and slow ones of this weight epoch, at the bound of the Pass.
    pub epoch_counts: Counts,
    /// About how many more canary requests a Pass takes at the rates seen so far; `None` where these lead to none.
    pub canary_requests_needed: Option<u64>,
}

impl LatencyState {
    /// Takes in the next window: at each bound, and at the bound of the Pass.
    pub fn observe(&mut self, bounds: &[Slow], pass: &Slow, window_seconds: u64) {
        self.bounds.resize_with(bounds.len(), AtBound::default);
        let mut slow = false;
        for (known, new) in self.bounds.iter_mut().zip(bounds) {
            let Some(window) = new.window.and_then(|window| usable(&new.config, window)) else { continue };
            known.epochs.add(window);
            known.fail.observe(&new.config, window, window_seconds);
            slow |= window.kc > 0;
        }
        if slow {
            self.note_bound(bounds);
        }
        if let Some(window) = pass.window.and_then(|window| usable(&pass.config, window)) {
            self.pass.observe(&pass.config, window);
            self.pass.note_bound(&pass.config);
        }
    }

    /// The settled route set changed: Pass evidence is reset, Fail evidence continues to accumulate.
    pub fn begin_epoch(&mut self) {
        self.pass = PassEvidence::default();
        self.bounds.iter_mut().for_each(|bound| bound.epochs.begin(MOST_EPOCHS));
    }

    /// Whether a window so far reached the Fail bound, with enough slow canary requests at the bound with the largest E.
    #[must_use]
    pub const fn fails(&self) -> bool {
        self.fired.is_some()
    }

    /// Whether a window of this weight epoch reached the Pass bound.
    #[must_use]
    pub const fn passes(&self) -> bool {
        self.pass.passed
    }

    /// Requests and slow ones of this weight epoch, at the bound of the Pass.
    #[must_use]
    pub const fn epoch_counts(&self) -> Counts {
        self.pass.counts
    }

    /// The state of the evidence; `bounds` holds how each bound is judged, `pass` how the Pass is.
    #[must_use]
    pub fn assess(&self, bounds: &[RatioConfig], pass: &RatioConfig) -> LatencyAssessment {
        let logs = self.logs(bounds.iter());
        let log_e_fail = log_mean_exp(&logs);
        let bound = self.fired.or_else(|| largest(&logs));
        let shown = bound.and_then(|bound| Some((self.bounds.get(bound)?, bounds.get(bound)?)));
        let config = shown.map_or(RatioConfig::DEFAULT, |(_, config)| *config);
        let epochs = shown.map_or(&[][..], |(at, _)| at.epochs.all());
        let likelihood = RatioLikelihood::new(epochs, config.phi());
        LatencyAssessment {
            log_e_fail,
            p: (-self.highest).exp().min(1.0),
            fail_share: if self.fails() { 1.0 } else { share(log_e_fail, config.fail_bound()) },
            bound,
            counts: epochs.iter().copied().sum(),
            ratio: likelihood.most_likely().filter(|_| !config.one_armed),
            interval: likelihood.interval(SHOWN_ALPHA).filter(|_| !config.one_armed),
            epoch_counts: self.pass.counts,
            canary_requests_needed: self.pass.canary_requests_needed(pass),
        }
    }

    /// How much of the evidence that would fail, and of that which would pass, is there (0 to 1): what [`Self::assess`] says,
    /// at a part of its price.
    #[must_use]
    pub fn shares(&self, bounds: &[RatioConfig], pass: &RatioConfig) -> (f64, f64) {
        let first = bounds.first().filter(|_| !self.fails());
        let fail = first.map_or(f64::from(u8::from(self.fails())), |config| {
            share(log_mean_exp(&self.logs(bounds.iter())), config.fail_bound())
        });
        let passed = if self.passes() { 1.0 } else { share(self.pass.log_e(pass, 1.0), pass.pass_bound()) };
        (fail, passed)
    }

    fn logs<'c>(&self, configs: impl Iterator<Item = &'c RatioConfig>) -> Vec<f64> {
        self.bounds.iter().zip(configs).map(|(bound, config)| bound.fail.log_e(config)).collect()
    }

    /// Evidence may fall again, and the verdict may be asked for later than it rose.
    fn note_bound(&mut self, bounds: &[Slow]) {
        let logs = self.logs(bounds.iter().map(|bound| &bound.config));
        let log_e = log_mean_exp(&logs);
        self.highest = self.highest.max(log_e);
        let at = largest(&logs).and_then(|at| Some((at, self.bounds.get(at)?, bounds.get(at)?)));
        let Some((at, bound, Slow { config, .. })) = at else { return };
        if self.fired.is_none() && log_e >= config.fail_bound() && bound.epochs.total().kc >= config.min_errors {
            self.fired = Some(at);
        }
    }
}

/// The window as it is judged, if it says something.
fn usable(config: &RatioConfig, window: Counts) -> Option<Counts> {
    let window = if config.one_armed { Counts { kb: 0, nb: 0, ..window } } else { window };
    (window.is_comparable() || config.one_armed && window.nc > 0).then(|| window.clamped())
}

fn largest(logs: &[f64]) -> Option<usize> {
    logs.iter().enumerate().max_by(|one, other| one.1.total_cmp(other.1)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CONFIG: RatioConfig = RatioConfig { floor: 0.0, ceiling: Some(0.01), ..RatioConfig::DEFAULT };

    fn slow(kc: u64, kb: u64) -> Slow {
        Slow { config: CONFIG, window: Some(Counts { kc, nc: 75, kb, nb: 675 }) }
    }

    fn unseen() -> Slow {
        Slow { config: CONFIG, window: None }
    }

    fn after(windows: usize, bounds: &[Slow], pass: Slow) -> (LatencyState, LatencyAssessment) {
        let mut state = LatencyState::default();
        (0..windows).for_each(|_| state.observe(bounds, &pass, 15));
        let configs: Vec<RatioConfig> = bounds.iter().map(|bound| bound.config).collect();
        let seen = state.assess(&configs, &pass.config);
        (state, seen)
    }

    #[test]
    fn a_slower_canary_fails_at_the_bound_that_shows_it() {
        let (state, seen) = after(12, &[slow(30, 270), slow(10, 27), slow(0, 1)], slow(10, 27));
        assert!(state.fails() && !state.passes(), "{seen:?}");
        assert_eq!((seen.bound, seen.counts), (Some(1), Counts { kc: 120, nc: 900, kb: 324, nb: 8100 }));
        assert!(seen.p <= CONFIG.alpha && seen.fail_share == 1.0 && seen.interval.unwrap().low > 2.0, "{seen:?}");
    }

    #[test]
    fn shares_are_those_of_the_assessment() {
        for (windows, bounds) in
            [(0, [slow(0, 0); 2]), (3, [slow(10, 27), slow(0, 1)]), (12, [slow(30, 270), slow(10, 27)])]
        {
            let (state, seen) = after(windows, &bounds, slow(3, 27));
            let (fail, pass) = state.shares(&bounds.map(|bound| bound.config), &CONFIG);
            assert_eq!(fail, seen.fail_share, "{windows}");
            assert_eq!(pass == 1.0, state.passes());
        }
        assert!(after(5, &[slow(3, 27)], slow(0, 1)).0.shares(&[CONFIG], &CONFIG).1 > 0.0);
    }

    #[test]
    fn an_equal_canary_passes_at_the_bound_of_the_slo() {
        let (state, seen) = after(30, &[slow(30, 270), slow(3, 27)], slow(0, 1));
        assert!(!state.fails() && state.passes(), "{seen:?}");
        assert_eq!((seen.canary_requests_needed, seen.epoch_counts.nc), (Some(0), 30 * 75));
    }

    #[test]
    fn no_window_is_no_evidence() {
        let none = Slow { config: CONFIG, window: Some(Counts { kc: 9, nc: 9, kb: 0, nb: 0 }) };
        let (state, seen) = after(5, &[unseen(), none], none);
        assert!(!state.fails() && !state.passes());
        assert_eq!((seen.log_e_fail, seen.p, seen.counts, seen.ratio), (0.0, 1.0, Counts::default(), None));
        assert_eq!(after(0, &[], unseen()).1.bound, None);
    }

    #[test]
    fn a_bound_that_the_buckets_hide_costs_its_share_only() {
        let alone = after(8, &[slow(10, 27)], unseen()).1.log_e_fail;
        let beside = after(8, &[slow(10, 27), unseen()], unseen()).1.log_e_fail;
        assert!((beside - ((alone.exp() + 1.0) / 2.0).ln()).abs() < 1e-9, "{alone} {beside}");
    }

    #[test]
    fn two_slow_requests_never_fail() {
        let two = Slow { window: Some(Counts { kc: 2, nc: 3, kb: 0, nb: 1_000_000 }), ..unseen() };
        let (state, seen) = after(1, &[two], unseen());
        assert!(seen.log_e_fail > CONFIG.fail_bound() && !state.fails(), "{seen:?}");
    }

    #[test]
    fn a_new_epoch_starts_pass_evidence_anew_and_keeps_fail_evidence() {
        let (mut state, before) = after(30, &[slow(3, 27)], slow(0, 1));
        state.begin_epoch();
        let fresh = state.assess(&[CONFIG], &CONFIG);
        assert!(!state.passes() && fresh.epoch_counts == Counts::default());
        assert_eq!((fresh.log_e_fail, fresh.counts), (before.log_e_fail, before.counts));
    }

    #[test]
    fn without_a_baseline_the_rate_before_is_the_floor() {
        let config = RatioConfig { floor: 1.25 * 0.04, one_armed: true, ..CONFIG };
        let window = |kc| Slow { config, window: Some(Counts { kc, nc: 75, kb: 0, nb: 0 }) };
        assert!(after(12, &[window(10)], window(10)).0.fails());
        let (state, seen) = after(40, &[window(3)], window(0));
        assert!(!state.fails() && state.passes() && seen.ratio.is_none(), "{seen:?}");
    }

    #[test]
    fn a_day_at_the_most_bounds_stays_small_and_reads_back() {
        let mut state = LatencyState::default();
        let bounds: Vec<Slow> =
            (0..super::super::bounds::MOST_BOUNDS as u64).map(|bound| slow(bound % 4, 20 + bound)).collect();
        for minute in 0..1440 {
            if minute % 40 == 0 {
                state.begin_epoch();
            }
            state.observe(&bounds, &bounds[0], 60);
        }
        let json = serde_json::to_string(&state).unwrap();
        assert!(json.len() < 24 * 1024, "{} bytes", json.len());
        let back: LatencyState = serde_json::from_str(&json).unwrap();
        let configs = vec![CONFIG; bounds.len()];
        let (one, two) = (state.assess(&configs, &CONFIG), back.assess(&configs, &CONFIG));
        assert!((one.log_e_fail - two.log_e_fail).abs() < 1e-9 && one.counts == two.counts, "{one:?}\n{two:?}");
    }

    proptest! {
        #[test]
        fn one_more_slow_canary_request_never_helps_the_canary(
            windows in prop::collection::vec((0_u64..5, 0_u64..40), 1..30), at in any::<prop::sample::Index>(),
        ) {
            let (mut less, mut more) = (LatencyState::default(), LatencyState::default());
            let changed = at.index(windows.len());
            for (number, (kc, kb)) in windows.iter().enumerate() {
                less.observe(&[slow(*kc, *kb), slow(1, 9)], &slow(*kc, *kb), 15);
                let kc = kc + u64::from(number == changed);
                more.observe(&[slow(kc, *kb), slow(1, 9)], &slow(kc, *kb), 15);
            }
            let log_e = |state: &LatencyState| state.assess(&[CONFIG; 2], &CONFIG).log_e_fail;
            prop_assert!(log_e(&more) >= log_e(&less) - 1e-9, "{} {}", log_e(&less), log_e(&more));
        }

        #[test]
        fn any_windows_and_settings_give_numbers(
            windows in prop::collection::vec(any::<(u64, u64, u64, u64, bool)>(), 0..20),
            (r0, floor, phi, alpha, one_armed) in any::<(f64, f64, f64, f64, bool)>(),
        ) {
            let config = RatioConfig { r0, floor, phi, alpha, one_armed, ..CONFIG };
            let mut state = LatencyState::default();
            for (kc, nc, kb, nb, shown) in windows {
                let one = Slow { config, window: shown.then_some(Counts { kc, nc, kb, nb }) };
                state.observe(&[one, one], &one, nc % 1000);
                if nb % 3 == 0 {
                    state.begin_epoch();
                }
            }
            let seen = state.assess(&[config; 2], &config);
            prop_assert!(seen.log_e_fail.is_finite() && (0.0..=1.0).contains(&seen.p), "{seen:?}");
            prop_assert!((0.0..=1.0).contains(&seen.fail_share));
            prop_assert!(serde_json::from_str::<LatencyState>(&serde_json::to_string(&state).unwrap()).is_ok());
        }
    }
}
