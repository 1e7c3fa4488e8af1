//! The backends of both targets, and which of them a request goes to.

use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::HeaderMap;

use super::{
    backend::{Backend, Open},
    choice::Choice,
};
use crate::{engine::Target, local::chance::Chance};

/// Where requests go.
#[derive(Clone, Default)]
pub struct Table {
    /// The backends of the stable target.
    pub stable: Vec<Backend>,
    /// The backends of the canary target. Without such a target all requests go to the stable one.
    pub canary: Option<Vec<Backend>>,
    /// Which of the two.
    pub choice: Choice,
}

/// Where one request goes. It is open there from here on.
pub struct Chosen {
    /// To this backend.
    pub open: Open,
    /// And a copy of it to this one.
    pub copy: Option<Open>,
    /// The Set-Cookie header that keeps its user there.
    pub keep: Option<String>,
}

impl Table {
    /// The target by what the request carries and by weight, the backend by turn; none where the target has no backend.
    pub fn choose(&self, headers: &HeaderMap, chance: &Chance, turn: &AtomicUsize) -> Option<Chosen> {
        let by_turn = |backends: &[Backend]| {
            let turn = turn.fetch_add(1, Ordering::Relaxed).checked_rem(backends.len())?;
            backends.get(turn).map(Backend::open)
        };
        let chosen = self.choice.choose(headers, || chance.share());
        let canary = self.canary.as_deref();
        let target = match chosen.target {
            Target::Canary => canary.unwrap_or(&self.stable),
            Target::Stable => &self.stable,
        };
        let open = by_turn(target)?;
        let copy = canary.filter(|_| chosen.copied).and_then(by_turn);
        Some(Chosen { open, copy, keep: chosen.keep })
    }
}
