//! The controller's events by reason, as the API server has them.

use anyhow::Result;
use k8s_openapi::api::events::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use std::collections::BTreeMap;

/// Who reports them.
const REPORTER: &str = "glidepath";

/// Counts by reason.
#[derive(Debug, Clone, Default)]
pub struct Events(BTreeMap<String, u64>);

impl Events {
    /// All so far. They are kept for an hour, longer than any run.
    pub async fn of_controller(client: &Client) -> Result<Self> {
        let all = Api::<Event>::all(client.clone()).list(&ListParams::default()).await?;
        let mut counts = BTreeMap::new();
        for event in all.items.into_iter().filter(|event| event.reporting_controller.as_deref() == Some(REPORTER)) {
            *counts.entry(event.reason.unwrap_or_default()).or_default() += 1;
        }
        Ok(Events(counts))
    }

    /// What came after an earlier count.
    pub fn since(&self, before: &Events) -> Events {
        let counts = self
            .0
            .iter()
            .map(|(reason, count)| (reason.clone(), count - before.0.get(reason).copied().unwrap_or_default()));
        Events(counts.filter(|(_, count)| *count > 0).collect())
    }

    /// Each reason with its count.
    pub fn rows(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(reason, count)| (reason.as_str(), *count))
    }
}
