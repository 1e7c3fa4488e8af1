//! `glidepath plan` against the engine: what it says of pods is what a release has when it is played.

use assert_cmd::Command;
use glidepath::{
    api::{Rollout, status::Phase},
    engine::peak::Release,
    sim::{
        Player, Setting,
        cluster::SimCluster,
        scenario::{Entry, Scenario},
    },
};
use proptest::prelude::*;
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000;

fn entry(value: Value) -> Entry {
    serde_json::from_value(value).unwrap()
}

fn pods(cluster: &SimCluster) -> u32 {
    cluster.sets.iter().map(|set| set.wanted).sum()
}

fn canary_pods(cluster: &SimCluster) -> u32 {
    let current = cluster.status().current_revision.map(|revision| revision.id).unwrap_or_default();
    cluster.set(&current).map_or(0, |set| set.wanted)
}

/// Plays one release from pause to pause: the new version's pods at each, and the most pods at a time.
fn played(rollout: Rollout) -> (Vec<u32>, u32) {
    let world = json!({"world": {"traffic": {"rps": 10}, "versions": {"shop:2": {"ready": "3s"}}}});
    let scenario: Scenario = serde_json::from_value(world).unwrap();
    let setting = Setting { scenario, rollout: Some(rollout), ..Setting::default() };
    let mut player = Player::new(&setting, None).unwrap();
    let healthy = |cluster: &SimCluster| cluster.phase() == Some(Phase::Healthy);
    assert!(player.act(&entry(json!({"deploy": {"image": "shop:1"}}))).is_ok());
    assert!(player.play_until(HOUR, healthy).is_ok_and(|came| came));
    assert!(player.act(&entry(json!({"deploy": {"image": "shop:2"}}))).is_ok());
    let (mut at_pauses, mut most) = (Vec::new(), 0);
    loop {
        let rests = |cluster: &SimCluster| {
            most = most.max(pods(cluster));
            let status = cluster.status();
            status.phase == Some(Phase::Paused)
                || status.phase == Some(Phase::Healthy)
                    && status.stable_revision.is_some_and(|stable| stable.number == 2)
        };
        assert!(player.play_until(HOUR, rests).is_ok_and(|came| came), "{:?}", player.cluster().status());
        if player.cluster().phase() == Some(Phase::Healthy) {
            break;
        }
        at_pauses.push(canary_pods(&player.cluster()));
        assert!(player.act(&entry(json!({"command": {"verb": "promote"}}))).is_ok());
        // The command is taken in the next tick.
        assert!(player.pass_to(player.now() + 1_000).is_ok());
        most = most.max(pods(&player.cluster()));
    }
    (at_pauses, most)
}

fn step(mesh: bool) -> BoxedStrategy<Value> {
    let weight = (0u32..=100).prop_map(|weight| json!({"setWeight": weight}));
    let scale = (1u32..20).prop_map(|replicas| json!({"setCanaryScale": {"replicas": replicas}}));
    let share = (1u32..=200).prop_map(|half| json!({"setCanaryScale": {"percent": f64::from(half) / 2.0}}));
    let mirror = (0u32..=100).prop_map(|percent| json!({"setMirrorRoute": {"percent": percent}}));
    let testers = json!([{"header": {"name": "x-canary", "exact": "yes"}}]);
    let header = Just(json!({"setHeaderRoute": {"name": "testers", "match": testers}}));
    if mesh {
        prop_oneof![3 => weight, 1 => scale, 1 => share, 1 => mirror, 1 => header].boxed()
    } else {
        weight.boxed()
    }
}

fn strategy() -> BoxedStrategy<(bool, Value)> {
    let canary = any::<bool>().prop_flat_map(|mesh| {
        let count = prop_oneof![
            (0u32..8).prop_map(|pods| json!(pods)),
            (0u32..=100).prop_map(|share| json!(format!("{share}%")))
        ];
        let steps = proptest::collection::vec(step(mesh), 0..4);
        (steps, count.clone(), count, 1u32..5, any::<bool>()).prop_map(
            move |(steps, surge, unavailable, least, dynamic)| {
                // A scale of its own and a dynamic stable exclude each other.
                let dynamic = dynamic && steps.iter().all(|step| step.get("setCanaryScale").is_none());
                let steps: Vec<Value> = steps.into_iter().flat_map(|step| [step, json!({"pause": {}})]).collect();
                let mut canary = json!({"steps": steps, "maxSurge": surge, "maxUnavailable": unavailable});
                if mesh {
                    canary["minPodsPerRevision"] = json!(least);
                    canary["dynamicStableScale"] = json!(dynamic);
                }
                (mesh, json!({"canary": canary}))
            },
        )
    });
    let blue_green = (any::<bool>(), proptest::option::of(1u32..6)).prop_map(|(mesh, preview)| {
        let mut strategy =
            json!({"autoPromotion": {"enabled": false}, "activeService": "shop", "previewService": "shop-new"});
        if let Some(preview) = preview {
            strategy["previewReplicas"] = json!(preview);
        }
        (mesh, json!({"blueGreen": strategy}))
    });
    prop_oneof![2 => canary, 1 => blue_green].boxed()
}

fn rollout(replicas: u32, mesh: bool, strategy: &Value) -> Rollout {
    let mut spec = json!({
        "replicas": replicas, "settle": "1s", "scaleDownDelay": "1s", "selector": {"matchLabels": {"app": "shop"}},
        "template": {
            "metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
        },
        "strategy": strategy,
    });
    if mesh {
        spec["services"] = json!({"root": "shop"});
        spec["traffic"] = json!([{"istio": {"virtualServices": [{"name": "shop"}]}}]);
    }
    let object =
        json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"}, "spec": spec});
    serde_json::from_value(object).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    // W7.
    #[test]
    fn w7_plan_says_the_pods_that_a_played_release_has(replicas in 5u32..12, (mesh, strategy) in strategy()) {
        let rollout = rollout(replicas, mesh, &strategy);
        let release = Release::of(&rollout.spec, replicas);
        let pauses = (0u32..).zip(release.items()).filter(|(_, item)| matches!(item, glidepath::engine::items::Item::Pause(_)));
        let planned: Vec<u32> = pauses.map(|(step, _)| release.canary_pods(step, 0)).collect();
        let most_planned = release.most_pods();
        let (seen, most) = played(rollout.clone());
        prop_assert_eq!(&seen, &planned, "the pods of the new version at each pause");
        prop_assert!(most <= most_planned, "{} at a time, planned at most {}", most, most_planned);
        // A dynamic stable gives up pods, unless the release goes too fast for that.
        let dynamic = strategy.pointer("/canary/dynamicStableScale") == Some(&json!(true));
        if mesh && !dynamic || strategy.get("blueGreen").is_some() {
            prop_assert_eq!(most, most_planned, "a mesh and a switch have no slack");
        }
    }
}

fn planned(file: &str, replicas: Option<&str>) -> String {
    let mut plan = Command::cargo_bin("glidepath").unwrap();
    plan.current_dir(env!("CARGO_MANIFEST_DIR")).args(["plan", file]);
    plan.args(replicas.map(|replicas| ["--replicas", replicas]).into_iter().flatten());
    String::from_utf8(plan.assert().success().get_output().stdout.clone()).unwrap()
}

// W7.
#[test]
fn w7_plan_counts_previews_scales_and_floors() {
    const INPUTS: &str = "tests/golden/lint/inputs";
    for (file, lines) in [
        (
            format!("{INPUTS}/plan-blue-green.yaml"),
            ["web  8 pods, no mesh: the active Service is switched", "preview    2 pods", "at most 16 pods at a time"],
        ),
        (
            format!("{INPUTS}/plan-min-pods.yaml"),
            ["web  10 pods, weights in the mesh", "setWeight 1 %  4 pods", "at most 20 pods at a time"],
        ),
        ("rollouts/blue-green.yaml".to_owned(), ["4 pods", "4 new pods, then", "at most 8 pods at a time"]),
    ] {
        let text = planned(&file, None);
        for line in lines {
            assert!(text.contains(line), "{file}: {line}\n{text}");
        }
    }
}

// W10.
#[test]
fn w10_no_number_of_pods_overflows() {
    let largest = planned("rollouts/canary-istio.yaml", Some("100000"));
    assert!(largest.contains("at most 200000 pods at a time"), "{largest}");
    for (args, wanted) in [
        (vec!["plan", "rollouts/canary-istio.yaml", "--replicas", "2147483648"], "2147483648 is not in 0..=100000"),
        (
            vec!["plan", "tests/golden/lint/inputs/surge-beyond-u32.yaml"],
            "maxSurge: must be at most 100000, got 4294967295",
        ),
    ] {
        let mut plan = Command::cargo_bin("glidepath").unwrap();
        let output = plan.current_dir(env!("CARGO_MANIFEST_DIR")).args(args).assert().failure().get_output().clone();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(wanted) && !said.contains("panicked"), "{said}");
    }
}

fn planned_of(yaml: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("release.yaml");
    std::fs::write(&file, yaml).unwrap();
    let mut plan = Command::cargo_bin("glidepath").unwrap();
    let output = plan.arg("plan").arg(file).assert().success().get_output().stdout.clone();
    String::from_utf8(output).unwrap()
}

const ADOPTS: &str = "{apiVersion: glidepath.dev/v1alpha1, kind: Rollout, metadata: {name: web}, spec: {workloadRef: \
                      {apiVersion: apps/v1, kind: Deployment, name: web}, strategy: {canary: {steps: STEPS}}, ANALYSIS}}";

fn adopting(steps: &str, analysis: &str) -> String {
    ADOPTS.replace("STEPS", steps).replace("ANALYSIS", analysis)
}

#[test]
fn a_number_of_pods_that_nothing_says_is_marked_as_assumed() {
    let rollout = adopting("[{setWeight: 50}]", "");
    let alone = planned_of(&rollout);
    let assumed = "assumes 10 pods; pass --replicas, or add the file of Deployment \"web\"";
    assert!(alone.contains(assumed) && alone.contains("web  10 pods"), "{alone}");
    let deployment = |name: &str, spec: &str| {
        format!(
            "{rollout}\n---\n{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{{spec}}}}}"
        )
    };
    for (file, pods) in [
        (deployment("web", "replicas: 6"), "web  6 pods"),
        (deployment("web", ""), "web  1 pod,"),
        (deployment("web", "replicas: 0"), "web  1 pod,"),
    ] {
        let text = planned_of(&file);
        assert!(text.contains(pods) && !text.contains("assumes"), "{text}");
    }
    assert!(planned_of(&deployment("other", "replicas: 6")).contains(assumed));
    assert!(!planned("rollouts/canary-istio.yaml", Some("10")).contains("assumes"));
}

#[test]
fn an_analysis_is_bounded_by_its_own_rules_at_both_ends() {
    let template = "{apiVersion: glidepath.dev/v1alpha1, kind: AnalysisTemplate, metadata: {name: load}, spec: {metrics: [\
                    {name: q, threshold: {query: q, success: 'result < 1', count: 10, interval: 2m}}]}}";
    let file = |steps: &str, analysis: &str| format!("{}\n---\n{template}", adopting(steps, analysis));
    let step = planned_of(&file("[{setWeight: 50}, {analysis: {templates: [{name: load}]}}]", ""));
    let line = "at least 18m, at most 30m, then once more 30m";
    assert!(step.contains(line) && step.contains("at least 18m of waiting"), "{step}");
    // Behind the steps it passes 18m after each new weight at the soonest, and the last weight needs a Pass too.
    let background = "analysis: {templates: [{name: load}], prometheus: {address: 'http://prometheus:9090'}}";
    let steps = "[{setWeight: 10}, {observe: {}}, {setWeight: 20}, {pause: {duration: 5m}}, {setWeight: 50}]";
    let text = planned_of(&file(steps, background));
    assert!(text.contains("at least 41m of waiting") && !text.contains("at least 0s"), "{text}");
    assert_eq!(text.matches("at most 30m, then once more 30m").count(), 2, "{text}");
    // A template that is in no file may pass at once.
    let unknown = planned_of(&adopting("[{setWeight: 50}, {analysis: {templates: [{name: elsewhere}]}}]", ""));
    assert!(unknown.contains("analysis elsewhere  at most 30m, then once more 30m"), "{unknown}");
}

#[test]
fn the_analysis_after_a_switch_is_planned() {
    let text = planned_of(
        "{apiVersion: glidepath.dev/v1alpha1, kind: Rollout, metadata: {name: web}, spec: {replicas: 2, workloadRef: \
         {apiVersion: apps/v1, kind: Deployment, name: web}, analysis: {prometheus: {address: 'http://prometheus:9090'}}, \
         strategy: {blueGreen: {activeService: web, postPromotionAnalysis: {templates: [{name: golden-signals}], atMost: 10m}}}}}",
    );
    let line = "analysis golden-signals  at least 5m15s, at most 10m, then once more 10m";
    assert!(text.find("promotion").unwrap() < text.find(line).unwrap_or(0), "{text}");
    assert!(text.contains("at least 5m15s of waiting"), "{text}");
}
