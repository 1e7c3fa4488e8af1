//! The waiting time of a release as it adds up at the soonest, by the rules by which the engine ends its waits. Pods and routes
//! take their time on top.

use std::time::Duration;

use crate::{api::Percent, evidence::Soonest};

/// How far a release is, if every wait is as short as it can be.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    now: Duration,
    weight: Percent,
    /// Since when the weight is in force.
    at_weight: Duration,
    background: Option<Background>,
}

/// The analysis behind the steps.
#[derive(Clone, Debug)]
struct Background {
    takes: Soonest,
    /// The step that it starts with.
    starts: u32,
    started: Option<Duration>,
    /// A step waits for its Pass at the weight in force.
    is_observed: bool,
}

impl Clock {
    /// With a background analysis from this step on.
    pub fn new(background: Option<(u32, Soonest)>) -> Self {
        let background =
            background.map(|(starts, takes)| Background { takes, starts, started: None, is_observed: false });
        Clock { background, ..Clock::default() }
    }

    /// The time.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// So much later.
    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
    }

    /// A step begins, or a stride of a ramp. A new weight needs evidence of its own.
    pub fn enter(&mut self, step: u32, weight: Percent) {
        let is_new = weight != self.weight;
        if is_new {
            (self.weight, self.at_weight) = (weight, self.now);
        }
        let Some(background) = &mut self.background else { return };
        background.is_observed &= !is_new;
        if step >= background.starts && background.started.is_none() {
            background.started = Some(self.now);
        }
    }

    /// A wait for the background analysis, and for so long at least.
    pub fn observe(&mut self, at_least: Duration) {
        let passes = self.passes();
        self.now = self.now.saturating_add(at_least).max(passes);
        if let Some(background) = &mut self.background {
            background.is_observed = true;
        }
    }

    /// Whether a Pass is needed before the promotion that no step has waited for.
    pub fn needs_last_pass(&self) -> bool {
        let open = |background: &Background| background.takes.is_required && !background.is_observed;
        self.background.as_ref().is_some_and(|background| background.started.is_some() && open(background))
    }

    /// When the background analysis can pass at the weight in force.
    fn passes(&self) -> Duration {
        let Some(Background { takes, started: Some(started), .. }) = &self.background else { return self.now };
        let at_new_weight = self.at_weight.saturating_add(takes.from_new_weight);
        started.saturating_add(takes.from_start).max(at_new_weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    fn clock() -> Clock {
        let takes = Soonest { from_start: minutes(7), from_new_weight: minutes(5), is_required: true };
        Clock::new(Some((1, takes)))
    }

    #[test]
    fn a_pass_takes_its_time_at_each_weight() {
        let mut clock = clock();
        clock.enter(0, Percent::ZERO);
        clock.pass(minutes(10));
        clock.enter(1, Percent::whole(10));
        clock.observe(minutes(2));
        assert_eq!(clock.now(), minutes(17), "from its start");
        clock.observe(minutes(1));
        assert_eq!(clock.now(), minutes(18), "it has passed at this weight");
        clock.enter(2, Percent::whole(50));
        clock.pass(minutes(3));
        clock.observe(minutes(0));
        assert_eq!(clock.now(), minutes(23), "a pause at the weight counts");
        assert!(!clock.needs_last_pass());
        clock.enter(3, Percent::whole(80));
        assert!(clock.needs_last_pass());
    }

    #[test]
    fn without_an_analysis_there_is_nothing_to_wait_for() {
        let mut clock = Clock::new(None);
        clock.enter(0, Percent::whole(10));
        clock.observe(minutes(2));
        assert_eq!((clock.now(), clock.needs_last_pass()), (minutes(2), false));
    }
}
