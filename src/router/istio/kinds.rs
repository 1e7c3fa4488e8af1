//! Istio's kinds, as the API server is asked for them.

use crate::router::kind::WatchedKind;

pub(super) const GROUP: &str = "networking.istio.io";
pub(super) const API_VERSION: &str = "networking.istio.io/v1";
/// Istio before 1.22 and OpenShift Service Mesh 2 do not serve `v1`. All three are stored alike.
const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];
const VIRTUAL_SERVICE: &str = "VirtualService";
pub(super) const DESTINATION_RULE: &str = "DestinationRule";

pub(super) const VIRTUAL_SERVICES: WatchedKind =
    WatchedKind::known(GROUP, VERSIONS, VIRTUAL_SERVICE, "virtualservices");
pub(super) const DESTINATION_RULES: WatchedKind =
    WatchedKind::known(GROUP, VERSIONS, DESTINATION_RULE, "destinationrules");
