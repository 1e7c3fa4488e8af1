//! What a metric's judge remembers, as it is worked with: read from the status once, written into it when that is put on
//! record.

use serde_json::Value;

use crate::api::analysis::{Metric, MetricStatus};

use super::{
    context::Context,
    judges::{Judge, Memory, judge_of},
};

/// What is wrong with a metric that names no judge.
pub(super) const NO_JUDGE: &str = "the metric has no judge";

/// A memory with what it was read from, as long as it says the same.
#[derive(Debug)]
pub(super) struct Kept {
    /// `None` before the first answer. An error when the stored state cannot be decoded, or the metric has no judge.
    memory: Result<Option<Box<dyn Memory>>, String>,
    record: Option<Value>,
}

impl Kept {
    /// Takes a metric's memory out of its status.
    pub(super) fn take(metric: &Metric, status: Option<&mut MetricStatus>) -> Kept {
        let record = status.and_then(|status| status.accumulator.take());
        let memory = match (judge_of(metric), &record) {
            (None, _) => Err(NO_JUDGE.to_owned()),
            (Some(_), None) => Ok(None),
            (Some(judge), Some(record)) => judge.read(record).map(Some).map_err(|error| error.to_string()),
        };
        Kept { memory, record }
    }

    /// The memory, begun where there is none, to be changed. An error when there is one that cannot be read.
    pub(super) fn change(&mut self, judge: &dyn Judge, context: &Context) -> Result<&mut dyn Memory, String> {
        let memory = self.memory.as_mut().map_err(|error| error.clone())?;
        self.record = None;
        Ok(memory.get_or_insert_with(|| judge.begun(context)).as_mut())
    }

    /// The memory as it is, if there is one that can be read.
    pub(super) fn memory(&self) -> Option<&dyn Memory> {
        self.memory.as_ref().ok()?.as_deref()
    }

    /// Looks at the memory, begun where there is none. Nothing when there is one that cannot be read.
    pub(super) fn look<T>(
        &self,
        judge: &dyn Judge,
        context: &Context,
        look: impl FnOnce(&dyn Memory) -> T,
    ) -> Option<T> {
        match self.memory.as_ref().ok()? {
            Some(memory) => Some(look(memory.as_ref())),
            None => Some(look(judge.begun(context).as_ref())),
        }
    }

    /// The end of the last window that was counted.
    pub(super) fn through(&self) -> Option<i64> {
        match &self.memory {
            Ok(memory) => memory.as_ref()?.through(),
            Err(_) => self.record.as_ref()?.get("through")?.as_i64(),
        }
    }

    /// For the record.
    pub(super) fn written(&self, metric: &Metric) -> Option<Value> {
        if self.record.is_some() {
            return self.record.clone();
        }
        judge_of(metric)?.written(self.memory()?)
    }
}
