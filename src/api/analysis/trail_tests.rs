use proptest::prelude::*;

use super::*;

fn counts(bad: u64, total: u64) -> TrailWindow {
    TrailWindow::Counts { canary: [bad, total], stable: [bad / 2, total.saturating_mul(9)] }
}

/// Windows of 15 seconds from second 1,000 on, each with its evidence: how many were there before.
fn filled(windows: u64) -> Trail {
    let mut trail = Trail::default();
    for window in 0..windows {
        let end = 1_015 + 15 * i64::try_from(window).unwrap();
        let evidence = TrailEvidence { fail: window as f64 / 1e3, pass: 0.0, interval: Some((1.0, Some(2.0))) };
        trail.take(end, 15, counts(1, 100), || evidence);
    }
    trail
}

#[test]
fn a_full_trail_merges_pairs_and_loses_no_count() {
    for (windows, points, every) in
        [(1, 1, 15), (60, 60, 15), (61, 31, 30), (120, 60, 30), (121, 31, 60), (5760, 45, 1920)]
    {
        let trail = filled(windows);
        assert_eq!((trail.at.len(), trail.every), (points, every), "{windows}");
        assert_eq!(trail.canary_bad.iter().sum::<u64>(), windows);
        assert_eq!(trail.stable_total.iter().sum::<u64>(), 900 * windows);
        let shown = trail.points();
        assert_eq!(shown.first().unwrap().from.as_second(), 1_000);
        assert_eq!(shown.last().unwrap().at.as_second(), 1_000 + 15 * i64::try_from(windows).unwrap());
        assert!(shown.windows(2).all(|pair| pair[0].at == pair[1].from), "{shown:?}");
    }
}

/// The evidence of a point is that after its last window, also once points were merged.
#[test]
fn evidence_is_that_at_the_end_of_a_point() {
    let trail = filled(61);
    assert_eq!(trail.at[..2], [30, 60]);
    assert_eq!(trail.fail[..6], [0, 0, 0, 0, 1, 1], "of what is needed, in whole percent");
    let trail = filled(1_000);
    let ended = trail.at.iter().zip(&trail.fail).take(trail.at.len() - 1);
    for (at, fail) in ended {
        assert_eq!(u32::from(*fail), *at / 15 / 10, "{at}");
    }
}

#[test]
fn a_gap_stays_a_gap_and_a_window_is_taken_once() {
    let mut trail = filled(2);
    trail.take(1_030, 15, counts(9, 9), || panic!("taken before"));
    assert_eq!(trail, filled(2));
    trail.take(1_300, 15, counts(1, 100), TrailEvidence::default);
    let last = *trail.points().last().unwrap();
    assert_eq!((last.from.as_second(), last.at.as_second()), (1_285, 1_300));
}

#[test]
fn columns_that_do_not_belong_together_show_nothing_and_begin_anew() {
    for broken in [
        Trail { canary_bad: vec![1], ..filled(5) },
        Trail { fail: vec![], ..filled(5) },
        Trail { every: 0, ..filled(5) },
        Trail { at: vec![1; 1_000], fail: vec![0; 1_000], pass: vec![0; 1_000], ..Trail::default() },
    ] {
        assert!(broken.points().is_empty());
        let mut trail = broken;
        trail.take(1_015, 15, counts(1, 100), TrailEvidence::default);
        assert_eq!(trail.points().len(), 1);
    }
}

#[test]
fn a_hundred_percent_is_reached_not_rounded_to() {
    for (share, shown) in
        [(0.0, 0), (0.009, 0), (0.29, 29), (0.999_9, 99), (1.0, 100), (7.0, 100), (-1.0, 0), (f64::NAN, 0)]
    {
        assert_eq!(percent(share), shown, "{share}");
    }
}

#[test]
fn numbers_are_short() {
    for (value, shown) in [
        (0.123_456, "0.123"),
        (12.345_6, "12.3"),
        (123_456.0, "123000.0"),
        (0.000_1, "0.0"),
        (f64::NAN, "0.0"),
        (1.0, "1.0"),
        (-2.5, "-2.5"),
    ] {
        assert_eq!(serde_json::to_string(&rounded(value)).unwrap(), shown);
    }
}

/// A gauge's value may be of any size, and its digits count.
#[test]
fn small_values_that_are_compared_keep_their_digits() {
    for (value, shown) in [
        (0.000_212_34, "0.000212"),
        (0.000_012_345, "0.0000123"),
        (1.234_5e-9, "1.23e-9"),
        (-0.5, "-0.5"),
        (345_678_901.0, "346000000.0"),
        (1e-16, "0.0"),
        (f64::INFINITY, "0.0"),
    ] {
        assert_eq!(serde_json::to_string(&significant(value)).unwrap(), shown);
    }
}

#[test]
fn a_value_keeps_what_it_is_compared_with_and_one_without_it_stays_alone() {
    let mut trail = Trail::default();
    let windows = [
        TrailWindow::Value(5.0),
        TrailWindow::Compared { value: 6.0, reference: 0.002 },
        TrailWindow::Value(7.0),
        TrailWindow::Compared { value: 8.0, reference: 100.0 },
    ];
    for (minute, window) in windows.into_iter().enumerate() {
        trail.take(60 * (1 + minute as i64), 60, window, TrailEvidence::default);
    }
    assert_eq!(trail.points().iter().filter_map(|point| point.window).collect::<Vec<_>>(), windows);
    trail.merge_pairs();
    assert_eq!(trail.points().iter().filter_map(|point| point.window).collect::<Vec<_>>(), [windows[1], windows[3]]);
    let broken = Trail { reference: vec![1.0], ..trail };
    assert!(broken.points().is_empty());
}

proptest! {
    /// A day of any windows stays within the points and bytes, reads back as it is, and what is read back continues alike.
    #[test]
    fn any_windows_stay_small_and_a_restart_changes_nothing(
        windows in prop::collection::vec((1_i64..4, any::<[u64; 4]>(), any::<u8>(), any::<(f64, f64, f64)>()), 1..200),
        restart in any::<prop::sample::Index>(), length in 1_i64..120, kind in 0_u8..4,
    ) {
        let mut end = 1_000_000;
        let (mut whole, mut restarted) = (Trail::default(), Trail::default());
        let at = restart.index(windows.len());
        for (index, (gap, [a, b, c, d], shift, (fail, pass, low))) in windows.into_iter().enumerate() {
            end += gap * length;
            let window = match kind {
                0 => TrailWindow::Value(fail),
                1 => TrailWindow::Compared { value: fail, reference: pass },
                2 if shift % 2 == 0 => TrailWindow::Value(pass),
                2 => TrailWindow::Compared { value: pass, reference: low },
                _ => TrailWindow::Counts { canary: [a >> (shift % 60), b], stable: [c >> (shift % 50), d] },
            };
            let share = |value: f64| if value.is_finite() { value.abs().fract() } else { 0.0 };
            let evidence = TrailEvidence { fail: share(fail), pass: share(pass), interval: Some((share(low), None)) };
            whole.take(end, length, window, || evidence);
            restarted.take(end, length, window, || evidence);
            prop_assert!(whole.at.len() <= MOST_POINTS);
            let json = serde_json::to_string(&whole).unwrap();
            prop_assert!(json.len() <= MOST_BYTES || whole.at.len() == 1, "{} bytes", json.len());
            prop_assert_eq!(&serde_json::from_str::<Trail>(&json).unwrap(), &whole);
            prop_assert_eq!(whole.points().len(), whole.at.len());
            if index == at {
                // What is put on record holds the evidence of the point that is not complete yet.
                restarted.weigh(TrailEvidence { fail: 1.0, pass: 1.0, interval: None });
                restarted = serde_json::from_str(&serde_json::to_string(&restarted).unwrap()).unwrap();
            }
        }
        let last = TrailEvidence { fail: 0.5, pass: 0.25, interval: None };
        whole.weigh(last);
        restarted.weigh(last);
        prop_assert_eq!(whole, restarted);
    }
}
