//! Why a route cannot be read or planned, with what its owner can do.

use super::{consul::error::ConsulError, custom::error::CustomError, gateway::error::GatewayError};
use crate::{
    api::{Percent, reason::Reason},
    engine::Target,
};

/// Why a route cannot be read or planned. `place` names route and object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// An object that the Rollout names is not there.
    #[error("{kind} {namespace}/{name} does not exist; create it or fix spec.traffic")]
    Missing {
        /// Its kind.
        kind: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A route object of another namespace that is not there, or whose owner has not consented: which of the two is not
    /// the Rollout's owner's business.
    #[error(
        "{kind} {namespace}/{name} cannot be used from namespace {ours}: it does not exist, or its owner has not allowed it; the owner must set the annotation glidepath.dev/allow-namespaces: {ours} on it, or create a ReferenceGrant"
    )]
    NoConsent {
        /// Its kind.
        kind: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The Rollout's namespace.
        ours: String,
    },
    /// The controller writes no routes of other namespaces.
    #[error(
        "{kind} {namespace}/{name} is in another namespace, and this controller runs with --cross-namespace=deny; use one in the Rollout's namespace"
    )]
    CrossNamespaceDenied {
        /// Its kind.
        kind: String,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// A header route, mirror or sticky cookie in a route with destinations of others.
    #[error(
        "{place} also has destinations of others: header routes, mirrors and sticky cookies would capture their requests; create a separate route for this Rollout"
    )]
    SharedRoute {
        /// The route.
        place: String,
    },
    /// The DestinationRule has no such subset.
    #[error("DestinationRule {rule} has no subset `{subset}`; it has {exist}")]
    SubsetNotFound {
        /// `namespace/name`.
        rule: String,
        /// The name that was looked for.
        subset: String,
        /// What it has, for display.
        exist: String,
    },
    /// The VirtualService has no route of this name.
    #[error("VirtualService {virtual_service} has no http route named `{route}`; it has {exist}")]
    RouteNotFound {
        /// `namespace/name`.
        virtual_service: String,
        /// The name that was looked for.
        route: String,
        /// What it has, for display.
        exist: String,
    },
    /// The VirtualService has no http route at all.
    #[error("VirtualService {virtual_service} has no http route; add one with the stable and the canary destination")]
    NoHttpRoute {
        /// `namespace/name`.
        virtual_service: String,
    },
    /// Several routes and none named.
    #[error(
        "VirtualService {virtual_service} has {exist}; list the ones to split in spec.traffic[].istio.virtualServices[].routes"
    )]
    RouteNameNeeded {
        /// `namespace/name`.
        virtual_service: String,
        /// What it has, for display.
        exist: String,
    },
    /// The VirtualService has no such tcp or tls route.
    #[error("VirtualService {virtual_service} has no {list} route{wanted}; it has {exist}")]
    ConnectionRouteNotFound {
        /// `namespace/name`.
        virtual_service: String,
        /// The list: `tcp` or `tls`.
        list: &'static str,
        /// What it should match, for display.
        wanted: String,
        /// What it has, for display.
        exist: String,
    },
    /// Several tcp or tls routes and nothing that tells which.
    #[error(
        "VirtualService {virtual_service} has several {list} routes ({exist}); set what the one to split matches in spec.traffic[].istio.virtualServices[].{list}Routes"
    )]
    ConnectionRouteUnclear {
        /// `namespace/name`.
        virtual_service: String,
        /// The list: `tcp` or `tls`.
        list: &'static str,
        /// What it has, for display.
        exist: String,
    },
    /// Two routers that a mesh does not use together.
    #[error(
        "{one} and {other} are both for the callers inside of the mesh, which uses one of the two; remove one from spec.traffic"
    )]
    MixedRoutes {
        /// Kind, namespace and name.
        one: String,
        /// Kind, namespace and name.
        other: String,
    },
    /// More than weights for a route of connections.
    #[error(
        "{place} splits connections: header routes, mirrors and sticky cookies are for http routes; remove them from the strategy, or the route from spec.traffic"
    )]
    ConnectionsOnly {
        /// The route.
        place: String,
    },
    /// The root that the Rollout names does not delegate to its VirtualService.
    #[error("VirtualService {root} does not delegate to {virtual_service}; fix `delegateOf` in spec.traffic")]
    NotDelegated {
        /// `namespace/name`.
        root: String,
        /// `namespace/name` of the VirtualService that the Rollout splits.
        virtual_service: String,
    },
    /// The root's matches exclude the delegate's.
    #[error(
        "{place}: the matches of its root VirtualService exclude {what}, and Istio would drop them; change the match in one of the two"
    )]
    DelegateExcluded {
        /// The route.
        place: String,
        /// What of it.
        what: &'static str,
    },
    /// The route hands over to another VirtualService.
    #[error(
        "{place} delegates to VirtualService {delegate}; reference that one in spec.traffic instead, and this one as its `delegateOf`"
    )]
    DelegateRoute {
        /// The route.
        place: String,
        /// The VirtualService that it delegates to.
        delegate: String,
    },
    /// The route does not send anything to stable.
    #[error("{place} has no destination {wanted}{hint}; add to its `route`:\n{lines}")]
    StableDestinationMissing {
        /// The route.
        place: String,
        /// The host, and the subset where it splits by subset.
        wanted: String,
        /// A near miss in the route, if there is one.
        hint: String,
        /// YAML to add.
        lines: String,
    },
    /// The route does not know the canary.
    #[error("{place} has no destination {wanted}{hint}; add to its `route`:\n{lines}")]
    CanaryDestinationMissing {
        /// The route.
        place: String,
        /// The host, and the subset where it splits by subset.
        wanted: String,
        /// A near miss in the route, if there is one.
        hint: String,
        /// YAML to add.
        lines: String,
    },
    /// More than one destination is the stable or the canary one.
    #[error("{place} has {wanted} in {count} destinations; keep one, so that its weight is unambiguous")]
    AmbiguousDestination {
        /// The route.
        place: String,
        /// The host, and the subset where it splits by subset.
        wanted: String,
        /// In how many.
        count: usize,
    },
    /// A weight that is none.
    #[error("{place} has weight {weight}, which is not a non-negative integer; fix it")]
    InvalidWeight {
        /// The route.
        place: String,
        /// As written.
        weight: String,
    },
    /// Foreign destinations have everything.
    #[error("{place} assigns all its weight to other destinations; leave some for stable and canary")]
    NoShareLeft {
        /// The route.
        place: String,
    },
    /// No whole numbers that Istio takes say it.
    #[error("{place} cannot express {weight} next to its other weights; use whole percentages for these")]
    WeightNotExpressible {
        /// The route.
        place: String,
        /// The canary's weight.
        weight: Percent,
    },
    /// A step that would be nothing.
    #[error(
        "{weight} is finer than the router's resolution of {grain} and would round to 0; use a weight of at least {grain}"
    )]
    WeightTooFine {
        /// The wanted weight.
        weight: Percent,
        /// The finest that the router can express.
        grain: Percent,
    },
    /// A header route asks for a header that the route asks for itself.
    #[error("{place} already matches header `{header}`; match another header in setHeaderRoute")]
    HeaderTaken {
        /// The route.
        place: String,
        /// The header.
        header: String,
    },
    /// A destination's answers set a cookie of the user's already.
    #[error(
        "{place} sets `set-cookie` in the response headers of a destination; a sticky cookie cannot be added there"
    )]
    CookieTaken {
        /// The route.
        place: String,
    },
    /// Istio has one `mirror` per route.
    #[error("{place} already has a `mirror`; move it to a list `mirrors`, to which Glidepath can add its own")]
    MirrorTaken {
        /// The route.
        place: String,
    },
    /// What concerns the Gateway API alone.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// What concerns Consul alone.
    #[error(transparent)]
    Consul(#[from] ConsulError),
    /// What concerns kinds that Rollouts name alone.
    #[error(transparent)]
    Custom(#[from] CustomError),
    /// An object has the name of ours and is not ours.
    #[error(
        "DestinationRule {namespace}/{name} exists and was not created by this Rollout; rename or delete it, or set its host to {host}"
    )]
    NotOurs {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The canary's host.
        host: String,
    },
    /// What the steps ask for is beyond the router. It is also refused when the Rollout is validated.
    #[error("the router {router} cannot {what}; remove it from the steps or use another router")]
    Unsupported {
        /// The router's key.
        router: &'static str,
        /// What it cannot do.
        what: &'static str,
    },
    /// A list of weights lacks one of our two Services.
    #[error("{place} has no entry for Service `{service}`; add to {list}:\n{lines}")]
    EntryMissing {
        /// The object.
        place: String,
        /// Which of the two.
        target: Target,
        /// The Service.
        service: String,
        /// The path of the list.
        list: String,
        /// YAML to add.
        lines: String,
    },
    /// A header route that annotations of an Ingress cannot hold.
    #[error("header route `{route}` does not fit into the annotations of a canary Ingress: {problem}")]
    MatchNotExpressible {
        /// The name of the header route.
        route: String,
        /// Why, and what to do.
        problem: String,
    },
    /// The user's Ingress leads elsewhere.
    #[error("Ingress {ingress} has no path to Service `{service}`, but to {exist}; let its paths lead to `{service}`")]
    NoPathToStable {
        /// `namespace/name`.
        ingress: String,
        /// The stable Service.
        service: String,
        /// The Services that it leads to, for display.
        exist: String,
    },
    /// Another canary Ingress has the same path, and ingress-nginx reads one of them.
    #[error("Ingress {namespace}/{name} is a canary Ingress of {place} already; delete it")]
    CanaryIngressTaken {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// Host and path.
        place: String,
    },
    /// An Ingress that is no canary leads to the canary Service: the canary Ingress would have no effect.
    #[error(
        "Ingress {namespace}/{name} leads to Service {service} without being a canary Ingress, so ingress-nginx would ignore the canary's weight; give that Ingress a Service of its own"
    )]
    CanaryServiceTaken {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The canary Service.
        service: String,
    },
    /// An Ingress has the name of ours and is not ours.
    #[error("Ingress {namespace}/{name} exists and was not created by this Rollout; rename or delete it")]
    IngressNotOurs {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// The placeholder for content of an object that must not be revealed.
const WITHHELD: &str = "others (not shown, because it belongs to another namespace)";

impl RouteError {
    /// The same error without anything that was read from the object: its route names, hosts, ports and weights.
    pub fn without_content(mut self) -> Self {
        match &mut self {
            RouteError::RouteNotFound { exist, .. }
            | RouteError::RouteNameNeeded { exist, .. }
            | RouteError::ConnectionRouteNotFound { exist, .. }
            | RouteError::ConnectionRouteUnclear { exist, .. }
            | RouteError::SubsetNotFound { exist, .. } => WITHHELD.clone_into(exist),
            RouteError::DelegateRoute { delegate, .. } => "(not shown)".clone_into(delegate),
            RouteError::InvalidWeight { weight, .. } => "(not shown)".clone_into(weight),
            RouteError::StableDestinationMissing { hint, lines, .. }
            | RouteError::CanaryDestinationMissing { hint, lines, .. } => {
                hint.clear();
                *lines = without_port(lines);
            }
            RouteError::Gateway(error) => *error = error.clone().without_content(),
            RouteError::Consul(error) => *error = error.clone().without_content(),
            RouteError::Custom(error) => *error = error.clone().without_content(),
            _ => {}
        }
        self
    }

    /// A CamelCase reason for conditions and events.
    pub fn reason(&self) -> Reason {
        match self {
            RouteError::Missing { kind, .. } => missing(kind),
            RouteError::Gateway(error) => error.reason(),
            RouteError::Consul(error) => error.reason(),
            RouteError::Custom(error) => error.reason(),
            RouteError::NoConsent { .. } => Reason::RouteNotAllowed,
            RouteError::CrossNamespaceDenied { .. } => Reason::CrossNamespaceDenied,
            RouteError::SharedRoute { .. } => Reason::SharedRoute,
            RouteError::SubsetNotFound { .. } => Reason::SubsetNotFound,
            RouteError::RouteNotFound { .. } | RouteError::NoHttpRoute { .. } => Reason::RouteNotFound,
            RouteError::ConnectionRouteNotFound { .. } => Reason::RouteNotFound,
            RouteError::RouteNameNeeded { .. } | RouteError::ConnectionRouteUnclear { .. } => Reason::RouteNameNeeded,
            RouteError::DelegateRoute { .. }
            | RouteError::NotDelegated { .. }
            | RouteError::DelegateExcluded { .. } => Reason::DelegateRoute,
            RouteError::StableDestinationMissing { .. } => Reason::StableDestinationMissing,
            RouteError::CanaryDestinationMissing { .. } => Reason::CanaryDestinationMissing,
            RouteError::AmbiguousDestination { .. } => Reason::AmbiguousDestination,
            RouteError::InvalidWeight { .. } => Reason::InvalidWeight,
            RouteError::NoShareLeft { .. } => Reason::NoShareLeft,
            RouteError::WeightNotExpressible { .. } => Reason::WeightNotExpressible,
            RouteError::WeightTooFine { .. } => Reason::WeightTooFine,
            RouteError::HeaderTaken { .. } => Reason::HeaderTaken,
            RouteError::CookieTaken { .. } => Reason::CookieTaken,
            RouteError::MirrorTaken { .. } => Reason::MirrorTaken,
            RouteError::IngressNotOurs { .. }
            | RouteError::CanaryIngressTaken { .. }
            | RouteError::CanaryServiceTaken { .. } => Reason::CanaryIngressTaken,
            RouteError::NoPathToStable { .. } => Reason::StableDestinationMissing,
            RouteError::MixedRoutes { .. } => Reason::RouteUnsupported,
            RouteError::MatchNotExpressible { .. }
            | RouteError::Unsupported { .. }
            | RouteError::ConnectionsOnly { .. } => Reason::RouteNotSupported,
            RouteError::EntryMissing { target: Target::Stable, .. } => Reason::StableDestinationMissing,
            RouteError::EntryMissing { target: Target::Canary, .. } => Reason::CanaryDestinationMissing,
            RouteError::NotOurs { .. } => Reason::DestinationRuleNotOurs,
        }
    }
}

/// Istio's kinds have reasons of their own.
fn missing(kind: &str) -> Reason {
    match kind {
        "VirtualService" => Reason::MissingVirtualService,
        "DestinationRule" => Reason::MissingDestinationRule,
        _ => Reason::MissingRoute,
    }
}

/// Lines to add, without the port that was copied from the adjacent destination.
fn without_port(lines: &str) -> String {
    let kept = lines.lines().filter(|line| !matches!(line.trim(), "port:") && !line.trim().starts_with("number:"));
    kept.collect::<Vec<_>>().join("\n")
}
