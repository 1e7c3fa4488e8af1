//! How the pods of a namespace behave, by image: sent to the harness before they are made, so that templates stay
//! exactly as a user wrote them.

use super::pod::lock;
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

/// The body of `PUT /behaviour/NAMESPACE`. It holds for pods that are made from then on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Behaviour {
    /// From a pod's creation to ready, in seconds.
    pub startup: f64,
    /// By image.
    pub versions: BTreeMap<String, Version>,
}

/// One version.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Version {
    /// The share of errors, 0 to 1.
    pub error_rate: f64,
    pub latency: Option<Latency>,
    /// Seconds until it is ready, if not the usual ones.
    pub startup: Option<f64>,
    pub never_ready: bool,
}

/// Log-normal answer times.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub median_ms: f64,
    pub sigma: f64,
}

impl Latency {
    pub fn draw(self) -> Duration {
        let times = LogNormal::new(0.0, self.sigma).map_or(1.0, |spread| spread.sample(&mut rand::rng()));
        Duration::from_secs_f64((self.median_ms / 1000.0 * times).clamp(0.0, 60.0))
    }
}

/// All behaviors, by namespace.
#[derive(Default)]
pub struct Told(Mutex<HashMap<String, Behaviour>>);

impl Told {
    pub fn tell(&self, namespace: String, behaviour: Behaviour) {
        lock(&self.0).insert(namespace, behaviour);
    }

    /// How a pod behaves, if anyone said so: its version, with the startup time it has.
    pub fn of(&self, namespace: &str, image: &str) -> Option<Version> {
        let told = lock(&self.0);
        let behaviour = told.get(namespace)?;
        let version = behaviour.versions.get(image).cloned().unwrap_or_default();
        Some(Version { startup: version.startup.or(Some(behaviour.startup)), ..version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_answers_take_longer_than_the_median() {
        let latency = Latency { median_ms: 80.0, sigma: 0.5 };
        let slower = (0..2000).filter(|_| latency.draw() > Duration::from_millis(80)).count();
        // Six standard deviations of a binomial draw around a half.
        assert!((865..=1135).contains(&slower), "{slower} of 2,000");
    }
}
