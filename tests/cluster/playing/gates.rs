//! The endpoints that gates ask: one server of this process, which answers each path as its scenario says, by the time
//! since that scenario began.

use ::glidepath::api::Rollout;
use ::glidepath::sim::scenario::{GateSpec, Scenario};
use anyhow::Result;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::net::TcpListener;

/// Where gates of scenarios for real clusters are asked. A lane has its network to itself, so the port is free.
pub const HOME: &str = "http://127.0.0.1:18199/";
const ADDRESS: &str = "127.0.0.1:18199";

/// The path of a gate's address, if it is one of ours.
pub fn path_of(url: &str) -> Option<&str> {
    url.strip_prefix(HOME)
}

struct Schedule {
    began: Instant,
    answers: Vec<GateSpec>,
}

/// Who asks, and where: the namespace, which every question names, and the path.
type Asked = (String, String);

/// What is answered.
#[derive(Clone, Default)]
pub struct Gates(Arc<Mutex<HashMap<Asked, Schedule>>>);

impl Gates {
    /// Listens for as long as the runtime lives.
    pub async fn open() -> Result<Self> {
        let gates = Self::default();
        let (own, listener) = (gates.clone(), TcpListener::bind(ADDRESS).await?);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let own = own.clone();
                let service = hyper::service::service_fn(move |request| own.clone().answer(request));
                // A gate that does not answer ends its connection, which is an error here.
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Ok(gates)
    }

    /// Answers for a scenario from its beginning on.
    pub fn begin(&self, namespace: &str, scenario: &Scenario, rollout: &Rollout, began: Instant) {
        let steps = rollout.spec.strategy.steps();
        for gate in steps.iter().filter_map(|step| step.gate.as_ref()) {
            let answers = scenario.world.gates.get(&gate.name).cloned().unwrap_or_default();
            if let Some(path) = gate.url.as_deref().and_then(path_of) {
                self.lock().insert((namespace.to_owned(), path.to_owned()), Schedule { began, answers });
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Asked, Schedule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let question: Value = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
        let asked = (question["namespace"].as_str().unwrap_or_default().to_owned(), path);
        let now = {
            let schedules = self.lock();
            schedules.get(&asked).and_then(|schedule| {
                let past = |answer: &&GateSpec| answer.at.get() <= schedule.began.elapsed();
                schedule.answers.iter().rfind(past).cloned()
            })
        };
        let now = now.ok_or_else(|| anyhow::anyhow!("this gate does not answer yet"))?;
        let body = match now.body {
            None => String::new(),
            Some(Value::String(text)) => text,
            Some(value) => value.to_string(),
        };
        Ok(Response::builder().status(now.status).body(Full::from(body))?)
    }
}
