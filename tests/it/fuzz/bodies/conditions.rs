//! A condition of a threshold metric: what is taken when it is checked can be computed for every number.

use glidepath::expr::{Condition, check};

const RESULTS: [f64; 12] = [
    0.0,
    -0.0,
    0.5,
    1.0,
    -1.0,
    100.0,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];

/// Reads the bytes as a condition and evaluates it.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let checked = check(&text);
    let Ok(condition) = Condition::compile(&text) else {
        assert!(checked.is_err(), "`{text}` is checked but does not compile");
        return;
    };
    for result in RESULTS {
        let holds = condition.holds(result);
        assert_eq!(holds, condition.holds(result), "`{text}` at {result}");
    }
}
