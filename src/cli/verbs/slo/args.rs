//! The arguments of `slo`.

use std::path::PathBuf;

use crate::{
    api::{
        analysis::{Arg, Pack},
        common::{HumanDuration, Percent},
    },
    cli::args::{pack::packs, prometheus::Credentials, template_args::template_arg},
};

/// Check a service level objective: availability, error budget and burn rates
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Exit codes: 0 within the objective, 10 missed, 1 an error or no requests, 2 usage error

With --latency, or a latency metric with an slo in the template, both objectives have to be met. The response times are those
of the metric pack, or of that metric's histogram.

The availability is that of the whole period. A burn rate of 1 spends the error budget in exactly one period; LIMIT is the
rate of an alert on both windows of its pair (5m and 1h, 30m and 6h), as the judge burnRate has it. The shape of -o json is in
docs/json.md.

Examples:
  glidepath slo checkout --objective 99.9% --prometheus http://prom:9090
  glidepath slo checkout -n shop --objective 99.95% --period 28d --pack istio
  glidepath slo checkout --objective 99.9% \\
    --latency 300ms --latency-objective 99%
  glidepath slo -f slo.yaml --arg app=web --prometheus http://prom:9090
  glidepath slo checkout --objective 99.9% -o json

Without --prometheus the cluster is asked for the Rollout and the Prometheus that it names.")]
pub struct Args {
    /// The Rollout whose service is meant: the pods of all its revisions
    #[arg(value_name = "SERVICE")]
    pub service: Option<String>,
    /// A file with an AnalysisTemplate: the objective and the counters of its burnRate metric, or the counters of its ratio
    /// metric, and the histogram and slo of its latency metric
    #[arg(short, long, visible_alias = "filename", value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The value of an argument of that template, like app=checkout; can be repeated
    #[arg(long = "arg", value_name = "NAME=VALUE", requires = "file", value_parser = template_arg)]
    pub args: Vec<Arg>,
    /// The share of events that has to be good, like 99.9%
    #[arg(long, value_name = "PERCENT")]
    pub objective: Option<Percent>,
    /// A second objective: requests are fast that take at most so long, like 300ms; in effect the next bound of the histogram
    #[arg(long, value_name = "DURATION")]
    pub latency: Option<HumanDuration>,
    /// The share of requests that has to be that fast; default: 99%
    #[arg(long, value_name = "PERCENT")]
    pub latency_objective: Option<Percent>,
    /// The period of the objective, 7d to 90d; default: 30d
    #[arg(long, value_name = "DURATION")]
    pub period: Option<HumanDuration>,
    /// The metric pack that counts requests and errors; default: istio for a Rollout that is read from the cluster and has
    /// traffic.istio, else application
    #[arg(long, value_name = "PACK", value_parser = packs())]
    pub pack: Option<Pack>,
    /// The URL of the Prometheus to query, as reachable from here; default: the one that the Rollout names
    #[arg(long, value_name = "URL")]
    pub prometheus: Option<String>,
    #[command(flatten)]
    /// How to authenticate there.
    pub credentials: Credentials,
}
