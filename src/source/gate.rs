//! Asks gates' endpoints over HTTP: by POST, in bounded time, with a bounded answer, without redirects and proxies, and
//! never at the controller's own machine and its neighbours unless they are allowed (operations.md, "Security").

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use serde_json::{Value, json};

use crate::{
    api::address::refused,
    ports::gate::{GateAnswer, GateAsker, GateQuestion, reading},
};

/// How long an endpoint may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the way there may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest answer that is read, in bytes.
const LARGEST: usize = 64 << 10;

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the HTTP client for gates")]
pub struct SetUpError(#[source] reqwest::Error);

/// Asks endpoints that a user's files name.
pub struct HttpGates {
    http: reqwest::Client,
    hosts: Arc<[String]>,
}

/// Why an endpoint is not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("its address is no URL: {0}")]
    Url(String),
    #[error("{host} is not among the controller's --gate-hosts")]
    NotListed { host: String },
    #[error("{host} is {what}; the controller asks it only when --gate-hosts names it")]
    Refused { host: String, what: &'static str },
    #[error("its answer is longer than {} KiB", LARGEST >> 10)]
    TooLong,
    #[error("{0}")]
    Http(String),
}

impl HttpGates {
    /// An asker. With `hosts`, no others are asked, and these wherever their addresses lie.
    pub fn new(hosts: Vec<String>) -> Result<Self, SetUpError> {
        // An error means that this process has a provider already, which serves as well.
        drop(rustls::crypto::ring::default_provider().install_default());
        let hosts: Arc<[String]> = hosts.iter().map(|host| host.trim().to_ascii_lowercase()).collect();
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            // A proxy would look names up itself, past the guard below.
            .no_proxy()
            .dns_resolver(Arc::new(Guarded { hosts: Arc::clone(&hosts) }))
            .build()
            .map_err(SetUpError)?;
        Ok(HttpGates { http, hosts })
    }

    async fn answer(&self, namespace: &str, question: &GateQuestion) -> Result<GateAnswer, AskError> {
        let url = self.allowed(&question.url)?;
        let sent = self.http.post(url).json(&body(namespace, question)).send().await;
        let mut response = sent.map_err(|error| AskError::Http(plainly(&error)))?;
        let mut read = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| AskError::Http(plainly(&error)))? {
            read.extend_from_slice(&part);
            if read.len() > LARGEST {
                return Err(AskError::TooLong);
            }
        }
        Ok(reading(response.status().as_u16(), &String::from_utf8_lossy(&read)))
    }

    /// The URL, if its host may be asked as far as its text tells; names are looked at again when they are resolved.
    fn allowed(&self, text: &str) -> Result<Url, AskError> {
        let url = Url::parse(text).map_err(|error| AskError::Url(error.to_string()))?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        if self.hosts.contains(&host) {
            return Ok(url);
        }
        if !self.hosts.is_empty() {
            return Err(AskError::NotListed { host });
        }
        match host.parse::<IpAddr>().ok().and_then(refused) {
            Some(what) => Err(AskError::Refused { host, what }),
            None => Ok(url),
        }
    }
}

#[async_trait]
impl GateAsker for HttpGates {
    async fn ask(&self, namespace: &str, question: &GateQuestion) -> GateAnswer {
        self.answer(namespace, question).await.unwrap_or_else(|error| GateAnswer::Unclear(error.to_string()))
    }
}

/// What the endpoint is told.
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

/// The innermost cause without the address, which may hold what is nobody's business.
fn plainly(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("it did not answer in {}s", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if std::ptr::eq(cause, error as &dyn std::error::Error) {
        return "it cannot be asked".to_owned();
    }
    format!("it cannot be reached: {cause}")
}

/// Looks names up, and refuses those that lead where no user's URL may.
struct Guarded {
    hosts: Arc<[String]>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let allowed = self.hosts.contains(&host);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if let Some(what) = found.iter().filter(|_| !allowed).find_map(|address| refused(address.ip())) {
                return Err(AskError::Refused { host, what }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
