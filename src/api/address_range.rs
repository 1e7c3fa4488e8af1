//! Ranges of addresses, as policies and meshes write them.

use std::net::IpAddr;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    address: IpAddr,
    size: u32,
}

impl AddressRange {
    /// From `10.0.0.0/8`, or one address. `None` if it is neither.
    pub fn of(text: &str) -> Option<Self> {
        let (address, size) = text.split_once('/').map_or((text, None), |(address, size)| (address, Some(size)));
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let size = size.map_or(Some(most), |size| size.parse().ok())?;
        (size <= most).then_some(AddressRange { address, size })
    }

    /// Whether an address is in it.
    pub fn contains(self, other: IpAddr) -> bool {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
            IpAddr::V6(v6) => (v6.to_bits(), 128),
        };
        let ((ours, width), (theirs, other_width)) = (bits(self.address), bits(other));
        let same = self.size == 0 || (ours ^ theirs) >> (128 - self.size) == 0;
        width == other_width && same
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_contain_their_addresses_and_no_others() {
        for (range, address, contains) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
        ] {
            let range = AddressRange::of(range).unwrap();
            assert_eq!(range.contains(address.parse().unwrap()), contains, "{range:?} {address}");
        }
        assert!(AddressRange::of("10.0.0.0/33").is_none() && AddressRange::of("web").is_none());
    }
}
