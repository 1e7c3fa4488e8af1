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

pub static KINDS: [Kind; 31] = [
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
    // Those of the other routers, which nothing looks for before a Rollout names the router.
    kind("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes", true),
    kind("gateway.networking.k8s.io", "v1alpha2", "TCPRoute", "tcproutes", true),
    kind("traefik.io", "v1alpha1", "TraefikService", "traefikservices", false),
    kind("split.smi-spec.io", "v1alpha4", "TrafficSplit", "trafficsplits", false),
    kind("networking.k8s.io", "v1", "Ingress", "ingresses", true),
    kind("consul.hashicorp.com", "v1alpha1", "ServiceSplitter", "servicesplitters", true),
    kind("consul.hashicorp.com", "v1alpha1", "ServiceResolver", "serviceresolvers", true),
    kind("consul.hashicorp.com", "v1alpha1", "ServiceRouter", "servicerouters", true),
    kind("consul.hashicorp.com", "v1alpha1", "ServiceDefaults", "servicedefaults", true),
    kind("consul.hashicorp.com", "v1alpha1", "ProxyDefaults", "proxydefaults", true),
    kind("apisix.apache.org", "v2", "ApisixRoute", "apisixroutes", true),
    kind("projectcontour.io", "v1", "HTTPProxy", "httpproxies", true),
    kind("gateway.solo.io", "v1", "RouteTable", "routetables", true),
    kind("gloo.solo.io", "v1", "UpstreamGroup", "upstreamgroups", true),
    kind("kuma.io", "v1alpha1", "MeshHTTPRoute", "meshhttproutes", false),
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
