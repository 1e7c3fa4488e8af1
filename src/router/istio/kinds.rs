//! Istio's kinds, as the API server is asked for them.

use crate::router::objects::ObjectRef;

pub(super) const GROUP: &str = "networking.istio.io";
pub(super) const API_VERSION: &str = "networking.istio.io/v1";
/// Istio before 1.22 and OpenShift Service Mesh 2 do not serve `v1`. All three are stored alike.
pub(super) const VERSIONS: &[&str] = &["v1", "v1beta1", "v1alpha3"];
pub(super) const VIRTUAL_SERVICE: &str = "VirtualService";
pub(super) const DESTINATION_RULE: &str = "DestinationRule";

pub(super) fn virtual_service_ref(namespace: &str, name: &str) -> ObjectRef {
    ObjectRef {
        api_version: API_VERSION.to_owned(),
        kind: VIRTUAL_SERVICE.to_owned(),
        plural: "virtualservices".to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        required: true,
        is_written: true,
    }
}
