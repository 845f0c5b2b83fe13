//! Sessions that send more than their port allows are not read for a while: the driver of
//! `ostler_core::session_rate`.

use ostler_core::brain::ConnectionSlot;
use ostler_core::session_rate::{SessionMeter, SessionRates};
use ostler_core::timer_wheel::TimerId;

use super::ClientSide;
use super::timers::{Timed, Timers};

/// What a connection of a port with such limits has for them.
#[derive(Debug, Default)]
pub(super) struct Metering {
    meter: SessionMeter,
    /// Armed while it is not read.
    timer: Option<TimerId>,
}

impl Metering {
    /// `None` for a port without such limits, whose connections pay nothing.
    pub(super) fn new(rates: &SessionRates) -> Option<Box<Self>> {
        (!rates.is_none()).then(Box::default)
    }

    /// The connection is gone.
    pub(super) fn end(self, timers: &mut Timers) {
        if let Some(timer) = self.timer {
            timers.disarm(timer);
        }
    }
}

impl ClientSide {
    /// So much was received of the session, and so many packages of it were given.
    pub(super) fn meter(&mut self, slot: ConnectionSlot, packages: u64, bytes: usize) {
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
