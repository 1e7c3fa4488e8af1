//! `glidepath mesh`: policies of a mesh, from files.

mod input;
mod render;

use crate::cli::{
    args::global::Global,
    exit::{CliError, Exit},
};

/// Work with mesh policies
#[derive(clap::Args, Clone, Debug)]
pub struct MeshArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: MeshVerb,
}

/// What to do with policies.
#[derive(clap::Subcommand, Clone, Debug)]
pub enum MeshVerb {
    /// Print the native objects that a policy becomes
    Render(render::RenderArgs),
}

/// Runs one of the verbs.
pub fn run(args: &MeshArgs, global: &Global) -> Result<Exit, CliError> {
    match &args.verb {
        MeshVerb::Render(args) => render::run(args, global),
    }
}
