//! The guards in words: what they would fail the release for, and what they have counted so far.

use crate::api::{
    Rollout,
    analysis::{Allowed, Guards},
    status::{GuardCounts, State},
};

/// What they have counted in the release in progress. Once it is over, its reason says it.
pub fn counted(rollout: &Rollout) -> Option<&GuardCounts> {
    let status = rollout.status.as_ref()?;
    let is_under_way = matches!(status.state, State::Stepping(_) | State::Promoting(_)) && status.held().is_none();
    status.guards.as_ref().filter(|_| is_under_way)
}

/// `0 OOM kills (0 allowed), 1 restart (1 allowed): container app of pod web-x1 restarted (exit code 1, Error)`.
pub fn counts_in_words(counts: &GuardCounts, guards: &Guards) -> String {
    let GuardCounts { oom_kills, restarts, evidence } = counts;
    let (oom, restart) = (if *oom_kills == 1 { "OOM kill" } else { "OOM kills" }, plural(*restarts, "restart"));
    let (of, and) = (guards.oom_kills(), guards.restarts());
    format!("{oom_kills} {oom} ({of} allowed), {restarts} {restart} ({and} allowed): {evidence}")
}

fn plural(count: u32, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// What they fail a release for, each as it follows `when`.
pub fn causes(guards: &Guards) -> Vec<String> {
    let oom = match guards.oom_kills() {
        Allowed::Unlimited => None,
        Allowed::UpTo(0) => Some("a container is OOM-killed".to_owned()),
        Allowed::UpTo(most) => Some(format!("more than {most} {} OOM-killed", container(most))),
    };
    let restarts = match guards.restarts() {
        Allowed::Unlimited => None,
        Allowed::UpTo(0) => Some("a container restarts".to_owned()),
        Allowed::UpTo(1) => Some("containers restart more than once".to_owned()),
        Allowed::UpTo(most) => Some(format!("containers restart more than {most} times")),
    };
    oom.into_iter().chain(restarts).collect()
}

fn container(count: u32) -> &'static str {
    if count == 1 { "container is" } else { "containers are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_and_the_counts_read_as_sentences() {
        assert_eq!(causes(&Guards::default()), ["a container is OOM-killed", "containers restart more than once"]);
        let off = Guards { oom_kills: Some(Allowed::Unlimited), restarts: Some(Allowed::UpTo(5)) };
        assert_eq!(causes(&off), ["containers restart more than 5 times"]);
        let counts = GuardCounts { oom_kills: 2, restarts: 1, evidence: "container app".into() };
        assert_eq!(
            counts_in_words(&counts, &off),
            "2 OOM kills (unlimited allowed), 1 restart (5 allowed): container app"
        );
    }
}
