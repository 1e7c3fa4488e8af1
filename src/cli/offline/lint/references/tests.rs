use super::*;
use crate::yaml;

pub(super) const ROLLOUT: &str = "
apiVersion: glidepath.dev/v1alpha1
kind: Rollout
metadata: {name: web, namespace: shop}
spec:
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  services: {root: web}
  traffic: [{istio: {virtualServices: [{name: web, routes: [primary]}]}}]
  strategy: {canary: {steps: [{setWeight: 5}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a, ports: [{name: http, containerPort: 80}]}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  http:
    - name: primary
      route:
        - {destination: {host: web-stable}, weight: 100}
        - {destination: {host: web-canary.shop.svc.cluster.local}, weight: 0}
        - {destination: {host: web, port: {number: 80}}, weight: 0}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: scaler, namespace: shop}
spec: {scaleTargetRef: {apiVersion: glidepath.dev/v1alpha1, kind: Rollout, name: web}}
";

/// The kind of each document with what is said of it.
pub(super) fn said(text: &str) -> Vec<String> {
    let documents: Vec<Document> = yaml::read(text).unwrap().into_iter().map(Result::unwrap).collect();
    let named: Vec<(&str, &Document)> = documents.iter().map(|document| ("a.yaml", document)).collect();
    let shown = |(index, one): &(usize, Finding)| {
        let kind = documents[*index].text("/kind").unwrap();
        format!("{kind} {} {}: {}", one.severity.as_str(), one.path, one.message)
    };
    check(&named).iter().map(shown).collect()
}

#[test]
fn what_fits_together_is_not_pointed_at() {
    assert_eq!(said(ROLLOUT), Vec::<String>::new());
}

#[test]
fn each_mismatch_is_pointed_at_where_it_is_written() {
    for (right, wrong, wanted) in [
        (
            "routes: [primary]",
            "routes: [primry]",
            "Rollout error spec.traffic[0].istio.virtualServices[0].routes[0]: VirtualService shop/web has no http route named `primry`; it has `primary`",
        ),
        (
            "{host: web-stable}",
            "{host: web-stabel}",
            "Rollout error spec.traffic[0].istio.virtualServices[0]: route `primary` of VirtualService shop/web has no destination `web-stable.shop.svc.cluster.local`; its destinations are `web-stabel`, `web-canary.shop.svc.cluster.local`, `web`",
        ),
        (
            "virtualServices: [{name: web,",
            "virtualServices: [{name: wob,",
            "Rollout warning spec.traffic[0].istio.virtualServices[0].name: no VirtualService \"wob\" in these files; did you mean web?",
        ),
        (
            "services: {root: web}",
            "services: {root: wbe, stable: web-stable, canary: web-canary}",
            "Rollout warning spec.services.root: no Service \"wbe\" in these files; did you mean web?",
        ),
        (
            "kind: Deployment, name: web}\n  serv",
            "kind: Deployment, name: wev}\n  serv",
            "Rollout warning spec.workloadRef.name: no Deployment \"wev\" in these files; did you mean web?",
        ),
        (
            "{selector: {app: web}",
            "{selector: {app: kart}",
            "Service error spec.selector.app: selects app=kart, but the pods of Rollout \"web\" have app=web",
        ),
        (
            "{selector: {app: web}",
            "{selector: {tier: front}",
            "Service error spec.selector.tier: selects tier=front, but the pods of Rollout \"web\" have no label tier",
        ),
        (
            "targetPort: http}",
            "targetPort: htpp}",
            "Service error spec.ports[0].targetPort: no container of Rollout \"web\" has a port named \"htpp\"; there is http",
        ),
        (
            "port: {number: 80}",
            "port: {number: 8080}",
            "VirtualService error spec.http[0].route[2].destination.port.number: Service \"web\" has no port 8080; it has 80",
        ),
        (
            "{apiVersion: glidepath.dev/v1alpha1, kind: Rollout, name: web}",
            "{apiVersion: apps/v1, kind: Deployment, name: web}",
            "HorizontalPodAutoscaler error spec.scaleTargetRef: scales Deployment \"web\", but the pods are those of Rollout \"web\"; write {apiVersion: glidepath.dev/v1alpha1, kind: Rollout, name: web}",
        ),
        (
            "{apiVersion: glidepath.dev/v1alpha1, kind: Rollout, name: web}",
            "{apiVersion: argoproj.io/v1alpha1, kind: Rollout, name: web}",
            "HorizontalPodAutoscaler error spec.scaleTargetRef.apiVersion: names a Rollout of argoproj.io/v1alpha1; write {apiVersion: glidepath.dev/v1alpha1, kind: Rollout, name: web}",
        ),
        (
            "kind: Rollout, name: web}",
            "kind: Rollout, name: wob}",
            "HorizontalPodAutoscaler warning spec.scaleTargetRef.name: no Rollout \"wob\" in these files; did you mean web?",
        ),
        (
            "spec:\n  workloadRef",
            "spec:\n  replicas: 4\n  workloadRef",
            "Rollout warning spec.replicas: HorizontalPodAutoscaler \"scaler\" scales this Rollout, and every apply of this file would undo it; remove replicas",
        ),
    ] {
        let text = ROLLOUT.replacen(right, wrong, 1);
        assert_ne!(text, ROLLOUT, "{right}");
        assert_eq!(said(&text), [wanted], "{wrong}");
    }
}

#[test]
fn subsets_are_looked_up_in_the_destination_rule() {
    let split = "routes: [primary]}], destinationRule: {name: web, stableSubset: stable, canarySubset: canry}";
    let text = ROLLOUT.replacen("routes: [primary]}]", split, 1);
    let rule = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web, namespace: shop}\nspec: {host: web, subsets: [{name: stable}, {name: canary}]}\n";
    let found = said(&format!("{text}{rule}"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("DestinationRule shop/web has no subset `canry`; it has `stable`, `canary`"),
        "{found:?}"
    );
    assert_eq!(said(&text), Vec::<String>::new(), "the rule is elsewhere");
}

/// The same for a route of the Gateway API.
#[test]
fn routes_of_the_gateway_api_are_judged_by_their_router() {
    let route = "
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  rules:
    - backendRefs:
        - {name: web-stable, port: 80, weight: 1}
        - {name: web-canary, port: 80, weight: 0}
";
    let gateway = ROLLOUT.replacen(
        "{istio: {virtualServices: [{name: web, routes: [primary]}]}}",
        "{gateway: {routes: [{name: web}]}}",
        1,
    );
    let whole = format!("{gateway}{route}");
    assert_eq!(said(&whole), Vec::<String>::new());
    let at = "Rollout error spec.traffic[0].gateway.routes[0]";
    for (right, wrong, wanted) in [
        (
            "routes: [{name: web}]",
            "routes: [{name: wob}]",
            "Rollout warning spec.traffic[0].gateway.routes[0].name: no HTTPRoute \"wob\" in these files; did you mean web?".to_owned(),
        ),
        (
            "routes: [{name: web}]",
            "routes: [{name: web, ruleNames: [api]}]",
            format!("{at}.ruleNames[0]: HTTPRoute shop/web has no rule named `api`; it has 1 without a name"),
        ),
        (
            "{name: web-canary, port: 80, weight: 0}",
            "{name: web-canry, port: 80, weight: 0}",
            format!("{at}: rule 1 of HTTPRoute shop/web has no backendRef to Service `web-canary`; the route's backendRefs are `web-stable`, `web-canry`"),
        ),
        (
            "{name: web-canary, port: 80, weight: 0}",
            "{name: web-canary, port: 80, weight: 0}\n        - {name: web, port: 81, weight: 0}",
            "HTTPRoute error spec.rules[0].backendRefs[2].port: Service \"web\" has no port 81; it has 80".to_owned(),
        ),
        (
            "    - backendRefs:\n        - {name: web-stable, port: 80",
            "    - sessionPersistence: {sessionName: cart}\n      backendRefs:\n        - {name: web-stable, port: 80",
            "Rollout warning spec.traffic[0].gateway.routes[0]: rule 1 of HTTPRoute \"web\" keeps sessions (sessionPersistence): a user with one follows neither a weight nor an abort until its pod is gone, and the counted share of requests is not compared with the weight".to_owned(),
        ),
        (
            "[{setWeight: 5}]",
            "[{setHeaderRoute: {name: a, match: [{header: {name: a, exact: b}}]}}, {setWeight: 5}]",
            String::new(),
        ),
    ] {
        let text = whole.replacen(right, wrong, 1);
        assert_ne!(text, whole, "{right}");
        let wanted: Vec<String> = Some(wanted).filter(|wanted| !wanted.is_empty()).into_iter().collect();
        assert_eq!(said(&text), wanted, "{wrong}");
    }
    let tcp = whole.replace("kind: HTTPRoute", "kind: TCPRoute").replacen(
        "{name: web}]}}]",
        "{kind: TCPRoute, name: web}]}}]",
        1,
    );
    assert_eq!(said(&tcp), Vec::<String>::new());
    let mirror = "[{setCanaryScale: {replicas: 1}}, {setMirrorRoute: {percent: 10}}]";
    let found = said(&tcp.replacen("[{setWeight: 5}]", mirror, 1));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with(&format!("{at}: TCPRoute shop/web cannot have a mirror: it splits connections")),
        "{found:?}"
    );
}

#[test]
fn overlays_and_other_namespaces_are_left_alone() {
    let two = ROLLOUT.replacen("routes: [primary]", "routes: [primry]", 1);
    let elsewhere = two.replacen(
        "kind: VirtualService\nmetadata: {name: web, namespace: shop}",
        "kind: VirtualService\nmetadata: {name: web, namespace: other}",
        1,
    );
    assert_eq!(said(&elsewhere), Vec::<String>::new());
    let twice = format!(
        "{two}---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: web}}\nspec: {{http: []}}\n"
    );
    assert_eq!(said(&twice), Vec::<String>::new());
}

#[test]
fn a_file_with_a_rollout_keeps_its_objects_to_itself() {
    let other = ROLLOUT.split("---").next().unwrap();
    let documents =
        |text: &str| -> Vec<Document> { yaml::read(text).unwrap().into_iter().map(Result::unwrap).collect() };
    let whole = ROLLOUT.replacen("{selector: {app: web}", "{selector: {app: kart}", 1);
    let (alone, whole) = (documents(other), documents(&whole));
    let named: Vec<(&str, &Document)> =
        alone.iter().map(|one| ("a.yaml", one)).chain(whole.iter().map(|one| ("b.yaml", one))).collect();
    let found = check(&named);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].1.message.contains("selects app=kart"), "{found:?}");
}
