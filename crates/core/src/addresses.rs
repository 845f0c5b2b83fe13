//! Whose connections count together, and how many each has: one address of IPv4, one network of 64
//! bits of IPv6.
//!
//! A client with IPv6 is given a whole /64 and may connect from any address in it, so that a limit
//! by address would limit nobody. An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`, as a
//! listener of both sees it) is the IPv4 address.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::ids::PortId;

/// Addresses with connections that are known at once: as many as there may be connections.
const ADDRESSES_MAX: usize = 1_048_576;

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

/// How many connections each address has at each port.
#[derive(Debug)]
pub struct ConnectionCounts {
    of: HashMap<(PortId, AddressGroup), u32>,
    addresses_max: usize,
}

impl Default for ConnectionCounts {
    fn default() -> Self {
        Self { of: HashMap::new(), addresses_max: ADDRESSES_MAX }
    }
}

impl ConnectionCounts {
    /// Counts one more, unless the address has `most` already (or so many addresses have some that
    /// no other can be known). True: it was counted, and is to be given back once.
    #[must_use]
    pub fn take(&mut self, port: PortId, group: AddressGroup, most: u32) -> bool {
        let is_full = self.of.len() >= self.addresses_max;
        match self.of.get_mut(&(port, group)) {
            Some(count) if *count < most => *count += 1,
            None if most > 0 && !is_full => _ = self.of.insert((port, group), 1),
            _ => return false,
        }
        true
    }

    /// One that was counted is gone. An address without any is forgotten.
    pub fn give_back(&mut self, port: PortId, group: AddressGroup) {
        match self.of.get_mut(&(port, group)) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => _ = self.of.remove(&(port, group)),
            None => crate::invariant!(false, "what is given back was taken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
    fn each_address_has_its_own_number_at_each_port() {
        let mut counts = ConnectionCounts::default();
        let (one, other) = (group("192.0.2.1"), group("192.0.2.2"));
        assert!(counts.take(PortId(0), one, 2) && counts.take(PortId(0), one, 2));
        assert!(!counts.take(PortId(0), one, 2));
        assert!(counts.take(PortId(0), other, 2) && counts.take(PortId(1), one, 2));
        counts.give_back(PortId(0), one);
        assert!(counts.take(PortId(0), one, 2));
        assert!(!counts.take(PortId(2), one, 0));
    }

    #[test]
    fn no_more_addresses_are_known_than_there_may_be() {
        let mut counts = ConnectionCounts { addresses_max: 2, ..ConnectionCounts::default() };
        let groups = [1, 2, 3].map(AddressGroup::V4);
        assert_eq!(groups.map(|group| counts.take(PortId(0), group, 9)), [true, true, false]);
        assert!(counts.take(PortId(0), groups[0], 9), "one that is known");
        counts.give_back(PortId(0), groups[1]);
        assert!(counts.take(PortId(0), groups[2], 9));
    }

    proptest! {
        /// Whatever comes and goes: nobody has more than the limit, and in the end nothing is kept.
        #[test]
        fn what_is_taken_and_given_back_leaves_nothing(
            steps in proptest::collection::vec((any::<bool>(), 0u32..3), 0..100),
        ) {
            let (mut counts, mut open) = (ConnectionCounts::default(), Vec::new());
            for (comes, who) in steps {
                let group = AddressGroup::V4(who);
                let has = open.iter().filter(|one| **one == group).count();
                if comes {
                    prop_assert_eq!(counts.take(PortId(0), group, 3), has < 3);
                    if has < 3 {
                        open.push(group);
                    }
                } else if let Some(at) = open.iter().position(|one| *one == group) {
                    open.swap_remove(at);
                    counts.give_back(PortId(0), group);
                }
            }
            open.into_iter().for_each(|group| counts.give_back(PortId(0), group));
            prop_assert!(counts.of.is_empty());
        }
    }
}
