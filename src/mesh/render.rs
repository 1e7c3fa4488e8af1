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
        MeshWrite::Fields(patch) => {
            format!("# {} (kubectl patch --type=merge; its other fields stay)\n{}", name(patch), yaml::write(patch)?)
        }
        MeshWrite::Replace(object) => {
            format!("# {} with this policy's entries\n{}", name(object), yaml::write(object)?)
        }
        MeshWrite::Delete(gone) => format!("# delete {} {}/{}\n", gone.kind, gone.namespace, gone.name),
    })
}
