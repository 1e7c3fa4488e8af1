//! The kinds of object that a local rollout has, as the Kubernetes API names them.

/// One kind.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The version.
    pub version: &'static str,
    /// The kind itself.
    pub kind: &'static str,
    /// Its name in paths and its folder.
    pub plural: &'static str,
    /// Which of its objects are kept: the newest so many.
    pub kept: usize,
}

/// Rollouts: there is one.
pub const ROLLOUT: &Kind = &ours("Rollout", "rollouts", usize::MAX);
/// Analysis runs.
pub const RUN: &Kind = &ours("AnalysisRun", "analysisruns", 20);
/// The file's templates.
pub const TEMPLATE: &Kind = &ours("AnalysisTemplate", "analysistemplates", usize::MAX);
/// Commands.
pub const COMMAND: &Kind = &ours("RolloutCommand", "rolloutcommands", 20);
/// Revisions, in the shape in which a cluster has them.
pub const REPLICA_SET: &Kind =
    &Kind { group: "apps", version: "v1", kind: "ReplicaSet", plural: "replicasets", kept: usize::MAX };
/// What happened.
pub const EVENT: &Kind = &Kind { group: "", version: "v1", kind: "Event", plural: "events", kept: 200 };

/// All of them.
pub const ALL: [&Kind; 6] = [ROLLOUT, RUN, TEMPLATE, COMMAND, REPLICA_SET, EVENT];

const fn ours(kind: &'static str, plural: &'static str, kept: usize) -> Kind {
    Kind { group: "glidepath.dev", version: "v1alpha1", kind, plural, kept }
}

impl Kind {
    /// `group/version`, as in `apiVersion`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}
