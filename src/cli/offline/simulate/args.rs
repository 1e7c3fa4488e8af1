//! The command line of `glidepath simulate`.

use std::path::PathBuf;

/// Run scenarios in virtual time, or estimate a Rollout's outcomes
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "A scenario describes a cluster, a timeline and expectations (docs/simulate.md). It runs with
the controller's own engine and judges against a simulated cluster; hours take
milliseconds. With --runs each scenario runs with several seeds, and statistics are
printed. With -f only a Rollout's file is needed: it is simulated with a good version and
bad ones.

Exit codes: 0 everything was as it should be, 1 an expectation failed, 2 usage error

Examples:
  glidepath simulate --scenario tests/scenarios/*.yaml
  glidepath simulate --scenario bad-version.yaml --seed 7
  glidepath simulate --scenario bad-version.yaml --runs 200
  glidepath simulate -f rollouts/canary.yaml --rps 50")]
pub struct SimulateArgs {
    /// Scenario files
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "file", conflicts_with = "file")]
    pub scenario: Vec<PathBuf>,
    /// A Rollout's file or folder to estimate outcomes for, with its AnalysisTemplates and its Deployment
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// The random seed; default: the scenario's seed, else 1
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Run this many seeds and print statistics; default 1, with -f 200
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub runs: Option<u32>,
    /// Requests per second, with -f
    #[arg(long, value_name = "NUMBER", default_value_t = 50.0, requires = "file", value_parser = rps)]
    pub rps: f64,
    /// Print JSON, like -o json
    #[arg(long)]
    pub json: bool,
}

fn rps(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "is not a number".to_owned())?;
    if number > 0.0 && number <= 1e6 { Ok(number) } else { Err("must be above 0, and at most 1000000".to_owned()) }
}
