//! Of which trace a delivery is, and a task.

use ostler_core::ids::ProcessKey;
use ostler_core::trace::{TraceContext, Traced};
use ostler_shm::record::{Header, RecordKind};
use ostler_shm::task_terms::TraceBlock;
use tracing::span::EnteredSpan;

use super::super::traces::{Beginning, Origin, Times};
use super::Run;
use crate::api::own_handler::AnyHandler;

impl<H: AnyHandler> Run<H> {
    /// The callback of something begins that a client has caused. `None`: nobody is called.
    pub(super) fn begin_trace(
        &self,
        lane: usize,
        kind: Option<RecordKind>,
        header: &Header,
    ) -> Option<EnteredSpan> {
        let callback = callback_of(kind?)?;
        // Lanes are numbered as their reactors are.
        let reactor = u32::try_from(lane).unwrap_or(u32::MAX);
        let traced = Traced::Received { reactor, at: header.received };
        self.context.traces.begin(Beginning {
            callback,
            origin: Origin::New(traced),
            times: self.times_of(header),
            session: header.subject,
            attempt: u16::from(header.flags & ostler_shm::record::FLAG_REDELIVERED != 0),
        })
    }

    /// A task begins: of the trace in which it was asked, or of one of its own.
    pub(super) fn begin_trace_of_task(
        &self,
        asked_in: Option<TraceBlock>,
        header: &Header,
    ) -> Option<EnteredSpan> {
        let own = || {
            let asker = ProcessKey::unpack(header.cause)?;
            Some(Origin::New(Traced::Task { asker, number: header.subject }))
        };
        let parent = asked_in.and_then(|trace| TraceContext::of_ids(&trace.ids, trace.flags));
        self.context.traces.begin(Beginning {
            callback: "on_task",
            origin: parent.map(Origin::Of).or_else(own).unwrap_or(Origin::Nothing),
            times: self.times_of(header),
            session: 0,
            attempt: header.port,
        })
    }

    /// When what comes with this header was received, and so on. It begins now.
    /// What comes while another callback runs was measured before it came, and the moments of a
    /// reactor run ahead of its clock in a burst: none is before the one before it.
    pub(super) fn times_of(&self, header: &Header) -> Times {
        let received = header.received;
        let queued = header.stamp.max(received);
        Times { received, queued, taken: self.measured_at.max(queued), done: 0 }
    }
}

const fn callback_of(kind: RecordKind) -> Option<&'static str> {
    Some(match kind {
        RecordKind::Connect => "on_connect",
        RecordKind::Data => "on_receive",
        RecordKind::Closed => "on_close",
        RecordKind::BufferFull => "on_buffer_full",
        RecordKind::BufferEmpty => "on_buffer_empty",
        RecordKind::Datagram => "on_packet",
        _ => return None,
    })
}
