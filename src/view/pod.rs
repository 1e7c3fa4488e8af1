//! One pod of a revision, in the words of `kubectl get pods`.

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodView {
    /// Its name.
    pub name: String,
    /// Its state as `kubectl get pods` prints it, such as `Running`, `Pending` or `ImagePullBackOff`.
    pub state: String,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it is not ready, as far as its status says: how a container ended last, or why none is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often its containers were restarted.
    pub restarts: u32,
    /// How long it has existed, in seconds.
    #[serde(rename = "ageSeconds", serialize_with = "seconds")]
    #[schemars(with = "i64")]
    pub age: SignedDuration,
}

/// A length of time in whole seconds.
pub(super) fn seconds<S: Serializer>(duration: &SignedDuration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(duration.as_secs())
}
