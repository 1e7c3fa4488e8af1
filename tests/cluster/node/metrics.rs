//! What a pod counted, and its /metrics page: the application's own metrics and those an Istio sidecar's inbound side
//! would expose, both from the same real requests.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// Upper bounds of the latency histogram, in milliseconds. The application's histogram has the same ones in seconds.
const BOUNDS_MS: [f64; 12] = [0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 10000.0];

/// Requests by the service the caller named and by response code.
#[derive(Default)]
pub struct Counts {
    cells: BTreeMap<(String, u16), Cell>,
}

#[derive(Default, Clone)]
struct Cell {
    requests: u64,
    sum_ms: f64,
    buckets: [u64; BOUNDS_MS.len()],
}

impl Cell {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.sum_ms += other.sum_ms;
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += theirs;
        }
    }
}

/// The labels that say whose metrics these are.
pub struct Owner<'a> {
    pub namespace: &'a str,
    /// The ReplicaSet's name, as Istio names the workload here.
    pub workload: &'a str,
}

impl Counts {
    pub fn record(&mut self, service: &str, code: u16, took: Duration) {
        let took_ms = took.as_secs_f64() * 1000.0;
        let cell = self.cells.entry((service.to_owned(), code)).or_default();
        cell.requests += 1;
        cell.sum_ms += took_ms;
        for (count, bound) in cell.buckets.iter_mut().zip(BOUNDS_MS) {
            *count += u64::from(took_ms <= bound);
        }
    }

    /// Requests by response code.
    pub fn codes(&self) -> BTreeMap<u16, u64> {
        let mut codes = BTreeMap::new();
        for ((_, code), cell) in &self.cells {
            *codes.entry(*code).or_default() += cell.requests;
        }
        codes
    }

    /// The page in Prometheus' text format.
    pub fn page(&self, owner: &Owner<'_>) -> String {
        let mut page = String::with_capacity(2048);
        self.application(&mut page);
        self.sidecar(&mut page, owner);
        page
    }

    fn application(&self, page: &mut String) {
        page.push_str("# TYPE http_requests_total counter\n");
        for (code, requests) in self.codes() {
            line(page, format_args!("http_requests_total{{code=\"{code}\"}} {requests}"));
        }
        page.push_str("# TYPE http_request_duration_seconds histogram\n");
        let mut all = Cell::default();
        self.cells.values().for_each(|cell| all.add(cell));
        histogram(page, "http_request_duration_seconds", "", &all, 1000.0);
    }

    fn sidecar(&self, page: &mut String, owner: &Owner<'_>) {
        let labels = |service: &str, code: u16| {
            let Owner { namespace, workload } = owner;
            format!(
                "reporter=\"destination\",destination_workload=\"{workload}\",destination_workload_namespace=\"{namespace}\",\
                 destination_service_name=\"{service}\",destination_service_namespace=\"{namespace}\",\
                 response_code=\"{code}\",response_flags=\"-\""
            )
        };
        page.push_str("# TYPE istio_requests_total counter\n");
        for ((service, code), cell) in &self.cells {
            line(page, format_args!("istio_requests_total{{{}}} {}", labels(service, *code), cell.requests));
        }
        page.push_str("# TYPE istio_request_duration_milliseconds histogram\n");
        for ((service, code), cell) in &self.cells {
            histogram(page, "istio_request_duration_milliseconds", &labels(service, *code), cell, 1.0);
        }
    }
}

fn histogram(page: &mut String, name: &str, labels: &str, cell: &Cell, per_unit: f64) {
    let comma = if labels.is_empty() { "" } else { "," };
    for (count, bound) in cell.buckets.iter().zip(BOUNDS_MS) {
        line(page, format_args!("{name}_bucket{{{labels}{comma}le=\"{}\"}} {count}", bound / per_unit));
    }
    line(page, format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", cell.requests));
    line(page, format_args!("{name}_sum{{{labels}}} {}", cell.sum_ms / per_unit));
    line(page, format_args!("{name}_count{{{labels}}} {}", cell.requests));
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{text}");
}
