//! What the metrics have answered about a policy, and how long that is good for.

use jiff::{SignedDuration, Timestamp};

use crate::mesh::drive::{Ask, Metrics, ServiceCallers};

/// What was answered is good for so long: callers are asked for again after a minute, and later where they are looked for over
/// days, which is dear; denials after some seconds.
const CALLERS: SignedDuration = SignedDuration::from_secs(55);
const DENIALS: SignedDuration = SignedDuration::from_secs(4);
/// A look over so many seconds is good for one more second.
const DEAR: u64 = 1000;

/// What was answered last, to which question.
#[derive(Debug)]
pub struct Asked {
    spec: String,
    ask: Ask,
    at: Timestamp,
    /// What was answered.
    pub answer: Result<Metrics, String>,
}

impl Asked {
    /// An answer.
    pub fn new(spec: &str, ask: &Ask, at: Timestamp, answer: Result<Metrics, String>) -> Self {
        Asked { spec: spec.to_owned(), ask: ask.clone(), at, answer }
    }

    /// Whether it is still an answer to a question about this spec.
    pub fn answers(&self, spec: &str, ask: &Ask, now: Timestamp) -> bool {
        let dear = SignedDuration::from_secs((ask.seconds / DEAR).cast_signed());
        let good = if ask.denials { DENIALS } else { CALLERS.max(dear) };
        self.is_of(spec, ask) && now.duration_since(self.at) < good && self.at <= now
    }

    /// Whether it was the same question, be it at another time.
    fn is_of(&self, spec: &str, ask: &Ask) -> bool {
        let same = self.spec == spec && self.ask.denials == ask.denials && self.ask.services == ask.services;
        same && (!ask.denials || self.ask.until == ask.until)
    }

    /// The callers before a wave, which are what they were.
    pub fn before(&self, spec: &str, ask: &Ask) -> Option<Vec<ServiceCallers>> {
        let known = self.answer.as_ref().ok().filter(|_| ask.denials && self.is_of(spec, ask))?;
        Some(known.before.clone())
    }
}
