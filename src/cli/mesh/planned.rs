//! The policies and faults of files with their plans, or every reason why one cannot be carried out.

use jiff::Timestamp;

use super::input::{self, Input, Written};
use crate::{
    api::MeshPolicy,
    cli::{
        args::{files::FileArgs, global::Global},
        exit::CliError,
        offline::refusal::Refusal,
    },
    mesh::{self, MESHES, MeshKind, MeshPlan, MeshWrite},
    router::Objects,
};

/// Which policies and faults, on which mesh.
#[derive(clap::Args, Clone, Debug)]
pub struct PolicyArgs {
    /// What is read: policies, faults, and the Services, workloads and objects of the mesh around them.
    #[command(flatten)]
    pub files: FileArgs,
    /// The mesh, for policies and faults that do not name one
    #[arg(long, value_name = "MESH")]
    pub mesh: Option<String>,
}

/// A policy with its plan.
pub(super) struct Planned {
    pub kind: &'static MeshKind,
    pub written: Written<MeshPolicy>,
    pub plan: MeshPlan,
}

/// A fault with its plan.
pub(super) struct PlannedFault {
    pub until: Timestamp,
    /// Whether its status says when it ends; else it begins now.
    pub has_begun: bool,
    pub plan: MeshPlan,
}

/// What was planned, and what was read around it.
pub(super) struct AllPlanned {
    pub policies: Vec<Planned>,
    pub faults: Vec<PlannedFault>,
    pub input: Input,
}

/// Reads files and plans every policy and fault in them; `cannot` is what an error begins with.
pub(super) fn planned(
    args: &PolicyArgs,
    global: &Global,
    now: Timestamp,
    cannot: &str,
) -> Result<AllPlanned, CliError> {
    let mut refusal = Refusal::default();
    let mut input = input::read(&args.files, global.namespace.as_deref().unwrap_or("default"), &mut refusal)?;
    let (mut policies, mut faults) = (Vec::new(), Vec::new());
    let mut objects = input.objects.clone();
    for written in std::mem::take(&mut input.policies) {
        let named = written.object.spec.mesh.as_deref().or(args.mesh.as_deref());
        let Some(kind) = kind_of(&written, named, &mut refusal) else { continue };
        let plan = mesh::plan(kind, &written.object, &input.facts, &objects);
        objects = with_shared(&plan, &objects);
        say(&plan, &written, &mut refusal);
        policies.push(Planned { kind, written, plan });
    }
    for written in std::mem::take(&mut input.faults) {
        let named = written.object.spec.mesh.as_deref().or(args.mesh.as_deref());
        let Some(kind) = kind_of(&written, named, &mut refusal) else { continue };
        let fault = &written.object;
        let begun = fault.status.as_ref().and_then(|status| status.state.as_ref()?.until());
        let until = begun.unwrap_or_else(|| fault.spec.duration.after(whole_second(now)));
        let plan = mesh::fault::plan(kind, fault, until, &input.facts, &input.objects);
        say(&plan, &written, &mut refusal);
        faults.push(PlannedFault { until, has_begun: begun.is_some(), plan });
    }
    refusal.check(cannot)?;
    Ok(AllPlanned { policies, faults, input })
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

/// An end that a reader can compare with a clock.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

/// The mesh that an object or the command line names.
fn kind_of<T>(written: &Written<T>, named: Option<&str>, refusal: &mut Refusal) -> Option<&'static MeshKind> {
    let known: Vec<&str> = MESHES.iter().map(|kind| kind.key).collect();
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
fn say<T>(plan: &MeshPlan, written: &Written<T>, refusal: &mut Refusal) {
    for refused in &plan.refused {
        let path = format!("spec.{}", refused.field);
        refusal.add(&written.file, written.document.position(&path), &path, refused.why.clone());
    }
    for conflict in &plan.conflicts {
        refusal.add(&written.file, written.document.position("spec"), "spec", conflict.to_string());
    }
}
