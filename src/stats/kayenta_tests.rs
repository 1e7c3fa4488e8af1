//! Kayenta's formulas at their edges: ties, constants, few values, no values.

use proptest::prelude::*;

use super::*;

fn noisy(around: f64, count: usize) -> Vec<f64> {
    (0..count).map(|index| around * (1.0 + [0.03, -0.05, 0.01, 0.04, -0.02, -0.01, 0.02][index % 7])).collect()
}

#[test]
fn the_exact_distribution_is_that_of_tables() {
    // P(U <= 1) for 4 and 4 is 2/70; for 3 and 5 all 56 arrangements are counted.
    assert!((Exact::of(4, 4).at_most(1.0) - 2.0 / 70.0).abs() < 1e-15);
    let counts: Vec<f64> = Exact::of(3, 5).chances.iter().map(|chance| (chance * 56.0).round()).collect();
    assert_eq!(counts, [1.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 6.0, 6.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 1.0]);
    assert!((Exact::of(49, 49).at_most(2401.0) - 1.0).abs() < 1e-9);
}

#[test]
fn metrics_are_high_low_or_pass() {
    let only = |increase, decrease| Rules { increase, decrease, ..Rules::default() };
    let sized = Rules { allowed_increase: 1.5, allowed_decrease: 0.5, ..Rules::default() };
    let (high, low, pass) = (Classification::High, Classification::Low, Classification::Pass);
    for (canary, rules, class, why) in [
        (1.0, Rules::default(), pass, "alike"),
        (2.0, Rules::default(), high, "twice"),
        (0.5, Rules::default(), low, "half"),
        (2.0, only(false, true), pass, "a rise is no regression"),
        (0.5, only(true, false), pass, "a fall is no regression"),
        (1.3, sized, pass, "a rise that is allowed"),
        (1.6, sized, high, "a rise that is not"),
        (0.6, sized, pass, "a fall that is allowed"),
        (0.4, sized, low, "a fall that is not"),
    ] {
        assert_eq!(classify(&noisy(canary, 60), &noisy(1.0, 60), &rules).class, class, "{why}");
    }
}

#[test]
fn what_cannot_be_judged_is_no_data() {
    let nan = [f64::NAN; 30];
    for (canary, stable) in
        [(vec![], vec![]), (noisy(2.0, 30), vec![]), (vec![2.0, 2.1], vec![1.0, 1.1]), (nan.to_vec(), noisy(1.0, 30))]
    {
        let judged = classify(&canary, &stable, &Rules::default());
        assert_eq!((judged.class, judged.shift), (Classification::NoData, None), "{canary:?} {stable:?}");
    }
}

#[test]
fn values_that_never_change_are_compared_as_they_are() {
    let of = |canary: f64, stable: f64| classify(&[canary; 20], &[stable; 20], &Rules::default()).class;
    assert_eq!((of(0.0, 0.0), of(5.0, 5.0)), (Classification::Pass, Classification::Pass));
    assert_eq!(of(6.0, 5.0), Classification::High);
    assert_eq!(of(5.0, 6.0), Classification::Low);
}

#[test]
fn outliers_are_those_beyond_the_fences() {
    let data = [21.0, 23.0, 24.0, 25.0, 50.0, 29.0, 23.0, 21.0];
    assert_eq!(outliers(&data, 1.5), [50.0]);
    assert_eq!(without_outliers(&data, 1.5).len(), 7);
    assert_eq!((outliers(&[], 1.5), without_outliers(&[7.0], 1.5)), (vec![], vec![7.0]));
}

#[test]
fn scores_are_weighted_by_group() {
    let group = |passed, judged, weight| Group { passed, judged, weight };
    for (groups, points) in [
        (vec![group(3, 4, None)], Some(75.0)),
        (vec![group(1, 1, Some(60.0)), group(0, 1, Some(40.0))], Some(60.0)),
        (vec![group(1, 1, Some(60.0)), group(0, 1, None)], Some(60.0)),
        (vec![group(1, 1, None), group(0, 2, None)], Some(50.0)),
        (vec![group(1, 1, Some(10.0)), group(0, 0, Some(90.0))], Some(100.0)),
        (vec![group(0, 0, None)], None),
        (vec![], None),
        (vec![group(1, 1, Some(0.0))], None),
    ] {
        assert_eq!(score(&groups), points, "{groups:?}");
    }
}

proptest! {
    #[test]
    fn it_is_total(x in proptest::collection::vec(any::<f64>(), 0..70), y in proptest::collection::vec(any::<f64>(), 0..70),
                   p in any::<f64>(), confidence in any::<f64>()) {
        let judged = classify(&x, &y, &Rules::default());
        prop_assert!((0.0..=1.0).contains(&judged.p));
        let _ = shift(&x, &y, confidence);
        let _ = percentile(&x, p);
        let _ = outliers(&x, p);
    }

    /// Exchanging the samples turns everything around.
    #[test]
    fn the_test_is_symmetric(x in proptest::collection::vec(-9_i8..9, 1..30), y in proptest::collection::vec(-9_i8..9, 1..30)) {
        let [x, y] = [x, y].map(|values| values.into_iter().map(f64::from).collect::<Vec<f64>>());
        let (one, other) = (mann_whitney(&x, &y).unwrap(), mann_whitney(&y, &x).unwrap());
        prop_assert_eq!(one.u + other.u, (x.len() * y.len()) as f64);
        prop_assert!((one.p() - other.p()).abs() < 1e-9);
        let shifts = (shift(&x, &y, 0.9), shift(&y, &x, 0.9));
        if let (Some(one), Some(other)) = shifts {
            prop_assert!((one.estimate + other.estimate).abs() < 1e-9 && one.low <= one.estimate && one.estimate <= one.high);
        }
    }
}
