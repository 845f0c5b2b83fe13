//! What an epoll event belongs to, packed into its 64-bit token.

use ostler_core::brain::{ConnectionSlot, LaneSlot};

const KIND_SHIFT: u32 = 56;
const CONNECTION: u64 = 1;
const BELL: u64 = 2;
const PIDFD: u64 = 3;
const LINGER: u64 = 4;
const HANDSHAKE: u64 = 5;
const DATAGRAMS: u64 = 6;
const OUTSIDE: u64 = 7;
const KEPT: u64 = 8;
const ALARM: u64 = 9;

/// The reactor's own mailbox.
pub(super) const MAILBOX: u64 = 0;

/// The owner of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Mailbox,
    /// A connection, with a part of its session id: an event of a connection that was closed in the
    /// same batch must not reach its successor in the place.
    Connection(ConnectionSlot, u32),
    Bell(LaneSlot, u32),
    Pidfd(LaneSlot, u32),
    /// A datagram port, by its number in its reactor.
    Datagrams(u32),
    /// A connection to which this side says no more, by its number.
    Linger(u32),
    /// A connection that has no session yet, by its number.
    Handshake(u32),
    /// Tasks are kept, or cannot be.
    Kept,
    /// Something is due, or was.
    Alarm,
    /// What is not the reactor's, but its thread's: by the number that the thread gave it.
    Outside(u32),
}

/// 24 bits that tell successive owners of one place apart.
const MARK_MASK: u64 = 0xff_ffff;

fn pack(kind: u64, index: u32, mark: u64) -> u64 {
    kind << KIND_SHIFT | (mark & MARK_MASK) << 32 | u64::from(index)
}

pub(super) fn connection(slot: ConnectionSlot, session: u64) -> u64 {
    pack(CONNECTION, slot.0, connection_mark(session).into())
}

/// The part of a session id that its token carries.
pub(super) fn connection_mark(session: u64) -> u32 {
    // Ids are consecutive: these differ until as many sessions have come while events are handled.
    (session & MARK_MASK) as u32
}

pub(super) fn bell(lane: LaneSlot, mark: u32) -> u64 {
    pack(BELL, lane.0, mark.into())
}

pub(super) fn pidfd(lane: LaneSlot, mark: u32) -> u64 {
    pack(PIDFD, lane.0, mark.into())
}

pub(super) fn linger(number: u32) -> u64 {
    pack(LINGER, number, 0)
}

#[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS has handshakes"))]
pub(super) fn handshake(number: u32) -> u64 {
    pack(HANDSHAKE, number, 0)
}

/// The reactor's datagram port with this number.
pub(super) fn datagrams(number: u32) -> u64 {
    pack(DATAGRAMS, number, 0)
}

/// What the thread of the reactor watches with it, under this number.
pub(super) fn outside(number: u32) -> u64 {
    pack(OUTSIDE, number, 0)
}

/// The bell of the thread that keeps tasks.
pub(super) fn kept() -> u64 {
    pack(KEPT, 0, 0)
}

/// The reactor's alarm.
pub(super) fn alarm() -> u64 {
    pack(ALARM, 0, 0)
}

pub(super) fn unpack(token: u64) -> Token {
    let index = token as u32;
    let mark = ((token >> 32) & MARK_MASK) as u32;
    match token >> KIND_SHIFT {
        CONNECTION => Token::Connection(ConnectionSlot(index), mark),
        BELL => Token::Bell(LaneSlot(index), mark),
        PIDFD => Token::Pidfd(LaneSlot(index), mark),
        LINGER => Token::Linger(index),
        HANDSHAKE => Token::Handshake(index),
        OUTSIDE => Token::Outside(index),
        KEPT => Token::Kept,
        ALARM => Token::Alarm,
        DATAGRAMS => Token::Datagrams(index),
        _ => Token::Mailbox,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let slot = ConnectionSlot(u32::MAX);
        let session = 0x1f_ffff_ffff_ffff;
        assert_eq!(
            unpack(connection(slot, session)),
            Token::Connection(slot, connection_mark(session))
        );
        assert_eq!(unpack(bell(LaneSlot(3), 9)), Token::Bell(LaneSlot(3), 9));
        assert_eq!(unpack(pidfd(LaneSlot(0), 1)), Token::Pidfd(LaneSlot(0), 1));
        assert_eq!(unpack(linger(u32::MAX)), Token::Linger(u32::MAX));
        assert_eq!(unpack(handshake(7)), Token::Handshake(7));
        assert_eq!(unpack(datagrams(7)), Token::Datagrams(7));
        assert_eq!(unpack(kept()), Token::Kept);
        assert_eq!(unpack(alarm()), Token::Alarm);
        assert_eq!(unpack(MAILBOX), Token::Mailbox);
    }

    #[test]
    fn successive_sessions_of_one_place_have_different_marks() {
        for later in (1..1_000).chain((0..24).map(|bit| 1 << bit)) {
            assert_ne!(connection_mark(5), connection_mark(5 + later));
        }
    }
}
