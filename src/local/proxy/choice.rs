//! Which version a request goes to: by what it carries, else by weight; and whether it is copied.

use hyper::HeaderMap;

use crate::{
    api::common::Percent,
    engine::{Assignment, RouteIntent, Stickiness, Target},
    routing::requests::AnyOf,
};

/// The routes, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    weight: Percent,
    headers: Vec<AnyOf>,
    mirror: Option<(Percent, AnyOf)>,
    sticky: Option<Stickiness>,
    /// Users with its cookie, in the order in which they are looked for.
    users: Vec<(AnyOf, Assignment)>,
}

/// Where one request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// To this target.
    pub target: Target,
    /// And a copy of it to the canary.
    pub copied: bool,
    /// The Set-Cookie header that keeps its user there, or clears the cookie that did.
    pub keep: Option<String>,
}

impl Choice {
    /// The routes as asked for.
    pub fn new(route: &RouteIntent) -> Choice {
        Choice {
            weight: route.canary,
            headers: route.headers.iter().map(|header| AnyOf::new(&header.matches)).collect(),
            users: route.sticky.as_ref().map(|sticky| known_users(sticky, route.canary)).unwrap_or_default(),
            sticky: route.sticky.clone(),
            mirror: route.mirror.as_ref().map(|mirror| (mirror.percent, AnyOf::new(&mirror.matches))),
        }
    }

    /// Decides for one request. The random number is in [0, 1).
    pub fn choose(&self, headers: &HeaderMap, mut dice: impl FnMut() -> f64) -> Chosen {
        if self.headers.iter().any(|any| any.fits(headers)) {
            return Chosen { target: Target::Canary, copied: false, keep: None };
        }
        let known = self.users.iter().find(|(requests, _)| requests.fits(headers));
        let share = match known.map(|(_, assignment)| *assignment) {
            Some(Assignment::Stays(target)) => {
                let sticky = self.sticky.as_ref().filter(|sticky| sticky.clears(self.weight));
                let keep = sticky.map(|sticky| sticky.set_cookie(target, self.weight));
                return Chosen { target, copied: false, keep };
            }
            Some(Assignment::Again(before)) => {
                let before = before.share();
                (self.weight.share() - before) / (1.0 - before)
            }
            None => self.weight.share(),
        };
        let drawn = if dice() < share { Target::Canary } else { Target::Stable };
        let sticky = self.sticky.as_ref().filter(|sticky| !sticky.clears(self.weight));
        let keep = sticky.map(|sticky| sticky.set_cookie(drawn, self.weight));
        let copied = drawn == Target::Stable && self.is_copied(headers, dice);
        Chosen { target: drawn, copied, keep }
    }

    fn is_copied(&self, headers: &HeaderMap, mut dice: impl FnMut() -> f64) -> bool {
        self.mirror
            .as_ref()
            .is_some_and(|(percent, any)| (any.is_empty() || any.fits(headers)) && dice() < percent.share())
    }
}

fn known_users(sticky: &Stickiness, weight: Percent) -> Vec<(AnyOf, Assignment)> {
    sticky.users(weight).into_iter().map(|users| (AnyOf::new(&[users.requests]), users.assignment)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn choice(route: Value) -> Choice {
        let mut whole = json!({ "weight": 0, "headers": [], "mirror": null });
        whole.as_object_mut().unwrap().extend(route.as_object().unwrap().clone());
        let route: crate::local::site::placement::Route = serde_json::from_value(whole).unwrap();
        Choice::new(&route.into())
    }

    #[test]
    fn requests_are_told_apart_by_header_and_cookie() {
        let routes = choice(json!({ "headers": [
            { "name": "staff", "match": [
                { "header": { "name": "X-Staff", "exact": "yes" } },
                { "header": { "name": "user-agent", "prefix": "curl/" } },
                { "header": { "name": "x-id", "regex": "[0-9]+7" } },
            ] },
            { "name": "beta", "match": [{ "cookie": { "name": "beta", "regex": "on|always" } }] },
        ] }));
        for (carried, canary) in [
            (vec![("x-staff", "yes")], true),
            (vec![("x-staff", "yes please")], false),
            (vec![("user-agent", "curl/8.1")], true),
            (vec![("user-agent", "not curl/8.1")], false),
            (vec![("x-id", "1237")], true),
            (vec![("x-id", "12371")], false),
            (vec![("x-id", "1"), ("x-id", "7")], false),
            (vec![("cookie", "a=b; beta=on; c=d")], true),
            (vec![("cookie", "a=b"), ("cookie", "beta=always")], true),
            (vec![("cookie", "notbeta=on; beta=off")], false),
            (vec![], false),
        ] {
            let chosen = routes.choose(&headers(&carried), || 0.0);
            assert_eq!(chosen.target == Target::Canary, canary, "{carried:?}");
        }
    }

    #[test]
    fn the_rest_goes_by_weight_and_is_copied_by_share() {
        let chosen_as = |target, copied| Chosen { target, copied, keep: None };
        let routes = choice(json!({ "weight": 25, "mirror": { "percent": 50 } }));
        let chosen = |dice: [f64; 2]| {
            let mut dice = dice.into_iter();
            routes.choose(&HeaderMap::new(), || dice.next().unwrap())
        };
        assert_eq!(chosen([0.2499, 0.0]), chosen_as(Target::Canary, false));
        assert_eq!(chosen([0.25, 0.4999]), chosen_as(Target::Stable, true));
        assert_eq!(chosen([0.25, 0.5]), chosen_as(Target::Stable, false));
        let some =
            choice(json!({ "mirror": { "percent": 100, "match": [{ "header": { "name": "x", "exact": "1" } }] } }));
        assert!(some.choose(&headers(&[("x", "1")]), || 0.5).copied);
        assert!(!some.choose(&HeaderMap::new(), || 0.5).copied);
    }

    #[test]
    fn users_stay_where_they_were_drawn_until_another_test() {
        let sticky =
            |test: &str| choice(json!({ "weight": 50, "sticky": { "cookie": { "cookie": "variant" }, "test": test } }));
        let first = sticky("abc-1").choose(&HeaderMap::new(), || 0.4);
        let cookie = first.keep.unwrap();
        assert_eq!(first.target, Target::Canary);
        assert!(cookie.starts_with("variant=glidepath.abc-1.candidate; Path=/; Max-Age="), "{cookie}");
        let returned = headers(&[("cookie", &format!("a=b; {}", cookie.split(';').next().unwrap()))]);
        let again = |test: &str| sticky(test).choose(&returned, || 0.9);
        assert_eq!(again("abc-1"), Chosen { target: Target::Canary, copied: false, keep: None });
        assert_eq!(again("abc-2").target, Target::Stable);
        assert!(again("abc-2").keep.unwrap().contains("abc-2.control"));
    }

    #[test]
    fn users_of_a_canary_stay_on_it_and_those_of_stable_are_assigned_again_at_each_weight() {
        let at = |weight: u32, run: &str| {
            choice(
                json!({ "weight": weight, "sticky": { "cookie": { "cookie": "c" }, "test": run, "weights": [20, 60] } }),
            )
        };
        let carrying = |cookie: &str| headers(&[("cookie", cookie)]);
        let chosen = |route: &Choice, cookie: &str, dice: f64| {
            let chosen = route.choose(&carrying(cookie), || dice);
            let set = chosen.keep.unwrap_or_default();
            (chosen.target, set.split(';').next().unwrap_or_default().to_owned())
        };
        let (stable, canary) = (Target::Stable, Target::Canary);
        let (first, second) = (at(20, "v2-1"), at(60, "v2-1"));
        assert_eq!(chosen(&first, "a=b", 0.19), (canary, "c=glidepath.v2-1.canary".into()));
        assert_eq!(chosen(&first, "a=b", 0.2), (stable, "c=glidepath.v2-1.stable-2000".into()));
        for dice in [0.0, 0.99] {
            assert_eq!(chosen(&first, "c=glidepath.v2-1.stable-2000", dice), (stable, String::new()), "its own weight");
            assert_eq!(chosen(&second, "c=glidepath.v2-1.canary", dice), (canary, String::new()));
            assert_eq!(chosen(&second, "c=glidepath.v2-1.stable-6000", dice), (stable, String::new()));
        }
        // (60 - 20) / (100 - 20) is a half.
        assert_eq!(chosen(&second, "c=glidepath.v2-1.stable-2000", 0.49), (canary, "c=glidepath.v2-1.canary".into()));
        assert_eq!(
            chosen(&second, "c=glidepath.v2-1.stable-2000", 0.5),
            (stable, "c=glidepath.v2-1.stable-6000".into())
        );
        let all = at(100, "v2-1");
        for cookie in ["c=glidepath.v2-1.canary", "c=glidepath.v2-1.stable-6000"] {
            assert_eq!(chosen(&all, cookie, 0.99), (canary, "c=".into()), "cleared");
        }
        assert_eq!(chosen(&all, "c=glidepath.v1-1.canary", 0.99), (canary, String::new()));
        // Of an earlier release or attempt: as if without a cookie.
        assert_eq!(chosen(&second, "c=glidepath.v1-1.canary", 0.6), (stable, "c=glidepath.v2-1.stable-6000".into()));
    }
}
