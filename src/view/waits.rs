//! What a Rollout waits for, when that ends by itself, and what happens then.

use jiff::Timestamp;
use serde::Serialize;

use super::place::Place;
use crate::{
    api::{HumanDuration, Rollout, RolloutStatus, rollout::OnInconclusive, strategy::OnTimeout},
    engine::items::Item,
};

/// What a Rollout waits for.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum WaitsFor {
    /// Nothing, or nothing that is known.
    Nothing,
    /// An operator's decision about a hold.
    Decision,
    /// `spec.paused` to be false.
    SpecUnpaused,
    /// A `resume`.
    Resume,
    /// A `promote` that ends a pause.
    Promote,
    /// A `promote` that approves the gate of this name.
    Approval(String),
    /// The approval of an endpoint at this host.
    Gate(String),
    /// The end of a pause.
    Time,
    /// A pass of every required metric of the background analysis, after this time at least.
    Metrics(HumanDuration),
    /// A verdict of an analysis of its own.
    Analysis,
    /// A verdict of the goal of an A/B test.
    Goal {
        /// No sooner than this.
        at_least: HumanDuration,
        /// No later than this.
        at_most: HumanDuration,
    },
    /// Pods, routes or targets, in the engine's words.
    Cluster(String),
}

impl WaitsFor {
    /// At this place.
    pub fn of(place: &Place, status: &RolloutStatus) -> Self {
        match place {
            Place::Unseen { .. } | Place::Idle { .. } | Place::Aborted | Place::ControlKept => WaitsFor::Nothing,
            Place::Held(_) => WaitsFor::Decision,
            Place::Paused { in_spec: true } => WaitsFor::SpecUnpaused,
            Place::Paused { in_spec: false } => WaitsFor::Resume,
            Place::Step { item, .. } => of_step(item).unwrap_or_else(|| cluster(status)),
            Place::FirstDeploy { .. } | Place::StepsDone | Place::Promoting(_) | Place::Returning => cluster(status),
        }
    }

    /// Whether it lasts until an operator acts.
    pub fn needs_operator(&self) -> bool {
        use WaitsFor::{Approval, Decision, Promote, Resume, SpecUnpaused};
        matches!(self, Decision | SpecUnpaused | Resume | Promote | Approval(_))
    }

    /// Whether it is a verdict.
    pub fn is_verdict(&self) -> bool {
        matches!(self, WaitsFor::Metrics(_) | WaitsFor::Analysis | WaitsFor::Goal { .. })
    }
}

/// What a step is there to wait for; `None`: its pods and routes alone.
fn of_step(item: &Item) -> Option<WaitsFor> {
    Some(match item {
        Item::Pause(None) => WaitsFor::Promote,
        Item::Pause(Some(_)) => WaitsFor::Time,
        Item::Observe { at_least, .. } => WaitsFor::Metrics(*at_least),
        Item::Analysis(_) => WaitsFor::Analysis,
        Item::Decide(decide) => WaitsFor::Goal { at_least: decide.at_least, at_most: decide.at_most },
        Item::Gate(gate) if gate.is_approval() => WaitsFor::Approval(gate.name.clone()),
        // The validator refuses an address without a host.
        Item::Gate(gate) => WaitsFor::Gate(gate.host().unwrap_or(&gate.name).to_owned()),
        _ => return None,
    })
}

fn cluster(status: &RolloutStatus) -> WaitsFor {
    let message = status.waiting_for.as_ref().map(|waiting| waiting.message.clone()).filter(|text| !text.is_empty());
    message.map_or(WaitsFor::Nothing, WaitsFor::Cluster)
}

/// When a wait ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Until {
    /// The time.
    pub at: Timestamp,
    /// What happens then.
    pub then: Then,
}

/// What the end of a wait does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Then {
    /// The next step follows.
    Continues,
    /// The gate times out.
    TimesOut(OnTimeout),
    /// There is no verdict.
    NoVerdict {
        /// The wait is extended by so much first; `None`: it was.
        extends_by: Option<HumanDuration>,
        /// Then this.
        policy: OnInconclusive,
    },
    /// The engine looks again.
    Ends,
}

impl Until {
    /// At this place, if the wait there has an end.
    pub fn of(rollout: &Rollout, place: &Place) -> Option<Self> {
        let status = rollout.status.as_ref()?;
        let at = status.waiting_for.as_ref()?.until?;
        let no_verdict = |at_most| Then::NoVerdict {
            extends_by: (!status.state.extended()).then_some(at_most),
            policy: rollout.spec.on_inconclusive.unwrap_or_default(),
        };
        let then = match place {
            Place::Step { item: Item::Pause(_), .. } => Then::Continues,
            Place::Step { item: Item::Gate(gate), .. } => Then::TimesOut(gate.on_timeout.unwrap_or_default()),
            Place::Step { item: Item::Observe { at_most, .. }, .. } => no_verdict(*at_most),
            Place::Step { item: Item::Analysis(analysis), .. } => no_verdict(analysis.at_most()),
            Place::Step { .. } | Place::FirstDeploy { .. } | Place::Promoting(_) => Then::Ends,
            _ => return None,
        };
        Some(Until { at, then })
    }
}
