//! Stable's error rate in the hour before a run whose stable side sees no comparable traffic (analysis.md, "One-armed"):
//! a blue-green preview, or a new version that has all traffic. It is asked once and frozen.

use serde::{Deserialize, Serialize};

use crate::{
    api::analysis::{AnalysisRunSpec, RatioMetric},
    evidence::{
        context::Context,
        query::{ArmCounts, IncrementsQuery},
        windows::{self, instant},
    },
};

const HOUR: u32 = 3600;

/// What is remembered of the hour before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistoricalBaseline {
    /// Whether it was answered.
    pub asked: bool,
    /// Stable's bad requests then.
    pub bad: u64,
    /// Stable's requests then.
    pub total: u64,
}

impl HistoricalBaseline {
    /// Whether there is nothing to remember: it was not asked for.
    pub fn is_unasked(&self) -> bool {
        !self.asked
    }

    /// The question, until it is answered.
    pub fn question(&self, spec: &AnalysisRunSpec, ratio: &RatioMetric, context: &Context) -> Option<IncrementsQuery> {
        (context.one_armed && !self.asked).then(|| IncrementsQuery {
            window_seconds: HOUR,
            warm_up_seconds: 0,
            whole_pods: true,
            ..windows::question(spec, &context.frozen, [&ratio.bad, &ratio.total], context.started.as_second())
        })
    }

    /// Whether a question is this one.
    pub fn is_asked_by(query: &IncrementsQuery, context: &Context) -> bool {
        context.one_armed && query.window_seconds == HOUR && query.end == instant(context.started.as_second())
    }

    /// Takes the answer in. A stable version without requests then says nothing.
    pub fn answered(&mut self, stable: Option<ArmCounts>) {
        let stable = stable.unwrap_or_default();
        *self = HistoricalBaseline { asked: true, bad: stable.bad.min(stable.total), total: stable.total };
    }

    /// Stable's rate then; 0 when unknown.
    pub fn rate(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.bad as f64 / self.total as f64 }
    }
}
