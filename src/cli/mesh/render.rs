//! `glidepath mesh render`: the native objects that a policy becomes on a mesh.

use super::input::{self, Written};
use crate::{
    cli::{
        args::{files::FileArgs, global::Global},
        exit::{CliError, Exit},
        offline::refusal::Refusal,
        render::output::print,
    },
    mesh::{self, MESHES, MeshKind, MeshPlan},
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
    /// What is rendered.
    #[command(flatten)]
    pub files: FileArgs,
    /// The mesh, for policies that do not name one
    #[arg(long, value_name = "MESH")]
    pub mesh: Option<String>,
}

const CANNOT: &str = "cannot render";

/// Prints the objects of every policy in the files.
pub fn run(args: &RenderArgs, global: &Global) -> Result<Exit, CliError> {
    let mut refusal = Refusal::default();
    let input = input::read(&args.files, global.namespace.as_deref().unwrap_or("default"), &mut refusal)?;
    let mut rendered = Vec::new();
    for written in &input.policies {
        let Some(kind) = kind_of(written, args.mesh.as_deref(), &mut refusal) else { continue };
        let plan = mesh::plan(kind, &written.policy, &input.facts, &input.objects);
        say(&plan, written, &mut refusal);
        rendered.push(text(&plan)?);
    }
    refusal.check(CANNOT)?;
    print(&rendered.join("---\n"))?;
    Ok(Exit::Done)
}

/// The mesh of a policy: the one that it names, or the one of the command line.
fn kind_of(written: &Written, asked: Option<&str>, refusal: &mut Refusal) -> Option<&'static MeshKind> {
    let known: Vec<&str> = MESHES.iter().map(|kind| kind.key).collect();
    let named = written.policy.spec.mesh.as_deref().or(asked);
    let kind = named.and_then(mesh::mesh);
    if kind.is_none() {
        let message = match named {
            Some(name) => format!("there is no mesh {name}; there are {}", known.join(", ")),
            None => format!("is missing; set it, or --mesh, to one of {}", known.join(", ")),
        };
        refusal.add(&written.file, written.document.position("spec.mesh"), "spec.mesh", message);
    }
    kind
}

/// What is in the way of a plan, at the field that it is about.
fn say(plan: &MeshPlan, written: &Written, refusal: &mut Refusal) {
    for refused in &plan.refused {
        let path = format!("spec.{}", refused.field);
        refusal.add(&written.file, written.document.position(&path), &path, refused.why.clone());
    }
    for conflict in &plan.conflicts {
        refusal.add(&written.file, written.document.position("spec"), "spec", conflict.to_string());
    }
}

fn text(plan: &MeshPlan) -> Result<String, CliError> {
    let notes: String = plan.notes.iter().map(|note| format!("# {note}\n")).collect();
    let objects = mesh::render(plan).map_err(|error| CliError::Failed(error.to_string()))?;
    Ok(notes + &objects)
}
