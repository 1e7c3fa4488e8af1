//! What a judge is: how one kind of metric asks, and how it turns answers into a verdict.
//!
//! A judge is a metric's type of the API with the trait [`Judge`], and its memory a type of its own. A run works with metrics
//! of all kinds alike: [`AtWork`], which every judge is, sets the memory's type aside.

use std::{any::Any, fmt::Debug};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    api::analysis::{AnalysisRunSpec, MetricStatus},
    evidence::{
        context::Context,
        defaults::Frozen,
        dialect::Dialect,
        no_data::NoData,
        plan::Answered,
        query::{IncrementsQuery, Query},
    },
};

/// Fields of a metric, for instance `ratio.floor`, each with what is wrong and what to do.
pub type Problems = Vec<(String, String)>;

/// What the time to a Pass is counted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// The start of the run.
    Start,
    /// A new weight, with evidence of an earlier one.
    NewWeight,
}

/// How one kind of metric is judged.
pub trait Judge: AtWork {
    /// What it remembers from window to window; the metric's status records it.
    type Memory: Memory + Serialize + DeserializeOwned
    where
        Self: Sized;

    /// Values that it cannot judge by, and counters that the source's dialect has no query for.
    fn problems(&self, dialect: &dyn Dialect) -> Problems;

    /// The question of the window that ends at `end` (unix seconds), if it compares what both arms count.
    fn window(&self, _spec: &AnalysisRunSpec, _frozen: &Frozen, _end: i64) -> Option<IncrementsQuery> {
        None
    }

    /// Whether its verdict is a test, for which it takes its part of alpha.
    fn takes_alpha(&self) -> bool;

    /// Whether it takes a part of the tenth of alpha that is kept for coarse tests.
    fn takes_reserve(&self) -> bool {
        false
    }

    /// The shortest time to a Pass, in seconds: from the start of a run, or for a run that is under way from a new weight.
    fn soonest(&self, frozen: &Frozen, since: Since) -> i64;

    /// Whether it decides between the variants of an A/B test: it needs users of both at the same time, and its Fail is a
    /// regular result, which does not end a run.
    fn decides(&self) -> bool {
        false
    }

    /// Whether it compares what pods of both arms do under traffic: without any at stable it has nothing to compare with.
    fn compares_pods(&self) -> bool {
        false
    }

    /// The memory at the start of a run.
    fn begin(&self, context: &Context) -> Self::Memory
    where
        Self: Sized;

    /// The questions that are due, in time order, and when the next one is (unix seconds).
    fn ask(&self, memory: &Self::Memory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64)
    where
        Self: Sized;

    /// Counts the answers, and writes the verdict with its reason into the status.
    fn advance(&self, memory: &mut Self::Memory, status: &mut MetricStatus, answers: &[&Answered], context: &Context)
    where
        Self: Sized;

    /// Adds what is displayed next to the verdict and costs too much to be computed at every window.
    fn describe(&self, _memory: &Self::Memory, _status: &mut MetricStatus, _context: &Context)
    where
        Self: Sized,
    {
    }

    /// The logarithm of its e-value that the canary is worse, where its verdict is such a test.
    fn log_e(&self, _memory: &Self::Memory, _context: &Context) -> Option<f64>
    where
        Self: Sized,
    {
        None
    }

    /// What a run's message says of the metric, where the usual sentences do not fit.
    fn sentence(&self, _status: &MetricStatus) -> Option<String> {
        None
    }
}

/// What a judge remembers.
pub trait Memory: Any + Debug + Send + Sync {
    /// Since when there is nothing to judge, and when to ask again after an error.
    fn silence(&self) -> &NoData;

    /// The end of the last window that was counted, if it counts windows.
    fn through(&self) -> Option<i64> {
        None
    }
}

/// A judge whose memory may be of any type. A memory of another judge's is an error, or nothing.
pub trait AtWork {
    /// See [`Judge::begin`].
    fn begun(&self, context: &Context) -> Box<dyn Memory>;
    /// The memory from its record.
    fn read(&self, record: &Value) -> Result<Box<dyn Memory>, serde_json::Error>;
    /// The memory for the record.
    fn written(&self, memory: &dyn Memory) -> Option<Value>;
    /// See [`Judge::ask`].
    fn asks(&self, memory: &dyn Memory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64);
    /// See [`Judge::advance`].
    fn advances(
        &self,
        memory: &mut dyn Memory,
        status: &mut MetricStatus,
        answers: &[&Answered],
        context: &Context,
    ) -> Result<(), NotItsMemory>;
    /// See [`Judge::describe`].
    fn describes(&self, memory: &dyn Memory, status: &mut MetricStatus, context: &Context);
    /// See [`Judge::log_e`].
    fn weighs(&self, memory: &dyn Memory, context: &Context) -> Option<f64>;
}

/// A judge was given the memory of another.
#[derive(Debug, thiserror::Error)]
#[error("the stored evidence belongs to another judge")]
pub struct NotItsMemory;

impl<J: Judge> AtWork for J {
    fn begun(&self, context: &Context) -> Box<dyn Memory> {
        Box::new(self.begin(context))
    }

    fn read(&self, record: &Value) -> Result<Box<dyn Memory>, serde_json::Error> {
        Ok(Box::new(J::Memory::deserialize(record)?))
    }

    fn written(&self, memory: &dyn Memory) -> Option<Value> {
        serde_json::to_value(own::<J>(memory)?).ok()
    }

    fn asks(&self, memory: &dyn Memory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        own::<J>(memory).map_or((Vec::new(), i64::MAX), |memory| self.ask(memory, spec, context))
    }

    fn advances(
        &self,
        memory: &mut dyn Memory,
        status: &mut MetricStatus,
        answers: &[&Answered],
        context: &Context,
    ) -> Result<(), NotItsMemory> {
        let memory: &mut dyn Any = memory;
        let memory = memory.downcast_mut::<J::Memory>().ok_or(NotItsMemory)?;
        self.advance(memory, status, answers, context);
        Ok(())
    }

    fn describes(&self, memory: &dyn Memory, status: &mut MetricStatus, context: &Context) {
        if let Some(memory) = own::<J>(memory) {
            self.describe(memory, status, context);
        }
    }

    fn weighs(&self, memory: &dyn Memory, context: &Context) -> Option<f64> {
        self.log_e(own::<J>(memory)?, context)
    }
}

fn own<J: Judge>(memory: &dyn Memory) -> Option<&J::Memory> {
    let memory: &dyn Any = memory;
    memory.downcast_ref()
}
