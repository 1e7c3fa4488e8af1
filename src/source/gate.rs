//! Asks gates' endpoints over HTTP: by POST, in bounded time, with a bounded answer, where the policy for outbound requests
//! allows it ([`super::outbound`]).

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    outbound::{self, Denied, Outbound, Purpose, SetUpError, Trouble},
    trust,
};
use crate::ports::gate::{GateAnswer, GateAsker, GateQuestion, reading};

/// How long an endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const LARGEST: usize = 64 << 10;

/// Asks endpoints that a user's files name.
pub struct HttpGates {
    http: reqwest::Client,
    outbound: Outbound,
}

impl HttpGates {
    /// An asker under a policy.
    pub fn new(outbound: Outbound) -> Result<Self, SetUpError> {
        let http = outbound.client(trust::builder(), Purpose::Gate, TIMEOUT, None)?;
        Ok(HttpGates { http, outbound })
    }

    async fn answer(&self, namespace: &str, question: &GateQuestion) -> Result<GateAnswer, Trouble> {
        let url = self.outbound.permit(Purpose::Gate, &question.url)?;
        let sent = self.http.post(url).json(&body(namespace, question)).send().await;
        let response = sent.map_err(|error| outbound::trouble(&error))?;
        let status = response.status().as_u16();
        let read = outbound::bounded(response, LARGEST).await?;
        Ok(reading(status, &String::from_utf8_lossy(&read)))
    }
}

#[async_trait]
impl GateAsker for HttpGates {
    async fn ask(&self, namespace: &str, question: &GateQuestion) -> GateAnswer {
        self.answer(namespace, question).await.unwrap_or_else(|trouble| GateAnswer::Unclear(told(&trouble)))
    }
}

/// Why there is no answer, without the address, which may hold a token.
fn told(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Silent => format!("it did not respond within {}s", TIMEOUT.as_secs()),
        Trouble::Denied(Denied::NoSuchHost)
        | Trouble::ConnectionRefused
        | Trouble::Broken
        | Trouble::Certificate(_) => {
            format!("it cannot be reached: {trouble}")
        }
        Trouble::Denied(_) | Trouble::TooLong(_) => trouble.to_string(),
    }
}

/// The body of the request.
fn body(namespace: &str, question: &GateQuestion) -> Value {
    json!({
        "gate": question.gate,
        "namespace": namespace,
        "rollout": question.rollout,
        "revision": question.revision,
        "images": question.images,
        "step": question.step + 1,
        "attempt": question.attempt,
        "asked": question.number,
        "key": question.key,
    })
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
