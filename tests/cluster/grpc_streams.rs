//! A gRPC stream that outlives a shift of traffic, with Istio's control plane and Envoy: a weight decides about new streams; one that
//! is open stays with its pod, through every weight, the promotion and the exchange of the Services' pods, until that pod ends it.

use crate::grpc::{Seen, Watch, short_streams};
use crate::limits::binomial_999;
use crate::say::say;
use crate::shop::{PATIENCE, Shop, TWO_WEIGHTS, changed};
use crate::wait::{wait_for, wait_until};

const ISTIO: &str = "  - istio: {virtualServices: [{name: web, routes: [primary]}]}\n";
const GRPC_ROUTE: &str = "
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: web, namespace: NAMESPACE}
spec:
  parentRefs: [{group: '', kind: Service, name: web, port: 80}]
  rules:
  - matches: [{method: {service: shop.Web}}]
    backendRefs: [{name: web-stable, port: 80, weight: 1}, {name: web-canary, port: 80, weight: 0}]
";
const STEPS: &str = "
      - setWeight: 20
      - pause: {}
      - setWeight: 50
      - pause: {}
";
/// New streams that are counted at a weight.
const STREAMS: u64 = 2000;

/// A shop of two pods whose Service has this port.
fn open(namespace: &'static str, yaml: &str, port: &str) -> Shop {
    let changes = [
        ("name: http, port: 80", port),
        ("  analysis: {templates: [{name: errors}]}\n", ""),
        (TWO_WEIGHTS, STEPS),
        ("replicas: 4", "replicas: 2"),
    ];
    let shop = Shop::apply(namespace, &changed(yaml, &changes));
    shop.wait_for_stable(1);
    let ready = || short_streams(&host(&shop), 20);
    wait_for(PATIENCE, "a gRPC stream through Envoy", ready).unwrap();
    shop
}

fn host(shop: &Shop) -> String {
    format!("web.{}", shop.namespace)
}

/// A stream of one pod of this version: others are opened until it is.
fn stream_of(shop: &Shop, version: &str) -> Watch {
    let attempt = || {
        let watch = Watch::open(&host(shop));
        wait_until(PATIENCE, "a first message", || watch.seen().count() > 0);
        anyhow::ensure!(watch.seen().messages.contains_key(version), "{:?}", watch.seen());
        Ok(watch)
    };
    wait_for(PATIENCE, &format!("a stream of {version}"), attempt).unwrap()
}

/// Waits for 20 messages more, a second's.
#[track_caller]
fn continues(watch: &Watch, version: &str) {
    let before = watch.seen().count();
    wait_until(PATIENCE, "the stream to continue", || {
        let seen = watch.seen();
        seen.end.is_some() || seen.count() >= before + 20
    });
    let seen = watch.seen();
    assert_eq!((&seen.end, seen.messages.len()), (&None, 1), "{seen:?}");
    assert!(seen.messages.contains_key(version), "{seen:?}");
}

fn a_stream_outlives_the_shift(shop: &Shop) {
    let old = stream_of(shop, "v1");
    shop.release("v2");
    for (pause, share) in [(1, 0.2), (3, 0.5)] {
        shop.wait_for_pause(pause);
        continues(&old, "v1");
        let new = short_streams(&host(shop), STREAMS).unwrap();
        let (limits, got) = (binomial_999(STREAMS, share), new.get("v2").copied().unwrap_or_default());
        assert!(limits.contains(&got), "{got} of {STREAMS} new streams reached v2, outside {limits:?}");
        if pause == 1 {
            shop.glidepath(&["promote", "web"]).unwrap();
        }
    }
    let new = stream_of(shop, "v2");
    shop.glidepath(&["promote", "web"]).unwrap();
    shop.wait_for_stable(2);

    wait_until(PATIENCE, "the old pod to end its stream", || old.seen().end.is_some());
    let Seen { messages, end } = old.seen();
    assert_eq!(end, Some(Ok("0".to_owned())), "the pod's own end and no proxy's, after {messages:?}");
    assert_eq!(messages.len(), 1, "{messages:?}");
    say(format_args!("{}: one stream had {messages:?} through the whole release", shop.namespace));
    continues(&new, "v2");
    let after = short_streams(&host(shop), 100).unwrap();
    assert_eq!(after.get("v2"), Some(&100), "{after:?}");
}

#[test]
fn a_stream_stays_with_its_pod_while_a_virtual_service_shifts() {
    a_stream_outlives_the_shift(&open("grpc", &Shop::yaml(), "name: grpc, port: 80"));
}

#[test]
fn a_stream_stays_with_its_pod_while_a_grpc_route_shifts() {
    let yaml = Shop::yaml_without("VirtualService") + GRPC_ROUTE;
    let yaml = changed(&yaml, &[(ISTIO, "  - gateway: {routes: [{kind: GRPCRoute, name: web}]}\n")]);
    a_stream_outlives_the_shift(&open("grpc-route", &yaml, "name: web, appProtocol: grpc, port: 80"));
}
