//! Whom a plan is for, and what holds for the routes of every Rollout.

/// Whether Rollouts may write route objects of other namespaces at all (`controller --cross-namespace`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CrossNamespace {
    /// Those whose owners consent.
    #[default]
    Consent,
    /// None.
    Deny,
}

/// What holds for the routes of every Rollout of one controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteScope {
    /// The cluster's DNS domain, usually `cluster.local`.
    pub cluster_domain: String,
    /// Whether objects of other namespaces may be written.
    pub cross_namespace: CrossNamespace,
}

impl Default for RouteScope {
    fn default() -> Self {
        RouteScope { cluster_domain: "cluster.local".to_owned(), cross_namespace: CrossNamespace::default() }
    }
}

/// Whom a plan is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteContext {
    /// The Rollout's namespace, where its Services are.
    pub namespace: String,
    /// The Service that clients use, where there is one.
    pub root_service: Option<String>,
    /// The Service of the stable version.
    pub stable_service: String,
    /// The Service of the new version.
    pub canary_service: String,
    /// What holds for all Rollouts.
    pub scope: RouteScope,
    /// The Rollout's name.
    pub rollout_name: String,
    /// The Rollout's uid: objects that we make are owned by it.
    pub rollout_uid: String,
}
