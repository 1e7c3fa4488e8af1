//! Whether both arms have requests to compare.

use serde::{Deserialize, Serialize};

use crate::{api::reason::MetricReason, evidence::context::Context};

/// Windows without a request before there is no data.
const SILENT_WINDOWS: i64 = 3;
/// Canary requests that ought to have come before there is no data.
const SILENT_REQUESTS: i64 = 10;

/// When each arm last had requests. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Presence {
    last_canary: Option<i64>,
    last_stable: Option<i64>,
    /// Comparable time.
    pub compared: i64,
}

impl Presence {
    /// Counts the window that ends at `end`; `true` when it can be compared.
    pub fn count(&mut self, end: i64, [canary, stable]: [u64; 2], context: &Context) -> bool {
        if canary > 0 {
            self.last_canary = Some(end);
        }
        if stable > 0 {
            self.last_stable = Some(end);
        }
        let comparable = canary > 0 && (stable > 0 || context.one_armed);
        if comparable {
            self.compared += context.frozen.window;
        }
        comparable
    }

    /// Which arm has had no request for max(3 windows, the time for 10 expected ones), at `through`; the canary has had so many
    /// requests in the comparable time.
    pub fn missing(&self, through: i64, requests: u64, context: &Context) -> Option<MetricReason> {
        let begun = context.started.as_second() + context.frozen.warm_up; // before, pods were new
        let requests = i64::try_from(requests).unwrap_or(i64::MAX).max(1);
        let allowed =
            (SILENT_WINDOWS * context.frozen.window).max(SILENT_REQUESTS.saturating_mul(self.compared) / requests);
        let silent = |last: Option<i64>| through - last.unwrap_or(begun) >= allowed;
        if silent(self.last_canary) {
            Some(MetricReason::NoCanaryRequests)
        } else if silent(self.last_stable) && !context.one_armed {
            Some(MetricReason::NoBaseline)
        } else {
            None
        }
    }
}
