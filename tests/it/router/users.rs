//! Sticky users, by the routes as they are written: a small proxy reads them, and browsers keep the cookies that it sets.
//! After each plan the share of users on the candidate is the weight, no user of a test changes sides, and none leaves a canary.

use glidepath::{
    api::{Percent, strategy::Sticky},
    engine::{RouteIntent, Stickiness},
    router::{Objects, Router},
};
use regex::Regex;
use serde_json::{Value, json};

use super::{router, weight};
use crate::fuzz::bodies::routes::context;

const USERS: u64 = 4_000;
const COOKIE: &str = "variant";
const CANARY: &str = "checkout-canary";

/// One place that a proxy may send a request to.
struct To {
    service: String,
    weight: u64,
    set_cookie: Option<String>,
}

/// One route of a proxy: the expressions of which one must match the cookies (none: every request), and where it leads.
struct Route {
    cookies: Vec<Regex>,
    to: Vec<To>,
}

/// Routes in the order in which a proxy takes them.
struct Proxy(Vec<Route>);

impl Proxy {
    fn of_istio(object: &Value) -> Self {
        Proxy(
            list(&object["spec"]["http"])
                .map(|entry| Route {
                    cookies: list(&entry["match"]).map(|one| expression(&one["headers"]["cookie"]["regex"])).collect(),
                    to: list(&entry["route"])
                        .map(|to| To {
                            service: text(&to["destination"]["host"]),
                            weight: to["weight"].as_u64().unwrap_or(1),
                            set_cookie: to.pointer("/headers/response/add/set-cookie").map(text),
                        })
                        .collect(),
                })
                .collect(),
        )
    }

    fn of_gateway(object: &Value) -> Self {
        let cookie = |one: &Value| {
            let header = list(&one["headers"]).find(|header| header["name"] == "cookie");
            header.map(|header| expression(&header["value"]))
        };
        let set = |backend: &Value| {
            let mut added = list(&backend["filters"]).flat_map(|filter| list(&filter["responseHeaderModifier"]["add"]));
            added.find(|header| header["name"] == "set-cookie").map(|header| text(&header["value"]))
        };
        Proxy(
            list(&object["spec"]["rules"])
                .map(|rule| Route {
                    cookies: list(&rule["matches"]).filter_map(cookie).collect(),
                    to: list(&rule["backendRefs"])
                        .map(|backend| To {
                            service: text(&backend["name"]),
                            weight: backend["weight"].as_u64().unwrap_or(1),
                            set_cookie: set(backend),
                        })
                        .collect(),
                })
                .collect(),
        )
    }

    /// Where a request with these cookies goes; `draw` decides between places by weight.
    fn send(&self, cookies: &str, draw: &mut Draw) -> &To {
        let fits = |route: &&Route| route.cookies.is_empty() || route.cookies.iter().any(|one| one.is_match(cookies));
        let route = self.0.iter().find(fits).expect("a route for every request");
        let mut left = draw.below(route.to.iter().map(|to| to.weight).sum());
        let place = route.to.iter().find(|to| {
            let is_it = left < to.weight;
            left = left.saturating_sub(to.weight);
            is_it
        });
        place.expect("weights that are not all 0")
    }
}

/// Numbers that are the same in each run (splitmix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

/// Browsers, each with its cookie and the version of its last answer.
struct Browsers(Vec<(Option<String>, Option<String>)>);

/// What some users met.
#[derive(Default)]
struct Visit {
    users: u64,
    on_canary: u64,
    /// How often a user's next answer came from stable after one from the canary.
    left: u64,
}

impl Browsers {
    fn new() -> Self {
        Browsers(vec![(None, None); usize::try_from(USERS).unwrap()])
    }

    /// Half of the users send some requests: others come first, or return, at a later weight.
    fn half_visit(&mut self, proxy: &Proxy, draw: &mut Draw) -> Visit {
        let mut visit = Visit::default();
        for (cookie, last) in &mut self.0 {
            if draw.below(2) == 0 {
                continue;
            }
            for _ in 0..1 + draw.below(3) {
                let to = proxy.send(cookie.as_deref().unwrap_or_default(), draw);
                visit.left += u64::from(last.as_deref() == Some(CANARY) && to.service != CANARY);
                *last = Some(to.service.clone());
                let set = to.set_cookie.as_ref().and_then(|set| set.split(';').next()).map(str::to_owned);
                *cookie = set.or(cookie.take());
            }
            visit.users += 1;
            visit.on_canary += u64::from(last.as_deref() == Some(CANARY));
        }
        visit
    }

    /// Each user sends some requests. How many users changed sides in it, and how many are on the candidate at its end.
    fn visit(&mut self, proxy: &Proxy, draw: &mut Draw) -> (usize, u64) {
        let mut moved = 0;
        for (cookie, last) in &mut self.0 {
            for _ in 0..1 + draw.below(4) {
                let sent = cookie.as_ref().map_or_else(|| "a=b".to_owned(), |own| format!("a=b; {own}; c=d"));
                let to = proxy.send(&sent, draw);
                moved += usize::from(last.as_ref().is_some_and(|last| *last != to.service));
                *last = Some(to.service.clone());
                let set = to.set_cookie.as_ref().and_then(|set| set.split(';').next()).map(str::to_owned);
                *cookie = set.or(cookie.take());
            }
        }
        let candidate = self.0.iter().filter(|(_, last)| last.as_deref() == Some(CANARY)).count();
        (moved, u64::try_from(candidate).unwrap())
    }

    /// Forgets which version answered last: what follows is another test, or none.
    fn another_test(&mut self) {
        self.0.iter_mut().for_each(|(_, last)| *last = None);
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn expression(value: &Value) -> Regex {
    Regex::new(value.as_str().unwrap()).unwrap()
}

/// A router, its object before any test, and how a proxy reads it.
type Kind = (Box<dyn Router>, Value, fn(&Value) -> Proxy);

fn kinds() -> [Kind; 2] {
    let to = |host: &str| json!({ "destination": { "host": host }, "weight": 50 });
    let istio = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": { "name": "checkout", "namespace": "shop" },
        "spec": { "hosts": ["checkout"], "http": [{ "route": [to("checkout-stable"), to("checkout-canary")] }] },
    });
    let backend = |name: &str| json!({ "name": name, "port": 80, "weight": 1 });
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": { "name": "checkout", "namespace": "shop" },
        "spec": { "parentRefs": [{ "name": "edge" }],
                  "rules": [{ "backendRefs": [backend("checkout-stable"), backend("checkout-canary")] }] },
    });
    [
        (router(json!({ "istio": { "virtualServices": [{ "name": "checkout" }] } })), istio, Proxy::of_istio),
        (router(json!({ "gateway": { "routes": [{ "name": "checkout" }] } })), gateway, Proxy::of_gateway),
    ]
}

fn after(router: &dyn Router, before: &Objects, intent: &RouteIntent) -> Objects {
    before.after(&router.plan(&context(), before, intent).unwrap())
}

fn only(objects: &Objects) -> &Value {
    objects.iter().next().unwrap()
}

fn sticky(points: u32, test: &str) -> RouteIntent {
    let cookie = Sticky { cookie: COOKIE.to_owned(), ttl: None };
    RouteIntent {
        sticky: Some(Stickiness { cookie, test: test.to_owned(), ..Stickiness::default() }),
        ..weight(Percent::from_basis_points(points))
    }
}

/// A canary with these weights.
fn canary(points: u32, run: &str, weights: &[u32]) -> RouteIntent {
    let mut intent = sticky(points, run);
    if let Some(sticky) = &mut intent.sticky {
        sticky.weights = weights.iter().copied().map(Percent::from_basis_points).collect();
    }
    intent
}

/// Five standard deviations: at most one of a million other draws would be outside.
fn is_share(candidate: u64, points: u32) {
    is_share_of(USERS, candidate, points);
}

fn is_share_of(users: u64, candidate: u64, points: u32) {
    let (count, share) = (users as f64, f64::from(points) / 10_000.0);
    let wide = 5.0 * (count * share * (1.0 - share)).sqrt();
    assert!((candidate as f64 - count * share).abs() <= wide, "{candidate} of {users} users at {share}");
}

#[test]
fn s70_the_share_of_users_is_the_weight_and_no_user_changes_sides() {
    for (router, object, proxy_of) in kinds() {
        let mut objects: Objects = [object].into_iter().collect();
        for points in [100, 1_000, 5_000, 9_000] {
            let (mut browsers, mut draw) = (Browsers::new(), Draw(u64::from(points)));
            for test in ["k3v9-1", "k3v9-2", "x7aa-1"] {
                // Another attempt or revision draws all users anew, whatever cookies they have.
                objects = after(router.as_ref(), &objects, &sticky(points, test));
                let proxy = proxy_of(only(&objects));
                browsers.another_test();
                for _ in 0..3 {
                    let (moved, candidate) = browsers.visit(&proxy, &mut draw);
                    assert_eq!(moved, 0, "{} {points} {test}", router.key());
                    is_share(candidate, points);
                }
            }
        }
    }
}

/// Random weights that rise, in whole percents (which every router has).
fn rising(draw: &mut Draw) -> Vec<u32> {
    let mut weights: Vec<u32> = (0..2 + draw.below(4)).map(|_| (1 + draw.below(98) as u32) * 100).collect();
    weights.sort_unstable();
    weights.dedup();
    weights
}

#[test]
fn s22_the_share_of_users_is_the_weight_at_each_step_and_no_user_leaves_the_canary() {
    for (router, object, proxy_of) in kinds() {
        let mut draw = Draw(22);
        for round in 0..4 {
            let mut objects: Objects = [object.clone()].into_iter().collect();
            let mut browsers = Browsers::new();
            for run in ["k3v9-1", "k3v9-2"] {
                // The cookies of another attempt count as none: its users are all assigned again.
                browsers.another_test();
                let weights = rising(&mut draw);
                for points in &weights {
                    objects = after(router.as_ref(), &objects, &canary(*points, run, &weights));
                    let visit = browsers.half_visit(&proxy_of(only(&objects)), &mut draw);
                    assert_eq!(visit.left, 0, "{} {round} {run} {weights:?} at {points}", router.key());
                    is_share_of(visit.users, visit.on_canary, *points);
                }
            }
            let aborted = after(router.as_ref(), &objects, &weight(Percent::ZERO));
            let promoted = after(router.as_ref(), &objects, &canary(10_000, "k3v9-2", &[2_000]));
            let proxy = proxy_of(only(&promoted));
            let visit = browsers.half_visit(&proxy, &mut draw);
            assert_eq!((visit.users, visit.left), (visit.on_canary, 0), "{}", router.key());
            browsers.visit(&proxy, &mut draw);
            let kept =
                browsers.0.iter().filter(|(cookie, _)| cookie.as_ref().is_some_and(|own| own.contains("k3v9-2")));
            assert_eq!(kept.count(), 0, "{}: a promotion clears the cookies", router.key());
            assert_eq!(browsers.half_visit(&proxy_of(only(&aborted)), &mut draw).on_canary, 0, "{}", router.key());
        }
    }
}

#[test]
fn s22_testers_come_before_users_who_stay() {
    for (router, object, _) in kinds() {
        let testers =
            serde_json::from_value(json!({"name": "testers", "match": [{"header": {"name": "x", "exact": "1"}}]}));
        let intent = RouteIntent { headers: vec![testers.unwrap()], ..canary(5_000, "k3v9-1", &[2_000, 5_000]) };
        let objects = after(router.as_ref(), &[object].into_iter().collect(), &intent);
        let spec = &only(&objects)["spec"];
        let (rules, is_first) = match spec["http"].as_array() {
            Some(http) => (http, http[0]["name"] == "glidepath-testers"),
            None => (spec["rules"].as_array().unwrap(), spec["rules"][0]["matches"][0]["headers"][0]["name"] == "x"),
        };
        assert!(is_first, "{spec}");
        assert_eq!(
            rules.len(),
            5,
            "testers, the canary's users, those of 20 %, the other users of stable, the rest: {spec}"
        );
    }
}

#[test]
fn s73_after_a_test_no_cookie_keeps_a_user_anywhere() {
    for (router, object, proxy_of) in kinds() {
        let before: Objects = [object].into_iter().collect();
        let tested = after(router.as_ref(), &before, &sticky(5_000, "k3v9-1"));
        let (mut browsers, mut draw) = (Browsers::new(), Draw(7));
        browsers.visit(&proxy_of(only(&tested)), &mut draw);
        for (points, all) in [(10_000, USERS), (0, 0)] {
            let ended = after(router.as_ref(), &tested, &weight(Percent::from_basis_points(points)));
            assert_eq!(browsers.visit(&proxy_of(only(&ended)), &mut draw).1, all, "{} {points}", router.key());
        }
    }
}
