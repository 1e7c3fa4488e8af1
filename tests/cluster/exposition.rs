//! A page of metrics in Prometheus' protobuf format, the only one that has native histograms: two pods of a service whose
//! response times are counted here, so that a test knows every number.
//!
//! Source of the fields: `io/prometheus/client/metrics.proto` of prometheus/client_model, "native histograms" included.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

/// Buckets per doubling: 2^schema.
const SCHEMA: i32 = 3;
const TYPE: &str = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// What one pod has served.
#[derive(Clone, Debug, Default)]
pub struct Served {
    /// The requests by bucket index: those in (2^((i-1)/8), 2^(i/8)] seconds.
    buckets: std::collections::BTreeMap<i32, u64>,
    pub requests: u64,
    /// The requests that took longer than a quarter of a second, which is a bound of the schema.
    pub slow: u64,
    sum: f64,
}

impl Served {
    pub fn add(&mut self, seconds: f64) {
        let index = (seconds.log2() * f64::from(1 << SCHEMA)).ceil() as i32;
        *self.buckets.entry(index).or_default() += 1;
        self.requests += 1;
        self.slow += u64::from(seconds > 0.25);
        self.sum += seconds;
    }

    /// `http_requests_total` and the native histogram `http_request_duration_seconds`.
    fn page(&self) -> Vec<u8> {
        let counter = [label("code", "200"), field(3, &double(1, self.requests as f64))].concat();
        let requests = family("http_requests_total", 0, &counter);
        let times = family("http_request_duration_seconds", 4, &field(7, &self.histogram()));
        [delimited(&requests), delimited(&times)].concat()
    }

    fn histogram(&self) -> Vec<u8> {
        let mut out = [number(1, self.requests), double(2, self.sum), number(5, zigzag(i64::from(SCHEMA)))].concat();
        out.extend([double(6, 1e-9), number(7, 0)].concat());
        let (mut last, mut before) = (None, 0);
        for index in self.buckets.keys() {
            // Each bucket is a span of its own; the offset is from the end of the span before.
            let offset = i64::from(*index) - last.map_or(0, |last: i32| i64::from(last) + 1);
            out.extend(field(12, &[number(1, zigzag(offset)), number(2, 1)].concat()));
            last = Some(*index);
        }
        for count in self.buckets.values() {
            out.extend(number(13, zigzag(*count as i64 - before)));
            before = *count as i64;
        }
        out
    }
}

/// Serves what a pod has served, until the process ends. Its metrics are for scrapers that take protobuf.
pub fn serve(served: Arc<Mutex<Served>>) -> SocketAddr {
    serve_page(TYPE, move || served.lock().unwrap_or_else(PoisonError::into_inner).page())
}

/// Serves a page of metrics, until the process ends.
pub fn serve_page(content_type: &'static str, page: impl Fn() -> Vec<u8> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            if stream.read(&mut request).is_err() {
                continue;
            }
            let page = page();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                page.len()
            );
            // A scrape that broke off is followed by the next.
            let _ = stream.write_all(&[head.into_bytes(), page].concat());
        }
    });
    address
}

fn family(name: &str, kind: u64, metric: &[u8]) -> Vec<u8> {
    [field(1, name.as_bytes()), number(3, kind), field(4, metric)].concat()
}

fn label(name: &str, value: &str) -> Vec<u8> {
    field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat())
}

fn delimited(message: &[u8]) -> Vec<u8> {
    [varint(message.len() as u64), message.to_vec()].concat()
}

/// A field with a message or a text.
fn field(number: u64, content: &[u8]) -> Vec<u8> {
    [varint(number << 3 | 2), delimited(content)].concat()
}

fn number(number: u64, value: u64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn double(number: u64, value: f64) -> Vec<u8> {
    [varint(number << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}
