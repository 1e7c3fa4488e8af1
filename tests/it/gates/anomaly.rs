//! G15, the gate of the anomaly judge: 15 days of minutes with a daily course, 5 % of noise, and days that differ by 2 %.
//!
//! The first seven days are history only; 10 runs (80 judged days) a figure for false alarms, 300 for a rise by half that begins
//! at a random minute. The gate's noise correlates by 0.5 from minute to minute; how much more often noise that lasts longer
//! (0.8) is taken for an anomaly is measured too.

use glidepath::stats::anomaly::{Finding, Usual, anomalies, is_anomalous};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, Normal};

use super::{at_most, times};

const DAY: usize = 1_440;
const DAYS: usize = 15;
const SEASONS: usize = 7;
const AROUND: usize = 15;

/// Traffic by the minute: twice as much by day as by night. Its noise is correlated by so much from minute to minute.
fn minutes(rng: &mut StdRng, correlation: f64) -> Vec<f64> {
    let noise = Normal::new(0.0, 0.05 * (1.0 - correlation.powi(2)).sqrt()).unwrap();
    let days = Normal::new(0.0, 0.02).unwrap();
    let mut last = 0.0;
    let mut day = 0.0;
    (0..DAYS * DAY)
        .map(|minute| {
            if minute % DAY == 0 {
                day = days.sample(rng);
            }
            last = correlation * last + noise.sample(rng);
            let course = 0.35 * (std::f64::consts::TAU * (minute % DAY) as f64 / DAY as f64).sin();
            1_000.0 * (course + day + last).exp()
        })
        .collect()
}

/// The same time of the seven days before.
fn usual(minutes: &[f64], at: usize) -> Usual {
    let day = |back: usize| &minutes[at - back * DAY - AROUND..=at - back * DAY + AROUND];
    Usual::of(&(1..=SEASONS).map(day).collect::<Vec<_>>()).unwrap()
}

/// The first day with a whole history.
const FIRST: usize = SEASONS * DAY + AROUND;

/// False alarms a day.
fn alarms(correlation: f64) -> f64 {
    let runs = 10 * times() as usize;
    let mut rng = StdRng::seed_from_u64(15);
    let mut alarms = 0;
    for _ in 0..runs {
        let minutes = minutes(&mut rng, correlation);
        let scores: Vec<f64> = (FIRST..minutes.len()).map(|at| usual(&minutes, at).z(minutes[at])).collect();
        let on: Vec<bool> = (5..=scores.len()).map(|end| is_anomalous(&scores[..end])).collect();
        alarms += on.windows(2).filter(|pair| !pair[0] && pair[1]).count();
    }
    let days = (runs * (DAYS * DAY - FIRST)) as f64 / DAY as f64;
    alarms as f64 / days
}

#[test]
fn g15_false_alarms() {
    at_most("G15 false alarms a day", alarms(0.5), 0.3);
    at_most("G15 false alarms a day, noise that lasts", alarms(0.8), 0.8);
}

#[test]
fn g15_a_rise_by_half() {
    let runs = 300 * times() as usize;
    let mut rng = StdRng::seed_from_u64(16);
    let late = (0..runs)
        .filter(|_| {
            let mut minutes = minutes(&mut rng, 0.5);
            let onset = rng.random_range(FIRST..minutes.len() - 5);
            minutes[onset..].iter_mut().for_each(|value| *value *= 1.5);
            let days: Vec<&[f64]> =
                (1..=SEASONS).map(|back| &minutes[onset - back * DAY - AROUND..=onset - back * DAY + AROUND]).collect();
            !matches!(anomalies(&minutes[onset..onset + 5], &days), Finding::Anomalous { .. })
        })
        .count();
    at_most("G15 a rise by half takes over 5 minutes", late as f64 / runs as f64, 0.05);
}
