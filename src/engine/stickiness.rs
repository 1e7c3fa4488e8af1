//! Users who stay on one version, by a cookie that the responses of both versions set (rules S22 and S70).
//!
//! An A/B test has one weight: a user is assigned to a version once. A canary's weight rises while users stay, so the cookie of
//! a user on stable also has the weight at which they were assigned. At a higher weight w such a user is assigned again, to the
//! canary with the probability (w - before) / (1 - before). Then w of all users are on the canary, whenever each of them
//! came first, and no user leaves it. (A cookie on the canary alone would collect everyone there in time.)

use crate::api::{
    RolloutSpec, RolloutStatus,
    common::Percent,
    strategy::{DEFAULT_TTL, RequestMatch, Sticky, ValueMatch},
};

use super::target::Target;

/// Users who stay on one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stickiness {
    /// The cookie.
    pub cookie: Sticky,
    /// What its value names: the revision and the attempt. Another test or release assigns all users again.
    pub test: String,
    /// The weights between 0 and 100 % of a canary, ascending, each once. An A/B test has none: its users are assigned once.
    pub weights: Vec<Percent>,
}

/// Users with a cookie of this test or release, and what becomes of their requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickyUsers {
    /// Their requests.
    pub requests: RequestMatch,
    /// Where they belong.
    pub assignment: Assignment,
}

/// Where users belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// To this version.
    Stays(Target),
    /// They were assigned to stable at this weight, and are assigned again now that the weight is higher.
    Again(Percent),
}

/// The stickiness of the release in progress. Its name changes with the revision and with every attempt.
pub fn of_release(spec: &RolloutSpec, status: &RolloutStatus) -> Option<Stickiness> {
    let revision = &status.current_revision.as_ref()?.id;
    stickiness(spec, format!("{revision}-{}", status.attempt))
}

/// The stickiness that the strategy asks for, under this name.
pub fn stickiness(spec: &RolloutSpec, test: String) -> Option<Stickiness> {
    let strategy = &spec.strategy;
    let (cookie, weights) = match (&strategy.canary, &strategy.ab_test) {
        (Some(canary), _) => (canary.sticky.clone()?, canary.partial_weights()),
        (None, test) => (test.as_ref()?.sticky.clone()?, Vec::new()),
    };
    Some(Stickiness { cookie, test, weights })
}

impl Stickiness {
    /// Whether users are split at this weight.
    pub fn splits(&self, weight: Percent) -> bool {
        !weight.is_zero() && (weight != Percent::FULL || self.weights.is_empty())
    }

    /// Whether responses clear the cookie at this weight: a canary that gets all users has to keep none.
    pub fn clears(&self, weight: Percent) -> bool {
        weight == Percent::FULL && !self.weights.is_empty()
    }

    /// What routes at this weight say of it, as one text, to tell an edit from what others changed.
    pub fn text(&self, weight: Percent) -> String {
        let earlier = self.weights.iter().filter(|before| **before < weight);
        let earlier: Vec<String> = earlier.map(Percent::to_string).collect();
        format!("{}, {}", self.set_cookie(Target::Stable, weight), earlier.join(", "))
    }

    /// The Set-Cookie header for users who are assigned to a version at this weight.
    pub fn set_cookie(&self, target: Target, weight: Percent) -> String {
        let name = &self.cookie.cookie;
        if self.clears(weight) {
            return format!("{name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        }
        let ttl = self.cookie.ttl.unwrap_or(DEFAULT_TTL).get().as_secs();
        let value = self.value(target, weight);
        format!("{name}={value}; Path=/; Max-Age={ttl}; HttpOnly; SameSite=Lax")
    }

    /// All users with a cookie of this test or release at this weight, in the order in which their requests are matched.
    pub fn users(&self, weight: Percent) -> Vec<StickyUsers> {
        if self.clears(weight) {
            let requests = self.starting(format!("glidepath.{}.", self.test));
            return vec![StickyUsers { requests, assignment: Assignment::Stays(Target::Canary) }];
        }
        let before = self.weights.iter().copied().filter(|before| *before < weight);
        let again = before.map(|before| (self.exactly(Target::Stable, before), Assignment::Again(before)));
        let stable = match self.weights.is_empty() {
            true => self.exactly(Target::Stable, weight),
            // Assigned at this weight; or at a higher one, as far as a proxy is ahead of another or the weight was taken back.
            false => self.starting(self.on_stable()),
        };
        let canary = (self.exactly(Target::Canary, weight), Assignment::Stays(Target::Canary));
        let all = std::iter::once(canary).chain(again).chain([(stable, Assignment::Stays(Target::Stable))]);
        all.map(|(requests, assignment)| StickyUsers { requests, assignment }).collect()
    }

    /// The cookie's value for users who are assigned to a version at this weight.
    pub fn value(&self, target: Target, weight: Percent) -> String {
        match (target, self.weights.is_empty()) {
            (Target::Stable, true) => format!("glidepath.{}.control", self.test),
            (Target::Canary, true) => format!("glidepath.{}.candidate", self.test),
            (Target::Stable, false) => format!("{}{}", self.on_stable(), self.step_of(weight).basis_points()),
            (Target::Canary, false) => format!("glidepath.{}.canary", self.test),
        }
    }

    fn on_stable(&self) -> String {
        format!("glidepath.{}.stable-", self.test)
    }

    /// The step's weight that stands for this one. A weight in force may be lower than any step asks for, by a router's grain or
    /// by what pods carry: the next higher one then assigns too few users to the canary rather than too many.
    fn step_of(&self, weight: Percent) -> Percent {
        self.weights.iter().copied().find(|step| *step >= weight).unwrap_or(weight)
    }

    fn exactly(&self, target: Target, weight: Percent) -> RequestMatch {
        self.match_of(ValueMatch { exact: Some(self.value(target, weight)), ..ValueMatch::default() })
    }

    fn starting(&self, prefix: String) -> RequestMatch {
        self.match_of(ValueMatch { prefix: Some(prefix), ..ValueMatch::default() })
    }

    fn match_of(&self, value: ValueMatch) -> RequestMatch {
        let cookie = ValueMatch { name: self.cookie.cookie.clone(), ..value };
        RequestMatch { cookie: Some(cookie), ..RequestMatch::default() }
    }
}
