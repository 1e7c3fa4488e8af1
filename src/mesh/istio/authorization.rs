//! `authorization`: AuthorizationPolicies of the actions ALLOW and DENY.
//!
//! Istio joins the entries of a list by "or" and the fields of an entry by "and", as a policy does: each source and each
//! operation is an entry of its own. ALLOW without rules denies everything.

use serde_json::{Value, json};

use super::kinds::{SECURITY_V1, selected};
use crate::{
    api::policy::{AccessRule, GrpcMethod, Operation, Source},
    mesh::{
        facts::Account,
        intent::Intent,
        plan::{MeshPlan, MeshWrite, Refusal},
    },
};

pub(super) fn plan(intent: &Intent<'_>) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let Some(authorization) = &intent.spec.authorization else { return plan };
    if let Some(allow) = &authorization.allow {
        write(intent, &mut plan, "allow", allow);
    }
    if !authorization.deny.is_empty() {
        write(intent, &mut plan, "deny", &authorization.deny);
    }
    plan
}

fn write(intent: &Intent<'_>, plan: &mut MeshPlan, list: &str, rules: &[AccessRule]) {
    let place = |index: usize| format!("authorization.{list}[{index}]");
    let planned: Result<Vec<Value>, Refusal> =
        rules.iter().enumerate().map(|(index, rule)| rule_of(intent, rule, &place(index))).collect();
    match planned {
        Ok(rules) => {
            let spec = selected(intent, json!({"action": list.to_uppercase(), "rules": rules}));
            plan.writes.push(MeshWrite::Own(intent.own(SECURITY_V1, "AuthorizationPolicy", list, spec)));
        }
        Err(refusal) => plan.refused.push(refusal),
    }
}

fn rule_of(intent: &Intent<'_>, rule: &AccessRule, place: &str) -> Result<Value, Refusal> {
    let mut planned = json!({});
    let sources = rule.from.iter().flatten().enumerate();
    let sources: Result<Vec<Option<Value>>, Refusal> =
        sources.map(|(index, source)| source_of(intent, source, &format!("{place}.from[{index}]"))).collect();
    let sources = sources?;
    // One source that is everyone makes the others needless; Istio's word for everyone is no `from`.
    if !sources.is_empty() && sources.iter().all(Option::is_some) {
        planned["from"] = sources.into_iter().flatten().map(|source| json!({"source": source})).collect();
    }
    if let Some(operations) = &rule.to {
        planned["to"] = operations.iter().map(|operation| json!({"operation": operation_of(operation)})).collect();
    }
    if !rule.claims.is_empty() {
        let claim = |(name, values): (&String, &Vec<String>)| json!({"key": format!("request.auth.claims[{name}]"), "values": values});
        planned["when"] = rule.claims.iter().map(claim).collect();
    }
    Ok(planned)
}

/// `None`: everyone.
fn source_of(intent: &Intent<'_>, source: &Source, place: &str) -> Result<Option<Value>, Refusal> {
    if source.anyone == Some(true) {
        return Ok(None);
    }
    if source.meshed == Some(true) {
        return Ok(Some(json!({"principals": ["*"]})));
    }
    if let Some(cidr) = &source.cidr {
        return Ok(Some(json!({"ipBlocks": [cidr]})));
    }
    let accounts = intent.accounts(source, place)?;
    if accounts.is_empty() {
        return Ok(Some(json!({"namespaces": [source.namespace]})));
    }
    let principal =
        |account: &Account| format!("{}/ns/{}/sa/{}", intent.facts.trust_domain, account.namespace, account.name);
    Ok(Some(json!({"principals": accounts.iter().map(principal).collect::<Vec<_>>()})))
}

fn operation_of(operation: &Operation) -> Value {
    let mut planned = json!({});
    if !operation.methods.is_empty() {
        planned["methods"] = json!(operation.methods);
    }
    if !operation.paths.is_empty() {
        planned["paths"] = json!(operation.paths);
    }
    if !operation.ports.is_empty() {
        planned["ports"] = operation.ports.iter().map(|port| json!(port.to_string())).collect();
    }
    if let Some(GrpcMethod { service, method }) = &operation.grpc {
        planned["paths"] = json!([format!("/{service}/{}", method.as_deref().unwrap_or("*"))]);
        planned["methods"] = json!(["POST"]);
    }
    planned
}
