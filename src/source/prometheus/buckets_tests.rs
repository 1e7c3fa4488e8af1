use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::analysis::{BuiltinHistogram, Histogram as HistogramOf, Pack};

fn query(pack: Pack, kind: BucketKind) -> BucketsQuery {
    BucketsQuery {
        histogram: HistogramOf { builtin: Some(BuiltinHistogram::Duration), prometheus: None },
        kind,
        pack,
        arms: super::super::promql::tests::query(pack).arms,
        scope: Scope::Arms,
        end: Timestamp::UNIX_EPOCH,
        window_seconds: 15,
        piece_seconds: None,
        warm_up_seconds: 120,
        whole_pods: false,
    }
}

fn own_histogram(selector: &str, kind: BucketKind) -> BucketsQuery {
    let named = PrometheusHistogram::of(selector);
    let histogram = HistogramOf { builtin: None, prometheus: Some(named) };
    BucketsQuery { histogram, warm_up_seconds: 0, ..query(Pack::Istio, kind) }
}

fn proved() -> [BucketsQuery; 5] {
    let classic = || BucketKind::Classic(vec![0.1, 0.25]);
    [
        query(Pack::Application, classic()),
        query(Pack::Istio, BucketKind::Classic(vec![100.0, 250.0])),
        query(Pack::Envoy, BucketKind::Classic(vec![100.0, 250.0])),
        query(Pack::Application, BucketKind::Native),
        BucketsQuery { whole_pods: true, ..own_histogram("rpc_seconds{app=\"a\"}", BucketKind::Classic(vec![])) },
    ]
}

#[test]
fn texts_of_the_packs() {
    let texts: Vec<String> = proved().iter().map(|query| text(&[query]).unwrap()).collect();
    insta::assert_snapshot!("buckets", texts.join("\n\n"));
}

/// promtool proves the texts in the vectors; this proves that they are ours.
#[test]
fn the_proved_texts_of_histograms_are_these() {
    let vectors: serde_yaml::Value =
        serde_yaml::from_str(include_str!("../../../tests/vectors/histograms.promtool.yml")).unwrap();
    let ours: Vec<String> = proved().iter().map(|query| text(&[query]).unwrap()).collect();
    let mut seen = 0;
    for test in vectors["tests"].as_sequence().unwrap() {
        for proved in test["promql_expr_test"].as_sequence().unwrap() {
            assert!(ours.iter().any(|text| text == proved["expr"].as_str().unwrap()), "{proved:?}");
            seen += 1;
        }
    }
    assert!(seen >= 5, "only {seen}");
}

#[test]
fn a_bound_is_asked_for_in_every_spelling() {
    for (bound, spelled) in [
        (0.25, "0[.]25"),
        (1.0, "1|1[.]0"),
        (1e6, "1000000|1000000[.]0|1e[+]06"),
        (2.5e6, "2500000|2500000[.]0|2[.]5e[+]06"),
        (0.00005, "0[.]00005|5e-05"),
    ] {
        assert_eq!(spellings(&[bound]), format!("{spelled}|[+]Inf"));
    }
}

#[test]
fn several_rollouts_share_a_query_whatever_their_bounds() {
    let shop = query(Pack::Istio, BucketKind::Classic(vec![100.0, 250.0]));
    let arms = Arms { namespace: "cart".into(), canary: "cart-2".into(), stable: "cart-1".into(), ..Arms::default() };
    let cart = BucketsQuery { arms, kind: BucketKind::Classic(vec![50.0, 100.0]), ..shop.clone() };
    assert!(are_alike(&shop, &cart));
    let others = [
        BucketsQuery { kind: BucketKind::Native, ..shop.clone() },
        BucketsQuery { kind: BucketKind::Classic(vec![]), ..shop.clone() },
        BucketsQuery { window_seconds: 30, ..shop.clone() },
    ];
    assert!(others.iter().all(|other| !are_alike(&shop, other)));
    let text = text(&[&shop, &cart]).unwrap();
    assert!(text.contains(r#"le=~"50|50[.]0|100|100[.]0|250|250[.]0|[+]Inf""#), "{text}");
    assert!(text.contains(r#"destination_workload_namespace=~"cart|shop""#), "{text}");
    assert!(text.contains(r#"=~"checkout-k3v9x2m1qa|checkout-b7d0c41hze|cart-2|cart-1""#), "{text}");
}

#[test]
fn a_pack_with_several_places_sums_them_all() {
    let nginx = query(Pack::Nginx, BucketKind::Classic(vec![0.1]));
    let text = text(&[&nginx]).unwrap();
    assert!(text.starts_with("sum by (arm, le) (label_replace(") && text.matches("label_join(").count() == 2, "{text}");
    assert!(
        text.contains(r#"response_duration_seconds_bucket{canary!~"-?",le=~"0[.]1|[+]Inf",canary=~"shop-"#),
        "{text}"
    );
    assert!(text.contains(r#"exported_namespace=~"shop",exported_service=~"checkout-canary|checkout""#), "{text}");
    let pods = BucketsQuery { arms: Arms { canary_pods: Some("x".into()), ..nginx.arms.clone() }, ..nginx };
    assert_eq!(super::text(&[&pods]), Err(PromqlError::CallersPods));
}

/// A federation or a gateway names the serving pod in another label, and OpenTelemetry's names have dots.
#[test]
fn own_histograms_name_the_pod_in_any_label() {
    for kind in [BucketKind::Classic(vec![0.1]), BucketKind::Native] {
        let mut query = BucketsQuery { warm_up_seconds: 120, ..own_histogram("rpc_seconds", kind) };
        let labels = |pod: &str, namespace: &str| PrometheusHistogram {
            pod_label: Some(pod.into()),
            namespace_label: Some(namespace.into()),
            ..PrometheusHistogram::of("rpc_seconds")
        };
        query.histogram.prometheus = Some(labels("exported_pod", "exported_namespace"));
        let exported = text(&[&query]).unwrap();
        assert!(
            exported.contains(r#"exported_namespace=~"shop",exported_pod=~"checkout-k3v9x2m1qa-.*|checkout-"#)
                && exported.contains(r#"label_replace(label_join("#)
                && exported.contains(r#""arm", "/", "exported_namespace", "exported_pod")"#),
            "{exported}"
        );
        assert_eq!(exported.matches("on (exported_pod) group by (exported_pod)").count(), 2, "born, warm: {exported}");
        assert!(!exported.contains("on (pod)") && !exported.contains("{pod=~"), "{exported}");
        query.histogram.prometheus = Some(labels("k8s.pod.name", "k8s.namespace.name"));
        let dotted = text(&[&query]).unwrap();
        assert!(dotted.contains(r#""k8s.pod.name"=~"checkout-"#), "{dotted}");
        assert_eq!(dotted.matches(r#"on ("k8s.pod.name") group by ("k8s.pod.name")"#).count(), 2, "{dotted}");
    }
}

#[test]
fn a_whole_service_is_counted_in_pieces() {
    let month = |query: BucketsQuery| BucketsQuery {
        scope: Scope::Service,
        window_seconds: 2_592_000,
        piece_seconds: Some(3_600),
        warm_up_seconds: 0,
        ..query
    };
    for kind in [BucketKind::Classic(vec![]), BucketKind::Native] {
        let text = text(&[&month(query(Pack::Application, kind.clone()))]).unwrap();
        assert!(text.starts_with("sum_over_time((sum by (arm") && text.ends_with(")[2592000s:3600s])"), "{text}");
        assert!(text.contains(r#"pod=~"checkout-[a-z0-9]{8,10}-[a-z0-9]{5}"#), "all revisions: {text}");
        assert!(text.contains("offset 3600s") && !text.contains("offset 2592000s"), "{text}");
    }
    let service = month(query(Pack::Application, BucketKind::Classic(vec![])));
    let result = json!([bucket("checkout", "0.1", "6"), bucket("checkout", "+Inf", "10"), bucket("cart", "+Inf", "9")]);
    let samples = read(Answerer { name: "p", remedy: "r" }, 200, &body(result)).unwrap();
    let Answer::Times { times, unit, notes } = answer(&service, &samples).unwrap() else { panic!("no times") };
    let times = times.unwrap();
    assert_eq!((times.total(), times.above(0.1), unit, notes), (10, Some(4), 1.0, vec![]));
    let own = BucketsQuery { scope: Scope::Selected, ..own_histogram("rpc_seconds", BucketKind::Native) };
    let selected = text(&[&own]).unwrap();
    assert!(selected.contains("rpc_seconds offset 15s") && !selected.contains("label_"), "no arms: {selected}");
    let native =
        json!([{"metric": {}, "histogram": [0, {"count": "3", "sum": "1", "buckets": [[0, "0.2", "0.4", "3"]]}]}]);
    let samples = read(Answerer { name: "p", remedy: "r" }, 200, &body(native)).unwrap();
    let Answer::Times { times, .. } = answer(&own, &samples).unwrap() else { panic!("no times") };
    assert_eq!(times.unwrap().above(0.2), Some(3));
}

#[test]
fn what_names_no_histogram_is_refused() {
    let named = |histogram: &str| own(&PrometheusHistogram::of(histogram));
    assert!(named("rate(a[1m])").is_err());
    assert_eq!(
        named("{__name__=\"a\"}").unwrap_err().to_string(),
        "`{__name__=\"a\"}` does not name a histogram; write name{label=\"value\"}"
    );
    assert_eq!(named("rpc_milliseconds").unwrap().1, TimeUnit::Milliseconds);
    let nothing = BucketsQuery { histogram: HistogramOf::default(), ..query(Pack::Istio, BucketKind::Native) };
    assert_eq!(text(&[&nothing]), Err(PromqlError::NoHistogram));
    let mut no_service = query(Pack::Envoy, BucketKind::Native);
    no_service.arms.canary_service = None;
    assert_eq!(text(&[&no_service]), Err(PromqlError::NoService));
}

fn body(result: Value) -> Vec<u8> {
    json!({"status": "success", "data": {"resultType": "vector", "result": result}}).to_string().into_bytes()
}

fn answered(query: &BucketsQuery, result: Value) -> (Option<Histogram>, Option<Histogram>, f64, Vec<String>) {
    let samples = read(Answerer { name: "p", remedy: "r" }, 200, &body(result)).unwrap();
    match answer(query, &samples).unwrap() {
        Answer::Buckets { canary, stable, unit, notes } => (canary, stable, unit, notes),
        other => panic!("{other:?}"),
    }
}

fn bucket(arm: &str, le: &str, count: &str) -> Value {
    json!({"metric": {"arm": format!("shop/{arm}"), "le": le}, "value": [0, count]})
}

const CANARY: &str = "checkout-k3v9x2m1qa";
const STABLE: &str = "checkout-b7d0c41hze";

#[test]
fn classic_buckets_are_read_by_number() {
    let query = query(Pack::Istio, BucketKind::Classic(vec![100.0, 1000.0]));
    let (canary, stable, unit, notes) = answered(
        &query,
        json!([
            bucket(CANARY, "+Inf", "10"),
            bucket(CANARY, "1000", "9"),
            bucket(CANARY, "100", "4.0000001"),
            bucket(STABLE, "+Inf", "100"),
            bucket(STABLE, "1e+03", "80"),
            bucket(STABLE, "1000.0", "10"),
            bucket(STABLE, "100", "50"),
            bucket("other", "100", "7"),
        ]),
    );
    let (canary, stable) = (canary.unwrap(), stable.unwrap());
    assert_eq!((canary.total(), canary.above(100.0), canary.above(1000.0)), (10, Some(6), Some(1)));
    assert_eq!((stable.total(), stable.above(100.0), stable.above(1000.0)), (100, Some(50), Some(10)));
    assert_eq!((unit, notes), (0.001, vec![]));
    assert_eq!(answered(&query, json!([])), (None, None, 0.001, vec![]));
}

#[test]
fn native_buckets_are_read_as_they_come() {
    let query = query(Pack::Application, BucketKind::Native);
    let native = |count: &str| {
        json!({"metric": {"arm": format!("shop/{CANARY}")}, "histogram": [0, {"count": "9", "sum": "1.5", "buckets": [
            [3, "-0.001", "0.001", "2"], [0, "0.25", "0.5", "4"], [0, "0.5", "1", count],
        ]}]})
    };
    let (canary, stable, unit, _) = answered(&query, json!([native("3")]));
    let canary = canary.unwrap();
    assert_eq!(
        (canary.total(), canary.above(0.25), canary.above(0.5), canary.schema()),
        (9, Some(7), Some(3), Some(0))
    );
    assert_eq!((stable, unit), (None, 1.0));
    let empty = json!({"metric": {"arm": format!("shop/{STABLE}")}, "histogram": [0, {"count": "0", "sum": "0"}]});
    assert_eq!(answered(&query, json!([empty])).1.unwrap().total(), 0);
}

#[test]
fn a_window_with_a_negative_or_odd_count_is_dropped_with_a_note() {
    let native = query(Pack::Application, BucketKind::Native);
    let classic = query(Pack::Application, BucketKind::Classic(vec![0.1]));
    let of = |buckets: Value| json!([{"metric": {"arm": format!("shop/{CANARY}")}, "histogram": [0, {"count": "1", "sum": "1", "buckets": buckets}]}]);
    let many: Vec<Value> = (0..1100).map(|n| json!([0, n.to_string(), (n + 1).to_string(), "1"])).collect();
    for (query, result, odd) in [
        (&native, of(json!([[0, "1", "2", "-1"]])), "a bucket's count fell, as after a counter reset"),
        (&native, of(json!([[0, "1", "x", "1"]])), "a bucket is not a number"),
        (&native, of(json!([[0, "1", "2", "NaN"]])), "a bucket is not a number"),
        (&native, of(Value::Array(many)), "an arm has more than 1024 buckets"),
        (
            &classic,
            json!([bucket(CANARY, "0.1", "5"), bucket(CANARY, "+Inf", "4")]),
            "a bucket's count fell, as after a counter reset",
        ),
        (&classic, json!([bucket(CANARY, "much", "5")]), "a bucket is not a number"),
    ] {
        let (canary, stable, _, notes) = answered(query, result);
        assert_eq!((canary, stable, notes), (None, None, vec![format!("dropped windows: {odd}")]));
    }
}

#[test]
fn an_answer_without_samples_of_series_is_an_error() {
    let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[0,"1"]}}"#;
    assert!(read(Answerer { name: "p", remedy: "r" }, 200, scalar).is_err());
    assert!(read(Answerer { name: "p", remedy: "r" }, 200, b"<html>").is_err());
}
