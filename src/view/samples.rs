//! Rollouts in every place of their course, for the tests of the views.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    pod::PodView,
    revision::{RevisionView, Role},
};
use crate::api::{
    AnalysisRun, Rollout,
    analysis::{Trail, TrailEvidence, TrailWindow},
};

/// 2026-11-21 14:05:22 UTC, the time of every sample.
pub const NOW: Timestamp = Timestamp::constant(1_795_269_922, 0);

/// A Rollout with its pods.
pub struct Sample {
    /// The object.
    pub rollout: Rollout,
    /// Its revisions.
    pub pods: Vec<RevisionView>,
}

/// So many seconds before [`NOW`].
pub fn ago(seconds: i64) -> Timestamp {
    NOW - SignedDuration::from_secs(seconds)
}

/// Every place, named.
pub fn all() -> Vec<(&'static str, Sample)> {
    vec![
        ("unseen", Sample { rollout: rollout(None), pods: vec![] }),
        ("first_deploy", first_deploy()),
        ("healthy", healthy()),
        ("moving", moving()),
        ("observing", observing()),
        ("pause", pause()),
        ("approval", at_gate(json!({ "name": "release-manager", "approval": true, "onTimeout": "Abort" }))),
        ("gate", at_gate(json!({ "name": "change-window", "url": "https://gates.example.com/ask?key=1" }))),
        ("paused_by_command", paused_by_command()),
        ("paused_idle", paused_idle()),
        ("held", held()),
        ("promoting", promoting()),
        ("aborted", aborted()),
        ("aborted_by_command", aborted_by_command()),
        ("stalled", stalled()),
        ("by_ratio", by_ratio()),
        ("blue_green", blue_green()),
        ("with_routes", with_routes()),
        ("ab_test", ab_test()),
        ("kept_control", kept_control()),
    ]
}

/// A container of the canary has restarted once.
fn pause() -> Sample {
    let evidence = "container app of pod checkout-b2-x7k restarted (exit code 1, Error)";
    stepping(
        6,
        json!({
            "phase": "Paused", "waitingFor": waiting("Pause", "waits for promote", None),
            "guards": { "oomKills": 0, "restarts": 1, "evidence": evidence },
        }),
    )
}

/// Three canary pods are missing, and pods may not be listed.
fn moving() -> Sample {
    let waiting = waiting("CanaryPods", "waiting for 3 of 4 canary pods", Some(420));
    let refused = Some("you may not list pods in namespace shop".into());
    let canary = RevisionView { pods_unread: refused, ..canary(1, 4) };
    Sample { pods: vec![canary, stable(12)], ..stepping(2, json!({ "waitingFor": waiting })) }
}

/// Paused by ann while it observes, with the pause step's own wait on record.
pub fn paused_by_command() -> Sample {
    let waits = waiting("Pause", "paused by command at 25 %", None);
    let pause = command("pause", "paused until resume", "ann", "lunch", 180);
    stepping(3, json!({ "phase": "Paused", "pausedByCommand": true, "commands": [pause], "waitingFor": waits }))
}

/// Paused by ann while no release is in progress.
fn paused_idle() -> Sample {
    let mut sample = healthy();
    let pause = command("pause", "paused until resume", "ann", "change freeze", 180);
    if let Some(status) = &mut sample.rollout.status {
        status.paused_by_command = true;
        status.commands.insert(0, serde_json::from_value(pause).unwrap());
    }
    sample
}

/// Without a router.
fn by_ratio() -> Sample {
    let weights = json!({ "desired": 25, "settled": true });
    let mut sample = stepping(
        4,
        json!({ "weights": weights, "waitingFor": waiting("Pods", "scaling towards 50 %: 3 canary pods available", Some(420)) }),
    );
    sample.rollout.spec.traffic = vec![];
    sample
}

/// Waiting for a gate.
pub fn at_gate(gate: serde_json::Value) -> Sample {
    let approval = gate.get("approval").is_some();
    let (phase, reason, message) = match approval {
        true => ("Paused", "Approval", "waiting for manual approval: release-manager"),
        false => ("Progressing", "Gate", "waiting for gate change-window, asked 3 times: it responded HTTP 503"),
    };
    let mut sample =
        stepping(6, json!({ "phase": phase, "reason": reason, "waitingFor": waiting(reason, message, Some(3600)) }));
    if let Some(canary) = &mut sample.rollout.spec.strategy.canary {
        canary.steps[6] = serde_json::from_value(json!({ "gate": gate })).unwrap();
    }
    sample
}

/// A blue-green preview that waits for an operator.
fn blue_green() -> Sample {
    let weights = json!({ "desired": 0, "settled": true });
    let mut sample = stepping(1, json!({ "phase": "Paused", "weights": weights }));
    let strategy = json!({ "blueGreen": { "activeService": "checkout", "previewService": "checkout-preview",
        "autoPromotion": { "enabled": false } } });
    sample.rollout.spec.strategy = serde_json::from_value(strategy).unwrap();
    sample.rollout.spec.traffic = vec![];
    sample
}

/// Half of the users on each variant, nothing decided yet.
fn ab_test() -> Sample {
    let weights = json!({ "desired": 50, "accepted": 50, "settled": true, "sticky": true });
    let sample = stepping(1, json!({ "weights": weights, "metrics": goal("Continue", "") }));
    tested(sample)
}

/// Control won.
fn kept_control() -> Sample {
    let reason = "control won: orders: 9.8 % (982/10,021) vs 12.1 % (1,204/9,950)";
    let message = format!("revision #41 stays stable after the A/B test of revision #42: {reason}");
    let weights = json!({ "desired": 0, "accepted": 0, "settled": true });
    let status = json!({ "phase": "Healthy", "course": "Kept", "reason": "KeptControl", "message": message,
        "weights": weights, "metrics": goal("Fail", "ControlWins"), "history": [{
            "revision": { "id": "k3v9x2m1qa", "number": 42 }, "startedAt": ago(600_000), "endedAt": ago(60),
            "outcome": "KeptControl", "reason": reason, "attempt": 1, "stepIndex": 1
        }] });
    tested(stepping(0, status))
}

fn tested(mut sample: Sample) -> Sample {
    let test = json!({ "weight": 50, "sticky": { "cookie": "variant" }, "minDuration": "24h", "maxDuration": "168h",
        "goal": { "templates": [{ "name": "orders" }] } });
    sample.rollout.spec.strategy = serde_json::from_value(json!({ "abTest": test })).unwrap();
    sample.rollout.spec.analysis = None;
    sample
}

fn goal(verdict: &str, reason: &str) -> serde_json::Value {
    json!([{ "name": "orders", "verdict": verdict, "reason": reason, "decides": true, "canary": "9.8 % (982/10,021)",
        "stable": "12.1 % (1,204/9,950)", "comparison": "lift -19 %, 95 % CS -27 to -11 %", "failProgress": 0.0 }])
}

/// Header routes and a mirror in addition to the weight.
fn with_routes() -> Sample {
    let weights =
        json!({ "desired": 25, "accepted": 25, "settled": true, "headers": ["beta", "testers"], "mirror": 10 });
    stepping(6, json!({ "phase": "Paused", "weights": weights }))
}

/// Observing with one metric passed and one not.
pub fn observing() -> Sample {
    stepping(
        3,
        json!({ "waitingFor": waiting("Evidence", "observing at 25 %", Some(1608)), "metrics": metrics("Continue"),
            "weights": { "desired": 25, "accepted": 25, "settled": true, "observed": 25.1 } }),
    )
}

/// Held after no verdict in time.
pub fn held() -> Sample {
    let message = "no verdict within 1h: errors Continue (7,412 canary requests)";
    let held = json!({ "reason": "Inconclusive", "message": message, "since": ago(240) });
    stepping(3, json!({ "phase": "Paused", "held": held, "metrics": metrics("Inconclusive") }))
}

/// At the pause without an end.
pub fn at_pause() -> Sample {
    stepping(6, json!({ "phase": "Paused" }))
}

/// Healthy on #41, with a past.
pub fn healthy() -> Sample {
    let status = json!({
        "phase": "Healthy", "course": "Idle", "message": "revision 41 is stable", "stepIndex": 7,
        "currentRevision": { "id": "b7d0c41hze", "number": 41 },
        "promoted": [{ "id": "b7d0c41hze", "number": 41 }, { "id": "aaaaaaaaaa", "number": 40 }],
        "history": history(), "commands": commands()
    });
    Sample { rollout: rollout(Some(status)), pods: vec![stable(12)] }
}

/// Aborted by evidence.
pub fn aborted() -> Sample {
    rolled_back(
        "errors Fail at 25 %: 2.4 % (178/7,412) against 0.1 % (22/22,103)",
        json!({ "metrics": metrics("Fail") }),
    )
}

/// Aborted by an operator: the command is recorded in the same tick.
pub fn aborted_by_command() -> Sample {
    let abort = command("abort", "shifting all traffic to stable", "ann", "dashboards look odd", 60);
    let late = json!({ "uid": "c-2", "name": "c-2", "verb": "promote", "state": "Obsolete", "takenAt": ago(40),
        "message": "the revision was aborted; use retry", "requestedBy": "ann" });
    rolled_back("by ann: dashboards look odd", json!({ "commands": [late, abort] }))
}

/// #42 was rolled back at 25 %; the message, the condition and the history say the same.
fn rolled_back(reason: &str, more: Value) -> Sample {
    let message = format!("revision #42 was rolled back: {reason}");
    let mut past = vec![json!({
        "revision": { "id": "k3v9x2m1qa", "number": 42 }, "images": ["registry/checkout:1.9.0"], "startedAt": ago(1560),
        "endedAt": ago(60), "outcome": "Aborted", "reason": reason, "attempt": 1, "stepIndex": 3
    })];
    past.extend(history().as_array().cloned().unwrap_or_default());
    let mut status = json!({
        "phase": "Degraded", "course": "Aborted", "reason": "Aborted", "stepIndex": 0, "message": message, "attempt": 1,
        "weights": { "desired": 0, "accepted": 0, "settled": true, "observed": 25.1 }, "history": past,
        "conditions": [{ "type": "Stalled", "status": "True", "reason": "Aborted", "message": message, "lastTransitionTime": NOW }]
    });
    merge(&mut status, more);
    Sample { rollout: rollout(Some(status)), pods: vec![canary(0, 0), stable(12)] }
}

/// In the middle of a promotion.
pub fn promoting() -> Sample {
    let status = json!({
        "phase": "Progressing", "course": "Promoting", "stage": "MoveStable", "stepIndex": 7,
        "weights": { "desired": 100, "accepted": 100, "settled": true },
        "waitingFor": waiting("Endpoints", "waiting for 12 endpoints of checkout-stable to be the new ones (9 are)", Some(590))
    });
    Sample { rollout: rollout(Some(status)), pods: vec![canary(12, 12), stable(12)] }
}

/// No stable version yet.
pub fn first_deploy() -> Sample {
    let status = json!({
        "phase": "Progressing", "course": "FirstDeploy", "stableRevision": null,
        "currentRevision": { "id": "k3v9x2m1qa", "number": 1 },
        "desiredReplicas": 12, "availableReplicas": 5,
        "waitingFor": waiting("Pods", "waiting for 7 more pods: image pull back-off on checkout-k3v9x2m1qa-x", Some(500))
    });
    let pods = vec![RevisionView { number: 1, pods: not_ready(), more_pods: 5, ..canary(5, 12) }];
    Sample { rollout: rollout(Some(status)), pods }
}

/// More steps than fit a line, a ramp in progress.
pub fn many_steps() -> Sample {
    let mut sample = stepping(1, json!({ "subStep": 3 }));
    let mut steps = vec![json!({ "setWeight": 0.25 })];
    steps.push(json!({ "ramp": { "from": 5, "to": 50, "by": 5, "every": "1m" } }));
    steps.extend((0..8).map(|_| json!({ "pause": { "duration": "10m" } })));
    steps.push(json!({ "setCanaryScale": { "percent": 50 } }));
    sample.rollout.spec.strategy = serde_json::from_value(json!({ "canary": { "steps": steps } })).unwrap();
    sample
}

fn stalled() -> Sample {
    let message = "Missing VirtualService/checkout: create it, or remove it from spec.traffic";
    stepping(
        0,
        json!({
            "message": message, "waitingFor": waiting("MissingVirtualService", message, None),
            "conditions": [{ "type": "Stalled", "status": "True", "reason": "Missing", "message": message, "lastTransitionTime": NOW }]
        }),
    )
}

fn stepping(step: u32, more: Value) -> Sample {
    let mut status = json!({
        "phase": "Progressing", "course": "Stepping", "stepIndex": step, "attempt": 1,
        "weights": { "desired": 25, "accepted": 25, "settled": true },
        "memory": { "stepSince": ago(192), "rolloutSince": ago(1500) }
    });
    merge(&mut status, more);
    let mut rollout = rollout(Some(status));
    if let Some(release) = rollout.status.as_mut().and_then(|status| status.state.release_mut()) {
        // The steps that are complete took as long as each other.
        let end = |done: i64| release.since + SignedDuration::from_secs(1308 * done / i64::from(step));
        release.step_ends = (1..=i64::from(step)).map(end).collect();
    }
    Sample { rollout, pods: vec![canary(4, 4), stable(12)] }
}

/// The checkout rollout with this status over the defaults.
pub fn rollout(status: Option<Value>) -> Rollout {
    let mut object = json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout",
        "metadata": { "name": "checkout", "namespace": "shop", "uid": "u-1", "generation": 5, "creationTimestamp": ago(600_000) },
        "spec": {
            "replicas": 12,
            "selector": { "matchLabels": { "app": "checkout" } },
            "template": { "spec": { "containers": [{ "name": "app", "image": "registry/checkout:1.8.3" }] } },
            "analysis": { "templates": [{ "name": "golden-signals" }] },
            "traffic": [{ "istio": { "virtualServices": [{ "name": "checkout" }] } }],
            "strategy": { "canary": { "steps": [
                { "setWeight": 5 }, { "observe": {} }, { "setWeight": 25 }, { "observe": { "atLeast": "5m", "atMost": "30m" } },
                { "setWeight": 50 }, { "analysis": { "templates": [{ "name": "checkout-load-test" }] } }, { "pause": {} }
            ] } }
        }
    });
    if let Some(status) = status {
        let mut whole = json!({
            "observedGeneration": 5, "desiredReplicas": 12, "replicas": 12, "availableReplicas": 12, "readyShown": "12/12",
            "stepShown": "step 4/7", "weightShown": "25 %",
            "stableRevision": { "id": "b7d0c41hze", "number": 41 }, "currentRevision": { "id": "k3v9x2m1qa", "number": 42 }
        });
        merge(&mut whole, status);
        object["status"] = whole;
    }
    serde_json::from_value(object).unwrap()
}

fn merge(into: &mut Value, more: Value) {
    let (Value::Object(into), Value::Object(more)) = (into, more) else { return };
    into.extend(more);
}

fn waiting(reason: &str, message: &str, seconds: Option<i64>) -> Value {
    let until = seconds.map(|seconds| NOW + SignedDuration::from_secs(seconds));
    json!({ "reason": reason, "message": message, "since": ago(192), "until": until })
}

fn metrics(errors: &str) -> Value {
    json!([
        {
            "name": "errors", "verdict": errors, "reason": "", "canary": "0.12 % (9/7,412)", "stable": "0.10 % (22/22,103)",
            "comparison": "ratio 1.2  [0.5, 2.9]   p 1.0", "needs": "about 1,900 more canary requests", "failProgress": 0.02
        },
        {
            "name": "latency", "verdict": "Pass", "canary": "p99 182 ms", "stable": "p99 179 ms",
            "comparison": "tail ratio 1.0 [0.8, 1.3]", "required": true
        },
        { "name": "cpu", "verdict": "NoData", "reason": "WarmUp", "required": false, "notes": ["resets were seen"] }
    ])
}

fn history() -> Value {
    json!([
        {
            "revision": { "id": "b7d0c41hze", "number": 41 }, "images": ["registry/checkout:1.8.3"], "startedAt": ago(540_000),
            "endedAt": ago(536_000), "outcome": "Promoted", "reason": "all steps done", "attempt": 1, "stepIndex": 7
        },
        {
            "revision": { "id": "cccccccccc", "number": 40 }, "images": ["registry/checkout:1.8.2"], "startedAt": ago(600_000),
            "endedAt": ago(599_000), "outcome": "Aborted", "reason": "errors Fail at 25 %", "attempt": 2, "stepIndex": 3
        }
    ])
}

fn commands() -> Value {
    json!([
        command("promote", "ended the wait at step 7", "ada@example.com", "release window", 536_100),
        command("abort", "shifting all traffic to stable", "system:serviceaccount:ci:deployer", "smoke test", 599_000)
    ])
}

fn command(verb: &str, message: &str, by: &str, why: &str, seconds: i64) -> Value {
    json!({ "uid": format!("c-{seconds}"), "name": format!("checkout-{verb}-x7k2p"), "verb": verb, "state": "Done",
        "message": message, "requestedBy": by, "why": why, "takenAt": ago(seconds) })
}

/// An image that cannot be pulled, and a container that is killed for its memory.
fn not_ready() -> Vec<PodView> {
    let pod = |name: &str, state: &str, reason: &str, restarts| PodView {
        name: name.into(),
        state: state.into(),
        ready: false,
        reason: Some(reason.into()),
        restarts,
        age: SignedDuration::from_mins(12),
    };
    vec![
        pod("checkout-k3v9x2m1qa-7xk2p", "ImagePullBackOff", "Back-off pulling image \"registry/checkout:1.9.0\"", 0),
        pod("checkout-k3v9x2m1qa-9zq4m", "CrashLoopBackOff", "app ended with OOMKilled (exit code 137)", 4),
    ]
}

fn canary(available: u32, wanted: u32) -> RevisionView {
    RevisionView {
        id: "k3v9x2m1qa".into(),
        number: 42,
        role: Role::Canary,
        available,
        wanted,
        image: "registry/checkout:1.9.0".into(),
        age: SignedDuration::from_mins(12),
        ..RevisionView::default()
    }
}

fn stable(available: u32) -> RevisionView {
    RevisionView {
        id: "b7d0c41hze".into(),
        number: 41,
        role: Role::Stable,
        available,
        wanted: 12,
        image: "registry/checkout:1.8.3".into(),
        age: SignedDuration::from_hours(146),
        ..RevisionView::default()
    }
}

/// The background analysis of #42, in which errors fail: one minute a point, and twelve of them until a minute ago.
pub fn runs() -> Vec<AnalysisRun> {
    let evidence = |minute: u64| {
        let share = minute as f64 / 11.0;
        TrailEvidence { fail: share * share, pass: 0.0, interval: None }
    };
    let mut trail = Trail::default();
    for minute in 0..12_u64 {
        let bad = if minute < 4 { 0 } else { minute };
        let end = ago(720).as_second() + 60 * i64::try_from(minute).unwrap_or_default();
        let window = TrailWindow::Counts { canary: [bad, 600], stable: [2, 1_800] };
        trail.take(end, 60, window, || evidence(minute.saturating_sub(1)));
    }
    trail.weigh(evidence(11));
    let ratio = json!({ "bad": { "builtin": "errors" }, "total": { "builtin": "requests" }, "tolerance": "25%" });
    let run = json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "AnalysisRun",
        "metadata": {
            "name": "checkout-42-1-background", "namespace": "shop", "creationTimestamp": ago(1_400),
            "labels": { "glidepath.dev/rollout": "checkout" }
        },
        "spec": {
            "background": true, "arms": { "namespace": "shop", "canary": "checkout-k3v9x2m1qa", "stable": "checkout-b7d0c41hze" },
            "metrics": [{ "name": "errors", "ratio": ratio }], "settings": { "pack": "istio" }
        },
        "status": {
            "phase": "Finished", "verdict": "Fail", "startedAt": ago(1_400), "windowsThrough": ago(60),
            "message": "errors failed: canary 0.83 % (60/7,200), stable 0.11 % (24/21,600), ratio 7.5, 95 % CS 2.6-26, p = 0.004",
            "metrics": [{
                "name": "errors", "verdict": "Fail", "reason": "WorseThanStable", "canary": "0.83 % (60/7,200)",
                "stable": "0.11 % (24/21,600)", "comparison": "ratio 7.5, 95 % CS 2.6-26, p = 0.004", "failProgress": 1.0,
                "notes": ["clamped: 1 window"], "trail": serde_json::to_value(&trail).unwrap()
            }]
        }
    });
    vec![serde_json::from_value(run).unwrap()]
}
