//! `glidepath mesh fault`: MeshFaults, created, listed and deleted.

mod access;
mod inject;
mod list;
mod stop;

use crate::cli::{
    args::global::Global,
    exit::{CliError, Exit},
};

/// Inject faults, list them, stop them
#[derive(clap::Args, Clone, Debug)]
pub struct FaultArgs {
    #[command(subcommand)]
    verb: FaultVerb,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum FaultVerb {
    Inject(inject::InjectArgs),
    List(list::ListArgs),
    Stop(stop::StopArgs),
}

/// Runs one of the verbs.
pub async fn run(args: &FaultArgs, global: &Global) -> Result<Exit, CliError> {
    match &args.verb {
        FaultVerb::Inject(args) => inject::run(args, global).await,
        FaultVerb::List(args) => list::run(args, global).await,
        FaultVerb::Stop(args) => stop::run(args, global).await,
    }
}
