//! Durations as meshes read them.

use crate::api::HumanDuration;

/// One number with one unit: not every mesh reads `1m30s`, and none reads it otherwise than `90s`.
pub(super) fn in_one_unit(time: HumanDuration) -> String {
    let millis = time.get().as_millis();
    if millis.is_multiple_of(1000) { format!("{}s", millis / 1000) } else { format!("{millis}ms") }
}
