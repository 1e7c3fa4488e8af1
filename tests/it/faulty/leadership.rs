//! One writer of traffic. A term begins when the Lease gets another holder. Of two controllers that contend for it:
//!
//! - a traffic write that was sent more than the Lease's duration after its sender's last renewal took effect is wrong;
//! - once a write of a term has reached a Rollout, no write of an earlier term that was sent afterwards reaches it;
//! - once a write of a term has reached an object, no write of an earlier term reaches that object, whenever it was sent.

use std::{collections::BTreeMap, time::Duration};

use super::{checks::Write, store::Key, store::text};

/// How long a Lease holds.
pub const LEASE: Duration = Duration::from_secs(15);

/// Who led when, as the server knows it.
#[derive(Debug, Default)]
pub struct Leadership {
    pub wrong: Vec<String>,
    pub term: u64,
    /// Renewals that took effect, by process.
    renewals: BTreeMap<usize, Vec<(Duration, u64)>>,
    /// The newest term that wrote to a Rollout, and since when.
    rollouts: BTreeMap<String, (u64, Duration)>,
    objects: BTreeMap<Key, u64>,
}

/// The identity of a process.
pub fn identity(process: usize) -> String {
    format!("controller-{process}")
}

impl Leadership {
    /// The Lease was written.
    pub fn renewed(&mut self, write: &Write<'_>) {
        let holder = text(write.after, "/spec/holderIdentity");
        let before = write.before.map(|before| text(before, "/spec/holderIdentity")).unwrap_or_default();
        if holder == identity(write.process) {
            self.term += u64::from(holder != before);
            self.renewals.entry(write.process).or_default().push((write.now, self.term));
        }
    }

    /// Objects are those of a backup.
    pub fn restored(&mut self) {
        self.rollouts.clear();
        self.objects.clear();
    }

    /// A rival that is not one of our processes took the Lease.
    pub fn taken(&mut self) {
        self.term += 1;
    }

    /// A rival's write reached a Rollout's object.
    pub fn rival_wrote(&mut self, key: &Key, now: Duration) {
        self.rollouts.insert(key.rollout().to_owned(), (self.term, now));
        self.objects.insert(key.clone(), self.term);
    }

    /// A traffic write took effect.
    pub fn traffic(&mut self, key: &Key, write: &Write<'_>) {
        // Who works without a Lease has none to lose.
        let Some(renewals) = self.renewals.get(&write.process) else { return };
        let Some((renewed, term)) = renewals.iter().rev().find(|(at, _)| *at <= write.sent).copied() else {
            return self.fail(key, write, "its sender did not hold the Lease");
        };
        if write.sent > renewed + LEASE {
            let late = (write.sent - renewed).as_secs_f64();
            self.fail(key, write, &format!("its sender renewed the Lease {late:.1} s before"));
        }
        let (newest, since) = self.rollouts.get(key.rollout()).copied().unwrap_or_default();
        if term < newest && write.sent > since {
            self.fail(
                key,
                write,
                &format!("term {newest} writes to {} already, and it is of term {term}", key.rollout()),
            );
        } else if self.objects.get(key).is_some_and(|newest| term < *newest) {
            self.fail(key, write, &format!("a later term than its own, {term}, had written the object"));
        }
        if term > newest {
            self.rollouts.insert(key.rollout().to_owned(), (term, write.now));
        }
        let of_object = self.objects.entry(key.clone()).or_default();
        *of_object = term.max(*of_object);
    }

    fn fail(&mut self, key: &Key, write: &Write<'_>, why: &str) {
        let (process, sent, now) = (write.process, write.sent.as_secs_f64(), write.now.as_secs_f64());
        self.wrong
            .push(format!("{now:.3} one writer: {key} was written by controller {process} (sent {sent:.3}): {why}"));
    }
}
