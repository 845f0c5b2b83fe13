//! For how many addresses of clients there is room.

use ostler_shm::addresses::RATE_PLACES;
use ostler_shm::commons::AddressRoom;

use super::{Options, PortOptions};

impl Options {
    /// For how many addresses there is room: none where no port limits what one has. Each
    /// connection may have another address, and half of the places stay free.
    pub(crate) fn address_room(&self, secret: [u64; 2]) -> AddressRoom {
        let any = |limit: fn(&PortOptions) -> u32| {
            self.ports().iter().any(|port| limit(port.options) > 0)
        };
        let connections = 2 * self.max_connections as usize;
        let counts = any(|port| port.max_connections_per_address);
        let rates = any(|port| port.connection_rate_per_address | port.package_rate_per_address);
        AddressRoom {
            counts: if counts { connections.next_power_of_two() } else { 0 },
            rates: if rates { RATE_PLACES } else { 0 },
            secret,
        }
    }
}
