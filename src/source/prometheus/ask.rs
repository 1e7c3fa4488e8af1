//! One question as it is sent to a Prometheus.

use jiff::Timestamp;

/// A query and the time of its evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// The query.
    pub text: String,
    /// Its evaluation time.
    pub at: Timestamp,
}
