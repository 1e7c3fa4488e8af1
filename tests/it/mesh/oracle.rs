//! Rule P1 against an oracle: what the check says of a caller holds for each request that the caller may have sent.
//!
//! The oracle decides one whole request (address, port, method, path, claim) as Istio documents it for a proxy, from the objects
//! as JSON. The check knows less, and must not know it better.

use std::net::IpAddr;

use glidepath::{
    mesh::{
        Facts,
        check::{Answer, Caller, Identity},
        check_service, mesh,
    },
    router::Objects,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const PRINCIPALS: [&str; 3] =
    ["cluster.local/ns/shop/sa/front", "cluster.local/ns/shop/sa/back", "cluster.local/ns/tools/sa/ops"];
const ADDRESSES: [&str; 2] = ["10.0.0.1", "192.168.0.1"];
const PORTS: [u16; 2] = [8080, 9090];
const METHODS: [&str; 2] = ["GET", "POST"];
const PATHS: [&str; 3] = ["/", "/api/cart", "/internal"];
const ROLES: [Option<&str>; 3] = [None, Some("admin"), Some("clerk")];

/// A whole request, or a connection where there is no HTTP.
struct Request<'a> {
    principal: Option<&'a str>,
    is_mutual: bool,
    address: &'a str,
    port: u16,
    http: Option<(&'a str, &'a str, Option<&'a str>)>,
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn one_of(patterns: &Value, text: &str) -> bool {
    texts(patterns).iter().any(|pattern| match pattern.split_once('*') {
        Some(("", "")) => !text.is_empty(),
        Some((prefix, "")) => text.starts_with(prefix),
        Some(("", suffix)) => text.ends_with(suffix),
        _ => *pattern == text,
    })
}

/// Whether what is given of a list and its opposite holds.
fn fits(object: &Value, field: &str, holds: impl Fn(&Value) -> bool) -> bool {
    let opposite = format!("not{}{}", field[..1].to_uppercase(), &field[1..]);
    let is_set = |name: &str| object[name].is_array();
    (!is_set(field) || holds(&object[field])) && (!is_set(&opposite) || !holds(&object[&opposite]))
}

fn source_fits(source: &Value, request: &Request<'_>) -> bool {
    let principal = request.principal.unwrap_or_default();
    let namespace = principal.split('/').nth(2).unwrap_or_default();
    let in_range = |list: &Value| {
        texts(list).iter().any(|range| match *range {
            "10.0.0.0/8" => request.address.starts_with("10."),
            exact => exact == request.address,
        })
    };
    fits(source, "principals", |list| one_of(list, principal))
        && fits(source, "namespaces", |list| one_of(list, namespace))
        && fits(source, "ipBlocks", in_range)
}

/// Whether an operation fits. A connection has no method: no rule that allows fits it then, and one that denies needs none.
fn operation_fits(operation: &Value, request: &Request<'_>, allows: bool) -> bool {
    let port = request.port.to_string();
    let of_http = match request.http {
        Some((method, path, _)) => {
            fits(operation, "methods", |list| one_of(list, method))
                && fits(operation, "paths", |list| one_of(list, path))
        }
        None => !allows || ["methods", "notMethods", "paths", "notPaths"].iter().all(|name| operation[name].is_null()),
    };
    of_http && fits(operation, "ports", |list| one_of(list, &port))
}

fn rule_fits(rule: &Value, request: &Request<'_>, allows: bool) -> bool {
    let any = |list: &Value, fits: &dyn Fn(&Value) -> bool| list.as_array().is_none_or(|all| all.iter().any(fits));
    let claim = |condition: &Value| match request.http {
        Some((_, _, role)) => role.is_some_and(|role| one_of(&condition["values"], role)),
        None => !allows,
    };
    any(&rule["from"], &|from| source_fits(&from["source"], request))
        && any(&rule["to"], &|to| operation_fits(&to["operation"], request, allows))
        && rule["when"].as_array().is_none_or(|all| all.iter().all(claim))
}

/// Whether the pods' proxy admits a request.
fn admits(objects: &[Value], request: &Request<'_>) -> bool {
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let mode = |selected: bool| {
        let found = of_kind("PeerAuthentication").find(|one| one["spec"]["selector"].is_object() == selected);
        let port = found.and_then(|one| one["spec"]["portLevelMtls"][request.port.to_string()]["mode"].as_str());
        port.or_else(|| found.and_then(|one| one["spec"]["mtls"]["mode"].as_str()))
    };
    if mode(true).or_else(|| mode(false)) == Some("STRICT") && !request.is_mutual {
        return false;
    }
    let policies =
        |action: &'static str| of_kind("AuthorizationPolicy").filter(move |policy| policy["spec"]["action"] == action);
    let matched = |action: &'static str| {
        policies(action)
            .flat_map(|policy| policy["spec"]["rules"].as_array().into_iter().flatten())
            .any(|rule| rule_fits(rule, request, action == "ALLOW"))
    };
    !matched("DENY") && (policies("ALLOW").next().is_none() || matched("ALLOW"))
}

fn list(values: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::subsequence(values.to_vec(), 1..=values.len().min(2)).prop_map(|list| json!(list))
}

/// An object with some of the fields, the first of each pair or its opposite.
fn some_of(fields: Vec<(&'static str, BoxedStrategy<Value>)>, empty: bool) -> impl Strategy<Value = Value> {
    let one = |(name, value): (&'static str, BoxedStrategy<Value>)| {
        let opposite = format!("not{}{}", name[..1].to_uppercase(), &name[1..]);
        prop_oneof![3 => Just(None), 2 => value.clone().prop_map(move |value| Some((name.to_owned(), value))),
            1 => value.prop_map(move |value| Some((opposite.clone(), value)))]
    };
    let fields: Vec<_> = fields.into_iter().map(one).collect();
    let all = fields.prop_map(|fields| fields.into_iter().flatten().collect::<serde_json::Map<_, _>>());
    all.prop_filter("says something", move |all| empty || !all.is_empty()).prop_map(Value::Object)
}

/// A rule; without what no metric tells, if it is to be certain.
fn rule(certain: bool) -> impl Strategy<Value = Value> {
    let principals = list(&["cluster.local/ns/shop/sa/front", "cluster.local/ns/shop/*", "*/sa/ops", "*"]).boxed();
    let mut sources = vec![("principals", principals), ("namespaces", list(&["shop", "t*"]).boxed())];
    let mut operations = Vec::new();
    if !certain {
        sources.push(("ipBlocks", list(&["10.0.0.0/8", "192.168.0.1"]).boxed()));
        operations.push(("ports", list(&["8080", "9090"]).boxed()));
        operations.push(("methods", list(&["GET", "POST"]).boxed()));
        operations.push(("paths", list(&["/", "/api/*", "*nal"]).boxed()));
    }
    let source = some_of(sources, false).prop_map(|source| json!({"source": source}));
    let operation = some_of(operations, certain).prop_map(|operation| json!({"operation": operation}));
    let when =
        list(&["admin", "clerk"]).prop_map(|values| json!([{"key": "request.auth.claims[role]", "values": values}]));
    let from = prop::option::of(prop::collection::vec(source, 1..3));
    let to =
        if certain { Just(None).boxed() } else { prop::option::of(prop::collection::vec(operation, 1..3)).boxed() };
    let when = if certain { Just(None).boxed() } else { prop::option::weighted(0.2, when).boxed() };
    (from, to, when).prop_map(|(from, to, when)| {
        let mut rule = json!({});
        from.into_iter().for_each(|from| rule["from"] = json!(from));
        to.into_iter().for_each(|to| rule["to"] = json!(to));
        when.into_iter().for_each(|when| rule["when"] = when);
        rule
    })
}

fn policy(certain: bool) -> impl Strategy<Value = Value> {
    (prop::sample::select(vec!["ALLOW", "DENY"]), prop::collection::vec(rule(certain), 0..3)).prop_map(|(action, rules)| {
        json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"namespace": "shop"},
            "spec": {"action": action, "rules": rules, "selector": {"matchLabels": {"app": "web"}}}})
    })
}

fn authentication(certain: bool) -> impl Strategy<Value = Value> {
    let mode = || prop::sample::select(vec!["STRICT", "PERMISSIVE"]);
    let ports = if certain { Just(None).boxed() } else { prop::option::of(mode()).boxed() };
    (mode(), any::<bool>(), ports).prop_map(|(mode, selected, port)| {
        let mut spec = json!({"mtls": {"mode": mode}});
        if selected {
            spec["selector"] = json!({"matchLabels": {"app": "web"}});
            port.into_iter().for_each(|mode| spec["portLevelMtls"] = json!({"9090": {"mode": mode}}));
        }
        json!({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"namespace": "shop"}, "spec": spec})
    })
}

/// Objects, each with a name; of PeerAuthentications at most one of a scope, since the oldest of several would apply.
fn objects(certain: bool) -> impl Strategy<Value = Vec<Value>> {
    (prop::collection::vec(policy(certain), 0..4), prop::option::of(authentication(certain))).prop_map(
        |(policies, peer)| {
            let mut all: Vec<Value> = policies.into_iter().chain(peer).collect();
            for (index, object) in all.iter_mut().enumerate() {
                object["metadata"]["name"] = json!(format!("o{index}"));
            }
            all
        },
    )
}

fn caller() -> impl Strategy<Value = Caller> {
    let who = prop::option::of(prop::sample::select(PRINCIPALS.to_vec()));
    (who, any::<bool>(), prop::option::of(prop::sample::select(PORTS.to_vec())), any::<bool>()).prop_map(
        |(principal, is_http, port, knows_address)| Caller {
            workload: String::new(),
            identity: principal.and_then(Identity::of),
            is_mutual: principal.is_some(),
            address: knows_address.then(|| ADDRESSES[0].parse::<IpAddr>().unwrap()),
            port,
            is_http,
            count: 1.0,
            last_seen: None,
        },
    )
}

/// Everything that the caller may have sent, each decided by the oracle.
fn outcomes(objects: &[Value], caller: &Caller) -> Vec<bool> {
    let principal = caller.identity.as_ref().map(Identity::principal);
    let addresses: Vec<&str> = if caller.address.is_some() { vec![ADDRESSES[0]] } else { ADDRESSES.to_vec() };
    let ports = caller.port.map_or_else(|| PORTS.to_vec(), |port| vec![port]);
    let mut http = vec![None];
    if caller.is_http {
        let roles = |method, path| ROLES.map(|role| Some((method, path, role)));
        http = METHODS.iter().flat_map(|method| PATHS.iter().flat_map(move |path| roles(*method, *path))).collect();
    }
    let mut found = Vec::new();
    for address in &addresses {
        for port in &ports {
            for http in &http {
                let (principal, is_mutual) = (principal.as_deref(), caller.is_mutual);
                found.push(admits(objects, &Request { principal, is_mutual, address, port: *port, http: *http }));
            }
        }
    }
    found
}

fn answer(objects: &[Value], caller: &Caller) -> Answer {
    let mut facts = Facts::default();
    facts.add(&json!({"kind": "Service", "metadata": {"namespace": "shop", "name": "web"}, "spec": {"selector": {"app": "web"}}}));
    let service = facts.service("shop", "web").unwrap();
    let current: Objects = objects.iter().cloned().collect();
    let checked = check_service(mesh("istio").unwrap(), service, &facts, &current, vec![caller.clone()]).unwrap();
    checked.callers.into_iter().next().unwrap().1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p1_what_is_certain_holds_for_every_request(objects in objects(false), caller in caller()) {
        let outcomes = outcomes(&objects, &caller);
        match answer(&objects, &caller) {
            Answer::Allowed => prop_assert!(outcomes.iter().all(|admitted| *admitted)),
            Answer::Cut(why) => prop_assert!(outcomes.iter().all(|admitted| !admitted), "{}", why),
            Answer::Depends(_) => {}
        }
    }

    #[test]
    fn p1_without_paths_and_the_like_every_answer_is_certain(objects in objects(true), caller in caller()) {
        let admitted = outcomes(&objects, &caller)[0];
        let answer = answer(&objects, &caller);
        prop_assert_eq!(matches!(answer, Answer::Allowed), admitted, "{}", answer);
        prop_assert!(!matches!(answer, Answer::Depends(_)), "{}", answer);
    }
}
