//! What drives a site: looks at its addresses, ticks its engine and its judges, until it is stopped.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;

use super::{
    apply::Site,
    health::{EVERY, Look, Probe},
    state::News,
};
use crate::{
    api::reason::Reason,
    engine::Notice,
    ports::{World as _, WorldError},
    reconcile::{
        retry::{Next, Retries},
        tick::tick,
    },
};

/// An address that could not be reached is looked at so soon.
const SOON: Duration = Duration::from_millis(20);
/// The engine looks this often without news.
const BEAT: Duration = Duration::from_millis(500);
/// What failed is retried this soon at the latest: a user is watching.
const LONGEST: Duration = Duration::from_secs(2);
/// After this many checks an undisturbed process is identified again.
const RECOGNISE_EVERY: u32 = 10;

/// Looks and ticks until `stop`. Ends with the reason when the site cannot go on.
pub async fn drive(site: &Site, health_path: Option<String>, stop: CancellationToken) {
    let watch = |place: usize| {
        let probe = Probe::new(site.inner.backends[place].address().clone(), health_path.clone());
        watch(site.clone(), place, probe, stop.clone())
    };
    tokio::join!(watch(0), watch(1), turn(site, &stop));
}

/// The judges and the engine each do what is due, again and again.
async fn turn(site: &Site, stop: &CancellationToken) {
    let key = site.key();
    let clock = site.inner.clock.clone();
    let mut told = String::new();
    let mut retries = Retries::default();
    while !stop.is_cancelled() {
        let judged = site.judge(clock.now()).await;
        let enrolled = site.enroll().await;
        let ticked = match judged {
            Ok(()) => tick(site, &key, &*clock).await,
            Err(error) => Err(error),
        };
        match (&ticked, &enrolled) {
            (Ok(_), Ok(())) => told.clear(),
            (Err(WorldError::Conflict(_)), _) => {}
            (Err(error), _) | (Ok(_), Err(error)) => site.tell_failure(error, &mut told),
        }
        if let Some(rollout) = site.rollout() {
            // Nobody reads any more: the site is ending.
            let _ = site.inner.news.send(News::Ticked(Box::new(rollout)));
        }
        let next = Next::after_tick(&ticked, clock.now());
        let latest = if matches!(next, Next::Failed | Next::Interrupted) { LONGEST } else { BEAT };
        let wait = retries.wait(next).unwrap_or(BEAT).min(latest);
        tokio::select! {
            () = stop.cancelled() => {}
            () = site.changed() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Looks at one address until `stop`.
async fn watch(site: Site, place: usize, probe: Probe, stop: CancellationToken) {
    let mut looks = 0_u32;
    let proxy = Arc::clone(&site.inner.proxy);
    while !stop.is_cancelled() {
        let look = probe.look().await;
        let recognise = look == Look::Up && (looks.is_multiple_of(RECOGNISE_EVERY) || site.may_change(place));
        let process = if recognise { probe.process().await } else { None };
        site.found(place, look, process, looks == 0);
        looks = looks.wrapping_add(1).max(1);
        tokio::select! {
            () = stop.cancelled() => {}
            // Many requests may fail at once; one look answers for all of them.
            () = proxy.unreached.notified() => tokio::time::sleep(SOON).await,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

impl Site {
    /// A failed action is retried and reported once.
    fn tell_failure(&self, error: &WorldError, told: &mut String) {
        let message = format!("{error}; retrying");
        if message != *told {
            let notice = Notice { warning: true, reason: Reason::TickFailed, message: message.clone() };
            self.inner.tell(&mut self.inner.state(), notice);
            *told = message;
        }
    }

    /// Whether a restart at this place would count, so that one must not be overlooked.
    fn may_change(&self, place: usize) -> bool {
        self.inner.state().placement.restart_counts(place)
    }

    /// Takes over what a look has found.
    fn found(&self, place: usize, look: Look, process: Option<String>, first: bool) {
        let mut state = self.inner.state();
        let now = self.inner.clock.now();
        let turned = state.health[place].take(look, now);
        let up = state.health[place].is_up();
        let known = state.placement.places[place].process.clone();
        let another = process.is_some() && known.is_some() && process != known;
        // The first look of all finds what was there before.
        if another || turned && up && !first {
            state.placement.note_restart(place);
        }
        if process.is_some() {
            state.placement.places[place].process = process;
        }
        if turned && !(first && up) {
            let (address, why) = (&state.placement.places[place].address, state.health[place].why());
            let message = if up { format!("{address} answers") } else { format!("{address} does not respond: {why}") };
            let reason = if up { Reason::AddressUp } else { Reason::AddressDown };
            self.inner.tell(&mut state, Notice { warning: !up, reason, message });
        }
        let health = state.health.clone();
        state.placement.settle(&health);
        if let Err(error) = self.inner.keep(&mut state) {
            tracing::warn!(%error, "what an address does is not kept");
        }
        if turned {
            self.inner.changed.notify_one();
        }
    }

    /// Looks once at both addresses, so that the first decision knows them.
    pub async fn look(&self, health_path: Option<&str>) {
        for place in [0, 1] {
            let probe = Probe::new(self.inner.backends[place].address().clone(), health_path.map(str::to_owned));
            let look = probe.look().await;
            self.found(place, look, probe.process().await, true);
        }
        // The observation settles who runs where.
        let _ = self.observe(&self.key()).await;
    }
}
