//! The command line of `glidepath simulate`.

use std::path::PathBuf;

use crate::cli::args::files::FileArgs;

/// Run scenarios in virtual time, or estimate a Rollout's outcomes
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "A scenario describes a cluster, a timeline and expectations (docs/simulate.md). It runs with
the controller's own engine and judges against a simulated cluster; hours take
milliseconds. With --runs each scenario runs with several seeds, and statistics are
printed. Without --scenario only the files of Rollouts are needed: each is simulated with a
good version and bad ones.

Formats for CI: -o junit, a test case per scenario. The shape of -o json is in docs/json.md.

Exit codes: 0 everything was as it should be, 1 an expectation failed, 2 usage error

Examples:
  glidepath simulate --scenario tests/scenarios/*.yaml
  glidepath simulate --scenario bad-version.yaml --seed 7
  glidepath simulate --scenario bad-version.yaml --runs 200
  glidepath simulate rollouts/canary.yaml --rps 50
  kustomize build . | glidepath simulate -f -")]
pub struct SimulateArgs {
    /// The Rollouts to estimate outcomes for, with their AnalysisTemplates and Deployments.
    #[command(flatten)]
    pub files: FileArgs,
    /// Scenario files
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["file", "paths"])]
    pub scenario: Vec<PathBuf>,
    /// The random seed; default: the scenario's seed, else 1
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Run this many seeds and print statistics; default 1, without --scenario 200
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: Option<u32>,
    /// Requests per second, without --scenario
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0, conflicts_with = "scenario", value_parser = rps)]
    pub rps: f64,
    /// Print JSON, like -o json
    #[arg(long)]
    pub json: bool,
}

fn rps(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if number > 0.0 && number <= 1e6 { Ok(number) } else { Err("must be above 0, and at most 1000000".to_owned()) }
}
