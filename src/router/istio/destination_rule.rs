//! DestinationRules: the revision in the labels of two subsets, and our own copy of a policy for the canary host.

use serde_json::{Value, json};

use super::{
    hosts,
    kinds::{API_VERSION, DESTINATION_RULE, DESTINATION_RULES, GROUP},
};
use crate::{
    api::{REVISION_LABEL, ROLLOUT_LABEL, traffic::DestinationRuleRef},
    router::{
        context::RouteContext,
        error::RouteError,
        objects::{ObjectRef, Objects, PlannedWrite},
    },
};

/// The rule that a subset split names.
pub(super) fn find<'o>(ctx: &RouteContext, current: &'o Objects, name: &str) -> Result<&'o Value, RouteError> {
    current.find(&DESTINATION_RULES.reference(&ctx.namespace, name)).ok_or_else(|| RouteError::Missing {
        kind: DESTINATION_RULE.to_owned(),
        namespace: ctx.namespace.clone(),
        name: name.to_owned(),
    })
}

/// The full name of the host that a rule is about.
pub(super) fn host(ctx: &RouteContext, rule: &Value) -> String {
    let namespace = rule["metadata"]["namespace"].as_str().unwrap_or(&ctx.namespace);
    hosts::full(ctx, rule["spec"]["host"].as_str().unwrap_or_default(), namespace)
}

/// The index of a subset in its rule.
pub(super) fn subset_index(rule: &Value, name: &str) -> Result<usize, RouteError> {
    let subsets = rule["spec"]["subsets"].as_array().map_or(&[][..], Vec::as_slice);
    subsets.iter().position(|s| s["name"].as_str() == Some(name)).ok_or_else(|| {
        let names: Vec<String> = subsets.iter().filter_map(|s| s["name"].as_str()).map(|n| format!("`{n}`")).collect();
        RouteError::SubsetNotFound {
            rule: format!(
                "{}/{}",
                rule["metadata"]["namespace"].as_str().unwrap_or_default(),
                rule["metadata"]["name"].as_str().unwrap_or_default()
            ),
            subset: name.to_owned(),
            exist: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
        }
    })
}

/// The revision that a subset selects.
pub(super) fn revision(rule: &Value, subset: &str) -> Option<String> {
    let index = subset_index(rule, subset).ok()?;
    rule["spec"]["subsets"][index]["labels"][REVISION_LABEL].as_str().map(str::to_owned)
}

/// The rule with a subset's revision set or, with `None`, taken out again.
pub(super) fn with_revision(rule: &Value, subset: &str, revision: Option<&str>) -> Result<Value, RouteError> {
    let index = subset_index(rule, subset)?;
    let mut next = rule.clone();
    let subset = &mut next["spec"]["subsets"][index];
    match revision {
        Some(revision) if subset["labels"].is_object() => subset["labels"][REVISION_LABEL] = json!(revision),
        Some(revision) => subset["labels"] = json!({ REVISION_LABEL: revision }),
        None => forget_revision(subset),
    }
    Ok(next)
}

/// The write that takes both revisions out of the user's rule.
pub(super) fn without_revisions(
    ctx: &RouteContext,
    current: &Objects,
    reference: &DestinationRuleRef,
) -> Option<PlannedWrite> {
    let rule = find(ctx, current, &reference.name).ok()?;
    let next = [&reference.stable_subset, &reference.canary_subset]
        .into_iter()
        .fold(rule.clone(), |rule, subset| with_revision(&rule, subset, None).unwrap_or(rule));
    (next != *rule).then_some(PlannedWrite::Replace(next))
}

/// Our own rule, which may not exist.
pub(super) fn owned_reference(ctx: &RouteContext) -> ObjectRef {
    ObjectRef { required: false, ..DESTINATION_RULES.reference(&ctx.namespace, &owned_name(ctx)) }
}

/// What our own rule needs: the stable host's policy says nothing about the canary's host, so a copy of it must. A rule
/// that the user wrote for the canary host is not changed.
pub(super) fn plan_owned(ctx: &RouteContext, current: &Objects) -> Result<Option<PlannedWrite>, RouteError> {
    let present = current.find(&owned_reference(ctx));
    let Some(spec) = wanted_spec(ctx, current) else { return Ok(remove_owned(ctx, current)) };
    let Some(present) = present else { return Ok(Some(PlannedWrite::Create(new_rule(ctx, spec)))) };
    if !is_ours(ctx, present) {
        return Err(RouteError::NotOurs {
            namespace: ctx.namespace.clone(),
            name: owned_name(ctx),
            host: canary_host(ctx),
        });
    }
    let mut next = present.clone();
    next["spec"] = spec;
    next["metadata"]["ownerReferences"] = owner_references(ctx);
    Ok((next != *present).then_some(PlannedWrite::Replace(next)))
}

/// The removal of our own rule, if it is there.
pub(super) fn remove_owned(ctx: &RouteContext, current: &Objects) -> Option<PlannedWrite> {
    let present = current.find(&owned_reference(ctx))?;
    is_ours(ctx, present).then(|| PlannedWrite::Delete(owned_reference(ctx)))
}

/// A copy of the stable host's policy; `None` when there is no policy to copy or the user has one for the canary.
fn wanted_spec(ctx: &RouteContext, current: &Objects) -> Option<Value> {
    let about = |service: &str| hosts::full(ctx, service, &ctx.namespace);
    let (stable, canary) = (about(&ctx.stable_service), about(&ctx.canary_service));
    let foreign: Vec<&Value> =
        current.of_kind((GROUP, DESTINATION_RULE), &ctx.namespace).filter(|rule| !is_ours(ctx, rule)).collect();
    if foreign.iter().any(|rule| host(ctx, rule) == canary) {
        return None;
    }
    // As Istio does: of several, the oldest; one that is for all callers before one for a few.
    let spec = foreign
        .into_iter()
        .filter(|rule| host(ctx, rule) == stable && rule["spec"].get("trafficPolicy").is_some())
        .min_by_key(|rule| {
            let created = rule["metadata"]["creationTimestamp"].as_str();
            (rule["spec"].get("workloadSelector").is_some(), created, rule["metadata"]["name"].as_str())
        })
        .map(|rule| &rule["spec"])?;
    let mut copy = json!({ "host": canary });
    for field in ["trafficPolicy", "exportTo", "workloadSelector"] {
        if let Some(value) = spec.get(field) {
            copy[field] = value.clone();
        }
    }
    Some(copy)
}

fn new_rule(ctx: &RouteContext, spec: Value) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": DESTINATION_RULE,
        "metadata": {
            "name": owned_name(ctx),
            "namespace": ctx.namespace,
            "labels": { ROLLOUT_LABEL: ctx.rollout_name },
            "ownerReferences": owner_references(ctx),
        },
        "spec": spec,
    })
}

fn owner_references(ctx: &RouteContext) -> Value {
    json!([{
        "apiVersion": "glidepath.dev/v1alpha1",
        "kind": "Rollout",
        "name": ctx.rollout_name,
        "uid": ctx.rollout_uid,
        "controller": true,
    }])
}

fn owned_name(ctx: &RouteContext) -> String {
    format!("{}-glidepath", ctx.canary_service)
}

fn canary_host(ctx: &RouteContext) -> String {
    hosts::full(ctx, &ctx.canary_service, &ctx.namespace)
}

fn is_ours(ctx: &RouteContext, rule: &Value) -> bool {
    rule["metadata"]["name"].as_str() == Some(&owned_name(ctx))
        && rule["metadata"]["labels"][ROLLOUT_LABEL].as_str() == Some(&ctx.rollout_name)
}

/// Takes our label out, and the map with it when nothing else was in it.
fn forget_revision(subset: &mut Value) {
    let Some(fields) = subset.as_object_mut() else { return };
    let Some(labels) = fields.get_mut("labels").and_then(Value::as_object_mut) else { return };
    let was_there = labels.shift_remove(REVISION_LABEL).is_some();
    if was_there && labels.is_empty() {
        fields.shift_remove("labels");
    }
}
