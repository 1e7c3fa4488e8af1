//! What pods carry for their role: the file's `canaryMetadata` while their revision is the canary, its `stableMetadata` while
//! it is stable, and nothing of either once it is neither. It is asked for whenever it is not so: a role that changed, a
//! file that changed and a label that another writer removed are all one.

use super::{decision::Action, draft::Draft};
use crate::api::metadata::PodMetadata;

/// Every revision's pods carry what belongs to its role.
///
/// It comes after everything else that this tick asks for, so that a refusal holds up neither traffic nor pods; but pods
/// that are about to be made are born with it.
pub fn ensure(draft: &mut Draft<'_>) {
    for seen in &draft.input.seen.revisions {
        let metadata = of_role(draft, &seen.id);
        let goes = draft.actions.iter().any(|a| matches!(a, Action::RemoveRevision { id } if *id == seen.id));
        if goes || seen.metadata == metadata && !seen.metadata_astray {
            continue;
        }
        let births = |action: &Action| matches!(action, Action::EnsureReplicas { id, .. } if *id == seen.id);
        let birth = draft.actions.iter().position(births).filter(|_| seen.wanted == 0);
        let at = birth.unwrap_or(draft.actions.len());
        draft.actions.insert(at, Action::EnsureMetadata { id: seen.id.clone(), metadata });
    }
}

/// The first version is stable from its first pod on: nothing else can be. The canary is one until its pods are gone.
pub fn of_role(draft: &Draft<'_>, id: &str) -> PodMetadata {
    let spec = draft.input.spec;
    let (stable, current) = (draft.stable_id(), draft.current_id());
    let metadata = if stable.as_ref().or(current.as_ref()).is_some_and(|stable| stable == id) {
        &spec.stable_metadata
    } else if current.is_some_and(|current| current == id) {
        &spec.canary_metadata
    } else {
        &None
    };
    metadata.clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{
        api::{
            RolloutSpec, RolloutStatus,
            status::{
                AtRest, Course, Promoting, Release, Returning, ReturnsBecause, RevisionRef, State, Stepping, StepsDone,
                Way,
            },
        },
        engine::{
            Decision, Input,
            input::{RevisionSeen, Seen, TemplateSeen},
            step,
        },
    };

    fn role(role: &str) -> PodMetadata {
        let metadata = match role {
            "" => json!({}),
            _ => json!({"labels": {"role": role}}),
        };
        serde_json::from_value(metadata).unwrap()
    }

    fn spec() -> RolloutSpec {
        serde_json::from_value(json!({
            "replicas": 4, "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
            "canaryMetadata": role("canary"), "stableMetadata": role("stable"),
        }))
        .unwrap()
    }

    fn revision(id: &str, number: u64, wanted: u32, carries: &str) -> RevisionSeen {
        RevisionSeen {
            id: id.into(),
            number,
            wanted,
            pods: wanted,
            ready: wanted,
            available: wanted,
            metadata: role(carries),
            ..RevisionSeen::default()
        }
    }

    /// v1 is stable, v2 in the place that the course says, v0 long gone.
    fn status(course: Course) -> RolloutStatus {
        let of = |id: &str, number| Some(RevisionRef { id: id.into(), number });
        let (stable, current) = match course {
            Course::FirstDeploy => (None, of("v1", 1)),
            Course::Idle => (of("v1", 1), of("v1", 1)),
            _ => (of("v1", 1), of("v2", 2)),
        };
        let state = state(course);
        RolloutStatus { stable_revision: stable, current_revision: current, state, attempt: 1, ..Default::default() }
    }

    fn state(course: Course) -> State {
        let (now, rest) = (Timestamp::UNIX_EPOCH, AtRest::default());
        let steps = Way::Steps(StepsDone { step: 2, sub_step: 0 });
        match course {
            Course::FirstDeploy => State::default(),
            Course::Idle => State::Idle(rest),
            Course::Stepping => State::Stepping(Box::new(Stepping::begin(now))),
            Course::Promoting => State::Promoting(Box::new(Promoting::begin(steps, Release::begin(now), now))),
            Course::Returning => {
                State::Returning(Returning { because: ReturnsBecause::BackAtStable, since: now, progress: None })
            }
            Course::Aborted => State::Aborted(rest),
            Course::ControlKept => State::ControlKept(rest),
        }
    }

    fn decide(course: Course, revisions: Vec<RevisionSeen>) -> Decision {
        let (spec, status) = (spec(), status(course));
        let template =
            status.current_revision.as_ref().map(|r| TemplateSeen { id: r.id.clone(), ..Default::default() });
        let seen = Seen { template, replicas: 4, revisions, ..Seen::default() };
        step(&Input::of(&spec, &status, &seen))
    }

    /// What is asked for, by revision.
    fn asked(decision: &Decision) -> Vec<(&str, PodMetadata)> {
        let asked = decision.actions.iter().filter_map(|action| match action {
            Action::EnsureMetadata { id, metadata } => Some((id.as_str(), metadata.clone())),
            _ => None,
        });
        let mut all: Vec<_> = asked.collect();
        all.sort_by_key(|(id, _)| *id);
        all
    }

    #[test]
    fn each_revision_carries_what_belongs_to_its_role() {
        for (course, stable, canary) in [
            (Course::FirstDeploy, "stable", ""),
            (Course::Idle, "stable", ""),
            (Course::Stepping, "stable", "canary"),
            (Course::Promoting, "stable", "canary"),
            (Course::Aborted, "stable", "canary"),
            (Course::ControlKept, "stable", "canary"),
        ] {
            let bare = vec![revision("v0", 0, 0, ""), revision("v1", 1, 4, ""), revision("v2", 2, 0, "")];
            let wanted: Vec<_> =
                [("v1", stable), ("v2", canary)].into_iter().filter(|(_, it)| !it.is_empty()).collect();
            let wanted: Vec<_> = wanted.into_iter().map(|(id, name)| (id, role(name))).collect();
            let decision = decide(course, bare);
            assert_eq!(asked(&decision), wanted, "{course:?}: {:?}", decision.actions);
            let there = vec![revision("v0", 0, 0, ""), revision("v1", 1, 4, stable), revision("v2", 2, 0, canary)];
            assert_eq!(asked(&decide(course, there)), [], "I8 in {course:?}");
        }
    }

    #[test]
    fn what_is_no_ones_any_more_and_what_went_astray_is_put_right() {
        let mut lost = revision("v1", 1, 4, "stable");
        lost.metadata_astray = true;
        let decision =
            decide(Course::Stepping, vec![revision("v0", 0, 2, "stable"), lost, revision("v2", 2, 2, "canary")]);
        assert_eq!(asked(&decision), [("v0", role("")), ("v1", role("stable"))]);
    }

    #[test]
    fn new_pods_are_born_with_it_and_a_refusal_holds_up_nothing_else() {
        let decision = decide(Course::Stepping, vec![revision("v1", 1, 4, ""), revision("v2", 2, 0, "")]);
        let words = decision.actions.iter().map(|action| match action {
            Action::EnsureMetadata { id, .. } => format!("label {id}"),
            Action::EnsureReplicas { id, .. } => format!("scale {id}"),
            other => format!("{other:?}"),
        });
        assert_eq!(words.collect::<Vec<_>>(), ["scale v1", "label v2", "scale v2", "label v1"]);
    }

    #[test]
    fn a_revision_that_goes_needs_nothing() {
        let mut revisions: Vec<_> = (10..16).map(|n| revision(&format!("old{n}"), n, 0, "stable")).collect();
        revisions.push(revision("v1", 99, 4, "stable"));
        let decision = decide(Course::Idle, revisions);
        assert!(decision.actions.contains(&Action::RemoveRevision { id: "old10".into() }));
        assert!(!asked(&decision).iter().any(|(id, _)| *id == "old10"), "{:?}", decision.actions);
        assert_eq!(asked(&decision).len(), 5);
    }
}
