//! Properties of the gauge's e-value: its expectation, what no data says, what more of the same says.

use proptest::prelude::*;

use super::*;

/// The density of Student's t at `t`, up to a constant that the caller divides out.
fn student(t: f64, freedom: f64) -> f64 {
    (1.0 + t * t / freedom).powf(-(freedom + 1.0) / 2.0)
}

/// E[e] under the null, by quadrature over t = tan(angle): the integrand has no tails left.
#[test]
fn the_expectation_under_the_null_is_one() {
    const POINTS: u32 = 400_000;
    for n in [3.0, 5.0, 8.0, 12.0, 30.0] {
        for g in [0.5, 1.0, 3.0] {
            let (mut all, mut expected) = (0.0, 0.0);
            for point in 0..POINTS {
                let angle = ((f64::from(point) + 0.5) / f64::from(POINTS) - 0.5) * std::f64::consts::PI;
                let t = angle.tan();
                let weight = student(t, n - 1.0) / angle.cos().powi(2);
                all += weight;
                expected += weight * log_t_evidence(t, n, g).exp();
            }
            let expectation = expected / all;
            assert!((expectation - 1.0).abs() < 1e-3, "n {n}, g {g}: {expectation}");
        }
    }
}

#[test]
fn without_data_there_is_no_evidence() {
    let state = GaugeState::default();
    assert_eq!((state.log_e(), state.fails(), state.passes()), (0.0, false, false));
    let seen = state.assess(&GaugeConfig::DEFAULT);
    assert_eq!((seen.ratio, seen.interval, seen.p, seen.minutes_needed), (None, None, 1.0, None));
    assert_eq!(Series::default().test(PRIOR, Autocorrelation::Estimated).log_e, 0.0);
}

fn minute(canary: f64, stable: f64) -> Minute {
    Minute { canary, stable, canary_pods: 1, stable_spread: None }
}

/// Ratios that vary a little around `ratio`.
fn state(config: &GaugeConfig, ratio: f64, minutes: u32) -> GaugeState {
    let mut state = GaugeState::default();
    for index in 0..minutes {
        let noise = [0.97, 1.02, 1.0, 0.98, 1.03][index as usize % 5];
        state.observe(config, minute(100.0 * ratio * noise, 100.0));
    }
    state
}

#[test]
fn twice_as_much_fails_and_the_same_passes_after_the_fewest_minutes() {
    let config = GaugeConfig::DEFAULT;
    for (ratio, minutes, fails, passes) in [
        (2.0, 7, false, false),
        (2.0, 12, true, false),
        (1.0, 7, false, false),
        (1.0, 12, false, true),
        (1.2, 60, false, true),
        (1.3, 60, true, true),
    ] {
        let state = state(&config, ratio, minutes);
        assert_eq!((state.fails(), state.passes()), (fails, passes), "{ratio} over {minutes} minutes");
    }
    let lower = GaugeConfig { lower_is_worse: true, ..config };
    assert!(state(&lower, 0.5, 12).fails() && state(&lower, 2.0, 12).passes());
    assert!(!state(&config, 0.5, 12).fails());
}

#[test]
fn the_shown_ratio_is_canary_to_stable_and_lies_in_its_interval() {
    for (lower_is_worse, ratio) in [(false, 1.5), (true, 0.6)] {
        let config = GaugeConfig { lower_is_worse, ..GaugeConfig::DEFAULT };
        let seen = state(&config, ratio, 30).assess(&config);
        let (shown, interval) = (seen.ratio.unwrap(), seen.interval.unwrap());
        assert!((shown / ratio - 1.0).abs() < 0.02, "{seen:?}");
        assert!(interval.low < ratio && ratio < interval.high.unwrap(), "{seen:?}");
        assert!(seen.p < 0.05 && seen.fail_share == 1.0, "{seen:?}");
    }
}

/// A minute's noise is not known from values that do not change: they may be one old sample.
#[test]
fn values_that_never_change_are_one_sample_for_long() {
    let mut state = GaugeState::default();
    for _ in 0..40 {
        state.observe(&GaugeConfig::DEFAULT, minute(200.0, 100.0));
    }
    assert!(!state.fails());
    for _ in 0..60 {
        state.observe(&GaugeConfig::DEFAULT, minute(200.0, 100.0));
    }
    assert!(state.fails());
}

/// One canary pod that is as odd as stable's pods are among themselves is no regression.
#[test]
fn the_spread_between_pods_widens_the_tolerance() {
    let spread = Spread::of(&[60.0, 140.0, 100.0, 100.0]);
    assert!((spread.unwrap().deviation().unwrap() - 0.3266).abs() < 1e-3);
    let mut state = GaugeState::default();
    for index in 0..40 {
        let canary = [150.0, 155.0, 148.0][index % 3];
        state.observe(&GaugeConfig::DEFAULT, Minute { stable_spread: spread, ..minute(canary, 100.0) });
    }
    assert!(!state.fails());
    assert!((state.assess(&GaugeConfig::DEFAULT).tau - 0.9798).abs() < 1e-3);
    assert_eq!([Spread::of(&[1.0]), Spread::of(&[]), Spread::of(&[0.0, 0.0]), Spread::of(&[f64::NAN, 1.0])], [None; 4]);
}

#[test]
fn a_new_weight_begins_the_evidence_for_a_pass_anew() {
    let mut state = state(&GaugeConfig::DEFAULT, 1.0, 12);
    assert!(state.passes());
    state.begin_epoch();
    assert!(!state.passes() && state.assess(&GaugeConfig::DEFAULT).minutes == 12);
}

#[test]
fn a_forecast_says_when_it_passes() {
    let noisy = [0.6, 1.5, 0.8, 1.3, 0.7, 1.4, 0.9, 1.2];
    let mut state = GaugeState::default();
    let forecast = |state: &GaugeState| state.assess(&GaugeConfig::DEFAULT).minutes_needed;
    noisy.iter().for_each(|canary| state.observe(&GaugeConfig::DEFAULT, minute(*canary, 1.0)));
    let needed = forecast(&state).unwrap();
    assert!(needed > 1 && !state.passes(), "{needed}");
    let mut minutes = 0;
    while !state.passes() && minutes < 200 {
        state.observe(&GaugeConfig::DEFAULT, minute(noisy[minutes % 8], 1.0));
        minutes += 1;
    }
    assert!(minutes as u64 <= 3 * needed && needed <= 3 * minutes as u64, "forecast {needed}, was {minutes}");
    assert_eq!(forecast(&state), Some(0));
}

proptest! {
    #[test]
    fn more_of_a_t_is_more_evidence(t in 0.0_f64..50.0, more in 0.0_f64..50.0, n in 2.0_f64..500.0) {
        prop_assert!(log_t_evidence(t + more, n, PRIOR) >= log_t_evidence(t, n, PRIOR) - 1e-9);
        prop_assert_eq!(log_t_evidence(t, n, PRIOR), log_t_evidence(-t, n, PRIOR));
    }

    /// Whatever comes, there is neither a panic nor a NaN.
    #[test]
    fn it_is_total(values in proptest::collection::vec((any::<f64>(), any::<f64>(), any::<u32>()), 0..40),
                   tolerance in any::<f64>(), alpha in any::<f64>()) {
        let config = GaugeConfig { tolerance, alpha, beta: alpha, lower_is_worse: false };
        let mut state = GaugeState::default();
        for (canary, stable, canary_pods) in values {
            let stable_spread = Spread::of(&[canary, stable]);
            state.observe(&config, Minute { canary, stable, canary_pods, stable_spread });
        }
        let seen = state.assess(&config);
        prop_assert!(!state.log_e().is_nan() && !seen.p.is_nan() && seen.ratio.is_none_or(|ratio| !ratio.is_nan()));
        let kept: GaugeState = serde_json::from_value(serde_json::to_value(state).unwrap()).unwrap();
        prop_assert_eq!(kept.fails(), state.fails());
    }

    /// The confidence sequence holds the means whose evidence is below its level.
    #[test]
    fn the_interval_inverts_the_evidence(values in proptest::collection::vec(-1.0_f64..1.0, 8..60)) {
        let mut series = Series::default();
        values.iter().for_each(|value| series.add(*value));
        let test = series.test(PRIOR, Autocorrelation::Cautious);
        if let Some(half) = test.half_width(PRIOR, 0.05) {
            let t = half / (test.variance / test.n_effective).sqrt();
            prop_assert!((log_t_evidence(t, test.n_effective, PRIOR) - 20.0_f64.ln()).abs() < 1e-6);
        }
    }
}
