//! Which version a request goes to: by what it carries, else by weight; and whether it is copied.

use hyper::HeaderMap;

use crate::{
    api::common::Percent,
    engine::{RouteIntent, Stickiness, Target},
    routing::requests::{AnyOf, cookies},
};

/// The routes, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    weight: Percent,
    headers: Vec<AnyOf>,
    mirror: Option<(Percent, AnyOf)>,
    sticky: Option<Stickiness>,
}

/// Where one request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// To this target.
    pub target: Target,
    /// And a copy of it to the canary.
    pub copied: bool,
    /// The Set-Cookie header that keeps its user there.
    pub keep: Option<String>,
}

impl Choice {
    /// The routes as asked for.
    pub fn new(route: &RouteIntent) -> Choice {
        Choice {
            weight: route.canary,
            headers: route.headers.iter().map(|header| AnyOf::new(&header.matches)).collect(),
            sticky: route.sticky.clone(),
            mirror: route.mirror.as_ref().map(|mirror| (mirror.percent, AnyOf::new(&mirror.matches))),
        }
    }

    /// Decides for one request. The random number is in [0, 1).
    pub fn choose(&self, headers: &HeaderMap, mut dice: impl FnMut() -> f64) -> Chosen {
        if self.headers.iter().any(|any| any.fits(headers)) {
            return Chosen { target: Target::Canary, copied: false, keep: None };
        }
        if let Some(target) = self.stays(headers) {
            return Chosen { target, copied: false, keep: None };
        }
        let drawn = if dice() < self.weight.share() { Target::Canary } else { Target::Stable };
        let keep = self.sticky.as_ref().map(|sticky| sticky.set_cookie(drawn));
        let copied = drawn == Target::Stable && self.is_copied(headers, dice);
        Chosen { target: drawn, copied, keep }
    }

    /// Where the user's cookie says that they belong.
    fn stays(&self, headers: &HeaderMap) -> Option<Target> {
        let sticky = self.sticky.as_ref()?;
        let (_, value) = cookies(headers).find(|(name, _)| *name == sticky.cookie.cookie)?;
        [Target::Stable, Target::Canary].into_iter().find(|target| sticky.value(*target) == value)
    }

    fn is_copied(&self, headers: &HeaderMap, mut dice: impl FnMut() -> f64) -> bool {
        self.mirror
            .as_ref()
            .is_some_and(|(percent, any)| (any.is_empty() || any.fits(headers)) && dice() < percent.share())
    }
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
}
