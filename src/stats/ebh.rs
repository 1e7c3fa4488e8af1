//! Which of several metrics moved: the e-BH procedure, which bounds the expected share of false ones among those named (the
//! false discovery rate) whatever the metrics have to do with each other.
//!
//! Source: Wang and Ramdas, "False discovery rate control with e-values" (JRSS B, 2022). Of K e-values, the largest k is taken
//! for which the k-th largest is at least K/(k alpha); those k metrics are named.
//!
//! ```
//! use glidepath::stats::ebh::moved;
//!
//! let ln = f64::ln;
//! assert_eq!(moved(&[ln(90.0), ln(45.0), ln(1.0)], 0.05), [true, true, false]);
//! assert_eq!(moved(&[ln(45.0), ln(1.0), ln(1.0)], 0.05), [false, false, false]);
//! ```

/// Which metrics moved, by the logarithms of their e-values; none where alpha is no chance.
#[must_use]
pub fn moved(log_e: &[f64], alpha: f64) -> Vec<bool> {
    let mut sorted: Vec<f64> = log_e.iter().copied().filter(|log| !log.is_nan()).collect();
    sorted.sort_unstable_by(|one, other| other.total_cmp(one));
    let count = log_e.len() as f64;
    let reaches = |(index, log): &(usize, &f64)| **log >= (count / ((*index + 1) as f64 * alpha)).ln();
    let last = sorted.iter().enumerate().rev().find(reaches).map(|(_, log)| *log);
    log_e.iter().map(|log| last.is_some_and(|last| *log >= last)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_later_rank_may_carry_an_earlier_one() {
        // 4 metrics at 5 %: 80, 40, 27, 20. The largest alone would not reach 80.
        let e = [41.0_f64, 42.0, 1.0, 0.1].map(f64::ln);
        assert_eq!(moved(&e, 0.05), [true, true, false, false]);
    }

    #[test]
    fn one_metric_is_the_usual_test() {
        assert_eq!(moved(&[20.0_f64.ln() + 1e-12], 0.05), [true]);
        assert_eq!(moved(&[19.9_f64.ln()], 0.05), [false]);
        assert_eq!(moved(&[], 0.05), Vec::<bool>::new());
    }

    proptest! {
        #[test]
        fn any_numbers_give_an_answer(e in proptest::collection::vec(any::<f64>(), 0..9), alpha in any::<f64>()) {
            prop_assert_eq!(moved(&e, alpha).len(), e.len());
        }

        #[test]
        fn more_evidence_names_no_fewer(e in proptest::collection::vec(-5.0..9.0_f64, 1..9), more in 0.0..5.0_f64) {
            let named = |e: &[f64]| moved(e, 0.05).into_iter().filter(|moved| *moved).count();
            let mut higher = e.clone();
            higher[0] += more;
            prop_assert!(named(&higher) >= named(&e));
        }
    }
}
