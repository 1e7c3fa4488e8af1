//! `glidepath mesh`: policies and faults of a mesh: what they become and whom they would cut, and where they stand in a cluster.

mod check;
mod command;
mod fault;
mod input;
mod listed;
mod planned;
mod render;
mod status;

use crate::{
    api::command::Verb,
    cli::{
        args::global::Global,
        exit::{CliError, Exit},
    },
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
    Get(listed::GetArgs),
    Status(status::StatusArgs),
    Promote(command::PromoteArgs),
    Abort(command::AbortArgs),
    Retry(command::RetryArgs),
}

/// Runs one of the verbs.
pub async fn run(args: &MeshArgs, global: &Global) -> Result<Exit, CliError> {
    match &args.verb {
        MeshVerb::Render(args) => render::run(args, global),
        MeshVerb::Check(args) => check::run(args, global).await,
        MeshVerb::Fault(args) => fault::run(args, global).await,
        MeshVerb::Get(args) => listed::run(args, global).await,
        MeshVerb::Status(args) => status::run(args, global).await,
        MeshVerb::Promote(args) => command::run(Verb::Promote, &args.common, global).await,
        MeshVerb::Abort(args) => command::run(Verb::Abort, &args.common, global).await,
        MeshVerb::Retry(args) => command::run(Verb::Retry, &args.common, global).await,
    }
}
