//! The protocol of a service: Consul routes and splits http, http2 and grpc, and refuses the entries of any other.

use serde_json::Value;

use super::{error::ConsulError, service::ConsulService};

/// What Consul can split.
const SPLIT: [&str; 3] = ["http", "http2", "grpc"];

/// What the service's own defaults say, else those of all proxies; none where neither says anything, which Consul takes for
/// tcp.
pub fn protocol<'o>(
    service: &ConsulService,
    service_defaults: Option<&'o Value>,
    proxy_defaults: Option<&'o Value>,
) -> Option<&'o str> {
    let spelling = &service.spelling;
    let own = service_defaults.and_then(|entry| spelling.text(spelling.body(entry), "protocol"));
    own.or_else(|| {
        // Proxies read the keys of `config` as they are, in both spellings.
        let config = spelling.field(spelling.body(proxy_defaults?), "config");
        config["protocol"].as_str().filter(|protocol| !protocol.is_empty())
    })
}

/// Why Consul does not split a service of this protocol.
pub fn refusal(service: &ConsulService, protocol: Option<&str>) -> Option<ConsulError> {
    if protocol.is_some_and(|protocol| SPLIT.contains(&protocol.to_ascii_lowercase().as_str())) {
        return None;
    }
    let found = protocol.map_or_else(|| "not set, which is tcp".to_owned(), |protocol| format!("`{protocol}`"));
    Some(ConsulError::Protocol { service: service.name.clone(), found })
}
