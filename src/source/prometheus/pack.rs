//! Metric packs: the sources of the builtin counters and the labels that distinguish the arms (`analysis/packs/*.yaml`,
//! embedded).

use std::sync::LazyLock;

use serde::Deserialize;

use super::service_names::ServiceNames;
use crate::api::analysis::{Pack, TimeUnit};

/// A pack's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackFile {
    /// The labels that distinguish the arms.
    pub arms: ArmsBy,
    /// Who counts; their increments are added up.
    pub reports: Vec<Report>,
}

/// The labels that distinguish the arms.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ArmsBy {
    /// What the label holds.
    pub by: ArmKind,
    /// The label.
    pub label: String,
    /// The label with the namespace, where the arm's label alone is not unique in a cluster.
    #[serde(default)]
    pub namespace_label: Option<String>,
    /// How the label names a Service.
    #[serde(default)]
    pub names: ServiceNames,
}

/// What an arm's label holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArmKind {
    /// The ReplicaSet's name.
    Workload,
    /// The pod's name, which begins with the ReplicaSet's.
    Pod,
    /// A name that the proxy made of the Service's.
    Service,
}

/// One side's view of the requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Who counts.
    pub side: Side,
    /// The labels that distinguish the arms here, if not those of the pack. The arms are called alike.
    #[serde(default)]
    pub arms: Option<ArmsBy>,
    /// Selectors of all requests, disjoint.
    pub requests: Vec<String>,
    /// Selectors of the failed ones, disjoint.
    pub errors: Vec<String>,
    /// The response times of the requests.
    #[serde(default)]
    pub duration: Option<Duration>,
    /// Shows that a pod was being scraped at some time, which distinguishes a new series from a new pod.
    pub witness: String,
}

/// A histogram of response times.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Duration {
    /// Its selector, without `_bucket`.
    pub histogram: String,
    /// The unit of its bounds.
    pub unit: TimeUnit,
}

/// Who counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The pod that serves the request.
    Server,
    /// The pod that sent it.
    Caller,
}

/// Every pack's file, read.
static FILES: LazyLock<Vec<(Pack, Result<PackFile, String>)>> =
    LazyLock::new(|| Pack::ALL.iter().map(|pack| (*pack, parse(text(*pack)))).collect());

/// The file, as it is in the repository.
const fn text(pack: Pack) -> &'static str {
    match pack {
        Pack::Istio => include_str!("../../../analysis/packs/istio.yaml"),
        Pack::Ambient => include_str!("../../../analysis/packs/ambient.yaml"),
        Pack::Linkerd => include_str!("../../../analysis/packs/linkerd.yaml"),
        Pack::Consul => include_str!("../../../analysis/packs/consul.yaml"),
        Pack::Envoy => include_str!("../../../analysis/packs/envoy.yaml"),
        Pack::Contour => include_str!("../../../analysis/packs/contour.yaml"),
        Pack::Traefik => include_str!("../../../analysis/packs/traefik.yaml"),
        Pack::Nginx => include_str!("../../../analysis/packs/nginx.yaml"),
        Pack::Application => include_str!("../../../analysis/packs/application.yaml"),
        Pack::Otel => include_str!("../../../analysis/packs/otel.yaml"),
        Pack::Micrometer => include_str!("../../../analysis/packs/micrometer.yaml"),
        Pack::Grpc => include_str!("../../../analysis/packs/grpc.yaml"),
    }
}

fn parse(text: &str) -> Result<PackFile, String> {
    crate::yaml::read_one(text).map_err(|error| error.to_string())
}

/// The pack's file; an error names the defect of a file that this binary was built with.
pub fn pack_file(pack: Pack) -> Result<&'static PackFile, &'static str> {
    let found = FILES.iter().find(|(named, _)| *named == pack);
    found.map_or(Err("it is not listed"), |(_, parsed)| parsed.as_ref().map_err(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_reads() {
        for pack in Pack::ALL {
            let file = pack_file(pack).unwrap();
            let durations: Vec<_> = file.reports.iter().filter_map(|report| report.duration.as_ref()).collect();
            assert!(!durations.is_empty(), "{pack:?}");
            assert!(durations.iter().all(|duration| duration.unit == durations[0].unit), "{pack:?}");
        }
    }
}
