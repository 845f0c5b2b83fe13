//! What is due by the clock and exists many times over: one timer wheel for all of it.
//!
//! A timer is armed once and looked at when it is due; what it waits for only notes the time. If
//! there is time left then, it is armed again. So activity costs a store and no timer is moved
//! because of it, and a reactor sleeps until the first of them.

use ostler_core::brain::ConnectionSlot;
use ostler_core::timer_wheel::TimerWheel;

use super::ClientSide;

/// Timers looked at in one turn: a bound on the turn's length. The others are looked at in the
/// next, after the events.
const DUE_PER_TURN: usize = 256;

/// Whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timed {
    /// An open connection's, for its deadlines.
    Connection(ConnectionSlot),
    /// A session that is not read for a while.
    HeldBack(ConnectionSlot),
    /// A session that waits for the disk of a file.
    Disk(ConnectionSlot),
    /// A connection to which this side says no more, by its number.
    Lingerer(u32),
    /// Sessions that go to another master.
    HandOver,
    /// A datagram port that cannot be read for a while, by its number in the reactor.
    DatagramPort(usize),
}

/// The timers of one reactor.
pub(super) type Timers = TimerWheel<Timed>;

impl ClientSide {
    /// Looks at whatever is due.
    pub(super) fn run_timers(&mut self) {
        for _ in 0..DUE_PER_TURN {
            match self.timers.pop_due(self.now) {
                Some(Timed::Connection(slot)) => self.look_at_deadlines(slot),
                Some(Timed::HeldBack(slot)) => self.held_back_due(slot),
                Some(Timed::Disk(slot)) => self.look_at_disk(slot),
                Some(Timed::Lingerer(number)) => self.lingerer_due(number),
                Some(Timed::HandOver) => self.hand_over_due(),
                Some(Timed::DatagramPort(number)) => self.datagram_port_rested(number),
                None => return,
            }
        }
    }
}
