//! Sending: from a handler's call to records in the out rings (protocol §5, §8).

use std::time::Duration;

use ostler_core::brain::CloseReason;
use ostler_shm::record::{FLAG_MORE, FLAG_PARTLY, FLAG_RESET, FLAG_SKIPPED, Header, RecordKind};
use ostler_shm::sessions::{self, CLOSING, FULL, QUEUED, reactor_of};

use super::closed::Cause;
use super::context::{RunningDelivery, WorkerContext};
use super::port::Port;
use crate::api::send_error::{SendError, SendErrorKind};

/// Replies of at least this size that lie in their own request are sent by reference instead of
/// being copied. Below it the copy is cheaper than keeping the request's ring space longer.
const REFERENCE_MIN_BYTES: usize = 2 * 1024;

/// One output of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output<'a> {
    /// Bytes for the session.
    Send(&'a [u8]),
    /// Close it (with a reset).
    Close(bool),
    /// Its new state.
    State(&'a [u8]),
}

impl Output<'_> {
    /// Bytes that it carries.
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Send(bytes) | Self::State(bytes) => bytes.len(),
            Self::Close(_) => 0,
        }
    }
}

impl WorkerContext {
    /// Whether `session` takes output now, of this delivery or of none.
    pub(crate) fn check_session(
        &self,
        session: u64,
        is_send: bool,
        cause: Option<Cause>,
    ) -> Result<(), SendError> {
        let port = self.port.borrow();
        let flags = port.board().entry(session).and_then(|entry| entry.flags_of(session));
        let Some(flags) = flags else { return Err(SendError::gone(None)) };
        if flags & CLOSING != 0 {
            return Err(SendError::gone(closing_reason(flags)));
        }
        if let Some(reason) = self.closed.borrow().reason(session, cause) {
            return Err(SendError::gone(Some(reason)));
        }
        let full = flags & FULL != 0 || (flags & QUEUED != 0 && port.board().pressure());
        if is_send && full {
            return Err(SendError::new(SendErrorKind::Full));
        }
        Ok(())
    }

    /// Sends one output of the running callback.
    pub(crate) fn output(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        let cause = self.current.get().map(|current| current.as_cause());
        self.check_session(session, matches!(output, Output::Send(_)), cause)?;
        self.check_size(output)?;
        if let Some(result) = self.hold_for_turn(session, output) {
            return result;
        }
        self.expose_deferral();
        let mut current = self.current.get();
        let result = self.append_output(session, output, current.as_mut());
        self.current.set(current);
        if current.is_none_or(|current| current.exposed) {
            self.port.borrow_mut().publish(None);
        }
        result
    }

    pub(crate) fn check_size(&self, output: Output<'_>) -> Result<(), SendError> {
        let len = output.len();
        let most = match output {
            Output::Send(_) => self.settings.max_send_bytes,
            Output::State(_) => sessions::STATE_MAX_BYTES,
            Output::Close(_) => 0,
        };
        match output {
            _ if len <= most => Ok(()),
            Output::State(_) => Err(SendError::state_too_long(len, most)),
            _ => Err(SendError::too_long(len, most)),
        }
    }

    /// Appends an output on behalf of the delivery that causes it, or of none.
    pub(crate) fn append_output(
        &self,
        session: u64,
        output: Output<'_>,
        for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let lane = reactor_of(session);
        let cause = for_delivery.as_ref().map_or(0, |current| current.seq);
        match output {
            Output::Send(bytes) => self.append_message(session, lane, cause, bytes, for_delivery),
            Output::State(bytes) => {
                let header = Header {
                    kind: RecordKind::State as u8,
                    subject: session,
                    cause,
                    ..Header::default()
                };
                self.append_waiting(lane, header, bytes, for_delivery)
            }
            Output::Close(reset) => {
                self.append_close(session, reset, for_delivery);
                Ok(())
            }
        }
    }

    /// Appends a close, however long it takes, see [`WorkerContext::append_blocking`]: user code
    /// that ends a session has nothing else that it could do.
    pub(crate) fn append_close(
        &self,
        session: u64,
        reset: bool,
        for_delivery: Option<&mut RunningDelivery>,
    ) {
        let lane = reactor_of(session);
        let header = Header {
            kind: RecordKind::Close as u8,
            flags: if reset { FLAG_RESET } else { 0 },
            subject: session,
            cause: for_delivery.as_ref().map_or(0, |current| current.seq),
            ..Header::default()
        };
        self.append_blocking(lane, header);
        let port = self.port.borrow();
        let is_shown = |session| shows_closing(&port, session);
        self.closed.borrow_mut().append(session, close_reason(reset), is_shown);
        drop(port);
        self.bound_staged(lane, 0, for_delivery);
    }

    /// A close was held back for this delivery: nothing of it may follow.
    pub(crate) fn note_held_close(&self, session: u64, reset: bool, cause: Cause) {
        let port = self.port.borrow();
        let is_shown = |session| shows_closing(&port, session);
        self.closed.borrow_mut().hold(session, close_reason(reset), cause, is_shown);
    }

    /// Whether this package is finished without its handler: a worker has closed the session, and
    /// what its client sent behind that is not asked for any more.
    pub(crate) fn skips_package(&self, package: Cause) -> bool {
        let is_shown = matches!(
            self.shown_reason(package.session),
            Some(CloseReason::Worker | CloseReason::WorkerReset)
        );
        is_shown || self.closed.borrow().skips(package)
    }

    /// Why a session is closing, as the session table shows it.
    pub(crate) fn shown_reason(&self, session: u64) -> Option<CloseReason> {
        let port = self.port.borrow();
        closing_reason(port.board().entry(session)?.flags_of(session)?)
    }

    fn append_message(
        &self,
        session: u64,
        lane: usize,
        cause: u64,
        bytes: &[u8],
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let total = u32::try_from(bytes.len())
            .map_err(|_| SendError::too_long(bytes.len(), u32::MAX as usize))?;
        let header = Header {
            kind: RecordKind::Out as u8,
            subject: session,
            cause,
            total,
            ..Header::default()
        };
        if let Some(part_offset) = self.as_reference(lane, bytes, for_delivery.as_deref()) {
            let header = Header { kind: RecordKind::OutReference as u8, part_offset, ..header };
            return self.append_waiting(lane, header, &[], for_delivery);
        }
        let payload_max = self.port.borrow().payload_max();
        if bytes.len() <= payload_max {
            return self.append_waiting(lane, header, bytes, for_delivery);
        }
        for (index, part) in bytes.chunks(payload_max).enumerate() {
            let offset = index * payload_max;
            let more = offset + part.len() < bytes.len();
            let flags = if more { FLAG_MORE } else { 0 };
            let header = Header { flags, part_offset: offset as u32, ..header };
            let result = self.append_waiting(lane, header, part, for_delivery.as_deref_mut());
            if let Err(error) = result {
                if index == 0 {
                    return Err(error);
                }
                // The session has a part of the message already: it must not be left waiting for
                // the rest.
                self.aborts.borrow_mut().push(session);
                return Err(SendError::new(SendErrorKind::Truncated));
            }
        }
        Ok(())
    }

    fn as_reference(
        &self,
        lane: usize,
        bytes: &[u8],
        for_delivery: Option<&RunningDelivery>,
    ) -> Option<u32> {
        let current = for_delivery?;
        if bytes.len() < REFERENCE_MIN_BYTES || current.lane != lane || current.ring_len == 0 {
            return None;
        }
        self.port.borrow().offset_in_package(lane, current.position, current.ring_len, bytes)
    }

    /// Appends one record; waits for room, at most `send_timeout_ms`, after publishing what is
    /// staged if that is what fills the ring.
    fn append_waiting(
        &self,
        lane: usize,
        header: Header,
        payload: &[u8],
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let timeout = Duration::from_millis(self.settings.send_timeout_ms);
        loop {
            let mut port = self.port.borrow_mut();
            if port.append(lane, header, payload).is_ok() {
                drop(port);
                self.bound_staged(lane, payload.len(), for_delivery);
                return Ok(());
            }
            if port.has_staged() {
                drop(port);
                self.publish_early(for_delivery.as_deref_mut());
                port = self.port.borrow_mut();
            }
            if !port.wait_for_room(lane, payload.len(), timeout) {
                return Err(SendError::new(SendErrorKind::Full));
            }
        }
    }

    /// After `more` bytes were appended to a lane: what is staged stays below half a ring, and what
    /// is held back for a delivery within the options.
    fn bound_staged(
        &self,
        lane: usize,
        more: usize,
        mut for_delivery: Option<&mut RunningDelivery>,
    ) {
        let port = self.port.borrow();
        let too_much = port.staged(lane) > port.lane_size() / 2;
        drop(port);
        if self.holds_too_much(for_delivery.as_deref_mut(), more) || too_much {
            self.publish_early(for_delivery);
        }
    }

    /// Counts what is held back for a delivery; whether it is more than the options allow.
    fn holds_too_much(&self, for_delivery: Option<&mut RunningDelivery>, more: usize) -> bool {
        let Some(current) = for_delivery.filter(|current| !current.exposed) else { return false };
        current.held_bytes += more;
        current.held_bytes > self.settings.redeliver_output_bytes
    }

    /// Publishes what is staged before its delivery is finished, because it does not fit into the
    /// ring or the limits any more. If it was held back, the delivery is exposed first: it is never
    /// delivered again.
    pub(crate) fn publish_early(&self, for_delivery: Option<&mut RunningDelivery>) {
        if let Some(current) = for_delivery.filter(|current| !current.exposed) {
            let header =
                Header { kind: RecordKind::Expose as u8, cause: current.seq, ..Header::default() };
            self.append_blocking(current.lane, header);
            current.exposed = true;
        }
        self.port.borrow_mut().publish(None);
    }

    /// Appends a record without payload, however long it takes: a delivery that is not exposed or
    /// not finished when it should be would be doubled or held for ever, a session that is not
    /// reset would go on with a message missing. There always comes room: what is staged is at most
    /// half a ring, the rest is committed, and reactors wait for nobody.
    pub(crate) fn append_blocking(&self, lane: usize, header: Header) {
        let mut port = self.port.borrow_mut();
        while port.append(lane, header, &[]).is_err() {
            port.wait_for_room(lane, 0, Duration::from_secs(1));
        }
    }

    /// Ends a delivery: `FIN`, published with everything that is held back.
    /// Of a package that was used in part the rest is to be given again.
    pub(crate) fn finish(&self, delivery: &RunningDelivery, frees: bool) {
        let flags = match delivery.used {
            _ if delivery.skipped => FLAG_SKIPPED,
            Some(_) => FLAG_PARTLY,
            None => 0,
        };
        let header = Header {
            kind: RecordKind::Fin as u8,
            flags,
            cause: delivery.seq,
            total: delivery.used.unwrap_or(0),
            ..Header::default()
        };
        self.append_blocking(delivery.lane, header);
        self.port.borrow_mut().publish(frees.then_some(delivery.lane));
        self.finished.set(self.finished.get() + 1);
    }

    /// Tells sessions with a message that cannot be completed, as far as there is room.
    pub(crate) fn flush_aborts(&self) {
        let mut aborts = self.aborts.borrow_mut();
        if aborts.is_empty() {
            return;
        }
        let mut port = self.port.borrow_mut();
        aborts.retain(|session| {
            let header =
                Header { kind: RecordKind::Abort as u8, subject: *session, ..Header::default() };
            port.append(reactor_of(*session), header, &[]).is_err()
        });
        port.publish(None);
    }
}

/// The reason in the flags of a session that is closing.
fn closing_reason(flags: u64) -> Option<CloseReason> {
    sessions::closing_reason(flags).and_then(CloseReason::from_number)
}

const fn close_reason(reset: bool) -> CloseReason {
    if reset { CloseReason::WorkerReset } else { CloseReason::Worker }
}

/// Whether the session table shows a session as closing, or as gone.
fn shows_closing(port: &Port, session: u64) -> bool {
    let flags = port.board().entry(session).and_then(|entry| entry.flags_of(session));
    flags.is_none_or(|flags| flags & CLOSING != 0)
}
