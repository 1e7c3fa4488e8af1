//! How stable's pods counted over many windows, each for itself: one range query, in which the bad events and all events
//! are distinguished by the label `of`.

use std::collections::BTreeMap;

use super::{
    answer::Series,
    promql::{self, PromqlError},
    range::RangeAsk,
};
use crate::evidence::{Answer, ArmCounts, SpreadQuery};

/// Whether one query can answer both.
pub fn are_alike(one: &SpreadQuery, other: &SpreadQuery) -> bool {
    one.first_end == other.first_end && promql::are_alike(&one.window, &other.window)
}

/// The query for one or several questions that are alike; `None` where pods are not distinguished.
pub fn ask(queries: &[&SpreadQuery]) -> Result<Option<RangeAsk>, PromqlError> {
    let Some(first) = queries.first() else { return Err(PromqlError::NoCounter) };
    let all: Vec<_> = queries.iter().map(|query| &query.window).collect();
    let (Some(bad), Some(total)) = (promql::by_pods(&all, true)?, promql::by_pods(&all, false)?) else {
        return Ok(None);
    };
    let of = |name: &str, text: &str| format!(r#"label_replace({text}, "of", "{name}", "", "")"#);
    Ok(Some(RangeAsk {
        text: format!("{} or {}", of("bad", &bad), of("total", &total)),
        start: first.first_end,
        end: first.window.end,
        step_seconds: first.window.window_seconds,
    }))
}

/// One question's answer out of all series: those of its stable arm, window by window.
pub fn answer(query: &SpreadQuery, all: &[Series]) -> Result<Answer, PromqlError> {
    let (_, stable) = promql::arm_names(&query.window)?;
    let mut windows: BTreeMap<i64, BTreeMap<&str, ArmCounts>> = BTreeMap::new();
    for (labels, points) in all.iter().filter(|(labels, _)| labels.get("arm") == Some(&stable)) {
        let pod = labels.iter().find(|(label, _)| !matches!(label.as_str(), "arm" | "of"));
        let pod = pod.map_or("", |(_, name)| name.as_str());
        let bad = labels.get("of").is_some_and(|of| of == "bad");
        for (at, value) in points.iter().filter(|(_, value)| value.is_finite()) {
            let counts = windows.entry(*at).or_default().entry(pod).or_default();
            *(if bad { &mut counts.bad } else { &mut counts.total }) = value.round().max(0.0) as u64;
        }
    }
    Ok(Answer::Spread(Some(windows.into_values().map(|pods| pods.into_values().collect()).collect())))
}

#[cfg(test)]
#[path = "spread_tests.rs"]
mod tests;
