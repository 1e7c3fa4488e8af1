//! The texts of the packs, of single questions and of several, and the reading of their answers.

use jiff::Timestamp;

use super::*;
use crate::api::analysis::Pack;

pub(in crate::source::prometheus) fn query(pack: Pack) -> IncrementsQuery {
    let builtin = |builtin| Counter { builtin: Some(builtin), prometheus: None };
    IncrementsQuery {
        bad: builtin(Builtin::Errors),
        total: builtin(Builtin::Requests),
        pack,
        arms: Arms {
            namespace: "shop".into(),
            canary: "checkout-k3v9x2m1qa".into(),
            stable: "checkout-b7d0c41hze".into(),
            canary_service: Some("checkout-canary".into()),
            stable_service: Some("checkout".into()),
            canary_pods: None,
        },
        end: Timestamp::UNIX_EPOCH,
        window_seconds: 15,
        piece_seconds: None,
        scope: Scope::Arms,
        warm_up_seconds: 120,
        whole_pods: false,
        bad_comes_later: false,
    }
}

fn own_counters() -> IncrementsQuery {
    let own = |counter: &str| Counter { builtin: None, prometheus: Some(PrometheusCounter::of(counter)) };
    let (bad, total) = (own(r#"orders_total{outcome="lost"}"#), own("orders_total"));
    IncrementsQuery { bad, total, warm_up_seconds: 0, ..query(Pack::Istio) }
}

pub(super) fn shown(query: &IncrementsQuery) -> String {
    let text = increments(&[query]).unwrap();
    format!("bad:\n{}\n\ntotal:\n{}\n", text.bad, text.total)
}

#[test]
fn texts_of_the_packs() {
    insta::assert_snapshot!("istio", shown(&query(Pack::Istio)));
    insta::assert_snapshot!("envoy", shown(&query(Pack::Envoy)));
    insta::assert_snapshot!("application", shown(&query(Pack::Application)));
    insta::assert_snapshot!("own_counters_without_warm_up", shown(&own_counters()));
}

/// With the parts that name arms and namespaces taken away, the text is the one that promtool has proved.
#[test]
fn the_formula_is_the_vectors_one() {
    let vectors: serde_yaml::Value =
        serde_yaml::from_str(include_str!("../../../tests/vectors/increments.promtool.yml")).unwrap();
    let proved = vectors["tests"][0]["promql_expr_test"][0]["expr"].as_str().unwrap();
    let mut query = query(Pack::Application);
    query.total = Counter { builtin: None, prometheus: Some(PrometheusCounter::of("req")) };
    query.warm_up_seconds = 0;
    let matchers = r#"{namespace=~"shop",pod=~"checkout-k3v9x2m1qa-.*|checkout-b7d0c41hze-.*"}"#;
    let text = increments(&[&query]).unwrap().total.replace(matchers, "");
    let inner =
        proved.strip_prefix("sum by (arm) ").unwrap().replace(r#"req{code="200"}"#, "req").replace(")/2", ") / 2");
    assert!(text.contains(&inner), "{text}\n does not hold\n{inner}");
}

/// promtool proves the texts in the vectors; this proves that they are ours.
#[test]
fn the_proved_texts_of_the_packs_are_these() {
    let vectors: serde_yaml::Value =
        serde_yaml::from_str(include_str!("../../../tests/vectors/packs.promtool.yml")).unwrap();
    let mut ours: Vec<String> = Vec::new();
    let service =
        IncrementsQuery { scope: Scope::Service, window_seconds: 300, piece_seconds: Some(60), ..own_counters() };
    let packs = [Pack::Istio, Pack::Envoy, Pack::Application].map(query);
    for query in packs.into_iter().chain([own_counters(), service]) {
        let text = increments(&[&query]).unwrap();
        ours.extend([text.bad, text.total]);
    }
    for test in vectors["tests"].as_sequence().unwrap() {
        for proved in test["promql_expr_test"].as_sequence().unwrap() {
            assert!(ours.iter().any(|text| *text == proved["expr"].as_str().unwrap()), "{proved:?}");
        }
    }
}

/// A fall by less than half counts 0, and is in the same answer.
#[test]
fn the_proved_text_of_a_small_fall_is_this() {
    let vectors: serde_yaml::Value =
        serde_yaml::from_str(include_str!("../../../tests/vectors/falls.promtool.yml")).unwrap();
    let proved = vectors["tests"][0]["promql_expr_test"].as_sequence().unwrap();
    let ours = increments(&[&query(Pack::Application)]).unwrap().total;
    assert!(!proved.is_empty() && proved.iter().all(|proved| proved["expr"].as_str() == Some(&ours)), "{ours}");
    let service = IncrementsQuery { scope: Scope::Service, ..query(Pack::Application) };
    let hour = IncrementsQuery { whole_pods: true, ..query(Pack::Application) };
    for query in [service, hour] {
        assert!(!increments(&[&query]).unwrap().total.contains("fell"), "where no one reads it, it is not asked for");
    }
    assert!(!increments(&[&query(Pack::Application)]).unwrap().bad.contains("fell"));
}

/// Counters of a federation or a gateway name the serving pod in another label, and OpenTelemetry's names have dots.
#[test]
fn own_counters_name_the_pod_in_any_label() {
    let own = |counter: &str, pod: &str, namespace: &str| {
        let labels = (Some(pod.to_owned()), Some(namespace.to_owned()));
        let own =
            PrometheusCounter { pod_label: labels.0, namespace_label: labels.1, ..PrometheusCounter::of(counter) };
        Counter { builtin: None, prometheus: Some(own) }
    };
    let (bad, total) = (r#"{"http.requests","code"=~"5.."}"#, r#"{"http.requests"}"#);
    let otel = IncrementsQuery {
        bad: own(bad, "k8s.pod.name", "k8s.namespace.name"),
        total: own(total, "k8s.pod.name", "k8s.namespace.name"),
        ..query(Pack::Istio)
    };
    insta::assert_snapshot!("own_counters_with_quoted_names", shown(&otel));
    let exported = IncrementsQuery { total: own("all", "exported_pod", "exported_namespace"), ..otel };
    let text = increments(&[&exported]).unwrap();
    assert!(text.total.contains(r#"all{exported_namespace=~"shop",exported_pod=~"checkout-"#), "{}", text.total);
    assert!(text.total.contains("and on (exported_pod) group by (exported_pod) (all{"), "{}", text.total);
    assert!(!text.bad.contains("exported_pod"), "a counter with other labels is no witness: {}", text.bad);
    assert_eq!(arm_names(&exported).unwrap().0, "shop/checkout-k3v9x2m1qa");
}

#[test]
fn an_arm_without_a_service_cannot_be_told_by_envoy() {
    let mut query = query(Pack::Envoy);
    query.arms.canary_service = None;
    assert_eq!(increments(&[&query]), Err(PromqlError::NoService));
}

#[test]
fn samples_become_counts_by_arm() {
    let samples =
        |list: &[(&str, f64)]| list.iter().map(|(arm, value)| ((*arm).to_owned(), *value)).collect::<Vec<_>>();
    let (canary, stable) = ("shop/checkout-k3v9x2m1qa", "shop/checkout-b7d0c41hze");
    let query = query(Pack::Application);
    let total = samples(&[(canary, 2.0), (stable, 600.0), ("", 9.0), ("cart/checkout-b7d0c41hze", 7.0)]);
    let answer = counts(&query, &samples(&[(canary, 3.0)]), &total).unwrap();
    let Answer::Increments { canary, stable, notes } = answer else { panic!("not increments") };
    assert_eq!(canary, Some(ArmCounts { bad: 2, total: 2 }));
    assert_eq!(stable, Some(ArmCounts { bad: 0, total: 600 }));
    assert_eq!(notes, ["canary: 3 bad of 2 events (scraped apart); counted as 2"]);
    let fallen = samples(&[("shop/checkout-b7d0c41hze", 600.0), ("fell shop/checkout-b7d0c41hze", 2.0)]);
    let answer = counts(&query, &[], &fallen).unwrap();
    let Answer::Increments { notes, .. } = answer else { panic!("not increments") };
    assert_eq!(notes, ["stable: 2 counters fell by less than half, which is no reset; counted as 0"]);
    let none = counts(&query, &[], &[]).unwrap();
    assert_eq!(none, Answer::Increments { canary: None, stable: None, notes: vec![] });
    let later = IncrementsQuery { bad_comes_later: true, ..query };
    let answer = counts(&later, &samples(&[("shop/checkout-k3v9x2m1qa", 3.0)]), &total).unwrap();
    let Answer::Increments { canary, notes, .. } = answer else { panic!("not increments") };
    assert_eq!((canary, notes), (Some(ArmCounts { bad: 3, total: 2 }), vec![]));
}

#[test]
fn over_an_hour_a_young_pod_counts_whole() {
    let long =
        IncrementsQuery { window_seconds: 3600, warm_up_seconds: 0, whole_pods: true, ..query(Pack::Application) };
    let total = increments(&[&long]).unwrap().total;
    assert!(total.contains("offset 3600s)") && !total.contains("group by (pod)"), "{total}");
}

#[test]
fn a_service_is_all_revisions_counted_in_pieces() {
    let service = |pack| IncrementsQuery {
        scope: Scope::Service,
        window_seconds: 3600,
        piece_seconds: Some(60),
        warm_up_seconds: 0,
        ..query(pack)
    };
    insta::assert_snapshot!("service_by_pods", shown(&service(Pack::Application)));
    let istio = increments(&[&service(Pack::Istio)]).unwrap().total;
    assert!(istio.contains(r#"destination_workload=~"checkout-[a-z0-9]+""#), "{istio}");
    assert!(istio.starts_with("sum_over_time((sum by (arm) (") && istio.ends_with(")[3600s:60s])"), "{istio}");
    assert!(istio.contains("offset 60s") && !istio.contains("offset 3600s"), "{istio}");
    let short = IncrementsQuery { window_seconds: 60, ..service(Pack::Istio) };
    assert!(!increments(&[&short]).unwrap().total.contains("sum_over_time"), "one piece needs no subquery");
    let envoy = increments(&[&service(Pack::Envoy)]).unwrap().total;
    assert!(envoy.contains("checkout-canary[.]shop[.]svc") && envoy.contains("checkout[.]shop[.]svc"), "{envoy}");
    assert!(!are_alike(&service(Pack::Istio), &query(Pack::Istio)));
}

#[test]
fn a_services_samples_are_summed() {
    let samples = |list: &[(&str, f64)]| -> Vec<(String, f64)> {
        list.iter().map(|(arm, value)| ((*arm).to_owned(), *value)).collect()
    };
    let service = |pack| IncrementsQuery { scope: Scope::Service, ..query(pack) };
    let total = samples(&[("shop/checkout", 600.4), ("shop/checkout-api", 9.0), ("cart/checkout", 7.0)]);
    let answer = counts(&service(Pack::Application), &samples(&[("shop/checkout", 3.0)]), &total).unwrap();
    let expected = |bad, total| Answer::Events { counts: Some(ArmCounts { bad, total }), notes: Vec::new() };
    assert_eq!(answer, expected(3, 600));
    let both = samples(&[("checkout.shop", 500.0), ("checkout-canary.shop", 50.0)]);
    assert_eq!(counts(&service(Pack::Envoy), &[], &both).unwrap(), expected(0, 550));
    let none = Answer::Events { counts: None, notes: Vec::new() };
    assert_eq!(counts(&service(Pack::Istio), &[], &[]).unwrap(), none);
    let Answer::Events { counts: clamped, notes } =
        counts(&service(Pack::Istio), &samples(&[("shop/checkout", 9.0)]), &samples(&[("shop/checkout", 5.0)]))
            .unwrap()
    else {
        panic!("no events")
    };
    assert_eq!((clamped, notes.len()), (Some(ArmCounts { bad: 5, total: 5 }), 1));
}

#[test]
fn counters_of_the_users_own_are_taken_as_they_select() {
    let selected = IncrementsQuery { scope: Scope::Selected, ..own_counters() };
    let text = increments(&[&selected]).unwrap();
    assert!(
        text.bad.contains(r#"orders_total{outcome="lost"} offset 15s"#) && !text.bad.contains("=~"),
        "{}",
        text.bad
    );
    let one = |value| vec![(String::new(), value)];
    let answer = counts(&selected, &one(2.0), &one(80.0)).unwrap();
    assert_eq!(answer, Answer::Events { counts: Some(ArmCounts { bad: 2, total: 80 }), notes: Vec::new() });
}

#[test]
fn several_rollouts_share_a_query() {
    let shop = query(Pack::Istio);
    let cart = IncrementsQuery {
        arms: Arms { namespace: "cart".into(), canary: "cart-2".into(), stable: "cart-1".into(), ..Arms::default() },
        ..shop.clone()
    };
    assert!(are_alike(&shop, &cart));
    assert!(!are_alike(&shop, &IncrementsQuery { warm_up_seconds: 0, ..shop.clone() }));
    let total = increments(&[&shop, &cart]).unwrap().total;
    assert!(total.contains(r#"destination_workload_namespace=~"cart|shop""#), "{total}");
    assert!(total.contains(r#"=~"checkout-k3v9x2m1qa|checkout-b7d0c41hze|cart-2|cart-1""#), "{total}");
    assert_eq!(arm_names(&cart).unwrap(), ("cart/cart-2".to_owned(), "cart/cart-1".to_owned()));
    let envoy = arm_names(&query(Pack::Envoy)).unwrap();
    assert_eq!(envoy, ("checkout-canary.shop".to_owned(), "checkout.shop".to_owned()));
}
