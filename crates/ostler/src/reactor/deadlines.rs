//! Closing clients that are gone, stuck or hostile: the driver of `ostler_core::deadlines`.
//!
//! On the way of a package only times are stored. A connection has one timer, which is armed for
//! the first of its deadlines and looked at when it is due; only a deadline that begins and ends
//! before that moves it forward.

use ostler_core::brain::{CloseReason, ConnectionSlot, Phase};
use ostler_core::deadlines::{ClientClock, Deadlines, Facts, Verdict};
use ostler_core::timer_wheel::TimerId;
use ostler_core::{Nanos, invariant};
use ostler_shm::sessions::PROTECTED;

use super::ClientSide;
use super::timers::{Timed, Timers};

/// What a connection of a port with deadlines has for them.
#[derive(Debug)]
pub(super) struct Timing {
    pub(super) clock: ClientClock,
    timer: Option<TimerId>,
}

impl Timing {
    /// `None` for a port without deadlines, whose connections pay nothing.
    pub(super) fn new(now: Nanos, deadlines: &Deadlines) -> Option<Box<Self>> {
        let timing = Self { clock: ClientClock::new(now), timer: None };
        (!deadlines.is_none()).then(|| Box::new(timing))
    }

    /// A package was read straight into a ring; `more`: the socket may have more.
    pub(super) const fn read_package(&mut self, now: Nanos, more: bool) {
        self.clock.input_came(now);
        self.clock.package_given(now);
        if !more {
            self.clock.is_dry(now);
        }
    }

    /// The connection is gone.
    pub(super) fn end(self, timers: &mut Timers) {
        if let Some(timer) = self.timer {
            timers.disarm(timer);
        }
    }

    fn look_by(&mut self, timers: &mut Timers, slot: ConnectionSlot, at: Nanos) {
        match self.timer {
            Some(timer) => timers.bring_forward(timer, at),
            None => self.timer = Some(timers.arm(Timed::Connection(slot), at)),
        }
    }
}

impl ClientSide {
    /// A look at the socket has found that nothing more is there.
    pub(super) fn went_dry(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(timing) = connection.timing.as_deref_mut() else { return };
        let deadlines = &self.settings.ports.get(connection.port).deadlines;
        // Of a stream it is a rest, which is known to the clock already.
        let has_part = connection.intake.as_ref().is_some_and(|intake| intake.len() > 0);
        if let Some(at) = timing.clock.went_dry(self.now, has_part, deadlines) {
            timing.look_by(&mut self.timers, slot, at);
        }
    }

    /// Bytes were received that are no whole package yet.
    pub(super) fn part_was_received(&mut self, slot: ConnectionSlot, len: usize) {
        self.bytes_came(slot, len);
        self.publish_input(slot);
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(timing) = connection.timing.as_deref_mut() else { return };
        let deadlines = &self.settings.ports.get(connection.port).deadlines;
        timing.clock.received(self.now, len, deadlines);
    }

    /// A whole package that was received was given to a worker.
    pub(super) fn package_was_given(&mut self, slot: ConnectionSlot) {
        let now = self.now;
        if let Some(timing) = self.timing(slot) {
            timing.clock.package_given(now);
        }
    }

    /// A worker has left a part of a package of a stream; `used`: it has used another part.
    pub(super) fn rest_was_left(&mut self, slot: ConnectionSlot, used: bool) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(timing) = connection.timing.as_deref_mut() else { return };
        let deadlines = &self.settings.ports.get(connection.port).deadlines;
        if let Some(at) = timing.clock.rest_was_left(self.now, used, deadlines) {
            timing.look_by(&mut self.timers, slot, at);
        }
    }

    /// A worker has said that the session is not exempt any more.
    pub(super) fn protection_ended(&mut self, slot: ConnectionSlot) {
        let now = self.now;
        if let Some(timing) = self.timing(slot) {
            timing.clock.protection_ended(now);
        }
    }

    /// The kernel takes no more output for now.
    pub(super) fn output_waits(&mut self, slot: ConnectionSlot) {
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let Some(timing) = connection.timing.as_deref_mut() else { return };
        timing.clock.took(self.now);
        let send_stall = self.settings.ports.get(connection.port).deadlines.send_stall;
        if send_stall > 0 {
            timing.look_by(&mut self.timers, slot, self.now.saturating_add(send_stall));
        }
    }

    /// The connection's timer was due, or it has just begun.
    pub(super) fn look_at_deadlines(&mut self, slot: ConnectionSlot) {
        // Another master looks at them, or this one when the session stays after all.
        if self.brain.is_offered(slot) {
            if let Some(timing) = self.timing(slot) {
                timing.timer = None;
            }
            return;
        }
        if let Some(timing) = self.timing(slot) {
            timing.timer = None;
        }
        let mut verdict = self.verdict(slot);
        if let Verdict::Close(reason) = verdict
            && self.kernel_knows_better(slot, reason)
        {
            verdict = self.verdict(slot);
        }
        match verdict {
            Verdict::Close(reason) => self.brain.close(slot, reason),
            Verdict::LookAgain(at) => {
                if let Some(connection) = self.connections.get_mut(slot)
                    && let Some(timing) = connection.timing.as_deref_mut()
                {
                    timing.look_by(&mut self.timers, slot, at);
                }
            }
            Verdict::Nothing => {}
        }
    }

    /// The session was not looked at for a while.
    pub(super) fn look_at_deadlines_again(&mut self, slot: ConnectionSlot) {
        if self.timing(slot).is_some_and(|timing| timing.timer.is_none()) {
            self.look_at_deadlines(slot);
        }
    }

    fn timing(&mut self, slot: ConnectionSlot) -> Option<&mut Timing> {
        self.connections.get_mut(slot)?.timing.as_deref_mut()
    }

    fn verdict(&mut self, slot: ConnectionSlot) -> Verdict {
        if self.timing(slot).is_none() {
            return Verdict::Nothing; // a write has failed, and the connection went with it
        }
        let (Some(phase), Some(rest)) = (self.brain.phase(slot), self.brain.rest(slot)) else {
            invariant!(false, "a connection with a timer has a session");
            return Verdict::Nothing;
        };
        let Some(connection) = self.connections.get_mut(slot) else { return Verdict::Nothing };
        let Some(timing) = connection.timing.as_deref() else { return Verdict::Nothing };
        let port = self.settings.ports.get(connection.port);
        let waits_to_be_read = rest.has_input || timing.clock.dry_since().is_none();
        let has_part = connection.intake.as_ref().is_some_and(|intake| intake.len() > 0);
        let facts = Facts {
            is_open: phase == Phase::Open && !self.draining,
            waits_for_us: rest.is_served || (waits_to_be_read && !rest.is_held_by_output),
            rested_at: rest.since,
            is_incomplete: has_part && !(port.keeps_unused && rest.is_served),
            has_output: connection.unsent() > 0,
            output_waits_for_us: connection.waits_for_turn || connection.disk.is_waiting(),
            is_protected: connection.flags & PROTECTED != 0,
        };
        port.deadlines.verdict(self.now, &timing.clock, &facts)
    }

    /// Asks the kernel before a connection is closed: this side may have been too slow to hear of
    /// what the client has done in time. True when it has done something.
    fn kernel_knows_better(&mut self, slot: ConnectionSlot, reason: CloseReason) -> bool {
        let now = self.now;
        let Some(connection) = self.connections.get_mut(slot) else { return false };
        if connection.unsent() > 0 {
            let before = connection.left();
            connection.transport.expect_output();
            self.flush(slot);
            let Some(connection) = self.connections.get_mut(slot) else { return true };
            if connection.left() < before {
                return true;
            }
        }
        let Some(connection) = self.connections.get_mut(slot) else { return false };
        if reason == CloseReason::SendStalled || connection.transport.unread() == 0 {
            return false;
        }
        if let Some(timing) = connection.timing.as_deref_mut() {
            timing.clock.input_came(now);
        }
        self.brain.readable(slot);
        true
    }
}
