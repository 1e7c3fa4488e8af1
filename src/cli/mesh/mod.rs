//! `glidepath mesh`: policies and faults of a mesh: what they become, whom they would cut, and faults in a cluster.

mod check;
mod fault;
mod input;
mod planned;
mod render;

use crate::cli::{
    args::global::Global,
    exit::{CliError, Exit},
};

/// Work with mesh policies and faults
#[derive(clap::Args, Clone, Debug)]
pub struct MeshArgs {
    #[command(subcommand)]
    verb: MeshVerb,
}

#[derive(clap::Subcommand, Clone, Debug)]
enum MeshVerb {
    Render(render::RenderArgs),
    Check(check::CheckArgs),
    Fault(fault::FaultArgs),
}

/// Runs one of the verbs.
pub async fn run(args: &MeshArgs, global: &Global) -> Result<Exit, CliError> {
    match &args.verb {
        MeshVerb::Render(args) => render::run(args, global),
        MeshVerb::Check(args) => check::run(args, global).await,
        MeshVerb::Fault(args) => fault::run(args, global).await,
    }
}
