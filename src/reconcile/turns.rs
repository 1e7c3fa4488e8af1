//! Fair turns at something that many namespaces ask at once: a Prometheus, the endpoints of gates.
//!
//! Each server has a queue, and each namespace its own lane in it. A free slot goes to the lane with the fewest queries
//! in flight, then to the one that was served longest ago, so that no namespace's long queue delays another's single
//! query. Guardrails go before other measurements, and neither ever takes the last slot from the other. A lane whose
//! queries keep failing backs off, and then retries with one query at a time (circuit breaker): a server that hangs for
//! one namespace does not delay the others. Queues and lanes without work are dropped.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

/// After this long without another failure a lane's failures are reset.
const FORGIVEN: Duration = Duration::from_secs(120);

/// How places are shared.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Questions under way per line.
    pub at_once: usize,
    /// Of these, the most of one lane.
    pub per_lane: usize,
    /// Questions that may wait in one lane.
    pub waiting: usize,
    /// After so many failures in a row a lane rests.
    pub failures: u32,
    /// How long it rests first; then twice as long each time.
    pub rest: Duration,
    /// How long at most.
    pub longest_rest: Duration,
}

/// Who goes before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A guardrail's question: a release may have to be rolled back because of it.
    Guardrail,
    /// Any other measurement.
    Measurement,
}

/// Why there is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTurn {
    /// Too many wait already.
    #[error("{0} queries of this namespace are already waiting")]
    Full(usize),
    /// The last ones failed.
    #[error("its last {failures} queries failed; the next is sent in {}s", wait.as_secs().max(1))]
    Resting {
        /// How many in a row.
        failures: u32,
        /// When it is asked again.
        wait: Duration,
    },
}

/// Lines by what is asked.
pub struct Turns(Arc<Shared>);

struct Shared {
    rules: Rules,
    lines: Mutex<HashMap<String, Line>>,
}

#[derive(Default)]
struct Line {
    /// By namespace.
    lanes: BTreeMap<String, Lane>,
    /// Under way, by class.
    running: [usize; 2],
    /// Turns given so far: a clock for `Lane::served`.
    given: u64,
}

#[derive(Default)]
struct Lane {
    running: usize,
    /// By class.
    waiting: [VecDeque<oneshot::Sender<Turn>>; 2],
    /// When it got its last turn, by `Line::given`.
    served: u64,
    /// In a row.
    failures: u32,
    rests_until: Option<Instant>,
}

/// A place in use, free again when this is dropped. Dropped without [`Turn::ended`] it counts as failed: nothing came back.
pub struct Turn {
    /// `None` once the slot was released.
    shared: Option<Arc<Shared>>,
    line: String,
    lane: String,
    class: Class,
    /// Whether the waiting caller has taken it.
    begun: bool,
    answered: bool,
}

impl Turns {
    /// Lines under these rules.
    pub fn new(rules: Rules) -> Self {
        Turns(Arc::new(Shared { rules, lines: Mutex::default() }))
    }

    /// Waits for a turn at `line`. A question on behalf of several lanes goes to the one that gets on best.
    pub async fn enter(&self, line: &str, lanes: &[&str], class: Class) -> Result<Turn, NoTurn> {
        let waiting = self.0.admit(line, lanes, class)?;
        // The sender is dropped when the lane begins to rest.
        let Ok(mut turn) = waiting.await else { return Err(self.0.resting(line, lanes)) };
        turn.begun = true;
        Ok(turn)
    }

    /// How many lines have work or failures to remember.
    pub fn lines(&self) -> usize {
        self.0.lock().len()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(self: &Arc<Self>, name: &str, lanes: &[&str], class: Class) -> Result<oneshot::Receiver<Turn>, NoTurn> {
        let now = Instant::now();
        let mut lines = self.lock();
        lines.retain(|_, line| line.is_needed(now));
        let line = lines.entry(name.to_owned()).or_default();
        let best = lanes.iter().min_by_key(|lane| line.load(lane, now)).copied().unwrap_or_default();
        let lane = line.lanes.entry(best.to_owned()).or_default();
        if let Some(wait) = lane.rest(now) {
            return Err(NoTurn::Resting { failures: lane.failures, wait });
        }
        lane.waiting[class as usize].retain(|waiting| !waiting.is_closed());
        if lane.waits() >= self.rules.waiting {
            return Err(NoTurn::Full(lane.waits()));
        }
        let (turn, waiting) = oneshot::channel();
        lane.waiting[class as usize].push_back(turn);
        self.dispatch(name, line);
        Ok(waiting)
    }

    /// Gives free places away.
    fn dispatch(self: &Arc<Self>, name: &str, line: &mut Line) {
        while let Some((lane, class)) = line.next(&self.rules) {
            let Some(waiting) = line.begin(&lane, class) else { return };
            let shared = Some(Arc::clone(self));
            let turn = Turn { shared, line: name.to_owned(), lane: lane.clone(), class, begun: false, answered: false };
            if let Err(mut unwanted) = waiting.send(turn) {
                // The waiting caller has given up. The lock is held: the slot is released here, not by dropping the
                // turn.
                unwanted.shared = None;
                line.end(&lane, class);
            }
        }
    }

    fn give_back(self: &Arc<Self>, turn: &Turn) {
        let now = Instant::now();
        let mut lines = self.lock();
        let Some(line) = lines.get_mut(&turn.line) else { return };
        line.end(&turn.lane, turn.class);
        if turn.begun
            && let Some(lane) = line.lanes.get_mut(&turn.lane)
        {
            lane.learn(turn.answered, &self.rules, now);
        }
        self.dispatch(&turn.line, line);
        line.lanes.retain(|_, lane| lane.is_needed(now));
        if !line.is_needed(now) {
            lines.remove(&turn.line);
        }
    }

    fn resting(&self, name: &str, lanes: &[&str]) -> NoTurn {
        let lines = self.lock();
        let lane = lines.get(name).and_then(|line| lanes.iter().find_map(|lane| line.lanes.get(*lane)));
        let (failures, wait) =
            lane.map_or((self.rules.failures, None), |lane| (lane.failures, lane.rest(Instant::now())));
        NoTurn::Resting { failures, wait: wait.unwrap_or(self.rules.rest) }
    }
}

impl Line {
    /// The lane whose turn it is.
    fn next(&self, rules: &Rules) -> Option<(String, Class)> {
        let under_way = self.running.iter().sum::<usize>();
        if under_way >= rules.at_once {
            return None;
        }
        let mut classes = [Class::Guardrail, Class::Measurement].into_iter();
        classes.find_map(|class| {
            let last_place = self.running[class as usize] + 1 >= rules.at_once && rules.at_once > 1;
            if last_place && (class == Class::Measurement || self.ready(Class::Measurement, rules).is_some()) {
                return None;
            }
            Some((self.ready(class, rules)?, class))
        })
    }

    /// The lane that is served next among those with a question of this class; of those that were never served, the one
    /// that asks least.
    fn ready(&self, class: Class, rules: &Rules) -> Option<String> {
        let ready = self.lanes.iter().filter(|(_, lane)| lane.is_ready(class, rules));
        ready.min_by_key(|(_, lane)| (lane.running, lane.served, lane.waits())).map(|(name, _)| name.clone())
    }

    fn begin(&mut self, name: &str, class: Class) -> Option<oneshot::Sender<Turn>> {
        self.given += 1;
        let lane = self.lanes.get_mut(name)?;
        let waiting = lane.waiting[class as usize].pop_front()?;
        lane.running += 1;
        lane.served = self.given;
        self.running[class as usize] += 1;
        Some(waiting)
    }

    fn end(&mut self, name: &str, class: Class) {
        self.running[class as usize] = self.running[class as usize].saturating_sub(1);
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.running = lane.running.saturating_sub(1);
        }
    }

    /// How long a question would wait in a lane: a lane that rests comes last.
    fn load(&self, name: &str, now: Instant) -> (bool, usize) {
        self.lanes.get(name).map_or((false, 0), |lane| (lane.rest(now).is_some(), lane.running + lane.waits()))
    }

    fn is_needed(&self, now: Instant) -> bool {
        self.lanes.values().any(|lane| lane.is_needed(now))
    }
}

impl Lane {
    fn waits(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    /// Whether a question of this class may begin. After failures there is one at a time.
    fn is_ready(&self, class: Class, rules: &Rules) -> bool {
        let most = if self.failures >= rules.failures { 1 } else { rules.per_lane };
        !self.waiting[class as usize].is_empty() && self.running < most
    }

    fn rest(&self, now: Instant) -> Option<Duration> {
        self.rests_until.map(|until| until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Records an outcome. Callers that wait when a lane starts to back off are notified at once.
    fn learn(&mut self, answered: bool, rules: &Rules, now: Instant) {
        if answered {
            (self.failures, self.rests_until) = (0, None);
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if let Some(times) = self.failures.checked_sub(rules.failures) {
            let rest = rules.rest.saturating_mul(1 << times.min(16)).min(rules.longest_rest);
            self.rests_until = Some(now + rest);
            self.waiting.iter_mut().for_each(VecDeque::clear);
        } else {
            // Remembered for a while, so that failures in a row are seen as such.
            self.rests_until = Some(now);
        }
    }

    fn is_needed(&self, now: Instant) -> bool {
        let remembers = self.rests_until.is_some_and(|until| now < until + FORGIVEN);
        self.running > 0 || self.waits() > 0 || remembers
    }
}

impl Turn {
    /// The query ended: with a response, or without one (a timeout, a closed connection).
    pub fn ended(mut self, answered: bool) {
        self.answered = answered;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.give_back(self);
        }
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
