//! Which records one update writes, one by one, and that it writes no more: each is a request to the API server and an
//! event for everything that watches it.

use std::time::Duration;

use super::*;

#[path = "../../scale/records.rs"]
mod record;

use record::Record;

/// The records of an update until the old pods are gone.
async fn of_update(mesh: bool) -> Vec<Record> {
    let world = Watched::new(two_weights(mesh));
    world.run_until(|status| status.phase == Some(Phase::Healthy)).await.unwrap();
    world.for_a_minute().await;
    let mut last = world.record();
    world.records.lock().unwrap().clear();
    world.sim().template = "v2".into();
    world.run_until(|status| status.stable_revision.as_ref().is_some_and(|seen| seen.id == "v2")).await.unwrap();
    world.for_a_minute().await;
    assert_eq!(world.sim().available("v1"), 0);
    let records = world.records.lock().unwrap().clone();
    records
        .iter()
        .map(|status| Record::of(Duration::ZERO, &std::mem::replace(&mut last, status.clone()), status).unwrap())
        .collect()
}

#[tokio::test]
async fn an_update_writes_these_records() {
    for (mesh, count) in [(true, 9), (false, 6)] {
        let records = of_update(mesh).await;
        let listed: String = records.iter().map(ToString::to_string).collect();
        assert_eq!(records.len(), count, "mesh: {mesh}\n{listed}");
    }
}

/// A Rollout whose canary target has begun to settle.
async fn targeted(settle: HumanDuration) -> Watched {
    let world = Watched::new(RolloutSpec { settle: Some(settle), ..two_weights(true) });
    world.run_until(|status| status.phase == Some(Phase::Healthy)).await.unwrap();
    world.for_a_minute().await;
    world.sim().template = "v2".into();
    world.run_until(|status| status.phase == Some(Phase::Progressing)).await.unwrap();
    while world.sim().canary_target() != Some("v2") {
        world.sim().sleep(SignedDuration::from_secs(1));
        tick(&world, &world.key(), &world).await.unwrap();
    }
    world.sim().sleep(SignedDuration::from_millis(500));
    tick(&world, &world.key(), &world).await.unwrap();
    world
}

const STEP: Percent = Percent::whole(20);

#[tokio::test]
async fn s39_a_target_that_settles_unrecorded_settles_anew_in_another_process() {
    for dies in [false, true] {
        let world = targeted(HumanDuration::secs(10)).await;
        let status = world.record();
        assert_eq!(status.ready_replicas, 1, "that the canary's pod is ready is recorded with its weight");
        assert!(world.deferred.lock().unwrap().as_ref().is_some_and(|deferred| deferred.canary.is_some()));
        world.sim().sleep(SignedDuration::from_secs(1));
        if dies {
            *world.deferred.lock().unwrap() = None;
        }
        let from = world.now();
        world.run_until(|status| status.weights.desired == STEP).await.unwrap();
        let took = world.now().duration_since(from);
        assert!((took >= SETTLE) == dies && took < SETTLE + SignedDuration::from_secs(2), "{dies}: {took:#}");
        assert_eq!(world.record().ready_replicas, 2);
    }
}

#[tokio::test]
async fn what_settles_for_long_is_recorded_with_the_counts_of_now() {
    let status = targeted(HumanDuration::secs(20)).await.record();
    assert_eq!((status.reason, status.ready_replicas), (Reason::TargetSettles, 2));
}

#[tokio::test]
async fn old_pods_that_are_kept_for_long_are_counted_until_the_last_minute() {
    let spec = RolloutSpec { scale_down_delay: Some(HumanDuration::secs(150)), ..two_weights(true) };
    let world = Watched::new(spec);
    let records = world.release().await;
    let shown = |status: &RolloutStatus| status.ready_shown.clone();
    assert_eq!(records.last().map(shown).as_deref(), Some("1/1 +1"));
    for _ in 0..2 {
        world.for_a_minute().await;
    }
    assert_eq!(world.sim().available("v1"), 1);
    assert_eq!(shown(&world.record()), "1/1");
    world.for_a_minute().await;
    assert_eq!(world.sim().available("v1"), 0);
    assert_eq!(shown(&world.record()), "1/1");
}
