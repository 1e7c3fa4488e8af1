//! Gates: one way to be asked, an address that can be asked, a time that ends (rule S16).

use std::net::IpAddr;

use super::finding::Finding;
use crate::api::{
    address::{is_internal, is_internal_name, refused},
    strategy::{Gate, ONE_WAY, host},
};

pub(super) fn check(gate: &Gate, path: &str, found: &mut Vec<Finding>) {
    match (&gate.url, gate.approval) {
        (Some(_), Some(_)) => found.push(Finding::error(path, format!("{ONE_WAY}: this one has both"))),
        (None, None) => found.push(Finding::error(path, format!("{ONE_WAY}: this one has none"))),
        (None, Some(false)) => {
            found.push(Finding::error(format!("{path}.approval"), "can only be true; use url instead"));
        }
        _ => {}
    }
    if gate.name.is_empty() {
        found.push(Finding::error(
            format!("{path}.name"),
            "is empty; it identifies the gate to users and to the endpoint",
        ));
    }
    if let Some(url) = &gate.url {
        check_url(url, &format!("{path}.url"), found);
    }
    if gate.timeout.is_some_and(|timeout| timeout.get().is_zero()) {
        found.push(Finding::error(format!("{path}.timeout"), "must be above 0; remove it for the default of 24h"));
    }
}

fn check_url(url: &str, path: &str, found: &mut Vec<Finding>) {
    let host = match host(url) {
        Ok(host) => host,
        Err(problem) => return found.push(Finding::error(path, problem)),
    };
    if let Some(what) = unwelcome(host) {
        found.push(Finding::warning(
            path,
            format!("{host} is {what}; the controller connects to it only if its --allow-hosts lists it"),
        ));
    }
}

/// What keeps a gate from being asked there unless the operator says so.
fn unwelcome(host: &str) -> Option<&'static str> {
    match host.parse::<IpAddr>() {
        Ok(address) => refused(address).or(is_internal(address).then_some("an address inside the cluster")),
        Err(_) if host == "localhost" => Some("a loopback address"),
        Err(_) => is_internal_name(host).then_some("a name inside the cluster"),
    }
}
