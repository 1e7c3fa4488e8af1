//! Why Consul could not be asked, or what it said no to; and what becomes of it in the engine.

use super::access::AccessError;
use crate::{
    api::reason::Reason,
    engine::Problem,
    ports::WorldError,
    router::{RouteError, consul::error::ConsulError},
};

/// How much of Consul's own words is shown, in characters.
const LONGEST: usize = 300;

/// Why a call of Consul's API gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// A file with the token or certificates.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// No client can be made with these certificates.
    #[error("cannot ask Consul over https: {0}")]
    Client(String),
    /// No answer.
    #[error("cannot reach Consul at {address} ({why}); check that the agent runs, and --consul")]
    Unreachable {
        /// Its address.
        address: String,
        /// Why, for display.
        why: String,
    },
    /// The token may not.
    #[error(
        "Consul denied {what} ({said}); set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE to a token with service:write on the service"
    )]
    Denied {
        /// What was asked.
        what: String,
        /// Consul's words.
        said: String,
    },
    /// Another status.
    #[error("Consul rejected {what} (HTTP {status}: {said})")]
    Rejected {
        /// What was asked.
        what: String,
        /// The status.
        status: u16,
        /// Consul's words.
        said: String,
    },
    /// It is not what its documentation says.
    #[error("the response of {address} to {what} is not that of Consul's API: {why}; check --consul")]
    Unreadable {
        /// The address.
        address: String,
        /// What was asked.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

impl CallError {
    /// Whether Consul said no, rather than nothing.
    pub fn is_refusal(&self) -> bool {
        matches!(self, CallError::Denied { .. } | CallError::Rejected { .. })
    }
}

/// Why the service could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// Consul.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What the config entries say.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A custom resource is behind an entry.
    #[error(
        "{place} belongs to Kubernetes (its Meta says `external-source: kubernetes`), which would undo a change of the entry; release the service with a Rollout in that cluster, or delete the custom resource"
    )]
    OfKubernetes {
        /// The entry.
        place: String,
    },
    /// Another writer is faster, again and again.
    #[error("{place} has changed in the meantime")]
    Conflict {
        /// The entry.
        place: String,
    },
    /// What was written is not what is there.
    #[error("{place} does not say what was written; another writer has changed it")]
    NotAsWritten {
        /// The entry.
        place: String,
    },
    /// The compiled chain says something else.
    #[error(
        "Consul's discovery chain of {service} sends {found} to the canary, not {wanted}; another entry overrides service-splitter {service}"
    )]
    NotCompiled {
        /// The service.
        service: String,
        /// What it says, for display.
        found: String,
        /// What was written, for display.
        wanted: String,
    },
    /// An instance would lose its requests.
    #[error(
        "{instance} of service {service} is not registered by this rollout (its Meta has no {key}) and would receive no request once subsets are in force; deregister it, or give it as --stable"
    )]
    Stranger {
        /// The id of an instance.
        instance: String,
        /// The service.
        service: String,
        /// The key.
        key: String,
    },
    /// Requests would move with a filter.
    #[error(
        "the subset `{subset}` of service-resolver {service} still receives requests; its filter is changed once it receives none"
    )]
    InUse {
        /// The subset.
        subset: String,
        /// The service.
        service: String,
    },
}

impl From<ConsulError> for MeshError {
    fn from(error: ConsulError) -> Self {
        MeshError::Route(error.into())
    }
}

impl MeshError {
    /// A CamelCase reason for status and events.
    fn reason(&self) -> Reason {
        match self {
            MeshError::Call(CallError::Denied { .. } | CallError::Rejected { .. }) | MeshError::InUse { .. } => {
                Reason::WriteRefused
            }
            MeshError::Call(_) => Reason::RouterUnavailable,
            MeshError::Route(error) => error.reason(),
            MeshError::OfKubernetes { .. } | MeshError::Stranger { .. } => Reason::RouteUnsupported,
            MeshError::Conflict { .. } | MeshError::NotAsWritten { .. } => Reason::WriteFailed,
            MeshError::NotCompiled { .. } => Reason::RouteNotAccepted,
        }
    }

    /// A blocker, as an operator has to fix it. `rests`: no release is under way, which nothing holds up then.
    pub fn problem(&self, rests: bool) -> Problem {
        let blocks_all = matches!(self, MeshError::Call(_)) && !rests;
        Problem { reason: self.reason(), message: self.to_string(), blocks_all }
    }
}

impl From<MeshError> for WorldError {
    fn from(error: MeshError) -> Self {
        let message = error.to_string();
        match &error {
            MeshError::Call(CallError::Unreachable { .. } | CallError::Unreadable { .. }) => {
                WorldError::Transient(message)
            }
            MeshError::Conflict { .. } | MeshError::NotAsWritten { .. } => WorldError::Conflict(message),
            _ => WorldError::refused(error.reason(), message),
        }
    }
}

/// Consul's own words as they may be shown: one line, no control characters, not endless, and never the token.
pub(super) fn shown(body: &[u8], token: Option<&str>) -> String {
    let text = String::from_utf8_lossy(body);
    let hidden = match token.filter(|token| !token.is_empty()) {
        Some(token) => text.replace(token, "[token]"),
        None => text.into_owned(),
    };
    let line = hidden.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("no reason given");
    line.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
}
