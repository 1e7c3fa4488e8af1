//! `jwt`: a RequestAuthentication, which refuses invalid tokens, and where a token is required an AuthorizationPolicy that denies
//! requests without a principal of one of these issuers.

use serde_json::{Value, json};

use super::kinds::{SECURITY_V1, selected};
use crate::{
    api::policy::Jwt,
    mesh::{
        intent::Intent,
        plan::{MeshPlan, MeshWrite},
    },
};

pub(super) fn plan(intent: &Intent<'_>) -> MeshPlan {
    let mut plan = MeshPlan::default();
    if intent.spec.jwt.is_empty() {
        return plan;
    }
    let rules: Vec<Value> = intent.spec.jwt.iter().map(rule).collect();
    let spec = selected(intent, json!({"jwtRules": rules}));
    plan.writes.push(MeshWrite::Own(intent.own(SECURITY_V1, "RequestAuthentication", "jwt", spec)));
    let required = intent.spec.jwt.iter().filter(|jwt| jwt.required);
    let principals: Vec<String> = required.map(|jwt| format!("{}/*", jwt.issuer)).collect();
    if !principals.is_empty() {
        let without = json!({"from": [{"source": {"notRequestPrincipals": principals}}]});
        let spec = selected(intent, json!({"action": "DENY", "rules": [without]}));
        plan.writes.push(MeshWrite::Own(intent.own(SECURITY_V1, "AuthorizationPolicy", "jwt-required", spec)));
    }
    plan
}

fn rule(jwt: &Jwt) -> Value {
    let mut rule = json!({"issuer": jwt.issuer});
    if let Some(uri) = &jwt.jwks_uri {
        rule["jwksUri"] = json!(uri);
    }
    if !jwt.audiences.is_empty() {
        rule["audiences"] = json!(jwt.audiences);
    }
    if jwt.forward {
        rule["forwardOriginalToken"] = json!(true);
    }
    rule
}
