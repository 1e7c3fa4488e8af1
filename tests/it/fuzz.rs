//! The fuzz targets of `fuzz/` as bounded property tests: the same bodies, on every seed of `fuzz/seeds/` as it is and on
//! inputs that are drawn from one fixed seed, so that a failure is there for everybody. Looking for more is libFuzzer's work
//! (`make fuzz`); what it finds goes into `fuzz/seeds/` and is tested ever after.

pub mod bodies;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use fastrand::Rng;
use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};

use crate::hostile::mutate::mutated;

/// Inputs per target, if `GLIDEPATH_FUZZ_CASES` does not say.
const USUAL: u32 = 256;

/// One property test for each target, and the list of all.
macro_rules! targets {
    ($($name:ident),+ $(,)?) => {
        const TARGETS: &[&str] = &[$(stringify!($name)),+];
        $(
            #[test]
            fn $name() {
                holds(stringify!($name), bodies::$name::run);
            }
        )+
    };
}

targets!(answers, conditions, routes, step, units, yaml);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folders with a target's seeds: files that ship are seeds too.
fn seed_folders(target: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join("fuzz/seeds").join(target)];
    if target == "yaml" {
        folders.extend(["rollouts", "analysis", "tests/golden/lint"].map(|folder| root().join(folder)));
    }
    folders
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn holds(target: &str, body: fn(&[u8])) {
    let seeds: Vec<PathBuf> = seed_folders(target).iter().flat_map(|folder| files(folder)).collect();
    let texts: Vec<Vec<u8>> = seeds.iter().map(|path| fs::read(path).unwrap()).collect();
    for (path, text) in seeds.iter().zip(&texts) {
        println!("{}", path.display()); // the last one that is shown is the one that failed
        body(text);
    }
    let cases = std::env::var("GLIDEPATH_FUZZ_CASES").map_or(USUAL, |number| number.parse().unwrap());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let ended = runner.run(&inputs(texts), |input| {
        body(&input);
        Ok::<(), TestCaseError>(())
    });
    match ended {
        Ok(()) => {}
        Err(TestError::Fail(reason, input)) => {
            panic!("{reason}\nfuzz target {target}, on {input:?}\nas text: {}", String::from_utf8_lossy(&input));
        }
        Err(TestError::Abort(reason)) => panic!("fuzz target {target}: {reason}"),
    }
}

/// Bytes of all kinds, and seeds with small changes.
fn inputs(seeds: Vec<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let bytes = prop::collection::vec(any::<u8>(), 0..300);
    let texts: Vec<String> = seeds.into_iter().filter_map(|seed| String::from_utf8(seed).ok()).collect();
    if texts.is_empty() {
        return bytes.boxed();
    }
    let changed = (any::<prop::sample::Index>(), any::<u64>())
        .prop_map(move |(index, seed)| mutated(&texts[index.index(texts.len())], &mut Rng::with_seed(seed)));
    prop_oneof![1 => bytes, 3 => changed].boxed()
}

/// What `fuzz/` holds and what is tested here are the same targets.
#[test]
fn every_target_of_the_fuzzer_is_a_property_test_and_the_other_way_round() {
    let tested: BTreeSet<String> = TARGETS.iter().map(|name| (*name).to_owned()).collect();
    let sources = files(&root().join("fuzz/fuzz_targets"));
    let fuzzed: BTreeSet<String> =
        sources.iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(fuzzed, tested, "fuzz/fuzz_targets and tests/it/fuzz.rs");
    for (path, name) in sources.iter().zip(&fuzzed) {
        let wanted =
            format!("#![no_main]\n\nlibfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::{name}::run(bytes));\n");
        assert_eq!(fs::read_to_string(path).unwrap(), wanted, "{}", path.display());
    }
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    let bins: BTreeSet<String> = manifest
        .split("[[bin]]\n")
        .skip(1)
        .map(|bin| bin.lines().next().unwrap().replace("name = ", "").replace('"', ""))
        .collect();
    assert_eq!(bins, tested, "fuzz/Cargo.toml");
}
