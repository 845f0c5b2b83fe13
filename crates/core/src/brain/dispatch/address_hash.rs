//! Dispatch `address_hash`: always the same worker slot for all sessions of a client's address,
//! whatever port it connects from. A client without an address (of a unix socket) is dispatched by
//! its session.

use std::net::IpAddr;

use super::session_hash::hash;

/// The number by which an address is dispatched. An IPv4 address is the same whether it comes as
/// itself or mapped into IPv6.
pub(in crate::brain) fn number(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => hash(u64::from(address.to_bits())),
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            hash(hash(bits as u64) ^ (bits >> 64) as u64)
        }
    }
}

/// The worker slot of the sessions whose client's address has this number.
pub(super) fn home(number: u64, workers: u16) -> u16 {
    (number % u64::from(workers.max(1))) as u16
}
