//! Having nothing to judge: source errors, when to ask again, and how long it has lasted.

use serde::{Deserialize, Serialize};

use crate::api::{
    analysis::{MetricStatus, Verdict},
    reason::MetricReason,
};

use super::context::Context;

/// The longest wait before a failing source is asked again, in seconds.
const LONGEST_WAIT: i64 = 60;
/// How a note about the source begins.
const NOTE: &str = "source: ";
/// The longest error that is kept, in characters.
const LONGEST_ERROR: usize = 300;

/// What a metric remembers of errors and silence. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NoData {
    /// Since when the verdict would be NoData.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// Source errors in a row.
    pub errors: u32,
    /// Not to be asked before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl NoData {
    /// The source answered.
    pub fn answered(&mut self) {
        (self.errors, self.retry_at, self.error) = (0, None, None);
    }

    /// The source did not answer: it is asked again after a window, then after twice as long, up to a minute.
    pub fn failed(&mut self, error: &str, context: &Context) {
        self.errors = self.errors.saturating_add(1);
        let doubled = context.frozen.window.saturating_mul(1_i64 << self.errors.min(7).saturating_sub(1));
        self.retry_at = Some(context.now.as_second() + doubled.min(LONGEST_WAIT));
        self.error = Some(error.chars().take(LONGEST_ERROR).collect());
    }

    /// Writes a verdict with its reason into the status: NoData that lasts becomes Inconclusive, and the current error of the
    /// source, if any, is a note.
    pub fn conclude(
        &mut self,
        (verdict, reason): (Verdict, MetricReason),
        status: &mut MetricStatus,
        context: &Context,
    ) {
        (status.verdict, status.reason) = (self.timed(verdict, context), reason);
        status.errors_in_a_row = self.errors;
        status.notes.retain(|note| !note.starts_with(NOTE));
        status.notes.extend(self.error.iter().map(|error| format!("{NOTE}{error}")));
    }

    /// Anything but NoData ends the silence.
    fn timed(&mut self, verdict: Verdict, context: &Context) -> Verdict {
        if verdict != Verdict::NoData {
            self.since = None;
            return verdict;
        }
        let now = context.now.as_second();
        let since = *self.since.get_or_insert(now);
        if now - since >= context.frozen.no_data_timeout { Verdict::Inconclusive } else { verdict }
    }
}

/// Why a metric's source has not answered its last question, if it has not.
pub fn source_error(metric: &MetricStatus) -> Option<&str> {
    metric.notes.iter().find_map(|note| note.strip_prefix(NOTE))
}
