//! What is wanted of response times: from the command line, or the template's latency metric.

use super::args::Args;
use crate::{
    api::{
        analysis::{AnalysisTemplateSpec, BuiltinHistogram, Histogram, LatencyMetric},
        common::{HumanDuration, Percent},
    },
    cli::exit::CliError,
};

/// The share of fast requests when nothing is said: as the latency judge's `slo.share`.
const OBJECTIVE: Percent = Percent::whole(99);

/// What is wanted of response times.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyObjective {
    /// The histogram.
    pub histogram: Histogram,
    /// A request that takes longer is slow.
    pub under: HumanDuration,
    /// The share of requests that must not be.
    pub objective: Percent,
}

impl LatencyObjective {
    /// From the arguments, and the template's latency metric where they say nothing.
    pub fn of(args: &Args, template: Option<&AnalysisTemplateSpec>) -> Result<Option<Self>, CliError> {
        let metric = template.and_then(|spec| spec.metrics.iter().find_map(|metric| metric.latency.clone()));
        let known = metric.as_ref().and_then(|metric: &LatencyMetric| metric.slo.clone());
        let Some(under) = args.latency.or(known.as_ref().map(|slo| slo.under)) else {
            return match args.latency_objective {
                Some(_) => Err(CliError::Usage("--latency-objective needs --latency, like --latency 300ms".into())),
                None => Ok(None),
            };
        };
        let slow = known.and_then(|slo| slo.share).map(Percent::rest);
        let objective = args.latency_objective.or(slow).unwrap_or(OBJECTIVE);
        if under.get().is_zero() {
            return Err(CliError::Usage("--latency must be above 0".into()));
        }
        if objective.is_zero() || objective >= Percent::FULL {
            return Err(CliError::Usage("--latency-objective must be above 0 and below 100 %".into()));
        }
        let builtin = Histogram { builtin: Some(BuiltinHistogram::Duration), prometheus: None };
        let histogram = metric.map_or(builtin, |metric| metric.histogram);
        if args.service.is_none() && histogram.builtin.is_some() {
            let words = "the response times are those of a metric pack: name the SERVICE whose requests these are, too";
            return Err(CliError::Usage(words.into()));
        }
        Ok(Some(LatencyObjective { histogram, under, objective }))
    }
}
