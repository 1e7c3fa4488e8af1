//! Objects as the API server sends them: of usual size, with `managedFields`.

use serde_json::{Map, Value, json};

use crate::moments::{DAY, released, shipped};

pub const NAMESPACE: &str = "shop";
pub const NAME: &str = "checkout";
pub const UID: &str = "5d8c3f0e-8b0f-4c3e-9d53-6f6a3d0a7c11";
const HASH: &str = "7c9d5b8f46";

/// In the middle of its life, with a full history.
pub fn rollout() -> Value {
    let mut world = released("canary-istio.yaml");
    world.run_until(DAY, |_| false).unwrap();
    let mut spec = serde_json::to_value(shipped("canary-istio.yaml")).unwrap();
    spec["template"] = template(json!({"app": NAME, "team": "t1", "tier": "web"}));
    object("glidepath.dev/v1alpha1", "Rollout", NAME, json!({"spec": spec, "status": world.status}))
}

pub fn replica_set() -> Value {
    let labels = json!({"app": NAME, "team": "t1", "tier": "web", "glidepath.dev/revision": HASH});
    let mut set = object(
        "apps/v1",
        "ReplicaSet",
        &format!("{NAME}-{HASH}"),
        json!({
            "spec": {"replicas": 6, "selector": {"matchLabels": labels}, "template": template(labels.clone())},
            "status": {"replicas": 6, "fullyLabeledReplicas": 6, "readyReplicas": 5, "availableReplicas": 5,
                "observedGeneration": 2},
        }),
    );
    set["metadata"]["labels"] = labels;
    set["metadata"]["labels"]["glidepath.dev/rollout"] = NAME.into();
    set["metadata"]["annotations"] = json!({"glidepath.dev/revision-number": "13"});
    owned(set, "glidepath.dev/v1alpha1", "Rollout", NAME)
}

pub fn service() -> Value {
    object(
        "v1",
        "Service",
        &format!("{NAME}-stable"),
        json!({
            "spec": {"selector": {"app": NAME, "glidepath.dev/revision": HASH}, "type": "ClusterIP",
                "clusterIP": "10.96.14.7", "clusterIPs": ["10.96.14.7"], "ipFamilies": ["IPv4"],
                "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
                "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]},
            "status": {"loadBalancer": {}},
        }),
    )
}

pub fn endpoint_slice() -> Value {
    let service = format!("{NAME}-stable");
    let endpoint = |n: usize| {
        json!({
            "addresses": [format!("10.244.3.{n}")], "nodeName": "node-1",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": format!("{NAME}-{HASH}-{n:05}"), "namespace": NAMESPACE, "uid": UID},
        })
    };
    let mut slice = object(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        &format!("{service}-x7k2p"),
        json!({
            "addressType": "IPv4", "endpoints": (1..=6).map(endpoint).collect::<Vec<_>>(),
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        }),
    );
    slice["metadata"]["labels"] = json!({"kubernetes.io/service-name": service,
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"});
    owned(slice, "v1", "Service", &service)
}

pub fn pod() -> Value {
    let labels = json!({"app": NAME, "team": "t1", "tier": "web", "glidepath.dev/revision": HASH});
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": "2026-11-28T08:00:00Z"});
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition);
    let mut pod = object(
        "v1",
        "Pod",
        &format!("{NAME}-{HASH}-00001"),
        json!({
            "spec": template(labels.clone())["spec"],
            "status": {
                "phase": "Running", "podIP": "10.244.3.1", "hostIP": "10.0.0.7", "qosClass": "Burstable",
                "startTime": "2026-11-28T08:00:00Z",
                "conditions": conditions,
                "containerStatuses": [{"name": "app", "ready": true, "started": true, "restartCount": 0,
                    "image": "registry.example/checkout:1.0.0", "imageID": format!("registry.example/checkout@sha256:{HASH}"),
                    "state": {"running": {"startedAt": "2026-11-28T08:00:01Z"}}}],
            },
        }),
    );
    pod["metadata"]["labels"] = labels;
    owned(pod, "apps/v1", "ReplicaSet", &format!("{NAME}-{HASH}"))
}

pub fn virtual_service() -> Value {
    let destination =
        |target: &str, weight: u32| json!({"destination": {"host": format!("{NAME}-{target}")}, "weight": weight});
    object(
        "networking.istio.io/v1",
        "VirtualService",
        NAME,
        json!({"spec": {"hosts": [NAME], "http": [
            {"name": "health", "match": [{"uri": {"prefix": "/healthz"}}], "route": [{"destination": {"host": NAME}}]},
            {"name": "primary", "timeout": "15s", "retries": {"attempts": 2, "perTryTimeout": "5s"},
             "route": [destination("stable", 100), destination("canary", 0)]},
        ]}}),
    )
}

pub fn http_route() -> Value {
    let backend = |target: &str, weight: u32| json!({"group": "", "kind": "Service", "name": format!("{NAME}-{target}"), "port": 80, "weight": weight});
    let path = |prefix: &str| json!([{"path": {"type": "PathPrefix", "value": prefix}}]);
    object(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        NAME,
        json!({"spec": {"parentRefs": [{"name": "edge"}], "hostnames": ["shop.example.com"], "rules": [
            {"matches": path("/healthz"), "backendRefs": [{"group": "", "kind": "Service", "name": NAME, "port": 80, "weight": 1}]},
            {"matches": path("/"), "timeouts": {"request": "15s"}, "backendRefs": [backend("stable", 1), backend("canary", 0)]},
        ]}}),
    )
}

/// A pod template of usual size.
fn template(labels: Value) -> Value {
    let setting = |n: usize| json!({"name": format!("SETTING_{n}"), "value": format!("value-{n}-of-{NAME}")});
    json!({
        "metadata": {"labels": labels, "annotations": {"example.com/owner": "team-one"}},
        "spec": {"containers": [{
            "name": "app", "image": "registry.example/checkout:1.0.0", "env": (0..8).map(setting).collect::<Vec<_>>(),
            "ports": [{"name": "http", "containerPort": 8080, "protocol": "TCP"}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        }]},
    })
}

fn object(api_version: &str, kind: &str, name: &str, content: Value) -> Value {
    let writer = |manager: &str, field: &str| {
        let fields = json!({format!("f:{field}"): fields(&content[field])});
        json!({"manager": manager, "operation": "Update", "apiVersion": api_version, "time": "2026-11-28T08:00:00Z",
            "fieldsType": "FieldsV1", "fieldsV1": fields})
    };
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {
        "name": name, "namespace": NAMESPACE, "uid": UID, "resourceVersion": "104729", "generation": 13,
        "creationTimestamp": "2026-11-01T08:00:00Z",
        "managedFields": [writer("kubectl", "spec"), writer("glidepath", "status")],
    }});
    let top = object.as_object_mut().unwrap();
    top.extend(content.as_object().unwrap().clone());
    object
}

fn owned(mut object: Value, api_version: &str, kind: &str, name: &str) -> Value {
    object["metadata"]["ownerReferences"] = json!([{"apiVersion": api_version, "kind": kind, "name": name, "uid": UID,
        "controller": true, "blockOwnerDeletion": true}]);
    object
}

/// The field set of a value: its fields, without what they hold.
fn fields(value: &Value) -> Value {
    let Value::Object(map) = value else { return json!({}) };
    Value::Object(map.iter().map(|(name, value)| (format!("f:{name}"), fields(value))).collect::<Map<_, _>>())
}
