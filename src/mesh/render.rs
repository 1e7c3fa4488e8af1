//! A plan as native objects, for people and for `kubectl`.

use super::{
    ownership::name,
    plan::{MeshPlan, MeshWrite},
};
use crate::yaml;

/// The objects of a plan in the order of its writes. What is a patch of an object of the user's says so in a comment.
pub fn render(plan: &MeshPlan) -> Result<String, yaml::YamlError> {
    let documents: Result<Vec<String>, _> = plan.writes.iter().map(document).collect();
    Ok(documents?.join("---\n"))
}

fn document(write: &MeshWrite) -> Result<String, yaml::YamlError> {
    Ok(match write {
        MeshWrite::Own(object) => yaml::write(object)?,
        MeshWrite::Fields(fields) if is_release(fields) => {
            format!("# {}: remove the fields that this policy has set\n", name(fields))
        }
        MeshWrite::Fields(fields) => {
            format!("# patch of {}: its other fields stay\n{}", name(fields), yaml::write(fields)?)
        }
        MeshWrite::Replace(object) => {
            format!("# {} with this policy's entries\n{}", name(object), yaml::write(object)?)
        }
        MeshWrite::Delete(gone) => format!("# delete {} {}/{}\n", gone.kind, gone.namespace, gone.name),
    })
}

/// Whether a patch has no fields left: see docs/decisions.md on why it is not written as one.
fn is_release(fields: &serde_json::Value) -> bool {
    fields.get("spec").is_none() && fields["metadata"].get("annotations").is_none()
}
