//! A fault as `mesh render` prints it, on the real istiod and a stock Envoy as the target's inbound proxy (rules F1 and F3): its
//! shares, what callers cannot do to it, and its end while the control plane is gone. And what the API server holds of a MeshFault.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant, SystemTime};

use crate::component::Component;
use crate::http::{get, get_ok};
use crate::limits::binomial_999;
use crate::obtain::output;
use crate::programs::find;
use crate::say::say;
use crate::server::Server;
use crate::shop::changed;
use crate::wait::wait_until;
use crate::{glidepath, kubectl, lane};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);
/// The inbound listener of the target.
const INBOUND: &str = "127.0.0.1:19080";
const TARGET: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: faults}
---
apiVersion: v1
kind: Service
metadata: {name: payment, namespace: faults}
spec: {selector: {app: payment}, ports: [{name: http, port: 80, targetPort: 19080}]}
";
/// An inbound listener without iptables: the Sidecar says where it is and where the pod listens. It has no outbound ones, which would
/// be at the ports of the mesh client, and no certificates.
const SIDECAR: &str = "
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: payment, namespace: faults}
spec:
  workloadSelector: {labels: {app: payment}}
  ingress: [{port: {number: 19080, protocol: HTTP, name: http}, bind: 127.0.0.1, defaultEndpoint: '127.0.0.1:PORT'}]
  egress: [{hosts: ['~/*']}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: faults}
spec: {mtls: {mode: DISABLE}}
";
const DELAY: Duration = Duration::from_secs(1);
/// A proxy's timer may fire so much early: its loop looks at the clock now and then.
const EARLY: Duration = Duration::from_millis(100);
const ABORT: u16 = 418;
const FAULT: &str = "
---
apiVersion: glidepath.dev/v1alpha1
kind: MeshFault
metadata: {name: slow, namespace: faults}
spec:
  target: {service: payment}
  delay: {fixed: 1s, share: 10%}
  abort: {status: 418, share: 20%}
  duration: 25s
  guard: {none: true}
";
const REQUESTS: u64 = 1500;
const CALLERS: u64 = 32;
/// What a caller would do to itself and to others.
const FOREIGN: [(&str, &str); 6] = [
    ("x-envoy-fault-delay-request", "9000"),
    ("x-envoy-fault-delay-request-percentage", "0"),
    ("x-envoy-fault-abort-request", "599"),
    ("x-envoy-fault-abort-request-percentage", "0"),
    ("x-envoy-fault-abort-grpc-request", "5"),
    ("x-envoy-fault-throughput-response", "1"),
];

/// The pod's program: what it was asked, and how often with a fault header.
#[derive(Default)]
struct Application {
    requests: AtomicU64,
    with_header: AtomicU64,
}

impl Application {
    fn start() -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (own, address) = (Arc::<Self>::default(), listener.local_addr().unwrap());
        let counted = Arc::clone(&own);
        spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                spawn(move || counted.answer(stream));
            }
        });
        (own, address)
    }

    fn answer(&self, mut stream: TcpStream) {
        let (mut head, mut piece) = (Vec::new(), [0; 4096]);
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut piece) {
                Ok(size) if size > 0 => head.extend_from_slice(&piece[..size]),
                _ => return,
            }
        }
        self.requests.fetch_add(1, Relaxed);
        let has_header = String::from_utf8_lossy(&head).to_ascii_lowercase().contains("x-envoy-fault");
        self.with_header.fetch_add(u64::from(has_header), Relaxed);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    }
}

/// An answer, and how long it took.
struct Answer {
    begun: SystemTime,
    status: u16,
    took: Duration,
}

fn ask(headers: &[(&str, &str)]) -> Answer {
    let (begun, clock) = (SystemTime::now(), Instant::now());
    let headers = [headers, &[("Host", "payment.faults")]].concat();
    let reply = get(&format!("http://{INBOUND}/"), &headers).unwrap();
    Answer { begun, status: reply.status, took: clock.elapsed() }
}

/// Asks from many callers at once while there is more to ask; every second request has headers of the caller's own.
fn ask_while(more: impl Fn() -> bool + Send + Sync + 'static) -> Vec<Answer> {
    let more = Arc::new(more);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let more = Arc::clone(&more);
            spawn(move || {
                let mut answers = Vec::new();
                while more() {
                    let is_foreign = (answers.len() as u64 + caller).is_multiple_of(2);
                    answers.push(ask(if is_foreign { &FOREIGN } else { &[] }));
                }
                answers
            })
        })
        .collect();
    callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
}

/// Asks every 5 ms, whatever has become of the requests before.
fn ask_until(end: SystemTime) -> Vec<Answer> {
    let mut callers = Vec::new();
    while SystemTime::now() < end {
        callers.push(spawn(|| ask(&FOREIGN)));
        sleep(Duration::from_millis(5));
    }
    callers.into_iter().map(|caller| caller.join().unwrap()).collect()
}

fn proxy() -> Server {
    let config = include_str!("config/mesh-client.yaml");
    let changes = [
        ("sidecar~10.244.0.10~client.mesh-client~mesh-client.svc", "sidecar~10.244.0.77~payment-0.faults~faults.svc"),
        ("cluster: client.mesh-client", "cluster: payment.faults"),
        ("NAMESPACE: mesh-client", "NAMESPACE: faults"),
        ("LABELS: {app: client}", "LABELS: {app: payment}"),
        ("port_value: 15000", "port_value: 15077"),
    ];
    let file = lane().folder().join("payment-proxy.yaml");
    fs::write(&file, changed(config, &changes)).unwrap();
    let mut envoy = lane().command(find("envoy").unwrap());
    envoy.arg("-c").arg(file);
    // An old filter chain goes soon: what is measured is the new one.
    envoy.args(["--disable-hot-restart", "--concurrency", "2", "--log-level", "error", "--drain-time-s", "1"]);
    lane().serve("payment-proxy", envoy).unwrap()
}

/// How many faults of a kind the target's proxy has injected.
fn injected(kind: &str) -> u64 {
    let page = get_ok("http://127.0.0.1:15077/stats?filter=fault").unwrap();
    let counter = page.lines().find(|line| line.contains(&format!("fault.{kind}_injected:")));
    let counter = counter.unwrap_or_else(|| panic!("no count of {kind}: {page}"));
    counter.rsplit(' ').next().unwrap().parse().unwrap()
}

/// What `mesh render` prints for the fault, and the end that it says.
fn rendered() -> (String, SystemTime) {
    let file = lane().folder().join("fault.yaml");
    fs::write(&file, [TARGET, FAULT].concat()).unwrap();
    let printed = output(glidepath().args(["mesh", "render", "--mesh", "istio"]).arg(&file)).unwrap();
    let said = printed.split_whitespace().find(|word| word.starts_with("20")).unwrap().trim_end_matches(',');
    let until: jiff::Timestamp = said.parse().unwrap();
    (printed, SystemTime::from(until))
}

/// Istio's control plane, killed, and back when the test ends.
struct WithoutIstiod;

impl WithoutIstiod {
    fn kill() -> Self {
        let id = lane().ids()["istiod"];
        output(std::process::Command::new("kill").arg("-KILL").arg(id.to_string())).unwrap();
        wait_until(PATIENCE, "istiod to be gone", || TcpStream::connect("127.0.0.1:15010").is_err());
        Self
    }
}

impl Drop for WithoutIstiod {
    fn drop(&mut self) {
        lane().stop_component(Component::Istiod).unwrap();
        lane().start_component(Component::Istiod).unwrap();
    }
}

#[test]
fn f1_a_fault_has_its_shares_ignores_callers_and_ends_without_the_control_plane() {
    let (application, address) = Application::start();
    let target = [TARGET, &SIDECAR.replace("PORT", &address.port().to_string())].concat();
    lane().apply(&target).unwrap();
    let _proxy = proxy();
    let answers =
        || get(&format!("http://{INBOUND}/"), &[("Host", "payment.faults")]).is_ok_and(|reply| reply.status == 200);
    wait_until(PATIENCE, "the target to answer through its proxy", answers);

    let (objects, until) = rendered();
    lane().apply(&objects).unwrap();
    wait_until(PATIENCE, "the fault to begin", || ask(&[]).status == ABORT);
    // Connections of the former filter chain are drained by now: every request opens its own.
    let _gone = WithoutIstiod::kill();

    let before = (injected("delays"), injected("aborts"));
    let left = AtomicU64::new(REQUESTS);
    let take = move || left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
    let seen = ask_while(take);
    let now = SystemTime::now();
    assert!(now < until, "the machine is too slow for this test: the fault was over before {REQUESTS} requests");
    assert_eq!(seen.len() as u64, REQUESTS);
    let count = |is: &dyn Fn(&Answer) -> bool| seen.iter().filter(|answer| is(answer)).count() as u64;
    let delayed = injected("delays") - before.0;
    let aborted = count(&|one| one.status == ABORT);
    assert_eq!(injected("aborts") - before.1, aborted);
    // After an answer of its own, a proxy may leave the connection open for a second: how long it took is not said by those.
    let waited = count(&|one| one.status == 200 && one.took >= DELAY - EARLY);
    say(format_args!(
        "of {REQUESTS} requests {delayed} were delayed, {waited} of them answered by the pod, and {aborted} aborted"
    ));
    for (what, share, got) in
        [("delayed", 0.1, delayed), ("waited and passed", 0.1 * 0.8, waited), ("aborted", 0.2, aborted)]
    {
        let limits = binomial_999(REQUESTS, share);
        assert!(limits.contains(&got), "{got} {what}, outside {limits:?}");
    }
    assert_eq!(count(&|one| one.status == 200) + aborted, REQUESTS, "no status but the fault's and the pod's");
    assert!(seen.iter().all(|one| one.took < 9 * DELAY), "a caller delayed itself");

    // To the end, and beyond it.
    let close = until - Duration::from_secs(3);
    sleep(close.duration_since(SystemTime::now()).unwrap_or_default());
    let seen = ask_until(until + Duration::from_secs(2));
    let faulted = |one: &&Answer| one.status == ABORT;
    let last = seen.iter().filter(faulted).map(|one| one.begun).max().expect("it ended long before its time");
    let (second, seconds) = (Duration::from_secs(1), |time: SystemTime| {
        time.duration_since(until).map_or_else(|early| -early.duration().as_secs_f64(), |late| late.as_secs_f64())
    });
    say(format_args!("the last faulted request began at {:+.3}s from the end, with istiod killed", seconds(last)));
    assert!(last > until - second && last < until + second, "its last request was at {:+.3}s", seconds(last));
    let over = (injected("delays"), injected("aborts"));
    let beyond = ask_until(SystemTime::now() + Duration::from_secs(2));
    assert!(beyond.len() > 100 && beyond.iter().all(|one| one.status == 200));
    assert_eq!((injected("delays"), injected("aborts")), over, "the proxy injects nothing any more");

    assert_eq!(application.with_header.load(Relaxed), 0, "the pod saw a fault header");
    assert!(application.requests.load(Relaxed) > REQUESTS / 2);
}

fn create(object: &Value) -> Result<String, String> {
    kubectl::feed(lane().folder(), &["create", "--validate=strict", "-f", "-"], &object.to_string())
        .map_err(|error| format!("{error:#}"))
}

fn fault(name: &str, spec: &Value) -> Value {
    let metadata = json!({"name": name, "namespace": "default"});
    json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "MeshFault", "metadata": metadata, "spec": spec})
}

#[test]
fn the_api_server_holds_the_rules_of_a_fault() {
    let missing = fault_command(&["inject", "payment", "--delay", "3s", "--share", "10%", "--for", "10m"]);
    assert_eq!(missing.0, Some(1), "{missing:?}");
    assert!(missing.1.contains("is not installed, so no controller runs with --mesh"), "{missing:?}");

    let definitions = ::glidepath::api::crds::faults().unwrap();
    let definition = definitions.iter().find(|one| one.spec.names.kind == "MeshFault").unwrap();
    lane().apply(&serde_json::to_string(definition).unwrap()).unwrap();
    lane().kubectl(&["wait", "--for=condition=Established", "crd/meshfaults.glidepath.dev", "--timeout=20s"]).unwrap();

    let good = json!({"target": {"service": "payment"}, "delay": {"fixed": "3s", "share": "10%"}, "duration": "10m",
        "guard": {"objective": "99%", "of": ["checkout"]}});
    for (field, value, said) in [
        ("guard", Value::Null, "guard"),
        ("guard", json!({}), "spec.guard"),
        ("guard", json!({"of": ["checkout"]}), "spec.guard"),
        ("guard", json!({"none": true, "objective": 99}), "spec.guard"),
        ("guard", json!({"none": true, "templates": [{"name": "errors"}]}), "runs the fault unguarded"),
        ("duration", Value::Null, "duration"),
        ("delay", Value::Null, "set delay, abort or both"),
        ("delay", json!({"fixed": "3s", "share": 0}), "share"),
        ("delay", json!({"fixed": "3s", "share": "0%"}), "share"),
        ("delay", json!({"fixed": "3s", "share": 100.5}), "share"),
        ("abort", json!({"status": 503, "grpc": "UNAVAILABLE", "share": 1}), "either status or grpc"),
        ("abort", json!({"status": 200, "share": 1}), "400"),
        ("target", json!({"service": "payment", "revision": "old"}), "revision"),
    ] {
        let mut spec = good.clone();
        spec[field] = value;
        spec.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        let refused = create(&fault("bad", &spec)).expect_err(&spec.to_string());
        assert!(refused.contains(said), "{spec}: {refused}");
    }

    create(&fault("payment-slow", &good)).unwrap();
    let patch = |patch: Value| {
        let patch = patch.to_string();
        lane().kubectl(&["patch", "gmf", "payment-slow", "-n", "default", "--type=merge", "-p", &patch])
    };
    for change in
        [json!({"duration": "20m"}), json!({"delay": {"share": "20%"}}), json!({"guard": {"objective": "95%"}})]
    {
        let refused = patch(json!({ "spec": change })).expect_err("it is immutable");
        assert!(format!("{refused:#}").contains("never changes"), "{change}: {refused:#}");
    }
    patch(json!({"metadata": {"labels": {"team": "shop"}}})).unwrap();

    let status = |state: Value| {
        let patch = json!({"status": {"state": state}}).to_string();
        lane().kubectl(&[
            "patch",
            "gmf",
            "payment-slow",
            "-n",
            "default",
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ])
    };
    let active = json!({"since": "2026-12-01T09:30:00Z", "until": "2100-01-01T00:00:00Z"});
    status(json!({ "active": active })).unwrap();
    let two = status(json!({"pending": {"because": "Releasing", "since": "2026-12-01T09:30:00Z"}})).unwrap_err();
    assert!(format!("{two:#}").contains("exactly one state"), "{two:#}");
    let listed = lane().kubectl(&["get", "gmf", "-n", "default"]).unwrap();
    assert!(listed.contains("UNTIL") && listed.contains("2100-01-01T00:00:00Z"), "{listed}");
    let explained = lane().kubectl(&["explain", "meshfault.spec.guard"]).unwrap();
    assert!(explained.contains("What ends the fault early"), "{explained}");
    commands_of_faults();
    lane().kubectl(&["delete", "crd", "meshfaults.glidepath.dev"]).unwrap();
}

/// The exit code of `mesh fault`, and all that it said.
fn fault_command(args: &[&str]) -> (Option<i32>, String) {
    let output = glidepath().args(["mesh", "fault"]).args(args).args(["-n", "default"]).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn commands_of_faults() {
    let inject =
        ["inject", "payment", "--abort", "UNAVAILABLE", "--share", "1%", "--for", "5m", "--name", "payment-grpc"];
    let (code, said) = fault_command(&inject);
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("meshfault.glidepath.dev/payment-grpc created"), "{said}");
    assert!(said.contains("kubectl label namespace default glidepath.dev/faults=allowed"), "{said}");
    let spec = lane().get("default", "gmf", "payment-grpc").unwrap()["spec"].clone();
    assert_eq!(
        (&spec["abort"], &spec["guard"]),
        (&json!({"grpc": "UNAVAILABLE", "share": 1}), &json!({"objective": 99}))
    );

    let (code, said) =
        fault_command(&["inject", "payment", "--delay", "1s", "--share", "0", "--for", "2h", "--guard", "none"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--share") && said.contains("--for must be at most 1h, got 2h"), "{said}");

    let (_, listed) = fault_command(&["list"]);
    println!("{listed}");
    let line = |name: &str| listed.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
    assert!(line("payment-slow").contains("Active, ends in"), "{listed}");
    assert!(
        line("payment-grpc").contains("1 %: gRPC 14") && line("payment-grpc").contains("no controller has seen it")
    );

    let (code, said) = fault_command(&["stop", "payment-grpc", "gone", "payment-slow"]);
    assert_eq!(code, Some(1), "one of them is not there: {said}");
    assert!(said.contains("payment-grpc deleted") && said.contains("payment-slow deleted"), "{said}");
    assert!(said.contains("MeshFault \"gone\" not found"), "{said}");
    let (code, said) = fault_command(&["list"]);
    assert_eq!((code, said.trim()), (Some(0), "no MeshFaults in namespace \"default\""));
}
