//! The Prometheus of a Rollout: an address that can be asked, without credentials in it, and one way to authenticate.

use std::net::IpAddr;

use super::finding::Finding;
use crate::api::{
    address::{base_url, refused},
    analysis::{ONE_AUTH, Prometheus},
};

pub(super) fn check(prometheus: &Prometheus, path: &str, found: &mut Vec<Finding>) {
    let address = format!("{path}.address");
    match base_url(&prometheus.address) {
        Err(problem) => found.push(Finding::error(&address, problem)),
        Ok(host) => {
            let literal = host.parse::<IpAddr>().ok().and_then(refused);
            if let Some(what) = literal.or((host == "localhost").then_some("a loopback address")) {
                let message =
                    format!("{host} is {what}; the controller connects to it only if its --allow-hosts lists it");
                found.push(Finding::warning(&address, message));
            }
        }
    }
    let Some(auth) = &prometheus.auth else { return };
    if auth.basic.is_some() == auth.bearer.is_some() {
        found.push(Finding::error(format!("{path}.auth"), ONE_AUTH));
    }
    if prometheus.address.starts_with("http://") {
        let message = "uses http, so its credentials are sent in clear text; use https if possible";
        found.push(Finding::warning(address, message));
    }
}
