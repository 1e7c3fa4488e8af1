//! One write of a config entry: planned from what is there, on condition that it is still so, and read back.

use serde_json::Value;

use super::{
    client::Client,
    entries::{self, body, index},
    error::MeshError,
};
use crate::router::consul::ConsulService;

/// How often a plan is made anew because another writer was faster.
const TRIES: u32 = 5;

/// What an entry is to become.
pub(super) enum Plan {
    /// It says all that is wanted.
    Keep,
    /// This.
    Write(Value),
    /// Nothing is left in it.
    Delete,
}

impl Plan {
    /// The entry as it is to be, where it is not so yet.
    pub fn of(current: Option<&Value>, next: Value) -> Self {
        if current == Some(&next) { Plan::Keep } else { Plan::Write(next) }
    }
}

/// Brings an entry to what `plan` makes of it. A write that changes nothing does not move Consul's index, and a lost race is
/// answered with a success: so what counts is the content that is read afterwards.
pub(super) async fn edit(
    client: &Client,
    kind: &str,
    service: &ConsulService,
    plan: impl Fn(Option<&Value>) -> Result<Plan, MeshError>,
) -> Result<(), MeshError> {
    let place = || format!("{kind} {}", service.name);
    let mut wrote = false;
    for _ in 0..TRIES {
        let current = entries::read(client, kind, service).await?;
        let condition = index(current.as_ref());
        let done = match plan(current.as_ref())? {
            Plan::Keep => return Ok(()),
            Plan::Write(next) => client.write(&body(next), condition).await?,
            Plan::Delete => client.delete(kind, &service.name, condition).await?,
        };
        if done && wrote {
            return Err(MeshError::NotAsWritten { place: place() });
        }
        wrote |= done;
    }
    Err(MeshError::Conflict { place: place() })
}
