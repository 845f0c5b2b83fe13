//! Sessions that send more than their port allows are not read for a while (the driver of
//! `ostler_core::session_rate`), and what all sessions of an address send beyond what it may is
//! refused.

use std::net::IpAddr;

use ostler_core::brain::{Assignment, ConnectionSlot};
use ostler_core::ids::PortId;
use ostler_core::session_rate::SessionMeter;
use ostler_core::timer_wheel::TimerId;

use super::ClientSide;
use super::addresses::PackageKey;
use super::destination::Destination;
use super::timers::{Timed, Timers};

/// What a connection of a port with such limits has for them.
#[derive(Debug, Default)]
pub(super) struct Metering {
    meter: SessionMeter,
    /// Armed while it is not read.
    timer: Option<TimerId>,
    /// By what the packages of its client's address are counted, if these are limited.
    packages: Option<PackageKey>,
}

impl Metering {
    /// The connection is gone.
    pub(super) fn end(self, timers: &mut Timers) {
        if let Some(timer) = self.timer {
            timers.disarm(timer);
        }
    }
}

impl ClientSide {
    /// What a new connection has for the limits of its port; `None`: there are none, and it pays
    /// nothing.
    pub(super) fn metering(&self, port: PortId, address: Option<IpAddr>) -> Option<Box<Metering>> {
        let settings = self.settings.ports.get(port);
        let address = address.filter(|_| settings.package_rate_per_address > 0);
        let packages =
            address.and_then(|address| self.reports.addresses.packages_of(port, address));
        let is_limited = packages.is_some() || !settings.rates.is_none();
        is_limited.then(|| Box::new(Metering { packages, ..Metering::default() }))
    }

    /// By what the packages of a session's address are counted, and how many it may send.
    fn package_limit(&mut self, slot: ConnectionSlot) -> Option<(PackageKey, u64)> {
        // A client that is gone is served what it had sent.
        let connection = self.connections.get_mut(slot)?;
        let key = connection.metering.as_deref()?.packages?;
        Some((key, self.settings.ports.get(connection.port).package_rate_per_address))
    }

    /// Whether the address of a session has sent as many packages as it may.
    pub(super) fn is_over_rate(&mut self, slot: ConnectionSlot) -> bool {
        let limit = self.package_limit(slot);
        limit.is_some_and(|(key, rate)| !self.reports.addresses.admits_package(key, rate, self.now))
    }

    /// A package of a session was given.
    pub(super) fn count_package_of_address(&mut self, slot: ConnectionSlot) {
        if let Some((key, rate)) = self.package_limit(slot) {
            self.reports.addresses.count_package(key, rate, self.now);
        }
    }

    /// Refuses the next package of a session, if there is one: what is read may be the end of what
    /// its client sends, or a part.
    pub(super) fn refuse_over_rate(
        &mut self,
        destination: &mut Destination,
        slot: ConnectionSlot,
        assignment: Assignment,
    ) {
        let settings = self.settings.ports.get(assignment.port);
        let is_framed = settings.framer.is_some() && !settings.keeps_unused;
        if is_framed {
            let share = self.receive_share.session_bytes().min(settings.burst_max);
            if self.next_message(slot, share).is_none() {
                return;
            }
        } else if self.connections.get_mut(slot).is_none_or(|one| one.transport.unread() == 0) {
            return self.give_counted(destination, slot, assignment);
        }
        if self.complaints.over_rate.admits() {
            let session = assignment.subject_number;
            tracing::info!(session, "refused, its address is beyond package_rate_per_address");
        }
        self.brain.over_rate(assignment);
    }

    /// So much was received of the session, and so many packages of it were given.
    pub(super) fn meter(&mut self, slot: ConnectionSlot, packages: u64, bytes: usize) {
        self.traffic.received_bytes += bytes as u64;
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(metering) = connection.metering.as_deref_mut() else { return };
        let rates = &self.settings.ports.get(connection.port).rates;
        metering.meter.count(self.now, packages, bytes as u64, rates);
        if metering.timer.is_some() {
            return;
        }
        let Some(until) = metering.meter.rests_until(self.now, rates) else { return };
        metering.timer = Some(self.timers.arm(Timed::HeldBack(slot), until));
        let session = connection.session;
        self.brain.hold_back(slot, true);
        if self.complaints.held_back.admits() {
            tracing::info!(session, "sends more than it may, is not read for a while");
        }
    }

    /// The session may be read again, unless it has received more meanwhile than it may.
    pub(super) fn held_back_due(&mut self, slot: ConnectionSlot) {
        if let Some(connection) = self.connections.get_mut(slot)
            && let Some(metering) = connection.metering.as_deref_mut()
        {
            metering.timer = None;
            let rates = &self.settings.ports.get(connection.port).rates;
            if let Some(until) = metering.meter.rests_until(self.now, rates) {
                metering.timer = Some(self.timers.arm(Timed::HeldBack(slot), until));
                return;
            }
            self.brain.hold_back(slot, false);
        }
    }
}
