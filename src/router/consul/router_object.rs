//! The ServiceRouter of a service: the user's, into which header routes are inserted, or one of our own while there are any.

use serde_json::{Value, json};

use super::{
    kinds::{API_VERSION, ROUTERS},
    service::ConsulService,
    service_router::{SERVICE_ROUTER, is_empty, with_header_routes},
};
use crate::{
    api::{ROLLOUT_LABEL, strategy::HeaderRoute},
    router::{
        context::RouteContext,
        error::RouteError,
        objects::{ObjectRef, PlannedWrite},
    },
};

/// What the object needs for these header routes.
pub(super) fn plan(
    ctx: &RouteContext,
    service: &ConsulService,
    (reference, present): (&ObjectRef, Option<&Value>),
    headers: &[HeaderRoute],
) -> Result<Option<PlannedWrite>, RouteError> {
    let Some(present) = present else {
        if headers.is_empty() {
            return Ok(None);
        }
        return Ok(Some(PlannedWrite::Create(with_header_routes(service, &new(ctx, reference), headers)?)));
    };
    // consul-k8s deletes the entry in Consul first, and the object with it.
    if present["metadata"].get("deletionTimestamp").is_some_and(|time| !time.is_null()) {
        return Ok(None);
    }
    let next = with_header_routes(service, present, headers)?;
    if is_ours(ctx, present) && is_empty(service, &next) {
        return Ok(Some(PlannedWrite::Delete(reference.clone())));
    }
    Ok((next != *present).then_some(PlannedWrite::Replace(next)))
}

fn new(ctx: &RouteContext, reference: &ObjectRef) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": SERVICE_ROUTER,
        "metadata": {
            "name": reference.name,
            "namespace": reference.namespace,
            "labels": { ROLLOUT_LABEL: ctx.rollout_name },
            "ownerReferences": [{
                "apiVersion": "glidepath.dev/v1alpha1",
                "kind": "Rollout",
                "name": ctx.rollout_name,
                "uid": ctx.rollout_uid,
                "controller": true,
            }],
        },
        "spec": {},
    })
}

fn is_ours(ctx: &RouteContext, object: &Value) -> bool {
    object["metadata"]["labels"][ROLLOUT_LABEL].as_str() == Some(&ctx.rollout_name)
}

/// Where it is, which it need not be.
pub(super) fn reference(namespace: &str, service: &str) -> ObjectRef {
    ObjectRef { required: false, ..ROUTERS.reference(namespace, service) }
}
