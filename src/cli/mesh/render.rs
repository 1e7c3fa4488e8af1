//! `glidepath mesh render`: the native objects that a policy becomes on a mesh.

use super::planned::{PolicyArgs, planned};
use crate::{
    cli::{
        args::global::Global,
        exit::{CliError, Exit},
        render::output::print,
    },
    mesh::{self, MeshPlan},
};

/// Print the native objects that a policy becomes
///
/// Services and workloads that a policy names are looked up in the same files. Nothing is printed when a field of a policy is
/// not in the mesh: the error says which, and why.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath mesh render policy.yaml services.yaml
  kubectl get service,deployment,serviceaccount -o yaml \\
    | glidepath mesh render policy.yaml - --mesh istio")]
pub struct RenderArgs {
    #[command(flatten)]
    /// What is rendered.
    pub policies: PolicyArgs,
}

/// Prints the objects of every policy in the files.
pub fn run(args: &RenderArgs, global: &Global) -> Result<Exit, CliError> {
    let (all, _) = planned(&args.policies, global, "cannot render")?;
    let rendered: Result<Vec<String>, CliError> = all.iter().map(|one| text(&one.plan)).collect();
    print(&rendered?.join("---\n"))?;
    Ok(Exit::Done)
}

fn text(plan: &MeshPlan) -> Result<String, CliError> {
    let notes: String = plan.notes.iter().map(|note| format!("# {note}\n")).collect();
    let objects = mesh::render(plan).map_err(|error| CliError::Failed(error.to_string()))?;
    Ok(notes + &objects)
}
