//! `--timeout`: the time limit of a whole command, connecting and reading included.

use std::future::Future;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::exit::CliError;
use crate::{api::HumanDuration, view::phrases};

/// When a command must be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    limit: HumanDuration,
}

impl Deadline {
    /// So long from now.
    pub fn after(limit: HumanDuration) -> Self {
        Deadline { at: Instant::now() + limit.get(), limit }
    }

    /// The limit in words.
    pub fn limit(self) -> String {
        phrases::short(self.limit.signed())
    }
}

/// Waits until the limit is over; without one for ever.
pub async fn passed(deadline: Option<Deadline>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.at).await,
        None => std::future::pending().await,
    }
}

/// What a call to the API server at `address` gives, unless the limit is over first.
pub async fn within<T>(
    deadline: Option<Deadline>,
    address: &str,
    call: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let Some(deadline) = deadline else { return call.await };
    let late = |_| CliError::TimedOut { limit: deadline.limit(), at: address.to_owned() };
    timeout_at(deadline.at, call).await.map_err(late)?
}
