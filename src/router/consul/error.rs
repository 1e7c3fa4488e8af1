//! Why the config entries of a Consul service cannot be read or planned.

use crate::{api::reason::Reason, engine::Target};

/// Why the config entries of a Consul service cannot be read or planned. `place` names kind and object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsulError {
    /// The splitter lacks one of our two subsets.
    #[error("{place} has no split for {what}; add to {lines}")]
    SplitMissing {
        /// The object.
        place: String,
        /// Which of the two.
        target: Target,
        /// Subset and service.
        what: String,
        /// The list, and what to add to it.
        lines: String,
    },
    /// The resolver lacks one of our two subsets.
    #[error("{place} has no subset `{subset}`; it has {exist}; add to {lines}")]
    SubsetMissing {
        /// The object.
        place: String,
        /// The subset.
        subset: String,
        /// What it has, for display.
        exist: String,
        /// The map, and what to add to it.
        lines: String,
    },
    /// Requests that name no subset would not reach stable alone.
    #[error(
        "{place} has the default subset {found}; set {field}: requests without a subset must reach the stable version"
    )]
    DefaultSubset {
        /// The object.
        place: String,
        /// What it says, for display.
        found: String,
        /// The field and what to set it to.
        field: String,
    },
    /// A resolver that redirects has no subsets of its own.
    #[error(
        "{place} redirects to another service, and then has no subsets of its own; name that service in spec.traffic instead"
    )]
    Redirect {
        /// The object.
        place: String,
    },
    /// A list or a match is of another shape than Consul's.
    #[error("{place} has routes of another form than Consul's; fix them")]
    Malformed {
        /// The object.
        place: String,
    },
    /// Consul splits only what it understands.
    #[error(
        "Consul does not split service {service}: its protocol is {found}, not http, http2 or grpc; set the protocol in its service-defaults or in the proxy-defaults"
    )]
    Protocol {
        /// The service.
        service: String,
        /// The protocol, for display.
        found: String,
    },
    /// Consul does not have what the object says.
    #[error("{place} is not in force in Consul: {why}")]
    NotSynced {
        /// The object.
        place: String,
        /// Why, for display.
        why: String,
    },
}

/// The placeholder for content of an object that must not be revealed.
const WITHHELD: &str = "others (not shown, because it belongs to another namespace)";

impl ConsulError {
    /// The same error without anything that was read from the object.
    pub fn without_content(mut self) -> Self {
        match &mut self {
            ConsulError::SubsetMissing { exist, .. } => WITHHELD.clone_into(exist),
            ConsulError::DefaultSubset { found, .. } | ConsulError::Protocol { found, .. } => {
                "another one".clone_into(found);
            }
            ConsulError::NotSynced { why, .. } => "reason not shown".clone_into(why),
            ConsulError::SplitMissing { .. } | ConsulError::Redirect { .. } | ConsulError::Malformed { .. } => {}
        }
        self
    }

    /// A CamelCase reason for conditions and events.
    pub fn reason(&self) -> Reason {
        match self {
            ConsulError::SplitMissing { target: Target::Stable, .. } => Reason::StableDestinationMissing,
            ConsulError::SplitMissing { target: Target::Canary, .. } => Reason::CanaryDestinationMissing,
            ConsulError::SubsetMissing { .. } => Reason::SubsetNotFound,
            ConsulError::DefaultSubset { .. }
            | ConsulError::Redirect { .. }
            | ConsulError::Malformed { .. }
            | ConsulError::Protocol { .. } => Reason::RouteUnsupported,
            ConsulError::NotSynced { .. } => Reason::RouteNotAccepted,
        }
    }
}
