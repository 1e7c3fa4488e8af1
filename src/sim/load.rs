//! The users: how many requests they send, what these carry, and where each user stays.
//!
//! Without a number of users every request is another user's. With one, users send alike often, a user counts once where
//! users are counted, and sticky routes keep each where they were drawn. Those of a canary assign the users of stable again
//! at each weight, with their next request: so the share of requests follows the weight at once.

use hyper::HeaderMap;

use super::{
    scenario::{HeadersSpec, TrafficSpec},
    time::Millis,
};
use crate::{engine::RouteIntent, routing::requests::AnyOf};

/// The users' requests.
#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Requests a second.
    pub rps: f64,
    /// How many users there are; `None`: without end.
    number: Option<f64>,
    /// Shares of the requests, and what these carry. The rest carries nothing.
    kinds: Vec<(f64, HeaderMap)>,
    /// Whether there was ever a pod to ask: users come only then.
    pub came: bool,
    /// How many users have met the stable and the canary target.
    met: [f64; 2],
    /// The test and the new version that they have met.
    meeting: (Option<String>, Option<String>),
    /// The weight at which they have met it.
    at: f64,
}

/// What the routes do with the users' requests.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// The canary target's share of requests that no header route takes.
    weight: f64,
    /// The share of all requests that header routes take.
    by_header: f64,
    /// The share of the stable target's requests that is copied.
    copied: f64,
    /// The test whose users stay where they were drawn.
    sticky: Option<String>,
    /// Whether users of stable are assigned again when the weight rises.
    again: bool,
}

/// What becomes of the requests at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shares {
    /// The canary target's share.
    pub canary: f64,
    /// Requests that are copied to the canary target, as a share of all.
    pub copied: f64,
    /// How many of the requests at the stable and at the canary target are a user's first there.
    pub first: [f64; 2],
}

impl Load {
    /// As the scenario has them.
    pub fn new(spec: &TrafficSpec) -> Load {
        let kind = |spec: &HeadersSpec| (spec.share.share(), carried(spec).unwrap_or_default());
        let kinds = spec.headers.iter().map(kind).collect();
        Load { rps: spec.rps, number: spec.users.map(f64::from), kinds, ..Load::default() }
    }

    /// What routes do with these users' requests.
    pub fn ways(&self, route: &RouteIntent) -> Ways {
        let taken: Vec<AnyOf> = route.headers.iter().map(|header| AnyOf::new(&header.matches)).collect();
        let none = (1.0 - self.kinds.iter().map(|(share, _)| share).sum::<f64>(), HeaderMap::new());
        let (mut by_header, mut mirrored) = (0.0, 0.0);
        let mirror = route.mirror.as_ref().map(|mirror| (mirror.percent.share(), AnyOf::new(&mirror.matches)));
        for (share, headers) in self.kinds.iter().chain([&none]) {
            if taken.iter().any(|any| any.fits(headers)) {
                by_header += share;
            } else if let Some((percent, only)) = &mirror
                && (only.is_empty() || only.fits(headers))
            {
                mirrored += share * percent;
            }
        }
        let rest: f64 = 1.0 - by_header;
        Ways {
            weight: route.canary.share(),
            by_header,
            copied: if rest > 0.0 { mirrored / rest } else { 0.0 },
            sticky: route.sticky.as_ref().map(|sticky| sticky.test.clone()),
            again: route.sticky.as_ref().is_some_and(|sticky| !sticky.weights.is_empty()),
        }
    }

    /// Users see another new version, or another test assigns them again.
    pub fn meet(&mut self, ways: &Ways, canary: Option<&String>) {
        let meeting = (ways.sticky.clone(), canary.cloned());
        if self.meeting != meeting {
            (self.meeting, self.met, self.at) = (meeting, [0.0; 2], ways.weight);
        }
        if ways.again && ways.weight > self.at {
            // Of the users of stable these are left there.
            self.met[0] *= (1.0 - ways.weight) / (1.0 - self.at);
            self.at = ways.weight;
        }
    }

    /// What becomes of the requests now.
    pub fn shares(&self, ways: &Ways) -> Shares {
        let (weight, first) = match self.number {
            None => (ways.weight, [1.0; 2]),
            Some(number) if ways.again => {
                let users = [number * (1.0 - ways.weight), number * ways.weight];
                let new = |arm: usize| if users[arm] > 0.0 { (1.0 - self.met[arm] / users[arm]).max(0.0) } else { 0.0 };
                (ways.weight, [0, 1].map(new))
            }
            Some(number) if ways.sticky.is_some() => {
                let undrawn = (number - self.met[0] - self.met[1]).max(0.0);
                let drawn = [undrawn * (1.0 - ways.weight), undrawn * ways.weight];
                let all = [self.met[0] + drawn[0], self.met[1] + drawn[1]];
                (all[1] / number, [0, 1].map(|arm| if all[arm] > 0.0 { drawn[arm] / all[arm] } else { 0.0 }))
            }
            Some(number) => (ways.weight, self.met.map(|met| (1.0 - met / number).max(0.0))),
        };
        let rest = 1.0 - ways.by_header;
        Shares { canary: ways.by_header + rest * weight, copied: rest * (1.0 - weight) * ways.copied, first }
    }

    /// Time passes: more users have met a version.
    pub fn pass(&mut self, ways: &Ways, span: Millis) {
        let Some(number) = self.number.filter(|_| self.came) else { return };
        let asked = self.rps * span as f64 / 1000.0 / number;
        let shares = self.shares(ways);
        if ways.again {
            let users = [number * (1.0 - ways.weight), number * ways.weight];
            for (met, all) in self.met.iter_mut().zip(users) {
                *met += (all - *met).max(0.0) * -(-asked).exp_m1();
            }
        } else if ways.sticky.is_some() {
            let newly = (number - self.met[0] - self.met[1]).max(0.0) * -(-asked).exp_m1();
            self.met[0] += newly * (1.0 - ways.weight);
            self.met[1] += newly * ways.weight;
        } else {
            for (met, share) in self.met.iter_mut().zip([1.0 - shares.canary, shares.canary]) {
                *met += (number - *met).max(0.0) * -(-asked * share).exp_m1();
            }
        }
    }
}

/// What requests of a kind carry.
///
/// # Errors
/// The name of a header that cannot be sent, with the reason.
pub fn carried(spec: &HeadersSpec) -> Result<HeaderMap, (String, String)> {
    let mut headers = HeaderMap::new();
    for (name, value) in &spec.set {
        let wrong = |error: &dyn std::fmt::Display| (name.clone(), error.to_string());
        let parsed = hyper::header::HeaderName::try_from(name.as_str()).map_err(|error| wrong(&error))?;
        headers.insert(parsed, value.parse().map_err(|error| wrong(&error as &dyn std::fmt::Display))?);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    use crate::{
        api::{Percent, strategy::HeaderRoute},
        engine::Stickiness,
    };

    fn users(spec: Value) -> Load {
        let mut users = Load::new(&serde_json::from_value(spec).unwrap());
        users.came = true;
        users
    }

    fn to_testers(weight: u32) -> RouteIntent {
        let testers: HeaderRoute = serde_json::from_value(
            json!({"name": "testers", "match": [{"header": {"name": "x-tester", "exact": "yes"}}]}),
        )
        .unwrap();
        RouteIntent { headers: vec![testers], ..RouteIntent::weight(Percent::from_basis_points(weight)) }
    }

    #[test]
    fn header_routes_take_their_requests_and_the_rest_goes_by_weight() {
        let users = users(json!({"rps": 10, "headers": [
            {"share": "10%", "set": {"X-Tester": "yes"}}, {"share": "30%", "set": {"x-tester": "no"}},
        ]}));
        let shares = |intent: &RouteIntent| users.shares(&users.ways(intent));
        assert!((shares(&to_testers(0)).canary - 0.1).abs() < 1e-12);
        assert!((shares(&to_testers(5_000)).canary - 0.55).abs() < 1e-12);
        assert_eq!(shares(&RouteIntent::default()), Shares { first: [1.0; 2], ..Shares::default() });
    }

    #[test]
    fn copies_come_from_what_the_stable_version_is_sent() {
        let users = users(json!({"rps": 10, "headers": [{"share": "40%", "set": {"x-tester": "no"}}]}));
        let mirror = |spec: Value| {
            let intent = RouteIntent {
                mirror: Some(serde_json::from_value(spec).unwrap()),
                ..RouteIntent::weight(Percent::from_basis_points(5_000))
            };
            users.shares(&users.ways(&intent)).copied
        };
        assert!((mirror(json!({"percent": 20})) - 0.1).abs() < 1e-12);
        let some = json!({"percent": 100, "match": [{"header": {"name": "x-tester", "exact": "no"}}]});
        assert!((mirror(some) - 0.2).abs() < 1e-12, "half of the 40 % that carry it");
    }

    #[test]
    fn sticky_users_stay_and_a_new_test_draws_anew() {
        let mut users = users(json!({"rps": 100, "users": 1_000}));
        let sticky = |weight: u32, test: &str| RouteIntent {
            sticky: Some(Stickiness { test: test.into(), ..Stickiness::default() }),
            ..RouteIntent::weight(Percent::from_basis_points(weight))
        };
        let half = users.ways(&sticky(5_000, "a"));
        let begin = users.shares(&half);
        assert!((begin.canary - 0.5).abs() < 1e-12 && begin.first == [1.0; 2], "{begin:?}");
        users.pass(&half, 3_600_000);
        let later = users.ways(&sticky(10_000, "a"));
        let stays = users.shares(&later);
        assert!((stays.canary - 0.5).abs() < 1e-6 && stays.first.iter().all(|first| *first < 1e-6), "{stays:?}");
        let other = users.ways(&sticky(10_000, "b"));
        users.meet(&other, None);
        assert_eq!(users.shares(&other), Shares { canary: 1.0, copied: 0.0, first: [0.0, 1.0] });
    }

    #[test]
    fn sticky_users_of_a_canary_follow_its_weight_and_only_those_who_move_are_new_there() {
        let mut users = users(json!({"rps": 100, "users": 1_000}));
        let at = |weight: u32| RouteIntent {
            sticky: Some(Stickiness {
                test: "a".into(),
                weights: [2_000, 6_000].map(Percent::from_basis_points).to_vec(),
                ..Stickiness::default()
            }),
            ..RouteIntent::weight(Percent::from_basis_points(weight))
        };
        let low = users.ways(&at(2_000));
        users.meet(&low, None);
        users.pass(&low, 3_600_000);
        let high = users.ways(&at(6_000));
        users.meet(&high, None);
        let now = users.shares(&high);
        assert!((now.canary - 0.6).abs() < 1e-12, "{now:?}");
        assert!(now.first[0] < 1e-6 && (now.first[1] - 2.0 / 3.0).abs() < 1e-6, "400 of 600 come from stable: {now:?}");
    }

    #[test]
    fn without_stickiness_a_user_meets_both_versions_in_time() {
        let mut users = users(json!({"rps": 100, "users": 1_000}));
        let half = users.ways(&RouteIntent::weight(Percent::from_basis_points(5_000)));
        users.pass(&half, 10_000);
        let soon = users.shares(&half).first;
        assert!((soon[1] - (-0.5_f64).exp()).abs() < 1e-9, "500 of 1,000 requests each: {soon:?}");
        users.pass(&half, 3_600_000);
        assert!(users.shares(&half).first.iter().all(|first| *first < 1e-6));
    }
}
