//! Whether clients reach the stable version: it has pods that are available, and its target lists them (rule S57).

use super::{
    draft::{Draft, named},
    weights,
};
use crate::api::reason::Reason;

/// Why they do not, as a reason and a message. Scaled to zero there is nothing to reach (S37).
pub fn lacks(draft: &Draft<'_>) -> Option<(Reason, String)> {
    let stable = draft.stable_id().filter(|_| draft.replicas() > 0)?;
    let name = named(draft.status.stable_revision.as_ref());
    if draft.available(&stable) == 0 {
        return Some((Reason::StableLost, format!("no pod of {name}, the stable version, is available")));
    }
    is_unreachable(draft).then(|| {
        let message = format!(
            "the stable target selects {name} but has no ready endpoint of it: clients get errors; fix the Service's \
             selector to match the labels of the pods"
        );
        (Reason::StableUnreachable, message)
    })
}

/// Whether the stable target selects a version that has available pods, and lists none of them.
pub fn is_unreachable(draft: &Draft<'_>) -> bool {
    let (Some(stable), Some(target)) = (draft.stable_id(), &draft.input.seen.stable_target) else { return false };
    let selected = target.revision.as_ref() == Some(&stable) && draft.available(&stable) > 0;
    selected && draft.replicas() > 0 && weights::listed(draft, target, &stable) == 0
}
