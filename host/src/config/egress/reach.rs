//! How far away an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads, as far as it counts for what a guest may connect to. The
/// registries of special-purpose addresses (RFC 6890, kept by IANA) are the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The public internet.
    Public,
    /// A network of somebody's own: RFC 1918, RFC 6598, RFC 4193.
    Private,
    /// This machine.
    Loopback,
    /// Nowhere that a guest has any business: link-local addresses, among them the
    /// metadata services of clouds, multicast, documentation, and addresses that have
    /// another address inside.
    Never,
}

/// What clouds answer with credentials, on addresses that would be private.
const METADATA: [IpAddr; 2] = [
    // Alibaba.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    // AWS.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Prefixes of the first version that are not public, with the number of their bits.
const V4: [(Ipv4Addr, u32, Reach); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, Reach::Never),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Reach::Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Reach::Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Reach::Loopback),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Reach::Never),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Reach::Private),
    // Among them the metadata service of Oracle, 192.0.0.192.
    (Ipv4Addr::new(192, 0, 0, 0), 24, Reach::Never),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Reach::Never),
    (Ipv4Addr::new(192, 31, 196, 0), 24, Reach::Never),
    (Ipv4Addr::new(192, 52, 193, 0), 24, Reach::Never),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Reach::Never),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Reach::Private),
    (Ipv4Addr::new(192, 175, 48, 0), 24, Reach::Never),
    (Ipv4Addr::new(198, 18, 0, 0), 15, Reach::Never),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Reach::Never),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Reach::Never),
    // Multicast, what is reserved, and the broadcast address.
    (Ipv4Addr::new(224, 0, 0, 0), 3, Reach::Never),
];

/// Prefixes of the other version, the narrower ones first. What is not here is public
/// only within 2000::/3, of which alone global addresses are given out.
const V6: [(Ipv6Addr, u32, Reach); 8] = [
    (Ipv6Addr::LOCALHOST, 128, Reach::Loopback),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Reach::Private),
    // Teredo, ORCHID and other protocols.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Reach::Never),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Reach::Never),
    // 6to4: an IPv4 address inside.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, Reach::Never),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48, Reach::Never),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Reach::Never),
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, Reach::Public),
];

/// NAT64 (RFC 6052): the last four bytes are an IPv4 address.
const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);

impl Reach {
    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            _ if METADATA.contains(&address) => Self::Never,
            IpAddr::V4(v4) => Self::of_v4(v4),
            IpAddr::V6(v6) => Self::of_v6(v6),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let bits = address.to_bits();
        let found = V4.iter().find(|(prefix, length, _)| (bits ^ prefix.to_bits()) >> (32 - length) == 0);
        found.map_or(Self::Public, |(.., reach)| *reach)
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let bits = address.to_bits();
        let is_in = |prefix: Ipv6Addr, length: u32| (bits ^ prefix.to_bits()).checked_shr(128 - length) == Some(0);
        if is_in(NAT64, 96) {
            let [.., a, b, c, d] = address.octets();
            // What is behind a translator of the operator's own is for him to open.
            let inside = Self::of_v4(Ipv4Addr::new(a, b, c, d));
            return if inside == Self::Public { Self::Private } else { Self::Never };
        }
        let found = V6.iter().find(|(prefix, length, _)| is_in(*prefix, *length));
        found.map_or(Self::Never, |(.., reach)| *reach)
    }
}

#[cfg(test)]
mod tests {
    use super::Reach;

    fn all(reach: Reach, addresses: &[&str]) {
        for text in addresses {
            let address = text.parse().unwrap_or_else(|_| panic!("{text} is not an address"));
            assert_eq!(Reach::of(address), reach, "{text}");
        }
    }

    #[test]
    fn what_is_public() {
        let v4 =
            ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255"];
        all(Reach::Public, &v4);
        all(Reach::Public, &["128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"]);
        all(Reach::Public, &["192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0"]);
        all(Reach::Public, &["203.0.112.255", "203.0.114.0", "223.255.255.255"]);
        all(
            Reach::Public,
            &["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00:1450::1", "3ffe:ffff::1", "2001:200::"],
        );
    }

    #[test]
    fn what_is_somebodys_own() {
        all(Reach::Private, &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0"]);
        all(Reach::Private, &["192.168.255.255", "100.64.0.0", "100.127.255.255", "fc00::", "fdff::1"]);
        all(Reach::Private, &["64:ff9b::8.8.8.8"]);
        all(Reach::Loopback, &["127.0.0.0", "127.0.0.1", "127.255.255.255", "::1"]);
    }

    #[test]
    fn where_nobody_goes() {
        all(Reach::Never, &["0.0.0.0", "0.1.2.3", "169.254.0.0", "169.254.169.254", "169.254.170.2", "192.0.0.192"]);
        all(Reach::Never, &["192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"]);
        all(Reach::Never, &["192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1", "100.100.100.200"]);
        all(Reach::Never, &["224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"]);
        all(Reach::Never, &["::", "::2", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1"]);
        all(Reach::Never, &["64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1", "100::1", "2001::1"]);
        all(Reach::Never, &["2001:db8::1", "2002:7f00:1::", "2620:4f:8000::1", "3fff::1", "5f00::1", "4000::1"]);
        all(Reach::Never, &["fe80::1", "febf::1", "fec0::1", "ff02::1", "fd00:ec2::254"]);
    }
}
