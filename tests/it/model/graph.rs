//! The reachable states as a graph, for what a search for bad states cannot say: whether a rollout can always come to rest,
//! and whether it does.

use std::collections::HashMap;

use super::world::{Act, By};

/// A state: how it was first reached, and what users read there.
struct Node {
    rests: bool,
    from: Option<(u32, Act)>,
    says: String,
}

/// States by number, with what happens on its own in each.
#[derive(Default)]
pub struct Graph {
    numbers: HashMap<u64, u32>,
    nodes: Vec<Node>,
    /// (from, to) of what happens on its own: the controller, the clock, pods that come up, judges.
    own: Vec<(u32, u32)>,
    /// All transitions.
    pub transitions: u64,
}

impl Graph {
    /// The first state.
    pub fn begin(&mut self, state: u64, says: String) {
        if !self.nodes.is_empty() {
            return; // the checker asks more than once
        }
        self.numbers.insert(state, 0);
        self.nodes.push(Node { rests: false, from: None, says });
    }

    /// One act, and where it leads.
    pub fn note(&mut self, from: u64, act: Act, to: u64, rests: bool, says: impl FnOnce() -> String) {
        self.transitions += 1;
        let from = self.numbers[&from];
        let next = u32::try_from(self.nodes.len()).unwrap();
        let to = *self.numbers.entry(to).or_insert(next);
        if to == next {
            self.nodes.push(Node { rests, from: Some((from, act)), says: says() });
        }
        // Time that passes and changes nothing is a wait for something from outside.
        if act.by() == By::Itself && !(act == Act::Clock && from == to) {
            self.own.push((from, to));
        }
    }

    /// States from which no rest can be reached without users and without bad luck.
    pub fn stuck(&self) -> Vec<u32> {
        let mut into: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        for (from, to) in &self.own {
            into[*to as usize].push(*from);
        }
        let mut comes: Vec<bool> = self.nodes.iter().map(|node| node.rests).collect();
        let mut open: Vec<u32> = (0..).zip(&comes).filter(|(_, rests)| **rests).map(|(state, _)| state).collect();
        while let Some(state) = open.pop() {
            for from in &into[state as usize] {
                if !std::mem::replace(&mut comes[*from as usize], true) {
                    open.push(*from);
                }
            }
        }
        (0..).zip(comes).filter(|(_, comes)| !comes).map(|(state, _)| state).collect()
    }

    /// States on a circle of what happens on its own, without any rest on it: the rollout could go round forever.
    pub fn circling(&self) -> Vec<u32> {
        let busy = |state: &u32| !self.nodes[*state as usize].rests;
        let mut edges: Vec<(u32, u32)> = self.own.iter().copied().filter(|(a, b)| busy(a) && busy(b)).collect();
        // What has no way in or no way out is on no circle: taken away until nothing goes any more.
        loop {
            let count = edges.len();
            let (mut has_way_out, mut has_way_in) = (vec![false; self.nodes.len()], vec![false; self.nodes.len()]);
            for (from, to) in &edges {
                (has_way_out[*from as usize], has_way_in[*to as usize]) = (true, true);
            }
            edges.retain(|(from, to)| has_way_in[*from as usize] && has_way_out[*to as usize]);
            if edges.len() == count {
                break;
            }
        }
        let mut circle: Vec<u32> = edges.into_iter().map(|(from, _)| from).collect();
        circle.sort_unstable();
        circle.dedup();
        circle
    }

    /// The first way to a state, for users: what happened, and what the Rollout said then.
    pub fn way_to(&self, state: u32) -> String {
        let node = &self.nodes[state as usize];
        match node.from {
            None => node.says.clone(),
            Some((from, act)) => format!("{}\n  {act:?} -> {}", self.way_to(from), node.says),
        }
    }
}
