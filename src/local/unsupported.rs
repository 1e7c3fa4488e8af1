//! What the worlds without a cluster say of actions that they cannot carry out.

use crate::{api::reason::Reason, engine::Action, ports::WorldError};

/// The action needs a cluster.
pub fn not_local(action: &Action) -> WorldError {
    let message = match action {
        Action::EnsureWorkload { .. } | Action::Restore(_) => {
            "there is no Deployment to pause or restore outside a cluster"
        }
        Action::AskGate(_) => "gates are asked by a controller in a cluster only; promote ends the wait",
        Action::EnsureMetadata { .. } => "pods are labeled in a cluster only",
        Action::Evict { .. } => "pods are evicted in a cluster only",
        _ => "this action needs a cluster",
    };
    WorldError::refused(Reason::NotLocal, message)
}

/// The revision's template is not known (any more).
pub fn unknown_revision(id: &str) -> WorldError {
    WorldError::refused(Reason::UnknownRevision, format!("revision {id} is neither desired nor known"))
}
