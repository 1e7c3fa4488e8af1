//! Fault injection. Each kind has its own random numbers, so that an additional fault does not change the others.

use super::{
    rng::Rng,
    scenario::{FaultKind, FaultSpec, FaultTarget},
    time::{Millis, millis},
};

/// The interval of a periodic fault.
const BEAT: Millis = 1_000;
/// How late a write reaches the proxies while they lag.
const ROUTER_LAG: Millis = 5_000;
/// How long a stalled leader is suspended: the minimum, and at most this much longer.
const STALL: (Millis, u64) = (5_000, 10_000);
/// The same for an answer of a slow Prometheus.
const SLOW: (Millis, u64) = (2_000, 18_000);

#[derive(Clone, Debug)]
struct Fault {
    from: Millis,
    to: Millis,
    kind: FaultKind,
    probability: f64,
    target: FaultTarget,
    /// A fault without a duration happens once.
    spent: bool,
}

impl Fault {
    fn is_on(&self, now: Millis) -> bool {
        if self.from == self.to { !self.spent && now >= self.from } else { (self.from..self.to).contains(&now) }
    }

    /// Occurs on its own, not on a call of the controller.
    fn comes_by_itself(&self) -> bool {
        self.kind == FaultKind::RouteDrift || self.kind.hits_pods()
    }
}

/// The faults of a world.
#[derive(Clone, Debug)]
pub struct Faults {
    faults: Vec<Fault>,
    dice: Vec<(FaultKind, Rng)>,
    last_change: Option<Millis>,
}

impl Faults {
    /// The faults of a scenario.
    pub fn new(specs: &[FaultSpec], seed: u64) -> Self {
        let fault = |spec: &FaultSpec| Fault {
            from: millis(spec.at),
            to: millis(spec.at).saturating_add(millis(spec.duration)),
            kind: spec.kind,
            probability: spec.probability.unwrap_or(1.0),
            target: spec.target.clone().unwrap_or_default(),
            spent: false,
        };
        let mut dice: Vec<(FaultKind, Rng)> = Vec::new();
        for spec in specs {
            if !dice.iter().any(|(kind, _)| *kind == spec.kind) {
                dice.push((spec.kind, Rng::new(seed, 100 + spec.kind as u64)));
            }
        }
        Faults { faults: specs.iter().map(fault).collect(), dice, last_change: None }
    }

    fn dice(&mut self, kind: FaultKind) -> Option<&mut Rng> {
        self.dice.iter_mut().find(|(known, _)| *known == kind).map(|(_, dice)| dice)
    }

    /// Whether this kind of fault strikes now.
    pub fn strikes(&mut self, kind: FaultKind, now: Millis) -> bool {
        let Some(index) = self.faults.iter().position(|fault| fault.kind == kind && fault.is_on(now)) else {
            return false;
        };
        let probability = self.faults[index].probability;
        let struck = self.dice(kind).is_some_and(|dice| dice.happens(probability));
        self.faults[index].spent |= struck;
        struck
    }

    /// Whether this kind of fault is on.
    pub fn is_on(&self, kind: FaultKind, now: Millis) -> bool {
        self.faults.iter().any(|fault| fault.kind == kind && fault.is_on(now))
    }

    /// Until when no controller lives: a certain restart that lasts a time.
    pub fn away(&self, now: Millis) -> Option<Millis> {
        let lasting = |fault: &&Fault| fault.kind == FaultKind::ControllerRestart && fault.to > fault.from;
        let certain = self.faults.iter().filter(lasting).filter(|fault| fault.probability >= 1.0 && fault.is_on(now));
        certain.map(|fault| fault.to).max()
    }

    /// Whether there are faults that show an older state of the cluster.
    pub fn blur_the_view(&self) -> bool {
        self.faults.iter().any(|fault| matches!(fault.kind, FaultKind::StaleCache | FaultKind::WatchGap))
    }

    /// Whether any fault is on.
    pub fn any_on(&self, now: Millis) -> bool {
        self.faults.iter().any(|fault| fault.is_on(now))
    }

    /// How late what is written now reaches the proxies, when they lag.
    pub fn router_lag(&mut self, now: Millis) -> Option<Millis> {
        self.strikes(FaultKind::RouterLag, now).then_some(ROUTER_LAG)
    }

    /// Whether another leader begins now: at most one a second, as a lease takes its time.
    pub fn changes_leader(&mut self, now: Millis) -> bool {
        let free = self.last_change.is_none_or(|last| now - last >= BEAT);
        let changes = free && self.strikes(FaultKind::LeaderChange, now);
        if changes {
            self.last_change = Some(now);
        }
        changes
    }

    /// How long a stalled leader is suspended.
    pub fn stall(&mut self) -> Millis {
        self.drawn(FaultKind::LeaderChange, STALL)
    }

    /// How late a slow Prometheus answers.
    pub fn slowness(&mut self) -> Millis {
        self.drawn(FaultKind::PrometheusSlow, SLOW)
    }

    fn drawn(&mut self, kind: FaultKind, (least, more): (Millis, u64)) -> Millis {
        least + self.dice(kind).map_or(0, |dice| dice.below(more) as Millis)
    }

    /// A number below `end` for what a fault of this kind does.
    pub fn below(&mut self, kind: FaultKind, end: u64) -> u64 {
        self.dice(kind).map_or(0, |dice| dice.below(end))
    }

    /// The periodic faults at this instant.
    pub fn due(&mut self, now: Millis) -> Vec<(FaultKind, FaultTarget)> {
        let due = |fault: &Fault| {
            let beat = fault.from == fault.to || (now - fault.from) % BEAT == 0;
            fault.comes_by_itself() && fault.is_on(now) && beat
        };
        let kinds: Vec<(FaultKind, FaultTarget)> =
            self.faults.iter().filter(|fault| due(fault)).map(|fault| (fault.kind, fault.target.clone())).collect();
        kinds.into_iter().filter(|(kind, _)| self.strikes(*kind, now)).collect()
    }

    /// Faults that begin or end at this instant, for the record.
    pub fn changes(&self, now: Millis) -> Vec<String> {
        let mut texts = Vec::new();
        for fault in &self.faults {
            if fault.from == now && fault.to == now {
                texts.push(format!("{} strikes", word(fault.kind)));
            } else if fault.from == now {
                texts.push(format!("{} begins", word(fault.kind)));
            } else if fault.to == now {
                texts.push(format!("{} is over", word(fault.kind)));
            }
        }
        texts
    }

    /// When faults begin, end or come by themselves next.
    pub fn next_event(&self, now: Millis) -> Option<Millis> {
        let next = |fault: &Fault| {
            let beat = (fault.comes_by_itself() && fault.is_on(now)).then(|| now + BEAT - (now - fault.from) % BEAT);
            [Some(fault.from), Some(fault.to), beat.filter(|at| *at < fault.to)]
        };
        self.faults.iter().flat_map(next).flatten().filter(|at| *at > now).min()
    }
}

/// The name in a scenario file.
pub fn word(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::ApiConflict => "apiConflict",
        FaultKind::ApiTimeout => "apiTimeout",
        FaultKind::LostResponse => "lostResponse",
        FaultKind::StaleCache => "staleCache",
        FaultKind::WatchGap => "watchGap",
        FaultKind::ControllerRestart => "controllerRestart",
        FaultKind::LeaderChange => "leaderChange",
        FaultKind::PrometheusDown => "prometheusDown",
        FaultKind::PrometheusSlow => "prometheusSlow",
        FaultKind::RouteDrift => "routeDrift",
        FaultKind::RouterLag => "routerLag",
        FaultKind::PodCrash => "podCrash",
        FaultKind::OomKill => "oomKill",
        FaultKind::ContainerRestart => "containerRestart",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::common::HumanDuration;

    fn fault(kind: FaultKind, at: u64, seconds: u64) -> FaultSpec {
        let (at, duration) = (HumanDuration::secs(at), HumanDuration::secs(seconds));
        FaultSpec { at, duration, kind, probability: None, target: None }
    }

    #[test]
    fn a_fault_without_a_duration_happens_once_and_another_while_it_lasts() {
        let mut once = Faults::new(&[fault(FaultKind::ControllerRestart, 5, 0)], 1);
        assert!(!once.strikes(FaultKind::ControllerRestart, 4_999));
        assert!(once.strikes(FaultKind::ControllerRestart, 7_000), "at the first call from then on");
        assert!(!once.strikes(FaultKind::ControllerRestart, 7_000));
        let mut lasting = Faults::new(&[fault(FaultKind::ApiConflict, 5, 10)], 1);
        let struck: Vec<bool> = [4_000, 5_000, 14_999, 15_000]
            .into_iter()
            .map(|now| lasting.strikes(FaultKind::ApiConflict, now))
            .collect();
        assert_eq!(struck, [false, true, true, false]);
    }

    #[test]
    fn what_comes_by_itself_comes_every_second_while_it_lasts() {
        let mut faults = Faults::new(&[fault(FaultKind::PodCrash, 2, 3)], 1);
        let (mut now, mut times) = (0, Vec::new());
        while let Some(next) = faults.next_event(now) {
            now = next;
            if !faults.due(now).is_empty() {
                times.push(now);
            }
        }
        assert_eq!(times, [2_000, 3_000, 4_000]);
        assert_eq!(now, 5_000, "its end is an event too");
    }
}
