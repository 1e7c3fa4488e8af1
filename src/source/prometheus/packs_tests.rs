//! The queries of the metric packs, and that they are the ones which promtool proves on recorded series
//! (`tests/vectors/packs/`, run by the lane). Those of Istio and Envoy are proved in `tests/vectors/packs.promtool.yml`.

use std::{fs, path::PathBuf};

use serde_yaml::Value;

use super::{
    increments,
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

/// Every query of the vectors is one of ours, and both of ours have samples there.
#[test]
fn the_vectors_prove_the_text_of_every_pack() {
    for pack in packs() {
        let (of, ours) = (name(pack), increments(&[&query(pack)]).unwrap());
        let (mut bad, mut total) = (0, 0);
        for test in vectors(&of) {
            for proved in test["promql_expr_test"].as_sequence().unwrap() {
                let text = proved["expr"].as_str().unwrap();
                assert!(text == ours.bad || text == ours.total, "{of}: not ours: {text}");
                let samples = proved["exp_samples"].as_sequence().unwrap().len();
                *if text == ours.bad { &mut bad } else { &mut total } += samples;
            }
        }
        assert!(bad > 0 && total > 0, "{of}: {bad} samples of bad, {total} of all events");
    }
}
