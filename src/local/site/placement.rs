//! Which version runs at which of the two addresses, and which of them the traffic goes to: what must survive a restart
//! in addition to the objects.
//!
//! An address is a place for one version at a time. The version that is released next gets the place that the stable
//! one does not have. What runs there is taken for that version once the place has been seen to start anew, so that the
//! old process is never taken for the new version because it was not restarted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::{
        common::Percent,
        revision,
        strategy::{HeaderRoute, MirrorRoute, Sticky},
    },
    engine::{RevisionSeen, RouteIntent, RouteSeen, Stickiness, Target, TargetSeen},
};

use super::health::Health;

/// Everything that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// The two places, in the order in which they were given the first time.
    pub places: [Endpoint; 2],
    /// The versions that there were.
    pub versions: Vec<Version>,
    /// The version that the stable target leads to.
    pub stable: Option<String>,
    /// The version that the canary target leads to.
    pub canary: Option<String>,
    /// What the routes say.
    pub route: Option<Route>,
}

/// One address and what runs there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// `http://host:port`.
    pub address: String,
    /// The version that runs there, as far as is known.
    pub occupant: Option<String>,
    /// Whether something else may run there by now.
    pub restarted: bool,
    /// How the listening process was recognised last.
    pub process: Option<String>,
}

/// A version: what a ReplicaSet is in a cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// The revision id.
    pub id: String,
    /// Its number.
    pub number: u64,
    /// Its template.
    pub template: Value,
    /// Which place it has: 0 or 1.
    pub place: usize,
    /// 1 when it is to run, 0 when it may be stopped.
    pub wanted: u32,
    /// When it was first wanted.
    pub created: Timestamp,
}

/// What the routes say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Route {
    /// The canary's share.
    pub weight: Percent,
    /// Requests that go to the canary by what they carry.
    pub headers: Vec<HeaderRoute>,
    /// Requests that are copied to the canary.
    pub mirror: Option<MirrorRoute>,
    /// Users stay on the version of their first answer.
    pub sticky: Option<StickyRoute>,
}

/// Users who stay on one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StickyRoute {
    /// The cookie.
    pub cookie: Sticky,
    /// What its value names.
    pub test: String,
    /// The weights of a canary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights: Vec<Percent>,
}

impl From<RouteIntent> for Route {
    fn from(intent: RouteIntent) -> Self {
        let RouteIntent { canary, headers, mirror, sticky } = intent;
        let sticky = sticky.map(|Stickiness { cookie, test, weights }| StickyRoute { cookie, test, weights });
        Route { weight: canary, headers, mirror, sticky }
    }
}

impl From<Route> for RouteIntent {
    fn from(route: Route) -> Self {
        let Route { weight, headers, mirror, sticky } = route;
        let sticky = sticky.map(|StickyRoute { cookie, test, weights }| Stickiness { cookie, test, weights });
        RouteIntent { canary: weight, headers, mirror, sticky }
    }
}

impl Placement {
    /// Two addresses, and nothing known about them.
    pub fn new(stable: String, canary: String) -> Self {
        let place = |address| Endpoint { address, occupant: None, restarted: false, process: None };
        Placement { places: [stable, canary].map(place), versions: Vec::new(), stable: None, canary: None, route: None }
    }

    /// The version with this id.
    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    fn version_mut(&mut self, id: &str) -> Option<&mut Version> {
        self.versions.iter_mut().find(|version| version.id == id)
    }

    /// The place of the stable version; the first one before there is any.
    pub fn stable_place(&self) -> Option<usize> {
        self.version(self.stable.as_deref()?).map(|version| version.place)
    }

    /// The place where the next version is to be started.
    pub fn free_place(&self) -> usize {
        self.stable_place().map_or(0, |stable| 1 - stable)
    }

    /// A version exists and bears this number. It keeps its place unless stable has that now.
    pub fn ensure_version(
        &mut self,
        id: &str,
        number: u64,
        template: impl FnOnce() -> Option<Value>,
        now: Timestamp,
    ) -> bool {
        let (free, taken) = (self.free_place(), self.stable_place());
        let is_stable = self.stable.as_deref() == Some(id);
        if let Some(version) = self.version_mut(id) {
            version.number = number;
            if taken == Some(version.place) && !is_stable {
                version.place = free;
            }
            return true;
        }
        let Some(template) = template() else { return false };
        self.versions.push(Version { id: id.to_owned(), number, template, place: free, wanted: 0, created: now });
        true
    }

    /// A version is to run, or may be stopped. Gives it when that is news.
    pub fn want(&mut self, id: &str, replicas: u32) -> Option<&Version> {
        let version = self.version_mut(id)?;
        let news = version.wanted != replicas;
        version.wanted = replicas;
        news.then_some(&*version)
    }

    /// Points a target at a version.
    pub fn aim(&mut self, target: Target, id: &str) {
        match target {
            Target::Stable => self.stable = Some(id.to_owned()),
            Target::Canary => self.canary = Some(id.to_owned()),
        }
    }

    /// Writes the routes.
    pub fn route(&mut self, intent: &RouteIntent) {
        self.route = Some(intent.clone().into());
    }

    /// Whether a target leads to the version.
    fn is_target(&self, id: &str) -> bool {
        self.stable.as_deref() == Some(id) || self.canary.as_deref() == Some(id)
    }

    /// The newest version that is to run at a place.
    fn claimant(&self, place: usize) -> Option<&Version> {
        let here = self.versions.iter().filter(|version| version.place == place && version.wanted > 0);
        here.max_by_key(|version| version.number)
    }

    /// Whether a restart at this place is distinguished from one of the version that runs there: no target leads to
    /// that one, or a newer one waits for the place.
    pub fn restart_counts(&self, place: usize) -> bool {
        let Some(occupant) = self.places[place].occupant.as_deref() else { return false };
        !self.is_target(occupant) || self.claimant(place).is_some_and(|version| version.id != occupant)
    }

    /// Something else listens at a place, or it was away for a moment.
    pub fn note_restart(&mut self, place: usize) {
        if self.restart_counts(place) {
            self.places[place].restarted = true;
        }
    }

    /// Gives places to the versions that wait for them and may have them. Says whether anything changed.
    pub fn settle(&mut self, health: &[Health; 2]) -> bool {
        let mut changed = false;
        for (place, health) in health.iter().enumerate() {
            let Some(claimant) = self.claimant(place).map(|version| version.id.clone()) else { continue };
            let there = &self.places[place];
            let same = there.occupant.as_deref() == Some(claimant.as_str());
            let free = there.occupant.as_deref().is_none_or(|occupant| there.restarted && !self.is_target(occupant));
            if !same && free && health.is_up() {
                let there = &mut self.places[place];
                there.occupant = Some(claimant);
                there.restarted = false;
                changed = true;
            }
        }
        changed
    }

    /// Whether a version runs and answers.
    pub fn is_ready(&self, version: &Version, health: &[Health; 2]) -> bool {
        let place = &self.places[version.place];
        version.wanted > 0 && place.occupant.as_deref() == Some(version.id.as_str()) && health[version.place].is_up()
    }

    /// The version as the engine sees one.
    pub fn seen(
        &self,
        version: &Version,
        name: &str,
        health: &[Health; 2],
        min_ready: u32,
        now: Timestamp,
    ) -> RevisionSeen {
        let ready = self.is_ready(version, health);
        let since = health[version.place].since();
        let long_enough = since.is_some_and(|since| now.duration_since(since).as_secs() >= i64::from(min_ready));
        RevisionSeen {
            id: version.id.clone(),
            number: version.number,
            workload: format!("{name}-{}", version.id),
            images: revision::images(&version.template),
            wanted: version.wanted,
            pods: u32::from(ready),
            ready: u32::from(ready),
            available: u32::from(ready && long_enough),
            trouble: if ready { None } else { self.trouble(version, &health[version.place]) },
            ..RevisionSeen::default()
        }
    }

    /// Why a version that is to run does not, and what to do.
    fn trouble(&self, version: &Version, health: &Health) -> Option<String> {
        if version.wanted == 0 {
            return None;
        }
        let place = &self.places[version.place];
        let image = revision::images(&version.template).join(", ");
        let occupant = place.occupant.as_deref().filter(|occupant| *occupant != version.id);
        let address = &place.address;
        Some(match occupant {
            _ if !health.is_up() => format!("{address} does not respond ({}); start {image} there", health.why()),
            Some(occupant) if self.is_target(occupant) => format!("{address} still receives traffic"),
            Some(occupant) => {
                let old = self.version(occupant).map_or("the old version".to_owned(), |old| format!("#{}", old.number));
                format!("{address} has not been restarted since {old}; stop what runs there and start {image}")
            }
            None => format!("{address} is being checked"),
        })
    }

    /// A target as the engine sees one.
    pub fn target_seen(&self, id: Option<&String>, health: &[Health; 2]) -> TargetSeen {
        let version = id.and_then(|id| self.version(id));
        let endpoints = version.map(|version| (version.id.clone(), u32::from(self.is_ready(version, health))));
        TargetSeen { revision: id.cloned(), endpoints: Some(endpoints.into_iter().collect()), ..TargetSeen::default() }
    }

    /// The routes as the engine sees them.
    pub fn route_seen(&self) -> RouteSeen {
        let Some(route) = &self.route else { return RouteSeen::default() };
        let mut headers: Vec<String> = route.headers.iter().map(|header| header.name.clone()).collect();
        headers.sort();
        let mirror = route.mirror.as_ref().map(|mirror| mirror.percent);
        RouteSeen {
            weight: Some(route.weight),
            headers,
            mirror,
            sticky: route.sticky.is_some(),
            ..RouteSeen::default()
        }
    }
}

#[cfg(test)]
#[path = "placement_tests.rs"]
mod tests;
