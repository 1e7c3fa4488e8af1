//! How long a weight takes from the API server to the requests, with Istio's control plane and Envoy: for a VirtualService and
//! for an HTTPRoute. And that a release which takes the place of another one costs no request by an HTTPRoute either.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::lane;
use crate::load::Load;
use crate::programs::find;
use crate::say::say;
use crate::shop::{Shop, TWO_WEIGHTS, assert_all_well, changed};

const ISTIO: &str = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
const ANALYSIS: &str = "  analysis: {templates: [{name: errors}]}\n";
const HALF: &str = "
      - setWeight: 50
      - pause: {}
";
const HTTP_ROUTE: &str = "
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: NAMESPACE}
spec:
  parentRefs: [{group: '', kind: Service, name: web, port: 80}]
  rules:
  - backendRefs: [{name: web-stable, port: 80, weight: 1}, {name: web-canary, port: 80, weight: 0}]
";
/// Requests a second: one in 2 ms is fine enough for what is measured.
const USERS: f64 = 1000.0;
/// A share is seen in so many answers.
const PIECE: u64 = 100;
/// Glidepath settles for ten seconds before it relies on a weight of Istio's.
const LONGEST: Duration = Duration::from_secs(5);

/// Tells when an object changes, with what a JSONPath finds in it.
struct Changes {
    kubectl: Child,
    lines: Receiver<(Instant, String)>,
}

impl Changes {
    fn of(namespace: &str, kind: &str, path: &str) -> Self {
        let mut command = lane().command(find("kubectl").unwrap());
        command.args(["get", kind, "web", "-n", namespace, "--watch", "-o"]).arg(format!("jsonpath={path}{{\"\\n\"}}"));
        let mut kubectl = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(kubectl.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                drop(sender.send((Instant::now(), line)));
            }
        });
        Self { kubectl, lines }
    }

    /// When it came to say this.
    fn until(&self, wanted: &str) -> Instant {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let (at, line) = self.lines.recv_timeout(left).unwrap_or_else(|_| panic!("it never said {wanted}"));
            if line == wanted {
                return at;
            }
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let _ = self.kubectl.kill();
        let _ = self.kubectl.wait();
    }
}

/// Measures the way of 50 % to the requests, and says it.
fn measure(what: &str, shop: &Shop, users: &Load, changes: &Changes, half: &str) {
    shop.release("v2");
    let written = changes.until(half);
    let (mut first, mut seen) = (None, users.tally());
    loop {
        let now = users.tally();
        if first.is_none() && now.of("v2") > 0 {
            first = Some(written.elapsed());
        }
        let piece = (now.answers() - seen.answers(), now.of("v2") - seen.of("v2"));
        // 30 % of a hundred answers are four standard deviations below a half.
        if piece.0 >= PIECE {
            if piece.1 * 10 >= piece.0 * 3 {
                break;
            }
            seen = now;
        }
        assert!(written.elapsed() < LONGEST, "{what}: not within {LONGEST:?}: {:?}", users.tally());
        std::thread::sleep(Duration::from_millis(2));
    }
    let (first, share) = (first.unwrap_or_default(), written.elapsed());
    say(format_args!(
        "{what}: 50 % written, first answer of the canary after {first:.0?}, its share seen after {share:.0?} (among {PIECE} answers)"
    ));
}

fn open(namespace: &'static str, yaml: &str) -> (Shop, Load) {
    let shop = Shop::apply(namespace, yaml);
    shop.wait_for_stable(1);
    shop.answers("v1");
    let users = Load::start(&format!("web.{namespace}"), USERS);
    (shop, users)
}

#[test]
fn a_weight_of_a_virtual_service_is_soon_seen_in_the_requests() {
    let yaml = changed(&Shop::yaml(), &[(ANALYSIS, ""), (TWO_WEIGHTS, HALF)]);
    let (shop, users) = open("propagation", &yaml);
    let changes = Changes::of("propagation", "virtualservice.networking.istio.io", "{.spec.http[0].route[*].weight}");
    measure("VirtualService", &shop, &users, &changes, "50 50");
    assert_all_well(&users.stop().unwrap());
}

#[test]
fn a_weight_of_an_http_route_is_soon_seen_and_a_newer_version_loses_no_request() {
    let changes = [(ISTIO, "  - gateway: {routes: [{name: web}]}\n"), (ANALYSIS, ""), (TWO_WEIGHTS, HALF)];
    let yaml = changed(&(Shop::yaml_without("VirtualService") + HTTP_ROUTE), &changes);
    let (shop, users) = open("propagation-gateway", &yaml);
    let changes = Changes::of("propagation-gateway", "httproute", "{.spec.rules[0].backendRefs[*].weight}");
    measure("HTTPRoute", &shop, &users, &changes, "1 1");
    drop(changes);
    shop.wait_for_pause(1);
    shop.release("v3");
    let status = shop.wait("v3 to take the place of v2", |status| {
        status["currentRevision"]["number"] == 3 && status["phase"] == "Paused" && status["stepIndex"] == 1
    });
    assert_eq!(status["stableRevision"]["number"], 1, "{status:#}");
    shop.glidepath(&["promote", "web", "--full"]).unwrap();
    shop.wait_for_stable(3);
    shop.answers("v3");
    let tally = users.stop().unwrap();
    assert_all_well(&tally);
    assert!(["v1", "v2", "v3"].iter().all(|version| tally.of(version) > 0), "{tally:?}");
    let history = shop.status()["history"].take();
    let outcomes: Vec<_> = history.as_array().unwrap().iter().map(|entry| entry["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["Promoted", "Superseded", "Promoted"], "newest first");
}
