//! Objects of a policy's own that it no longer wants.

use serde_json::Value;

use super::{
    intent::{Intent, POLICY_LABEL},
    plan::MeshWrite,
};
use crate::router::{Objects, WatchedKind};

/// A deletion for each object of these kinds that has the policy's label and is not among its writes, kind by kind.
pub(super) fn deletes(
    intent: &Intent<'_>,
    current: &Objects,
    kinds: &[WatchedKind],
    writes: &[MeshWrite],
) -> Vec<MeshWrite> {
    let mut found = Vec::new();
    for kind in kinds {
        let own = |object: &&Value| object["metadata"]["labels"][POLICY_LABEL].as_str() == Some(intent.policy);
        let kept = |object: &&Value| writes.iter().any(|write| is_for(write, object));
        let stale = current.of_kind((&kind.group, &kind.kind), intent.namespace).filter(own).filter(|one| !kept(one));
        let names = stale.filter_map(|object| object["metadata"]["name"].as_str());
        found.extend(names.map(|name| MeshWrite::Delete(kind.reference(intent.namespace, name))));
    }
    found
}

fn is_for(write: &MeshWrite, object: &Value) -> bool {
    let (MeshWrite::Own(written) | MeshWrite::Replace(written) | MeshWrite::Fields(written)) = write else {
        return false;
    };
    let group = |value: &Value| {
        value["apiVersion"].as_str().and_then(|text| text.split_once('/')).map(|(group, _)| group.to_owned())
    };
    written["kind"] == object["kind"]
        && written["metadata"]["name"] == object["metadata"]["name"]
        && group(written) == group(object)
}
