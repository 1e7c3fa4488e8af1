//! Addresses that a user's URL may not lead to, unless whoever runs the controller allows it: they are the controller's own
//! machine and its neighbours (operations.md, "Security").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where clouds answer questions about the machine, beside the link-local address.
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
        return Some("no address of a server");
    }
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    local.then_some("a link-local address")
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
            ("0.0.0.0", Some("no address of a server")),
            ("::", Some("no address of a server")),
            ("224.0.0.1", Some("no address of a server")),
            ("fd00:ec2::254", Some("a metadata address")),
            ("100.100.100.200", Some("a metadata address")),
            ("10.0.0.1", None),
            ("93.184.216.34", None),
            ("2001:db8::1", None),
        ] {
            assert_eq!(refused(address.parse().unwrap()), what, "{address}");
        }
    }
}
