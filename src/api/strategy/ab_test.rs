//! A/B tests: two variants side by side until their users have decided (rules S70 to S73).

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    judged::Judged,
    requests::{HeaderRoute, RequestMatch},
    step::{CanaryScale, Decide, Step},
};
use crate::api::common::{HumanDuration, Percent};

/// The name of the header route that leads to the candidate.
pub const CANDIDATE: &str = "candidate";
/// How long a test may last when the file does not say: two weeks.
pub const DEFAULT_MAX_DURATION: HumanDuration = HumanDuration::secs(14 * 24 * 3600);
/// How long a user stays on a variant when the file does not say: thirty days.
pub const DEFAULT_TTL: HumanDuration = HumanDuration::secs(30 * 24 * 3600);

/// An A/B test: the stable version (`control`) and the new one (`candidate`) serve side by side until a goal metric has
/// decided between them. Needs a router.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see weight (numbers and strings are opaque to it); our validator counts it too.
    "!(has(self.sticky) && has(self.match))",
    "sticky goes with weight: a user with a matching header or cookie meets the same variant anyway"
))]
pub struct AbTestStrategy {
    /// A request that fulfils any of these meets the candidate, every other one control. This or `weight`.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<RequestMatch>,
    /// The candidate's share, in percent, above 0 and under 100. This or `match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Percent>,
    /// With `weight`: a user stays on the variant of the first answer, by a cookie.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// No decision sooner than this. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_duration: Option<HumanDuration>,
    /// Without a decision by then: the onInconclusive policy. Default 336h (two weeks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<HumanDuration>,
    /// The metric that decides: templates with one `conversion` metric in all.
    pub goal: Judged,
    /// What must not get worse meanwhile: a failed metric takes the candidate back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<Judged>,
    /// What happens when the candidate wins: `Promote` (default), or `Hold` for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_win: Option<OnWin>,
    /// What happens when there is no difference worth the name: `KeepControl` (default) or `Promote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_no_difference: Option<OnNoDifference>,
}

/// How users stay on their variant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sticky {
    /// The cookie's name. Its value names the test and the variant, so another test draws anew.
    #[schemars(length(min = 1, max = 64))]
    pub cookie: String,
    /// How long the browser keeps it. Default 720h (thirty days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<HumanDuration>,
}

/// What happens when the candidate wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnWin {
    /// The candidate becomes stable.
    #[default]
    Promote,
    /// Both go on as they are, and a person decides.
    Hold,
}

/// What happens when there is no difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnNoDifference {
    /// Stable stays.
    #[default]
    KeepControl,
    /// The candidate becomes stable.
    Promote,
}

impl AbTestStrategy {
    /// When a test without a decision ends.
    pub fn max_duration(&self) -> HumanDuration {
        self.max_duration.unwrap_or(DEFAULT_MAX_DURATION)
    }

    /// The analyses that are given, with their fields' names.
    pub fn analyses(&self) -> impl Iterator<Item = (&'static str, &Judged)> {
        std::iter::once(("goal", &self.goal)).chain(self.guardrails.iter().map(|judged| ("guardrails", judged)))
    }

    /// The test as steps: the candidate comes up, gets its users, and both wait for a decision.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(weight) = self.weight {
            steps.push(Step { set_weight: Some(weight), ..Step::default() });
        } else {
            // Who matches is not known to be few (S10).
            let scale = CanaryScale { percent: Some(Percent::FULL), ..CanaryScale::default() };
            let route = HeaderRoute { name: CANDIDATE.to_owned(), matches: self.matches.clone() };
            steps.push(Step { set_canary_scale: Some(scale), ..Step::default() });
            steps.push(Step { set_header_route: Some(route), ..Step::default() });
        }
        let decide = Decide {
            at_least: self.min_duration.unwrap_or_default(),
            at_most: self.max_duration(),
            goal: self.goal.clone(),
        };
        steps.push(Step { decide: Some(decide), ..Step::default() });
        steps
    }
}
