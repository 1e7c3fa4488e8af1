//! Both objectives together: availability, and response times beside it where they have an objective.

use serde_json::{Value, json};

use super::report::Report;
use crate::cli::{
    exit::{CliError, Exit},
    render::{output::API_VERSION, paint::Paint},
};

/// What `slo` prints.
#[derive(Debug)]
pub struct Reports {
    /// Of events.
    pub availability: Report,
    /// Of response times.
    pub latency: Option<Report>,
}

impl Reports {
    /// For scripts (docs/json.md).
    pub fn json(&self) -> Value {
        let subject = &self.availability.subject;
        let mut all = json!({
            "apiVersion": API_VERSION,
            "kind": "SloReport",
            "name": subject.name,
            "namespace": subject.namespace,
        });
        if let (Value::Object(all), Value::Object(figures)) = (&mut all, self.availability.figures()) {
            all.extend(figures);
        }
        all["latency"] = json!(self.latency.as_ref().map(Report::figures));
        all
    }

    /// For people.
    pub fn text(&self, width: usize, paint: Paint) -> String {
        let latency = self.latency.as_ref().map(|latency| format!("\n{}", latency.text(width, paint)));
        self.availability.text(width, paint) + &latency.unwrap_or_default()
    }

    /// Whether all objectives are met.
    pub fn exit(&self) -> Result<Exit, CliError> {
        let all = || std::iter::once(&self.availability).chain(&self.latency);
        if let Some(nothing) = all().find(|report| report.is_within().is_none()) {
            return Err(CliError::Failed(nothing.nothing()));
        }
        let missed = all().any(|report| report.is_within() == Some(false));
        Ok(if missed { Exit::RolledBack } else { Exit::Done })
    }
}
