//! What a metric's judge remembers, as it is worked with: read from the status once, written into it when that is put on
//! record.

use std::borrow::Cow;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::api::analysis::{Metric, MetricStatus};

use super::{
    context::Context,
    judges::{conversion, ratio, threshold},
    silence::Silence,
};

/// A judge's memory.
#[derive(Clone, Debug)]
pub(super) enum Memory {
    /// Nothing yet.
    Absent,
    Ratio(Box<ratio::Memory>),
    Threshold(Box<threshold::Memory>),
    Conversion(Box<conversion::Memory>),
    /// The stored state cannot be decoded, or the metric has no judge.
    Unreadable(String),
}

/// A memory with what it was read from, as long as it says the same.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    memory: Memory,
    record: Option<Value>,
}

impl Kept {
    /// Takes a metric's memory out of its status.
    pub(super) fn take(metric: &Metric, status: Option<&mut MetricStatus>) -> Kept {
        let record = status.and_then(|status| status.accumulator.take());
        let memory = match &record {
            _ if metric.ratio.is_none() && metric.threshold.is_none() && metric.conversion.is_none() => {
                Memory::Unreadable("the metric has no judge".to_owned())
            }
            None => Memory::Absent,
            Some(record) if metric.ratio.is_some() => read(record, Memory::Ratio),
            Some(record) if metric.threshold.is_some() => read(record, Memory::Threshold),
            Some(record) => read(record, Memory::Conversion),
        };
        Kept { memory, record }
    }

    /// The memory, begun where there is none, to be changed. An error when there is one that cannot be read.
    pub(super) fn change(&mut self, metric: &Metric, context: &Context) -> Result<&mut Memory, String> {
        if let Memory::Unreadable(error) = &self.memory {
            return Err(error.clone());
        }
        if matches!(self.memory, Memory::Absent) {
            self.memory = begun(metric, context);
        }
        self.record = None;
        Ok(&mut self.memory)
    }

    /// The memory as it is.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The memory, begun where there is none.
    pub(super) fn known(&self, metric: &Metric, context: &Context) -> Cow<'_, Memory> {
        let absent = matches!(self.memory, Memory::Absent);
        if absent { Cow::Owned(begun(metric, context)) } else { Cow::Borrowed(&self.memory) }
    }

    /// The end of the last window that was counted.
    pub(super) fn through(&self) -> Option<i64> {
        match &self.memory {
            Memory::Ratio(memory) => memory.through,
            Memory::Conversion(memory) => memory.through,
            Memory::Absent | Memory::Threshold(_) => None,
            Memory::Unreadable(_) => self.record.as_ref()?.get("through")?.as_i64(),
        }
    }

    /// For the record.
    pub(super) fn written(&self) -> Option<Value> {
        if self.record.is_some() {
            return self.record.clone();
        }
        match &self.memory {
            Memory::Ratio(memory) => write(memory),
            Memory::Threshold(memory) => write(memory),
            Memory::Conversion(memory) => write(memory),
            Memory::Absent | Memory::Unreadable(_) => None,
        }
    }
}

impl Memory {
    /// Since when there is nothing to judge, and when to ask again after an error.
    pub(super) fn silence(&self) -> Silence {
        match self {
            Memory::Ratio(memory) => memory.silence.clone(),
            Memory::Threshold(memory) => memory.silence.clone(),
            Memory::Conversion(memory) => memory.silence.clone(),
            Memory::Absent | Memory::Unreadable(_) => Silence::default(),
        }
    }
}

fn begun(metric: &Metric, context: &Context) -> Memory {
    if metric.ratio.is_some() {
        Memory::Ratio(Box::new(ratio::Memory::new(context.epoch)))
    } else if metric.threshold.is_some() {
        Memory::Threshold(Box::new(threshold::Memory::new(context.epoch)))
    } else {
        Memory::Conversion(Box::new(conversion::Memory::new(context)))
    }
}

fn read<M: DeserializeOwned>(record: &Value, memory: impl Fn(Box<M>) -> Memory) -> Memory {
    match M::deserialize(record) {
        Ok(read) => memory(Box::new(read)),
        Err(error) => Memory::Unreadable(error.to_string()),
    }
}

fn write(memory: &impl Serialize) -> Option<Value> {
    serde_json::to_value(memory).ok()
}
