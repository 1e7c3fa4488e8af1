//! What a release was judged by: its background AnalysisRun, as users read it.

use crate::lane::PROMETHEUS_URL;
use crate::{glidepath, lane};
use serde_json::Value;
use std::path::Path;

/// The background run of one revision.
pub struct Judged(Value);

impl Judged {
    /// Of the first attempt of revision `number` of the Rollout `web`.
    pub fn of(namespace: &str, number: u64) -> Self {
        Self(lane().get(namespace, "gar", &format!("web-{number}-1-background")).unwrap())
    }

    /// What `glidepath analyze` says of the same versions over the same time, by its exit code: it gets the template, the
    /// workloads and when the run began, and asks Prometheus alone.
    pub fn replayed(&self, template: &Path) -> (Option<i32>, String) {
        let text = |at: &str| self.0.pointer(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let output = glidepath()
            .args(["analyze", "--prometheus", PROMETHEUS_URL, "-n", &text("/spec/arms/namespace"), "-f"])
            .arg(template)
            .args(["--canary", &text("/spec/arms/canary"), "--stable", &text("/spec/arms/stable")])
            .args(["--pack", self.pack(), "--replay", &format!("{}..", text("/status/startedAt"))])
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// The metric pack that its counters came from.
    pub fn pack(&self) -> &str {
        self.0["spec"]["settings"]["pack"].as_str().unwrap_or_default()
    }

    /// The notes of its first metric.
    pub fn notes(&self) -> Vec<&str> {
        let notes = self.0["status"]["metrics"][0]["notes"].as_array();
        notes.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub fn verdict(&self) -> &str {
        self.0["status"]["verdict"].as_str().unwrap_or_default()
    }

    /// Bad and all requests of one side (`canary`, `stable`) in its first metric, shown as `1.34 % (9/671)`.
    pub fn counted(&self, side: &str) -> (u64, u64) {
        let shown = self.0["status"]["metrics"][0][side].as_str().unwrap_or_default();
        let counts = shown.split_once('(').and_then(|(_, counts)| counts.trim_end_matches(')').split_once('/'));
        let (bad, total) = counts.unwrap_or_else(|| panic!("no counts of {side}: {:#}", self.0));
        let number = |text: &str| text.replace(',', "").parse().unwrap();
        (number(bad), number(total))
    }
}
