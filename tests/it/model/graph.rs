//! The reachable states as a graph, for what a search for bad states cannot say: whether a rollout can always come to rest,
//! and whether it does.

use std::collections::{BTreeMap, HashMap};

use super::world::{Act, By};

/// States by number, with what happens by itself in each.
#[derive(Default)]
pub struct Graph {
    numbers: HashMap<u64, u32>,
    rests: Vec<bool>,
    /// (from, to) of what happens by itself: the controller, the clock, pods that come up, judges.
    own: Vec<(u32, u32)>,
    ticks: BTreeMap<u32, u32>,
    pub transitions: u64,
}

impl Graph {
    pub fn begin(&mut self, state: u64) {
        self.number(state, false);
    }

    fn number(&mut self, state: u64, rests: bool) -> u32 {
        let next = u32::try_from(self.rests.len()).unwrap();
        let number = *self.numbers.entry(state).or_insert(next);
        if number == next {
            self.rests.push(rests);
        }
        number
    }

    /// One act, and where it leads.
    pub fn note(&mut self, from: u64, act: Act, to: u64, rests: bool) {
        self.transitions += 1;
        let (from, to) = (self.number(from, false), self.number(to, rests));
        if act.by() == By::Itself {
            self.own.push((from, to));
        }
        if act == Act::Tick {
            self.ticks.insert(from, to);
        }
    }

    pub fn states(&self) -> usize {
        self.rests.len()
    }

    /// States in which a rollout is at rest.
    pub fn resting(&self) -> usize {
        self.rests.iter().filter(|rests| **rests).count()
    }

    /// States from which no rest can be reached without people and without bad luck.
    pub fn stuck(&self) -> Vec<u64> {
        let mut into: Vec<Vec<u32>> = vec![Vec::new(); self.rests.len()];
        for (from, to) in &self.own {
            into[*to as usize].push(*from);
        }
        let mut comes = self.rests.clone();
        let mut open: Vec<u32> = (0..).zip(&self.rests).filter(|(_, rests)| **rests).map(|(state, _)| state).collect();
        while let Some(state) = open.pop() {
            for from in &into[state as usize] {
                if !std::mem::replace(&mut comes[*from as usize], true) {
                    open.push(*from);
                }
            }
        }
        let stuck = |state: u32| !comes[state as usize];
        self.numbers.iter().filter(|(_, state)| stuck(**state)).map(|(key, _)| *key).collect()
    }

    /// States that what happens by itself can come back to without having been at rest between.
    pub fn circling(&self) -> Vec<u64> {
        // Whatever has no way in or no way out (of its own kind) is on no circle: taken away until nothing goes any more.
        let busy = |state: &u32| !self.rests[*state as usize];
        let mut edges: Vec<(u32, u32)> = self.own.iter().copied().filter(|(a, b)| busy(a) && busy(b)).collect();
        loop {
            let count = edges.len();
            let (mut left, mut entered) = (vec![false; self.rests.len()], vec![false; self.rests.len()]);
            for (from, to) in &edges {
                (left[*from as usize], entered[*to as usize]) = (true, true);
            }
            edges.retain(|(from, to)| entered[*from as usize] && left[*to as usize]);
            if edges.len() == count {
                break;
            }
        }
        let circle: std::collections::BTreeSet<u32> = edges.into_iter().map(|(from, _)| from).collect();
        self.numbers.iter().filter(|(_, state)| circle.contains(state)).map(|(key, _)| *key).collect()
    }
}
