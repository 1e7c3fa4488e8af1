//! What was played, for scripts and for CI.

use serde_json::{Value, json};

use crate::{
    cli::offline::junit::{Case, Suite},
    view::document::API_VERSION,
};

/// One scenario, or one Rollout's estimate.
pub(super) struct Played {
    pub value: Value,
    pub case: Case,
}

/// Everything that was played.
#[derive(Default)]
pub(super) struct Report {
    pub scenarios: Vec<Played>,
    pub estimates: Vec<Played>,
}

impl Played {
    /// A scenario that was played; why it failed, if it did.
    pub fn of(name: &str, value: Value, failure: Option<String>) -> Played {
        let failure = failure.map(|whole| (whole.lines().next().unwrap_or_default().trim().to_owned(), whole));
        Played { value, case: Case { name: name.to_owned(), failure, ..Case::default() } }
    }

    /// A scenario that is not for here.
    pub fn skipped(name: &str, why: &str) -> Played {
        let case = Case { name: name.to_owned(), skipped: Some(why.to_owned()), ..Case::default() };
        Played { value: json!({ "file": name, "skipped": why }), case }
    }
}

impl Report {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        self.all().all(|played| played.case.failure.is_none())
    }

    fn all(&self) -> impl Iterator<Item = &Played> {
        self.scenarios.iter().chain(&self.estimates)
    }

    /// The report for scripts; docs/json.md describes it.
    pub fn json(&self) -> Value {
        let values = |all: &[Played]| all.iter().map(|played| played.value.clone()).collect::<Vec<_>>();
        json!({
            "apiVersion": API_VERSION,
            "kind": "SimulationReport",
            "passed": self.passed(),
            "scenarios": values(&self.scenarios),
            "estimates": values(&self.estimates),
        })
    }

    /// The report for CI.
    pub fn suite(&self) -> Suite {
        Suite { name: "glidepath simulate".to_owned(), cases: self.all().map(|played| played.case.clone()).collect() }
    }
}
