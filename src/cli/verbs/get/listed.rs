//! The kinds that `get` lists, and their columns.

use std::fmt::Debug;

use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    api::{Rollout, status::RevisionRef},
    cli::{connect::Connection, exit::CliError, program::program, render::table::Cell},
    view::{doing::in_a_list, phrases},
};

/// Which columns, and whether painted.
#[derive(Clone, Copy, Debug, Default)]
pub struct RowStyle {
    /// More columns and absolute times.
    pub wide: bool,
    /// The namespace first.
    pub namespaces: bool,
    /// Colours.
    pub color: bool,
}

/// The column that changes though nothing happens.
pub(super) const AGE: &str = "AGE";

/// A kind that can be listed.
pub(in crate::cli) trait Listed:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + 'static
{
    /// Its kind.
    const KIND: &'static str;

    /// The one of this name, or an error that says what there is.
    async fn one(connection: &Connection, name: &str) -> Result<Self, CliError>;

    /// The names of the columns.
    fn head(wide: bool) -> Vec<&'static str>;

    /// The columns.
    fn row(&self, wide: bool, now: Timestamp) -> Vec<Cell>;
}

impl Listed for Rollout {
    const KIND: &'static str = "Rollout";

    async fn one(connection: &Connection, name: &str) -> Result<Self, CliError> {
        connection.rollout(name).await.map_err(|error| match error {
            CliError::NotFound { kind, name, namespace, there } => {
                let there = other_kind(&name).unwrap_or(there);
                CliError::NotFound { kind, name, namespace, there }
            }
            other => other,
        })
    }

    fn head(wide: bool) -> Vec<&'static str> {
        let mut head = vec!["NAME", "PHASE", "STEP", "WEIGHT", "READY", AGE];
        if wide {
            head.extend(["CREATED", "STABLE", "CURRENT"]);
        }
        head.push("MESSAGE");
        head
    }

    fn row(&self, wide: bool, now: Timestamp) -> Vec<Cell> {
        let status = self.status.clone().unwrap_or_default();
        let phase = status.phase.map_or_else(|| Cell::from("Unknown"), |p| Cell::toned(p.into(), format!("{p:?}")));
        let mut cells = vec![
            self.name_any().into(),
            phase,
            or_dash(&status.step_shown).into(),
            or_dash(&status.weight_shown).into(),
            or_dash(&status.ready_shown).into(),
            age(self, now),
        ];
        if wide {
            cells.push(created(self).map_or_else(|| "-".into(), phrases::time).into());
            cells.extend([revision(status.stable_revision.as_ref()), revision(status.current_revision.as_ref())]);
        }
        cells.push(in_a_list(self).into());
        cells
    }
}

fn created(object: &impl Resource) -> Option<Timestamp> {
    object.meta().creation_timestamp.as_ref().map(|at| at.0)
}

/// How long ago it was created.
pub fn age(object: &impl Resource, now: Timestamp) -> Cell {
    created(object).map_or_else(|| "-".into(), |at| phrases::age(now.duration_since(at))).into()
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn revision(revision: Option<&RevisionRef>) -> Cell {
    revision.map_or_else(|| "-".into(), |r| format!("#{} {}", r.number, r.id)).into()
}

/// Kinds that users of kubectl ask for with `get`, and that this one does not list.
const OTHER_KINDS: [&str; 27] = [
    "pods",
    "pod",
    "po",
    "deployments",
    "deployment",
    "deploy",
    "replicasets",
    "replicaset",
    "rs",
    "services",
    "service",
    "svc",
    "events",
    "event",
    "ev",
    "analysistemplates",
    "analysistemplate",
    "clusteranalysistemplates",
    "gat",
    "at",
    "rolloutcommands",
    "rolloutcommand",
    "virtualservices",
    "virtualservice",
    "vs",
    "experiments",
    "canaries",
];

fn other_kind(word: &str) -> Option<String> {
    let kind = match word {
        "at" | "analysistemplates" | "analysistemplate" => "analysistemplates.glidepath.dev",
        word if OTHER_KINDS.contains(&word) => word,
        _ => return None,
    };
    let program = program();
    Some(format!("{program} get lists Rollouts, and AnalysisRuns with '{program} get runs'; use 'kubectl get {kind}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_kinds_are_kubectls() {
        let answer = "glidepath get lists Rollouts, and AnalysisRuns with 'glidepath get runs'; use 'kubectl get pods'";
        assert_eq!(other_kind("pods").as_deref(), Some(answer));
        assert!(other_kind("at").unwrap().ends_with("'kubectl get analysistemplates.glidepath.dev'"));
        assert_eq!(other_kind("web"), None);
    }
}
