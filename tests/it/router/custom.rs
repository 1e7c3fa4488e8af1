//! Header routes of kinds that only a Rollout names: properties on random objects, for a kind whose rules have alternatives and
//! for one whose rules are one each.

use glidepath::{
    api::{Percent, reason::Reason, strategy::HeaderRoute},
    engine::RouteIntent,
    router::{ALLOW_NAMESPACES, Objects, Router},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{foreign_fields, router, settles, weight, with_fields};
use crate::fuzz::bodies::routes::context;

#[derive(Clone, Copy, Debug)]
enum Kind {
    Contour,
    Kuma,
    /// Rules with names, in the order of the list.
    Named,
}

impl Kind {
    fn router(self) -> Box<dyn Router> {
        router(match self {
            Kind::Contour => json!({"custom": {"preset": "contour", "name": "checkout"}}),
            Kind::Kuma => json!({"custom": {"preset": "kuma", "name": "checkout"}}),
            Kind::Named => json!({"custom": {"apiVersion": "mesh.example.com/v1", "kind": "Route", "name": "checkout",
                "backends": {"path": "spec.routes[*].to", "service": "name", "defaultWeight": 0},
                "headers": {"allOf": "when", "exact": {"header": "{name}", "is": "{value}"}, "ruleName": "id",
                    "regex": {"header": "{name}", "like": "{value}"}}}}),
        })
    }

    fn object(self, rules: Vec<Value>) -> Value {
        let (version, kind, spec) = match self {
            Kind::Contour => ("projectcontour.io/v1", "HTTPProxy", json!({"routes": rules})),
            Kind::Kuma => ("kuma.io/v1alpha1", "MeshHTTPRoute", json!({"to": [{"rules": []}, {"rules": rules}]})),
            Kind::Named => ("mesh.example.com/v1", "Route", json!({"routes": rules})),
        };
        json!({"apiVersion": version, "kind": kind, "metadata": {"name": "checkout", "namespace": "shop"}, "spec": spec})
    }

    fn rules(self, objects: &Objects) -> Vec<Value> {
        let object = objects.iter().next().unwrap();
        let list = if matches!(self, Kind::Kuma) { "/spec/to/1/rules" } else { "/spec/routes" };
        object.pointer(list).unwrap().as_array().unwrap().clone()
    }

    fn backends(self, rule: &mut Value) -> &mut Value {
        match self {
            Kind::Contour => &mut rule["services"],
            Kind::Kuma => &mut rule["default"]["backendRefs"],
            Kind::Named => &mut rule["to"],
        }
    }

    /// A rule for a path of its own, which this header is required for, too.
    fn rule(self, path: &str, header: Option<&str>, backends: Vec<Value>) -> Value {
        let header = header.map(|name| match self {
            Kind::Contour => json!({"header": {"name": name, "present": true}}),
            Kind::Kuma => json!({"type": "Present", "name": name}),
            Kind::Named => json!({"header": name}),
        });
        let mut rule = match self {
            Kind::Contour => json!({"conditions": [{"prefix": path}]}),
            Kind::Kuma => {
                json!({"matches": [{"path": {"type": "Exact", "value": path}}, {"path": {"type": "PathPrefix", "value": path}}], "default": {}})
            }
            Kind::Named => json!({"id": path, "path": path}),
        };
        match (self, header) {
            (_, None) => {}
            (Kind::Contour, Some(header)) => rule["conditions"].as_array_mut().unwrap().push(header),
            (Kind::Kuma, Some(header)) => rule["matches"][1]["headers"] = json!([header]),
            (Kind::Named, Some(header)) => rule["when"] = json!([header]),
        }
        *self.backends(&mut rule) = backends.into();
        rule
    }

    /// A rule without weights.
    fn bare(self, mut rule: Value) -> String {
        for entry in self.backends(&mut rule).as_array_mut().into_iter().flatten() {
            entry.as_object_mut().unwrap().shift_remove("weight");
        }
        rule.to_string()
    }

    fn is_split(self, rule: &Value) -> bool {
        self.backends(&mut rule.clone()).as_array().is_some_and(|list| list.len() == 2)
    }

    /// How many rules a header route of two matches is, before one of the user's.
    fn for_two_matches(self) -> usize {
        if matches!(self, Kind::Kuma) { 1 } else { 2 }
    }
}

fn any_rules() -> impl Strategy<Value = (Kind, Vec<Value>)> {
    let kind = prop::sample::select(vec![Kind::Contour, Kind::Kuma, Kind::Named]);
    let rule = (prop::bool::weighted(0.6), prop::option::of("x-[a-c]"), foreign_fields(), foreign_fields(), 0u64..100);
    (kind, prop::collection::vec(rule, 0..5), 0u64..100).prop_map(|(kind, rules, last)| {
        let ours = |fields: Vec<(String, Value)>, stable: u64| {
            let canary = with_fields(json!({"name": "checkout-canary", "port": 80, "weight": 100 - stable}), fields);
            vec![json!({"name": "checkout-stable", "port": 80, "weight": stable}), canary]
        };
        let numbered = rules.into_iter().enumerate();
        let mut all: Vec<Value> = numbered
            .map(|(index, (is_split, header, top, fields, stable))| {
                let backends = if is_split { ours(fields, stable) } else { vec![json!({"name": "other", "port": 80})] };
                with_fields(kind.rule(&format!("/{index}"), header.as_deref(), backends), top)
            })
            .collect();
        all.push(kind.rule("/", None, ours(Vec::new(), last)));
        (kind, all)
    })
}

fn testers() -> HeaderRoute {
    let matches =
        json!([{"header": {"name": "X-Tester", "exact": "yes"}}, {"cookie": {"name": "beta", "regex": "v[0-9]"}}]);
    serde_json::from_value(json!({"name": "testers", "match": matches})).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn header_routes_of_any_kind_leave_no_trace((kind, rules) in any_rules(), canary in 0u32..=100) {
        let (router, canary) = (kind.router(), Percent::whole(canary));
        let before: Objects = [kind.object(rules.clone())].into_iter().collect();
        let alone = settles(router.as_ref(), &before, &weight(canary));
        let intent = RouteIntent { headers: vec![testers()], ..weight(canary) };
        let during = settles(router.as_ref(), &before, &intent);
        prop_assert_eq!(router.read(&context(), &during, &intent).unwrap().headers, ["testers"]);

        // The rules of the user are there, in their order, and ours directly before those that are split.
        let mut written = kind.rules(&during).into_iter();
        for rule in &rules {
            if kind.is_split(rule) {
                for mut own in written.by_ref().take(kind.for_two_matches()) {
                    let to = kind.backends(&mut own).clone();
                    prop_assert_eq!(to.as_array().map(Vec::len), Some(1));
                    prop_assert_eq!(&to[0]["name"], "checkout-canary");
                    prop_assert!(own.to_string().contains("x-tester") || own.to_string().contains("cookie"));
                }
            }
            prop_assert_eq!(kind.bare(written.next().unwrap()), kind.bare(rule.clone()));
        }
        prop_assert!(written.next().is_none());

        prop_assert_eq!(&settles(router.as_ref(), &during, &weight(canary)), &alone);
        prop_assert_eq!(settles(router.as_ref(), &alone, &intent), during.clone(), "in whichever order");
        let back = during.after(&router.hand_back(&context(), &during));
        prop_assert_eq!(&back, &settles(router.as_ref(), &before, &weight(Percent::ZERO)));
        prop_assert_eq!(router.hand_back(&context(), &back), vec![]);
    }
}

/// What an API server adds to a rule of ours is no drift, and the rule is still ours.
#[test]
fn defaults_that_the_api_server_adds_stay() {
    let kind = Kind::Contour;
    let both = ["checkout-stable", "checkout-canary"].map(|name| json!({"name": name, "port": 80, "weight": 50}));
    let before: Objects = [kind.object(vec![kind.rule("/", None, both.to_vec())])].into_iter().collect();
    let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::whole(50)) };
    let written = settles(kind.router().as_ref(), &before, &intent);
    let mut stored = written.iter().next().unwrap().clone();
    stored["spec"]["routes"][0]["permitInsecure"] = json!(false);
    stored["spec"]["routes"][1]["conditions"][1]["header"]["contains"] = json!("");
    let stored: Objects = [stored].into_iter().collect();
    assert_eq!(settles(kind.router().as_ref(), &stored, &intent), stored);
    let after = settles(kind.router().as_ref(), &stored, &weight(Percent::whole(50)));
    assert_eq!(after, before);
}

/// Others edit the match of a rule of ours: it is written anew, and goes with an abort.
#[test]
fn a_rule_of_ours_with_an_edited_match_is_still_ours() {
    let both = ["checkout-stable", "checkout-canary"].map(|name| json!({"name": name, "port": 80, "weight": 50}));
    let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::whole(50)) };
    for kind in [Kind::Contour, Kind::Kuma, Kind::Named] {
        let router = kind.router();
        let object = kind.object(vec![kind.rule("/", None, both.to_vec())]);
        let before: Objects = [object].into_iter().collect();
        let during = settles(router.as_ref(), &before, &intent);
        let edit = |from: &str, to: &str| -> Objects {
            let text = during.iter().next().unwrap().to_string();
            assert!(text.contains(from), "{text}");
            [serde_json::from_str::<Value>(&text.replace(from, to)).unwrap()].into_iter().collect()
        };
        let edited = edit("\"yes\"", "\"no\"");
        let seen = router.read(&context(), &edited, &intent).unwrap();
        assert_eq!((seen.headers.as_slice(), seen.drifted), (&["testers".to_owned()][..], true), "{kind:?}");
        assert_eq!(settles(router.as_ref(), &edited, &intent), during, "{kind:?}: written anew");
        assert_eq!(settles(router.as_ref(), &edited, &weight(Percent::whole(50))), before, "{kind:?}: an abort");
        // A rule of theirs in the place of ours has nothing of ours: it stays.
        let mut theirs = during.iter().next().unwrap().clone();
        let list = if matches!(kind, Kind::Kuma) { "/spec/to/1/rules" } else { "/spec/routes" };
        let rules = theirs.pointer_mut(list).unwrap().as_array_mut().unwrap();
        let backends = kind.backends(&mut rules[0]).as_array().unwrap().clone();
        let stays = kind.rule("/qa", Some("x-qa"), backends);
        rules[0] = stays.clone();
        let theirs: Objects = [theirs].into_iter().collect();
        let after = theirs.after(&router.plan_all(&context(), &theirs, &weight(Percent::ZERO)).writes);
        let kept: Vec<String> = kind.rules(&after).into_iter().map(|rule| kind.bare(rule)).collect();
        let user = kind.bare(kind.rule("/", None, both.to_vec()));
        assert_eq!(kept, [kind.bare(stays), user], "{kind:?}");
    }
}

/// H7: nothing of another namespace's rules is repeated.
#[test]
fn h7_a_refused_header_route_shows_nothing_of_another_namespace() {
    let custom = router(json!({"custom": {"preset": "contour", "name": "checkout", "namespace": "edge"}}));
    let route = |name: &str| json!({"name": name, "port": 80, "weight": 1});
    let rule = json!({"conditions": [{"prefix": "/merger"}, {"header": {"name": "x-tester", "exact": "dataroom"}}],
        "services": [route("checkout-stable"), route("checkout-canary")]});
    let mut object = Kind::Contour.object(vec![rule]);
    object["metadata"]["namespace"] = "edge".into();
    object["metadata"]["annotations"][ALLOW_NAMESPACES] = "shop".into();
    // By the Service's name alone these are Services of the object's namespace.
    let current: Objects = [object].into_iter().collect();
    let intent = RouteIntent { headers: vec![testers()], ..weight(Percent::whole(5)) };
    let refused = custom.plan(&context(), &current, &intent).unwrap_err();
    assert_eq!(refused.reason(), Reason::RouteNotFound);
    assert!(!refused.to_string().contains("merger") && !refused.to_string().contains("dataroom"), "{refused}");
}
