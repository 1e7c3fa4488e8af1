//! Policies driven from apply to in force, held, reverted and in waves, in a world of objects in memory; and a controller that
//! dies after any write.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{MeshPolicy, policy::Phase},
    mesh::{
        Facts, MeshPlan, MeshWrite, POLICY_LABEL,
        change::Command,
        check::{Caller, Identity},
        facts::Account,
        mesh,
    },
    router::Objects,
    yaml,
};

/// A namespace with as many workloads, each with a Service of its name, and a policy.
struct World {
    facts: Facts,
    objects: Objects,
    policy: Option<MeshPolicy>,
    specs: Specs,
    now: Timestamp,
    /// Who calls which Service, and who is denied since the change.
    metrics: Result<Metrics, String>,
    releasing: Option<String>,
    command: Option<Command>,
    /// How many writes are left before the controller dies.
    lives: Option<usize>,
    writes: usize,
}

impl World {
    fn new(workloads: usize) -> Self {
        let mut facts = Facts::default();
        for number in 0..workloads {
            let name = format!("app{number:02}");
            let labels = json!({"app": name});
            facts.add(&json!({"kind": "Service", "metadata": {"namespace": "shop", "name": name},
                "spec": {"selector": labels, "ports": [{"port": 80, "name": "http"}]}}));
            facts.add(&json!({"kind": "Deployment", "metadata": {"namespace": "shop", "name": name},
                "spec": {"template": {"metadata": {"labels": labels}, "spec": {"serviceAccountName": name}}}}));
        }
        World {
            facts,
            objects: Objects::default(),
            policy: None,
            specs: Specs::new(),
            now: Timestamp::from_second(1_700_000_000).unwrap(),
            metrics: Ok(Metrics::default()),
            releasing: None,
            command: None,
            lives: None,
            writes: 0,
        }
    }

    fn apply(&mut self, spec: Value) {
        let object = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "MeshPolicy",
            "metadata": {"namespace": "shop", "name": "p"}, "spec": spec});
        let mut policy: MeshPolicy = yaml::typed(&object).unwrap();
        let before = self.policy.take();
        policy.metadata.generation = Some(before.as_ref().and_then(|one| one.metadata.generation).unwrap_or(0) + 1);
        policy.status = before.and_then(|policy| policy.status);
        self.policy = Some(policy);
    }

    /// `calls`: the Service, the account, whether it uses mutual TLS, how many requests.
    fn calls(&mut self, calls: &[(&str, &str, bool, f64)]) {
        self.metrics = Ok(Metrics { before: seen(calls), ..Metrics::default() });
    }

    fn denies(&mut self, calls: &[(&str, &str, bool, f64)]) {
        let before = self.metrics.as_ref().unwrap().before.clone();
        self.metrics = Ok(Metrics { before, denied: seen(calls) });
    }

    /// One look, with everything that follows at once. `false`: the controller died.
    fn look(&mut self) -> bool {
        for _ in 0..20 {
            let policy = self.policy.clone().unwrap();
            let kind = Ok(mesh("istio").unwrap());
            let mut seen = Seen {
                now: self.now,
                policy: &policy,
                kind,
                specs: &self.specs,
                facts: &self.facts,
                objects: &self.objects,
                metrics: None,
                releasing: self.releasing.as_deref(),
                failure: None,
                command: self.command,
            };
            let mut look = look(&seen);
            if look.ask.is_some() {
                seen.metrics = Some(self.metrics.as_ref().map_err(String::as_str));
                look = super::look(&seen);
            }
            let Look { status, writes, command, .. } = look;
            if command.is_some() {
                self.command = None;
            }
            let recorded = policy.status.as_ref() != Some(&status);
            if !writes.is_empty() {
                self.specs.insert(spec_id(&policy.spec), policy.spec.clone());
            }
            if recorded {
                if !self.lives() {
                    return false;
                }
                self.policy.as_mut().unwrap().status = Some(status);
                continue;
            }
            if writes.is_empty() {
                return true;
            }
            for write in writes {
                if !self.lives() {
                    return false;
                }
                self.write(write);
            }
        }
        panic!("it never comes to rest: {:?}", self.policy.as_ref().unwrap().status);
    }

    fn lives(&mut self) -> bool {
        self.writes += 1;
        match &mut self.lives {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => true,
        }
    }

    fn write(&mut self, write: MeshWrite) {
        if let MeshWrite::Own(object) = write {
            return self.objects.insert(object);
        }
        self.objects = MeshPlan { writes: vec![write], ..MeshPlan::default() }.after(&self.objects);
    }

    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds.div_euclid(5).max(1) {
            self.now = self.now.saturating_add(SignedDuration::from_secs(5)).unwrap();
            assert!(self.look());
        }
    }

    fn phase(&self) -> Phase {
        self.policy.as_ref().unwrap().status.as_ref().unwrap().phase.unwrap()
    }

    fn message(&self) -> &str {
        &self.policy.as_ref().unwrap().status.as_ref().unwrap().message
    }

    /// Names of objects of a kind.
    fn names(&self, kind: &str) -> Vec<String> {
        let group = if kind == "DestinationRule" { "networking.istio.io" } else { "security.istio.io" };
        let objects = self.objects.of_kind((group, kind), "shop");
        objects.map(|object| object["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

fn seen(calls: &[(&str, &str, bool, f64)]) -> Vec<ServiceCallers> {
    let mut found: BTreeMap<String, Vec<Caller>> = BTreeMap::new();
    for (service, account, is_mutual, count) in calls {
        let account = Account { namespace: "shop".into(), name: (*account).to_owned() };
        found.entry((*service).to_owned()).or_default().push(Caller {
            workload: format!("shop/{}", account.name),
            identity: is_mutual.then(|| Identity { trust_domain: "cluster.local".into(), account }),
            is_mutual: *is_mutual,
            address: None,
            port: None,
            is_http: true,
            count: *count,
            last_seen: None,
        });
    }
    found.into_iter().map(|(service, callers)| ServiceCallers { service: ("shop".into(), service), callers }).collect()
}

fn allow(callers: &[&str]) -> Value {
    let from: Vec<Value> = callers.iter().map(|name| json!({"service": name})).collect();
    json!({"target": {"service": "app00"}, "mesh": "istio", "authorization": {"allow": [{"from": from}]},
        "change": {"bake": "60s"}})
}

#[test]
fn a_policy_that_cuts_no_caller_is_written_watched_and_in_force() {
    let mut world = World::new(3);
    world.calls(&[("app00", "app01", true, 100.0)]);
    world.apply(allow(&["app01"]));
    assert!(world.look());
    assert_eq!((world.phase(), world.names("AuthorizationPolicy")), (Phase::Baking, vec!["p-allow".to_owned()]));
    world.pass(60);
    assert_eq!((world.phase(), world.message()), (Phase::Active, "in force"));
    let writes = world.writes;
    world.pass(600);
    assert_eq!(world.writes, writes, "at rest nothing is written");
}

#[test]
fn p1_a_caller_that_would_be_cut_holds_the_change_and_nothing_is_written() {
    let mut world = World::new(3);
    world.calls(&[("app00", "app01", true, 100.0), ("app00", "app02", true, 7.0)]);
    world.apply(allow(&["app01"]));
    world.pass(30);
    assert_eq!((world.phase(), world.names("AuthorizationPolicy")), (Phase::Held, Vec::new()));
    assert!(world.message().contains("shop/app02 as ServiceAccount shop/app02"), "{}", world.message());
    let callers = &world.policy.as_ref().unwrap().status.as_ref().unwrap().callers;
    assert_eq!((callers.len(), callers[0].count), (1, 7));
    world.apply(allow(&["app01", "app02"]));
    world.pass(70);
    assert_eq!(world.phase(), Phase::Active, "{}", world.message());
}

#[test]
fn p1_without_metrics_it_is_held_and_says_why() {
    let mut world = World::new(2);
    world.metrics = Err("no response from Prometheus within 30 s".to_owned());
    world.apply(allow(&["app01"]));
    assert!(world.look());
    assert_eq!(world.phase(), Phase::Held);
    assert!(world.message().contains("no response from Prometheus"), "{}", world.message());
    world.command = Some(Command::Promote);
    world.pass(70);
    assert_eq!(world.phase(), Phase::Active, "an operator has decided");
}

#[test]
fn p5_a_caller_that_is_denied_brings_the_former_policy_back() {
    let mut world = World::new(3);
    world.calls(&[("app00", "app01", true, 100.0), ("app00", "app02", true, 7.0)]);
    world.apply(allow(&["app01", "app02"]));
    world.pass(70);
    let before = world.objects.clone();
    world.apply(allow(&["app01"]));
    world.pass(5);
    assert_eq!(world.phase(), Phase::Held);
    world.command = Some(Command::Promote);
    world.pass(5);
    assert_eq!(world.phase(), Phase::Baking);
    world.denies(&[("app00", "app02", true, 2.0)]);
    world.pass(5);
    assert_eq!(world.phase(), Phase::Baking, "two denials are not three");
    world.denies(&[("app00", "app02", true, 3.0)]);
    world.pass(5);
    assert_eq!((world.phase(), &world.objects), (Phase::Reverted, &before));
    assert!(world.message().contains("was denied 3 requests to Service app00"), "{}", world.message());
    world.pass(600);
    assert_eq!(world.phase(), Phase::Reverted, "it is not tried again by itself");
}

#[test]
fn p4_waves_go_from_workload_to_workload_and_end_with_one_wide_object() {
    let mut world = World::new(4);
    world.calls(&[("app00", "app01", true, 100.0)]);
    world.apply(json!({"target": {"namespace": true}, "mesh": "istio", "mtls": {"mode": "Strict"},
        "change": {"waves": [1, "50%"], "bake": "60s"}}));
    assert!(world.look());
    assert_eq!((world.phase(), world.names("PeerAuthentication").len()), (Phase::Baking, 1));
    world.pass(60);
    assert_eq!((world.phase(), world.names("PeerAuthentication").len()), (Phase::Baking, 2));
    world.pass(60);
    assert_eq!((world.phase(), world.names("PeerAuthentication")), (Phase::Baking, vec!["p-mtls".to_owned()]));
    world.pass(60);
    assert_eq!((world.phase(), world.message()), (Phase::Active, "in force"));
}

#[test]
fn an_abort_between_two_waves_leaves_nothing_behind() {
    let mut world = World::new(4);
    world.calls(&[("app00", "app01", true, 100.0)]);
    world.apply(json!({"target": {"namespace": true}, "mesh": "istio", "mtls": {"mode": "Strict"},
        "change": {"waves": [1, "50%"], "bake": "60s"}}));
    world.pass(60);
    world.command = Some(Command::Abort);
    world.pass(5);
    assert_eq!((world.phase(), world.objects.clone()), (Phase::Reverted, Objects::default()));
}

#[test]
fn f4_no_change_begins_while_the_targets_rollout_progresses() {
    let mut world = World::new(2);
    world.calls(&[("app00", "app01", true, 100.0)]);
    world.releasing = Some("shop/app00".to_owned());
    world.apply(allow(&["app01"]));
    world.pass(30);
    assert_eq!((world.phase(), world.objects.clone()), (Phase::Checking, Objects::default()));
    assert!(world.message().contains("Rollout shop/app00"), "{}", world.message());
    world.releasing = None;
    world.pass(5);
    assert_eq!(world.phase(), Phase::Baking);
}

#[test]
fn what_the_mesh_cannot_do_is_refused_by_field_and_what_was_in_force_stays() {
    let mut world = World::new(2);
    world.calls(&[("app00", "app01", true, 100.0)]);
    world.apply(allow(&["app01"]));
    world.pass(70);
    let before = world.objects.clone();
    let mut wrong = allow(&["nowhere"]);
    wrong["rateLimit"] = json!({"requests": 1, "per": "1s", "perClient": 1});
    world.apply(wrong);
    world.pass(5);
    assert_eq!((world.phase(), &world.objects), (Phase::Refused, &before));
    assert!(world.message().contains("spec.rateLimit.perClient"), "{}", world.message());
}

#[test]
fn a_service_that_no_one_calls_is_in_no_ones_way() {
    let mut world = World::new(3);
    world.metrics = Ok(Metrics {
        before: [
            seen(&[("app00", "app01", true, 5.0)]),
            vec![ServiceCallers { service: ("shop".into(), "app02".into()), callers: Vec::new() }],
        ]
        .concat(),
        ..Metrics::default()
    });
    world.apply(json!({"target": {"namespace": true}, "mesh": "istio", "mtls": {"mode": "Strict"}}));
    assert!(world.look());
    assert_eq!(world.phase(), Phase::Baking, "{}", world.message());
    let mut world = World::new(3);
    world.apply(json!({"target": {"namespace": true}, "mesh": "istio", "mtls": {"mode": "Strict"}}));
    assert!(world.look());
    assert_eq!(world.phase(), Phase::Held, "no caller of any Service: {}", world.message());
}

#[test]
fn an_object_that_someone_edits_is_written_back() {
    let mut world = World::new(2);
    world.calls(&[("app00", "app01", true, 100.0)]);
    world.apply(allow(&["app01"]));
    world.pass(70);
    let before = world.objects.clone();
    let mut edited =
        world.objects.of_kind(("security.istio.io", "AuthorizationPolicy"), "shop").next().unwrap().clone();
    assert_eq!(edited["metadata"]["labels"][POLICY_LABEL], "p");
    edited["spec"]["rules"] = json!([{}]);
    world.objects.insert(edited);
    world.pass(5);
    assert_eq!((world.phase(), &world.objects), (Phase::Active, &before));
}

/// What a random history does between two looks.
#[derive(Clone, Debug)]
enum Event {
    Apply(usize),
    Pass(i64),
    Command(Command),
    Denied(bool),
    Metrics(bool),
    Releasing(bool),
    Dies(usize),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..SPECS.len()).prop_map(Event::Apply),
        (1..20_i64).prop_map(|times| Event::Pass(times * 5)),
        prop_oneof![Just(Command::Promote), Just(Command::Abort), Just(Command::Retry)].prop_map(Event::Command),
        any::<bool>().prop_map(Event::Denied),
        any::<bool>().prop_map(Event::Metrics),
        any::<bool>().prop_map(Event::Releasing),
        (0..6_usize).prop_map(Event::Dies),
    ]
}

const SPECS: [fn() -> Value; 5] = [
    || allow(&["app01"]),
    || allow(&["app01", "app02"]),
    || {
        json!({"target": {"namespace": true}, "mesh": "istio", "mtls": {"mode": "Strict"},
        "change": {"waves": [1, "50%"], "bake": "30s"}})
    },
    || {
        json!({"target": {"service": "app00"}, "mesh": "istio", "connections": {"maxConnections": 9},
        "change": {"now": true}})
    },
    || json!({"target": {"service": "nowhere"}, "mesh": "istio", "mtls": {"mode": "Strict"}}),
];

fn happens(world: &mut World, event: &Event) {
    match event {
        Event::Apply(spec) => world.apply(SPECS[*spec]()),
        Event::Pass(seconds) => world.now = world.now.saturating_add(SignedDuration::from_secs(*seconds)).unwrap(),
        Event::Command(command) => world.command = Some(*command),
        Event::Denied(denied) => {
            if world.metrics.is_err() {
                return;
            }
            world.denies(if *denied { &[("app00", "app02", true, 5.0)] } else { &[] });
        }
        Event::Metrics(there) => match there {
            true => world.calls(&[("app00", "app01", true, 9.0), ("app00", "app02", true, 7.0)]),
            false => world.metrics = Err("none".to_owned()),
        },
        Event::Releasing(progresses) => world.releasing = progresses.then(|| "shop/app00".to_owned()),
        Event::Dies(after) => world.lives = Some(*after),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever happens, and wherever a controller dies: the objects end as the record says, and a policy that comes to rest
    /// says what is there.
    #[test]
    fn every_history_ends_with_what_the_record_says(events in prop::collection::vec(event(), 1..25)) {
        let mut world = World::new(4);
        world.calls(&[("app00", "app01", true, 9.0), ("app00", "app02", true, 7.0)]);
        world.apply(SPECS[0]());
        for event in &events {
            happens(&mut world, event);
            if !world.look() {
                // Another controller follows, which has the records and the objects and nothing else.
                world.lives = None;
                prop_assert!(world.look());
            }
            let status = world.policy.clone().unwrap().status.unwrap();
            let in_force = status.in_force.as_ref().map(|id| world.specs.get(id).cloned());
            prop_assert!(in_force.as_ref().is_none_or(Option::is_some), "the spec in force is on record");
            if matches!(status.phase, Some(Phase::Active | Phase::Reverted)) {
                let mut twin = World::new(4);
                twin.calls(&[("app00", "app01", true, 9.0), ("app00", "app02", true, 7.0)]);
                if let Some(Some(spec)) = in_force {
                    twin.apply(serde_json::to_value(&spec).unwrap());
                    twin.look();
                    while twin.phase() != Phase::Active {
                        twin.command = Some(Command::Promote);
                        twin.pass(5);
                    }
                }
                prop_assert_eq!(&world.objects, &twin.objects, "as if nothing else had ever been there");
            }
        }
    }
}
