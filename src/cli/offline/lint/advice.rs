//! Advice about files that work: weights that fall, a release that nothing judges, a query that Prometheus cannot read.

use super::promql::unbalanced;
use crate::api::{
    analysis::AnalysisTemplateSpec,
    common::Percent,
    rollout::RolloutSpec,
    strategy::{CanaryStrategy, Step},
    validate::Finding,
};

/// Advice about a Rollout.
pub(super) fn rollout(spec: &RolloutSpec) -> Vec<Finding> {
    let Some(canary) = &spec.strategy.canary else { return Vec::new() };
    let mut found = falling(canary);
    found.extend(unjudged(spec, canary));
    found
}

/// Advice about a template.
pub(super) fn template(spec: &AnalysisTemplateSpec) -> Vec<Finding> {
    let queries = spec.metrics.iter().enumerate().filter_map(|(index, metric)| {
        let threshold = metric.threshold.as_ref().map(|threshold| ("threshold", &threshold.query));
        let anomaly = metric.anomaly.as_ref().map(|anomaly| ("anomaly", &anomaly.query));
        let gauge = metric.gauge.as_ref().map(|gauge| ("gauge", &gauge.query));
        let (judge, query) = threshold.or(anomaly).or(gauge)?;
        let why = unbalanced(query)?;
        let path = format!("spec.metrics[{index}].{judge}.query");
        Some(Finding::warning(path, format!("Prometheus cannot read it: {why}")))
    });
    queries.collect()
}

/// A weight below an earlier one takes users back from the new version. 0 is a way to say just that. With sticky users it is an
/// error already.
fn falling(canary: &CanaryStrategy) -> Vec<Finding> {
    let mut found = Vec::new();
    if canary.sticky.is_some() {
        return found;
    }
    let mut reached = Percent::ZERO;
    for (index, step) in canary.steps.iter().enumerate() {
        let ramp = step.ramp.as_ref();
        let Some(begins) = step.set_weight.or(ramp.map(|ramp| ramp.from)) else { continue };
        if begins < reached && !begins.is_zero() {
            let field = if ramp.is_some() { "ramp.from" } else { "setWeight" };
            found.push(Finding::warning(
                format!("spec.strategy.canary.steps[{index}].{field}"),
                format!("the weight falls from {reached} to {begins}: users of the new version return to stable; weights usually rise"),
            ));
        }
        reached = ramp.map_or(begins, |ramp| ramp.to);
    }
    found
}

/// Weights that rise by time alone, without an analysis and without a person or a gate that could stop them.
fn unjudged(spec: &RolloutSpec, canary: &CanaryStrategy) -> Option<Finding> {
    let analysed = spec.analysis.as_ref().is_some_and(|analysis| !analysis.templates.is_empty());
    let decided = |step: &Step| {
        let waits = step.pause.as_ref().is_some_and(|pause| pause.duration.is_none());
        waits || step.gate.is_some() || step.analysis.is_some() || step.observe.is_some()
    };
    let sends = |step: &Step| step.ramp.is_some() || step.set_weight.is_some_and(|weight| !weight.is_zero());
    let alone = !analysed && !canary.steps.iter().any(decided) && canary.steps.iter().any(sends);
    alone.then(|| {
        Finding::warning(
            "spec.strategy.canary.steps",
            "nothing judges the new version: its weight rises by time alone; set spec.analysis.templates, for example \
             golden-signals, and add an observe step",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn said(spec: Value) -> Vec<String> {
        let spec: RolloutSpec = serde_json::from_value(spec).unwrap();
        rollout(&spec).iter().map(|one| format!("{}: {}", one.path, one.message)).collect()
    }

    fn steps(steps: Value) -> Value {
        json!({"strategy": {"canary": {"steps": steps}}, "analysis": {"templates": [{"name": "errors"}]}})
    }

    #[test]
    fn weights_that_fall_are_pointed_at() {
        let found = said(steps(
            json!([{"setWeight": 25}, {"setWeight": 20}, {"ramp": {"from": 10, "to": 50, "by": 10, "every": "1m"}}]),
        ));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("spec.strategy.canary.steps[1].setWeight: the weight falls from 25 % to 20 %"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with("spec.strategy.canary.steps[2].ramp.from: the weight falls from 20 % to 10 %"),
            "{found:?}"
        );
        let mut sticky = steps(json!([{"setWeight": 25}, {"setWeight": 20}]));
        sticky["strategy"]["canary"]["sticky"] = json!({"cookie": "release"});
        assert_eq!(said(sticky), Vec::<String>::new(), "an error says it");
        assert!(
            said(steps(json!([{"setWeight": 25}, {"setWeight": 0}, {"setWeight": 25}, {"setWeight": 25}]))).is_empty()
        );
    }

    #[test]
    fn a_release_that_nothing_judges_is_pointed_at() {
        let alone = |more: Value| json!({"strategy": {"canary": {"steps": [{"setWeight": 25}, more]}}});
        let found = said(alone(json!({"pause": {"duration": "5m"}})));
        assert!(found.len() == 1 && found[0].contains("nothing judges the new version"), "{found:?}");
        for judged in
            [json!({"pause": {}}), json!({"gate": {"name": "ok"}}), json!({"analysis": {"templates": [{"name": "a"}]}})]
        {
            assert!(said(alone(judged.clone())).is_empty(), "{judged}");
        }
        assert!(said(steps(json!([{"setWeight": 25}]))).is_empty());
        assert!(said(json!({"strategy": {"canary": {}}})).is_empty());
    }

    #[test]
    fn a_query_that_cannot_be_read_is_pointed_at() {
        let spec =
            json!({"metrics": [{"name": "a", "threshold": {"query": "sum(rate(a[5m])", "success": "result < 1"}}]});
        let found = template(&serde_json::from_value(spec).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].message, "Prometheus cannot read it: `(` at character 4 is not closed");
    }
}
