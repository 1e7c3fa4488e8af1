//! Objects of other tools that are taken for ours: whose they are, and what ours is called.

use crate::{
    api::{crds, validate::Finding},
    yaml::Document,
};

const OURS: &str = "glidepath.dev/v1alpha1";

/// A delivery tool.
struct Tool {
    group: &'static str,
    /// Its name with the apostrophe.
    whose: &'static str,
    /// Its kinds, with what they are called here.
    kinds: &'static [(&'static str, &'static str)],
}

const TOOLS: [Tool; 2] = [
    Tool {
        group: "flagger.app",
        whose: "Flagger's",
        kinds: &[("Canary", "Rollout"), ("MetricTemplate", "AnalysisTemplate"), ("AlertProvider", "")],
    },
    Tool {
        group: "argoproj.io",
        whose: "Argo Rollouts'",
        kinds: &[
            ("Rollout", "Rollout"),
            ("AnalysisTemplate", "AnalysisTemplate"),
            ("ClusterAnalysisTemplate", "ClusterAnalysisTemplate"),
            ("AnalysisRun", "AnalysisRun"),
            ("Experiment", ""),
        ],
    },
];

/// What is said of an object that is not ours: that it is another tool's, or has a kind of ours and not our version.
pub(super) fn mistaken(document: &Document) -> Option<Finding> {
    let kind = document.text("/kind").unwrap_or_default();
    let Some(version) = document.text("/apiVersion") else {
        let ours = crds::kinds().any(|ours| ours == kind);
        return ours.then(|| Finding::error("apiVersion", format!("is missing; write {OURS}")));
    };
    if let Some((whose, here)) = owner(version.split('/').next().unwrap_or_default(), kind) {
        let instead = if here.is_empty() {
            "Glidepath has no such kind".to_owned()
        } else {
            format!("Glidepath's is {here} of {OURS}")
        };
        return Some(Finding::warning(
            "apiVersion",
            format!("a {kind} of {version} is {whose} and is not checked; {instead}"),
        ));
    }
    crds::kinds().any(|ours| ours == kind).then(|| {
        Finding::warning(
            "apiVersion",
            format!("a {kind} of {version} is not checked; Glidepath's apiVersion is {OURS}"),
        )
    })
}

fn owner(group: &str, kind: &str) -> Option<(&'static str, &'static str)> {
    let tool = TOOLS.iter().find(|tool| tool.group == group)?;
    tool.kinds.iter().find(|(known, _)| *known == kind).map(|(_, here)| (tool.whose, *here))
}
