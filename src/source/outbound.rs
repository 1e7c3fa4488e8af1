//! The policy for outbound requests to addresses from users' objects, gates and Prometheus servers (docs/controller.md,
//! "Outbound requests"): HTTP and HTTPS only, no credentials in the address, no redirects, no proxies of the
//! environment, bounded time and size; never to this machine and its neighbors, and to the cluster's own network only
//! for metrics, unless `--allow-hosts` names the host. The policy is checked again on the resolved address of each
//! connection. A server's error text never leaves this module: [`Trouble`] has fixed messages.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    ClientBuilder, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use crate::api::address::{is_internal, is_internal_name, refused};

/// How long the way to a server may take.
const CONNECT: Duration = Duration::from_secs(5);

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A gate of a Rollout.
    Gate,
    /// A metrics server that a Rollout or a template names, at a path of ours.
    Prometheus,
    /// A URL of the user's own with its path: a `web` metric's, or one that issues tokens. As a gate it may act.
    Web,
    /// An address set by the operator of this process: it may be anywhere, and uses the environment's proxies.
    Own,
}

impl Purpose {
    /// Whether the path is the user's, so that the request may do more than read.
    fn may_act(self) -> bool {
        matches!(self, Purpose::Gate | Purpose::Web)
    }
}

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up an HTTP client")]
pub struct SetUpError(#[source] reqwest::Error);

/// Why an address is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It cannot be read as one.
    #[error("its address is not an http or https URL")]
    NoUrl,
    /// It holds a user name or a password.
    #[error("its address contains credentials, which objects and messages would expose")]
    Credentials,
    /// The operator has a list, and it is not on it.
    #[error("{host} is not among the controller's --allow-hosts")]
    NotListed {
        /// The host.
        host: String,
    },
    /// It leads where users' addresses may not.
    #[error("{host} is {what}; the controller connects to it only if --allow-hosts lists it")]
    Refused {
        /// The host.
        host: String,
        /// What it is.
        what: &'static str,
    },
    /// No name server knows it.
    #[error("no such host")]
    NoSuchHost,
}

/// Why a request has no response, with fixed messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The policy forbids it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Nothing came in time.
    #[error("no response in time")]
    Silent,
    /// Nobody listens there.
    #[error("connection refused")]
    ConnectionRefused,
    /// The connection ended early, or was never made.
    #[error("connection failed")]
    Broken,
    /// The server's certificate does not fit.
    #[error("{0}")]
    Certificate(&'static str),
    /// The answer is longer than may be read.
    #[error("its response is larger than {} KiB", .0 >> 10)]
    TooLong(usize),
}

/// The policy with the operator's exceptions. A copy is cheap.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    allowed: Arc<[String]>,
}

impl Outbound {
    /// With hosts that may be asked wherever their addresses lie: `gate.ci.svc`, `10.0.0.7:8080`, `*.example.com`.
    pub fn new(hosts: impl IntoIterator<Item = String>) -> Self {
        let plain = |host: String| host.trim().trim_end_matches('.').to_ascii_lowercase();
        Outbound { allowed: hosts.into_iter().map(plain).filter(|host| !host.is_empty()).collect() }
    }

    /// The URL, if its text alone does not violate the policy.
    pub fn permit(&self, purpose: Purpose, text: &str) -> Result<Url, Denied> {
        let url = Url::parse(text).map_err(|_| Denied::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(Denied::NoUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Denied::Credentials);
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_owned();
        if purpose == Purpose::Own || self.lists(&host, url.port_or_known_default()) {
            return Ok(url);
        }
        // It may act: once there is a list it says where. Metrics are only read.
        if purpose.may_act() && !self.allowed.is_empty() {
            return Err(Denied::NotListed { host });
        }
        let what = match host.parse::<IpAddr>() {
            Ok(address) => unwelcome(purpose, address),
            Err(_) if host == "localhost" || host.ends_with(".localhost") => Some("a loopback address"),
            Err(_) if purpose.may_act() && is_internal_name(&host) => Some("a name inside the cluster"),
            Err(_) => None,
        };
        what.map_or(Ok(url), |what| Err(Denied::Refused { host, what }))
    }

    /// A client that keeps the policy. With `instead`, the server is at that host, whatever name its certificate has.
    pub fn client(
        &self,
        builder: ClientBuilder,
        purpose: Purpose,
        timeout: Duration,
        instead: Option<String>,
    ) -> Result<reqwest::Client, SetUpError> {
        let guarded = Guarded { outbound: self.clone(), purpose, instead };
        let builder = builder
            .timeout(timeout)
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none())
            .dns_resolver(Arc::new(guarded));
        // A proxy would look names up itself, past the guard.
        let builder = if purpose == Purpose::Own { builder } else { builder.no_proxy() };
        builder.build().map_err(SetUpError)
    }

    fn lists(&self, host: &str, port: Option<u16>) -> bool {
        self.allowed.iter().any(|entry| covers(entry, host, port))
    }

    /// Whether a name may lead anywhere, on one port at least: the port itself was looked at before.
    fn lists_name(&self, host: &str) -> bool {
        self.allowed
            .iter()
            .any(|entry| covers(entry, host, entry.rsplit_once(':').and_then(|(_, port)| port.parse().ok())))
    }
}

/// Whether an entry of the list means this host: itself, with a port, or by `*.`.
fn covers(entry: &str, host: &str, port: Option<u16>) -> bool {
    let named = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((literal, "")) => literal == host,
        Some((literal, rest)) => literal == host && rest.strip_prefix(':').and_then(|p| p.parse().ok()) == port,
        None => false,
    };
    let with_port = entry.rsplit_once(':').is_some_and(|(name, own)| name == host && own.parse().ok() == port);
    let below = entry.strip_prefix('*').is_some_and(|tail| tail.starts_with('.') && host.ends_with(tail));
    named || with_port || below || entry == host
}

/// What makes an address one that this purpose does not go to.
fn unwelcome(purpose: Purpose, address: IpAddr) -> Option<&'static str> {
    let inside = || (purpose.may_act() && is_internal(address)).then_some("an address inside the cluster");
    if purpose == Purpose::Own { None } else { refused(address).or_else(inside) }
}

/// Reads an answer up to this many bytes.
pub async fn bounded(mut response: Response, most: usize) -> Result<Vec<u8>, Trouble> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| trouble(&error))? {
        if body.len() + part.len() > most {
            return Err(Trouble::TooLong(most));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// Classifies a failed request. Text from a certificate, a server or an address is not included.
pub fn trouble(error: &reqwest::Error) -> Trouble {
    if error.is_timeout() {
        return Trouble::Silent;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(found) = known(current) {
            return found;
        }
        cause = current.source();
    }
    Trouble::Broken
}

fn known(error: &(dyn std::error::Error + 'static)) -> Option<Trouble> {
    if let Some(denied) = error.downcast_ref::<Denied>() {
        return Some(Trouble::Denied(denied.clone()));
    }
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(Trouble::Certificate(certificate(tls)));
    }
    let io = error.downcast_ref::<std::io::Error>()?;
    if let Some(inner) = io.get_ref() {
        return known(inner);
    }
    match io.kind() {
        std::io::ErrorKind::ConnectionRefused => Some(Trouble::ConnectionRefused),
        std::io::ErrorKind::TimedOut => Some(Trouble::Silent),
        _ => None,
    }
}

fn certificate(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => "its certificate is signed by an unknown CA",
        rustls::Error::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "its certificate is valid for another name"
        }
        rustls::Error::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => "its certificate has expired",
        rustls::Error::InvalidCertificate(_) => "its certificate is not valid",
        _ => "its TLS handshake failed",
    }
}

/// Looks names up, and refuses those that lead where the purpose may not go.
struct Guarded {
    outbound: Outbound,
    purpose: Purpose,
    instead: Option<String>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let host = self.instead.clone().unwrap_or_else(|| name.as_str().to_owned());
        let listed = self.outbound.lists_name(&host);
        let purpose = self.purpose;
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await.map_err(|_| Denied::NoSuchHost)?;
            let found: Vec<SocketAddr> = found.collect();
            if let Some(what) = found.iter().filter(|_| !listed).find_map(|at| unwelcome(purpose, at.ip())) {
                return Err(Denied::Refused { host, what }.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
