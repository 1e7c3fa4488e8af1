//! Whose pods are whose: two Rollouts of which one selects the other's pods are in each other's way (rule S7).

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kinds::CachedDeployment;
use crate::api::Rollout;

/// What a Rollout selects, and what its own pods are labelled with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    selector: LabelSelector,
    labels: BTreeMap<String, String>,
}

impl Selection {
    /// Of a Rollout with its own template, or of the Deployment that it refers to.
    pub fn of(rollout: &Rollout, workload: Option<&CachedDeployment>) -> Self {
        let spec = &rollout.spec;
        match (&spec.template, workload) {
            (Some(template), _) => {
                Selection { selector: spec.selector.clone().unwrap_or_default(), labels: labels(template) }
            }
            (None, Some(workload)) => {
                let template: Value = workload.template.read().unwrap_or_default();
                Selection { selector: workload.selector.clone(), labels: labels(&template) }
            }
            (None, None) => Selection::default(),
        }
    }

    /// Whether either selects the pods of the other.
    pub fn overlaps(&self, other: &Selection) -> bool {
        self.selects(other) || other.selects(self)
    }

    /// An empty selector would select everything; here it belongs to a workload that is not there.
    fn selects(&self, other: &Selection) -> bool {
        let empty = self.selector == LabelSelector::default() || other.labels.is_empty();
        let selector = Selector::try_from(self.selector.clone());
        !empty && selector.is_ok_and(|selector| selector.matches(&other.labels))
    }

    /// One label that every pod selected here bears, as `key=value`, for an index.
    pub fn demands(&self) -> Vec<String> {
        self.selector.match_labels.iter().flatten().map(pair).collect()
    }

    /// The labels of the pods, as `key=value`.
    pub fn offers(&self) -> Vec<String> {
        self.labels.iter().map(pair).collect()
    }
}

fn pair((key, value): (&String, &String)) -> String {
    format!("{key}={value}")
}

fn labels(template: &Value) -> BTreeMap<String, String> {
    let labels = template.pointer("/metadata/labels").cloned().unwrap_or_default();
    serde_json::from_value(labels).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selection(selector: Value, labels: Value) -> Selection {
        let spec = json!({"strategy": {"canary": {"steps": []}}, "selector": selector,
            "template": {"metadata": {"labels": labels}}});
        Selection::of(&Rollout::new("web", serde_json::from_value(spec).unwrap()), None)
    }

    #[test]
    fn s7_selectors_overlap_when_either_selects_the_others_pods() {
        let web = selection(json!({"matchLabels": {"app": "web"}}), json!({"app": "web", "tier": "front"}));
        let tier = selection(json!({"matchLabels": {"tier": "front"}}), json!({"tier": "front"}));
        let api = selection(json!({"matchLabels": {"app": "api"}}), json!({"app": "api", "tier": "back"}));
        let any_app =
            selection(json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]}), json!({"app": "any"}));
        for (one, other, expected) in [
            (&web, &tier, true),
            (&web, &api, false),
            (&tier, &api, false),
            (&any_app, &web, true),
            (&any_app, &tier, false),
            (&Selection::default(), &web, false),
        ] {
            assert_eq!(one.overlaps(other), expected, "{one:?} {other:?}");
            assert_eq!(other.overlaps(one), expected, "the other way round");
        }
    }
}
