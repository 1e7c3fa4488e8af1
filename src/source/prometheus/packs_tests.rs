//! The queries of the metric packs, and that they are the ones which promtool proves on recorded series
//! (`tests/vectors/packs/`, run by the lane). Those of Istio and Envoy are proved in `tests/vectors/packs.promtool.yml`.

use std::{fs, path::PathBuf};

use serde_yaml::Value;

use super::{
    PromqlError, arm_names, increments,
    tests::{query, shown},
};
use crate::api::analysis::Pack;

fn packs() -> impl Iterator<Item = Pack> {
    Pack::ALL.into_iter().filter(|pack| !matches!(pack, Pack::Istio | Pack::Envoy))
}

/// As it is written in a template.
fn name(pack: Pack) -> String {
    serde_yaml::to_string(&pack).unwrap().trim().to_owned()
}

fn vectors(of: &str) -> Vec<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/packs");
    let text = fs::read_to_string(folder.join(format!("{of}.promtool.yml"))).unwrap();
    let file: Value = serde_yaml::from_str(&text).unwrap();
    file["tests"].as_sequence().unwrap().clone()
}

#[test]
fn the_text_of_every_pack() {
    for pack in packs() {
        insta::assert_snapshot!(name(pack), shown(&query(pack)));
    }
}

/// Every query of the vectors is one of ours, both of ours have samples there, and the samples are of our arms.
#[test]
fn the_vectors_prove_the_text_of_every_pack() {
    for pack in packs() {
        let (of, ours) = (name(pack), increments(&[&query(pack)]).unwrap());
        let (canary, stable) = arm_names(&query(pack)).unwrap();
        let arms = [canary, stable].map(|arm| format!("{{arm=\"{arm}\"}}"));
        let (mut bad, mut total) = (0, 0);
        for test in vectors(&of) {
            for proved in test["promql_expr_test"].as_sequence().unwrap() {
                let text = proved["expr"].as_str().unwrap();
                assert!(text == ours.bad || text == ours.total, "{of}: not ours: {text}");
                let samples = proved["exp_samples"].as_sequence().unwrap();
                let named = |sample: &Value| arms.iter().any(|arm| sample["labels"].as_str() == Some(arm));
                assert!(samples.iter().all(named), "{of}: {samples:?}");
                *if text == ours.bad { &mut bad } else { &mut total } += samples.len();
            }
        }
        assert!(bad > 0 && total > 0, "{of}: {bad} samples of bad, {total} of all events");
    }
}

#[test]
fn packs_that_name_services_need_both() {
    for pack in [Pack::Envoy, Pack::Contour, Pack::Traefik, Pack::Nginx] {
        let mut query = query(pack);
        query.arms.stable_service = None;
        assert_eq!(increments(&[&query]), Err(PromqlError::NoService), "{pack:?}");
    }
}

#[test]
fn callers_do_not_see_which_pod_served() {
    for (pack, refused) in [(Pack::Ambient, true), (Pack::Nginx, true), (Pack::Istio, false), (Pack::Linkerd, false)] {
        let mut query = query(pack);
        query.arms.canary_pods = Some("checkout-b7d0c41hze-.*2".into());
        assert_eq!(increments(&[&query]).err() == Some(PromqlError::CallersPods), refused, "{pack:?}");
    }
}
