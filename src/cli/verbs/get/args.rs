//! What `get` is asked for.

use crate::cli::render::jsonpath::Path;

/// List Rollouts, or show some by name
#[derive(clap::Args, Clone, Debug, Default)]
#[command(after_help = "Examples:
  glidepath get                       the Rollouts of the namespace
  glidepath get rollouts -A           in all namespaces
  glidepath get rollout checkout -w   one, and a line for every change
  glidepath get checkout -o yaml      the object itself
  glidepath get checkout -o jsonpath='{.status.phase}'
  glidepath get --sort-by .metadata.creationTimestamp
  glidepath get runs                  the AnalysisRuns; 'glidepath describe run NAME' shows one")]
pub struct Args {
    /// `rollouts` (optional) and names, or `runs` and names of AnalysisRuns
    #[arg(value_name = "NAME")]
    pub words: Vec<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Only objects with these labels
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    pub selector: Option<String>,
    /// Only objects with these fields, like metadata.name=checkout
    #[arg(long, value_name = "SELECTOR")]
    pub field_selector: Option<String>,
    /// Sort by the value at this path, like .metadata.creationTimestamp
    #[arg(long, value_name = "PATH", value_parser = Path::read)]
    pub sort_by: Option<Path>,
    /// Watch: print a line, or with -o json an object, per change
    #[arg(short, long)]
    pub watch: bool,
}
