//! The text of the query for stable's pods, and the reading of its answer.

use std::{collections::HashMap, fs, path::PathBuf};

use jiff::Timestamp;

use super::*;
use crate::{
    api::analysis::{Counter, Pack, PrometheusCounter},
    evidence::IncrementsQuery,
};

fn query(pack: Pack) -> SpreadQuery {
    let at = |second| Timestamp::from_second(second).unwrap();
    let of_one = promql::tests::query(pack);
    let window = IncrementsQuery { end: at(21_600), window_seconds: 300, warm_up_seconds: 0, ..of_one };
    SpreadQuery { window, first_end: at(300) }
}

fn text(query: &SpreadQuery) -> String {
    ask(&[query]).unwrap().unwrap().text
}

#[test]
fn pods_count_for_themselves_also_where_callers_add_to_it() {
    insta::assert_snapshot!("istio", text(&query(Pack::Istio)));
    let mut own = query(Pack::Istio);
    let counter = |name: &str| {
        let labels = Some("k8s.pod.name".to_owned());
        Counter {
            builtin: None,
            prometheus: Some(PrometheusCounter { pod_label: labels, ..PrometheusCounter::of(name) }),
        }
    };
    (own.window.bad, own.window.total) = (counter("lost_total"), counter("orders_total"));
    insta::assert_snapshot!("own_counters", text(&own));
}

#[test]
fn callers_do_not_distinguish_pods() {
    assert_eq!(ask(&[&query(Pack::Envoy)]), Ok(None));
}

/// promtool proves the text in the vectors; this proves that it is ours.
#[test]
fn the_vectors_prove_the_text() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let file: serde_yaml::Value =
        serde_yaml::from_str(&fs::read_to_string(folder.join("spread.promtool.yml")).unwrap()).unwrap();
    let proved = file["tests"][0]["promql_expr_test"].as_sequence().unwrap();
    assert!(proved.len() > 1);
    assert!(proved.iter().all(|one| one["expr"].as_str() == Some(&text(&query(Pack::Application)))));
}

#[test]
fn one_request_has_the_windows_of_six_hours() {
    let ask = ask(&[&query(Pack::Application)]).unwrap().unwrap();
    assert_eq!((ask.start.as_second(), ask.end.as_second(), ask.step_seconds), (300, 21_600, 300));
}

#[test]
fn windows_are_read_in_order_with_the_pods_of_stable_alone() {
    let series = |arm: &str, of: &str, pod: &str, points: &[(i64, f64)]| -> Series {
        let labels = [("arm", arm), ("of", of), ("pod", pod)].map(|(name, value)| (name.to_owned(), value.to_owned()));
        (HashMap::from(labels), points.to_vec())
    };
    let stable = "shop/checkout-b7d0c41hze";
    let all = [
        series(stable, "total", "a", &[(600, 50.4), (300, 40.0)]),
        series(stable, "total", "b", &[(600, 60.0)]),
        series(stable, "bad", "b", &[(600, 3.0), (900, f64::NAN)]),
        series("shop/checkout-k3v9x2m1qa", "total", "c", &[(600, 7.0)]),
    ];
    let counts = |bad, total| ArmCounts { bad, total };
    let expected = vec![vec![counts(0, 40)], vec![counts(0, 50), counts(3, 60)]];
    assert_eq!(answer(&query(Pack::Istio), &all), Ok(Answer::Spread(Some(expected))));
}
