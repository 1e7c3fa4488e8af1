//! `undo`: back to an earlier revision, by a command that pins it or, with `--write`, by a patch of the template.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Map, Value, json};

use super::command;
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, Rollout, metadata, revision},
    cli::{
        args::{dry_run::DryRun, global::Global, names::one_name},
        connect::{Connection, connect},
        exit::{CliError, Exit},
        render::output::print,
    },
    cluster::kinds::NUMBER,
};

/// Roll back to an earlier revision
#[derive(clap::Args, Clone, Debug)]
#[command(mut_arg("words", |name| name.help("The Rollout")))]
#[command(after_help = "Examples:
  glidepath undo checkout                    roll back to the previous revision
  glidepath undo checkout --to-revision 40   'glidepath history checkout' lists them
  glidepath undo checkout --write            patches the template in the cluster, as
                                             'kubectl rollout undo' does

Without --write the spec does not change: the revision is pinned until the template
changes, so that GitOps has nothing to revert.")]
pub struct UndoArgs {
    /// What every command takes
    #[command(flatten)]
    pub common: command::Args,
    /// The revision number; default: the previous one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub to_revision: Option<u64>,
    /// Patch the template of the Rollout or its Deployment instead of pinning the revision
    #[arg(long, conflicts_with = "reason")]
    pub write: bool,
}

/// A revision that the cluster still knows, with its template as the API server keeps it.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    id: String,
    number: u64,
    template: Value,
}

/// The object that holds the template.
struct Holder {
    /// For messages: `Rollout "checkout"`.
    owner: String,
    resource: ApiResource,
    name: String,
    template: Value,
    /// Whether the template is as the user wrote it; the API server adds defaults to a Deployment's.
    as_written: bool,
}

/// Gives the command, or patches.
pub async fn run(args: UndoArgs, global: &Global) -> Result<Exit, CliError> {
    if !args.write {
        return command::undo(args.common, args.to_revision, global).await;
    }
    let name = one_name(&args.common.words, "undo")?;
    let connection = connect(global).await?;
    print(&write(&connection, &name, args.to_revision, args.common.dry_run).await?)?;
    Ok(Exit::Done)
}

async fn write(
    connection: &Connection,
    name: &str,
    to_revision: Option<u64>,
    dry_run: DryRun,
) -> Result<String, CliError> {
    let rollout = connection.rollout(name).await?;
    let kept = kept(connection, &rollout).await?;
    let target = target(&rollout, &kept, to_revision)?;
    let holder = holder(connection, &rollout).await?;
    let template =
        if holder.as_written { as_written(&holder.template, &kept, target) } else { target.template.clone() };
    let number = target.number;
    if template == holder.template {
        return Ok(format!("{name}: {} already has the template of revision #{number}\n", holder.owner));
    }
    let patch = json!([
        { "op": "test", "path": "/spec/template", "value": holder.template },
        { "op": "replace", "path": "/spec/template", "value": template },
    ]);
    let patch =
        serde_json::from_value(patch).map_err(|error| CliError::Failed(format!("cannot build the patch: {error}")))?;
    let field_manager = Some("glidepath-cli".into());
    let how = PatchParams { field_manager, dry_run: dry_run.is_server(), ..PatchParams::default() };
    if !dry_run.is_client() {
        let written = dynamic(connection, &holder.resource).patch(&holder.name, &how, &Patch::<()>::Json(patch)).await;
        written.map_err(|error| connection.error(format!("patch {}", holder.owner), &error))?;
    }
    Ok(format!("{name}: {} has the template of revision #{number} again{}\n", holder.owner, dry_run.mark()))
}

fn dynamic(connection: &Connection, resource: &ApiResource) -> Api<DynamicObject> {
    Api::namespaced_with(connection.client.clone(), &connection.namespace, resource)
}

/// The Rollout's revisions, read without types: a field that this program does not know must not get lost.
async fn kept(connection: &Connection, rollout: &Rollout) -> Result<Vec<Kept>, CliError> {
    let sets = dynamic(connection, &ApiResource::erase::<ReplicaSet>(&()));
    let ours = ListParams::default().labels(&format!("{ROLLOUT_LABEL}={}", rollout.name_any()));
    let found = sets.list(&ours).await.map_err(|error| connection.error("list the ReplicaSets", &error))?;
    let uid = rollout.metadata.uid.as_deref();
    let owned = |set: &&DynamicObject| set.owner_references().iter().any(|owner| Some(owner.uid.as_str()) == uid);
    Ok(found.items.iter().filter(owned).filter_map(of_replica_set).collect())
}

fn of_replica_set(set: &DynamicObject) -> Option<Kept> {
    let template = metadata::without(set.data.pointer("/spec/template")?.clone());
    let mut template = revision::without_marks(template);
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("creationTimestamp");
    }
    let number = set.annotations().get(NUMBER).and_then(|number| number.parse().ok())?;
    Some(Kept { id: set.labels().get(REVISION_LABEL)?.clone(), number, template })
}

/// As the command chooses: the one named, else stable during a rollout, else the one promoted before.
fn target<'a>(rollout: &Rollout, kept: &'a [Kept], number: Option<u64>) -> Result<&'a Kept, CliError> {
    let status = rollout.status.clone().unwrap_or_default();
    let stable = status.stable_revision.as_ref().map(|revision| revision.id.as_str());
    let moving = status.current_revision.as_ref().is_some_and(|current| Some(current.id.as_str()) != stable);
    let of = |id: &str| kept.iter().find(|kept| kept.id == id);
    let found = match number {
        Some(number) => kept.iter().find(|kept| kept.number == number),
        None if moving => stable.and_then(of),
        None => status.promoted.iter().filter(|revision| Some(revision.id.as_str()) != stable).find_map(|r| of(&r.id)),
    };
    found.ok_or_else(|| {
        let mut numbers: Vec<u64> = kept.iter().map(|kept| kept.number).collect();
        numbers.sort_unstable();
        let numbers: Vec<String> = numbers.iter().map(|number| format!("#{number}")).collect();
        let there = if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") };
        CliError::Failed(format!("this revision is not kept; there are: {there}"))
    })
}

async fn holder(connection: &Connection, rollout: &Rollout) -> Result<Holder, CliError> {
    let name = rollout.name_any();
    if let Some(template) = &rollout.spec.template {
        let owner = format!("Rollout \"{name}\"");
        let resource = ApiResource::erase::<Rollout>(&());
        return Ok(Holder { owner, resource, name, template: template.clone(), as_written: true });
    }
    let deployment = rollout.spec.workload_ref.as_ref().map(|workload| workload.name.clone()).unwrap_or_default();
    let owner = format!("Deployment \"{deployment}\"");
    let resource = ApiResource::erase::<Deployment>(&());
    let found = dynamic(connection, &resource).get(&deployment).await;
    let found = found.map_err(|error| connection.error(format!("read {owner}"), &error))?;
    let template = found.data.pointer("/spec/template").cloned().unwrap_or_default();
    Ok(Holder { owner, resource, name: deployment, template, as_written: false })
}

/// The API server fills in defaults in a ReplicaSet's template, and with them the template would be another revision. So
/// what differs between the two ReplicaSets is carried over to the template as it was written.
fn as_written(written: &Value, kept: &[Kept], target: &Kept) -> Value {
    let now = revision::id(written);
    match kept.iter().find(|kept| kept.id == now) {
        Some(from) => carried_over(written, &from.template, &target.template),
        None => target.template.clone(),
    }
}

fn carried_over(written: &Value, from: &Value, to: &Value) -> Value {
    match (written, from, to) {
        _ if from == to => written.clone(),
        (Value::Object(written), Value::Object(from), Value::Object(to)) => Value::Object(fields(written, from, to)),
        (Value::Array(written), Value::Array(from), Value::Array(to))
            if written.len() == from.len() && from.len() == to.len() =>
        {
            written.iter().zip(from).zip(to).map(|((written, from), to)| carried_over(written, from, to)).collect()
        }
        _ => to.clone(),
    }
}

fn fields(written: &Map<String, Value>, from: &Map<String, Value>, to: &Map<String, Value>) -> Map<String, Value> {
    let mut out = written.clone();
    out.retain(|key, _| to.contains_key(key) || !from.contains_key(key));
    for (key, to) in to {
        match (written.get(key), from.get(key)) {
            (_, Some(from)) if from == to => {}
            (Some(written), Some(from)) => drop(out.insert(key.clone(), carried_over(written, from, to))),
            _ => drop(out.insert(key.clone(), to.clone())),
        }
    }
    out
}

#[cfg(test)]
mod tests;
