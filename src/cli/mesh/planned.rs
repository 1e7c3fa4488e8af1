//! The policies of files with their plans, or every reason why one cannot be carried out.

use super::input::{self, Input, Written};
use crate::{
    cli::{
        args::{files::FileArgs, global::Global},
        exit::CliError,
        offline::refusal::Refusal,
    },
    mesh::{self, MESHES, MeshKind, MeshPlan, MeshWrite},
    router::Objects,
};

/// Which policies, on which mesh.
#[derive(clap::Args, Clone, Debug)]
pub struct PolicyArgs {
    /// What is read: policies, and the Services, workloads and objects of the mesh around them.
    #[command(flatten)]
    pub files: FileArgs,
    /// The mesh, for policies that do not name one
    #[arg(long, value_name = "MESH")]
    pub mesh: Option<String>,
}

/// A policy with its plan.
pub(super) struct Planned {
    pub kind: &'static MeshKind,
    pub written: Written,
    pub plan: MeshPlan,
}

/// Reads files and plans every policy in them; `cannot` is what an error begins with.
pub(super) fn planned(args: &PolicyArgs, global: &Global, cannot: &str) -> Result<(Vec<Planned>, Input), CliError> {
    let mut refusal = Refusal::default();
    let mut input = input::read(&args.files, global.namespace.as_deref().unwrap_or("default"), &mut refusal)?;
    let mut all = Vec::new();
    let mut objects = input.objects.clone();
    for written in std::mem::take(&mut input.policies) {
        let Some(kind) = kind_of(&written, args.mesh.as_deref(), &mut refusal) else { continue };
        let plan = mesh::plan(kind, &written.policy, &input.facts, &objects);
        objects = with_shared(&plan, &objects);
        say(&plan, &written, &mut refusal);
        all.push(Planned { kind, written, plan });
    }
    refusal.check(cannot)?;
    Ok((all, input))
}

/// Objects of the user's as a plan leaves them: the next policy with fields in one adds to the record that is there then.
fn with_shared(plan: &MeshPlan, objects: &Objects) -> Objects {
    let is_shared = |write: &&MeshWrite| match write {
        MeshWrite::Fields(object) | MeshWrite::Replace(object) => objects.replaced_by(object).is_some(),
        MeshWrite::Own(_) | MeshWrite::Delete(_) => false,
    };
    let writes = plan.writes.iter().filter(is_shared).cloned().collect();
    MeshPlan { writes, ..MeshPlan::default() }.after(objects)
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
