//! The contract of every router in [`ROUTERS`], on the real controller and the faulty API server: a release converges, drift is
//! repaired, an abort is one write for each object, a conflict is retried, a deleted Rollout leaves the routes as they were, and
//! what a router cannot do is refused before anything is written. What else the objects hold stays byte for byte.
//!
//! A router comes in by a [`fixture`](fixtures): without one the first test fails.

mod fixtures;
mod place;

use std::{sync::Arc, time::Duration};

use glidepath::router::{ROUTERS, RouterKind, custom::presets};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    faults::Fault,
    objects::canary_by,
    scene::Scene,
    store::{Key, text},
};
use fixtures::{Fixture, fixtures};

const FIRST: &str = "shop/app:1";
const SECOND: &str = "shop/app:2";
/// Longer than anything takes that is not repaired by the clock.
const PATIENCE: Duration = Duration::from_secs(120);
/// After it nothing more is to come of an abort.
const REST: Duration = Duration::from_secs(60);

#[test]
fn every_router_and_every_preset_has_a_fixture() {
    for kind in ROUTERS {
        let its = fixtures().into_iter().filter(|fixture| fixture.router() == kind.key).count();
        assert!(its > 0, "no fixture has the router {}: add one in tests/it/faulty/contract/fixtures.rs", kind.key);
    }
    for preset in presets() {
        let named = |fixture: &Fixture| fixture.entry.pointer("/custom/preset") == Some(&preset.name.into());
        assert!(fixtures().iter().any(named), "no fixture has the preset {} of custom", preset.name);
    }
}

#[test]
fn a_release_converges_by_every_router() {
    each(async |fixture| {
        let mut scene = fixture.open(json!([
            {"setWeight": 20}, {"pause": {"duration": "5s"}}, {"setWeight": 50}, {"pause": {"duration": "5s"}},
        ]));
        scene.start_alone();
        scene.until_healthy("web", FIRST).await;
        scene.deploy("web", SECOND);
        for share in [2_000, 5_000, 10_000] {
            fixture.until_share(&scene, share).await;
        }
        scene.until_healthy("web", SECOND).await;
        fixture.until_share(&scene, 0).await;
        fixture.is_as_before(&scene);
    });
}

#[test]
fn drift_is_repaired_by_every_router_and_foreign_fields_stay() {
    each(async |fixture| {
        let scene = fixture.at_a_fifth().await;
        scene.cluster.edit(|store, now| fixture.place.drift(store, now, 4_500));
        assert_eq!(fixture.share(&scene), 4_500, "{}", fixture.title);
        fixture.edit_by_others(&scene);
        fixture.until_share(&scene, 2_000).await;
        scene.pass(REST).await;
        assert_eq!(fixture.share(&scene), 2_000, "{}", fixture.title);
        fixture.has_the_edit(&scene);
    });
}

#[test]
fn an_abort_gives_stable_everything_in_one_write_of_each_object() {
    each(async |fixture| {
        let mut scene = fixture.at_a_fifth().await;
        let keys = fixture.written();
        let writes = |scene: &Scene| keys.iter().map(|key| written(scene, key)).collect::<Vec<u64>>();
        let before = writes(&scene);
        scene.command("web", "abort");
        scene
            .until(&format!("{}: it is aborted", fixture.title), PATIENCE, |scene| scene.phase("web") == "Degraded")
            .await;
        assert_eq!(fixture.share(&scene), 0, "{}: the status is no sooner than the route", fixture.title);
        scene.pass(REST).await;
        assert_eq!(fixture.share(&scene), 0, "{}", fixture.title);
        for ((key, before), after) in keys.iter().zip(&before).zip(writes(&scene)) {
            assert!(
                after <= before + 1,
                "{}: {key} was written {} times\n{}",
                fixture.title,
                after - before,
                scene.story()
            );
        }
        fixture.is_as_before(&scene);
    });
}

#[test]
fn s22_users_who_stay_leave_nothing_behind_by_every_router_that_keeps_them() {
    for ends_by in ["abort", "promote"] {
        each(async |fixture| {
            let keeps = |kind: &RouterKind| kind.key == fixture.router() && kind.capabilities.sticky;
            if !ROUTERS.iter().any(keeps) {
                return;
            }
            let mut scene = fixture.at_half_with_users_who_stay().await;
            let keys = fixture.written();
            let before: Vec<u64> = keys.iter().map(|key| written(&scene, key)).collect();
            scene.command("web", ends_by);
            match ends_by {
                "abort" => {
                    let what = format!("{}: it is aborted", fixture.title);
                    scene.until(&what, PATIENCE, |scene| scene.phase("web") == "Degraded").await;
                }
                _ => scene.until_healthy("web", SECOND).await,
            }
            scene.pass(REST).await;
            assert_eq!(fixture.share(&scene), 0, "{}", fixture.title);
            fixture.is_as_before(&scene);
            // All traffic to the new version, and back with it as stable.
            let most = if ends_by == "abort" { 1 } else { 2 };
            for (key, before) in keys.iter().zip(before) {
                let writes = written(&scene, key) - before;
                assert!(writes <= most, "{}: {key} was written {writes} times\n{}", fixture.title, scene.story());
            }
        });
    }
}

#[test]
fn s50_a_weight_finer_than_a_router_is_rounded_and_not_waited_for() {
    each(async |fixture| {
        let mut scene = fixture.open(json!([{"setWeight": 12.5}, {"pause": {"duration": "5s"}}]));
        scene.start_alone();
        scene.until_healthy("web", FIRST).await;
        scene.deploy("web", SECOND);
        scene.until_healthy("web", SECOND).await;
    });
}

#[test]
fn a_conflict_with_another_writer_is_retried_by_every_router_and_the_others_edit_stays() {
    each(async |fixture| {
        let mut scene = fixture.at_a_fifth().await;
        let key = fixture.place.key();
        // What the other one writes is seen later than the next write, for which pods have to start.
        scene.add(scene.fault(Fault::WatchSlow(Duration::from_secs(20)), Duration::from_secs(60)).on(key.plural));
        fixture.edit_by_others(&scene);
        scene.command("web", "promote");
        fixture.until_share(&scene, 5_000).await;
        let lost = format!(" {key} 409");
        let told = scene.cluster.with(|c| c.told.iter().any(|line| line.contains("update") && line.ends_with(&lost)));
        assert!(told, "{}: there was no conflict\n{}", fixture.title, scene.story());
        fixture.has_the_edit(&scene);
    });
}

#[test]
fn a_deleted_rollout_leaves_the_objects_of_every_router_as_they_were() {
    each(async |fixture| {
        let scene = fixture.at_a_fifth().await;
        scene.delete("rollouts", "web");
        let what = format!("{}: the Rollout is gone", fixture.title);
        scene.until(&what, PATIENCE, |scene| scene.get("rollouts", "web").is_none()).await;
        for (plural, object) in &fixture.objects {
            let now = scene.get(plural, text(object, "/metadata/name")).unwrap();
            assert_eq!(now["spec"].to_string(), object["spec"].to_string(), "{}", fixture.title);
        }
        fixture.is_as_before(&scene);
    });
}

#[test]
fn what_a_router_cannot_do_is_refused_before_anything_is_written() {
    each(async |fixture| {
        let mut scene = fixture.open_with(&fixture.cannot.entry, fixture.cannot.strategy.clone());
        scene.start_alone();
        let says = |scene: &Scene| scene.status("web", "/message").contains(fixture.cannot.because);
        scene.until(&format!("{}: {}", fixture.title, fixture.cannot.because), PATIENCE, says).await;
        scene.pass(REST).await;
        for key in fixture.written() {
            assert_eq!(written(&scene, &key), 0, "{}: {key}\n{}", fixture.title, scene.story());
        }
        assert_eq!(scene.count("replicasets"), 0, "{}: it has no pods either", fixture.title);
        fixture.is_as_before(&scene);
    });
}

/// Runs a part of the contract for each router, in a world of its own.
fn each(contract: impl AsyncFn(&Fixture)) {
    for fixture in fixtures() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(contract(&fixture));
    }
}

/// How often controllers have written, or removed, an object.
fn written(scene: &Scene, key: &Key) -> u64 {
    let removed = format!(" delete {key} 200");
    let removals = scene.cluster.with(|c| c.told.iter().filter(|line| line.ends_with(&removed)).count());
    scene.cluster.with(|c| c.checks.writes_of(key)) + u64::try_from(removals).unwrap()
}

impl Fixture {
    /// A cluster with the Rollout, its route objects, and what takes them over.
    fn open(&self, steps: Value) -> Scene {
        let mut steps = steps;
        if let (Some(first), Some(steps)) = (&self.first_step, steps.as_array_mut()) {
            steps.insert(0, first.clone());
        }
        self.open_with(&self.entry, json!({"canary": {"steps": steps}}))
    }

    fn open_with(&self, entry: &Value, strategy: Value) -> Scene {
        let mut set = canary_by("web", 10, strategy, entry);
        json_patch::merge(&mut set.objects[0].2, &json!({"spec": self.more}));
        let named = |object: &Value| text(object, "/metadata/name").to_owned();
        set.objects.extend(self.objects.iter().map(|(plural, object)| (*plural, named(object), object.clone())));
        let scene = Scene::new(1, vec![set]);
        if let Some(takes_over) = self.takes_over {
            let cluster = Arc::clone(&scene.cluster);
            tokio::spawn(async move {
                loop {
                    cluster.edit(takes_over);
                    sleep(Duration::from_millis(500)).await;
                }
            });
        }
        scene
    }

    /// Waits for an operator with a fifth of the requests at the canary.
    async fn at_a_fifth(&self) -> Scene {
        let mut scene = self.open(json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]));
        scene.start_alone();
        scene.until_healthy("web", FIRST).await;
        scene.deploy("web", SECOND);
        let what = format!("{}: it waits at 20 %", self.title);
        scene.until(&what, PATIENCE, |scene| scene.phase("web") == "Paused" && self.share(scene) == 2_000).await;
        scene
    }

    /// Waits for an operator with half of the users at the canary, of whom some came when it was a fifth.
    async fn at_half_with_users_who_stay(&self) -> Scene {
        let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]);
        let strategy = json!({"canary": {"sticky": {"cookie": "release"}, "steps": steps}});
        let mut scene = self.open_with(&self.entry, strategy);
        scene.start_alone();
        scene.until_healthy("web", FIRST).await;
        scene.deploy("web", SECOND);
        let key = self.place.key();
        let waits_with = |scene: &Scene, cookie: &str| {
            let object = scene.get(key.plural, &key.name).map(|object| object.to_string());
            scene.phase("web") == "Paused" && object.is_some_and(|object| object.contains(cookie))
        };
        let what = format!("{}: it waits at 20 %", self.title);
        scene.until(&what, PATIENCE, |scene| waits_with(scene, ".stable-2000;")).await;
        scene.command("web", "promote");
        let what = format!("{}: it waits at 50 %", self.title);
        scene.until(&what, PATIENCE, |scene| waits_with(scene, ".stable-5000;")).await;
        scene
    }

    fn share(&self, scene: &Scene) -> u64 {
        scene.cluster.with(|c| self.place.share(&c.store))
    }

    async fn until_share(&self, scene: &Scene, share: u64) {
        let what = format!("{}: the canary has {share} of 10,000", self.title);
        scene.until(&what, PATIENCE, |scene| self.share(scene) == share).await;
    }

    /// All that is written, by key.
    fn written(&self) -> Vec<Key> {
        let own = self.objects.iter().map(|(plural, object)| Key::shop(plural, text(object, "/metadata/name")));
        let mut all: Vec<Key> = own.collect();
        if !all.contains(&self.place.key()) {
            all.push(self.place.key());
        }
        all
    }

    /// Another tool sets what Glidepath does not know, in the object that has the weights.
    fn edit_by_others(&self, scene: &Scene) {
        scene.cluster.patch_as("other-tool", &self.place.key(), &self.edit);
    }

    /// It is there, whole, and nothing else of the objects has changed.
    fn has_the_edit(&self, scene: &Scene) {
        let key = self.place.key();
        let now = scene.get(key.plural, &key.name).unwrap();
        let mut wanted = (*now).clone();
        json_patch::merge(&mut wanted, &self.edit);
        assert_eq!(wanted, *now, "{}: what another wrote stays", self.title);
        let owned = self
            .objects
            .iter()
            .find(|(plural, object)| *plural == key.plural && object["metadata"]["name"] == key.name);
        if let Some((_, object)) = owned {
            let mut object = object.clone();
            json_patch::merge(&mut object, &self.edit);
            assert_eq!(self.place.foreign(&now), self.place.foreign(&object), "{}", self.title);
        }
    }

    /// But for the two weights everything is as its owner wrote it, and nothing of ours is left.
    fn is_as_before(&self, scene: &Scene) {
        for (plural, object) in &self.objects {
            let now = scene.get(plural, text(object, "/metadata/name")).unwrap();
            assert_eq!(self.place.foreign(&now), self.place.foreign(object), "{}", self.title);
        }
        let kinds = self.written().into_iter().map(|key| key.plural);
        for plural in kinds.chain(self.ours.iter().copied()) {
            let left = scene.count(plural);
            let wanted = self.objects.iter().filter(|(kind, _)| *kind == plural).count();
            assert_eq!(left, wanted, "{}: so many {plural} are left", self.title);
        }
    }
}
