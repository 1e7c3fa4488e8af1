//! A number that is compared with itself at the same time of earlier days.

use std::time::Duration;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::HumanDuration;

/// The fewest and the most seasons in a lookback: fewer are no history, more are as many queries.
const SEASONS: std::ops::RangeInclusive<u64> = 3..=28;
const DAY: Duration = Duration::from_secs(86_400);
/// The shortest season: what is usual is taken from 15 minutes around the same time of it.
const SHORTEST_SEASON: Duration = Duration::from_secs(2 * 3600);

/// A judge that compares a number with the same time of earlier days, 15 minutes around it, by the robust z score: the
/// distance from their median in units of their spread. It is anomalous when the score is beyond 3.5 in 3 of the last 5
/// minutes, above or below. No baseline is needed, so it also judges before the first traffic of a release and after the
/// switch of a blue-green one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnomalyMetric {
    /// The PromQL query with one number as its result, evaluated once a minute and over the history.
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
    /// After how long the number is expected to repeat itself, at least 2h. Default 1d; 7d for a number that differs between
    /// the days of a week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<HumanDuration>,
    /// How far back the history goes: 3 to 28 seasons. Default 7d, but at least 4 seasons and at most 28.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback: Option<HumanDuration>,
    /// What an anomaly does: `Hold` (the verdict is Inconclusive: no weight rises) or `Abort` (it is Fail). Default Hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_anomaly: Option<OnAnomaly>,
}

/// What an anomaly does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnAnomaly {
    /// The verdict is Inconclusive: the release waits.
    #[default]
    Hold,
    /// The verdict is Fail: the release fails.
    Abort,
}

impl AnomalyMetric {
    /// After how long the number repeats itself.
    pub fn season(&self) -> Duration {
        self.season.map_or(DAY, HumanDuration::get)
    }

    /// How far back the history goes.
    pub fn lookback(&self) -> Duration {
        let (fewest, most) = (self.season().saturating_mul(4), self.season().saturating_mul(28));
        self.lookback.map_or((7 * DAY).clamp(fewest, most), HumanDuration::get)
    }

    /// Invalid values, with their field.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let (season, lookback) = (self.season(), self.lookback());
        let mut problems = Vec::new();
        if self.query.trim().is_empty() {
            problems.push(("query", "is empty".to_owned()));
        }
        let is_whole = |duration: Duration| duration.subsec_nanos() == 0 && duration.as_secs().is_multiple_of(60);
        if !is_whole(season) || season < SHORTEST_SEASON {
            problems.push(("season", "must be a whole number of minutes, at least 2h".to_owned()));
        } else if !SEASONS.contains(&(lookback.as_secs() / season.as_secs().max(1))) {
            let (fewest, most) = (SEASONS.start(), SEASONS.end());
            problems.push(("lookback", format!("must be {fewest} to {most} times the season")));
        }
        problems
    }
}
