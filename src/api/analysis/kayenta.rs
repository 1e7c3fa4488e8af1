//! The canary configuration of Spinnaker's Kayenta, for people who move from it.

use std::collections::{BTreeMap, BTreeSet};

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::{HumanDuration, Percent};

/// The most points of one series.
pub const MOST_POINTS: u64 = 360;

/// A judge for canary configurations of Spinnaker's Kayenta: Mann-Whitney tests of several series, and a score of those that
/// pass. `Pass` at `pass`, `Inconclusive` from `marginal` up, `Fail` below. The bound on false aborts does not cover it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaMetric {
    /// The series that are compared.
    #[schemars(length(min = 1, max = 16))]
    pub metrics: Vec<KayentaSeries>,
    /// The weight of each group, 0 to 100; groups without one share what the others leave.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16))]
    pub group_weights: BTreeMap<String, u32>,
    /// The score of a Pass. Default 95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<Percent>,
    /// The score below which it fails, at any judgment. Default 75.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marginal: Option<Percent>,
    /// How long data is collected, from the end of the warm-up on. The last judgment decides. Default 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<HumanDuration>,
    /// The time between judgments. Default: one, at the end of the lifetime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// The time between points of a series, of which a lifetime has at most 360. Default 1m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<HumanDuration>,
}

/// A series that is compared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaSeries {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// A PromQL query with one series, in which `${scope}` stands for the ReplicaSet of canary or stable and `${location}`
    /// for the namespace, for example `avg(rate(errors_total{namespace="${location}",pod=~"${scope}-.*"}[1m]))`.
    #[schemars(length(min = 1, max = 8192))]
    pub query: String,
    /// Which way is a regression: `increase`, `decrease` or `either` (default).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<KayentaDirection>,
    /// What becomes of points without a number: `remove` (default), or `replace` by 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nan_strategy: Option<NanStrategy>,
    /// What becomes of points further than three interquartile ranges from the quartiles: `keep` (default) or `remove`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<Outliers>,
    /// Whether the score is 0 when this series fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub critical: bool,
    /// Whether there is no verdict when this series has too few points.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_have_data: bool,
    /// Its group. Default: the group without a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub group: Option<String>,
    /// Differences that are allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect_size: Option<EffectSize>,
}

/// Differences of the means that are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EffectSize {
    /// A mean below this multiple of stable's is no regression, for example 1.2. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1.0, max = 1000.0))]
    pub allowed_increase: Option<f64>,
    /// A mean above this multiple of stable's is no regression, for example 0.8. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub allowed_decrease: Option<f64>,
}

/// Which way a series gets worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KayentaDirection {
    /// More is worse.
    Increase,
    /// Less is worse.
    Decrease,
    /// Both are.
    #[default]
    Either,
}

/// What becomes of points without a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NanStrategy {
    /// They are left out.
    #[default]
    Remove,
    /// They are 0: of a series that has none while nothing happens.
    Replace,
}

/// What becomes of outliers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outliers {
    /// They count.
    #[default]
    Keep,
    /// They are left out.
    Remove,
}

impl KayentaMetric {
    /// Seconds between points.
    pub fn step_seconds(&self) -> u64 {
        self.step.map_or(60, |step| step.get().as_secs()).max(1)
    }

    /// Seconds of data.
    pub fn lifetime_seconds(&self) -> u64 {
        self.lifetime.map_or(3600, |lifetime| lifetime.get().as_secs())
    }

    /// Seconds between judgments.
    pub fn interval_seconds(&self) -> u64 {
        self.interval.map_or(self.lifetime_seconds(), |interval| interval.get().as_secs()).max(1)
    }

    /// Invalid values, with their field.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut add = |field: String, problem: String| problems.push((field, problem));
        let mut names = BTreeSet::new();
        if self.metrics.is_empty() {
            add("metrics".into(), "set at least one".into());
        }
        for (index, series) in self.metrics.iter().enumerate() {
            let field = |name: &str| format!("metrics[{index}].{name}");
            if !names.insert(series.name.as_str()) {
                add(field("name"), format!("there are two metrics \"{}\"", series.name));
            }
            if !series.query.contains("${scope}") {
                let problem = "does not contain ${scope}, so it would be the same for canary and stable";
                add(field("query"), problem.into());
            }
            let size = series.effect_size.unwrap_or_default();
            if size.allowed_increase.is_some_and(|size| !(1.0..=1000.0).contains(&size)) {
                add(field("effectSize.allowedIncrease"), "must be from 1 to 1000".into());
            }
            if size.allowed_decrease.is_some_and(|size| !(0.0..=1.0).contains(&size)) {
                add(field("effectSize.allowedDecrease"), "must be from 0 to 1".into());
            }
        }
        let groups: BTreeSet<&str> = self.metrics.iter().filter_map(|series| series.group.as_deref()).collect();
        for group in self.group_weights.keys().filter(|group| !groups.contains(group.as_str())) {
            add("groupWeights".into(), format!("no metric is in the group \"{group}\""));
        }
        if self.group_weights.values().map(|weight| u64::from(*weight)).sum::<u64>() > 100 {
            add("groupWeights".into(), "add up to more than 100".into());
        }
        if self.marginal.unwrap_or(Percent::whole(75)) > self.pass.unwrap_or(Percent::whole(95)) {
            add("marginal".into(), "must be at most pass".into());
        }
        let times = [("step", self.step), ("interval", self.interval), ("lifetime", self.lifetime)];
        for (field, time) in times {
            if time.is_some_and(|time| time.get().is_zero() || time.get().subsec_nanos() != 0) {
                add(field.into(), "is not a whole number of seconds, at least 1s".into());
            }
        }
        if self.lifetime_seconds() / self.step_seconds() > MOST_POINTS {
            add("step".into(), format!("a lifetime has more than {MOST_POINTS} points; set a longer step"));
        }
        if self.interval_seconds() < self.step_seconds() || self.interval_seconds() > self.lifetime_seconds() {
            add("interval".into(), "must be at least step and at most lifetime".into());
        }
        problems
    }
}
