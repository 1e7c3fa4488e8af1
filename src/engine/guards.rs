//! The guards: OOM kills and restarts of the new version's containers fail a release at once, whatever its metrics say
//! (rule S21). The API server has no record of the past, only a counter and the last termination of each container, so
//! what a container had done before the attempt is on record with the release.

use crate::api::{
    analysis::Allowed,
    reason::Reason,
    status::{EndedBefore, GuardCounts, Stage},
};

use super::{draft::Draft, input::TerminationSeen};

/// The most containers whose past is on record one by one, and that a message names.
const MOST_RECORDED: usize = 20;
const MOST_NAMED: usize = 3;

/// Counts anew from here on: an attempt begins, or an operator overrode a hold.
pub fn begin(draft: &mut Draft<'_>) {
    let before = ended_before(terminations(draft));
    if let Some(release) = draft.status.state.release_mut() {
        release.ended_before = before;
    }
    draft.status.guards = None;
}

/// Counts what the containers of the new version have done in this attempt.
pub fn follow(draft: &mut Draft<'_>) {
    if is_on(draft) {
        draft.status.guards = counts(draft);
    }
}

/// Why the release fails by it.
pub fn failure(draft: &Draft<'_>) -> Option<(Reason, String)> {
    let GuardCounts { oom_kills, restarts, evidence } = draft.status.guards.as_ref().filter(|_| is_on(draft))?;
    let guards = draft.input.spec.guards();
    let text = |what: String, allowed: Allowed| format!("{what}, {allowed} allowed: {evidence}");
    if guards.oom_kills().is_exceeded_by(*oom_kills) {
        return Some((Reason::OOMKilled, text(count(*oom_kills, "OOM kill"), guards.oom_kills())));
    }
    let failed = guards.restarts().is_exceeded_by(*restarts);
    failed.then(|| (Reason::ContainerRestarts, text(count(*restarts, "container restart"), guards.restarts())))
}

/// They watch what is released step by step, and a blue-green switch that can be reverted. A first version has nothing to
/// return to, and whoever skips the steps skips them too (S4, S32, S82).
fn is_on(draft: &Draft<'_>) -> bool {
    let steps = draft.status.state.stepping().is_some() && draft.replicas() > 0;
    steps || draft.stage() == Some(Stage::PostAnalysis)
}

fn terminations<'a>(draft: &Draft<'a>) -> &'a [TerminationSeen] {
    let current = draft.current_id().and_then(|id| draft.revision(&id));
    current.map_or(&[], |revision| &revision.terminations)
}

/// The containers that had ended most often, one by one; of the rest it is enough that none is counted too early.
fn ended_before(terminations: &[TerminationSeen]) -> EndedBefore {
    let mut ended: Vec<(String, u32)> = terminations.iter().map(|seen| (name(seen), seen.ended)).collect();
    ended.sort_by(|(one, a), (other, b)| (b, one).cmp(&(a, other)));
    let others = ended.get(MOST_RECORDED).map_or(0, |(_, times)| *times);
    ended.truncate(MOST_RECORDED);
    EndedBefore { containers: ended.into_iter().collect(), others }
}

fn name(seen: &TerminationSeen) -> String {
    format!("{}/{}", seen.pod, seen.container)
}

/// What one container has done in this attempt.
struct Done<'a> {
    seen: &'a TerminationSeen,
    restarts: u32,
    was_oom_killed: bool,
}

fn counts(draft: &Draft<'_>) -> Option<GuardCounts> {
    let before = &draft.release()?.ended_before;
    let done = terminations(draft).iter().map(|seen| {
        let ended = before.containers.get(&name(seen)).copied().unwrap_or(before.others);
        Done {
            seen,
            restarts: seen.restarts.saturating_sub(ended),
            was_oom_killed: seen.oom_killed && seen.ended > ended,
        }
    });
    let mut done: Vec<Done<'_>> = done.filter(|done| done.restarts > 0 || done.was_oom_killed).collect();
    // The worst are named.
    done.sort_by_key(|done| (!done.was_oom_killed, std::cmp::Reverse(done.restarts)));
    (!done.is_empty()).then(|| GuardCounts {
        oom_kills: done.iter().map(|done| u32::from(done.was_oom_killed)).sum(),
        restarts: done.iter().map(|done| done.restarts).fold(0, u32::saturating_add),
        evidence: evidence(&done),
    })
}

fn evidence(done: &[Done<'_>]) -> String {
    let mut texts: Vec<String> = done.iter().take(MOST_NAMED).map(Done::text).collect();
    let more = done.len().saturating_sub(MOST_NAMED);
    texts.extend(
        (more > 0).then(|| format!("and {}", count(u32::try_from(more).unwrap_or(u32::MAX), "more container"))),
    );
    texts.join(", ")
}

impl Done<'_> {
    /// `container app of pod web-x1 was OOM-killed (exit code 137)`.
    fn text(&self) -> String {
        let TerminationSeen { pod, container, exit_code, reason, .. } = self.seen;
        let what = match (self.was_oom_killed, self.restarts) {
            (true, 0 | 1) => "was OOM-killed".to_owned(),
            (true, times) => format!("was OOM-killed and restarted {times} times"),
            (false, 1) => "restarted".to_owned(),
            (false, times) => format!("restarted {times} times"),
        };
        let reason = if self.was_oom_killed || reason.is_empty() { String::new() } else { format!(", {reason}") };
        format!("container {container} of pod {pod} {what} (exit code {exit_code}{reason})")
    }
}

fn count(number: u32, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(pod: &str, restarts: u32) -> TerminationSeen {
        TerminationSeen {
            pod: pod.into(),
            container: "app".into(),
            ended: restarts,
            restarts,
            exit_code: 1,
            reason: "Error".into(),
            ..TerminationSeen::default()
        }
    }

    #[test]
    fn the_record_of_what_was_before_is_bounded_and_counts_nothing_too_early() {
        let many: Vec<TerminationSeen> = (1..=50).map(|times| seen(&format!("pod{times:02}"), times)).collect();
        let before = ended_before(&many);
        assert_eq!((before.containers.len(), before.others), (MOST_RECORDED, 30));
        assert_eq!(before.containers.get("pod50/app"), Some(&50));
        assert!(many.iter().all(|seen| seen.ended <= *before.containers.get(&name(seen)).unwrap_or(&before.others)));
    }

    #[test]
    fn a_message_names_the_worst_with_their_exit_codes() {
        let oom = TerminationSeen { oom_killed: true, exit_code: 137, reason: "OOMKilled".into(), ..seen("a", 0) };
        let all = [seen("b", 3), seen("c", 1), seen("d", 1)];
        let mut done: Vec<Done<'_>> = vec![Done { seen: &oom, restarts: 0, was_oom_killed: true }];
        done.extend(all.iter().map(|seen| Done { seen, restarts: seen.restarts, was_oom_killed: false }));
        assert_eq!(
            evidence(&done),
            "container app of pod a was OOM-killed (exit code 137), \
             container app of pod b restarted 3 times (exit code 1, Error), \
             container app of pod c restarted (exit code 1, Error), and 1 more container"
        );
    }
}
