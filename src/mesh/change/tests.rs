//! The rules P1 to P7 and F4, by example and in random histories.

use std::collections::BTreeSet;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::{
    api::{
        Percent,
        policy::{HeldAt, HoldReason, OnRejection, Phase, PolicyState, RevertReason, Wave},
    },
    mesh::check::Verdict,
};

fn settings() -> Settings {
    Settings {
        has_guard: true,
        audit: std::time::Duration::ZERO,
        waves: vec![Wave::Count(1), Wave::Share(Percent::whole(25)), Wave::Share(Percent::FULL)],
        bake: std::time::Duration::from_secs(60),
        on_failure: OnRejection::Revert,
        is_now: false,
    }
}

/// What a step sees while nothing is wrong.
fn input<'a>(standing: &'a Standing, wanted: &'a str, second: i64) -> Input<'a> {
    Input {
        now: Timestamp::from_second(second).unwrap(),
        standing,
        wanted,
        settings: settings(),
        plan: PlanSeen::Clear,
        is_written: true,
        check: Some(Verdict::Allowed),
        can_audit: true,
        denials: 0,
        workloads: 20,
        judged: Some(Judged::Pass),
        cuts_caller: false,
        is_releasing: false,
        command: None,
    }
}

/// A policy whose spec `a` is in force.
fn active() -> Standing {
    let spec = || "a".to_owned();
    let state = PolicyState::Active(crate::api::policy::Since { spec: spec(), since: Timestamp::UNIX_EPOCH });
    Standing { in_force: Some(spec()), state: Some(state) }
}

fn phase(standing: &Standing) -> Phase {
    standing.state.as_ref().unwrap().phase()
}

/// A change to `b` that is in its first wave.
fn baking() -> Standing {
    let (start, one) = (active(), |standing: &Standing, second| step(&input(standing, "b", second)).standing);
    let applying = one(&start, 0);
    assert_eq!(phase(&applying), Phase::Applying);
    let baking = one(&applying, 1);
    assert_eq!(phase(&baking), Phase::Baking);
    baking
}

#[test]
fn p4_each_wave_is_written_and_watched_before_the_next() {
    let (mut standing, mut seen) = (active(), Vec::new());
    for second in (0..600).step_by(30) {
        let decision = step(&input(&standing, "b", second));
        let shown = format!("{} {:?}", phase(&decision.standing), decision.desired);
        if seen.last() != Some(&shown) {
            seen.push(shown);
        }
        standing = decision.standing;
    }
    assert_eq!(
        seen,
        [
            "Applying Wave(\"b\", 0)",
            "Baking Wave(\"b\", 0)",
            "Applying Wave(\"b\", 1)",
            "Baking Wave(\"b\", 1)",
            "Applying Wave(\"b\", 2)",
            "Baking Wave(\"b\", 2)",
            "Active InForce(Some(\"b\"))",
        ]
    );
}

#[test]
fn p4_a_wave_that_adds_no_workload_is_none() {
    assert_eq!(settings().last_wave(20), 2);
    assert_eq!(settings().last_wave(1), 0);
    assert_eq!(settings().last_wave(0), 0);
    assert_eq!((Wave::Share(Percent::whole(25)).of(20), Wave::Share(Percent::whole(1)).of(20)), (5, 1));
}

#[test]
fn p1_a_caller_that_would_be_cut_holds_the_change_until_it_is_gone_or_a_person_decides() {
    let standing = active();
    for (verdict, because) in [
        (Verdict::Cut, HoldReason::WouldCut),
        (Verdict::Unknown, HoldReason::Unknown),
        (Verdict::Depends, HoldReason::Depends),
    ] {
        let held = step(&Input { check: Some(verdict), ..input(&standing, "b", 0) });
        assert_eq!((phase(&held.standing), held.wait), (Phase::Held, Some(Wait::Operator(because))));
        assert_eq!(held.desired, Desired::InForce(Some("a".into())), "nothing is written");
        let still = step(&Input { check: Some(verdict), ..input(&held.standing, "b", 900) });
        assert_eq!(still.standing, held.standing);
        assert_eq!(phase(&step(&input(&held.standing, "b", 900)).standing), Phase::Applying);
        let promoted =
            Input { check: Some(verdict), command: Some(Command::Promote), ..input(&held.standing, "b", 900) };
        assert_eq!(phase(&step(&promoted).standing), Phase::Applying);
    }
}

#[test]
fn p2_what_depends_is_audited_and_a_denial_holds_it() {
    let standing = active();
    let audit = Settings { audit: std::time::Duration::from_secs(1800), ..settings() };
    let begun = step(&Input { check: Some(Verdict::Depends), settings: audit.clone(), ..input(&standing, "b", 0) });
    assert_eq!((phase(&begun.standing), begun.desired), (Phase::Auditing, Desired::Audit("b".into())));
    let at = |second, denials| {
        let seen = Input { settings: audit.clone(), denials, ..input(&begun.standing, "b", second) };
        phase(&step(&seen).standing)
    };
    assert_eq!((at(1799, 0), at(1800, 0), at(10, 1)), (Phase::Auditing, Phase::Applying, Phase::Held));
    let unable =
        Input { check: Some(Verdict::Depends), settings: audit.clone(), can_audit: false, ..input(&standing, "b", 0) };
    assert_eq!(phase(&step(&unable).standing), Phase::Held, "a mesh that cannot audit asks a person");
}

#[test]
fn p5_a_denied_caller_takes_the_change_back_at_once() {
    let standing = baking();
    let denied = step(&Input {
        cuts_caller: true,
        judged: None,
        is_releasing: true,
        is_written: false,
        ..input(&standing, "b", 2)
    });
    let Some(PolicyState::Reverting(reverting)) = &denied.standing.state else { panic!("{denied:?}") };
    assert_eq!((reverting.because, &denied.desired), (RevertReason::CallerDenied, &Desired::InForce(Some("a".into()))));
    let back = step(&input(&denied.standing, "b", 3));
    assert_eq!(phase(&back.standing), Phase::Reverted);
}

#[test]
fn p6_a_reverted_spec_is_not_tried_again_before_an_edit_or_retry() {
    let aborted = step(&Input { command: Some(Command::Abort), ..input(&baking(), "b", 2) });
    let back = step(&input(&aborted.standing, "b", 3)).standing;
    assert_eq!(phase(&back), Phase::Reverted);
    assert_eq!(step(&input(&back, "b", 9999)).standing, back);
    assert_eq!(phase(&step(&input(&back, "c", 9999)).standing), Phase::Applying);
    let retried = Input { command: Some(Command::Retry), ..input(&back, "b", 9999) };
    assert_eq!(phase(&step(&retried).standing), Phase::Applying);
    let returned = step(&input(&back, "a", 9999));
    assert_eq!((phase(&returned.standing), returned.wait), (Phase::Active, None), "the spec in force needs no check");
}

#[test]
fn f4_no_change_starts_while_a_rollout_progresses_and_a_bake_starts_again() {
    let standing = active();
    let waits = step(&Input { is_releasing: true, ..input(&standing, "b", 0) });
    assert_eq!((phase(&waits.standing), waits.wait), (Phase::Checking, Some(Wait::Release)));
    let baking = baking();
    let longer = step(&Input { is_releasing: true, ..input(&baking, "b", 60) });
    let still = step(&input(&longer.standing, "b", 61 + 58));
    assert_eq!((phase(&still.standing), still.wait), (Phase::Baking, Some(Wait::Bake)));
    assert_eq!(phase(&step(&input(&longer.standing, "b", 60 + 60)).standing), Phase::Applying);
}

#[test]
fn now_skips_the_check_the_waves_and_the_bake() {
    let standing = Standing::default();
    let now = Settings { is_now: true, has_guard: false, ..settings() };
    let begun = step(&Input { settings: now.clone(), check: None, is_written: true, ..input(&standing, "a", 0) });
    assert_eq!(begun.desired, Desired::Wave("a".into(), 2));
    let done = step(&Input { settings: now, check: None, ..input(&begun.standing, "a", 1) });
    assert_eq!((phase(&done.standing), done.standing.in_force.as_deref()), (Phase::Active, Some("a")));
}

/// What may be seen at random, and how much later.
#[derive(Clone, Debug)]
struct Glance {
    wanted: &'static str,
    plan: PlanSeen,
    check: Option<Verdict>,
    judged: Option<Judged>,
    command: Option<Command>,
    can_audit: bool,
    denials: u64,
    workloads: u32,
    /// Whether the objects are written, a caller is cut, a Rollout progresses.
    is: (bool, bool, bool),
    later: i64,
}

fn glance() -> impl Strategy<Value = Glance> {
    let wanted = prop_oneof![8 => Just("b"), 1 => Just("a"), 1 => Just("c")];
    let plan = prop_oneof![8 => Just(PlanSeen::Clear), 1 => Just(PlanSeen::Refused), 1 => Just(PlanSeen::Conflicted)];
    let verdicts = vec![Verdict::Allowed, Verdict::Cut, Verdict::Depends, Verdict::Unknown];
    let check = prop::option::of(prop::sample::select(verdicts));
    let judged = prop_oneof![4 => Just(Judged::Pass), 1 => Just(Judged::Fail), 1 => Just(Judged::Inconclusive)];
    let judged = prop::option::of(judged);
    let command = prop::sample::select(vec![Command::Promote, Command::Abort, Command::Retry]);
    let command = prop::option::weighted(0.2, command);
    let audit = (any::<bool>(), prop_oneof![6 => Just(0u64), 1 => Just(3)], prop::sample::select(vec![0u32, 1, 20]));
    let is = (any::<bool>(), prop::bool::weighted(0.05), prop::bool::weighted(0.1));
    (wanted, plan, check, judged, command, audit, is, 0i64..90).prop_map(
        |(wanted, plan, check, judged, command, (can_audit, denials, workloads), is, later)| Glance {
            wanted,
            plan,
            check,
            judged,
            command,
            can_audit,
            denials,
            workloads,
            is,
            later,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is seen: a spec takes effect only after a check that allows it, an audit, or a person; what is decided once is
    /// decided again; a reverted spec stays reverted; what is written back waits for nothing but the writes.
    #[test]
    fn histories_keep_the_rules(guarded in any::<bool>(), audits in any::<bool>(), history in prop::collection::vec(glance(), 1..60)) {
        let (mut standing, mut now) = (Standing::default(), 0);
        // The specs that may take effect.
        let mut admitted = BTreeSet::new();
        for Glance { wanted, plan, check, judged, command, can_audit, denials, workloads, is, later } in history {
            now += later;
            let (is_written, cuts_caller, is_releasing) = is;
            let audit = std::time::Duration::from_secs(if audits { 60 } else { 0 });
            let seen = Input {
                settings: Settings { has_guard: guarded, audit, ..settings() },
                plan, is_written, check, can_audit, denials, workloads, judged, cuts_caller, is_releasing, command,
                ..input(&standing, wanted, now)
            };
            let decision = step(&seen);
            if !guarded || check == Some(Verdict::Allowed) || seen.command == Some(Command::Promote)
                || (check == Some(Verdict::Depends) && audits && can_audit) || standing.in_force.as_deref() == Some(wanted) {
                admitted.insert(wanted);
            }
            match &decision.desired {
                Desired::Wave(spec, _) | Desired::Audit(spec) => {
                    prop_assert_eq!(spec, wanted);
                    prop_assert!(admitted.contains(spec.as_str()), "{} was not admitted", spec);
                    prop_assert!(seen.plan == PlanSeen::Clear);
                }
                Desired::InForce(spec) => prop_assert_eq!(spec, &decision.standing.in_force),
            }
            let is_same = |before: &PolicyState| before.spec() == wanted && seen.command.is_none();
            if let Some(before) = standing.state.as_ref().filter(|before| is_same(before)) {
                let back = if is_written { Phase::Reverted } else { Phase::Reverting };
                let must = match before.phase() {
                    Phase::Reverted => Some(Phase::Reverted),
                    Phase::Reverting => Some(back),
                    Phase::Baking if cuts_caller && seen.plan == PlanSeen::Clear => Some(Phase::Reverting),
                    _ => None,
                };
                prop_assert!(must.is_none_or(|must| must == phase(&decision.standing)), "{:?}", decision);
            }
            let same = decision.desired == Desired::of(&standing);
            let again = Input { standing: &decision.standing, command: None, is_written: is_written && same, ..seen.clone() };
            prop_assert_eq!(&step(&again).standing, &decision.standing);
            let held = matches!(&decision.standing.state, Some(PolicyState::Held(held)) if held.at == HeldAt::Check {});
            prop_assert!(!held || matches!(decision.desired, Desired::InForce(_)));
            standing = decision.standing;
        }
    }
}
