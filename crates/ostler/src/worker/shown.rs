//! What this process shows in its black box of what it is doing.

use ostler_core::Nanos;
use ostler_shm::black_box::phase::{Phase, PhaseLine};
use ostler_shm::record::{FLAG_REDELIVERED, Header, RecordKind};

use crate::control::Callback;
use crate::sys::{black_box, clock};

/// The line of the box; none where nobody looks, as in tests of handlers.
#[derive(Clone, Copy)]
pub(super) struct Shown(Option<&'static PhaseLine>);

impl Default for Shown {
    fn default() -> Self {
        Self(black_box::own().and_then(|own| own.phase()))
    }
}

impl Shown {
    /// A callback begins that is about no delivery.
    pub(super) fn begin(self, callback: Callback) {
        if let Some(line) = self.0 {
            let started_ns = clock::monotonic_ns();
            line.begin(&Phase { callback: callback as u8, started_ns, ..Phase::default() });
        }
    }

    /// The callback of a delivery begins.
    pub(super) fn begin_delivery(self, kind: Option<RecordKind>, header: &Header, now: Nanos) {
        let (Some(line), Some(callback)) = (self.0, kind.and_then(callback_of)) else { return };
        // A task is of no session, and of no port.
        let (port, session) = match callback {
            Callback::Task => (0, 0),
            _ => (header.port, header.subject),
        };
        line.begin(&Phase {
            callback: callback as u8,
            is_repeated: header.flags & FLAG_REDELIVERED != 0,
            port,
            session,
            started_ns: now,
            received_ns: header.stamp,
        });
    }

    /// The callback has returned. Who looks must not take an idle worker for a busy one.
    pub(super) fn end(self) {
        if let Some(line) = self.0 {
            line.end();
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
