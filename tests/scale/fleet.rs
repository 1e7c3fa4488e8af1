//! The Rollouts of a fleet: created, and given another image, all at once.

use super::workload::Workload;
use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use glidepath::api::Rollout;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};

/// A fleet lives in so many namespaces.
const NAMESPACES: usize = 10;
/// Requests of ours in flight at most.
const CALLS: usize = 32;

pub struct Fleet {
    pub client: Client,
    pub workload: Workload,
}

impl Fleet {
    /// Namespace and name of every Rollout.
    pub fn keys(&self) -> Vec<(String, String)> {
        (0..self.workload.rollouts).map(|n| (format!("fleet-{}", n % NAMESPACES), format!("web-{n:04}"))).collect()
    }

    /// Creates everything, as users would have it before the controller sees it.
    pub async fn create(&self) -> Result<()> {
        for n in 0..NAMESPACES.min(self.workload.rollouts) {
            let namespace = serde_json::from_value(json!({"metadata": {"name": format!("fleet-{n}")}}))?;
            Api::<Namespace>::all(self.client.clone()).create(&PostParams::default(), &namespace).await?;
        }
        self.each(|namespace, name| async move {
            if self.workload.mesh {
                self.create_mesh(&namespace, &name).await?;
            }
            let rollout = serde_json::from_value(rollout(&name, &self.workload))?;
            self.rollouts_in(&namespace).create(&PostParams::default(), &rollout).await?;
            Ok(())
        })
        .await
        .context("cannot create the fleet")
    }

    /// The Services of a Rollout and its routes.
    async fn create_mesh(&self, namespace: &str, name: &str) -> Result<()> {
        let [stable, canary] = targets(name);
        for target in [name, &stable, &canary] {
            let service = serde_json::from_value(service(target, name))?;
            let services: Api<Service> = Api::namespaced(self.client.clone(), namespace);
            services.create(&PostParams::default(), &service).await?;
        }
        let virtual_services = GroupVersionKind::gvk("networking.istio.io", "v1", "VirtualService");
        self.create_route(&virtual_services, namespace, virtual_service(name)).await?;
        if self.workload.ingress {
            let http_routes = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
            self.create_route(&http_routes, namespace, http_route(name)).await?;
        }
        Ok(())
    }

    async fn create_route(&self, kind: &GroupVersionKind, namespace: &str, route: Value) -> Result<()> {
        let kind = ApiResource::from_gvk(kind);
        let routes: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &kind);
        routes.create(&PostParams::default(), &serde_json::from_value(route)?).await?;
        Ok(())
    }

    /// Gives all of them the image of this version.
    pub async fn update(&self, version: u32) -> Result<()> {
        let image =
            json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image(version)}]);
        let patch: &Patch<Rollout> = &Patch::Json(serde_json::from_value(image)?);
        self.each(|namespace, name| async move {
            self.rollouts_in(&namespace).patch(&name, &PatchParams::default(), patch).await?;
            Ok(())
        })
        .await
        .context("cannot change the images")
    }

    async fn each<F: Future<Output = Result<()>>>(&self, work: impl Fn(String, String) -> F) -> Result<()> {
        stream::iter(self.keys())
            .map(|(namespace, name)| work(namespace, name))
            .buffer_unordered(CALLS)
            .try_collect::<Vec<()>>()
            .await
            .map(drop)
    }

    fn rollouts_in(&self, namespace: &str) -> Api<Rollout> {
        Api::namespaced(self.client.clone(), namespace)
    }
}

fn image(version: u32) -> String {
    format!("registry.example/web:{version}")
}

/// Two weights with a pause after each.
fn rollout(name: &str, workload: &Workload) -> Value {
    let pause = json!({"pause": {"duration": format!("{}s", workload.pause())}});
    let mut rollout = json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
        "spec": {
            "replicas": workload.replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name),
            "strategy": {"canary": {"steps": [{"setWeight": 20}, pause, {"setWeight": 60}, pause]}},
        },
    });
    if workload.mesh {
        let [stable, canary] = targets(name);
        rollout["spec"]["services"] = json!({"root": name, "stable": stable, "canary": canary});
        let mut traffic = vec![json!({"istio": {"virtualServices": [{"name": name, "routes": ["primary"]}]}})];
        if workload.ingress {
            traffic.push(json!({"gateway": {"routes": [{"name": name}]}}));
        }
        rollout["spec"]["traffic"] = traffic.into();
    }
    if let Some((settle, scale_down)) = workload.delays() {
        rollout["spec"]["settle"] = settle.into();
        rollout["spec"]["scaleDownDelay"] = scale_down.into();
    }
    rollout
}

/// Each Rollout's own pod template, of the size that such templates have.
fn template(name: &str) -> Value {
    let setting = |n: usize| json!({"name": format!("SETTING_{n}"), "value": format!("value-{n}-of-{name}")});
    json!({
        "metadata": {
            "labels": {"app": name, "team": "t1", "tier": "web"},
            "annotations": {"example.com/owner": "team-one"},
        },
        "spec": {"containers": [{
            "name": "app", "image": image(1), "env": (0..8).map(setting).collect::<Vec<_>>(),
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        }]},
    })
}

fn targets(name: &str) -> [String; 2] {
    ["stable", "canary"].map(|target| format!("{name}-{target}"))
}

fn service(name: &str, app: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "selector": {"app": app}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
    }})
}

fn virtual_service(name: &str) -> Value {
    let [stable, canary] = targets(name);
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": name},
        "spec": {"hosts": [name], "http": [{"name": "primary", "route": [
            {"destination": {"host": stable}, "weight": 100}, {"destination": {"host": canary}, "weight": 0},
        ]}]},
    })
}

/// A route of a Gateway that no controller answers for.
fn http_route(name: &str) -> Value {
    let [stable, canary] = targets(name);
    let backends = json!([{"name": stable, "port": 80, "weight": 1}, {"name": canary, "port": 80, "weight": 0}]);
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways", "sectionName": "https"}],
            "hostnames": [format!("{name}.example.com")],
            "rules": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": backends}],
        },
    })
}
