//! While new pods warm up, the judge leaves their requests out. So that a version which is plainly broken is not served
//! through its whole warm-up, a cruder test reads these windows as they are: it fails a canary with more than five times
//! stable's error rate and more than 5 %, on the tenth of alpha kept for it (analysis.md section 3).

use serde::{Deserialize, Serialize};

use crate::{
    evidence::{
        context::Context,
        windows::{self, first_end},
    },
    stats::{Assessment, Counts, RatioConfig, RatioState},
};

/// What the test remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarmUpGuard {
    through: Option<i64>,
    state: RatioState,
}

impl WarmUpGuard {
    /// The ends of the windows to read now. A warm-up begins with every weight, since pods are added for it.
    pub fn due(&self, context: &Context) -> Vec<i64> {
        let frozen = &context.frozen;
        let end_of_warm_up = context.epoch_since.as_second().saturating_add(frozen.warm_up);
        let (ends, _) = windows::due(self.next_end(context), frozen, context.now);
        ends.into_iter().filter(|end| end - frozen.window < end_of_warm_up).collect()
    }

    /// Takes in the window that ends at `end`; one that was read before changes nothing.
    pub fn count(&mut self, end: i64, window: Counts, context: &Context) {
        if end < self.next_end(context) {
            return;
        }
        self.state.observe(&config(context), window, context.frozen.window.unsigned_abs());
        self.state.forget_pass();
        self.through = Some(end);
    }

    /// Whether it has found a failure.
    pub fn fails(&self) -> bool {
        self.state.fails()
    }

    /// What it has found.
    pub fn seen(&self, context: &Context) -> Assessment {
        self.state.assess(&config(context))
    }

    fn next_end(&self, context: &Context) -> i64 {
        let window = context.frozen.window;
        let first = first_end(context.epoch_since.max(context.started), window);
        self.through.map_or(first, |through| first.max(through + window))
    }
}

fn config(context: &Context) -> RatioConfig {
    let config = RatioConfig::catastrophic(context.frozen.phi, context.frozen.alpha_catastrophic);
    RatioConfig { one_armed: context.one_armed, ..config }
}
