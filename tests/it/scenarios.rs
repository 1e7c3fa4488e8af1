//! The repository's own scenarios: each is played, and each rule of semantics.md that has none is named in a list that can
//! only shrink on purpose.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use glidepath::{
    cli::{
        paint::Paint,
        simulate::{self, Loaded},
    },
    sim::Player,
};

/// The rules of semantics.md, by section.
const RULES: [std::ops::RangeInclusive<u32>; 7] = [1..=8, 10..=20, 30..=41, 50..=58, 60..=63, 70..=73, 80..=84];
/// Rules without a scenario, with the reason.
const UNCOVERED: &str = include_str!("../scenarios/uncovered.txt");

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

/// Every scenario, in the order of the files' names.
pub fn all() -> Vec<Loaded> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    files.sort();
    files.iter().flat_map(|file| simulate::load(file).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// One scenario by its file's name.
pub fn named(name: &str) -> Loaded {
    simulate::load(&folder().join(format!("{name}.yaml"))).unwrap_or_else(|error| panic!("{error}")).remove(0)
}

fn played_with(loaded: &Loaded, seed: Option<u64>) -> Result<(), String> {
    let story = Player::new(&loaded.setting, seed).unwrap().play();
    match &story.failure {
        None => Ok(()),
        Some(failure) => Err(simulate::failure(loaded, story.seed, failure, Paint { on: false })),
    }
}

#[test]
fn every_scenario_is_played_as_it_says() {
    let mut failed = Vec::new();
    for loaded in all() {
        println!("{}", loaded.name);
        failed.extend(played_with(&loaded, None).err());
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_same_seed_is_the_same_story() {
    for name in ["everything-goes-wrong", "bad-version", "leaders-change"] {
        let story = || Player::new(&named(name).setting, Some(11)).unwrap().play();
        let (one, other) = (story(), story());
        assert_eq!(one.lines, other.lines, "{name}");
        assert_eq!((one.lost, one.versions), (other.lost, other.versions), "{name}");
    }
}

/// Faults come at other moments with each seed, and everything holds all the same.
#[test]
fn faults_change_no_end_whatever_the_seed() {
    let mut failed = Vec::new();
    for loaded in all() {
        if loaded.setting.scenario.world.faults.iter().all(|fault| fault.probability.is_none()) {
            continue;
        }
        let broken = (1..=40).find_map(|seed| played_with(&loaded, Some(seed)).err());
        failed.extend(broken);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_scenario_names_its_rules_and_every_rule_its_scenario() {
    let known: BTreeSet<u32> = RULES.into_iter().flatten().collect();
    let mut covered = BTreeSet::new();
    for loaded in all() {
        let description = &loaded.setting.scenario.description;
        let rules = description.split(':').next().unwrap_or_default();
        for rule in rules.split(", ") {
            let number = rule.strip_prefix('S').and_then(|number| number.parse().ok());
            let number = number.unwrap_or_else(|| panic!("{}: \"{rule}\" is no rule", loaded.name));
            assert!(known.contains(&number), "{}: there is no rule {rule}", loaded.name);
            covered.insert(number);
        }
    }
    let listed: BTreeSet<u32> = UNCOVERED
        .lines()
        .filter(|line| line.starts_with('S'))
        .map(|line| line[1..].split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    let uncovered: BTreeSet<u32> = known.difference(&covered).copied().collect();
    assert_eq!(uncovered, listed, "tests/scenarios/uncovered.txt lists other rules than those without a scenario");
}
