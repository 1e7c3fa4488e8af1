//! One instant of the controller's life: it judges and ticks until nothing is due, dies, or gives way to another leader.

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
};

use super::{Played, Player, RESTART, ROUNDS, Ticking};
use crate::{
    api::{RolloutStatus, status::Phase},
    engine::{self, Decision, Input},
    ports::WorldError,
    reconcile::{
        retry::{Next, Retries, SHORTEST},
        tick::tick,
    },
    sim::{
        expect,
        process::Process,
        scenario::FaultKind,
        time::{Millis, instant, later},
        trace::Mark,
    },
};

impl Player {
    /// Judges and ticks at this instant until nothing more is due.
    pub fn settle(&mut self) -> Played {
        for _ in 0..ROUNDS {
            if !self.round()? {
                return self.rests();
            }
        }
        let seen = vec![format!("I8: {ROUNDS} rounds at one instant and no end")];
        Err(self.failure("invariants", "a fixed point", seen))
    }

    /// One thing that is due; `false` when there is none.
    pub(super) fn round(&mut self) -> Played<bool> {
        let now = self.now();
        if let Some(index) = self.deposed.iter().position(|(p, _)| p.stalled().is_none_or(|until| until <= now)) {
            let (process, ticking) = self.deposed.remove(index);
            self.tick_on(process, ticking)?;
            return Ok(true);
        }
        let away = self.cluster().faults.away(now);
        if let Some(back) = away.filter(|_| self.down.is_none()) {
            self.die(true);
            self.down = Some(back);
        }
        match self.down {
            Some(back) if back > now => return Ok(false),
            Some(_) => self.lead_anew(),
            None => {}
        }
        let due = std::mem::take(&mut self.cluster().runs_due);
        self.run_wakes.extend(due.into_iter().map(|name| (name, now)));
        if let Some(name) = self.due_run(now) {
            self.judge(&name);
            return Ok(true);
        }
        let (news, deaf) = {
            let cluster = self.cluster();
            (cluster.news, cluster.faults.is_on(FaultKind::WatchGap, now))
        };
        if (news && !deaf) || self.wake.is_some_and(|wake| wake <= now) {
            self.cluster().news = false;
            self.wake = None;
            let (process, key) = (self.process.clone(), self.key.clone());
            let ticker = process.clone();
            let ticking: Ticking = Box::pin(async move { tick(&*ticker, &key, &*ticker).await });
            self.tick_on(process, ticking)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Runs a tick as far as possible.
    pub(super) fn tick_on(&mut self, process: Arc<Process>, mut ticking: Ticking) -> Played {
        let polled = ticking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let leads = Arc::ptr_eq(&process, &self.process);
        match polled {
            Poll::Ready(result) if leads => self.ticked(&result),
            Poll::Ready(_) => {}
            Poll::Pending if process.stalled() == Some(Millis::MAX) => self.die(leads),
            Poll::Pending => {
                self.deposed.push((process.clone(), ticking));
                if leads {
                    self.line(
                        Mark::Fault,
                        "another leader takes over; the old one is suspended in the middle of a tick",
                    );
                    self.lead_anew();
                }
            }
        }
        self.after_tick(&process)
    }

    pub(super) fn ticked(&mut self, result: &Result<Option<Decision>, WorldError>) {
        let now = self.now();
        let next = Next::after_tick(result, instant(now));
        self.wake = self.retries.wait(next).map(|wait| later(now, wait));
    }

    /// What must hold after every tick, and how it is reported.
    pub(super) fn after_tick(&mut self, process: &Process) -> Played {
        self.story.ticks += 1;
        let things = self.cluster().things().saturating_add(self.story.releases.len() as u64);
        self.work.tick(things).map_err(|much| self.too_much(much))?;
        self.unchecked = true;
        self.tell();
        let broken = process.take_broken();
        if !broken.is_empty() {
            return Err(self.failure("invariants", "every invariant to hold", broken));
        }
        self.follow_releases();
        let healthy = self.cluster().phase() == Some(Phase::Healthy);
        self.was_healthy |= healthy;
        if self.was_healthy {
            let broken = expect::broken(&self.scenario.always, &*self.cluster());
            if !broken.is_empty() {
                return Err(self.failure("always", "what must always hold", broken));
            }
        }
        self.check_throughout()
    }

    /// Nobody looks again now, so another look must find nothing to do (I8).
    pub(super) fn rests(&mut self) -> Played {
        if !std::mem::take(&mut self.unchecked) {
            return Ok(());
        }
        let cluster = self.cluster();
        let soon = self.wake.is_some_and(|wake| wake <= later(cluster.now, SHORTEST));
        let idle = !soon && self.down.is_none() && self.retries.is_calm() && self.deposed.is_empty() && !cluster.news;
        let Some(rollout) = cluster.rollout.as_ref().filter(|_| idle && !cluster.faults.any_on(cluster.now)) else {
            return Ok(());
        };
        let (seen, blank) = (self.process.look(&cluster), RolloutStatus::default());
        let in_force = cluster.file_invalid().then(|| cluster.in_force(rollout));
        let rollout = in_force.as_ref().unwrap_or(rollout);
        let input = Input {
            name: &cluster.key.name,
            uid: rollout.metadata.uid.as_deref().unwrap_or_default(),
            generation: rollout.metadata.generation,
            deleting: rollout.metadata.deletion_timestamp.is_some(),
            skip_hand_back: false,
            spec: &rollout.spec,
            status: rollout.status.as_ref().unwrap_or(&blank),
            seen: &seen,
            now: instant(cluster.now),
        };
        let decision = engine::step(&input);
        drop(cluster);
        if decision.actions.is_empty() {
            return Ok(());
        }
        let seen = vec![format!("I8: no wake-up is scheduled, and there is {:?} to do", decision.actions)];
        Err(self.failure("invariants", "a quiet fixed point", seen))
    }

    /// The process is gone, with all that it had under way.
    pub(super) fn die(&mut self, leads: bool) {
        if !leads {
            return;
        }
        self.line(Mark::Fault, "the controller dies");
        self.judging.clear();
        self.wake = None;
        self.down = Some(self.now() + RESTART);
    }

    /// A process that has seen nothing yet leads from now on.
    pub(super) fn lead_anew(&mut self) {
        self.down = None;
        self.judging.clear();
        self.retries = Retries::default();
        self.run_retries.clear();
        self.wake = None;
        self.process = Process::new(self.cluster.clone(), Some(self.now()), None);
        let names: Vec<String> = {
            let mut cluster = self.cluster();
            cluster.news = true;
            cluster.runs.keys().cloned().collect()
        };
        let now = self.now();
        self.run_wakes = names.into_iter().map(|name| (name, now)).collect();
    }
}
