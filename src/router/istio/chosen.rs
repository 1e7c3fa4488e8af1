//! Which routes of a VirtualService a Rollout splits: http routes by name, tcp and tls routes by what they match.

use serde_json::Value;

use crate::{
    api::traffic::{TlsRouteRef, VirtualServiceRef},
    router::error::RouteError,
};

/// The list that a route is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Http,
    Tcp,
    Tls,
}

impl Protocol {
    /// The field of the spec.
    pub(super) fn list(self) -> &'static str {
        match self {
            Protocol::Http => "http",
            Protocol::Tcp => "tcp",
            Protocol::Tls => "tls",
        }
    }

    /// The field as managedFields have it.
    pub(super) fn managed(self) -> &'static str {
        match self {
            Protocol::Http => "f:http",
            Protocol::Tcp => "f:tcp",
            Protocol::Tls => "f:tls",
        }
    }
}

/// The place of a route in its VirtualService.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) protocol: Protocol,
    pub(super) index: usize,
}

impl At {
    pub(super) fn route(self, object: &Value) -> &Value {
        &object["spec"][self.protocol.list()][self.index]
    }

    pub(super) fn route_mut(self, object: &mut Value) -> Option<&mut Value> {
        object.pointer_mut(&format!("/spec/{}/{}", self.protocol.list(), self.index))
    }
}

/// The lists that a Rollout names routes of.
pub(super) fn protocols(reference: &VirtualServiceRef) -> impl Iterator<Item = Protocol> {
    let named = [
        (Protocol::Http, reference.has_http()),
        (Protocol::Tcp, !reference.tcp_routes.is_empty()),
        (Protocol::Tls, !reference.tls_routes.is_empty()),
    ];
    named.into_iter().filter(|(_, is_named)| *is_named).map(|(protocol, _)| protocol)
}

/// The routes that the Rollout names, or the only one there is, by list and place.
pub(super) fn chosen(object: &Value, reference: &VirtualServiceRef, namespace: &str) -> Result<Vec<At>, RouteError> {
    let virtual_service = format!("{namespace}/{}", reference.name);
    let mut all = Vec::new();
    for protocol in protocols(reference) {
        let routes = routes(object, protocol);
        let found = match protocol {
            Protocol::Http => http(routes, &reference.routes, &virtual_service)?,
            Protocol::Tcp => {
                let wanted =
                    reference.tcp_routes.iter().map(|tcp| TlsRouteRef { port: tcp.port, ..TlsRouteRef::default() });
                connections(routes, wanted, protocol, &virtual_service)?
            }
            Protocol::Tls => connections(routes, reference.tls_routes.iter().cloned(), protocol, &virtual_service)?,
        };
        all.extend(found.into_iter().map(|index| At { protocol, index }));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The routes of a list.
pub(super) fn routes(object: &Value, protocol: Protocol) -> &[Value] {
    object["spec"][protocol.list()].as_array().map_or(&[], Vec::as_slice)
}

fn http(routes: &[Value], names: &[String], virtual_service: &str) -> Result<Vec<usize>, RouteError> {
    let virtual_service = virtual_service.to_owned();
    if routes.is_empty() {
        return Err(RouteError::NoHttpRoute { virtual_service });
    }
    if names.is_empty() {
        return match routes.len() {
            1 => Ok(vec![0]),
            _ => Err(RouteError::RouteNameNeeded { virtual_service, exist: shown_names(routes) }),
        };
    }
    let mut chosen = Vec::new();
    for name in names {
        let before = chosen.len();
        chosen.extend(places(routes, |route| route["name"].as_str() == Some(name)));
        if chosen.len() == before {
            let (route, exist) = (name.clone(), shown_names(routes));
            return Err(RouteError::RouteNotFound { virtual_service, route, exist });
        }
    }
    Ok(chosen)
}

fn connections(
    routes: &[Value],
    wanted: impl Iterator<Item = TlsRouteRef>,
    protocol: Protocol,
    virtual_service: &str,
) -> Result<Vec<usize>, RouteError> {
    let list = protocol.list();
    let mut chosen = Vec::new();
    for wanted in wanted {
        let is_any = wanted == TlsRouteRef::default();
        let found: Vec<usize> =
            places(routes, |route| is_any || matches(route).any(|one| fits(one, &wanted))).collect();
        let virtual_service = virtual_service.to_owned();
        match found.len() {
            0 => {
                let (wanted, exist) = (shown(&wanted), shown_matches(routes));
                return Err(RouteError::ConnectionRouteNotFound { virtual_service, list, wanted, exist });
            }
            2.. if is_any => {
                let exist = shown_matches(routes);
                return Err(RouteError::ConnectionRouteUnclear { virtual_service, list, exist });
            }
            _ => chosen.extend(found),
        }
    }
    Ok(chosen)
}

fn places(routes: &[Value], is_meant: impl Fn(&Value) -> bool) -> impl Iterator<Item = usize> {
    routes.iter().enumerate().filter(move |(_, route)| is_meant(route)).map(|(index, _)| index)
}

fn matches(route: &Value) -> impl Iterator<Item = &Value> {
    route["match"].as_array().into_iter().flatten()
}

fn fits(one: &Value, wanted: &TlsRouteRef) -> bool {
    let hosts = one["sniHosts"].as_array().map_or(&[][..], Vec::as_slice);
    let has_port = wanted.port.is_none_or(|port| one["port"].as_u64() == Some(u64::from(port)));
    has_port && wanted.sni_hosts.iter().all(|host| hosts.iter().any(|known| known == host.as_str()))
}

/// What a reference asks for: ` that matches port 443 and a.example.com`.
fn shown(wanted: &TlsRouteRef) -> String {
    let port = wanted.port.map(|port| format!("port {port}"));
    let all: Vec<String> = port.into_iter().chain(wanted.sni_hosts.iter().cloned()).collect();
    if all.is_empty() { String::new() } else { format!(" that matches {}", all.join(" and ")) }
}

/// What routes match, for display.
fn shown_matches(routes: &[Value]) -> String {
    let one = |route: &Value| {
        let all: Vec<String> = matches(route).map(shown_match).filter(|text| !text.is_empty()).collect();
        if all.is_empty() { "one for everything".to_owned() } else { format!("one for {}", all.join(" or ")) }
    };
    let all: Vec<String> = routes.iter().map(one).collect();
    if all.is_empty() { "none".to_owned() } else { all.join(", ") }
}

fn shown_match(one: &Value) -> String {
    let port = one["port"].as_u64().map(|port| format!("port {port}"));
    let hosts = one["sniHosts"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    port.into_iter().chain(hosts).collect::<Vec<_>>().join(" ")
}

/// The names of routes, for display: `` `primary`, `beta` and 1 without a name``.
fn shown_names(routes: &[Value]) -> String {
    let names: Vec<String> = routes.iter().filter_map(|r| r["name"].as_str()).map(|n| format!("`{n}`")).collect();
    match (names.is_empty(), routes.len() - names.len()) {
        (true, unnamed) => format!("{unnamed} without a name"),
        (false, 0) => names.join(", "),
        (false, unnamed) => format!("{} and {unnamed} without a name", names.join(", ")),
    }
}
