//! Why a route of the Gateway API cannot be read or planned.

use crate::{api::reason::Reason, engine::Target};

/// Why a route of the Gateway API cannot be read or planned. `place` names rule and route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The route has no rule of this name.
    #[error("{route} has no rule named `{rule}`; it has {exist}")]
    RuleNotFound {
        /// Kind, namespace and name.
        route: String,
        /// The name that was looked for.
        rule: String,
        /// What it has, for display.
        exist: String,
    },
    /// No rule names one of our Services.
    #[error(
        "{route} has no rule with a backendRef to Service {stable} or {canary}; add both to the `backendRefs` of the rules to split"
    )]
    NoRule {
        /// Kind, namespace and name.
        route: String,
        /// The stable Service.
        stable: String,
        /// The canary Service.
        canary: String,
    },
    /// A rule has one of our Services and not the other, or neither.
    #[error("{place} has no backendRef to Service {service}; add to its `backendRefs`:\n{lines}")]
    BackendMissing {
        /// The rule.
        place: String,
        /// Which of the two is missing.
        target: Target,
        /// Its name.
        service: String,
        /// YAML to add.
        lines: String,
    },
    /// A backend without a port in a route with a Service as parent.
    #[error("{place} names Service `{service}` without a port; add `port` to the backendRef: a mesh needs it")]
    PortMissing {
        /// The rule.
        place: String,
        /// Which of the two.
        target: Target,
        /// Its name.
        service: String,
    },
    /// The route is in another namespace than our Services, and may not refer to them.
    #[error(
        "{route} may not refer to Service {services} of namespace {ours}; create a ReferenceGrant in {ours} from {from} to these Services"
    )]
    BackendNotGranted {
        /// Kind, namespace and name.
        route: String,
        /// Its kind and namespace, for display.
        from: String,
        /// The Services without a grant.
        services: String,
        /// The Rollout's namespace.
        ours: String,
    },
    /// More than the API server accepts.
    #[error("{place} would get {what}; the Gateway API allows {most}: move rules or matches to another route")]
    TooMany {
        /// The rule.
        place: String,
        /// How many of what.
        what: String,
        /// The limit.
        most: usize,
    },
    /// `createRoute` names a route that is there, and is not ours.
    #[error(
        "{route} exists and was not made for this Rollout; name it in `routes` instead of `createRoute`, or set another `createRoute.name`"
    )]
    RouteNotOurs {
        /// Kind, namespace and name.
        route: String,
    },
    /// A rule of ours would outrank another rule of the route.
    #[error(
        "{place} cannot have a route of its own for some requests: with one more header to match, that would take requests from rule {other}, which has the same path; give rule {other} a longer path or a method of its own, or split it too"
    )]
    TakesRequests {
        /// The rule.
        place: String,
        /// The position of the rule that would lose requests.
        other: usize,
    },
    /// A TCPRoute or TLSRoute distinguishes no requests; a gRPC client keeps no cookies.
    #[error("{route} cannot have a {what}: {why}; remove it from the strategy, or the route from spec.traffic")]
    Unsupported {
        /// Kind, namespace and name.
        route: String,
        /// What was asked for.
        what: &'static str,
        /// Why it cannot.
        why: &'static str,
    },
    /// The installed version of the Gateway API dropped the share of a mirror, so that every request would be mirrored.
    #[error(
        "{route}: the installed Gateway API drops `percent` of a RequestMirror filter and would mirror all requests; upgrade its CRDs to v1.3 or later, or mirror 100 %"
    )]
    MirrorShareDropped {
        /// Kind, namespace and name.
        route: String,
    },
    /// The implementation does not accept the route as it is.
    #[error("{route} is not accepted{by}: {condition}{why}")]
    NotAccepted {
        /// Kind, namespace and name.
        route: String,
        /// The parent and its controller, for display.
        by: String,
        /// The condition, for display: `Accepted is False`.
        condition: String,
        /// Its reason and message, for display.
        why: String,
    },
}

/// The placeholder for content of an object that must not be revealed.
const WITHHELD: &str = "others (not shown, because it belongs to another namespace)";

impl GatewayError {
    /// The same error without anything that was read from the object.
    pub fn without_content(mut self) -> Self {
        match &mut self {
            GatewayError::RuleNotFound { exist, .. } => WITHHELD.clone_into(exist),
            GatewayError::BackendMissing { lines, .. } => {
                let kept = lines.lines().filter(|line| !line.trim_start().starts_with("port:"));
                *lines = kept.collect::<Vec<_>>().join("\n");
            }
            GatewayError::TooMany { what, .. } => "more rules or matches than allowed".clone_into(what),
            GatewayError::NotAccepted { by, why, .. } => {
                by.clear();
                " (reason not shown)".clone_into(why);
            }
            GatewayError::NoRule { .. }
            | GatewayError::TakesRequests { .. }
            | GatewayError::PortMissing { .. }
            | GatewayError::RouteNotOurs { .. }
            | GatewayError::BackendNotGranted { .. }
            | GatewayError::Unsupported { .. }
            | GatewayError::MirrorShareDropped { .. } => {}
        }
        self
    }

    /// A CamelCase reason for conditions and events.
    pub fn reason(&self) -> Reason {
        match self {
            GatewayError::RuleNotFound { .. } | GatewayError::NoRule { .. } => Reason::RouteNotFound,
            GatewayError::BackendMissing { target, .. } | GatewayError::PortMissing { target, .. } => match target {
                Target::Stable => Reason::StableDestinationMissing,
                Target::Canary => Reason::CanaryDestinationMissing,
            },
            GatewayError::BackendNotGranted { .. } => Reason::BackendNotGranted,
            GatewayError::TooMany { .. } => Reason::TooManyRules,
            GatewayError::TakesRequests { .. } => Reason::RouteUnsupported,
            GatewayError::RouteNotOurs { .. } => Reason::NameTaken,
            GatewayError::Unsupported { .. } => Reason::RouteUnsupported,
            GatewayError::MirrorShareDropped { .. } => Reason::MirrorShareDropped,
            GatewayError::NotAccepted { .. } => Reason::RouteNotAccepted,
        }
    }
}
