//! Addresses that a user's URL must not resolve to, unless the operator of the controller allows it: the controller's
//! own host and link-local addresses, and for gates the cluster's network (docs/controller.md, "Outbound requests").
//! Also validation and display of URLs, which must not contain credentials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{analysis::NO_USERINFO, strategy::host};

/// The longest part of an address that is shown, in characters.
const LONGEST: usize = 200;

/// Metadata addresses of cloud providers, in addition to the link-local address.
const METADATA: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254))];

/// What makes an address one that is refused; `None` for an ordinary one.
pub fn refused(address: IpAddr) -> Option<&'static str> {
    let address = address.to_canonical();
    if METADATA.contains(&address) {
        return Some("a metadata address");
    }
    if address.is_loopback() {
        return Some("a loopback address");
    }
    if address.is_unspecified() || address.is_multicast() {
        return Some("not a server address");
    }
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    local.then_some("a link-local address")
}

/// Whether an address is of a private network, as a cluster's pods and Services have: RFC 1918, carriers' shared addresses,
/// and IPv6's unique local ones.
pub fn is_internal(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_private() || (v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64),
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Whether a name is cluster-internal: a single label, or below `svc`, `local` or `internal`. Other names may resolve
/// into the cluster too; their addresses are checked.
pub fn is_internal_name(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let mut labels = host.split('.').skip(1).peekable();
    labels.peek().is_none()
        || labels.any(|label| label == "svc")
        || host.ends_with(".local")
        || host.ends_with(".internal")
}

/// What is wrong with the base URL of a Prometheus.
pub fn base_url(address: &str) -> Result<&str, &'static str> {
    if address.contains('@') {
        return Err(NO_USERINFO);
    }
    if address.contains(['?', '#']) {
        return Err("must be a base URL, without ? and #");
    }
    host(address)
}

/// An address for display: without credentials and query, even if it is otherwise invalid.
pub fn shown(address: &str) -> String {
    let scheme = ["https://", "http://"].into_iter().find(|scheme| address.starts_with(scheme)).unwrap_or_default();
    let rest = &address[scheme.len()..];
    let rest = rest.rsplit_once('@').map_or(rest, |(_, tail)| tail);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    scheme.chars().chain(rest.chars().filter(|c| !c.is_control()).take(LONGEST)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_and_its_neighbours_are_refused() {
        for (address, what) in [
            ("127.0.0.1", Some("a loopback address")),
            ("127.8.8.8", Some("a loopback address")),
            ("::1", Some("a loopback address")),
            ("::ffff:127.0.0.1", Some("a loopback address")),
            ("169.254.169.254", Some("a link-local address")),
            ("::ffff:169.254.169.254", Some("a link-local address")),
            ("fe80::1", Some("a link-local address")),
            ("0.0.0.0", Some("not a server address")),
            ("::", Some("not a server address")),
            ("224.0.0.1", Some("not a server address")),
            ("fd00:ec2::254", Some("a metadata address")),
            ("100.100.100.200", Some("a metadata address")),
            ("10.0.0.1", None),
            ("93.184.216.34", None),
            ("2001:db8::1", None),
        ] {
            assert_eq!(refused(address.parse().unwrap()), what, "{address}");
        }
    }

    #[test]
    fn the_clusters_own_addresses_and_names_are_known() {
        for (address, internal) in [
            ("10.0.0.1", true),
            ("172.31.255.1", true),
            ("192.168.1.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("::ffff:10.0.0.1", true),
            ("fd12::1", true),
            ("93.184.216.34", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_internal(address.parse().unwrap()), internal, "{address}");
        }
        for (name, internal) in [
            ("gate", true),
            ("gate.ci.svc", true),
            ("gate.ci.SVC.corp.example.", true),
            ("db.cluster.local", true),
            ("metadata.google.internal", true),
            ("svc.example.com", false),
            ("gate.example.com", false),
        ] {
            assert_eq!(is_internal_name(name), internal, "{name}");
        }
    }

    /// H9: a password in an address is refused, and never repeated.
    #[test]
    fn credentials_in_an_address_are_refused_and_not_shown() {
        for address in
            ["http://admin:hunter2@p:9090", "https://hunter2@p/x", "http://a:hun/ter2@p", "http://a:hun?ter2#@p"]
        {
            assert_eq!(base_url(address), Err(NO_USERINFO), "{address}");
            let shown = shown(address);
            assert!(shown.contains("p") && !shown.contains("hun") && !shown.contains("ter2"), "{shown}");
        }
        assert_eq!(base_url("http://p:9090/prometheus"), Ok("p"));
        assert!(base_url("http://p/-/quit?x=").is_err() && base_url("p:9090").is_err());
        assert_eq!(shown("https://p:9090/prometheus?token=x"), "https://p:9090/prometheus");
    }
}
