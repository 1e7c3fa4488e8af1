//! The size of a run's status: the trails, which are for people alone, take only what the judges' state leaves.

use crate::api::analysis::{AnalysisRunStatus, Trail};

/// The size of a status with its trails, in bytes of JSON: below 64 KiB with a little room.
const MOST_BYTES: usize = 63 << 10;

/// Merges points of the longest trails until the status fits. What is merged here would be merged later: points lie on one
/// grid, so that a restart from the shorter trail ends with the same one.
pub(super) fn fit(status: &mut AnalysisRunStatus) {
    let mut bytes = size(status);
    while bytes > MOST_BYTES {
        let longest = trails(status).map(|trail| trail.at.len()).max().unwrap_or(0);
        if longest <= 1 {
            return;
        }
        trails(status).filter(|trail| trail.at.len() == longest).for_each(Trail::merge_pairs);
        bytes = size(status);
    }
}

fn trails(status: &mut AnalysisRunStatus) -> impl Iterator<Item = &mut Trail> {
    status.metrics.iter_mut().filter_map(|metric| metric.trail.as_deref_mut())
}

fn size(status: &AnalysisRunStatus) -> usize {
    serde_json::to_vec(status).map_or(0, |text| text.len())
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
