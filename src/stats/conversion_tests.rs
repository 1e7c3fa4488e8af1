//! Properties of the A/B judge; its vectors are in `tests/it/vectors.rs`, its gate in `tests/it/gates`.

use proptest::prelude::*;

use super::*;

const CONFIG: ConversionConfig = ConversionConfig { alpha: 0.05, difference: 0.05, planned_users: 20_000.0 };

fn counts(kc: u64, nc: u64, kb: u64, nb: u64) -> Counts {
    Counts { kc, nc, kb, nb }
}

fn seen(planned: Option<f64>, epochs: &[Counts]) -> ConversionSeen {
    let mut state = ConversionState::default();
    for epoch in epochs {
        state.begin_epoch(planned);
        state.observe(*epoch);
    }
    state.assess(&CONFIG)
}

fn decision(planned: Option<f64>, epochs: &[Counts]) -> Decision {
    seen(planned, epochs).decision
}

#[test]
fn nothing_counted_decides_nothing() {
    let nothing = seen(Some(0.5), &[Counts::default()]);
    assert_eq!((nothing.decision, nothing.difference), (Decision::Undecided, None));
    assert_eq!((nothing.better, nothing.users_needed), (None, None));
    assert_eq!(nothing.split.unwrap().log_e, 0.0);
    assert_eq!(ConversionState::default().assess(&CONFIG).decision, Decision::Undecided);
    assert_eq!(decision(None, &[counts(0, 0, 900, 10_000)]), Decision::Undecided, "no candidate");
}

#[test]
fn each_decision_is_reached_by_what_it_means() {
    let half = Some(0.5);
    assert_eq!(decision(half, &[counts(1210, 10_003, 1020, 10_003)]), Decision::CandidateWins);
    assert_eq!(decision(half, &[counts(1020, 10_003, 1210, 10_003)]), Decision::ControlWins);
    assert_eq!(decision(half, &[counts(40_000, 400_000, 40_050, 400_000)]), Decision::NoDifference);
    assert_eq!(decision(half, &[counts(1021, 10_003, 1020, 10_003)]), Decision::Undecided);
    assert_eq!(decision(half, &[counts(1210, 8_000, 1020, 10_003)]), Decision::Invalid);
    assert_eq!(decision(None, &[counts(1210, 8_000, 1020, 10_003)]), Decision::CandidateWins, "selects the variant");
}

#[test]
fn fewer_than_a_hundred_conversions_never_decide() {
    assert_eq!(decision(None, &[counts(99, 100, 1_000, 100_000)]), Decision::Undecided);
    assert_eq!(decision(None, &[counts(100, 101, 1_000, 100_000)]), Decision::CandidateWins);
    assert_eq!(decision(None, &[counts(0, 50_000, 99, 50_000)]), Decision::Undecided);
}

/// Simpson's paradox: in each epoch the variants convert alike; the weight moves while the mood does.
#[test]
fn a_change_of_weight_during_a_change_of_mood_is_no_effect() {
    let epochs = [counts(100, 1_000, 900, 9_000), counts(2_700, 9_000, 300, 1_000)];
    assert_eq!(decision(None, &epochs), Decision::Undecided);
    let together = epochs[0].plus(epochs[1]);
    assert_eq!(decision(None, &[together]), Decision::CandidateWins, "as one epoch it would look like a win");
    let pooled = seen(None, &epochs).difference.unwrap();
    assert!(pooled.value.abs() < 1e-15, "{pooled:?}");
}

#[test]
fn a_broken_split_stays_broken_and_names_its_numbers() {
    let mut state = ConversionState::default();
    state.begin_epoch(Some(0.5));
    state.observe(counts(500, 4_000, 600, 6_000));
    state.begin_epoch(Some(0.5));
    state.observe(counts(5_000, 50_000, 5_000, 50_000));
    let seen = state.assess(&CONFIG);
    let split = seen.split.unwrap();
    assert_eq!((seen.decision, split.candidate, split.total, split.planned), (Decision::Invalid, 4_000, 10_000, 0.5));
    assert!(split.log_e > 1000_f64.ln());
}

#[test]
fn an_epoch_of_one_variant_alone_says_nothing() {
    let compared = counts(1_210, 10_003, 1_020, 10_003);
    let alone = counts(0, 0, 9_000, 100_000);
    let (with, without) = (seen(None, &[compared, alone, Counts::default()]), seen(None, &[compared]));
    assert_eq!(with, without);
    assert_eq!(decision(None, &[counts(200, 400, 60, 400), alone]), Decision::Undecided, "60 conversions beside it");
}

#[test]
fn evidence_against_the_plan_adds_up_over_epochs() {
    let one = seen(Some(0.5), &[counts(0, 1_060, 0, 940)]).split.unwrap().log_e;
    let two = seen(Some(0.5), &[counts(0, 1_060, 0, 940), counts(0, 1_060, 0, 940)]).split.unwrap();
    assert!((two.log_e - 2.0 * one).abs() < 1e-9 && two.total == 2_000, "{two:?}");
}

#[test]
fn the_forecast_ends_where_a_decision_does() {
    for (kc, kb) in [(110, 100), (1_060, 1_000), (1_001, 1_000), (40, 50)] {
        let now = counts(kc, 10_000, kb, 10_000);
        let more = seen(None, &[now]).users_needed.unwrap();
        let times = 1.0 + more as f64 / 20_000.0;
        let then = |times: f64| {
            let grown = |count: u64| (count as f64 * times).ceil() as u64;
            decision(None, &[counts(grown(kc), grown(10_000), grown(kb), grown(10_000))])
        };
        assert_ne!(then(times * 1.02), Decision::Undecided, "{kc} and {kb} after {more} more");
        assert_eq!(then(times * 0.9), Decision::Undecided, "{kc} and {kb} earlier");
    }
    assert_eq!(seen(None, &[counts(0, 10, 3, 10)]).users_needed, None);
}

#[test]
fn the_belief_of_pooled_epochs_is_that_of_one_epoch_when_there_is_one() {
    let one = seen(None, &[counts(165, 4_000, 120, 4_000)]).better.unwrap();
    assert!((one.chance - 0.996_680_888_866_724).abs() < 1e-8, "{one:?}");
    let halves = seen(None, &[counts(165, 4_000, 120, 4_000), Counts::default()]).better.unwrap();
    assert_eq!(one, halves);
}

proptest! {
    #[test]
    fn no_counts_give_a_panic_or_a_number_that_is_none(
        epochs in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>()), 0..4),
        planned in prop::option::of(0.0_f64..=1.0),
    ) {
        let epochs: Vec<Counts> = epochs.into_iter().map(|(kc, nc, kb, nb)| counts(kc, nc, kb, nb)).collect();
        let seen = seen(planned, &epochs);
        if let Some(difference) = seen.difference {
            prop_assert!(difference.value.is_finite() && !difference.half_width.is_nan());
            prop_assert!((0.0..=1.0).contains(&difference.p));
        }
        prop_assert!(seen.split.is_none_or(|split| !split.log_e.is_nan()));
        prop_assert!(seen.better.is_none_or(|better| (0.0..=1.0).contains(&better.chance)));
    }

    /// Swapping the variants mirrors the answer.
    #[test]
    fn the_judge_favours_no_side(kc in 0_u64..2_000, nc in 2_000_u64..20_000, kb in 0_u64..2_000, nb in 2_000_u64..20_000) {
        let (there, back) = (seen(None, &[counts(kc, nc, kb, nb)]), seen(None, &[counts(kb, nb, kc, nc)]));
        let mirrored = match there.decision {
            Decision::CandidateWins => Decision::ControlWins,
            Decision::ControlWins => Decision::CandidateWins,
            other => other,
        };
        // What does not matter is measured against the control's share, which is the other one when mirrored.
        if there.decision != Decision::NoDifference && back.decision != Decision::NoDifference {
            prop_assert_eq!(mirrored, back.decision);
        }
        prop_assert!((there.difference.unwrap().value + back.difference.unwrap().value).abs() < 1e-12);
    }

    /// How a window is cut changes nothing.
    #[test]
    fn windows_of_an_epoch_add_up(windows in prop::collection::vec((0_u64..50, 0_u64..500, 0_u64..50, 0_u64..500), 1..40)) {
        let windows: Vec<Counts> = windows.into_iter().map(|(kc, nc, kb, nb)| counts(kc, nc, kb, nb)).collect();
        let mut state = ConversionState::default();
        state.begin_epoch(None);
        windows.iter().for_each(|window| state.observe(*window));
        let whole: Counts = windows.into_iter().sum();
        prop_assert_eq!(state.assess(&CONFIG), seen(None, &[whole]));
    }
}
