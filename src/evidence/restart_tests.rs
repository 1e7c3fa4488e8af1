//! What tests of a restart share: a status as it comes back from its record, and what must be the same in it.

use crate::api::analysis::AnalysisRunStatus;

/// Text there and back, as through the API server; numbers may lose their last bit.
pub fn stored(status: &AnalysisRunStatus) -> AnalysisRunStatus {
    serde_json::from_str(&serde_json::to_string(status).unwrap()).unwrap()
}

/// What users and the engine see: everything but the judge's memory, with progress to nine digits.
pub fn shown(status: &AnalysisRunStatus) -> AnalysisRunStatus {
    let mut shown = status.clone();
    for metric in &mut shown.metrics {
        metric.accumulator = None;
        metric.fail_progress = (metric.fail_progress * 1e9).round() / 1e9;
    }
    shown
}
