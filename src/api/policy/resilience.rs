//! What limits the harm of a slow or failing pod: connection limits, breakers, retries, timeouts, rate limits, failover.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::{HumanDuration, Percent};

/// Limits and options of connections to the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Connections {
    /// The most connections of one caller's proxy to the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_connections: Option<u32>,
    /// How long to wait for a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<HumanDuration>,
    /// Probes of idle TCP connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
    /// The most requests that wait for a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_pending_requests: Option<u32>,
    /// The most requests at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_requests: Option<u32>,
    /// The most requests over one connection; 0: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub max_requests_per_connection: Option<u32>,
    /// Whether HTTP/1.1 is upgraded to HTTP/2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http2: Option<bool>,
}

/// Probes of idle TCP connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeepAlive {
    /// How long a connection is idle before the first probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<HumanDuration>,
    /// The time between probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// How many unanswered probes end the connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub probes: Option<u32>,
}

/// When a pod gets no requests for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Breaker {
    /// Values for the fields that are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<BreakerPreset>,
    /// How many errors in a row eject a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub consecutive_errors: Option<u32>,
    /// Whether only 502, 503 and 504 count as errors, and not every 5xx. Default false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_errors_only: Option<bool>,
    /// How often ejections are decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<HumanDuration>,
    /// How long a pod is ejected for the first time; it grows with each ejection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ejection_time: Option<HumanDuration>,
    /// The largest share of pods that is ejected at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ejection_percent: Option<Percent>,
    /// With fewer healthy pods than this share, nothing is ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_health_percent: Option<Percent>,
}

/// Usual circuit breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BreakerPreset {
    /// 5 errors, interval 10s, ejection 30s, at most 50 %.
    Default,
    /// 3 errors, interval 5s, ejection 60s, at most 80 %.
    Aggressive,
}

/// How requests are distributed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "has(self.hash) == (has(self.algorithm) && self.algorithm == 'Hash')",
    "algorithm Hash needs hash, and hash needs algorithm Hash"
))]
pub struct LoadBalancer {
    /// The algorithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// What of a request is hashed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
    /// How long a new pod's share grows until it is a full one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<HumanDuration>,
}

/// An algorithm of a load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// The pod with the fewest requests.
    LeastRequest,
    /// One after the other.
    RoundRobin,
    /// Any.
    Random,
    /// The same pod for the same key, while the pods stay the same.
    Hash,
}

/// The key of a hash. Exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.header), has(self.cookie), has(self.sourceIP)].exists_one(set, set)",
    "set one of header, cookie and sourceIP"
))]
pub struct Hash {
    /// The value of a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub header: Option<String>,
    /// The value of a cookie, which the proxy sets where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cookie: Option<HttpCookie>,
    /// `true`: the caller's address.
    #[serde(default, rename = "sourceIP", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = [true]))]
    pub source_ip: Option<bool>,
}

/// A cookie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct HttpCookie {
    /// Its name.
    #[schemars(length(min = 1, max = 256))]
    pub name: String,
    /// Its lifetime where the proxy sets it. Default: the browser's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<HumanDuration>,
}

/// Which failed requests are sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Values for the fields that are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<RetryPreset>,
    /// How often a request is sent again; 0: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub attempts: Option<u32>,
    /// How long each attempt may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_try: Option<HumanDuration>,
    /// What is tried again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub on: Vec<RetryOn>,
    /// The shortest time between attempts; it grows with each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<HumanDuration>,
    /// The largest share of requests that are retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Percent>,
}

/// Usual retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RetryPreset {
    /// 2 retries of requests that no pod has begun to work on: safe for every method.
    Default,
    /// 3 retries, also after 502, 503, 504 and a reset: only for requests that may be carried out twice.
    Idempotent,
}

/// What is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    /// No connection to the pod.
    ConnectFailure,
    /// HTTP/2: the pod refused the stream before it began to work on it.
    RefusedStream,
    /// The connection ended without a response.
    Reset,
    /// 502, 503, 504.
    GatewayError,
    /// Every 5xx, and a reset.
    #[serde(rename = "5xx")]
    ServerError,
    /// gRPC: CANCELLED.
    Cancelled,
    /// gRPC: DEADLINE_EXCEEDED.
    DeadlineExceeded,
    /// gRPC: RESOURCE_EXHAUSTED.
    ResourceExhausted,
    /// gRPC: UNAVAILABLE.
    Unavailable,
}

/// How long requests and connections may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// A request with all its retries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<HumanDuration>,
    /// A connection or stream without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<HumanDuration>,
}

/// How many requests each of the target's pods takes: a token bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// The number of requests in each `per`.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub requests: u32,
    /// The period.
    pub per: HumanDuration,
    /// The most requests at once after a quiet time. Default: `requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub burst: Option<u32>,
    /// The number of requests of one caller in each `per`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub per_client: Option<u32>,
}

/// Where requests of one locality go when it has no healthy pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FailoverRule {
    /// The locality that fails: a region, or a datacenter of Consul.
    #[schemars(length(min = 1, max = 253))]
    pub from: String,
    /// The one that takes over.
    #[schemars(length(min = 1, max = 253))]
    pub to: String,
}
