//! Sending: from a handler's call to records in the out rings (protocol §5, §8).

use std::time::Duration;

use ostler_shm::record::{FLAG_MORE, FLAG_RESET, Header, Kind};
use ostler_shm::sessions::{self, CLOSING, FULL, QUEUED, reactor_of};

use super::inner::{Current, Inner};
use crate::api::send_error::{SendError, SendErrorKind};

/// Replies of at least this size that lie in their own request are sent by reference instead of being copied. Below it
/// the copy is cheaper than keeping the request's ring space longer.
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

impl Inner {
    /// Whether `session` takes output now.
    pub(crate) fn check_session(&self, session: u64, is_send: bool) -> Result<(), SendError> {
        let port = self.port.borrow();
        let flags = port.board().entry(session).and_then(|entry| entry.flags_of(session));
        let Some(flags) = flags else { return Err(SendError::new(SendErrorKind::Gone)) };
        if flags & CLOSING != 0 {
            return Err(SendError::new(SendErrorKind::Gone));
        }
        let full = flags & FULL != 0 || (flags & QUEUED != 0 && port.board().pressure());
        if is_send && full {
            return Err(SendError::new(SendErrorKind::Full));
        }
        Ok(())
    }

    /// Sends one output of the running callback.
    pub(crate) fn output(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        self.check_session(session, matches!(output, Output::Send(_)))?;
        self.check_size(output)?;
        self.append_output(session, output, self.current.get())?;
        if !self.is_holding() {
            self.port.borrow_mut().publish(None);
        }
        Ok(())
    }

    pub(crate) fn check_size(&self, output: Output<'_>) -> Result<(), SendError> {
        let (len, most) = match output {
            Output::Send(bytes) => (bytes.len(), self.settings.max_send_bytes),
            Output::State(bytes) => (bytes.len(), sessions::STATE_MAX_BYTES),
            Output::Close(_) => (0, 0),
        };
        if len > most { Err(SendError::too_long(len, most)) } else { Ok(()) }
    }

    /// Whether outputs of the running callback are held back until it ends.
    fn is_holding(&self) -> bool {
        self.settings.holds_outputs()
            && self.current.get().is_some_and(|current| !current.exposed && !current.deferred)
    }

    /// Appends an output on behalf of a delivery (or of none). `for_delivery` is the delivery that causes it.
    pub(crate) fn append_output(
        &self,
        session: u64,
        output: Output<'_>,
        for_delivery: Option<Current>,
    ) -> Result<(), SendError> {
        let lane = reactor_of(session);
        let cause = for_delivery.map_or(0, |current| current.seq);
        match output {
            Output::Send(bytes) => self.append_message(session, lane, cause, bytes, for_delivery),
            Output::State(bytes) => {
                let header = Header {
                    kind: Kind::State as u8,
                    subject: session,
                    cause,
                    ..Header::default()
                };
                self.append_waiting(lane, header, bytes)
            }
            Output::Close(reset) => {
                let flags = if reset { FLAG_RESET } else { 0 };
                let header = Header {
                    kind: Kind::Close as u8,
                    flags,
                    subject: session,
                    cause,
                    ..Header::default()
                };
                self.append_waiting(lane, header, &[])
            }
        }
    }

    fn append_message(
        &self,
        session: u64,
        lane: usize,
        cause: u64,
        bytes: &[u8],
        for_delivery: Option<Current>,
    ) -> Result<(), SendError> {
        let total = u32::try_from(bytes.len())
            .map_err(|_| SendError::too_long(bytes.len(), u32::MAX as usize))?;
        let header =
            Header { kind: Kind::Out as u8, subject: session, cause, total, ..Header::default() };
        if let Some(part_offset) = self.as_reference(lane, bytes, for_delivery) {
            let header = Header { kind: Kind::OutReference as u8, part_offset, ..header };
            return self.append_waiting(lane, header, &[]);
        }
        let payload_max = self.port.borrow().payload_max();
        if bytes.len() <= payload_max {
            return self.append_waiting(lane, header, bytes);
        }
        for (index, part) in bytes.chunks(payload_max).enumerate() {
            let offset = index * payload_max;
            let more = offset + part.len() < bytes.len();
            let flags = if more { FLAG_MORE } else { 0 };
            let header = Header { flags, part_offset: offset as u32, ..header };
            if let Err(error) = self.append_waiting(lane, header, part) {
                if index == 0 {
                    return Err(error);
                }
                // The session has a part of the message already: it must not be left waiting for the rest.
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
        for_delivery: Option<Current>,
    ) -> Option<u32> {
        let current = for_delivery?;
        if bytes.len() < REFERENCE_MIN_BYTES || current.lane != lane || current.ring_len == 0 {
            return None;
        }
        self.port.borrow().offset_in_package(lane, current.position, current.ring_len, bytes)
    }

    /// Appends one record; waits for room, at most `send_timeout_ms`, after exposing what is held back if that is what
    /// fills the ring.
    fn append_waiting(&self, lane: usize, header: Header, payload: &[u8]) -> Result<(), SendError> {
        let timeout = Duration::from_millis(self.settings.send_timeout_ms);
        loop {
            let mut port = self.port.borrow_mut();
            if port.append(lane, header, payload).is_ok() {
                let too_much = port.staged(lane) > port.lane_size() / 2;
                drop(port);
                if self.holds_too_much(payload.len()) || too_much {
                    self.expose();
                }
                return Ok(());
            }
            if port.has_staged() {
                drop(port);
                if !self.expose() {
                    self.port.borrow_mut().publish(None);
                }
                port = self.port.borrow_mut();
            }
            if !port.wait_for_room(lane, payload.len(), timeout) {
                return Err(SendError::new(SendErrorKind::Full));
            }
        }
    }

    /// Counts what is held back for the running delivery; whether it is more than the options allow.
    fn holds_too_much(&self, more: usize) -> bool {
        let Some(mut current) = self.current.get().filter(|_| self.is_holding()) else {
            return false;
        };
        current.held_bytes += more;
        self.current.set(Some(current));
        current.held_bytes > self.settings.redeliver_output_bytes
    }

    /// Makes the held outputs of the running delivery visible from now on: they do not fit into the ring any more. It is
    /// never delivered again afterwards. False when nothing is held back.
    fn expose(&self) -> bool {
        let Some(mut current) = self.current.get().filter(|_| self.is_holding()) else {
            return false;
        };
        self.append_surely(current.lane, Kind::Expose, current.seq);
        self.port.borrow_mut().publish(None);
        current.exposed = true;
        self.current.set(Some(current));
        true
    }

    /// Appends a record without payload, however long it takes: a delivery that is not exposed or not finished when it
    /// should be would be doubled or held for ever. There always comes room: what is staged is at most half a ring, the
    /// rest is committed, and reactors wait for nobody.
    pub(crate) fn append_surely(&self, lane: usize, kind: Kind, cause: u64) {
        let header = Header { kind: kind as u8, cause, ..Header::default() };
        let mut port = self.port.borrow_mut();
        while port.append(lane, header, &[]).is_err() {
            port.wait_for_room(lane, 0, Duration::from_secs(1));
        }
    }

    /// Ends a delivery: `FIN`, published with everything that is held back.
    pub(crate) fn finish(&self, lane: usize, seq: u64, frees: bool) {
        self.append_surely(lane, Kind::Fin, seq);
        self.port.borrow_mut().publish(frees.then_some(lane));
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
            let header = Header { kind: Kind::Abort as u8, subject: *session, ..Header::default() };
            port.append(reactor_of(*session), header, &[]).is_err()
        });
        port.publish(None);
    }
}
