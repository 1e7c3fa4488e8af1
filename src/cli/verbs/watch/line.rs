//! A Rollout in one line, for logs: of a watch without a terminal, and of a local rollout.

use jiff::Timestamp;

use crate::{
    api::Rollout,
    cli::render::printable::one_line,
    view::{doing::doing, phrases, place::Place, situation::Situation},
};

/// A Rollout in one line that changes only when something happens, not as time goes by.
pub(super) fn change_line(rollout: &Rollout) -> String {
    let situation = Situation::of(rollout, Timestamp::UNIX_EPOCH);
    if matches!(situation.place, Place::Unseen { .. }) {
        return doing(&situation);
    }
    let verdicts = if situation.waits_for.is_verdict() { verdicts(rollout) } else { String::new() };
    in_one_line(&situation, &verdicts)
}

/// Phase, revision, step and weight, what it does, and what the caller adds to that.
pub fn in_one_line(situation: &Situation, more: &str) -> String {
    let phase = situation.phase.map(|phase| format!("{phase:?}")).unwrap_or_default();
    let mut parts = vec![phase, phrases::number(situation.current.as_ref())];
    parts.extend(situation.counter.map(|counter| counter.to_string()));
    let planned = situation.weight;
    parts.extend(situation.accepted.map(|accepted| match accepted == planned {
        true => accepted.to_string(),
        false => format!("{accepted} of {planned}"),
    }));
    parts.push(without_counts(situation) + more);
    parts.extend(situation.also_paused.clone());
    one_line(&parts.join("  ")).into_owned()
}

/// The engine's summary, but not while a verdict is waited for: it has the counts of every window then.
fn without_counts(situation: &Situation) -> String {
    if situation.summary.is_empty() || situation.waits_for.is_verdict() {
        doing(situation)
    } else {
        situation.summary.clone()
    }
}

/// `: errors Continue, latency Pass`.
fn verdicts(rollout: &Rollout) -> String {
    let metrics = rollout.status.iter().flat_map(|status| &status.metrics);
    let all: Vec<String> = metrics.map(|metric| format!("{} {:?}", metric.name, metric.verdict)).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn lines() {
        let lines: Vec<String> =
            samples::all().iter().map(|(name, s)| format!("{name}: {}", change_line(&s.rollout))).collect();
        insta::assert_snapshot!("change_lines", lines.join("\n"));
    }

    #[test]
    fn a_change_is_one_line() {
        let mut sample = samples::aborted_by_command();
        sample.rollout.status.as_mut().unwrap().message = "revision #42 was rolled back: by ann: odd\nlatency".into();
        assert!(change_line(&sample.rollout).ends_with("by ann: odd latency"));
    }
}
