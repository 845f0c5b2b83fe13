//! Whose connections count together: one address of IPv4, one network of 64 bits of IPv6.
//!
//! A client with IPv6 is given a whole /64 and may connect from any address in it, so that a limit
//! by address would limit nobody. An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`, as a
//! listener of both sees it) is the IPv4 address.

use std::hash::Hasher as _;
use std::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::ids::PortId;

/// The addresses that count as one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressGroup {
    /// An address of IPv4.
    V4(u32),
    /// The first 64 bits of addresses of IPv6.
    V6(u64),
}

impl From<IpAddr> for AddressGroup {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

/// What is limited of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// Its connections at the same time.
    Open,
    /// Its connections in a second.
    Connections,
    /// Its packages in a second.
    Packages,
}

/// Makes numbers of clients that nobody else can foresee, so that nobody chooses whose places are
/// taken. All processes of a server have the same secret.
#[derive(Clone, Copy, Debug)]
pub struct AddressKeys {
    /// Random.
    pub secret: [u64; 2],
}

impl AddressKeys {
    /// The number of what is limited of a client at a port; never 0.
    #[must_use]
    pub fn key(&self, limited: Limited, port: PortId, group: AddressGroup) -> u64 {
        let (family, bits) = match group {
            AddressGroup::V4(address) => (4, u64::from(address)),
            AddressGroup::V6(network) => (6, network),
        };
        let [first, second] = self.secret;
        let mut hasher = SipHasher24::new_with_keys(first, second);
        hasher.write_u64((limited as u64) << 32 | family << 16 | u64::from(port.0));
        hasher.write_u64(bits);
        hasher.finish().max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const KEYS: AddressKeys =
        AddressKeys { secret: [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f] };

    fn group(text: &str) -> AddressGroup {
        AddressGroup::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn an_address_of_ipv4_is_one_client_and_so_is_a_64_of_ipv6() {
        assert_eq!(group("192.0.2.1"), group("::ffff:192.0.2.1"));
        assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
        assert_eq!(group("2001:db8::1"), group("2001:db8:0:0:ffff::2"));
        assert_ne!(group("2001:db8::1"), group("2001:db8:0:1::1"));
        // The same bits are another client.
        assert_ne!(group("0.0.0.1"), group("0:0:0:1::"));
    }

    #[test]
    fn what_is_limited_of_whom_at_which_port_has_a_number_of_its_own() {
        let mut all = BTreeSet::new();
        let groups = ["0.0.0.0", "0.0.0.1", "::", "0:0:0:1::", "192.0.2.1", "2001:db8::"];
        for limited in [Limited::Open, Limited::Connections, Limited::Packages] {
            for port in 0..5 {
                all.extend(groups.map(|text| KEYS.key(limited, PortId(port), group(text))));
            }
        }
        assert_eq!(all.len(), 3 * 5 * groups.len());
    }

    #[test]
    fn neighbours_are_spread_over_all_places_and_a_secret_moves_them() {
        let place = |keys: AddressKeys, address| {
            keys.key(Limited::Open, PortId(0), AddressGroup::V4(address)) % 1_024
        };
        let places: BTreeSet<_> = (0..1_024).map(|address| place(KEYS, address)).collect();
        // As many as of 1 024 that are thrown at random: 647 are expected.
        assert!((590..710).contains(&places.len()), "{}", places.len());
        let other = AddressKeys { secret: [KEYS.secret[0] ^ 1, KEYS.secret[1]] };
        let stay = (0..1_024).filter(|address| place(KEYS, *address) == place(other, *address));
        assert!(stay.count() < 20);
    }

    proptest! {
        /// Whatever the secret is: half of the bits of a number change with one bit of an address.
        #[test]
        fn each_bit_of_an_address_counts(
            secret in any::<[u64; 2]>(), network in any::<u64>(), bit in 0u32..64,
        ) {
            let keys = AddressKeys { secret };
            let key = |network| keys.key(Limited::Packages, PortId(1), AddressGroup::V6(network));
            let changed = (key(network) ^ key(network ^ 1 << bit)).count_ones();
            prop_assert!((8..=56).contains(&changed), "{changed}");
        }
    }
}
