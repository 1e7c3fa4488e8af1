//! A Prometheus that takes two seconds for each query, as a loaded one does (C2): releases are judged by it all the same.

use crate::judged::Judged;
use crate::lane::PROMETHEUS_URL;
use crate::shop::{Shop, TWO_WEIGHTS, assert_all_well, changed};
use anyhow::{Context, Result};
use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{sleep, spawn};
use std::time::Duration;

/// What each query takes.
const SLOW: Duration = Duration::from_secs(2);
const ONE_OBSERVATION: &str = "
      - setWeight: 50
      - observe: {atLeast: 5s, atMost: 3m}
";
/// Prometheus' own answer to a query that took longer than its `timeout` parameter.
const TIMED_OUT: &str =
    r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#;

/// The lane's Prometheus behind a delay.
struct Slow {
    address: SocketAddr,
    /// The `timeout` parameters of the queries that came; `None` where there was none.
    timeouts: Arc<Mutex<Vec<Option<Duration>>>>,
}

impl Slow {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let slow = Self { address: listener.local_addr().unwrap(), timeouts: Arc::default() };
        let timeouts = Arc::clone(&slow.timeouts);
        spawn(move || {
            for client in listener.incoming().flatten() {
                let timeouts = Arc::clone(&timeouts);
                spawn(move || {
                    if let Err(error) = answer(client, &timeouts) {
                        println!("slow Prometheus: {error:#}");
                    }
                });
            }
        });
        slow
    }
}

/// One query: late, as Prometheus answers it, or with its timeout.
fn answer(mut client: TcpStream, timeouts: &Mutex<Vec<Option<Duration>>>) -> Result<()> {
    let (head, body) = request(&client)?;
    let timeout = body.split('&').find_map(|field| field.strip_prefix("timeout=")?.strip_suffix("ms")?.parse().ok());
    let timeout = timeout.map(Duration::from_millis);
    timeouts.lock().unwrap().push(timeout);
    if let Some(timeout) = timeout.filter(|timeout| *timeout < SLOW) {
        sleep(timeout);
        let length = TIMED_OUT.len();
        let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n";
        write!(client, "{head}Content-Length: {length}\r\n\r\n{TIMED_OUT}")?;
        return Ok(());
    }
    sleep(SLOW);
    let mut server = TcpStream::connect(PROMETHEUS_URL.trim_start_matches("http://"))?;
    write!(server, "{}{body}", head.replacen("\r\n", "\r\nConnection: close\r\n", 1))?;
    copy(&mut server, &mut client)?;
    Ok(())
}

/// The head of a request with its empty line, and its body.
fn request(client: &TcpStream) -> Result<(String, String)> {
    let (mut reader, mut head) = (BufReader::new(client), String::new());
    while !head.ends_with("\r\n\r\n") {
        anyhow::ensure!(reader.read_line(&mut head)? > 0, "a request broke off: {head}");
    }
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.context("a query without a body")?];
    reader.read_exact(&mut body)?;
    Ok((head, String::from_utf8(body)?))
}

#[test]
fn c2_a_release_is_promoted_by_a_prometheus_that_takes_two_seconds() {
    let slow = Slow::start();
    let own = format!("templates: [{{name: errors}}], prometheus: {{address: 'http://{}'}}", slow.address);
    let steps = [("templates: [{name: errors}]", own.as_str()), (TWO_WEIGHTS, ONE_OBSERVATION)];
    let shop = Shop::apply("slow", &changed(&Shop::yaml(), &steps));
    shop.wait_for_stable(1);
    shop.answers("v1");
    let users = shop.users();
    shop.release("v2");
    shop.wait_for_stable(2);
    assert_all_well(&users.stop().unwrap());
    assert_eq!(shop.last_outcome().0, "Promoted");
    let judged = Judged::of("slow", 2);
    assert_eq!(judged.verdict(), "Pass");
    assert!(judged.counted("canary").1 > 0, "it was judged by requests");
    let timeouts = slow.timeouts.lock().unwrap().clone();
    assert!(!timeouts.is_empty(), "nobody asked");
    assert!(timeouts.iter().flatten().all(|timeout| *timeout >= SLOW), "{timeouts:?}");
}
