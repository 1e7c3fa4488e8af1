//! One scenario with many seeds: how it ended how often, how long that took, and what it cost the users.

use std::sync::Mutex;

use serde_json::{Value, json};

use super::{
    read::{Loaded, no_rollout},
    report::Played,
    tell,
};
use crate::{
    cli::{
        exit::CliError,
        render::{
            paint::{Paint, Tone},
            progress::Progress,
        },
    },
    evidence::grouped,
    sim::{
        Millis, Player, Setting,
        trace::{Failure, Release, Trace},
    },
};

/// Plays a setting with many seeds on all processors, until one play costs too much; the stories in the order of their seeds.
pub fn stories(
    setting: &Setting,
    first: u64,
    runs: u32,
    progress: &Progress,
    play: impl Fn(Player) -> Trace + Sync,
) -> Vec<Trace> {
    let next = Mutex::new(0_u32);
    let told: Mutex<Vec<Trace>> = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = {
                        let mut next = next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                        let number = *next;
                        *next = next.saturating_add(1);
                        number
                    };
                    if number >= runs {
                        return;
                    }
                    let Some(player) = Player::new(setting, Some(first.wrapping_add(u64::from(number)))) else {
                        return;
                    };
                    let story = play(player.for_statistics());
                    // The others would cost as much.
                    if story.failure.as_ref().is_some_and(Failure::is_too_much) {
                        *next.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = runs;
                    }
                    told.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(story);
                    progress.one_done();
                }
            });
        }
    });
    let mut stories = told.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    stories.sort_by_key(|story| story.seed);
    stories
}

/// Runs a scenario with many seeds, and what is printed of it.
pub(super) fn play(loaded: &Loaded, seed: Option<u64>, runs: u32, paint: Paint) -> Result<(Played, String), CliError> {
    if loaded.setting.rollout.is_none() {
        return Err(no_rollout(&loaded.name));
    }
    if let Some(why) = loaded.skipped() {
        return Ok((Played::skipped(&loaded.name, why), format!("{}  skipped: {why}\n", loaded.name)));
    }
    let first = seed.or(loaded.setting.scenario.world.seed).unwrap_or(1);
    let progress = Progress::begins();
    progress.next(loaded.name.as_str(), runs);
    let stories = stories(&loaded.setting, first, runs, &progress, Player::play);
    let failed: Vec<&Trace> = stories.iter().filter(|story| !story.passed()).collect();
    let releases: Vec<&Release> = stories.iter().filter_map(|story| story.releases.last()).collect();
    let shares = Shares::of(&releases);
    let mut text = format!(
        "{}  {} runs, seeds {first} to {}\n",
        paint.text(Tone::Strong, &loaded.name),
        grouped(u64::from(runs)),
        first.wrapping_add(u64::from(runs) - 1)
    );
    let passed = stories.len() - failed.len();
    text +=
        &format!("  expectations       met in {} of {} runs\n", grouped(passed as u64), grouped(stories.len() as u64));
    if !releases.is_empty() {
        text += &shares.text();
    }
    if let Some(story) = failed.first()
        && let Some(failure) = &story.failure
    {
        text += &format!("\n  the first that failed:\n{}", tell::failure(loaded, story.seed, failure, paint));
    }
    let first_failure = failed.first().and_then(|story| {
        Some(json!({ "seed": story.seed, "failure": tell::failure_json(loaded, story.failure.as_ref()?) }))
    });
    let value = json!({
        "file": loaded.name, "runs": runs, "firstSeed": first, "passed": passed, "lastRelease": shares.json(),
        "firstFailure": first_failure,
    });
    let broken = failed.first().and_then(|story| Some((story.seed, story.failure.as_ref()?)));
    let why = broken.map(|(seed, failure)| tell::failure(loaded, seed, failure, Paint { on: false }));
    Ok((Played::of(&loaded.name, value, why), text))
}

/// How releases ended, how long they took, and what they cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shares {
    /// How many releases.
    pub all: usize,
    /// By outcome, the most frequent first; `held` and `still under way` among them.
    pub outcomes: Vec<(String, usize)>,
    /// The median and the 90th percentile of the time to the outcome, where there was one.
    pub times: Option<(Millis, Millis)>,
    /// Requests that met the new version, on average.
    pub requests: f64,
    /// Errors that it answered, on average.
    pub errors: f64,
}

impl Shares {
    /// Counts.
    pub fn of(releases: &[&Release]) -> Shares {
        let mut outcomes: Vec<(String, usize)> = Vec::new();
        for release in releases {
            let word = word(release);
            match outcomes.iter_mut().find(|(known, _)| *known == word) {
                Some((_, count)) => *count += 1,
                None => outcomes.push((word, 1)),
            }
        }
        outcomes.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), word.clone()));
        let mut times: Vec<Millis> = releases.iter().filter_map(|r| Some(r.ended? - r.at)).collect();
        times.sort_unstable();
        let mean = |sum: u64| sum as f64 / releases.len().max(1) as f64;
        Shares {
            all: releases.len(),
            outcomes,
            times: quantile(&times, 0.5).zip(quantile(&times, 0.9)),
            requests: mean(releases.iter().map(|release| release.answered.total).sum()),
            errors: mean(releases.iter().map(|release| release.answered.bad).sum()),
        }
    }

    /// The share of an outcome.
    pub fn share(&self, outcome: &str) -> f64 {
        let count = self.outcomes.iter().find(|(word, _)| word == outcome).map_or(0, |(_, count)| *count);
        count as f64 / self.all.max(1) as f64
    }

    fn text(&self) -> String {
        let percent = |count: usize| format!("{:.1} %", 100.0 * count as f64 / self.all.max(1) as f64);
        let outcomes: Vec<String> =
            self.outcomes.iter().map(|(word, count)| format!("{word} {}", percent(*count))).collect();
        let mut text = format!("  the last release   {}\n", outcomes.join(", "));
        if let Some((half, most)) = self.times {
            text += &format!("  time to its end    p50 {}, p90 {}\n", tell::clock(half), tell::clock(most));
        }
        text + &format!(
            "  its requests       {} on average, {:.1} of them errors\n",
            grouped(self.requests.round() as u64),
            self.errors
        )
    }

    /// For scripts.
    pub fn json(&self) -> Value {
        let shares = self.outcomes.iter().map(|(word, _)| (word.clone(), json!(self.share(word))));
        json!({
            "releases": self.all,
            "outcomes": Value::Object(shares.collect()),
            "secondsToOutcome": self.times.map(|(half, most)| json!({
                "p50": half as f64 / 1000.0, "p90": most as f64 / 1000.0,
            })),
            "requests": self.requests,
            "errors": self.errors,
        })
    }
}

/// How a release ended, as an API value.
fn word(release: &Release) -> String {
    let outcome = release.outcome.and_then(|outcome| serde_json::to_value(outcome).ok());
    match outcome.as_ref().and_then(Value::as_str) {
        Some(word) => word.to_owned(),
        None if release.held => "held".to_owned(),
        None => "under way".to_owned(),
    }
}

fn quantile(sorted: &[Millis], share: f64) -> Option<Millis> {
    let index = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::status::Outcome, evidence::ArmCounts};

    #[test]
    fn shares_times_and_costs_are_counted() {
        let release = |outcome, ended| Release {
            image: "a".into(),
            at: 1_000,
            outcome,
            held: outcome.is_none(),
            ended,
            answered: ArmCounts { bad: 1, total: 10 },
            before: ArmCounts::default(),
        };
        let all = [
            release(Some(Outcome::Promoted), Some(61_000)),
            release(Some(Outcome::Promoted), Some(121_000)),
            release(Some(Outcome::Aborted), Some(31_000)),
            release(None, None),
        ];
        let shares = Shares::of(&all.iter().collect::<Vec<_>>());
        assert_eq!((shares.share("Promoted"), shares.share("Aborted"), shares.share("held")), (0.5, 0.25, 0.25));
        assert_eq!(shares.times, Some((60_000, 120_000)));
        assert_eq!((shares.requests, shares.errors), (10.0, 1.0));
        assert_eq!(Shares::of(&[]).times, None);
    }
}
