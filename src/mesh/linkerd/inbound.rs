//! `mtls`, `authorization` and `rateLimit`: a Server for each port, with who may call and how often.
//!
//! Linkerd adds the authorizations of a Server to those of each of its routes. So a Server's own are the callers that may send
//! every request, and mutual TLS is asked for in each authorization, not beside it.
//!
//! A Server denies what is not authorized, from the moment that it is there: it is written last.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    callers::{Callers, authorization},
    kinds::{V1ALPHA1, V1BETA3, reference},
    ports::{self, PodPort},
    requests::{self, Admitted, Requests},
    servers,
};
use crate::{
    api::policy::{AccessRule, MtlsMode, RateLimit},
    mesh::{
        intent::{Intent, Target},
        plan::{MeshPlan, MeshWrite, Refusal},
    },
    router::Objects,
};

/// The most matches of a rule, and rules of a route.
const MOST: (usize, usize) = (8, 16);

/// The objects of all ports, in the order in which they are safe.
#[derive(Default)]
struct Inbound {
    authentications: BTreeMap<String, Value>,
    of_routes: Vec<Value>,
    routes: Vec<Value>,
    of_servers: Vec<Value>,
    limits: Vec<Value>,
    servers: Vec<Value>,
}

pub(super) fn plan(intent: &Intent<'_>, current: &Objects) -> MeshPlan {
    let spec = &intent.spec;
    let mtls = spec.mtls.as_ref().is_some_and(|mtls| mtls.mode.is_some() || !mtls.ports.is_empty());
    let allow = spec.authorization.as_ref().is_some_and(|authorization| authorization.allow.is_some());
    if !mtls && !allow && spec.rate_limit.is_none() {
        return MeshPlan::default();
    }
    let mut plan = MeshPlan::default();
    match inbound(intent) {
        Ok(inbound) => {
            plan.conflicts = servers::conflicts(intent, current, &inbound.servers);
            plan.notes = servers::notes(intent, current);
            plan.writes = inbound.writes();
        }
        Err(refusal) => plan.refused.push(refusal),
    }
    plan
}

fn inbound(intent: &Intent<'_>) -> Result<Inbound, Refusal> {
    check(intent)?;
    let ports = ports::ports(intent)?;
    let allow = intent.spec.authorization.as_ref().and_then(|authorization| authorization.allow.as_ref());
    known_ports(intent, allow.into_iter().flatten(), &ports)?;
    let limit = intent.spec.rate_limit.as_ref().map(|limit| limits(intent, limit)).transpose()?;
    let mut inbound = Inbound::default();
    for (number, port) in &ports {
        let strict = mode(intent, *number) == Some(MtlsMode::Strict);
        let access = match (allow, mode(intent, *number)) {
            (Some(rules), _) => {
                let (callers, admitted) = admitted(intent, rules, *number, port)?;
                inbound.restrict(intent, (*number, port), strict, &callers, &admitted)?;
                "deny"
            }
            (None, Some(MtlsMode::Strict)) => {
                inbound.restrict(intent, (*number, port), strict, &Callers::meshed(), &Admitted::new())?;
                "deny"
            }
            (None, Some(MtlsMode::Permissive | MtlsMode::Disable)) => "all-unauthenticated",
            (None, None) => continue,
        };
        inbound.server(intent, *number, port, access, limit.as_ref());
    }
    if inbound.servers.is_empty() {
        let why = "linkerd limits requests at a Server, which also decides who may call; set mtls.mode or authorization.allow too";
        return Err(intent.refusal("rateLimit", why));
    }
    Ok(inbound)
}

/// What the mode of a port is.
fn mode(intent: &Intent<'_>, port: u16) -> Option<MtlsMode> {
    let mtls = intent.spec.mtls.as_ref()?;
    mtls.ports.get(&port.to_string()).copied().or(mtls.mode)
}

fn check(intent: &Intent<'_>) -> Result<(), Refusal> {
    if matches!(intent.target, Target::Mesh) {
        let why = "linkerd has no Server for the whole mesh; target namespaces, or set proxy.defaultInboundPolicy in Linkerd's Helm values";
        return Err(intent.refusal("target.mesh", why));
    }
    if intent.selector().is_some_and(BTreeMap::is_empty) {
        let why = "the Service has no selector, so a Server cannot select its pods; set spec.target.workload";
        return Err(intent.refusal("target.service", why));
    }
    let modes = intent.spec.mtls.iter().flat_map(|mtls| {
        let ports = mtls.ports.iter().map(|(port, mode)| (format!("mtls.ports.{port}"), *mode));
        mtls.mode.map(|mode| ("mtls.mode".to_owned(), mode)).into_iter().chain(ports)
    });
    match modes.into_iter().find(|(_, mode)| *mode == MtlsMode::Disable) {
        Some((field, _)) => {
            let why =
                "linkerd always offers mutual TLS between its proxies; set Permissive, which accepts plaintext too";
            Err(intent.refusal(field, why))
        }
        None => Ok(()),
    }
}

/// A rule for a port that the pods do not have would open nothing, and its author would not know.
fn known_ports<'r>(
    intent: &Intent<'_>,
    rules: impl Iterator<Item = &'r AccessRule>,
    ports: &BTreeMap<u16, PodPort>,
) -> Result<(), Refusal> {
    for (index, rule) in rules.enumerate() {
        for (at, operation) in rule.to.iter().flatten().enumerate() {
            let unknown = operation.ports.iter().position(|port| !ports.contains_key(port));
            if let Some(unknown) = unknown {
                let there: Vec<String> = ports.keys().map(u16::to_string).collect();
                let why = format!(
                    "the target's pods are not known to have this port; they have {}. Ports are those of pods, not of Services",
                    there.join(", ")
                );
                return Err(intent.refusal(format!("authorization.allow[{index}].to[{at}].ports[{unknown}]"), why));
            }
        }
    }
    Ok(())
}

/// Who may send every request to a port, and who may send which.
fn admitted(
    intent: &Intent<'_>,
    rules: &[AccessRule],
    number: u16,
    port: &PodPort,
) -> Result<(Callers, Admitted), Refusal> {
    let mut all = Callers::default();
    let mut admitted = Admitted::new();
    for (index, rule) in rules.iter().enumerate() {
        let place = format!("authorization.allow[{index}]");
        let callers = Callers::of(intent, rule, &place)?;
        let Some(operations) = &rule.to else {
            all.join(&callers);
            continue;
        };
        for (at, operation) in operations.iter().enumerate() {
            let place = format!("{place}.to[{at}]");
            let requests = requests::of(intent, operation, &place)?;
            if !operation.ports.is_empty() && !operation.ports.contains(&number) {
                continue;
            }
            if requests.is_empty() {
                all.join(&callers);
            }
            for requests in requests.into_iter().filter(|_| !port.is_opaque) {
                admitted.entry(requests).or_insert_with(|| (Callers::default(), place.clone())).0.join(&callers);
            }
        }
    }
    Ok((all, requests::closed(intent, admitted)?))
}

/// The requests of a second or of a caller in a second.
fn limits(intent: &Intent<'_>, limit: &RateLimit) -> Result<Value, Refusal> {
    let second = |field: &str, requests: u32| {
        let (total, millis) = (u128::from(requests) * 1000, limit.per.get().as_millis().max(1));
        let why = || {
            let per = limit.per;
            format!("linkerd counts whole requests per second, and {requests} in {per} is no whole number; set per: 1s")
        };
        let whole = (total % millis == 0).then(|| u64::try_from(total / millis).unwrap_or(u64::MAX));
        whole.ok_or_else(|| intent.refusal(field, why()))
    };
    let mut spec = json!({"total": {"requestsPerSecond": second("rateLimit.requests", limit.requests)?}});
    if let Some(requests) = limit.per_client {
        if requests > limit.requests {
            let why = format!("must be no more than requests ({})", limit.requests);
            return Err(intent.refusal("rateLimit.perClient", why));
        }
        spec["identity"] = json!({"requestsPerSecond": second("rateLimit.perClient", requests)?});
    }
    Ok(spec)
}

impl Inbound {
    /// Denies what is not authorized at a port: its Server's own authorizations, and those of its routes.
    fn restrict(
        &mut self,
        intent: &Intent<'_>,
        (number, port): (u16, &PodPort),
        strict: bool,
        all: &Callers,
        admitted: &Admitted,
    ) -> Result<(), Refusal> {
        let server = format!("{}-{number}", intent.policy);
        self.authorize(intent, &number.to_string(), &reference("Server", &server), strict, all);
        // Without routes, Linkerd itself admits HTTP probes, and no others.
        let is_grpc_probed = port.probes.iter().any(|probe| probe.method == "POST") && !port.is_opaque && !all.everyone;
        if admitted.is_empty() && !is_grpc_probed {
            return Ok(());
        }
        // A request that no route matches is 404 for everyone. This one leaves it to the Server's own authorizations.
        if !admitted.contains_key(&Requests { paths: requests::Paths::All, method: None }) {
            let all = json!([{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]);
            self.route(intent, &server, &format!("{number}-others"), all);
        }
        if !port.probes.is_empty() {
            self.probes(intent, &server, number, port);
        }
        let mut groups: BTreeMap<&Callers, Vec<Value>> = BTreeMap::new();
        for (requests, (callers, _)) in admitted {
            groups.entry(callers).or_default().push(requests.json());
        }
        for (callers, matches) in groups {
            if matches.len() > MOST.0 * MOST.1 {
                let why = format!(
                    "needs {} matches of one route, and {} are possible; join paths with *",
                    matches.len(),
                    MOST.0 * MOST.1
                );
                return Err(intent.refusal("authorization.allow", why));
            }
            let rules: Vec<Value> = matches.chunks(MOST.0).map(|matches| json!({"matches": matches})).collect();
            let suffix = format!("{number}-{}", callers.digest());
            self.route(intent, &server, &suffix, json!(rules));
            let target = reference("HTTPRoute", &format!("{}-{suffix}", intent.policy));
            self.authorize(intent, &suffix, &target, strict, callers);
        }
        Ok(())
    }

    /// The kubelet's probes, which come without an identity. Their header makes this route come before those of the same path.
    fn probes(&mut self, intent: &Intent<'_>, server: &str, number: u16, port: &PodPort) {
        let matches: BTreeSet<String> = port
            .probes
            .iter()
            .map(|probe| {
                let agent = match &probe.agent {
                    Some(agent) => json!({"name": "user-agent", "type": "Exact", "value": agent}),
                    None => json!({"name": "user-agent", "type": "RegularExpression", "value": "kube-probe/.*"}),
                };
                let path = json!({"type": "Exact", "value": probe.path});
                json!({"path": path, "method": probe.method, "headers": [agent]}).to_string()
            })
            .collect();
        let matches: Vec<Value> = matches.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let rules: Vec<Value> = matches.chunks(MOST.0).map(|matches| json!({"matches": matches})).collect();
        let suffix = format!("{number}-probes");
        self.route(intent, server, &suffix, json!(rules));
        let target = reference("HTTPRoute", &format!("{}-{suffix}", intent.policy));
        self.authorize(intent, &suffix, &target, false, &Callers::everyone());
    }

    fn route(&mut self, intent: &Intent<'_>, server: &str, suffix: &str, rules: Value) {
        let spec = json!({"parentRefs": [reference("Server", server)], "rules": rules});
        self.routes.push(intent.own(V1BETA3, "HTTPRoute", suffix, spec));
    }

    fn authorize(&mut self, intent: &Intent<'_>, suffix: &str, target: &Value, strict: bool, callers: &Callers) {
        for required in callers.authentications(intent, strict) {
            let by_network = required.iter().any(|one| one["kind"] == "NetworkAuthentication");
            let name = format!("{suffix}-{}", if by_network { "network" } else { "identity" });
            let list = if target["kind"] == "Server" { &mut self.of_servers } else { &mut self.of_routes };
            list.push(authorization(intent, &name, target.clone(), &required));
            let named = required.into_iter().map(|one| (format!("{} {}", one["kind"], one["metadata"]["name"]), one));
            self.authentications.extend(named);
        }
    }

    fn server(&mut self, intent: &Intent<'_>, number: u16, port: &PodPort, access: &str, limit: Option<&Value>) {
        let selector = intent.selector().map_or_else(|| json!({}), |labels| json!({"matchLabels": labels}));
        let mut spec = json!({"podSelector": selector, "port": number, "accessPolicy": access});
        if port.is_opaque {
            spec["proxyProtocol"] = json!("opaque");
        }
        self.servers.push(intent.own(V1BETA3, "Server", &number.to_string(), spec));
        if let Some(limit) = limit.filter(|_| !port.is_opaque) {
            let mut spec = json!({"targetRef": reference("Server", &format!("{}-{number}", intent.policy))});
            for (name, value) in limit.as_object().into_iter().flatten() {
                spec[name] = value.clone();
            }
            self.limits.push(intent.own(V1ALPHA1, "HTTPLocalRateLimitPolicy", &number.to_string(), spec));
        }
    }

    /// What a Server admits by itself may become less with this plan: that comes after the routes that admit the rest.
    fn writes(self) -> Vec<MeshWrite> {
        let all = self.authentications.into_values().chain(self.of_routes).chain(self.routes);
        let all = all.chain(self.of_servers).chain(self.limits).chain(self.servers);
        all.map(MeshWrite::Own).collect()
    }
}
