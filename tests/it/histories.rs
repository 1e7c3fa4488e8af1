//! Random histories in the whole simulated cluster: versions, commands, edits and faults at any moment, through the
//! production tick and judges. Every invariant holds after every tick, and once the faults are over the rollout comes
//! to rest or waits for an operator by name (I10). A failure prints the shrunk scenario.

use glidepath::{
    api::{
        Rollout,
        analysis::AnalysisTemplateSpec,
        reason::Reason,
        status::{Course, Phase, RevisionRef},
        validate::{self, Severity},
    },
    sim::{
        Player, Setting,
        cluster::SimCluster,
        instant,
        scenario::{Entry, Scenario},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::soak::Soak;

const HOUR: i64 = 3_600_000;
/// The last fault ends so many seconds after the start at the latest.
const FAULTS_OVER: i64 = 400;
/// The version whose pods never come up.
const NEVER_READY: &str = "shop:3";

static SOAK: Soak = Soak::new("cluster", "GLIDEPATH_CLUSTER_HISTORIES", 400);

fn step() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (0u32..=100).prop_map(|weight| json!({"setWeight": weight})),
        2 => proptest::option::of(1u32..60).prop_map(|seconds| match seconds {
            Some(seconds) => json!({"pause": {"duration": format!("{seconds}s")}}),
            None => json!({"pause": {}}),
        }),
        2 => (10u32..60).prop_map(|seconds| json!({"observe": {"atLeast": "5s", "atMost": format!("{seconds}s")}})),
        1 => (1u32..5).prop_map(|replicas| json!({"setCanaryScale": {"replicas": replicas}})),
        1 => any::<bool>().prop_map(|there| {
            let matches = if there { json!([{"header": {"name": "x-tester", "exact": "yes"}}]) } else { json!([]) };
            json!({"setHeaderRoute": {"name": "testers", "match": matches}})
        }),
        1 => (0u32..=100).prop_map(|percent| json!({"setMirrorRoute": {"percent": percent}})),
        1 => (1u32..30, 30u32..100, 5u32..40)
            .prop_map(|(from, to, by)| json!({"ramp": {"from": from, "to": to, "by": by, "every": "5s"}})),
        1 => (prop_oneof!["yes", "no", "late", "person"], 5u32..200, prop_oneof!["Hold", "Abort", "Promote"])
            .prop_map(|(name, seconds, then)| gate(&name, seconds, &then)),
    ]
}

/// A gate that opens or shuts at once, one that answers with errors first, or an operator's.
fn gate(name: &str, seconds: u32, then: &str) -> Value {
    let mut gate = json!({"name": name, "timeout": format!("{seconds}s"), "onTimeout": then});
    match name {
        "person" => gate["approval"] = json!(true),
        _ => gate["url"] = json!(format!("https://{name}.example.com")),
    }
    json!({"gate": gate})
}

/// Something that happens, and how long after what happened before.
fn deed() -> impl Strategy<Value = (i64, Value)> {
    let verb = prop_oneof!["promote", "abort", "pause", "resume", "retry", "undo", "restart"];
    let what = prop_oneof![
        4 => (1u32..5).prop_map(|n| json!({"deploy": {"image": format!("shop:{n}")}})),
        3 => (verb, any::<bool>()).prop_map(|(verb, full)| json!({"command": {"verb": verb, "full": full}})),
        1 => (0u32..8).prop_map(|replicas| json!({"scale": replicas})),
        1 => any::<bool>().prop_map(|paused| json!({"patch": {"spec": {"paused": paused}}})),
        1 => (prop_oneof!["canaryMetadata", "stableMetadata"], 0u32..3)
            .prop_map(|(field, n)| json!({"patch": {"spec": {field: metadata(n)}}})),
        1 => proptest::collection::vec(step(), 0..4)
            .prop_map(|steps| json!({"patch": {"spec": {"strategy": {"canary": {"steps": steps}}}}})),
    ];
    ((0i64..60_000), what)
}

/// What pods carry for a role; 0 is nothing.
fn metadata(number: u32) -> Value {
    if number == 0 { Value::Null } else { json!({"labels": {"role": format!("role-{number}")}}) }
}

fn fault() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        "apiConflict",
        "apiTimeout",
        "lostResponse",
        "staleCache",
        "watchGap",
        "controllerRestart",
        "leaderChange",
        "prometheusDown",
        "prometheusSlow",
        "routeDrift",
        "routerLag",
        "podCrash",
        "oomKill",
        "containerRestart",
    ];
    (kind, 0i64..300, 1i64..100, 1u32..=10).prop_map(|(kind, at, lasts, tenths)| {
        let probability = f64::from(tenths) / 10.0;
        json!({"at": format!("{at}s"), "for": format!("{lasts}s"), "kind": kind, "probability": probability})
    })
}

/// How the Rollout is made.
#[derive(Clone, Copy, Debug)]
struct Shape {
    mesh: bool,
    analysed: bool,
    hold: bool,
    blue_green: bool,
    dynamic: bool,
    adopted: bool,
    replicas: u32,
    sizes: Sizes,
}

/// What the file says of pods, and how long things settle.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    preview: Option<u32>,
    mirrored: Option<u32>,
    max_unavailable: Option<u32>,
    min_pods: Option<u32>,
    /// The file leaves `replicas` out.
    absent: bool,
    /// Things settle for longer than the deadline of a wait.
    slow: bool,
}

fn sizes() -> impl Strategy<Value = Sizes> {
    let some = proptest::option::of::<std::ops::Range<u32>>;
    let rare = |chance: f64| proptest::bool::weighted(chance);
    (some(1..10), some(1..100), some(0..4), some(1..4), rare(0.1), rare(0.15)).prop_map(
        |(preview, mirrored, max_unavailable, min_pods, absent, slow)| Sizes {
            preview,
            mirrored,
            max_unavailable,
            min_pods,
            absent,
            slow,
        },
    )
}

fn shape() -> impl Strategy<Value = Shape> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (flags, 1u32..8, sizes()).prop_map(|((mesh, analysed, hold, blue_green, dynamic, adopted), replicas, sizes)| {
        Shape {
            mesh,
            analysed,
            hold,
            blue_green: blue_green && dynamic,
            dynamic: dynamic && mesh && !blue_green,
            adopted: adopted && analysed,
            replicas,
            sizes,
        }
    })
}

/// A step that the file may have: without an analysis there is nothing to observe, and without a mesh no route.
fn playable(step: &Value, shape: Shape) -> Value {
    let needs_mesh = ["setHeaderRoute", "setMirrorRoute", "setCanaryScale"].iter().any(|key| step.get(*key).is_some());
    // Rule S15: a scale of its own excludes dynamic stable scale; together they break I7.
    let excluded = shape.dynamic && step.get("setCanaryScale").is_some();
    let refused = !shape.analysed && step.get("observe").is_some() || !shape.mesh && needs_mesh || excluded;
    if refused { json!({"pause": {"duration": "10s"}}) } else { step.clone() }
}

fn playable_deed(mut deed: Value, shape: Shape) -> Value {
    if let Some(Value::Array(steps)) = deed.pointer_mut("/patch/spec/strategy/canary/steps") {
        if shape.blue_green {
            return json!({"scale": steps.len()});
        }
        steps.iter_mut().for_each(|step| *step = playable(step, shape));
    }
    deed
}

fn strategy(shape: Shape, steps: &[Value]) -> Value {
    if !shape.blue_green {
        let steps: Vec<Value> = steps.iter().map(|step| playable(step, shape)).collect();
        let min_pods = shape.sizes.min_pods.filter(|_| shape.mesh);
        return json!({"canary": {
            "steps": steps, "dynamicStableScale": shape.dynamic,
            "maxUnavailable": shape.sizes.max_unavailable, "minPodsPerRevision": min_pods,
        }});
    }
    let mut blue_green = json!({"autoPromotion": {"enabled": shape.hold}, "previewReplicas": shape.sizes.preview});
    if shape.mesh {
        blue_green["previewMirror"] = json!(shape.sizes.mirrored.map(|percent| json!({"percent": percent})));
    } else {
        blue_green["activeService"] = json!("shop");
        blue_green["previewService"] = json!("shop-preview");
    }
    if shape.analysed {
        blue_green["postPromotionAnalysis"] = json!({"templates": [{"name": "shop-errors"}], "atMost": "30s"});
    }
    json!({"blueGreen": blue_green})
}

fn rollout(shape: Shape, steps: &[Value]) -> Rollout {
    let mut spec = json!({
        "replicas": shape.replicas,
        "settle": if shape.sizes.slow { "70s" } else { "1s" },
        "scaleDownDelay": "5s", "abortScaleDownDelay": "5s", "progressDeadline": "1m",
        "strategy": strategy(shape, steps), "rollbackWindow": {"revisions": 2},
    });
    if shape.sizes.absent {
        spec["replicas"] = Value::Null; // the Deployment's, else 1 (S8)
    }
    if shape.adopted {
        spec["workloadRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"});
    } else {
        spec["selector"] = json!({"matchLabels": {"app": "shop"}});
        spec["template"] = pods();
    }
    if shape.mesh {
        spec["services"] = json!({"root": "shop"});
        spec["traffic"] = json!([{"istio": {"virtualServices": [{"name": "shop"}]}}]);
    }
    if shape.analysed && !shape.blue_green {
        spec["analysis"] = json!({"templates": [{"name": "shop-errors"}]});
    }
    if shape.hold {
        spec["onFailure"] = json!("Hold");
    }
    serde_json::from_value(json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"}, "spec": spec,
    }))
    .unwrap()
}

fn pods() -> Value {
    json!({"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "app", "image": "shop:1"}]}})
}

fn template() -> AnalysisTemplateSpec {
    serde_json::from_value(json!({
        "metrics": [{"name": "errors", "ratio": {"bad": {"builtin": "errors"}, "total": {"builtin": "requests"}}}],
        "settings": {"window": "2s", "warmUp": "2s", "bake": {"duration": "5s", "requests": 50}, "noDataTimeout": "20s", "phi": 1},
    }))
    .unwrap()
}

fn rests(cluster: &SimCluster) -> bool {
    let status = cluster.status();
    let failed_first = status.course() == Course::FirstDeploy && status.phase == Some(Phase::Degraded);
    let asleep = cluster.rollout.as_ref().is_none_or(|rollout| rollout.spec.replicas == Some(0));
    let invalid = status.reason == Reason::InvalidSpec; // a user must fix the spec
    invalid
        || matches!(status.course(), Course::Idle | Course::Aborted)
        || status.phase == Some(Phase::Paused)
        || failed_first
        || asleep
}

/// Every pod carries what the file says for its revision's role, and those of no role carry nothing.
fn carry_their_roles(cluster: &SimCluster) -> bool {
    let Some(rollout) = cluster.rollout.as_ref().filter(|_| cluster.status().reason != Reason::InvalidSpec) else {
        return true;
    };
    let status = cluster.status();
    let is = |revision: &Option<RevisionRef>, id: &str| revision.as_ref().is_some_and(|revision| revision.id == id);
    cluster.sets.iter().all(|set| {
        let first = status.stable_revision.is_none() && is(&status.current_revision, &set.id);
        let wanted = match (first || is(&status.stable_revision, &set.id), is(&status.current_revision, &set.id)) {
            (true, _) => rollout.spec.stable_metadata.clone(),
            (false, true) => rollout.spec.canary_metadata.clone(),
            (false, false) => None,
        };
        set.metadata == wanted.unwrap_or_default() && set.pods.iter().all(|pod| pod.metadata == set.metadata)
    })
}

/// Whether `lint` has nothing against the file.
fn is_valid(cluster: &SimCluster) -> bool {
    let errors =
        |rollout: &Rollout| validate::rollout(&rollout.spec).iter().any(|finding| finding.severity == Severity::Error);
    !cluster.rollout.as_ref().is_some_and(errors)
}

/// Releases that missed the deadline though they began after the faults and their version's pods come up.
fn late_without_reason(cluster: &SimCluster) -> Vec<String> {
    let faults_over = instant((FAULTS_OVER + 10) * 1000);
    let history = cluster.status().history;
    let late = history.iter().filter(|entry| {
        let comes_up = entry.images.iter().all(|image| image != NEVER_READY);
        entry.started_at > faults_over && comes_up && entry.reason.contains("no progress for")
    });
    late.map(|entry| format!("{:?}: {}", entry.images, entry.reason)).collect()
}

fn play(setting: &Setting, deeds: &[(i64, Value)]) -> Result<(), String> {
    let mut player = Player::new(setting, None).unwrap();
    let mut history = || {
        for (wait, what) in deeds {
            player.pass_to(player.now() + wait)?;
            let valid = is_valid(&player.cluster());
            player.act(&serde_json::from_value::<Entry>(what.clone()).unwrap())?;
            if what.get("scale").is_some() && valid && !is_valid(&player.cluster()) {
                return Err(player.failure("S8", "a valid file to stay valid when it is scaled", Vec::new()));
            }
        }
        player.pass_to(player.now().max(FAULTS_OVER * 1000))?;
        player.act(&serde_json::from_value(json!({"patch": {"spec": {"paused": false}}})).unwrap())?;
        let came = player.play_until(24 * HOUR, rests)?;
        let stuck = || player.failure("I10", "to come to rest", Vec::new());
        if !came {
            return Err(stuck());
        }
        if !player.play_until(HOUR, carry_their_roles)? {
            return Err(player.failure("I10", "to carry what its roles have", Vec::new()));
        }
        let late = late_without_reason(&player.cluster());
        if late.is_empty() { Ok(()) } else { Err(player.failure("S38", "no deadline to be missed", late)) }
    };
    let ended: Result<(), _> = history();
    let story = player.finish();
    SOAK.count(story.ticks, story.end.unsigned_abs() / 1000);
    ended.map_err(|failure| format!("{} at {} ms: {:?}; {}", failure.wanted, failure.at, failure.seen, failure.place))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: SOAK.histories(), failure_persistence: None, max_shrink_iters: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold_and_it_comes_to_rest(
        shape in shape(), seed in any::<u32>(),
        scaled in proptest::bool::weighted(0.2), users in proptest::option::weighted(0.3, 10u32..1000),
        steps in proptest::collection::vec(step(), 0..5), deeds in proptest::collection::vec(deed(), 1..12),
        faults in proptest::collection::vec(fault(), 0..5),
    ) {
        let world = json!({"world": {
            "seed": seed, "faults": faults, "hpa": scaled.then(|| json!({"min": 1, "max": 12, "rpsPerPod": 15})),
            "traffic": {"rps": 100, "users": users, "headers": [{"share": "5%", "set": {"x-tester": "yes"}}]},
            "gates": {
                "yes": [{"at": "0s", "status": 200}], "no": [{"at": "0s", "status": 200, "body": {"allow": false}}],
                "late": [{"at": "0s", "status": 503}, {"at": "150s", "status": 204}],
            },
            "versions": {"shop:2": {"errorRate": "10%"}, "shop:3": {"ready": "never"}, "shop:4": {"ready": "8s"}},
        }});
        let scenario: Scenario = serde_json::from_value(world).unwrap();
        let templates = [("shop-errors".to_owned(), template())].into();
        let rollout = Some(rollout(shape, &steps));
        let deployment = shape.adopted.then(|| (pods(), shape.replicas));
        let setting = Setting { scenario, rollout, deployment, templates, ..Setting::default() };
        let deeds: Vec<_> = deeds.into_iter().map(|(wait, deed)| (wait, playable_deed(deed, shape))).collect();
        if let Err(why) = play(&setting, &deeds) {
            return Err(TestCaseError::fail(why));
        }
    }
}
