//! A Prometheus that takes two seconds for each query, as a loaded one does (C2): releases are judged by it all the same.

use crate::front::{self, Query, Then};
use crate::judged::Judged;
use crate::shop::{Shop, TWO_WEIGHTS, assert_all_well, changed};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
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

/// One query: late, as Prometheus answers it, or with its timeout.
fn late(query: &Query, timeouts: &Mutex<Vec<Option<Duration>>>) -> Then {
    let mut fields = query.body.split('&');
    let timeout = fields.find_map(|field| field.strip_prefix("timeout=")?.strip_suffix("ms")?.parse().ok());
    let timeout = timeout.map(Duration::from_millis);
    timeouts.lock().unwrap().push(timeout);
    match timeout.filter(|timeout| *timeout < SLOW) {
        Some(timeout) => {
            sleep(timeout);
            Then::Answer("503 Service Unavailable", TIMED_OUT)
        }
        None => {
            sleep(SLOW);
            Then::Pass
        }
    }
}

#[test]
fn c2_a_release_is_promoted_by_a_prometheus_that_takes_two_seconds() {
    // The `timeout` parameters of the queries that came; `None` where there was none.
    let timeouts: Arc<Mutex<Vec<Option<Duration>>>> = Arc::default();
    let came = Arc::clone(&timeouts);
    let slow = front::start(move |query| late(query, &came));
    let own = format!("templates: [{{name: errors}}], prometheus: {{address: 'http://{slow}'}}");
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
    let timeouts = timeouts.lock().unwrap().clone();
    assert!(!timeouts.is_empty(), "nobody asked");
    assert!(timeouts.iter().flatten().all(|timeout| *timeout >= SLOW), "{timeouts:?}");
}
