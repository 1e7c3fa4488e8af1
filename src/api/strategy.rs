//! How the next version is released: the strategies and the steps of a canary.

mod ab_test;
mod gate;

use std::borrow::Cow;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{
    analysis::TemplateRef,
    common::{HumanDuration, Percent},
    pod_count::{MOST_PODS, PodCount},
};
pub use ab_test::{AbTestStrategy, CANDIDATE, DEFAULT_TTL, Decide, Judged, OnNoDifference, OnWin, Sticky};
pub use gate::{Gate, ONE_WAY, OnTimeout, host};

/// The release strategy. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.canary), has(self.blueGreen), has(self.abTest)].filter(x, x).size() == 1",
    "name exactly one strategy: canary, blueGreen or abTest"
))]
pub struct Strategy {
    /// Step by step beside the stable version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStrategy>,
    /// All at once, after a preview beside the stable version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreenStrategy>,
    /// Two versions side by side until their users have decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ab_test: Option<AbTestStrategy>,
}

impl Strategy {
    /// What is walked before the promotion: the steps of a canary, or another strategy written out as steps.
    pub fn steps(&self) -> Cow<'_, [Step]> {
        match (&self.canary, &self.blue_green, &self.ab_test) {
            (Some(canary), _, _) => Cow::Borrowed(&canary.steps),
            (None, Some(blue_green), _) => Cow::Owned(blue_green.steps()),
            (None, None, Some(ab_test)) => Cow::Owned(ab_test.steps()),
            (None, None, None) => Cow::Borrowed(&[]),
        }
    }

    /// Every analysis that the strategy names, with its field below the strategy: `canary.steps[2].analysis`.
    pub fn judged(&self) -> Vec<(String, Judged)> {
        let steps = self.canary.iter().flat_map(|canary| &canary.steps).enumerate();
        let of_steps = steps.filter_map(|(index, step)| {
            Some((format!("canary.steps[{index}].analysis"), step.analysis.as_ref()?.judged()))
        });
        let of_blue_green = self.blue_green.iter().flat_map(BlueGreenStrategy::analyses);
        let of_blue_green = of_blue_green.map(|(field, step)| (format!("blueGreen.{field}"), step.judged()));
        let of_test = self.ab_test.iter().flat_map(AbTestStrategy::analyses);
        let of_test = of_test.map(|(field, judged)| (format!("abTest.{field}"), judged.clone()));
        of_steps.chain(of_blue_green).chain(of_test).collect()
    }

    /// The strategy's name, as the field is called.
    pub fn name(&self) -> &'static str {
        match (&self.canary, &self.blue_green) {
            (Some(_), _) => "canary",
            (None, Some(_)) => "blueGreen",
            (None, None) => "abTest",
        }
    }
}

/// The name of the header route that leads to a preview.
const PREVIEW: &str = "preview";

/// A blue-green release: the new version comes up as a preview, is judged, and then gets all traffic in one write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct BlueGreenStrategy {
    /// The Service that callers use. Needed without a router; with one it is `services.stable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub active_service: Option<String>,
    /// The Service that leads to the new version before the switch; made with the active one's ports when absent. With a
    /// router it is `services.canary`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub preview_service: Option<String>,
    /// Pods of the preview. Default: as many as are wanted. Before the switch there are as many in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MOST_PODS))]
    pub preview_replicas: Option<u32>,
    /// Requests that go to the preview by what they carry, until the switch. A request that fulfils any of these. With a
    /// router only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub preview_match: Vec<RequestMatch>,
    /// Copies of requests that the preview gets until the switch, and whose answers nobody gets. With a router only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview_mirror: Option<MirrorRoute>,
    /// Must pass before the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_promotion_analysis: Option<AnalysisStep>,
    /// Must pass after the switch; until then its failure switches back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_promotion_analysis: Option<AnalysisStep>,
    /// Whether the switch comes by itself. Default: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_promotion: Option<AutoPromotion>,
}

/// Whether the switch comes by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!(has(self.enabled) && !self.enabled && has(self.after))",
    "autoPromotion is not enabled, so after means nothing"
))]
pub struct AutoPromotion {
    /// `false`: a person promotes. Default true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How long the preview stands, judged if asked, before the switch. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<HumanDuration>,
}

impl BlueGreenStrategy {
    /// The analyses that are given, with their fields' names.
    pub fn analyses(&self) -> impl Iterator<Item = (&'static str, &AnalysisStep)> {
        let fields = [
            ("prePromotionAnalysis", &self.pre_promotion_analysis),
            ("postPromotionAnalysis", &self.post_promotion_analysis),
        ];
        fields.into_iter().filter_map(|(field, analysis)| Some((field, analysis.as_ref()?)))
    }

    /// The release as steps: the preview comes up, is judged, and waits for its time or for a person.
    fn steps(&self) -> Vec<Step> {
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

/// A canary release: a list of steps, walked one after the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStrategy {
    /// The steps. Without any, the new version is promoted as soon as it is available.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub steps: Vec<Step>,
    /// Without a mesh: how many pods may exist above the desired count while replicas move: a number of pods, or a percentage
    /// as a text (`"25%"`), which may be above 100. Default 25 %.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_surge: Option<PodCount>,
    /// How many pods may be unavailable while replicas move: a number of pods, or a percentage as a text, at most `"100%"`.
    /// Default 25 %; if it and maxSurge are both 0, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("pattern" = "^(100|[0-9]{1,2})%$"))]
    pub max_unavailable: Option<PodCount>,
    /// With a mesh: stable gives up pods as the canary takes traffic over, instead of keeping all. Saves pods; an abort then
    /// waits for stable to grow. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dynamic_stable_scale: bool,
    /// With a mesh: a version that gets traffic has at least so many pods. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = MOST_PODS))]
    pub min_pods_per_revision: Option<u32>,
}

/// One step of a canary. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see setWeight (numbers and strings are opaque to it); our validator counts it too.
    "[has(self.pause), has(self.observe), has(self.analysis), has(self.setCanaryScale), has(self.ramp), \
     has(self.setHeaderRoute), has(self.setMirrorRoute), has(self.gate)].filter(x, x).size() <= 1",
    "a step has exactly one of setWeight, pause, observe, analysis, setCanaryScale, ramp, setHeaderRoute, \
     setMirrorRoute, gate"
))]
pub struct Step {
    /// The share of traffic that the new version gets, in percent (0 to 100, grain 0.01). Without a mesh it is
    /// approximated by the ratio of replicas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<Percent>,
    /// Wait for a time, or for a person when no duration is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Wait until the evidence of the background analysis says Pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observe: Option<Observe>,
    /// Run an analysis of its own and wait for its verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStep>,
    /// Set the new version's pods apart from its weight; holds until the next one. With a mesh only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<CanaryScale>,
    /// Short form of many setWeight and pause (or observe) steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ramp: Option<Ramp>,
    /// Send requests with a header or cookie to the new version, whatever its weight, until the same name is set without
    /// `match` or the rollout ends. With a mesh only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_header_route: Option<HeaderRoute>,
    /// Send the new version copies of requests, whose answers nobody gets, until the percentage is set to 0 or the rollout
    /// ends. With a mesh only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_mirror_route: Option<MirrorRoute>,
    /// Wait until an endpoint or a person says that the release may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// The wait for an A/B test's decision. Not for files: it comes with the strategy.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub decide: Option<Decide>,
}

/// The names that header routes cannot have: what is ours in a route object beside them is called so (`glidepath-mirror`).
pub const OWN_ROUTES: [&str; 3] = ["mirror", "sticky-control", "sticky-candidate"];

/// Requests that go to the new version by what they carry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!(self.name in ['mirror', 'sticky-control', 'sticky-candidate'])",
    "mirror, sticky-control and sticky-candidate are names of routes of Glidepath's own"
))]
pub struct HeaderRoute {
    /// Its name; the route in the mesh is called `glidepath-<name>`.
    #[schemars(length(min = 1, max = 53))]
    pub name: String,
    /// A request that fulfils any of these. Without any the route of this name is taken away.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<RequestMatch>,
}

/// Requests that are copied to the new version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorRoute {
    /// The share of requests that is copied. 0 takes the mirror away.
    pub percent: Percent,
    /// Only requests that fulfil any of these. Default: all.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<RequestMatch>,
}

/// What a request carries. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("has(self.header) != has(self.cookie)", "a match has exactly one of header and cookie"))]
pub struct RequestMatch {
    /// A header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<ValueMatch>,
    /// A cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<ValueMatch>,
}

/// A named value and how it must look. Exactly one of `exact`, `prefix`, `regex`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.exact), has(self.prefix), has(self.regex)].filter(x, x).size() == 1",
    "a match has exactly one of exact, prefix and regex"
))]
pub struct ValueMatch {
    /// The header's or cookie's name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// The whole value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub exact: Option<String>,
    /// How the value begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub prefix: Option<String>,
    /// An RE2 expression that the whole value fulfils.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub regex: Option<String>,
}

/// A wait.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// How long. Absent: until someone promotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<HumanDuration>,
}

/// A wait for evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observe {
    /// Go on no sooner than this. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<HumanDuration>,
    /// Without a verdict by then: extend once by the same length, then the onInconclusive policy. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<HumanDuration>,
}

/// An analysis that the step waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("size(self.templates) > 0", "name at least one template"))]
pub struct AnalysisStep {
    /// The templates whose metrics are judged together.
    #[schemars(length(max = 16))]
    pub templates: Vec<TemplateRef>,
    /// Values for the templates' arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub args: Vec<super::analysis::Arg>,
    /// Without a verdict by then: extend once by the same length, then the onInconclusive policy. Default 30m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<HumanDuration>,
}

impl AnalysisStep {
    /// What it judges.
    pub fn judged(&self) -> Judged {
        Judged { templates: self.templates.clone(), args: self.args.clone() }
    }
}

/// How many pods the new version has, apart from its weight. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see percent; our validator counts it too.
    "!(has(self.replicas) && has(self.matchWeight))",
    "setCanaryScale has exactly one of replicas, percent, matchWeight"
))]
pub struct CanaryScale {
    /// So many pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = MOST_PODS))]
    pub replicas: Option<u32>,
    /// This share of the desired replicas, rounded up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percent>,
    /// `true`: as many as the weight needs again (the default behaviour).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub match_weight: Option<bool>,
}

/// Weights from `from` to `to` in strides of `by`, one every `every`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ramp {
    /// The first weight.
    pub from: Percent,
    /// The last weight; a stride beyond it is clamped.
    pub to: Percent,
    /// The stride, above 0.
    pub by: Percent,
    /// How long each weight is held.
    pub every: HumanDuration,
}
