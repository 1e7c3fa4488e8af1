//! Blue-green releases: a preview next to the stable version, then all traffic at once.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    requests::{HeaderRoute, MirrorRoute, RequestMatch},
    step::{AnalysisStep, CanaryScale, Pause, Step},
};
use crate::api::{
    common::{HumanDuration, Percent},
    pod_count::MOST_PODS,
};

/// The name of the header route to a preview.
const PREVIEW: &str = "preview";

/// A blue-green release: the new version starts as a preview, is analyzed, and then receives all traffic in one write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStrategy {
    /// The Service that clients use. Required without a router; with one it is `services.stable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub active_service: Option<String>,
    /// The Service that selects the new version before the switch; created with the active Service's ports if it does
    /// not exist. With a router it is `services.canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub preview_service: Option<String>,
    /// The number of pods of the preview. Default: spec.replicas. Before the switch the new version always has all its
    /// pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MOST_PODS))]
    pub preview_replicas: Option<u32>,
    /// Route requests that match any of these to the preview, until the switch. Requires a router.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub preview_match: Vec<RequestMatch>,
    /// Mirror requests to the preview until the switch, and discard the responses. Requires a router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_mirror: Option<MirrorRoute>,
    /// The analysis that must pass before the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis: Option<AnalysisStep>,
    /// The analysis that must pass after the switch; if it fails, the release switches back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis: Option<AnalysisStep>,
    /// Whether the new version is promoted automatically. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_promotion: Option<AutoPromotion>,
}

/// Whether the new version is promoted automatically.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!(has(self.enabled) && !self.enabled && has(self.after))",
    "after has no effect while autoPromotion is not enabled"
))]
pub struct AutoPromotion {
    /// `false` requires manual promotion. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How long to wait before the switch, once the preview is available and its analysis has passed. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<HumanDuration>,
}

impl BlueGreenStrategy {
    /// The analyses that are set, with the names of their fields.
    pub fn analyses(&self) -> impl Iterator<Item = (&'static str, &AnalysisStep)> {
        let fields = [
            ("prePromotionAnalysis", &self.pre_promotion_analysis),
            ("postPromotionAnalysis", &self.post_promotion_analysis),
        ];
        fields.into_iter().filter_map(|(field, analysis)| Some((field, analysis.as_ref()?)))
    }

    /// The release as steps: the preview starts, is analyzed, and waits for its time or for an operator.
    pub(super) fn steps(&self) -> Vec<Step> {
        let scale = match self.preview_replicas {
            Some(replicas) => CanaryScale { replicas: Some(replicas), ..CanaryScale::default() },
            None => CanaryScale { percent: Some(Percent::FULL), ..CanaryScale::default() },
        };
        let mut steps = vec![Step { set_canary_scale: Some(scale), ..Step::default() }];
        let route = HeaderRoute { name: PREVIEW.to_owned(), matches: self.preview_match.clone() };
        let route = (!route.matches.is_empty()).then_some(route);
        steps.extend(route.map(|route| Step { set_header_route: Some(route), ..Step::default() }));
        let mirror = self.preview_mirror.clone();
        steps.extend(mirror.map(|mirror| Step { set_mirror_route: Some(mirror), ..Step::default() }));
        steps.extend(
            self.pre_promotion_analysis.clone().map(|analysis| Step { analysis: Some(analysis), ..Step::default() }),
        );
        let promotion = self.auto_promotion.clone().unwrap_or_default();
        let pause = match (promotion.enabled, promotion.after) {
            (Some(false), _) => Some(Pause { duration: None }),
            (_, after) => after.map(|after| Pause { duration: Some(after) }),
        };
        steps.extend(pause.map(|pause| Step { pause: Some(pause), ..Step::default() }));
        steps
    }
}
