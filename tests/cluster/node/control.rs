//! The harness's own address: what every pod, present or gone, has counted. Tests ask here instead of trusting a mesh.

use super::behaviour::Behaviour;
use super::fleet::Fleet;
use anyhow::Result;
use axum::extract::{Path, Query, State};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;

/// One pod as counted at the pod.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PodCount {
    pub namespace: String,
    pub pod: String,
    /// The name of its controller: the ReplicaSet.
    pub workload: String,
    pub version: String,
    /// Empty until the pod has started.
    pub address: String,
    pub ready: bool,
    pub gone: bool,
    pub requests: u64,
    /// Answers of 500 and above.
    pub errors: u64,
    pub codes: BTreeMap<u16, u64>,
}

#[derive(Deserialize)]
struct Which {
    namespace: Option<String>,
}

/// `GET /ready` once the pods were listed; `GET /counts[?namespace=NAME]`; `PUT /behaviour/NAMESPACE`.
pub async fn serve(listener: TcpListener, fleet: Arc<Fleet>) -> Result<()> {
    let routes = Router::new().route("/ready", get(ready)).route("/counts", get(counts));
    let routes = routes.route("/behaviour/{namespace}", put(behave)).with_state(fleet);
    Ok(axum::serve(listener, routes).await?)
}

async fn ready(State(fleet): State<Arc<Fleet>>) -> (axum::http::StatusCode, &'static str) {
    if fleet.listed() {
        (axum::http::StatusCode::OK, "ready\n")
    } else {
        (axum::http::StatusCode::SERVICE_UNAVAILABLE, "the pods are not listed yet\n")
    }
}

async fn counts(State(fleet): State<Arc<Fleet>>, Query(which): Query<Which>) -> Json<Vec<PodCount>> {
    Json(fleet.counts(which.namespace.as_deref()))
}

async fn behave(State(fleet): State<Arc<Fleet>>, Path(namespace): Path<String>, Json(behaviour): Json<Behaviour>) {
    fleet.told.tell(namespace, behaviour);
}
