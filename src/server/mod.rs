//! The controller's own HTTP: `/livez`, `/readyz`, `/metrics`.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};

pub use crate::metrics::Metrics;

use crate::{
    cluster::{Cluster, Streams},
    metrics::Scrape,
};

/// What is said of a queue of work.
pub trait Backlog: Send + Sync {
    /// How many keys wait or run.
    fn depth(&self) -> usize;
    /// How long the oldest key waits that is due: for its turn, or for the end of its own work.
    fn oldest_due_age(&self) -> Duration;
}

/// The state that the endpoints report.
#[derive(Clone)]
pub struct Pages {
    /// The watch streams.
    pub streams: Streams,
    /// The tables.
    pub cluster: Arc<Cluster>,
    /// The work on Rollouts.
    pub rollouts: Arc<dyn Backlog>,
    /// The work on AnalysisRuns.
    pub runs: Arc<dyn Backlog>,
    /// Our own metrics.
    pub metrics: Metrics,
}

/// Serves until `stop`. The address is taken before this returns its future's first answer.
pub async fn serve(
    listen: SocketAddr,
    pages: Pages,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind(listen).await?;
    tracing::info!(address = %listener.local_addr()?, "serving /livez, /readyz and /metrics");
    axum::serve(listener, routes(pages)).with_graceful_shutdown(stop).await
}

fn routes(pages: Pages) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages)
}

/// This answer proves the event loop; the streams prove that requests still reach the API server. It fails only when a new
/// process may do better.
async fn livez(State(pages): State<Pages>) -> impl IntoResponse {
    verdict("no response from the API server for ten minutes", &pages.streams.dead())
}

async fn readyz(State(pages): State<Pages>) -> impl IntoResponse {
    verdict("not listed yet", &pages.streams.unsynced())
}

fn verdict(complaint: &str, kinds: &[String]) -> (StatusCode, String) {
    if kinds.is_empty() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("{complaint}: {}\n", kinds.join(", ")))
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let mut rollouts: BTreeMap<(String, String), i64> = BTreeMap::new();
    for entry in pages.cluster.tables().rollouts.all() {
        let phase = match (entry.value.fault(), entry.value.phase) {
            (Some(fault), _) => fault.reason.to_string(),
            (_, Some(phase)) => format!("{phase:?}"),
            (_, None) => "Unknown".to_owned(),
        };
        *rollouts.entry((phase, entry.key.namespace.clone())).or_default() += 1;
    }
    let text = pages.metrics.text(&Scrape {
        rollouts,
        queue: pages.rollouts.depth(),
        oldest_due: vec![("Rollout", pages.rollouts.oldest_due_age()), ("AnalysisRun", pages.runs.oldest_due_age())],
        watch_ages: pages.streams.ages(),
        silences: pages.streams.torn(),
    });
    ([("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
