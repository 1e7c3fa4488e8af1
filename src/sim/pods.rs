//! Pods in virtual time: they take time to start, crash, are scraped, and count what they answer.
//!
//! Each pod is one series per counter, as a Prometheus sees it: read at scrape times of its own, gone when the pod is
//! gone, back at zero when its process restarts. What a window's increments are follows analysis.md section 2.

use crate::{api::metadata::PodMetadata, evidence::ArmCounts};

use super::{rng::Rng, time::Millis};

/// A sample stays good for so long when nothing newer comes (Prometheus' lookback).
const LOOKBACK: Millis = 300_000;
/// Samples are kept for so long: longer than any window that is read back.
const KEPT: Millis = 7_200_000;

/// What a pod counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PodCounts {
    /// Its answers.
    pub answers: ArmCounts,
    /// Users who came, each counted once.
    pub users: u64,
    /// Those of them who converted.
    pub converted: u64,
}

/// How a version's answers turn out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// The share of errors.
    pub errors: f64,
    /// How many errors come at once.
    pub burst: u64,
    /// The share of users who convert.
    pub conversion: f64,
}

impl Rates {
    /// Draws errors where so many are expected: with bursts their variance is so many times their mean.
    fn draw_errors(&self, expected: f64, dice: &mut Rng) -> u64 {
        let burst = self.burst.max(1);
        burst * dice.poisson(expected / burst as f64)
    }
}

/// What is sent to a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sent {
    /// Users' requests a second.
    pub rate: f64,
    /// Mirrored requests per second: they are counted, and responses are discarded.
    pub copies: f64,
    /// How many of the users' requests are a user's first.
    pub first: f64,
}

impl Sent {
    /// Requests of ever new users.
    pub fn users(rate: f64) -> Sent {
        Sent { rate, first: 1.0, ..Sent::default() }
    }
}

/// A scrape of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    at: Millis,
    counts: PodCounts,
}

/// One pod.
#[derive(Clone, Debug)]
pub struct Pod {
    /// Counts all pods of the world.
    pub serial: u64,
    /// The version that it runs: an index among the world's versions.
    pub version: usize,
    /// When it becomes ready; `None`: never.
    pub ready_at: Option<Millis>,
    /// When it was created.
    pub born: Millis,
    /// What it carries for its revision's role.
    pub metadata: PodMetadata,
    /// How often its container was restarted.
    pub restarts: u32,
    /// Whether that was an OOM kill the last time.
    pub was_oom_killed: bool,
    /// What reaches it now.
    pub sent: Sent,
    counts: PodCounts,
    samples: Vec<Sample>,
    next_scrape: Millis,
    /// How many requests are expected since the last draw: of users, those that are a user's first, and copied ones.
    expected: f64,
    expected_first: f64,
    expected_copies: f64,
    /// When it went.
    ended: Option<Millis>,
}

impl Pod {
    /// A new pod; scrapes come every `interval`, at a phase of its own.
    pub fn new(serial: u64, version: usize, born: Millis, ready_at: Option<Millis>, first_scrape: Millis) -> Self {
        Pod {
            serial,
            version,
            ready_at,
            born,
            metadata: PodMetadata::default(),
            restarts: 0,
            was_oom_killed: false,
            sent: Sent::default(),
            counts: PodCounts::default(),
            samples: Vec::new(),
            next_scrape: first_scrape,
            expected: 0.0,
            expected_first: 0.0,
            expected_copies: 0.0,
            ended: None,
        }
    }

    /// Its unique id in the API server.
    pub fn uid(&self) -> String {
        format!("pod-{}", self.serial)
    }

    /// Whether it is ready.
    pub fn is_ready(&self, now: Millis) -> bool {
        self.ready_at.is_some_and(|at| at <= now)
    }

    /// It goes: nothing reaches it any more, and its series end.
    pub fn end(&mut self, now: Millis) {
        self.sent = Sent::default();
        self.ended = Some(now);
    }

    /// The process dies and starts again: its counters begin at zero.
    pub fn crash(&mut self, ready_at: Option<Millis>) {
        self.ready_at = ready_at;
        self.counts = PodCounts::default();
    }

    /// Lets time pass from `from` to `to` at the present rate, with its scrapes. Gives what was answered.
    pub fn pass(&mut self, from: Millis, to: Millis, rates: Rates, interval: Millis, dice: &mut Rng) -> ArmCounts {
        let mut answered = ArmCounts::default();
        let mut at = from;
        while self.next_scrape <= to {
            self.expect(at, self.next_scrape);
            answered = sum(answered, self.draw(rates, dice));
            at = self.next_scrape;
            self.samples.push(Sample { at, counts: self.counts });
            self.next_scrape += interval;
        }
        self.expect(at, to);
        self.forget(to);
        answered
    }

    fn expect(&mut self, from: Millis, to: Millis) {
        let seconds = (to - from) as f64 / 1000.0;
        self.expected += self.sent.rate * seconds;
        self.expected_first += self.sent.rate * self.sent.first * seconds;
        self.expected_copies += self.sent.copies * seconds;
    }

    /// Draws what was expected since the last draw, and gives what users were answered. Bad and good requests are independent
    /// Poisson streams.
    pub fn draw(&mut self, rates: Rates, dice: &mut Rng) -> ArmCounts {
        let copies = std::mem::take(&mut self.expected_copies);
        if copies > 0.0 {
            let bad = rates.draw_errors(copies * rates.errors, dice);
            let copied = ArmCounts { bad, total: bad + dice.poisson(copies * (1.0 - rates.errors)) };
            self.counts.answers = sum(self.counts.answers, copied);
        }
        if self.expected <= 0.0 {
            return ArmCounts::default();
        }
        let bad = self.draw_users(rates.errors, rates, dice, true);
        let good = self.draw_users(1.0 - rates.errors, rates, dice, false);
        (self.expected, self.expected_first) = (0.0, 0.0);
        let drawn = ArmCounts { bad, total: bad + good };
        self.counts.answers = sum(self.counts.answers, drawn);
        drawn
    }

    /// Draws the requests of one kind: those of new users who convert, of other new users, and of users who were here before.
    /// Together they are as many as were expected, and who converts is drawn for each user alone.
    fn draw_users(&mut self, share: f64, rates: Rates, dice: &mut Rng, bad: bool) -> u64 {
        let (expected, first) = (self.expected * share, self.expected_first * share);
        let mut draw = |mean: f64| if bad { rates.draw_errors(mean, dice) } else { dice.poisson(mean) };
        let converted = if rates.conversion > 0.0 { draw(first * rates.conversion) } else { 0 };
        let users = converted + draw(first * (1.0 - rates.conversion));
        self.counts.converted += converted;
        self.counts.users += users;
        users + if first < expected { draw(expected - first) } else { 0 }
    }

    fn forget(&mut self, now: Millis) {
        if self.samples.len() > 1024 {
            let old = self.samples.partition_point(|sample| sample.at < now - KEPT);
            self.samples.drain(..old);
        }
    }

    /// How many samples are kept.
    pub fn kept(&self) -> u64 {
        self.samples.len() as u64
    }

    /// The counters as an evaluation at `at` finds them.
    fn value(&self, at: Millis) -> Option<PodCounts> {
        if self.ended.is_some_and(|ended| ended <= at) {
            return None;
        }
        let after = self.samples.partition_point(|sample| sample.at <= at);
        let sample = self.samples.get(after.checked_sub(1)?)?;
        (sample.at > at - LOOKBACK).then_some(sample.counts)
    }

    /// What it counted in the window that ends at `end`; `None` when it has no say in it.
    pub fn increments(&self, end: Millis, window: Millis, warm_up: Millis) -> Option<PodCounts> {
        let now = self.value(end)?;
        let before = self.value(end - window)?;
        if warm_up > 0 {
            self.value(end - warm_up)?;
        }
        let increment = |now: u64, before: u64| match now {
            _ if now >= before => now - before,
            _ if now * 2 < before => now, // a reset
            _ => 0,
        };
        let (answers, earlier) = (now.answers, before.answers);
        Some(PodCounts {
            answers: ArmCounts {
                bad: increment(answers.bad, earlier.bad),
                total: increment(answers.total, earlier.total),
            },
            users: increment(now.users, before.users),
            converted: increment(now.converted, before.converted),
        })
    }

    /// Whether it has series at this time, and had them so long before.
    pub fn has_series(&self, at: Millis, warm_up: Millis) -> bool {
        self.value(at).is_some() && (warm_up == 0 || self.value(at - warm_up).is_some())
    }

    /// All requests that its counters show at this time.
    pub fn requests_until(&self, at: Millis) -> Option<u64> {
        self.value(at).map(|counts| counts.answers.total)
    }

    /// What it counted in the window that ends at `end`, whether or not it was there at both ends; `None` when it was not
    /// there at all, as far as its samples reach back.
    pub fn counted(&self, end: Millis, window: Millis) -> Option<PodCounts> {
        let last = |at: Millis| {
            let after = self.samples.partition_point(|sample| sample.at <= at);
            self.samples.get(after.checked_sub(1)?)
        };
        let now = last(end).filter(|sample| sample.at > end - window)?.counts;
        // A pod begins with nothing counted; of a window that is older than all samples the first of them is its beginning.
        let first = self.samples.first().filter(|_| window > KEPT);
        let before = last(end - window).or(first).map(|sample| sample.counts).unwrap_or_default();
        let less = |now: u64, before: u64| if now >= before { now - before } else { now };
        Some(PodCounts {
            answers: ArmCounts {
                bad: less(now.answers.bad, before.answers.bad),
                total: less(now.answers.total, before.answers.total),
            },
            users: less(now.users, before.users),
            converted: less(now.converted, before.converted),
        })
    }

    /// Whether nothing can ask about it any more.
    pub fn is_forgotten(&self, now: Millis) -> bool {
        self.samples.last().is_none_or(|sample| sample.at < now - KEPT)
    }
}

/// Both together.
pub fn sum(one: ArmCounts, other: ArmCounts) -> ArmCounts {
    ArmCounts { bad: one.bad + other.bad, total: one.total + other.total }
}

/// The same of all that pods count.
pub fn sum_counts(one: PodCounts, other: PodCounts) -> PodCounts {
    PodCounts {
        answers: sum(one.answers, other.answers),
        users: one.users + other.users,
        converted: one.converted + other.converted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pod with ten requests a second from its birth at 0 on, scraped every 5 s from 2 s on.
    fn pod(seconds: Millis) -> (Pod, Rng) {
        let mut dice = Rng::new(1, 1);
        let mut pod = Pod::new(1, 0, 0, Some(0), 2_000);
        pod.sent = Sent::users(10.0);
        pod.pass(0, seconds * 1000, Rates { errors: 0.5, burst: 1, conversion: 0.1 }, 5_000, &mut dice);
        (pod, dice)
    }

    #[test]
    fn windows_add_up_to_what_was_counted() {
        let (pod, _) = pod(600);
        let windows =
            (1..40).filter_map(|n| pod.increments(n * 15_000, 15_000, 0)).fold(PodCounts::default(), sum_counts);
        let (first, last) = (pod.value(15_000).unwrap(), pod.value(39 * 15_000).unwrap());
        let PodCounts { answers, users, converted } = windows;
        assert_eq!(users, answers.total, "every request is another user's");
        assert_eq!(answers.total, last.answers.total - first.answers.total, "the first has nothing to compare with");
        assert!((5_000..6_500).contains(&answers.total) && answers.bad.abs_diff(answers.total / 2) < 200);
        assert!(converted.abs_diff(answers.total / 10) < 120, "{converted} of {}", answers.total);
    }

    #[test]
    fn errors_in_bursts_have_the_mean_and_a_larger_variance() {
        let mut dice = Rng::new(3, 1);
        let rates = Rates { errors: 0.1, burst: 5, ..Rates::default() };
        let drawn: Vec<f64> = (0..4_000)
            .map(|_| {
                let mut pod = Pod::new(1, 0, 0, Some(0), 20_000);
                pod.sent = Sent::users(10.0);
                pod.pass(0, 10_000, rates, 60_000, &mut dice);
                pod.draw(rates, &mut dice).bad as f64
            })
            .collect();
        let mean = drawn.iter().sum::<f64>() / 4_000.0;
        let variance = drawn.iter().map(|bad| (bad - mean).powi(2)).sum::<f64>() / 4_000.0;
        assert!((mean - 10.0).abs() < 0.5 && (variance - 50.0).abs() < 6.0, "mean {mean}, variance {variance}");
    }

    #[test]
    fn a_young_pod_has_no_say_and_a_vanished_one_drops_out() {
        let (pod, _) = pod(100);
        assert_eq!(pod.increments(10_000, 15_000, 0), None, "there is no sample to compare with");
        assert_eq!(pod.increments(60_000, 15_000, 120_000), None, "warm-up");
        assert!(pod.increments(60_000, 15_000, 50_000).is_some());
        assert_eq!(pod.increments(97_000 + LOOKBACK, 15_000, 0), None);
    }

    #[test]
    fn a_crash_is_a_reset_and_counts_what_came_after() {
        let (mut pod, mut dice) = pod(58);
        pod.crash(Some(58_000));
        pod.pass(58_000, 75_000, Rates::default(), 5_000, &mut dice);
        let window = pod.increments(75_000, 15_000, 0).unwrap();
        let since = pod.value(75_000).unwrap();
        assert_eq!(window, since, "the old count is gone");
        assert!((100..190).contains(&window.answers.total), "{window:?}");
    }
}
