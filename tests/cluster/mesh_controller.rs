//! A controller with `--mesh` on the real API server and Prometheus, with the rights of `deploy/mesh`: a policy is checked against the
//! callers seen, held, promoted, reverted at the third denial, repaired, and gone without a trace; also when it is killed.

use crate::controller::{Apart, controller};
use crate::exposition::serve_page;
use crate::server::Server;
use crate::wait::wait_until;
use crate::{glidepath, kubectl, lane};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const NAMESPACE: &str = "mesh-controller";
const PATIENCE: Duration = Duration::from_secs(60);
const TEXT: &str = "text/plain; version=0.0.4";

const AROUND: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: mesh-controller}
---
apiVersion: v1
kind: Service
metadata: {namespace: mesh-controller, name: checkout}
spec: {selector: {app: checkout}, ports: [{port: 80, name: http}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: mesh-controller, name: web}
spec: {selector: {app: web}, ports: [{port: 80, name: http}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {namespace: mesh-controller, name: web}
spec:
  replicas: 0
  serviceName: web
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {serviceAccountName: front, containers: [{name: app, image: app}]}
---
apiVersion: v1
kind: ServiceAccount
metadata: {namespace: mesh-controller, name: ops}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {namespace: mesh-controller, name: checkout}
spec: {host: checkout, trafficPolicy: {connectionPool: {tcp: {maxConnections: 7}}}}
";

/// Who may call, beside `web`.
fn policy(also: &str, rest: &str) -> String {
    format!(
        "{{apiVersion: glidepath.dev/v1alpha1, kind: MeshPolicy, metadata: {{namespace: {NAMESPACE}, name: checkout}}, spec: {{target: \
         {{service: checkout}}, mesh: istio, authorization: {{allow: [{{from: [{{service: web}}{also}]}}]}}, {rest} change: {{guard: 1m, \
         bake: 20s}}}}}}"
    )
}

/// A counter of the receiving proxy.
fn line(workload: &str, account: &str, code: u16, count: u64) -> String {
    format!(
        "istio_requests_total{{reporter=\"destination\",destination_service_namespace=\"{NAMESPACE}\",\
         destination_service_name=\"checkout\",source_workload_namespace=\"{NAMESPACE}\",source_workload=\"{workload}\",\
         source_principal=\"spiffe://cluster.local/ns/{NAMESPACE}/sa/{account}\",connection_security_policy=\"mutual_tls\",\
         response_code=\"{code}\"}} {count}\n"
    )
}

fn start(apart: &Apart) -> Server {
    apart.start_with(&["--mesh", "--class", "mesh-controller", "--watch-namespace", NAMESPACE])
}

fn status() -> Value {
    lane().get(NAMESPACE, "meshpolicy", "checkout").map(|policy| policy["status"].clone()).unwrap_or_default()
}

fn is(phase: &str) -> bool {
    status()["phase"] == phase
}

fn waits_for(phase: &str) {
    wait_until(PATIENCE, &format!("the policy to be {phase}"), || is(phase));
}

fn mesh(args: &[&str]) -> (Option<i32>, String) {
    let mut command = glidepath();
    command.arg("mesh").args(args).args(["-n", NAMESPACE]);
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn allowed() -> Value {
    let rule = lane().get(NAMESPACE, "authorizationpolicy", "checkout-allow");
    rule.map(|rule| rule["spec"]["rules"][0]["from"].clone()).unwrap_or_default()
}

/// Ann may write limits and nothing else; what a policy has in other sections is not hers to write, nor to take out.
fn sections_are_rights_of_their_own() {
    let lane = lane();
    lane.apply(&format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {{namespace: {NAMESPACE}, name: limits}}, rules: [\
         {{apiGroups: [glidepath.dev], resources: [meshpolicies], verbs: [get, create, update, patch, delete]}}, \
         {{apiGroups: [glidepath.dev], resources: [meshpolicies/connections], verbs: [create]}}]}}\n---\n\
         {{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {{namespace: {NAMESPACE}, name: limits}}, \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: limits}}, \
         subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: ann}}]}}"
    ))
    .unwrap();
    let written = |sections: &str, verb: &str, by: &[&str]| {
        let policy = format!(
            "{{apiVersion: glidepath.dev/v1alpha1, kind: MeshPolicy, metadata: {{namespace: {NAMESPACE}, name: ann}}, \
             spec: {{target: {{service: web}}, mesh: nowhere, {sections}}}}}"
        );
        let args = [&[verb, "-f", "-"], by].concat();
        kubectl::feed(lane.folder(), &args, &policy).map_err(|error| format!("{error:#}"))
    };
    let (limits, both) =
        ("connections: {maxConnections: 9}", "connections: {maxConnections: 9}, mtls: {mode: Disable}");
    let ann = ["--as=ann"];
    wait_until(PATIENCE, "the admission policy to be in force", || {
        written(both, "create", &["--as=ann", "--dry-run=server"]).is_err_and(|why| why.contains("meshpolicies/mtls"))
    });
    written(limits, "create", &ann).unwrap();
    let refused = written(both, "replace", &ann).unwrap_err();
    assert!(refused.contains("ann may not write spec.mtls of MeshPolicies in namespace mesh-controller"), "{refused}");
    written(both, "replace", &[]).unwrap();
    assert!(written(limits, "replace", &ann).unwrap_err().contains("meshpolicies/mtls"), "it is not hers to take out");
    let delete = ["delete", "meshpolicy", "ann", "-n", NAMESPACE, "--wait=false"];
    lane.kubectl(&delete).unwrap();
}

#[test]
fn a_policy_is_checked_held_promoted_reverted_repaired_and_gone_without_a_trace() {
    let lane = lane();
    drop(controller());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["deploy/mesh/crds", "deploy/mesh"] {
        lane.kubectl(&["apply", "--server-side", "-k", root.join(folder).to_str().unwrap()]).unwrap();
    }
    lane.apply(AROUND).unwrap();
    sections_are_rights_of_their_own();
    // `ops` calls too, and is denied as often as `denied` says.
    let (requests, denied) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let counted = (Arc::clone(&requests), Arc::clone(&denied));
    let page = move || {
        let count = counted.0.fetch_add(10, Relaxed);
        let denied = counted.1.load(Relaxed);
        [line("web", "front", 200, count), line("ops", "ops", 200, count / 2), line("ops", "ops", 403, denied)]
            .concat()
            .into_bytes()
    };
    let target = serve_page(TEXT, page).to_string();
    let targets = json!([{"targets": [target]}]).to_string();
    std::fs::write(lane.folder().join("proxies-mesh-controller.json"), targets).unwrap();
    let seen = format!("istio_requests_total{{source_workload=\"ops\",destination_service_namespace=\"{NAMESPACE}\"}}");
    wait_until(PATIENCE, "several scrapes", || {
        lane.query(&seen).is_ok_and(|samples| samples.iter().any(|sample| sample.value > 30.0))
    });

    let apart = Apart::new("mesh-controller", "127.0.0.1:8095", "127.0.0.1:6443".parse().unwrap());
    let mut server = start(&apart);

    // Both callers may: checked, watched, in force.
    lane.apply(&policy(", {serviceAccount: ops}", "connections: {maxPendingRequests: 9},")).unwrap();
    let (code, said) = mesh(&["status", "checkout", "--wait", "--timeout", "90s"]);
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    let both = allowed();
    assert_eq!(both.as_array().map(Vec::len), Some(2), "{both}");
    let rule = lane.get(NAMESPACE, "destinationrule", "checkout").unwrap();
    let pool = &rule["spec"]["trafficPolicy"]["connectionPool"];
    assert_eq!(*pool, json!({"tcp": {"maxConnections": 7}, "http": {"http1MaxPendingRequests": 9}}), "{rule}");

    // One of them would be cut: held, and it is said who.
    lane.apply(&policy("", "connections: {maxPendingRequests: 9},")).unwrap();
    let (code, said) = mesh(&["status", "checkout", "--wait", "--timeout", "60s"]);
    println!("{said}");
    assert_eq!(code, Some(14), "{said}");
    assert!(said.contains(&format!("{NAMESPACE}/ops as ServiceAccount {NAMESPACE}/ops")), "{said}");
    assert_eq!(allowed(), both, "nothing is written");

    // Promoted all the same, and killed in the middle: the one that follows reverts it at the third denial.
    let (code, said) = mesh(&["promote", "checkout", "--reason", "the client is gone"]);
    assert!(code == Some(0) && said.contains("promote done"), "{said}");
    waits_for("Baking");
    assert_eq!(allowed().as_array().map(Vec::len), Some(1));
    server.kill();
    let mut server = start(&apart);
    denied.store(5, Relaxed);
    waits_for("Reverted");
    assert_eq!(allowed(), both, "the former policy is back");
    let message = status()["message"].as_str().unwrap_or_default().to_owned();
    println!("{message}");
    assert!(message.contains("was denied") && message.contains("Service checkout"), "{message}");

    // What someone changes in an object of the policy's own is written back.
    let open = "{\"spec\":{\"rules\":[{}]}}";
    lane.kubectl(&["patch", "authorizationpolicy", "checkout-allow", "-n", NAMESPACE, "--type=merge", "-p", open])
        .unwrap();
    wait_until(PATIENCE, "the object to be repaired", || allowed() == both);

    // Deleted: no object of ours is left, and the user's is as it was.
    lane.kubectl(&["delete", "meshpolicy", "checkout", "-n", NAMESPACE, "--timeout=60s"]).unwrap();
    wait_until(PATIENCE, "its objects to be gone", || {
        lane.get(NAMESPACE, "authorizationpolicy", "checkout-allow").is_err()
    });
    let rule = lane.get(NAMESPACE, "destinationrule", "checkout").unwrap();
    let before = json!({"host": "checkout", "trafficPolicy": {"connectionPool": {"tcp": {"maxConnections": 7}}}});
    assert_eq!(rule["spec"], before, "{rule}");
    server.check().unwrap();
    server.leave().unwrap();
    lane.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"]).unwrap();
}
