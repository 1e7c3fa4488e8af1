//! One minute's values of both arms, out of what a source says of all pods.

use serde::{Deserialize, Serialize};

use crate::{
    api::analysis::{Arms, GaugeMetric, GaugePer},
    evidence::{
        format,
        plan::Answered,
        query::{Answer, ArmCounts, PodValue, Query},
    },
    stats::gauge::{Minute, Spread},
};

/// An arm in one minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arm {
    /// What is compared, above 0: the mean of the pods, or their sum by request.
    value: f64,
    pods: u32,
    /// Requests, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) requests: Option<u64>,
    #[serde(skip)]
    spread: Option<Spread>,
}

impl Arm {
    /// What is compared.
    pub(super) fn value(&self) -> f64 {
        self.value
    }

    /// `312 (3 pods)`, `0.0021 per request (3 pods)`.
    pub(super) fn shown(&self, metric: &GaugeMetric) -> String {
        let per = if metric.per.unwrap_or_default() == GaugePer::Request { " per request" } else { "" };
        let plural = if self.pods == 1 { "" } else { "s" };
        format!("{}{per} ({} pod{plural})", format::number(self.value), self.pods)
    }
}

/// A minute that has no ratio.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Missing {
    /// What was the matter.
    pub(super) why: String,
    pub(super) canary_is_there: bool,
    pub(super) stable_is_there: bool,
}

/// Both arms, or why the minute has no ratio. An error where the source did not answer.
pub(super) fn read(
    metric: &GaugeMetric,
    pods: &Answered,
    requests: Option<&Answered>,
) -> Result<Result<(Arm, Arm), Missing>, String> {
    let (Query::Pods(query), Answer::Pods(values)) = (&pods.query, pods.result.as_ref().map_err(Clone::clone)?) else {
        return Err("got another answer than values of pods".to_owned());
    };
    let [canary, stable] = match requests {
        None => [None, None],
        Some(counted) => match counted.result.as_ref().map_err(Clone::clone)? {
            Answer::Increments { canary, stable, .. } => [canary, stable].map(|arm| Some(total(*arm))),
            _ => return Err("got another answer than counts of requests".to_owned()),
        },
    };
    let Arms { namespace, canary: new, stable: old, .. } = &query.arms;
    let canary = arm(metric, "canary", &of_workload(values, namespace, new), canary);
    let stable = arm(metric, "stable", &of_workload(values, namespace, old), stable);
    let (canary_is_there, stable_is_there) = (canary.is_ok(), stable.is_ok());
    let missing = |why| Missing { why, canary_is_there, stable_is_there };
    Ok(canary.and_then(|canary| Ok((canary, stable?))).map_err(missing))
}

/// As the test takes it.
pub(super) fn minute(canary: &Arm, stable: &Arm) -> Minute {
    Minute { canary: canary.value, stable: stable.value, canary_pods: canary.pods, stable_spread: stable.spread }
}

fn total(counts: Option<ArmCounts>) -> u64 {
    counts.unwrap_or_default().total
}

/// A pod is called like its ReplicaSet and five characters more.
fn of_workload<'a>(values: &'a [PodValue], namespace: &str, workload: &str) -> Vec<&'a PodValue> {
    let of = |pod: &&PodValue| {
        let here = pod.namespace.is_empty() || pod.namespace == namespace;
        here && pod.pod.rsplit_once('-').is_some_and(|(set, _)| set == workload)
    };
    values.iter().filter(of).collect()
}

/// The arm's value, or why it has none that can be compared.
fn arm(metric: &GaugeMetric, side: &str, pods: &[&PodValue], requests: Option<u64>) -> Result<Arm, String> {
    let mut names: Vec<&str> = pods.iter().map(|pod| pod.pod.as_str()).collect();
    names.sort_unstable();
    if let Some([twice, _]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
        return Err(format!("pod {twice} has several series; aggregate them, as in sum by (namespace, pod) (...)"));
    }
    let values: Vec<f64> = pods.iter().map(|pod| pod.value).filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return Err(format!("no pod of {side} has a value"));
    }
    if values.iter().any(|value| *value < 0.0) {
        return Err(format!("{side} has a negative value, which has no ratio; use a threshold"));
    }
    let sum: f64 = values.iter().sum();
    let divided = match metric.per.unwrap_or_default() {
        GaugePer::Pod => sum / values.len() as f64,
        GaugePer::Request => match requests.unwrap_or(0) {
            0 => return Err(format!("{side} had no request")),
            requests => sum / requests as f64,
        },
    };
    if !(divided > 0.0 && divided.is_finite()) {
        return Err(format!("the value of {side} is 0, which has no ratio"));
    }
    let pods = u32::try_from(values.len()).unwrap_or(u32::MAX);
    Ok(Arm { value: divided, pods, requests, spread: Spread::of(&values) })
}
