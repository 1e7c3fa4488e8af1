//! PromQL as a [`Dialect`]: what can be written in it is what its queries can be written for.

use super::{
    buckets,
    promql::{self, PromqlError},
    selector::Selector,
};
use crate::{
    api::analysis::{Counter, Histogram},
    evidence::{Dialect, IncrementsQuery},
};

/// The query language of Prometheus.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromQl;

impl Dialect for PromQl {
    fn counter(&self, counter: &Counter) -> Result<(), String> {
        match (&counter.builtin, &counter.prometheus) {
            (Some(_), None) => Ok(()),
            (None, Some(own)) => {
                if let Some((field, problem)) = own.problems().first() {
                    return Err(format!("prometheus.{field}: {problem}"));
                }
                Selector::parse(&own.counter).map(drop).map_err(|error| format!("prometheus.counter: {error}"))
            }
            _ => Err(PromqlError::NoCounter.to_string()),
        }
    }

    fn histogram(&self, histogram: &Histogram) -> Result<(), String> {
        let Some(own) = &histogram.prometheus else { return Ok(()) };
        if let Some((field, problem)) = own.problems().first() {
            return Err(format!("prometheus.{field}: {problem}"));
        }
        buckets::own(own).map(drop).map_err(|error| format!("prometheus.histogram: {error}"))
    }

    fn window(&self, question: &IncrementsQuery) -> Result<(), String> {
        promql::increments(&[question]).map(drop).map_err(|error| error.to_string())
    }
}
