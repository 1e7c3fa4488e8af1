//! The kinds of Istio that policies write, and what they have in common.

use serde_json::{Value, json};

use crate::{mesh::intent::Intent, router::WatchedKind};

/// The group of Istio's security kinds.
pub(super) const SECURITY: &str = "security.istio.io";
/// The version of them that is written.
pub(super) const SECURITY_V1: &str = "security.istio.io/v1";

/// Who needs mutual TLS.
pub(super) const PEER_AUTHENTICATIONS: WatchedKind =
    WatchedKind::known(SECURITY, &["v1", "v1beta1"], "PeerAuthentication", "peerauthentications");
/// Who may call.
pub(super) const AUTHORIZATION_POLICIES: WatchedKind =
    WatchedKind::known(SECURITY, &["v1", "v1beta1"], "AuthorizationPolicy", "authorizationpolicies");
/// Whose tokens are checked.
pub(super) const REQUEST_AUTHENTICATIONS: WatchedKind =
    WatchedKind::known(SECURITY, &["v1", "v1beta1"], "RequestAuthentication", "requestauthentications");

/// A spec with the field `selector` of Istio's policies; without one, it is for all pods of the namespace.
pub(super) fn selected(intent: &Intent<'_>, mut spec: Value) -> Value {
    if let Some(labels) = intent.selector() {
        spec["selector"] = json!({"matchLabels": labels});
    }
    spec
}
