//! The kinds that this API server serves.

/// One kind and how it is reached.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub namespaced: bool,
    /// Whether it has a status subresource, and with it a generation.
    pub status: bool,
}

const fn kind(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    status: bool,
) -> Kind {
    Kind { group, version, kind, plural, namespaced: true, status }
}

const fn cluster_wide(kind: Kind) -> Kind {
    Kind { namespaced: false, ..kind }
}

pub static KINDS: [Kind; 16] = [
    kind("glidepath.dev", "v1alpha1", "Rollout", "rollouts", true),
    kind("glidepath.dev", "v1alpha1", "AnalysisRun", "analysisruns", true),
    kind("glidepath.dev", "v1alpha1", "RolloutCommand", "rolloutcommands", true),
    kind("glidepath.dev", "v1alpha1", "AnalysisTemplate", "analysistemplates", false),
    cluster_wide(kind("glidepath.dev", "v1alpha1", "ClusterAnalysisTemplate", "clusteranalysistemplates", false)),
    kind("apps", "v1", "ReplicaSet", "replicasets", true),
    kind("apps", "v1", "Deployment", "deployments", true),
    kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    kind("", "v1", "Pod", "pods", true),
    kind("", "v1", "Service", "services", true),
    kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", false),
    kind("coordination.k8s.io", "v1", "Lease", "leases", false),
    cluster_wide(kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", true)),
    kind("networking.istio.io", "v1", "VirtualService", "virtualservices", false),
    kind("networking.istio.io", "v1", "DestinationRule", "destinationrules", false),
    kind("events.k8s.io", "v1", "Event", "events", false),
];

impl Kind {
    /// The kind with this plural.
    pub fn named(plural: &str) -> &'static Kind {
        KINDS.iter().find(|kind| kind.plural == plural).unwrap_or_else(|| panic!("no kind {plural}"))
    }

    /// `apps/v1`, or `v1` for the core.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }
}
