//! One scenario in real time: its entries in order, and what must hold at every change that is heard of.

use super::look::{Look, since_beginning};
use super::setting::Setting;
use super::telling::{Failure, Teller};
use ::glidepath::api::status::Phase;
use ::glidepath::sim::expect::{self, Seen};
use ::glidepath::sim::scenario::{Entry, Expect};
use ::glidepath::sim::time::shown;
use ::glidepath::sim::trace::{self, Mark};
use ::glidepath::sim::{Millis, millis};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What has no watch, such as lost requests, is looked at this often.
const LOOK: Duration = Duration::from_millis(250);

type Held<T = ()> = Result<T, Failure>;

/// A scenario while it is played.
pub struct Player {
    setting: Setting,
    pub teller: Teller,
    changes: watch::Receiver<u64>,
    /// The last command that was given.
    command: Option<String>,
    /// The previous expectation's end.
    since: Millis,
    was_healthy: bool,
    /// What holds throughout an entry.
    throughout: Option<(usize, Expect)>,
    told: usize,
    last_place: String,
    met: u32,
}

impl Player {
    pub fn new(setting: Setting, teller: Teller) -> Self {
        Self {
            changes: setting.eyes.changes(),
            setting,
            teller,
            command: None,
            since: 0,
            was_healthy: false,
            throughout: None,
            told: 0,
            last_place: String::new(),
            met: 0,
        }
    }

    /// Plays the whole timeline.
    pub async fn play(&mut self) -> Held {
        let timeline = self.setting.scenario.timeline.clone();
        for (index, entry) in timeline.iter().enumerate().skip(self.setting.done) {
            if let Err(failure) = self.entry(index, entry).await {
                self.teller.line(Mark::Failed, &format!("{}: wanted {}", failure.path, failure.wanted));
                self.teller.line(Mark::Place, &self.setting.users.told());
                return Err(failure);
            }
        }
        let users = self.setting.users.told();
        self.teller.line(Mark::Met, &format!("passed: {} expectations; {users}", self.met));
        Ok(())
    }

    fn now(&self) -> Millis {
        since_beginning(self.setting.place.began, Instant::now())
    }

    fn look(&self) -> Look {
        let Setting { eyes, place, users, .. } = &self.setting;
        Look::take(eyes, place, self.command.as_deref(), users.lost())
    }

    async fn entry(&mut self, index: usize, entry: &Entry) -> Held {
        let path = format!("timeline[{index}]");
        if let Some(at) = entry.at.map(millis).or_else(|| entry.after.map(|after| self.now() + millis(after))) {
            if at < self.now() {
                let seen = vec![format!("the clock is at {} by now", shown(self.now()))];
                return Err(self.failure(&path, format!("to happen at {}", shown(at)), seen, &self.look()));
            }
            self.pass_to(at).await?;
        }
        let Some(wanted) = &entry.expect else { return self.act(&path, entry).await };
        if let Some(longest) = entry.within {
            self.comes_within(&path, wanted, millis(longest)).await?;
        } else if let Some(long) = entry.throughout {
            self.throughout = Some((index, wanted.clone()));
            let held = self.pass_to(self.now() + millis(long)).await;
            self.throughout = None;
            held?;
        } else {
            self.check(&path, wanted, "now", &self.look())?;
        }
        self.since = self.now();
        self.met += 1;
        self.teller.line(Mark::Met, &expect::words(wanted));
        Ok(())
    }

    async fn act(&mut self, path: &str, entry: &Entry) -> Held {
        let look = self.look();
        let hands = &self.setting.hands;
        let done = match &entry.command {
            None => hands.act(entry, look.rollout.as_deref()).await,
            Some(command) => match hands.command(command, &look.status(), &look.revisions()).await {
                Ok(name) => {
                    self.command = Some(name);
                    Ok(::glidepath::sim::actions::said(command))
                }
                Err(error) => Err(error),
            },
        };
        let text = done.map_err(|why| self.failure(path, "to be carried out", vec![format!("{why:#}")], &look))?;
        self.teller.line(Mark::Done, &text);
        Ok(())
    }

    async fn comes_within(&mut self, path: &str, wanted: &Expect, longest: Millis) -> Held {
        let limit = self.now() + longest;
        loop {
            self.changes.borrow_and_update();
            let late = self.now() >= limit;
            let look = self.looked()?;
            match self.check(path, wanted, &format!("within {}", shown(longest)), &look) {
                Ok(()) => return Ok(()),
                Err(failure) if late => return Err(failure),
                Err(_) => self.something_happens(limit).await,
            }
        }
    }

    /// Lets time pass to `at`; what must hold is checked at every change.
    async fn pass_to(&mut self, at: Millis) -> Held {
        loop {
            self.changes.borrow_and_update();
            let late = self.now() >= at;
            self.looked()?;
            if late {
                return Ok(());
            }
            self.something_happens(at).await;
        }
    }

    /// Waits for a change, for a moment, and not beyond `limit`.
    async fn something_happens(&mut self, limit: Millis) {
        let left = Duration::from_millis(u64::try_from(limit - self.now()).unwrap_or_default());
        // A change or the end of the wait: the next look reports.
        let _ = tokio::time::timeout(left.min(LOOK), self.changes.changed()).await;
    }

    /// Looks, reports what is new, and checks what must hold now.
    fn looked(&mut self) -> Held<Look> {
        let look = self.look();
        self.tell(&look);
        self.was_healthy |= look.status().phase == Some(Phase::Healthy);
        if self.was_healthy {
            let broken = expect::broken(&self.setting.scenario.always, &look);
            if !broken.is_empty() {
                return Err(self.failure("always", "what must always hold", broken, &look));
            }
        }
        if let Some((index, wanted)) = &self.throughout {
            self.check(&format!("timeline[{index}]"), wanted, "throughout", &look)?;
        }
        Ok(look)
    }

    fn tell(&mut self, look: &Look) {
        let began = self.setting.place.began;
        for told in look.told.iter().skip(self.told) {
            let mark = if told.warning { Mark::Warned } else { Mark::Told };
            self.teller.line_at(since_beginning(began, told.at), mark, &format!("{}: {}", told.reason, told.note));
        }
        self.told = look.told.len();
        let place = trace::place(&look.status());
        if place != self.last_place {
            self.teller.line(Mark::Place, &place);
            self.last_place = place;
        }
    }

    fn check(&self, path: &str, wanted: &Expect, when: &str, look: &Look) -> Held {
        let seen = expect::mismatches(wanted, look, self.since);
        if seen.is_empty() {
            return Ok(());
        }
        Err(self.failure(path, format!("{} {when}", expect::words(wanted)), seen, look))
    }

    fn failure(&self, path: &str, wanted: impl Into<String>, seen: Vec<String>, look: &Look) -> Failure {
        Failure { path: path.to_owned(), wanted: wanted.into(), seen, place: expect::place(look) }
    }
}
