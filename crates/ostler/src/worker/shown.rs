//! What this process shows of what it is doing: to its manager, in its black box, and to everybody,
//! in the roster.

use ostler_core::Nanos;
use ostler_shm::black_box::phase::{Phase, PhaseLine};
use ostler_shm::record::{FLAG_REDELIVERED, Header, RecordKind};
use ostler_shm::roster::Place;

use crate::control::Callback;
use crate::statistics::roster::{self, Row};
use crate::sys::{black_box, clock};

/// Where it is shown; nowhere where nobody looks, as in tests of handlers.
pub(super) struct Shown {
    line: Option<&'static PhaseLine>,
    place: Option<Place<'static>>,
    /// When the callback began that is about no delivery.
    began: Nanos,
    /// Of the delivery whose callback was the last: what its times are of, and when it was read
    /// from the client.
    timed: Option<(Row, Nanos)>,
}

impl Default for Shown {
    fn default() -> Self {
        Self {
            line: black_box::own().and_then(|own| own.phase()),
            place: roster::own_place(),
            began: 0,
            timed: None,
        }
    }
}

impl Shown {
    fn lines(&self) -> impl Iterator<Item = &PhaseLine> {
        self.line.into_iter().chain(self.place.map(|place| place.phase()))
    }

    /// A callback begins that is about no delivery.
    pub(super) fn begin(&mut self, callback: Callback) {
        self.began = clock::monotonic_ns();
        let phase = Phase { callback: callback as u8, started_ns: self.began, ..Phase::default() };
        self.lines().for_each(|line| line.begin(&phase));
    }

    /// The callback has returned. Who looks must not take an idle worker for a busy one.
    pub(super) fn end(&mut self) {
        self.lines().for_each(PhaseLine::end);
        if let Some(place) = self.place {
            place.worked(clock::monotonic_ns().saturating_sub(self.began));
        }
    }

    /// The callback of a delivery begins.
    pub(super) fn begin_delivery(&mut self, kind: Option<RecordKind>, header: &Header, now: Nanos) {
        self.timed = match kind {
            Some(RecordKind::Data | RecordKind::Datagram) => Some(Row::Port(header.port)),
            Some(RecordKind::Task) => Some(Row::Tasks),
            _ => None,
        }
        .map(|row| (row, header.received));
        let Some(callback) = kind.and_then(callback_of) else { return };
        // A task is of no session, and of no port.
        let (port, session) = match callback {
            Callback::Task => (0, 0),
            _ => (header.port, header.subject),
        };
        let phase = Phase {
            callback: callback as u8,
            is_repeated: header.flags & FLAG_REDELIVERED != 0,
            port,
            session,
            started_ns: now,
            received_ns: header.stamp,
        };
        self.lines().for_each(|line| line.begin(&phase));
    }

    /// The callback of a delivery has returned; its times are told by [`Shown::delivered`].
    pub(super) fn end_delivery(&self) {
        self.lines().for_each(PhaseLine::end);
    }

    /// A delivery is over.
    pub(super) fn delivered(&mut self, began: Nanos, now: Nanos) {
        let Some(place) = self.place else { return };
        let took = now.saturating_sub(began);
        place.worked(took);
        place.delivered();
        if let Some((row, received)) = self.timed.take() {
            roster::count(place, row, began.saturating_sub(received), took);
        }
    }
}

const fn callback_of(kind: RecordKind) -> Option<Callback> {
    Some(match kind {
        RecordKind::Connect => Callback::Connect,
        RecordKind::Data => Callback::Receive,
        RecordKind::Closed => Callback::Close,
        RecordKind::BufferFull => Callback::BufferFull,
        RecordKind::BufferEmpty => Callback::BufferEmpty,
        RecordKind::Datagram => Callback::Packet,
        RecordKind::Task => Callback::Task,
        _ => return None,
    })
}
