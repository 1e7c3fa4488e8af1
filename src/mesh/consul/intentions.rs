//! `authorization`: a ServiceIntentions for each of the target's services.
//!
//! Consul asks the intention of the caller's own name, else that of `*`. Of an intention with permissions the first that matches
//! decides, and where none does the cluster's default, which may be to allow. So each caller's intention has the permissions of
//! `*` too, a deny permission closes it, and a `*` that denies closes the list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::kinds::{GROUP, V1ALPHA1, speaks_http};
use crate::{
    api::policy::{AccessRule, Authorization, GrpcMethod, MtlsMode, Operation, Source},
    mesh::{
        facts::Service,
        intent::Intent,
        ownership::{conflict, is_own},
        plan::{Conflict, MeshPlan, MeshWrite, Refusal},
    },
    router::Objects,
};

/// Every caller that has an identity.
const ANY: &str = "*";

/// A rule with the names of its callers.
struct Rule<'r> {
    names: BTreeSet<String>,
    rule: &'r AccessRule,
}

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let mut plan = MeshPlan::default();
    let Some(authorization) = &intent.spec.authorization else { return plan };
    match intentions(intent, current, authorization) {
        Ok(objects) => {
            if authorization.allow.is_none() {
                let note = "spec.authorization: what deny does not name follows Consul's default intention; list what is allowed to close it";
                plan.notes.push(note.to_owned());
            }
            for (service, object) in objects {
                plan.conflicts.extend(conflicts(intent, current, &service));
                plan.writes.push(MeshWrite::Own(object));
            }
        }
        Err(refusal) => plan.refused.push(refusal),
    }
    plan
}

fn intentions(
    intent: &Intent<'_>,
    current: &Objects,
    authorization: &Authorization,
) -> Result<Vec<(String, Value)>, Refusal> {
    let mode = intent.spec.mtls.as_ref().and_then(|mtls| mtls.mode);
    if mode == Some(MtlsMode::Permissive) {
        let why = "consul's permissive mode lets plaintext past the proxy, and so past every intention; set mtls.mode: Strict, or remove authorization";
        return Err(intent.refusal("authorization", why));
    }
    let allow = rules(intent, "allow", authorization.allow.as_deref().unwrap_or_default())?;
    let deny = rules(intent, "deny", &authorization.deny)?;
    let sources = sources(&allow, &deny, authorization.allow.is_some());
    let services = intent.services();
    if services.is_empty() {
        let why = "consul's intentions are for services, and the target has none; set spec.target.service";
        return Err(intent.refusal("authorization", why));
    }
    if sources.iter().any(|source| source.get("permissions").is_some()) {
        for service in &services {
            speaks_http(intent, current, service, "authorization")?;
        }
    }
    let object = |service: &&Service| {
        let spec = json!({"destination": {"name": service.name}, "sources": sources});
        let suffix = format!("{}-intentions", service.name);
        (service.name.clone(), intent.own(V1ALPHA1, "ServiceIntentions", &suffix, spec))
    };
    Ok(services.iter().map(object).collect())
}

fn rules<'r>(intent: &Intent<'_>, list: &str, rules: &'r [AccessRule]) -> Result<Vec<Rule<'r>>, Refusal> {
    let place = |index: usize| format!("authorization.{list}[{index}]");
    let of = |(index, rule): (usize, &'r AccessRule)| Ok(Rule { names: names(intent, rule, &place(index))?, rule });
    rules.iter().enumerate().map(of).collect()
}

/// The names in Consul of a rule's callers.
fn names(intent: &Intent<'_>, rule: &AccessRule, place: &str) -> Result<BTreeSet<String>, Refusal> {
    let Some(sources) = &rule.from else { return Ok(BTreeSet::from([ANY.to_owned()])) };
    let mut found = BTreeSet::new();
    for (index, source) in sources.iter().enumerate() {
        found.extend(names_of(intent, source, &format!("{place}.from[{index}]"))?);
    }
    Ok(found)
}

fn names_of(intent: &Intent<'_>, source: &Source, place: &str) -> Result<Vec<String>, Refusal> {
    if source.meshed == Some(true) {
        return Ok(vec![ANY.to_owned()]);
    }
    if source.anyone == Some(true) {
        let why = "consul admits no caller without an identity while it asks for one; write meshed: true, or set mtls.mode: Permissive without authorization";
        return Err(intent.refusal(place, why));
    }
    let namespace = source.namespace.as_deref().unwrap_or(intent.namespace);
    if let Some(name) = &source.service {
        intent.accounts(source, place)?;
        return Ok(vec![name.clone()]);
    }
    let services = intent.facts.services_of(namespace).filter(|service| !service.selector.is_empty());
    let names: Vec<String> = match &source.service_account {
        None => services.map(|service| service.name.clone()).collect(),
        Some(account) => {
            intent.accounts(source, place)?;
            let has = |service: &&Service| intent.facts.accounts(service).iter().any(|one| one.name == *account);
            services.filter(has).map(|service| service.name.clone()).collect()
        }
    };
    if names.is_empty() {
        let what =
            source.service_account.as_deref().map_or_else(String::new, |name| format!(" with ServiceAccount {name}"));
        let why = format!("consul's intentions name services, and namespace {namespace} has none{what}");
        return Err(intent.refusal(place, why));
    }
    Ok(names)
}

/// The intentions of each caller, and of all others.
fn sources(allow: &[Rule<'_>], deny: &[Rule<'_>], closed: bool) -> Vec<Value> {
    let all = allow.iter().chain(deny).flat_map(|rule| rule.names.iter().map(String::as_str));
    let mut names: BTreeSet<&str> = all.collect();
    if closed {
        names.insert(ANY);
    }
    // `*` comes last to read: the order is not Consul's, which goes by names.
    let (any, named): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| *name == ANY);
    named.into_iter().chain(any).filter_map(|name| source(name, allow, deny, closed)).collect()
}

fn source(name: &str, allow: &[Rule<'_>], deny: &[Rule<'_>], closed: bool) -> Option<Value> {
    let of = |rules: &[Rule<'_>]| -> BTreeMap<usize, Vec<Value>> {
        let about = rules.iter().enumerate().filter(|(_, rule)| rule.names.contains(name) || rule.names.contains(ANY));
        about.map(|(index, rule)| (index, requests(rule.rule))).collect()
    };
    let (allowed, denied) = (of(allow), of(deny));
    let whole = |rules: &BTreeMap<usize, Vec<Value>>| rules.values().any(Vec::is_empty);
    let part = |rules: BTreeMap<usize, Vec<Value>>, action: &str| -> Vec<Value> {
        rules.into_values().flatten().map(|http| json!({"action": action, "http": http})).collect()
    };
    if whole(&denied) || (closed && allowed.is_empty()) {
        return Some(json!({"name": name, "action": "deny"}));
    }
    let everything = |action: &str| json!({"action": action, "http": {"pathPrefix": "/"}});
    if whole(&allowed) && denied.is_empty() {
        return Some(json!({"name": name, "action": "allow"}));
    }
    let is_whole = whole(&allowed);
    let mut permissions = part(denied, "deny");
    if is_whole {
        permissions.push(everything("allow"));
    } else {
        permissions.extend(part(allowed, "allow"));
        permissions.extend(closed.then(|| everything("deny")));
    }
    (!permissions.is_empty()).then(|| json!({"name": name, "permissions": permissions}))
}

/// What a rule says of requests; nothing: all of them.
fn requests(rule: &AccessRule) -> Vec<Value> {
    rule.to.iter().flatten().flat_map(requests_of).collect()
}

fn requests_of(operation: &Operation) -> Vec<Value> {
    if let Some(GrpcMethod { service, method }) = &operation.grpc {
        return vec![match method {
            Some(method) => json!({"pathExact": format!("/{service}/{method}"), "methods": ["POST"]}),
            None => json!({"pathPrefix": format!("/{service}/"), "methods": ["POST"]}),
        }];
    }
    let mut paths: Vec<Value> = operation
        .paths
        .iter()
        .map(|path| match path.strip_suffix('*') {
            Some(prefix) => json!({"pathPrefix": prefix}),
            None => json!({"pathExact": path}),
        })
        .collect();
    if paths.is_empty() {
        paths.push(json!({"pathPrefix": "/"}));
    }
    if !operation.methods.is_empty() {
        paths.iter_mut().for_each(|path| path["methods"] = json!(operation.methods));
    }
    paths
}

/// Consul has one list of intentions for a service.
fn conflicts(intent: &Intent<'_>, current: &Objects, service: &str) -> Vec<Conflict> {
    let theirs = current.iter().filter(|object| {
        let is_intentions = object["kind"] == "ServiceIntentions"
            && object["apiVersion"].as_str().is_some_and(|version| version.starts_with(GROUP));
        let is_ours = is_own(object, intent.policy) && object["metadata"]["namespace"] == intent.namespace;
        is_intentions && !is_ours && object["spec"]["destination"]["name"] == service
    });
    theirs.map(|object| conflict(object, "spec.sources of the same service")).collect()
}
