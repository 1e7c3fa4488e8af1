//! A/B tests: two variants run side by side until the metrics decide between them (rules S70 to S73).

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    judged::Judged,
    requests::{HeaderRoute, RequestMatch},
    step::{CanaryScale, Decide, Step},
    sticky::Sticky,
};
use crate::api::common::{HumanDuration, Percent};

/// The name of the header route to the candidate.
pub const CANDIDATE: &str = "candidate";
/// The default maximum duration of a test: two weeks.
pub const DEFAULT_MAX_DURATION: HumanDuration = HumanDuration::secs(14 * 24 * 3600);

/// An A/B test: the stable version (`control`) and the new one (`candidate`) run side by side until a goal metric
/// decides between them. Requires a router.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    // CEL does not see weight (numbers and strings are opaque to it); our validator counts it too.
    "!(has(self.sticky) && has(self.match))",
    "sticky requires weight: with match, a user's header or cookie already selects the variant"
))]
pub struct AbTestStrategy {
    /// Requests that match any of these are routed to the candidate, all others to control. Either this or `weight`.
    #[serde(default, rename = "match", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub matches: Vec<RequestMatch>,
    /// The candidate's weight in percent, above 0 and below 100. Either this or `match`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Percent>,
    /// With `weight`: a cookie keeps a user on the variant of the first response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Minimum duration: there is no decision before. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_duration: Option<HumanDuration>,
    /// Maximum duration. Without a decision by then, onInconclusive applies. Default 336h (two weeks).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_duration: Option<HumanDuration>,
    /// The metric that decides: templates with exactly one `conversion` metric in total.
    pub goal: Judged,
    /// Metrics that must not degrade: a failed metric aborts the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<Judged>,
    /// Action when the candidate wins: `Promote` (default), or `Hold`, which waits for an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_win: Option<OnWin>,
    /// Action when there is no relevant difference: `KeepControl` (default) or `Promote`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_no_difference: Option<OnNoDifference>,
}

/// Action when the candidate wins: `Promote` (default), or `Hold`, which waits for an operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnWin {
    /// The candidate becomes stable.
    #[default]
    Promote,
    /// Both variants continue to run until an operator decides.
    Hold,
}

/// Action when there is no relevant difference: `KeepControl` (default) or `Promote`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnNoDifference {
    /// Control stays stable.
    #[default]
    KeepControl,
    /// The candidate becomes stable.
    Promote,
}

impl AbTestStrategy {
    /// The time at which a test without a decision ends.
    pub fn max_duration(&self) -> HumanDuration {
        self.max_duration.unwrap_or(DEFAULT_MAX_DURATION)
    }

    /// The analyses that are set, with the names of their fields.
    pub fn analyses(&self) -> impl Iterator<Item = (&'static str, &Judged)> {
        std::iter::once(("goal", &self.goal)).chain(self.guardrails.iter().map(|judged| ("guardrails", judged)))
    }

    /// The test as steps: the candidate scales up, receives its traffic, and both variants wait for a decision.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(weight) = self.weight {
            steps.push(Step { set_weight: Some(weight), ..Step::default() });
        } else {
            // The matching requests may be many (S10).
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
