//! The figures of one run that are kept in docs/performance.json, by workload.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The file: figures by the name of their workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Accepted(pub BTreeMap<String, Figures>);

/// What one fleet needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Figures {
    /// Until all were healthy for the first time.
    pub first_deploy: Work,
    /// All images changed at once: until all were promoted and the old pods were gone.
    pub update: Work,
    /// Requests a minute of the whole fleet at rest, without watches, what follows one, and the Lease.
    pub requests_at_rest: f64,
    /// Of a release build; other builds have no such figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// What the update took. It depends on the machine: it is printed and not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
}

/// Work of the controller, for one Rollout of the fleet.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Work {
    /// Requests by verb and resource, without watches, events and the Lease.
    pub requests: BTreeMap<String, f64>,
    /// Events written.
    pub events: f64,
    /// From the API server, on the wire, in kB (10^3 bytes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<f64>,
    /// To the API server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<f64>,
}

/// Resident memory of the controller in MB (10^6 bytes).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Memory {
    /// With the fleet deployed and idle.
    pub at_rest: f64,
    /// The most in the update.
    pub peak: f64,
    /// One minute after the last promotion.
    pub after: f64,
}

/// Milliseconds of CPU for one Rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cpu {
    pub controller: f64,
    pub api_server: f64,
}
