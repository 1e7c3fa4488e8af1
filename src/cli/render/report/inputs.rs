//! What an analysis judged by: its metrics as resolved, and the queries that it sent.

use crate::{
    evidence::run::questions,
    source::prometheus::texts,
    view::report::{run::RunPart, story::Report},
    yaml,
};

/// One query: the metric and what it counts, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) what: String,
    pub(super) text: String,
}

/// The metrics and settings as YAML, arguments substituted.
pub(super) fn resolved(run: &RunPart) -> String {
    yaml::write(&serde_json::json!({ "metrics": run.spec.metrics, "settings": run.spec.settings })).unwrap_or_default()
}

/// The queries of one window, or one measurement, of each metric; none where no source was asked.
pub(super) fn queries(report: &Report, run: &RunPart) -> Vec<Asked> {
    if !report.has_queries {
        return Vec::new();
    }
    let of_metric = |(name, query): (&str, _)| {
        let asked = |(part, text): (&str, String)| Asked { what: format!("Query of {name}: {part}"), text };
        texts(&query).into_iter().map(asked).collect::<Vec<_>>()
    };
    questions(&run.spec, run.started_at).into_iter().flat_map(of_metric).collect()
}
