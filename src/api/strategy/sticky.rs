//! Users who stay on the version that they have seen: of an A/B test by weight, and of a canary.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::common::HumanDuration;

/// The default lifetime of the sticky cookie: thirty days.
pub const DEFAULT_TTL: HumanDuration = HumanDuration::secs(30 * 24 * 3600);
/// A canary with sticky users can have so many weights: each one before the current one is a route of its own, and a route of
/// the Gateway API has 16 rules.
pub const MOST_STICKY_WEIGHTS: usize = 12;

/// Sticky sessions: users stay on their version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sticky {
    /// The name of the cookie. Its value identifies the release, so another release assigns users again.
    #[schemars(length(min = 1, max = 64))]
    pub cookie: String,
    /// The lifetime of the cookie. Default 720h (thirty days).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<HumanDuration>,
}
