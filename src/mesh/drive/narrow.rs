//! Waves: the sections of a policy that are about pods, for one workload of its namespace after the other (rule P4).
//!
//! A wave has objects of its own, which are narrower than those of the namespace and so apply before them. With the last wave
//! the wide objects are written, and the narrow ones go.

use std::collections::BTreeSet;

use serde_json::Value;

use super::seen::Seen;
use crate::{
    api::{
        MeshPolicy,
        policy::{MeshPolicySpec, PolicyTarget},
        revision,
    },
    mesh::{MeshKind, MeshWrite, POLICY_LABEL, PolicyName, Workload, facts::Facts, hand_back, plan},
    router::Objects,
};

/// The label on what is written for one workload until its policy is written for all: the policy's name.
pub const WAVE_LABEL: &str = "glidepath.dev/wave-of";
/// The most characters of a policy's name in the name of its waves; with the digest they are a label's value.
const MOST_NAME: usize = 50;

/// The workloads that waves go through, by name: those of the target's namespace. A policy without sections about pods, or for a
/// smaller or larger target, has none, and is written at once.
pub(super) fn workloads<'a>(namespace: &'a str, spec: &MeshPolicySpec, facts: &'a Facts) -> Vec<&'a Workload> {
    if spec.target.namespace != Some(true) || of_pods(spec) == MeshPolicySpec::default() {
        return Vec::new();
    }
    let mut found: Vec<&Workload> = facts.workloads_of(namespace).filter(|one| !one.labels.is_empty()).collect();
    found.sort_by_key(|one| (&one.name, &one.kind));
    // A Rollout and the Deployment that it refers to make the same pods.
    found.dedup_by_key(|one| &one.labels);
    found
}

/// The sections that select pods.
fn of_pods(spec: &MeshPolicySpec) -> MeshPolicySpec {
    MeshPolicySpec {
        mtls: spec.mtls.clone(),
        authorization: spec.authorization.clone(),
        jwt: spec.jwt.clone(),
        rate_limit: spec.rate_limit.clone(),
        telemetry: spec.telemetry.clone(),
        ..MeshPolicySpec::default()
    }
}

/// What is written for one workload.
pub(super) fn writes(seen: &Seen<'_>, kind: &'static MeshKind, spec: &MeshPolicySpec, of: &Workload) -> Vec<MeshWrite> {
    let wide = seen.policy.metadata.name.as_deref().unwrap_or_default();
    let mut policy = MeshPolicy::new(&name(wide, of), of_pods(spec));
    policy.metadata.namespace.clone_from(&seen.policy.metadata.namespace);
    policy.metadata.creation_timestamp.clone_from(&seen.policy.metadata.creation_timestamp);
    policy.spec.target = PolicyTarget { workload: Some(of.labels.clone()), ..PolicyTarget::default() };
    policy.spec.optional.clone_from(&spec.optional);
    let planned = plan(kind, &policy, seen.facts, seen.objects).writes.into_iter();
    planned.map(|write| labelled(write, wide)).collect()
}

fn name(policy: &str, workload: &Workload) -> String {
    let head: String = policy.chars().take(MOST_NAME).collect();
    format!("{head}-{}", revision::id(&serde_json::json!([workload.kind, workload.name])))
}

fn labelled(write: MeshWrite, policy: &str) -> MeshWrite {
    let MeshWrite::Own(mut object) = write else { return write };
    object["metadata"]["labels"][WAVE_LABEL] = policy.into();
    MeshWrite::Own(object)
}

/// What takes the narrow objects away that none of `writes` wants.
pub(super) fn narrow_leftovers(
    kind: &'static MeshKind,
    policy: PolicyName<'_>,
    current: &Objects,
    writes: &[MeshWrite],
) -> Vec<MeshWrite> {
    let namespace = policy.namespace;
    let is_wave = |object: &&Value| object["metadata"]["labels"][WAVE_LABEL] == policy.name;
    let owner = |object: &Value| object["metadata"]["labels"][POLICY_LABEL].as_str().map(str::to_owned);
    let objects = kind.own.iter().flat_map(|of| current.of_kind((&of.group, &of.kind), namespace));
    let names: BTreeSet<String> = objects.filter(is_wave).filter_map(owner).collect();
    let wanted = |name: &str| {
        writes.iter().any(|write| matches!(write, MeshWrite::Own(object) if owner(object).as_deref() == Some(name)))
    };
    let gone = names.iter().filter(|name| !wanted(name));
    gone.flat_map(|name| hand_back(kind, PolicyName { namespace, name }, current)).collect()
}
