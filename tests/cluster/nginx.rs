//! A real NGINX in front of the pods, set up as the documentation of ingress-nginx describes the canary annotations
//! ("Annotations", Canary): a header comes before a cookie, and a cookie before the weight.
//!
//! ingress-nginx itself splits in Lua, with libraries that neither Debian nor a Go module has: so a small controller of the
//! test reads the Ingresses and writes the configuration.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::lane;
use crate::limits::binomial_999;
use crate::load::{Load, Plan, Tally};
use crate::programs::find;
use crate::server::Server;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, assert_all_well, changed};
use crate::wait::wait_until;

const ADDRESS: &str = "127.0.0.1:8089";
const NAMESPACE: &str = "nginx-real";
const INGRESS: &str = "
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, namespace: NAMESPACE}
spec:
  ingressClassName: nginx
  rules:
  - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web-stable, port: {number: 80}}}}]}
";
const STEPS: &str = "
      - setHeaderRoute: {name: testers, match: [{header: {name: X-Canary, exact: beta}}]}
      - pause: {}
      - setWeight: 10
      - pause: {}
      - setWeight: 50
      - pause: {}
";

/// NGINX with a controller that follows the Ingresses of the namespace.
struct Ingress {
    stop: Arc<AtomicBool>,
    controller: Option<JoinHandle<()>>,
}

impl Ingress {
    fn start() -> Self {
        let folder = lane().folder().join("nginx");
        fs::create_dir_all(&folder).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let controller = std::thread::spawn(move || follow(&folder, &ended));
        Self { stop, controller: Some(controller) }
    }
}

impl Drop for Ingress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(controller) = self.controller.take() {
            let _ = controller.join();
        }
    }
}

fn follow(folder: &Path, ended: &AtomicBool) {
    let path = folder.join("nginx.conf");
    let (mut known, mut running): (String, Option<Server>) = Default::default();
    while !ended.load(Ordering::Relaxed) {
        let text = configuration(folder);
        if text.as_ref().is_some_and(|text| *text != known) {
            known = text.unwrap_or_default();
            fs::write(&path, &known).unwrap();
            match &running {
                Some(server) => server.signal("HUP").unwrap(),
                None => {
                    let mut nginx = Command::new(find("nginx").unwrap());
                    nginx.arg("-p").arg(folder).arg("-c").arg(&path).arg("-e").arg(folder.join("error.log"));
                    running = Some(lane().serve("nginx", nginx).unwrap());
                }
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn all(kind: &str) -> Vec<Value> {
    let text = lane().kubectl(&["get", kind, "-n", NAMESPACE, "-o", "json"]).unwrap_or_default();
    let list: Value = serde_json::from_str(&text).unwrap_or_default();
    list["items"].as_array().cloned().unwrap_or_default()
}

/// The ready addresses behind a Service.
fn addresses(service: &str) -> Vec<String> {
    let slices = all("endpointslices");
    let of = slices.iter().filter(|slice| slice["metadata"]["labels"]["kubernetes.io/service-name"] == service);
    let endpoints = of.flat_map(|slice| slice["endpoints"].as_array().cloned().unwrap_or_default());
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] == true);
    let mut all: Vec<String> =
        ready.filter_map(|one| Some(format!("{}:8080", one["addresses"][0].as_str()?))).collect();
    all.sort();
    all
}

fn backend(ingress: &Value) -> String {
    let path = &ingress["spec"]["rules"][0]["http"]["paths"][0];
    path["backend"]["service"]["name"].as_str().unwrap_or_default().to_owned()
}

/// The whole configuration; `None` while there is nothing to serve.
fn configuration(folder: &Path) -> Option<String> {
    let ingresses = all("ingress");
    let annotation = |ingress: &Value, name: &str| {
        let key = format!("nginx.ingress.kubernetes.io/{name}");
        ingress["metadata"]["annotations"][key.as_str()].as_str().map(str::to_owned)
    };
    let (canaries, plain): (Vec<&Value>, Vec<&Value>) =
        ingresses.iter().partition(|one| annotation(one, "canary").as_deref() == Some("true"));
    let stable = addresses(&backend(plain.first()?));
    if stable.is_empty() {
        return None;
    }
    let canary = canaries.first().map(|one| addresses(&backend(one))).filter(|found| !found.is_empty());
    let of = |name: &str| canaries.first().filter(|_| canary.is_some()).and_then(|one| annotation(one, name));
    let number = |name: &str| of(name).and_then(|text| text.parse::<f64>().ok());
    let share = number("canary-weight").unwrap_or(0.0) / number("canary-weight-total").unwrap_or(100.0) * 100.0;

    let mut text = format!(
        "daemon off; worker_processes 1; pid {0}/pid; error_log {0}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n",
        folder.display()
    );
    for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "{kind}_temp_path {}/{kind};", folder.display());
    }
    for (name, servers) in [("stable", &stable), ("canary", canary.as_ref().unwrap_or(&stable))] {
        let servers: String = servers.iter().map(|server| format!("server {server}; ")).collect();
        let _ = writeln!(text, "upstream {name} {{ {servers} keepalive 16; }}");
    }
    let splits = if share > 0.0 { format!("{share:.2}% canary;") } else { String::new() };
    let _ = writeln!(text, "split_clients $request_id $by_weight {{ {splits} * stable; }}");
    let words = "always canary; never stable;";
    let cookie = of("canary-by-cookie").map(|name| (name, words.to_owned()));
    let header = of("canary-by-header").map(|name| match of("canary-by-header-value") {
        Some(value) => (name, format!("\"{value}\" canary;")),
        None => (name, words.to_owned()),
    });
    for (into, source, rule, or) in [("cookie", "cookie", cookie, "weight"), ("header", "http", header, "cookie")] {
        let (name, cases) = rule.unwrap_or_default();
        let variable =
            if name.is_empty() { "$scheme".to_owned() } else { format!("${source}_{}", name.to_lowercase()) };
        let variable = variable.replace('-', "_");
        let _ = writeln!(text, "map {variable} $by_{into} {{ {cases} default $by_{or}; }}");
    }
    let _ = writeln!(
        text,
        "server {{ listen {ADDRESS} reuseport; location / {{ proxy_pass http://$by_header; proxy_http_version 1.1; \
         proxy_set_header Connection ''; proxy_set_header Host $host; }} }}\n}}"
    );
    Some(text)
}

fn plan(per_second: f64) -> Plan {
    Plan { address: ADDRESS.to_owned(), ..Plan::mesh("web.example.com", per_second) }
}

fn ask(requests: u64, headers: &[(&str, &str)]) -> Tally {
    let plan = headers.iter().fold(plan(1000.0).limit(requests), |plan, (name, value)| plan.header(name, value));
    Load::launch(plan).finish().unwrap()
}

#[test]
#[ignore = "it needs NGINX, which is downloaded once: make test-meshes"]
fn shares_and_testers_are_those_of_the_steps_and_promote_and_abort_lose_no_request() {
    let istio = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
    let changes = [
        ("  analysis: {templates: [{name: errors}]}\n", ""),
        (istio, "  - nginx: {ingress: web}\n"),
        (TWO_WEIGHTS, STEPS),
    ];
    let yaml = changed(&Shop::yaml_without("VirtualService"), &changes) + INGRESS;
    let shop = Shop::apply(NAMESPACE, &yaml);
    shop.wait_for_stable(1);
    let _ingress = Ingress::start();
    wait_until(PATIENCE, "v1 to answer through NGINX", || {
        crate::http::get(&format!("http://{ADDRESS}/"), &[]).is_ok_and(|reply| reply.body == "v1")
    });
    let users = Load::launch(plan(100.0));
    shop.release("v2");
    shop.wait_for_pause(1);
    let testers = |requests: u64| ask(requests, &[("x-canary", "beta")]).of("v2") == requests;
    wait_until(PATIENCE, "testers to reach v2", || testers(50));
    assert!(testers(2000));
    let tally = users.tally();
    assert_eq!(tally.of("v1"), tally.answers(), "at weight 0 only testers: {tally:?}");
    for (pause, share) in [(3, 0.1), (5, 0.5)] {
        shop.glidepath(&["promote", "web"]).unwrap();
        shop.wait_for_pause(pause);
        let floor = (200.0 * share / 3.0) as u64;
        wait_until(PATIENCE, "the share to be in force", || ask(200, &[]).of("v2") > floor);
        let tally = ask(4000, &[]);
        assert_all_well(&tally);
        assert!(binomial_999(4000, share).contains(&tally.of("v2")), "{tally:?} at {share}");
        assert!(testers(1000));
    }
    shop.glidepath(&["abort", "web"]).unwrap();
    wait_until(PATIENCE, "v1 to answer alone again", || ask(200, &[("x-canary", "beta")]).of("v1") == 200);
    assert_all_well(&users.stop().unwrap());
}
