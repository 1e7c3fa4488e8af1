//! Rollouts and what they need, as a user would write them. Names have no dash: a derived object's name begins with its
//! Rollout's.

use serde_json::{Value, json};

/// A Rollout and what it needs: `(plural, name, object)`.
pub struct Set {
    pub objects: Vec<(&'static str, String, Value)>,
}

/// A pod template with this image.
pub fn template(name: &str, image: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]}})
}

/// A canary release in an Istio mesh: 20 %, 50 %, then everything, a few seconds each.
pub fn canary(name: &'static str, replicas: u32) -> Set {
    let pause = json!({"pause": {"duration": "5s"}});
    let steps = json!([{"setWeight": 20}, pause, {"setWeight": 50}, pause]);
    with_mesh(name, rollout(name, replicas, json!({"canary": {"steps": steps}})))
}

/// The same with these steps, and more in the spec.
pub fn canary_with(name: &'static str, replicas: u32, steps: Value, more: Value) -> Set {
    let mut set = with_mesh(name, rollout(name, replicas, json!({"canary": {"steps": steps}})));
    json_patch::merge(&mut set.objects[1].2, &json!({"spec": more}));
    set
}

/// A release by a router with this entry of `spec.traffic`. Its route objects are not among them.
pub fn canary_by(name: &'static str, replicas: u32, strategy: Value, entry: &Value) -> Set {
    let mut rollout = rollout(name, replicas, strategy);
    rollout["spec"]["traffic"] = json!([entry]);
    Set { objects: vec![("rollouts", name.into(), rollout), service(name)] }
}

/// A canary by numbers of pods, without a mesh.
pub fn plain(name: &'static str, replicas: u32) -> Set {
    let steps = json!([{"setWeight": 25}, {"pause": {"duration": "5s"}}]);
    let rollout = rollout(name, replicas, json!({"canary": {"steps": steps}}));
    Set { objects: vec![("rollouts", name.into(), rollout), service(name)] }
}

/// Blue-green by Service, promoted on its own.
pub fn blue_green(name: &'static str, replicas: u32) -> Set {
    let strategy = json!({"blueGreen": {"activeService": name, "previewService": format!("{name}-preview")}});
    let mut rollout = rollout(name, replicas, strategy);
    rollout["spec"]["services"] = Value::Null;
    Set { objects: vec![("rollouts", name.into(), rollout), service(name)] }
}

/// A Deployment that is adopted.
pub fn adopted(name: &'static str, replicas: u32) -> Set {
    let steps = json!([{"setWeight": 50}, {"pause": {"duration": "5s"}}]);
    let mut rollout = rollout(name, replicas, json!({"canary": {"steps": steps}}));
    let template = rollout["spec"]["template"].take();
    json_patch::merge(
        &mut rollout,
        &json!({"spec": {"template": null, "selector": null, "workloadRef": {"apiVersion": "apps/v1",
            "kind": "Deployment", "name": name}}}),
    );
    let deployment =
        json!({"spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}});
    Set { objects: vec![("deployments", name.into(), deployment), ("rollouts", name.into(), rollout), service(name)] }
}

fn rollout(name: &str, replicas: u32, strategy: Value) -> Value {
    json!({"spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "settle": "1s",
        "scaleDownDelay": "5s", "progressDeadline": "10m", "template": template(name, "shop/app:1"),
        "services": {"root": name}, "strategy": strategy}})
}

fn service(name: &str) -> (&'static str, String, Value) {
    let ports = json!([{"name": "http", "port": 80, "targetPort": "http"}]);
    ("services", name.into(), json!({"spec": {"selector": {"app": name}, "ports": ports}}))
}

fn with_mesh(name: &'static str, mut rollout: Value) -> Set {
    rollout["spec"]["traffic"] = json!([{"istio": {"virtualServices": [{"name": name}]}}]);
    let to = |suffix: &str, weight: u32| json!({"destination": {"host": format!("{name}-{suffix}")}, "weight": weight});
    let routes = json!([{"name": "primary", "route": [to("stable", 100), to("canary", 0)]}]);
    let virtual_service = json!({"spec": {"hosts": [name], "http": routes}});
    Set {
        objects: vec![
            ("virtualservices", name.into(), virtual_service),
            ("rollouts", name.into(), rollout),
            service(name),
        ],
    }
}

/// The definition of one of Istio's kinds.
pub fn definition(plural: &str, kind: &str) -> (String, Value) {
    let name = format!("{plural}.networking.istio.io");
    let version = json!({"name": "v1", "served": true, "storage": true});
    let spec = json!({"group": "networking.istio.io", "scope": "Namespaced", "versions": [version],
        "names": {"plural": plural, "kind": kind}});
    (name, json!({"spec": spec}))
}
