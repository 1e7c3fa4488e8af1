//! Why a list or a watch ended before its time, and what follows from that.

use std::time::Duration;

use kube::core::Status;

use crate::cluster::chain::chain;

/// Why a list or a watch ended.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The API server said no, or that it cannot.
    #[error("the API server responded {}: {}", .0.code, .0.message)]
    Answered(Box<Status>),
    /// It said nothing.
    #[error("no response from the API server within {} s", .0.as_secs())]
    NoAnswer(Duration),
    /// A watch continues beyond its end: nothing arrives from the server any more.
    #[error("the watch did not end at its timeout of {} s", .0.as_secs())]
    Endless(Duration),
    /// The connection does not come about, or broke.
    #[error("{0}")]
    Broken(String),
    /// What came is not what the API promises.
    #[error("unexpected response: {0}")]
    Garbled(String),
    /// Versions went back.
    #[error("resourceVersions went back from {known} to {said}: etcd was restored")]
    Restored {
        /// The version that was known.
        known: String,
        /// The lower one that came after it.
        said: String,
    },
    /// A list is from a backup.
    #[error("the list at {0} is older than the cache: etcd was restored")]
    Undone(String),
    /// A write of ours is not in the history that the watch shows.
    #[error("the watch is at {said} and has not shown our own write at {written}")]
    PassedOver {
        /// The version of our write.
        written: u64,
        /// The version that the watch has reached.
        said: String,
    },
}

impl Failure {
    /// From a request.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Failure::Answered(status.clone()),
            other => Failure::Broken(chain(other)),
        }
    }

    /// The HTTP status of the answer, if there was one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Failure::Answered(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether the server may have been restored before its next response.
    pub fn leaves_doubt(&self) -> bool {
        match self {
            Failure::Answered(status) => status.code >= 500,
            Failure::NoAnswer(_) | Failure::Endless(_) | Failure::Broken(_) => true,
            Failure::Restored { .. } | Failure::Undone(_) | Failure::PassedOver { .. } => true,
            Failure::Garbled(_) => false,
        }
    }

    /// Whether a relist is required: the history from which the watch would resume is gone.
    pub fn needs_list(&self) -> bool {
        match self {
            Failure::Answered(status) => {
                let ahead = status.message.contains("Too large resource version");
                matches!(status.code, 400 | 404 | 410) || matches!(status.reason.as_str(), "Expired" | "Gone") || ahead
            }
            Failure::Garbled(_) | Failure::Restored { .. } | Failure::Undone(_) | Failure::PassedOver { .. } => true,
            Failure::NoAnswer(_) | Failure::Endless(_) | Failure::Broken(_) => false,
        }
    }

    /// Whether it happens in every cluster now and then: history is compacted.
    pub fn is_routine(&self) -> bool {
        self.code() == Some(410)
    }

    /// Whether the server was not reached at all, which every stream finds at once.
    pub fn is_outage(&self) -> bool {
        matches!(self, Failure::Broken(_) | Failure::NoAnswer(_))
    }

    /// How long the server asks to be left alone.
    pub fn retry_after(&self) -> Duration {
        let asked = match self {
            Failure::Answered(status) => status.details.as_ref().map_or(0, |details| details.retry_after_seconds),
            _ => 0,
        };
        Duration::from_secs(asked.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_list_is_taken_when_the_history_is_not_there() {
        let answered = |code, message: &str| {
            Failure::Answered(Status { code, message: message.into(), ..Status::default() }.boxed())
        };
        let cases = [
            (answered(410, "too old resource version: 1 (2)"), true),
            (answered(504, "Too large resource version: 9, current: 5"), true),
            (answered(404, "the server could not find the requested resource"), true),
            (answered(500, "etcd leader changed"), false),
            (answered(429, "too many requests"), false),
            (Failure::Broken("connection reset".into()), false),
            (Failure::Endless(Duration::from_secs(300)), false),
        ];
        for (failure, wanted) in cases {
            assert_eq!(failure.needs_list(), wanted, "{failure}");
        }
    }
}
