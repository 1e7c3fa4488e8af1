//! The Prometheus of a Rollout: an address that can be asked, without credentials in it, and one way to authenticate.

use std::net::IpAddr;

use super::finding::Finding;
use crate::api::{
    address::{base_url, refused},
    analysis::{Auth, Header, ONE_AUTH, Prometheus},
    strategy::host,
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
    for (index, problem) in Header::problems(&prometheus.headers) {
        found.push(Finding::error(format!("{path}.headers[{index}]"), problem));
    }
    let is =
        |index: usize, name: &str| prometheus.headers.get(index).is_some_and(|h| h.name.eq_ignore_ascii_case(name));
    for index in 0..prometheus.headers.len() {
        if prometheus.tenant.is_some() && is(index, "x-scope-orgid") {
            found.push(Finding::error(format!("{path}.headers[{index}]"), "X-Scope-OrgID is set by tenant"));
        }
        if prometheus.auth.is_some() && is(index, "authorization") {
            found.push(Finding::error(format!("{path}.headers[{index}]"), "Authorization is set by auth"));
        }
    }
    let Some(auth) = &prometheus.auth else { return };
    authentication(auth, path, found);
    if prometheus.address.starts_with("http://") {
        let message = "uses http, so its credentials are sent in clear text; use https if possible";
        found.push(Finding::warning(address, message));
    }
}

fn authentication(auth: &Auth, path: &str, found: &mut Vec<Finding>) {
    if !auth.is_one() {
        found.push(Finding::error(format!("{path}.auth"), ONE_AUTH));
    }
    let Some(oauth2) = &auth.oauth2 else { return };
    let path = format!("{path}.auth.oauth2.tokenUrl");
    if let Err(problem) = host(&oauth2.token_url) {
        found.push(Finding::error(path, problem));
    } else if oauth2.token_url.starts_with("http://") {
        found.push(Finding::warning(
            path,
            "uses http, so the client's secret is sent in clear text; use https if possible",
        ));
    }
}
