//! MeshPolicies: what the CEL rules on the types say, and what CEL cannot.

use super::finding::Finding;
use crate::api::{
    address_range::AddressRange,
    policy::{
        AccessRule, Algorithm, Authorization, Change, LoadBalancer, MeshPolicySpec, Operation, PolicyTarget, Source,
    },
};

/// Sections that no mesh may leave out.
const SECURITY: [&str; 3] = ["mtls", "authorization", "jwt"];

/// Whether a field is of a section that no mesh may leave out.
pub fn is_security(field: &str) -> bool {
    SECURITY.iter().any(|section| field.split(['.', '[']).next() == Some(*section))
}

/// Everything that is wrong or odd in a policy's spec.
pub fn policy(spec: &MeshPolicySpec) -> Vec<Finding> {
    let mut found = Vec::new();
    target(&spec.target, &mut found);
    optional(&spec.optional, &mut found);
    mtls(spec, &mut found);
    spec.authorization.iter().for_each(|authorization| access(authorization, spec, &mut found));
    jwt(spec, &mut found);
    spec.load_balancer.iter().for_each(|balancer| load_balancer(balancer, &mut found));
    times(spec, &mut found);
    spec.change.iter().for_each(|change| check_change(change, &mut found));
    found
}

fn target(target: &PolicyTarget, found: &mut Vec<Finding>) {
    let keys = [target.service.is_some(), target.workload.is_some(), target.namespace.is_some(), target.mesh.is_some()];
    if keys.iter().filter(|set| **set).count() != 1 {
        found.push(Finding::error("spec.target", "set one of service, workload, namespace and mesh"));
    }
    for (field, value) in [("namespace", target.namespace), ("mesh", target.mesh)] {
        if value == Some(false) {
            found.push(Finding::error(format!("spec.target.{field}"), "must be true; remove it for another target"));
        }
    }
}

/// A rule without one of its conditions admits more than it says, and a mesh without mutual TLS everyone.
fn optional(optional: &[String], found: &mut Vec<Finding>) {
    for (index, field) in optional.iter().enumerate() {
        if is_security(field) {
            let section = field.split(['.', '[']).next().unwrap_or_default();
            let message =
                format!("{section} is security, which a mesh must not leave out; set the field on meshes that have it");
            found.push(Finding::error(format!("spec.optional[{index}]"), message));
        }
    }
}

fn mtls(spec: &MeshPolicySpec, found: &mut Vec<Finding>) {
    let Some(mtls) = &spec.mtls else { return };
    for port in mtls.ports.keys().filter(|port| port.parse::<u16>().map_or(true, |port| port == 0)) {
        let message = format!("\"{port}\" is not a port; write the number of a pod's port, 1 to 65535");
        found.push(Finding::error(format!("spec.mtls.ports.{port}"), message));
    }
    let for_the_mesh = [("minVersion", mtls.min_version.is_some()), ("ciphers", !mtls.ciphers.is_empty())];
    for (field, _) in for_the_mesh.into_iter().filter(|(_, set)| *set && spec.target.mesh != Some(true)) {
        let message =
            "is a setting of the whole mesh; move it to a policy with target.mesh: true in the root namespace";
        found.push(Finding::error(format!("spec.mtls.{field}"), message));
    }
}

fn access(authorization: &Authorization, spec: &MeshPolicySpec, found: &mut Vec<Finding>) {
    if authorization.allow.is_none() && authorization.deny.is_empty() {
        found.push(Finding::error("spec.authorization", "set allow, deny or both; an empty allow denies everything"));
    }
    let allow = authorization.allow.iter().flatten().enumerate().map(|(index, rule)| ("allow", index, rule));
    let deny = authorization.deny.iter().enumerate().map(|(index, rule)| ("deny", index, rule));
    for (list, index, rule) in allow.chain(deny) {
        check_rule(rule, spec, &format!("spec.authorization.{list}[{index}]"), found);
    }
}

fn check_rule(rule: &AccessRule, spec: &MeshPolicySpec, path: &str, found: &mut Vec<Finding>) {
    if rule.from.is_none() && rule.to.is_none() && rule.claims.is_empty() {
        let message = "matches every request; write from: [{anyone: true}] if that is meant";
        found.push(Finding::error(path, message));
    }
    for (field, is_empty) in [("from", rule.from.as_deref() == Some(&[])), ("to", rule.to.as_deref() == Some(&[]))] {
        if is_empty {
            let message = "is empty, which would match nothing on some meshes and everything on others; list something or remove it";
            found.push(Finding::error(format!("{path}.{field}"), message));
        }
    }
    if !rule.claims.is_empty() && spec.jwt.is_empty() {
        let message = "claims are only known of checked tokens; add the issuer to spec.jwt";
        found.push(Finding::error(format!("{path}.claims"), message));
    }
    for (name, _) in rule.claims.iter().filter(|(_, values)| values.is_empty()) {
        found.push(Finding::error(format!("{path}.claims.{name}"), "lists no value; list those that are allowed"));
    }
    for (index, from) in rule.from.iter().flatten().enumerate() {
        source(from, &format!("{path}.from[{index}]"), found);
    }
    for (index, to) in rule.to.iter().flatten().enumerate() {
        operation(to, &format!("{path}.to[{index}]"), found);
    }
}

fn source(from: &Source, path: &str, found: &mut Vec<Finding>) {
    let named = from.service.is_some() || from.service_account.is_some();
    let keys = [
        from.service.is_some(),
        from.service_account.is_some(),
        from.namespace.is_some() && !named,
        from.cidr.is_some(),
        from.meshed.is_some(),
        from.anyone.is_some(),
    ];
    if keys.iter().filter(|set| **set).count() != 1 {
        let message = "must be one of service, serviceAccount, namespace, cidr, meshed and anyone";
        found.push(Finding::error(path, message));
    }
    for (field, value) in [("meshed", from.meshed), ("anyone", from.anyone)] {
        if value == Some(false) {
            found.push(Finding::error(format!("{path}.{field}"), "must be true; remove the entry if it is not meant"));
        }
    }
    if let Some(cidr) = from.cidr.as_deref().filter(|cidr| AddressRange::of(cidr).is_none()) {
        let message = format!("\"{cidr}\" is not a range of addresses; write it like 10.0.0.0/8");
        found.push(Finding::error(format!("{path}.cidr"), message));
    }
}

fn operation(to: &Operation, path: &str, found: &mut Vec<Finding>) {
    if to.methods.is_empty() && to.paths.is_empty() && to.ports.is_empty() && to.grpc.is_none() {
        found.push(Finding::error(path, "set methods, paths, ports or grpc"));
    }
    if to.grpc.is_some() && !(to.methods.is_empty() && to.paths.is_empty()) {
        let message = "names the path and the method itself; remove methods and paths";
        found.push(Finding::error(format!("{path}.grpc"), message));
    }
    for (index, text) in to.paths.iter().enumerate() {
        let inner = text.strip_suffix('*').unwrap_or(text);
        let problem = match () {
            () if !text.starts_with('/') => "must begin with /",
            () if inner.contains('*') => "may have a * only at its end",
            () if text.contains(['?', '#']) => "is without the query and the fragment",
            () => continue,
        };
        found.push(Finding::error(format!("{path}.paths[{index}]"), format!("\"{text}\": a path {problem}")));
    }
    for (index, method) in to.methods.iter().enumerate() {
        if !method.chars().all(|c| c.is_ascii_uppercase() || c == '-') {
            let message = format!("\"{method}\" is not an HTTP method; methods are written in capitals, like POST");
            found.push(Finding::error(format!("{path}.methods[{index}]"), message));
        }
    }
}

fn jwt(spec: &MeshPolicySpec, found: &mut Vec<Finding>) {
    for (index, jwt) in spec.jwt.iter().enumerate() {
        let uri = jwt.jwks_uri.as_deref().filter(|uri| !uri.starts_with("https://") && !uri.starts_with("http://"));
        if let Some(uri) = uri {
            let message = format!("\"{uri}\" is not an address; it begins with https://");
            found.push(Finding::error(format!("spec.jwt[{index}].jwksUri"), message));
        }
        if spec.jwt[..index].iter().any(|other| other.issuer == jwt.issuer) {
            let message = format!("{} is listed twice; join the two entries", jwt.issuer);
            found.push(Finding::error(format!("spec.jwt[{index}].issuer"), message));
        }
    }
}

fn load_balancer(balancer: &LoadBalancer, found: &mut Vec<Finding>) {
    let hashes = balancer.algorithm == Some(Algorithm::Hash);
    if hashes != balancer.hash.is_some() {
        found.push(Finding::error("spec.loadBalancer", "algorithm Hash needs hash, and hash needs algorithm Hash"));
    }
    let Some(hash) = &balancer.hash else { return };
    if [hash.header.is_some(), hash.cookie.is_some(), hash.source_ip.is_some()].iter().filter(|set| **set).count() != 1
    {
        found.push(Finding::error("spec.loadBalancer.hash", "set one of header, cookie and sourceIP"));
    }
}

/// Times that contradict each other, and those that are none.
fn times(spec: &MeshPolicySpec, found: &mut Vec<Finding>) {
    let retries = spec.retries.as_ref();
    let timeouts = spec.timeouts.as_ref();
    let per_try = retries.and_then(|retries| retries.per_try);
    let request = timeouts.and_then(|timeouts| timeouts.request);
    if let (Some(per_try), Some(request)) = (per_try, request)
        && per_try > request
    {
        let message = format!("{per_try} is longer than timeouts.request of {request}, which ends the request before");
        found.push(Finding::error("spec.retries.perTry", message));
    }
    let connections = spec.connections.as_ref();
    let breaker = spec.breaker.as_ref();
    let given = [
        ("retries.perTry", per_try),
        ("timeouts.request", request),
        ("timeouts.idle", timeouts.and_then(|timeouts| timeouts.idle)),
        ("connections.connectTimeout", connections.and_then(|connections| connections.connect_timeout)),
        ("breaker.interval", breaker.and_then(|breaker| breaker.interval)),
        ("breaker.baseEjectionTime", breaker.and_then(|breaker| breaker.base_ejection_time)),
        ("rateLimit.per", spec.rate_limit.as_ref().map(|limit| limit.per)),
    ];
    for (field, _) in given.into_iter().filter(|(_, time)| time.is_some_and(|time| time.get().is_zero())) {
        found.push(Finding::error(format!("spec.{field}"), "must be longer than 0"));
    }
    if let Some(limit) = &spec.rate_limit
        && limit.burst.is_some_and(|burst| burst < limit.requests)
    {
        let message =
            format!("must be no less than requests ({}): a bucket that small never gives them", limit.requests);
        found.push(Finding::error("spec.rateLimit.burst", message));
    }
}

fn check_change(change: &Change, found: &mut Vec<Finding>) {
    let skipped = [
        ("guard", change.guard.is_some()),
        ("audit", change.audit.is_some()),
        ("waves", !change.waves.is_empty()),
        ("bake", change.bake.is_some()),
    ];
    for (field, _) in skipped.into_iter().filter(|(_, set)| *set && change.now == Some(true)) {
        found.push(Finding::error(format!("spec.change.{field}"), "is skipped by now: true; remove one of the two"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml;

    /// The paths of what is wrong, for a spec with a Service as its target.
    fn wrong(mut spec: serde_json::Value) -> Vec<String> {
        if spec.get("target").is_none() {
            spec["target"] = json!({"service": "web"});
        }
        let found = policy(&yaml::typed(&spec).unwrap());
        found.into_iter().map(|finding| finding.path.replace("spec.", "")).collect()
    }

    #[test]
    fn bad_policies_are_refused_by_field() {
        let rule = |rule: serde_json::Value| json!({"authorization": {"allow": [rule]}});
        for (spec, path) in [
            (json!({"target": {}}), "target"),
            (json!({"target": {"service": "a", "mesh": true}}), "target"),
            (json!({"target": {"namespace": false}}), "target.namespace"),
            (json!({"optional": ["loadBalancer.warmUp", "authorization.allow[].to"]}), "optional[1]"),
            (json!({"mtls": {"ports": {"http": "Strict"}}}), "mtls.ports.http"),
            (json!({"mtls": {"minVersion": "1.3"}}), "mtls.minVersion"),
            (json!({"authorization": {}}), "authorization"),
            (rule(json!({})), "authorization.allow[0]"),
            (rule(json!({"from": []})), "authorization.allow[0].from"),
            (rule(json!({"to": []})), "authorization.allow[0].to"),
            (rule(json!({"claims": {"role": ["admin"]}})), "authorization.allow[0].claims"),
            (rule(json!({"from": [{}]})), "authorization.allow[0].from[0]"),
            (rule(json!({"from": [{"service": "a", "cidr": "10.0.0.0/8"}]})), "authorization.allow[0].from[0]"),
            (rule(json!({"from": [{"cidr": "10.0.0.0/33"}]})), "authorization.allow[0].from[0].cidr"),
            (rule(json!({"from": [{"anyone": false}]})), "authorization.allow[0].from[0].anyone"),
            (rule(json!({"to": [{}]})), "authorization.allow[0].to[0]"),
            (rule(json!({"to": [{"paths": ["api"]}]})), "authorization.allow[0].to[0].paths[0]"),
            (rule(json!({"to": [{"paths": ["/a/*/b"]}]})), "authorization.allow[0].to[0].paths[0]"),
            (rule(json!({"to": [{"methods": ["get"]}]})), "authorization.allow[0].to[0].methods[0]"),
            (rule(json!({"to": [{"grpc": {"service": "a.B"}, "paths": ["/a"]}]})), "authorization.allow[0].to[0].grpc"),
            (json!({"jwt": [{"issuer": "a", "jwksUri": "keys"}]}), "jwt[0].jwksUri"),
            (json!({"jwt": [{"issuer": "a"}, {"issuer": "a"}]}), "jwt[1].issuer"),
            (json!({"loadBalancer": {"algorithm": "Hash"}}), "loadBalancer"),
            (json!({"loadBalancer": {"algorithm": "Hash", "hash": {}}}), "loadBalancer.hash"),
            (json!({"retries": {"perTry": "3s"}, "timeouts": {"request": "2s"}}), "retries.perTry"),
            (json!({"timeouts": {"idle": "0s"}}), "timeouts.idle"),
            (json!({"rateLimit": {"requests": 10, "per": "1s", "burst": 5}}), "rateLimit.burst"),
            (json!({"change": {"now": true, "bake": "1m"}}), "change.bake"),
        ] {
            assert_eq!(wrong(spec.clone()), [path], "{spec}");
        }
    }

    #[test]
    fn what_the_seeds_ask_for_is_fine() {
        let spec = json!({
            "mtls": {"mode": "Strict", "ports": {"8081": "Permissive"}},
            "authorization": {
                "allow": [{"from": [{"service": "web"}, {"serviceAccount": "ops", "namespace": "tools"}, {"namespace": "shop"},
                    {"cidr": "10.0.0.0/8"}, {"meshed": true}],
                    "to": [{"methods": ["POST"], "paths": ["/api/*"], "ports": [8080]}, {"grpc": {"service": "shop.Cart"}}],
                    "claims": {"role": ["admin"]}}],
                "deny": [{"to": [{"paths": ["/internal"]}]}],
            },
            "jwt": [{"issuer": "https://id.example.com"}],
            "change": {"guard": "24h", "audit": "30m", "waves": [1, "25%", "100%"], "bake": "15m", "onFailure": "Revert"},
        });
        assert_eq!(wrong(spec), Vec::<String>::new());
        assert_eq!(
            wrong(json!({"target": {"mesh": true}, "mtls": {"minVersion": "1.2", "ciphers": ["A"]}})),
            Vec::<String>::new()
        );
        assert_eq!(wrong(json!({"authorization": {"allow": []}})), Vec::<String>::new());
    }
}
