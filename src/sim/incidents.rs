//! Incidents: damage that all versions share. While one lasts, a part of the requests is answered with errors, whatever the
//! version's own rate is, as where they all depend on a database that fails.

use super::{
    scenario::IncidentSpec,
    time::{Millis, millis},
};
use crate::api::Percent;

/// The incidents of a world.
#[derive(Clone, Debug, Default)]
pub struct Incidents(Vec<Incident>);

#[derive(Clone, Debug)]
struct Incident {
    from: Millis,
    to: Millis,
    rate: Percent,
}

impl Incidents {
    /// As the scenario has them.
    pub fn new(specs: &[IncidentSpec]) -> Self {
        let incident = |spec: &IncidentSpec| Incident {
            from: millis(spec.at),
            to: millis(spec.at).saturating_add(millis(spec.duration)),
            rate: spec.error_rate,
        };
        Incidents(specs.iter().map(incident).collect())
    }

    /// The error rate of a version whose own is `own`: what is sent up to a turn is answered as before it.
    pub fn error_rate(&self, own: f64, now: Millis) -> f64 {
        let on = self.0.iter().filter(|incident| incident.from < now && now <= incident.to);
        on.fold(own, |rate, incident| rate + (1.0 - rate) * incident.rate.share())
    }

    /// When they begin and end.
    pub fn turns(&self) -> impl Iterator<Item = Millis> {
        self.0.iter().flat_map(|incident| [incident.from, incident.to])
    }

    /// Those that begin or end at this instant, for the record.
    pub fn changes(&self, now: Millis) -> Vec<String> {
        let turn = |incident: &Incident| {
            let turns = [(incident.from, "begins"), (incident.to, "is over")];
            let (_, word) = turns.into_iter().find(|(at, _)| *at == now)?;
            Some(format!("an incident with {} errors in all versions {word}", incident.rate))
        };
        self.0.iter().filter_map(turn).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::HumanDuration;

    #[test]
    fn incidents_add_to_a_version_s_own_errors_while_they_last() {
        let incident = |at, duration, percent| IncidentSpec {
            at: HumanDuration::secs(at),
            duration: HumanDuration::secs(duration),
            error_rate: Percent::whole(percent),
        };
        let incidents = Incidents::new(&[incident(10, 5, 50), incident(12, 10, 50)]);
        let rates: Vec<f64> =
            [10_000, 10_001, 12_001, 15_000, 22_000, 22_001].map(|now| incidents.error_rate(0.2, now)).into();
        let wanted = [0.2, 0.6, 0.8, 0.8, 0.6, 0.2];
        assert!(rates.iter().zip(wanted).all(|(rate, wanted)| (rate - wanted).abs() < 1e-12), "{rates:?}");
        assert_eq!(incidents.turns().collect::<Vec<_>>(), [10_000, 15_000, 12_000, 22_000]);
        assert_eq!(incidents.changes(15_000), ["an incident with 50 % errors in all versions is over"]);
        assert!(incidents.changes(11_000).is_empty());
    }
}
