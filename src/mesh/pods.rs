//! What the containers of a pod listen on, and how the kubelet probes them.

use serde_json::Value;

/// A port of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerPort {
    /// Its number.
    pub number: u16,
    /// Its name; empty without one.
    pub name: String,
}

/// A request of the kubelet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Probe {
    /// The port.
    pub port: u16,
    /// The HTTP method.
    pub method: &'static str,
    /// The path, without the query.
    pub path: String,
    /// The header User-Agent, where the probe sets its own.
    pub agent: Option<String>,
}

/// The containers that meshes add: their ports are the mesh's.
const PROXIES: [&str; 3] = ["linkerd-proxy", "istio-proxy", "consul-dataplane"];
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
/// The method of gRPC's health protocol.
const GRPC_HEALTH: &str = "/grpc.health.v1.Health/Check";

/// The TCP ports that the containers of a pod's spec declare.
pub(super) fn ports(spec: &Value) -> Vec<ContainerPort> {
    containers(spec).flat_map(ports_of).collect()
}

/// The requests of its probes, each once. Probes that only connect are none.
pub(super) fn probes(spec: &Value) -> Vec<Probe> {
    let mut found: Vec<Probe> = containers(spec)
        .flat_map(|container| PROBES.iter().filter_map(|name| probe(container, &container[*name])))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Those that run as long as the pod, without the mesh's own.
fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let list = |name: &str| spec[name].as_array().into_iter().flatten();
    let sidecars = list("initContainers").filter(|container| container["restartPolicy"] == "Always");
    let is_own = |container: &&Value| !container["name"].as_str().is_some_and(|name| PROXIES.contains(&name));
    list("containers").chain(sidecars).filter(is_own)
}

fn ports_of(container: &Value) -> Vec<ContainerPort> {
    let of = |port: &Value| {
        let number = u16::try_from(port["containerPort"].as_u64()?).ok()?;
        let is_tcp = port["protocol"].as_str().is_none_or(|protocol| protocol.eq_ignore_ascii_case("TCP"));
        is_tcp.then(|| ContainerPort { number, name: port["name"].as_str().unwrap_or_default().to_owned() })
    };
    container["ports"].as_array().into_iter().flatten().filter_map(of).collect()
}

fn probe(container: &Value, probe: &Value) -> Option<Probe> {
    if let Some(port) = probe["grpc"]["port"].as_u64() {
        let port = u16::try_from(port).ok()?;
        return Some(Probe { port, method: "POST", path: GRPC_HEALTH.to_owned(), agent: None });
    }
    let get = probe["httpGet"].as_object()?;
    let port = match get.get("port")? {
        Value::String(name) => ports_of(container).into_iter().find(|port| port.name == *name)?.number,
        number => u16::try_from(number.as_u64()?).ok()?,
    };
    let path = get.get("path").and_then(Value::as_str).unwrap_or("/").split('?').next().unwrap_or("/");
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let mut headers = get.get("httpHeaders").and_then(Value::as_array).into_iter().flatten();
    let agent =
        headers.find(|header| header["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case("user-agent")));
    let agent = agent.and_then(|header| header["value"].as_str()).map(str::to_owned);
    Some(Probe { port, method: "GET", path, agent })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ports_and_probes_are_those_of_the_users_containers() {
        let spec = json!({"containers": [
            {"name": "app",
                "ports": [{"name": "http", "containerPort": 8080}, {"containerPort": 53, "protocol": "UDP"}],
                "readinessProbe": {"httpGet": {"port": "http", "path": "/ready?full=1"}},
                "livenessProbe": {"httpGet": {"port": 8080, "path": "/ready"}},
                "startupProbe": {"grpc": {"port": 9000}}},
            {"name": "linkerd-proxy", "ports": [{"containerPort": 4143}]},
        ], "initContainers": [
            {"name": "side", "restartPolicy": "Always", "ports": [{"containerPort": 9090}]},
            {"name": "once", "ports": [{"containerPort": 9091}]},
        ]});
        let numbers: Vec<u16> = ports(&spec).iter().map(|port| port.number).collect();
        assert_eq!(numbers, [8080, 9090]);
        let get = Probe { port: 8080, method: "GET", path: "/ready".into(), agent: None };
        let grpc = Probe { port: 9000, method: "POST", path: GRPC_HEALTH.into(), agent: None };
        assert_eq!(probes(&spec), [get, grpc]);
    }
}
