//! The steps walked so far, as the release remembers them: to edit one begins the release again (rule S20).

use super::{draft::Draft, fingerprint};

/// Whether the steps up to the current one changed since the last tick.
pub fn are_edited(draft: &Draft<'_>) -> bool {
    recorded(draft).is_some_and(|walked| *walked != so_far(draft))
}

/// Whether the spec has the steps up to here that it had when they were completed. From the point of no return on, and for
/// a shortcut, it does not matter what it says.
pub fn are_as_recorded(draft: &Draft<'_>) -> bool {
    let same = recorded(draft).is_some_and(|walked| *walked == so_far(draft));
    same || draft.is_shortcut() || draft.past_return()
}

/// Puts the steps up to here on record.
pub fn remember(draft: &mut Draft<'_>) {
    let walked = so_far(draft);
    if let Some(release) = draft.status.state.release_mut() {
        release.steps_walked = Some(walked);
    }
}

fn recorded<'d>(draft: &'d Draft<'_>) -> Option<&'d String> {
    draft.release().and_then(|release| release.steps_walked.as_ref())
}

fn so_far(draft: &Draft<'_>) -> String {
    let steps = draft.input.spec.strategy.steps();
    let walked = &steps[..steps.len().min((draft.step_index() as usize).saturating_add(1))];
    fingerprint::of(&serde_json::to_string(walked).unwrap_or_default())
}
