use super::*;
use crate::yaml;

const ROLLOUT: &str = "
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
fn said(text: &str) -> Vec<String> {
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
