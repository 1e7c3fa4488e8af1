//! Traffic routing: one entry of `spec.traffic` per router, one file per router.

mod consul;
mod custom;
mod gateway;
mod istio;
mod nginx;
mod smi;
mod traefik;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

pub use consul::{ConsulTraffic, META_KEY};
pub use custom::{CustomBackends, CustomFields, CustomHeaders, CustomTraffic};
pub use gateway::{CreatedRoute, GatewayRoute, GatewayTraffic, RouteKind, RouteParent};
pub use istio::{DestinationRuleRef, IstioTraffic, RootRef, TcpRouteRef, TlsRouteRef, VirtualServiceRef};
pub use nginx::NginxTraffic;
pub use smi::{SmiTraffic, TrafficSplitRef};
pub use traefik::{TraefikServiceRef, TraefikTraffic};

/// One router. Exactly one key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = ("[has(self.istio), has(self.gateway), has(self.traefik), has(self.smi), has(self.nginx), has(self.consul), has(self.custom)].exists_one(set, set)", "set one router, for example istio"))]
pub struct TrafficRouter {
    /// Istio: weights of VirtualService routes, by Service host or by DestinationRule subset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub istio: Option<IstioTraffic>,
    /// Gateway API: weights of HTTPRoute, GRPCRoute, TCPRoute and TLSRoute rules, of a gateway or of a mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayTraffic>,
    /// Traefik: weights of a weighted TraefikService.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traefik: Option<TraefikTraffic>,
    /// Service Mesh Interface: weights of TrafficSplits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smi: Option<SmiTraffic>,
    /// ingress-nginx: a canary Ingress with weight, header and cookie annotations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nginx: Option<NginxTraffic>,
    /// Consul: weights of a ServiceSplitter, by subsets of its ServiceResolver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consul: Option<ConsulTraffic>,
    /// Any other mesh or gateway: weights at the paths of a preset, or of your own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<CustomTraffic>,
}

impl TrafficRouter {
    /// Whether its routes distinguish connections alone: none of them counts requests.
    pub fn splits_connections_alone(&self) -> bool {
        let istio = self.istio.as_ref().map(|istio| !istio.virtual_services.iter().any(VirtualServiceRef::has_http));
        let gateway = self.gateway.as_ref().map(GatewayTraffic::splits_connections_alone);
        istio.or(gateway).unwrap_or_default()
    }

    /// Whether it splits traffic by two subsets of one Service, rather than by two Services.
    pub fn splits_by_subset(&self) -> bool {
        self.consul.is_some() || self.istio.as_ref().is_some_and(|istio| istio.destination_rule.is_some())
    }

    /// The keys that are set; a valid entry has one.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        let keys = [
            ("istio", self.istio.is_some()),
            ("gateway", self.gateway.is_some()),
            ("traefik", self.traefik.is_some()),
            ("smi", self.smi.is_some()),
            ("nginx", self.nginx.is_some()),
            ("consul", self.consul.is_some()),
            ("custom", self.custom.is_some()),
        ];
        keys.into_iter().filter(|(_, set)| *set).map(|(key, _)| key)
    }
}
