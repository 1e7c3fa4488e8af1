//! How the next version is released: the three strategies. Whichever it is, it is walked as steps.

mod ab_test;
mod blue_green;
mod canary;
mod gate;
mod judged;
mod requests;
mod step;
mod sticky;

use std::borrow::Cow;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

pub use ab_test::{AbTestStrategy, CANDIDATE, OnNoDifference, OnWin};
pub use blue_green::{AutoPromotion, BlueGreenStrategy};
pub use canary::CanaryStrategy;
pub use gate::{Gate, ONE_WAY, OnTimeout, host};
pub use judged::Judged;
pub use requests::{HeaderRoute, MirrorRoute, OWN_ROUTES, RequestMatch, ValueMatch};
pub use step::{AnalysisStep, CanaryScale, DEFAULT_AT_MOST, Decide, Observe, Pause, Ramp, Step};
pub use sticky::{DEFAULT_TTL, MOST_STICKY_WEIGHTS, Sticky};

/// The release strategy. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.canary), has(self.blueGreen), has(self.abTest)].filter(x, x).size() == 1",
    "set exactly one strategy: canary, blueGreen or abTest"
))]
pub struct Strategy {
    /// Shift traffic to the new version step by step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStrategy>,
    /// Switch all traffic at once, after a preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blue_green: Option<BlueGreenStrategy>,
    /// Run two versions side by side until the metrics decide between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ab_test: Option<AbTestStrategy>,
}

impl Strategy {
    /// The steps before the promotion: those of a canary, or another strategy expanded to steps.
    pub fn steps(&self) -> Cow<'_, [Step]> {
        match (&self.canary, &self.blue_green, &self.ab_test) {
            (Some(canary), _, _) => Cow::Borrowed(&canary.steps),
            (None, Some(blue_green), _) => Cow::Owned(blue_green.steps()),
            (None, None, Some(ab_test)) => Cow::Owned(ab_test.steps()),
            (None, None, None) => Cow::Borrowed(&[]),
        }
    }

    /// Every analysis of the strategy, with its field below the strategy: `canary.steps[2].analysis`.
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

    /// The strategy's name, as in its field.
    pub fn name(&self) -> &'static str {
        match (&self.canary, &self.blue_green) {
            (Some(_), _) => "canary",
            (None, Some(_)) => "blueGreen",
            (None, None) => "abTest",
        }
    }
}
