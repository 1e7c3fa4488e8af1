//! `glidepath mesh render`: the native objects that a policy or a fault becomes on a mesh.

use super::planned::{PlannedFault, PolicyArgs, planned};
use crate::{
    cli::{
        args::global::Global,
        connect::now,
        exit::{CliError, Exit},
        render::output::print,
    },
    mesh::{self, MeshPlan},
};

/// Print the native objects that a policy or a fault becomes
///
/// Services and workloads that a policy names are looked up in the same files. Nothing is printed when a field of a policy is
/// not in the mesh: the error says which, and why. A fault ends as its status says, or its duration from now.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath mesh render policy.yaml services.yaml
  glidepath mesh render fault.yaml services.yaml | kubectl apply -f -
  kubectl get service,deployment,serviceaccount -o yaml \\
    | glidepath mesh render policy.yaml - --mesh istio")]
pub struct RenderArgs {
    #[command(flatten)]
    /// What is rendered.
    pub policies: PolicyArgs,
}

/// Prints the objects of every policy in the files.
pub fn run(args: &RenderArgs, global: &Global) -> Result<Exit, CliError> {
    let all = planned(&args.policies, global, now(), "cannot render")?;
    let policies = all.policies.iter().map(|one| text(&one.plan));
    let rendered: Result<Vec<String>, CliError> = policies.chain(all.faults.iter().map(of_fault)).collect();
    print(&rendered?.join("---\n"))?;
    Ok(Exit::Done)
}

/// With when it ends, which is in the objects too.
fn of_fault(fault: &PlannedFault) -> Result<String, CliError> {
    let because = if fault.has_begun { "as its status says" } else { "as if it began now" };
    Ok(format!("# ends by itself at {}, {because}\n{}", fault.until, text(&fault.plan)?))
}

fn text(plan: &MeshPlan) -> Result<String, CliError> {
    let notes: String = plan.notes.iter().map(|note| format!("# {note}\n")).collect();
    let objects = mesh::render(plan).map_err(|error| CliError::Failed(error.to_string()))?;
    Ok(notes + &objects)
}
