//! The plans of one service: the same in both spellings, byte for byte but for what is ours.

use serde_json::{Map, Value, json};

use super::{ConsulService, Spelling, protocol, resolver, service_router, splitter};
use crate::{
    api::{Percent, reason::Reason, strategy::HeaderRoute, traffic::META_KEY},
    engine::Target,
    router::error::RouteError,
};

fn service(spelling: Spelling) -> ConsulService {
    ConsulService {
        spelling,
        name: "web".into(),
        namespace: Some("team".into()),
        partition: None,
        stable_subset: "stable".into(),
        canary_subset: "canary".into(),
        meta_key: META_KEY.into(),
    }
}

/// As a custom resource.
fn resource() -> ConsulService {
    service(Spelling::Resource { namespace: "shop".into() })
}

/// As the HTTP API has it.
fn entry() -> ConsulService {
    service(Spelling::Entry)
}

/// Keys that are names, not fields.
const NAMED: [&str; 1] = ["subsets"];

/// The entry of the HTTP API that a custom resource's `spec` stands for.
fn as_entry(spec: &Value) -> Value {
    match spec {
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                let value = match value {
                    Value::Object(named) if NAMED.contains(&key.as_str()) => {
                        Value::Object(named.iter().map(|(name, value)| (name.clone(), as_entry(value))).collect())
                    }
                    value => as_entry(value),
                };
                let name = if key == "http" { "HTTP".into() } else { key[..1].to_uppercase() + &key[1..] };
                (name, value)
            };
            Value::Object(fields.iter().map(field).collect::<Map<_, _>>())
        }
        Value::Array(all) => all.iter().map(as_entry).collect(),
        other => other.clone(),
    }
}

fn of_spec(spec: &Value) -> Value {
    json!({"kind": "x", "metadata": {"name": "web", "labels": {"a": "b"}}, "spec": spec})
}

/// The plan of both spellings as one `spec`: that of the resource, once that of the entry is found to be the same.
fn both<E: std::fmt::Debug>(
    spec: &Value,
    plan: impl Fn(&ConsulService, &Value) -> Result<Value, E>,
) -> Result<Value, E> {
    let written = plan(&resource(), &of_spec(spec));
    let entry = plan(&entry(), &as_entry(spec));
    match (&written, entry) {
        (Ok(written), Ok(entry)) => {
            assert_eq!(as_entry(&written["spec"]).to_string(), entry.to_string(), "both spellings are planned alike");
            assert_eq!(of_spec(&written["spec"]), *written, "nothing but the spec is written");
        }
        (Err(_), Err(_)) => {}
        (written, entry) => panic!("{written:?}\n{entry:?}"),
    }
    written.map(|written| written["spec"].clone())
}

fn split(weights: &[f64]) -> Value {
    let of = |(index, weight): (usize, &f64)| {
        let mut split = match index {
            0 => json!({"serviceSubset": "stable"}),
            1 => {
                json!({"service": "web", "namespace": "team", "serviceSubset": "canary", "requestHeaders": {"set": {}}})
            }
            _ => json!({"service": "legacy", "serviceSubset": "canary"}),
        };
        split["weight"] = if weight.fract() == 0.0 { json!(*weight as i64) } else { json!(weight) };
        split
    };
    json!({"splits": weights.iter().enumerate().map(of).collect::<Vec<_>>()})
}

#[test]
fn only_the_weights_of_our_two_splits_change() {
    for (now, points, wanted) in [
        (&[100.0, 0.0][..], 500, &[95.0, 5.0][..]),
        (&[100.0, 0.0], 1, &[99.99, 0.01]),
        (&[100.0, 0.0], 3333, &[66.67, 33.33]),
        (&[66.67, 33.33], 3333, &[66.67, 33.33]),
        (&[100.0, 0.0], 10_000, &[0.0, 100.0]),
        (&[80.0, 0.0, 20.0], 2500, &[60.0, 20.0, 20.0]),
        (&[80.0, 0.0, 20.0], 5, &[79.96, 0.04, 20.0]),
        // What does not add up to 100 is no splitter of Consul's.
        (&[0.0, 0.0], 0, &[100.0, 0.0]),
        (&[1.0, 1.0], 5000, &[50.0, 50.0]),
    ] {
        let canary = Percent::from_basis_points(points);
        let next = both(&split(now), |service, object| splitter::with_share(service, object, canary));
        assert_eq!(next, Ok(split(wanted)), "{now:?} to {points}");
        let share = splitter::share(&entry(), &as_entry(&split(wanted)));
        assert_eq!(share, Ok(Some(canary)));
    }
}

#[test]
fn a_splitter_that_cannot_say_it_is_refused() {
    let refused = |spec: Value, points: u32| {
        let canary = Percent::from_basis_points(points);
        both(&spec, |service, object| splitter::with_share(service, object, canary)).unwrap_err().reason()
    };
    assert_eq!(refused(split(&[0.0, 0.0, 100.0]), 500), Reason::NoShareLeft);
    assert_eq!(refused(split(&[80.0, 0.0, 20.0]), 1), Reason::WeightNotExpressible);
    assert_eq!(refused(split(&[100.0]), 500), Reason::CanaryDestinationMissing);
    assert_eq!(refused(json!({"splits": "none"}), 500), Reason::StableDestinationMissing);
    assert_eq!(refused(split(&[100.0, -1.0]), 500), Reason::InvalidWeight);
    let mut twice = split(&[100.0, 0.0, 0.0]);
    twice["splits"][2]["service"] = json!("");
    assert_eq!(refused(twice, 500), Reason::AmbiguousDestination);
    let mut elsewhere = split(&[100.0, 0.0]);
    elsewhere["splits"][1]["namespace"] = json!("other");
    assert_eq!(refused(elsewhere, 500), Reason::CanaryDestinationMissing, "of another namespace of Consul");
}

fn subsets(stable: &str, canary: &str) -> Value {
    json!({"connectTimeout": "5s", "defaultSubset": "stable", "subsets": {
        "stable": {"filter": stable, "onlyPassing": true}, "canary": {"filter": canary, "onlyPassing": true},
        "legacy": {"filter": "Service.Meta.version == \"v0\""}}})
}

const AAAA: &str = "Service.Meta.glidepath_revision == \"aaaa\"";
const BBBB: &str = "Service.Meta.glidepath_revision == \"bbbb\"";

#[test]
fn a_subset_selects_a_revision_beside_what_its_owner_selects() {
    let (users, both_of) = ("Service.Meta.env != \"x\" or Service.Tags contains \"y\"", |ours: &str| {
        format!("(Service.Meta.env != \"x\" or Service.Tags contains \"y\") and {ours}")
    });
    for (now, wanted) in [
        ("", BBBB.to_owned()),
        (AAAA, BBBB.to_owned()),
        (BBBB, BBBB.to_owned()),
        (users, both_of(BBBB)),
        (&both_of(AAAA), both_of(BBBB)),
    ] {
        let plan =
            |service: &ConsulService, object: &Value| resolver::with_revision(service, object, Target::Canary, "bbbb");
        let next = both(&subsets(AAAA, now), plan).unwrap();
        assert_eq!(next, subsets(AAAA, &wanted), "{now}");
        assert_eq!(resolver::revision(&resource(), &of_spec(&next), Target::Canary).as_deref(), Some("bbbb"));
        assert_eq!(resolver::revision(&resource(), &of_spec(&next), Target::Stable).as_deref(), Some("aaaa"));
        let theirs = if wanted == BBBB { "" } else { users };
        let back = both(&next, |service, object| Ok::<_, ()>(resolver::without_revisions(service, object))).unwrap();
        let mut bare = subsets("", theirs);
        for subset in ["stable", "canary"] {
            let subset = bare["subsets"][subset].as_object_mut().unwrap();
            subset.retain(|key, value| key != "filter" || value != "");
        }
        assert_eq!(back, bare, "{now}");
    }
    assert_eq!(resolver::revision(&resource(), &of_spec(&subsets("", users)), Target::Canary), None);
}

#[test]
fn what_a_subset_lacks_is_added_with_the_first_revision() {
    let bare = json!({"subsets": {"stable": {}, "canary": {"onlyPassing": false}}});
    let stable =
        |service: &ConsulService, object: &Value| resolver::with_revision(service, object, Target::Stable, "aaaa");
    let next = both(&bare, stable).unwrap();
    let wanted = json!({"defaultSubset": "stable",
        "subsets": {"stable": {"filter": AAAA, "onlyPassing": true}, "canary": {"onlyPassing": false}}});
    assert_eq!(next, wanted);
}

#[test]
fn a_resolver_that_cannot_be_split_is_refused() {
    let said = |spec: Value| {
        let plan =
            |service: &ConsulService, object: &Value| resolver::with_revision(service, object, Target::Canary, "bbbb");
        let refused: RouteError = both(&spec, plan).unwrap_err();
        refused.to_string()
    };
    let lacks = "ServiceResolver shop/web has no subset `canary`; it has `stable`; add to `spec.subsets`:\ncanary:\n  onlyPassing: true";
    assert_eq!(said(json!({"subsets": {"stable": {}}})), lacks);
    assert!(said(json!("none")).contains("no subset `stable`; it has none"));
    let other = said(json!({"defaultSubset": "v1", "subsets": {"stable": {}, "canary": {}}}));
    assert!(other.contains("has the default subset `v1`; set spec.defaultSubset: stable"), "{other}");
    assert!(said(json!({"redirect": {"service": "api"}})).contains("redirects to another service"));
}

fn header(name: &str, field: &str, matcher: Value) -> HeaderRoute {
    let mut own = json!({"name": "X-Beta"});
    own.as_object_mut().unwrap().extend(matcher.as_object().unwrap().clone());
    serde_json::from_value(json!({"name": name, "match": [{field: own}]})).unwrap()
}

#[test]
fn a_header_route_precedes_what_it_was_made_from() {
    let admin = json!({"match": {"http": {"pathPrefix": "/admin"}}, "destination": {"service": "admin"}});
    let debug = json!({"match": {"http": {"pathExact": "/debug"}}, "destination": {"serviceSubset": "canary"}});
    let api = json!({"match": {"http": {"pathPrefix": "/api", "header": [{"name": "x-api", "present": true}]}},
        "destination": {"prefixRewrite": "/", "numRetries": 3}});
    let users = json!({"routes": [admin, debug, api]});
    let beta = header("beta", "header", json!({"exact": "1"}));
    let with = |headers: &[HeaderRoute], spec: &Value| {
        both(spec, |service, object| service_router::with_header_routes(service, object, headers)).unwrap()
    };
    let next = with(std::slice::from_ref(&beta), &users);
    let mark = json!({"name": "glidepath-route-beta", "present": true, "invert": true});
    let exact = json!({"name": "x-beta", "exact": "1"});
    let ours = json!({"match": {"http": {"pathPrefix": "/api", "header": [{"name": "x-api", "present": true}, exact, mark]}},
        "destination": {"prefixRewrite": "/", "numRetries": 3, "service": "web", "serviceSubset": "canary"}});
    let last = json!({"match": {"http": {"header": [exact, mark]}}, "destination": {"service": "web", "serviceSubset": "canary"}});
    assert_eq!(next, json!({"routes": [admin, debug, ours, api, last]}));
    assert_eq!(service_router::header_routes(&resource(), &of_spec(&next)), ["beta"]);
    assert_eq!(with(&[beta], &next), next, "a second plan finds nothing to do");
    assert_eq!(with(&[], &next), users, "and they go");
}

#[test]
fn nothing_follows_a_route_that_matches_all() {
    let all = json!({"routes": [{"match": {"http": {"pathPrefix": "/"}}, "destination": {"service": "web"}}]});
    let cookie = header("testers", "cookie", json!({"prefix": "a.b"}));
    let plan = |service: &ConsulService, object: &Value| {
        service_router::with_header_routes(service, object, std::slice::from_ref(&cookie))
    };
    let next = both(&all, plan).unwrap();
    assert_eq!(next["routes"].as_array().unwrap().len(), 2);
    let header = &next["routes"][0]["match"]["http"]["header"][0];
    assert_eq!(*header, json!({"name": "cookie", "regex": "^(.*;\\s*)?X\\-Beta=a\\.b[^;]*(;.*)?$"}));
}

#[test]
fn routes_of_another_form_are_refused_and_left() {
    let beta = [header("beta", "header", json!({"exact": "1"}))];
    for spec in [json!({"routes": "none"}), json!("none"), json!({"routes": [{"match": {"http": {"header": "none"}}}]})]
    {
        let refused = both(&spec, |service, object| service_router::with_header_routes(service, object, &beta));
        assert_eq!(refused.unwrap_err().reason(), Reason::RouteUnsupported, "{spec}");
        let left = both(&spec, |service, object| service_router::with_header_routes(service, object, &[]));
        assert_eq!(left, Ok(spec));
    }
}

#[test]
fn consul_splits_http_and_grpc_alone() {
    let defaults = |protocol: &str| json!({"spec": {"protocol": protocol, "config": {"protocol": protocol}}});
    let of = |own: Option<&str>, proxies: Option<&str>| {
        let (own, proxies) = (own.map(defaults), proxies.map(defaults));
        let found = protocol::protocol(&resource(), own.as_ref(), proxies.as_ref());
        protocol::refusal(&resource(), found).map(|error| error.to_string())
    };
    for split in [(Some("http"), None), (Some("grpc"), Some("tcp")), (None, Some("http2")), (Some(""), Some("HTTP"))] {
        assert_eq!(of(split.0, split.1), None, "{split:?}");
    }
    let refused = "Consul does not split service web: its protocol is `tcp`, not http, http2 or grpc; set the protocol in its service-defaults or in the proxy-defaults";
    assert_eq!(of(Some("tcp"), Some("http")).as_deref(), Some(refused));
    assert!(of(None, None).unwrap().contains("its protocol is not set, which is tcp, not http"));
}
