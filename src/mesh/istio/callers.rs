//! Who called a Service, from the metrics of its pods' proxies.
//!
//! Source: istio.io/latest/docs/reference/config/metrics. The receiving proxy knows the caller's identity (`source_principal`)
//! and whether it used mutual TLS (`connection_security_policy`). No metric has the port, the path or the method.

use jiff::Timestamp;

use crate::mesh::{
    check::{Caller, CallerQuery, Identity},
    facts::Service,
};

/// What is known of a caller, as the parts of the joined label.
const LABELS: [&str; 4] =
    ["source_workload_namespace", "source_workload", "source_principal", "connection_security_policy"];

/// The counters of requests and of connections that were admitted. A denied request has the status 403 and the flag UAEX or
/// RBAC's; 403 of the application itself is left out too, which only makes the count smaller.
const COUNTERS: [(&str, &str, bool); 2] = [
    ("istio_requests_total", ",response_code!=\"403\",grpc_response_status!=\"7\"", true),
    ("istio_tcp_connections_opened_total", "", false),
];
/// Requests that were denied: with 403, and those of gRPC with PERMISSION_DENIED (7), as which their proxy answers.
const DENIED: [&str; 2] = [",response_code=\"403\"", ",grpc_response_status=\"7\",response_code!=\"403\""];

/// What asks for the callers of a Service in the seconds before now: their counts, and when they called last.
pub(super) fn queries(service: &Service, seconds: u64) -> Vec<CallerQuery> {
    let by = LABELS.join(",");
    let query = |(counter, admitted, is_http): (&str, &str, bool)| {
        let series = series(service, counter, admitted);
        let recent = format!("(timestamp(sum by ({by}) (rate({series}[5m])) > 0))");
        let step = (seconds / 60).clamp(15, 300);
        let last = format!("({recent} or max_over_time({recent}[{seconds}s:{step}s]))");
        CallerQuery { counts: arm(&counted(&series, seconds)), last_seen: arm(&last), is_http }
    };
    COUNTERS.into_iter().map(query).collect()
}

/// The same for those that were denied; when is not asked.
pub(super) fn denials(service: &Service, seconds: u64) -> Vec<CallerQuery> {
    let query = |denied: &str| {
        let series = series(service, "istio_requests_total", denied);
        CallerQuery { counts: arm(&exactly(&series, seconds)), last_seen: String::new(), is_http: true }
    };
    DENIED.into_iter().map(query).collect()
}

fn series(service: &Service, counter: &str, selected: &str) -> String {
    let Service { name, namespace, .. } = service;
    format!(
        "{counter}{{reporter=\"destination\",destination_service_namespace=\"{namespace}\",\
         destination_service_name=\"{name}\"{selected}}}"
    )
}

/// How many of each caller. A series that began in the window has counted from 0, which `increase` does not know: a caller with
/// one request.
fn counted(series: &str, seconds: u64) -> String {
    let by = LABELS.join(",");
    let born = format!("(last_over_time({series}[{seconds}s]) unless {series} offset {seconds}s)");
    format!("(sum by ({by}) ({born} or increase({series}[{seconds}s])) > 0)")
}

/// The same without `increase`, which extrapolates: two denials must not be taken for three. A counter that is lower than before
/// began anew.
fn exactly(series: &str, seconds: u64) -> String {
    let by = LABELS.join(",");
    let born = format!("(last_over_time({series}[{seconds}s]) unless {series} offset {seconds}s)");
    let more = format!("({series} - {series} offset {seconds}s >= 0)");
    format!("(sum by ({by}) ({born} or {more} or {series}) > 0)")
}

fn arm(inner: &str) -> String {
    let joined = LABELS.map(|label| format!("\"{label}\"")).join(",");
    format!("label_join({inner},\"arm\",\"|\",{joined})")
}

/// A caller of the joined label.
pub(super) fn read(label: &str, count: f64, last_seen: Option<Timestamp>, is_http: bool) -> Option<Caller> {
    let mut parts = label.split('|');
    let (namespace, workload, principal, policy) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known = |text: &str| !text.is_empty() && text != "unknown";
    let workload = if is_known(workload) { format!("{namespace}/{workload}") } else { String::new() };
    let is_mutual = policy == "mutual_tls";
    let identity = Identity::of(principal).filter(|_| is_mutual);
    Some(Caller { workload, identity, is_mutual, address: None, port: None, is_http, count, last_seen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_read_from_its_labels() {
        let web = read("shop|web|spiffe://cluster.local/ns/shop/sa/front|mutual_tls", 12.0, None, true).unwrap();
        assert_eq!(web.to_string(), "shop/web as ServiceAccount shop/front");
        let outside = read("unknown|unknown|unknown|none", 3.0, None, true).unwrap();
        assert_eq!((outside.to_string().as_str(), outside.is_mutual), ("an unknown workload in plaintext", false));
        assert_eq!(read("shop|web", 1.0, None, true), None);
    }
}
