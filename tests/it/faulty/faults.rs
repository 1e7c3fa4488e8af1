//! What goes wrong, when, and for whom. Every decision comes from the seed and from what is decided about, never from the
//! order in which things happen to be asked: one seed, one replay.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use super::verbs::Call;

/// One way in which a cluster fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Requests are refused with this code: 429 (with `Retry-After`), 500, 503.
    Refused(u16),
    /// Writes reach the server; their answers do not come back.
    AnswerLost,
    /// Requests do not reach the server, and no one says so.
    RequestLost,
    /// Writes take this long, as behind a slow admission webhook.
    SlowWrites(Duration),
    /// The process, or its node, is cut off or stopped: what it sends, and what is sent to it, arrives when this is over.
    Held,
    /// Watches end properly.
    WatchEnds,
    /// Watches break off.
    WatchBreaks,
    /// Watches that are open fall silent for good: no event, no bookmark, no end. Only whoever gives up gets out.
    WatchSilent,
    /// Events come this late.
    WatchSlow(Duration),
    /// The source of metrics does not answer; it does when this is over.
    SourceHangs,
    /// The source of metrics answers every question with an error.
    SourceFails,
}

/// A fault for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// Since the start.
    pub from: Duration,
    pub until: Duration,
    pub fault: Fault,
    /// One process only.
    pub process: Option<usize>,
    /// One kind only, by its plural.
    pub plural: Option<&'static str>,
    /// One namespace only.
    pub namespace: Option<&'static str>,
    /// How likely each request is met, in percent.
    pub percent: u32,
}

impl Window {
    /// A fault for everyone and everything.
    pub fn new(fault: Fault, from: Duration, lasts: Duration) -> Window {
        Window { from, until: from + lasts, fault, process: None, plural: None, namespace: None, percent: 100 }
    }

    pub fn of(self, process: usize) -> Window {
        Window { process: Some(process), ..self }
    }

    pub fn on(self, plural: &'static str) -> Window {
        Window { plural: Some(plural), ..self }
    }

    pub fn within(self, namespace: &'static str) -> Window {
        Window { namespace: Some(namespace), ..self }
    }

    pub fn percent(self, percent: u32) -> Window {
        Window { percent, ..self }
    }
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fate {
    /// How long it is on its way.
    pub there: Duration,
    /// How long its answer is on its way.
    pub back: Duration,
    pub refused: Option<u16>,
    pub request_lost: bool,
    pub answer_lost: bool,
}

/// All faults of a history.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    pub seed: u64,
    pub windows: Vec<Window>,
}

impl Faults {
    /// What becomes of the `count`th call of this text by this process.
    pub fn fate(&self, now: Duration, process: usize, call: &Call, about: &str, count: u64) -> Fate {
        let write = call.is_write();
        let dice = |what: &str| dice(self.seed, (process, about, count, what));
        let mut fate = Fate {
            there: Duration::from_millis(1 + dice("there") % 9),
            back: Duration::from_millis(1 + dice("back") % 9),
            ..Fate::default()
        };
        let elsewhere = |window: &Window| window.namespace.is_some_and(|only| only != call.namespace);
        for (index, window) in self.at(now, process, call.kind.plural).filter(|(_, window)| !elsewhere(window)) {
            if dice(&format!("window {index}")) % 100 >= u64::from(window.percent) {
                continue;
            }
            match window.fault {
                Fault::Refused(code) => fate.refused = Some(code),
                Fault::AnswerLost if write => fate.answer_lost = true,
                Fault::RequestLost => fate.request_lost = true,
                Fault::SlowWrites(by) if write => fate.there += by,
                _ => {}
            }
        }
        fate
    }

    /// Until when the process is cut off, if it is.
    pub fn held_until(&self, now: Duration, process: usize) -> Option<Duration> {
        let held = self.at(now, process, "").filter(|(_, window)| window.fault == Fault::Held);
        held.map(|(_, window)| window.until).max()
    }

    /// What happens to the open watches of a process on a kind.
    pub fn of_watches(&self, now: Duration, process: usize, plural: &str) -> Vec<Fault> {
        let about = |fault: &Fault| {
            matches!(fault, Fault::WatchEnds | Fault::WatchBreaks | Fault::WatchSilent | Fault::WatchSlow(_))
        };
        self.at(now, process, plural).map(|(_, window)| window.fault).filter(about).collect()
    }

    /// Whether the source of metrics fails now, and until when.
    pub fn of_source(&self, now: Duration) -> Option<(Fault, Duration)> {
        let mut failing = self.at(now, usize::MAX, "").filter(|(_, window)| is_of_source(window.fault));
        failing.next().map(|(_, window)| (window.fault, window.until))
    }

    /// Whether the source of metrics has failed for so long.
    pub fn source_fails_for(&self, now: Duration, long: Duration) -> bool {
        let failing = self.at(now, usize::MAX, "").filter(|(_, window)| is_of_source(window.fault));
        failing.map(|(_, window)| window.from).any(|from| from + long < now)
    }

    /// Whether everything but the source of metrics has been well for so long.
    pub fn calm_for(&self, now: Duration, long: Duration) -> bool {
        let others = self.windows.iter().filter(|window| !is_of_source(window.fault));
        others.into_iter().all(|window| window.from > now || window.until + long < now)
    }

    /// When a watch has to look again: a window opens or closes.
    pub fn next_change(&self, now: Duration) -> Option<Duration> {
        self.windows.iter().flat_map(|window| [window.from, window.until]).filter(|at| *at > now).min()
    }

    fn at(&self, now: Duration, process: usize, plural: &str) -> impl Iterator<Item = (usize, &Window)> {
        self.windows.iter().enumerate().filter(move |(_, window)| {
            (window.from..window.until).contains(&now)
                && window.process.is_none_or(|only| only == process)
                && window.plural.is_none_or(|only| only == plural)
        })
    }
}

fn is_of_source(fault: Fault) -> bool {
    matches!(fault, Fault::SourceHangs | Fault::SourceFails)
}

/// A number that depends on the seed and on what it is for.
pub fn dice(seed: u64, what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, what).hash(&mut hasher);
    hasher.finish()
}
