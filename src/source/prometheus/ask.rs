//! One question as it is sent to a Prometheus, and what comes back, not read yet.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Response;

use super::answer::Failed;
use crate::source::{
    credentials::Unsent,
    outbound::{self, Trouble},
    servers::Server,
};

/// The largest answer read, in bytes: aggregated answers are a few hundred, and a point in time has about thirty.
pub const LARGEST: usize = 4 << 20;

/// A query and the time of its evaluation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ask {
    /// The query.
    pub text: String,
    /// Its evaluation time.
    pub at: Timestamp,
}

/// The HTTP status and the body of a response that was to come within this time, and is to have at most so many bytes.
pub async fn received(
    server: &Server,
    sent: Result<Response, Unsent>,
    within: Duration,
    most: usize,
) -> Result<(u16, Vec<u8>), Failed> {
    let unreachable = |trouble: &Trouble| Failed::unreachable(server, trouble, within);
    let response = sent.map_err(|unsent| match unsent {
        Unsent::Credentials(error) => Failed::unauthenticated(error),
        Unsent::Failed(error) => unreachable(&outbound::trouble(&error)),
    })?;
    let status = response.status().as_u16();
    let body = outbound::bounded(response, most).await.map_err(|trouble| unreachable(&trouble))?;
    Ok((status, body))
}
