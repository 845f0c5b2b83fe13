//! What one address has and does, over all reactors, and over all processes that serve clients: the
//! driver of `ostler_core::address_rate` and of the places that all of them write
//! (`ostler_shm::addresses`).
//!
//! A connection's place is given back when its descriptor is closed, wherever that happens: before
//! there is a session, at its end, or after lingering.

use std::net::IpAddr;

use ostler_core::Nanos;
use ostler_core::address_rate::AddressRate;
use ostler_core::addresses::{AddressGroup, AddressKeys, Limited};
use ostler_core::ids::PortId;

use crate::base::commons::SeatOf;

/// What is known of addresses, with the seat of this process's first reactor. `None`: no port has
/// such limits, or nobody else is there (a worker of [`crate::test`]); then nothing is limited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses(Option<SeatOf>);

/// One connection among those of its address, if those are counted.
#[derive(Debug)]
pub(super) struct Lease(Option<Counted>);

/// Where it was counted.
#[derive(Debug)]
struct Counted {
    seats: SeatOf,
    seat: usize,
    key: u64,
}

/// What is limited of one client's packages.
#[derive(Clone, Copy, Debug)]
pub(super) struct PackageKey(u64);

impl Addresses {
    /// What is known in these commons, of which the first reactor has this seat.
    pub(crate) const fn at(seat: SeatOf) -> Self {
        Self(Some(seat))
    }

    /// A connection of this address at a reactor; `None`: it has `most` already.
    pub(super) fn take(
        &self,
        reactor: usize,
        port: PortId,
        address: IpAddr,
        most: u32,
    ) -> Option<Lease> {
        let Some(seats) = self.0.clone() else { return Some(Lease(None)) };
        let (seat, key) = (seats.number() + reactor, key(&seats, Limited::Open, port, address));
        let is_taken = seats.commons().address_counts().take(seat, key, most);
        // A lease that is made and dropped gives a place back.
        is_taken.then(|| Lease(Some(Counted { seats, seat, key })))
    }

    /// Counts one more connection of this address, unless it has had `rate` in a second.
    pub(super) fn admits_connection(
        &self,
        port: PortId,
        address: IpAddr,
        rate: u64,
        now: Nanos,
    ) -> bool {
        let Some(seats) = &self.0 else { return true };
        let (limit, key) = (AddressRate { rate }, key(seats, Limited::Connections, port, address));
        seats
            .commons()
            .address_rates()
            .change(key, now, |word| limit.admits(word, now).then(|| limit.charged(word, now)))
    }

    /// By what the packages of this address are counted.
    pub(super) fn packages_of(&self, port: PortId, address: IpAddr) -> Option<PackageKey> {
        let seats = self.0.as_ref()?;
        Some(PackageKey(key(seats, Limited::Packages, port, address)))
    }

    /// Whether an address may send another package.
    pub(super) fn admits_package(&self, key: PackageKey, rate: u64, now: Nanos) -> bool {
        let rates = self.0.as_ref().map(|seats| seats.commons().address_rates());
        rates.is_none_or(|rates| AddressRate { rate }.admits(rates.word(key.0), now))
    }

    /// An address has sent another package.
    pub(super) fn count_package(&self, key: PackageKey, rate: u64, now: Nanos) {
        let Some(seats) = &self.0 else { return };
        let limit = AddressRate { rate };
        let rates = seats.commons().address_rates();
        let counted = rates.change(key.0, now, |word| Some(limit.charged(word, now)));
        ostler_core::invariant!(counted, "what is always counted was counted");
    }
}

fn key(seats: &SeatOf, limited: Limited, port: PortId, address: IpAddr) -> u64 {
    let keys = AddressKeys { secret: seats.commons().address_secret() };
    keys.key(limited, port, AddressGroup::from(address))
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(Counted { seats, seat, key }) = &self.0 {
            seats.commons().address_counts().give_back(*seat, *key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::commons::{AddressRoom, Commons};

    const SECOND: Nanos = 1_000_000_000;

    /// What two processes know.
    fn two_processes() -> [Addresses; 2] {
        let room = AddressRoom { counts: 64, rates: 64, secret: [5, 6] };
        let (_commons, fd) = Commons::create(2, room).unwrap();
        [0, 1].map(|number| Addresses::at(SeatOf::open(&fd, number).unwrap()))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_knows_nothing_refuses_nobody() {
        let (nobody, port) = (Addresses::default(), PortId::FIRST);
        let leases = [1, 1].map(|most| nobody.take(0, port, address("192.0.2.1"), most));
        assert!(leases.iter().all(Option::is_some));
        assert!(nobody.admits_connection(port, address("192.0.2.1"), 1, SECOND));
    }

    #[test]
    fn the_connections_of_an_address_are_those_of_all_processes_at_a_port() {
        let [one, other] = two_processes();
        let (who, port) = (address("192.0.2.1"), PortId::FIRST);
        let lease = one.take(0, port, who, 1);
        assert!(lease.is_some() && other.take(0, port, who, 1).is_none());
        assert!(other.take(0, PortId(1), who, 1).is_some(), "another port");
        assert!(other.take(0, port, address("192.0.2.2"), 1).is_some(), "another client");
        drop(lease);
        assert!(other.take(0, port, who, 1).is_some());
    }

    #[test]
    fn the_rates_of_an_address_are_those_of_all_processes_at_a_port() {
        let [one, other] = two_processes();
        let (who, port, now) = (address("2001:db8::1"), PortId::FIRST, 9 * SECOND);
        assert!(one.admits_connection(port, who, 2, now));
        assert!(other.admits_connection(port, address("2001:db8::2"), 2, now), "of its network");
        assert!(!one.admits_connection(port, who, 2, now));
        assert!(other.admits_connection(PortId(1), who, 2, now));
        assert!(one.admits_connection(port, who, 2, now + SECOND / 2));
        let key = one.packages_of(port, who).unwrap();
        for process in [&one, &other] {
            assert!(process.admits_package(key, 2, now));
            process.count_package(key, 2, now);
        }
        assert!(!one.admits_package(key, 2, now) && one.admits_package(key, 2, now + SECOND / 2));
    }

    #[test]
    fn where_nothing_is_limited_nothing_is_known() {
        let none = Addresses::default();
        let (who, port) = (address("192.0.2.1"), PortId::FIRST);
        assert!(none.admits_connection(port, who, 1, 0) && none.packages_of(port, who).is_none());
    }
}
