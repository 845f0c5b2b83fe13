//! Sending: from a handler's call to records in the out rings (protocol §5, §8).

use std::cell::{Cell, RefCell, RefMut};
use std::time::Duration;

use ostler_core::ids::PortId;
use ostler_shm::record::{FLAG_MORE, FLAG_PARTLY, FLAG_RESET, FLAG_SKIPPED, Header, RecordKind};

use super::context::{WorkerContext, WorkerSettings};
use super::output::{Marks, Output};
use super::port::{AnswerInArea, Port};
use super::running::RunningDelivery;
use super::sessions::Sessions;
use crate::api::send_error::{SendError, SendErrorKind};

impl WorkerContext {
    /// Sends one output of the running callback.
    pub(crate) fn output(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        let cause = self.running.delivery().map(|running| running.as_cause());
        let is_seen_now = output.is_for_client() && !self.waits_for_turn();
        self.sessions.check(session, is_seen_now, cause)?;
        self.sessions.check_files(session, output)?;
        self.check_size(session, output)?;
        self.output_checked(session, output)
    }

    /// Whether a session takes outputs of the running callback, or of none.
    pub(crate) fn takes_output(&self, session: u64) -> bool {
        let cause = self.running.delivery().map(|running| running.as_cause());
        self.sessions.check(session, false, cause).is_ok()
    }

    /// Sends one output of the running callback that is known to be possible.
    pub(super) fn output_checked(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        if let Some(result) = self.hold_for_turn(session, output) {
            return result;
        }
        self.expose_deferral();
        let mut running = self.running.delivery();
        let result = self.append_output(session, output, running.as_mut());
        self.running.update(running);
        // A state goes with the reply behind it, or with the end of the delivery.
        let waits = matches!(output, Output::State(_)) && running.is_some();
        if running.is_none_or(|running| running.exposed) && !waits {
            self.sender.publish();
        }
        result
    }

    pub(crate) fn check_size(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        let len = output.len();
        let most = match output {
            // Most are short enough for every port, and the session table need not be asked.
            Output::Send(_) if len <= self.settings.send_limit_of_all => return Ok(()),
            Output::Send(_) => match self.sessions.record(session) {
                Some(record) => self.settings.port(PortId(record.port)).max_send_bytes,
                None => return Err(SendError::gone(None)),
            },
            Output::State(state) => return self.check_state(session, state.len()),
            // Others have no bytes, or are checked where they come from.
            _ => return Ok(()),
        };
        if len <= most { Ok(()) } else { Err(SendError::too_long(len, most)) }
    }

    /// Appends an output on behalf of the delivery that causes it, or of none.
    pub(crate) fn append_output(
        &self,
        session: u64,
        output: Output<'_>,
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        if self.hold_back(session, output, for_delivery.as_deref_mut())? {
            return Ok(());
        }
        if let (Output::ToGroup(_), Some(others)) = (output, self.sessions.others()) {
            // The own lane first: what that refuses has gone to nobody.
            others.check_ways()?;
            self.append_here(session, output, for_delivery)?;
            others.relay_to_all(output);
            return Ok(());
        }
        match self.sessions.elsewhere(session) {
            Some(elsewhere) if !matches!(output, Output::Close(_)) => {
                elsewhere.relay(session, output)
            }
            _ => self.append_here(session, output, for_delivery),
        }
    }

    /// The same for a session whose reactor has a lane here.
    pub(crate) fn append_here(
        &self,
        session: u64,
        output: Output<'_>,
        for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let lane = self.sessions.lane(session);
        let cause = for_delivery.as_ref().map_or(0, |current| current.seq);
        let about = |kind, total, bytes: &[u8], for_delivery: Option<&mut RunningDelivery>| {
            let header =
                Header { kind: kind as u8, subject: session, cause, total, ..Header::default() };
            self.sender.append_waiting(lane, header, bytes, for_delivery)
        };
        match output {
            Output::Send(bytes) => {
                self.sender.append_message(session, lane, cause, bytes, for_delivery)
            }
            Output::File(file) => self.sender.append_file(session, lane, cause, file, for_delivery),
            Output::State(state) => {
                self.sender.append_state(session, lane, cause, state, for_delivery)
            }
            Output::Bind(user) => about(RecordKind::Bind, user, &[], for_delivery),
            Output::Join(name) => about(RecordKind::Join, 0, name, for_delivery),
            Output::Leave(name) => about(RecordKind::Leave, 0, name, for_delivery),
            Output::Close(reset) => {
                self.append_close(session, reset, for_delivery);
                Ok(())
            }
            Output::Mark(marks) => {
                self.append_marks(session, marks, for_delivery);
                Ok(())
            }
            Output::Datagram(it) => self.sender.append_datagram(it, cause, for_delivery),
            Output::ToGroup(message) => self.sender.append_to_all(message, cause, for_delivery),
            Output::Task(task) => self.sender.append_task(task, for_delivery),
            Output::Message(message) => self.sender.append_for_process(message, for_delivery),
        }
    }

    /// Appends a change of marks, however long it takes: a session that stays paused because there
    /// was no room for a moment would stand still for ever.
    fn append_marks(&self, session: u64, marks: Marks, for_delivery: Option<&mut RunningDelivery>) {
        let lane = self.sessions.lane(session);
        let header = Header {
            kind: RecordKind::Mark as u8,
            subject: session,
            cause: for_delivery.as_ref().map_or(0, |current| current.seq),
            part_offset: marks.set as u32,
            total: marks.clear as u32,
            ..Header::default()
        };
        self.sender.append_blocking(lane, header);
        self.sender.bound_staged(lane, 0, for_delivery);
    }

    /// Appends a close, however long it takes, see [`Sender::append_blocking`]: user code
    /// that ends a session has nothing else that it could do.
    pub(crate) fn append_close(
        &self,
        session: u64,
        reset: bool,
        for_delivery: Option<&mut RunningDelivery>,
    ) {
        if let Some(elsewhere) = self.sessions.elsewhere(session) {
            // An error: its process is gone, and with it the session.
            let _ = elsewhere.relay(session, Output::Close(reset));
            return self.sessions.note_close(session, reset);
        }
        let lane = self.sessions.lane(session);
        let header = Header {
            kind: RecordKind::Close as u8,
            flags: if reset { FLAG_RESET } else { 0 },
            subject: session,
            cause: for_delivery.as_ref().map_or(0, |current| current.seq),
            ..Header::default()
        };
        self.sender.append_blocking(lane, header);
        self.sessions.note_close(session, reset);
        self.sender.bound_staged(lane, 0, for_delivery);
    }
}

/// The way up. It knows sessions as numbers only.
pub(crate) struct Sender {
    pub(super) port: RefCell<Port>,
    /// Sessions whose message could not be completed and must be told so as soon as there is room.
    aborts: RefCell<Vec<u64>>,
    /// Deliveries that were finished.
    finished: Cell<u64>,
    /// How long an output waits for room.
    timeout: Duration,
    /// Most bytes of outputs that are held back for a delivery.
    held_max_bytes: usize,
    /// The answer whose callback runs, if it lies in the area.
    pub(super) told_answer: Cell<Option<AnswerInArea>>,
}

impl Sender {
    pub(super) fn new(port: Port, settings: &WorkerSettings) -> Self {
        Self {
            port: RefCell::new(port),
            aborts: RefCell::default(),
            finished: Cell::new(0),
            timeout: Duration::from_millis(settings.send_timeout_ms),
            held_max_bytes: settings.redeliver_output_bytes,
            told_answer: Cell::default(),
        }
    }

    /// The lanes, for the loop: taking and sleeping. To be given back before user code runs.
    /// Watches one more descriptor: what becomes readable ends a sleep.
    pub(crate) fn watch(&self, bell: impl std::os::fd::AsFd) -> std::io::Result<()> {
        self.port().watch(bell)
    }

    pub(super) fn port(&self) -> RefMut<'_, Port> {
        self.port.borrow_mut()
    }

    /// How many lanes there are, one for each reactor that has sessions.
    pub(super) fn lanes(&self) -> usize {
        self.port.borrow().lanes()
    }

    /// The lane of tasks and messages.
    pub(super) fn switch(&self) -> usize {
        self.port.borrow().switch()
    }

    /// The longest payload of one record of a lane.
    pub(super) fn payload_max(&self, lane: usize) -> usize {
        self.port.borrow().payload_max(lane)
    }

    /// Deliveries that were finished.
    pub(crate) fn finished(&self) -> u64 {
        self.finished.get()
    }

    /// How long an output waits for room.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether anything is appended and not published.
    pub(super) fn has_staged(&self) -> bool {
        self.port.borrow().has_staged()
    }

    /// Whether a session waits to be told of a message that cannot be completed.
    pub(super) fn owes_aborts(&self) -> bool {
        !self.aborts.borrow().is_empty()
    }

    /// Publishes what was appended.
    pub(crate) fn publish(&self) {
        self.port.borrow_mut().publish(None);
    }

    /// The same, and gives the package memory of a lane back.
    pub(super) fn publish_and_free(&self, lane: usize) {
        self.port.borrow_mut().publish(Some(lane));
    }

    pub(super) fn append_message(
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
        if let Some(header) = self.by_reference(header, lane, bytes, for_delivery.as_deref()) {
            return self.append_waiting(lane, header, &[], for_delivery);
        }
        let payload_max = self.port.borrow().payload_max(lane);
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

    /// Appends one record; waits for room, at most `send_timeout_ms`, after publishing what is
    /// staged if that is what fills the ring.
    pub(crate) fn append_waiting(
        &self,
        lane: usize,
        header: Header,
        payload: &[u8],
        for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        self.append_pieces_waiting(lane, header, &[payload], for_delivery)
    }

    /// The same with a payload in pieces.
    pub(super) fn append_pieces_waiting(
        &self,
        lane: usize,
        header: Header,
        pieces: &[&[u8]],
        mut for_delivery: Option<&mut RunningDelivery>,
    ) -> Result<(), SendError> {
        let len = pieces.iter().map(|piece| piece.len()).sum();
        loop {
            let mut port = self.port.borrow_mut();
            if port.append_pieces(lane, header, pieces).is_ok() {
                drop(port);
                self.bound_staged(lane, len, for_delivery);
                return Ok(());
            }
            if port.has_staged() {
                drop(port);
                self.publish_early(for_delivery.as_deref_mut());
                port = self.port.borrow_mut();
            }
            if !port.wait_for_room(lane, len, self.timeout) {
                return Err(SendError::new(SendErrorKind::Full));
            }
        }
    }

    /// After `more` bytes were appended to a lane: what is staged stays below half a ring, and what
    /// is held back for a delivery within the options.
    pub(super) fn bound_staged(
        &self,
        lane: usize,
        more: usize,
        mut for_delivery: Option<&mut RunningDelivery>,
    ) {
        let port = self.port.borrow();
        let too_much = port.staged(lane) > port.lane_size(lane) / 2;
        drop(port);
        if self.holds_too_much(for_delivery.as_deref_mut(), more) || too_much {
            self.publish_early(for_delivery);
        }
    }

    /// Counts what is held back for a delivery; whether it is more than the options allow.
    pub(super) fn holds_too_much(
        &self,
        for_delivery: Option<&mut RunningDelivery>,
        more: usize,
    ) -> bool {
        let Some(current) = for_delivery.filter(|current| !current.exposed) else { return false };
        current.held_bytes += more;
        current.held_bytes > self.held_max_bytes
    }

    /// Publishes what is staged before its delivery is finished, because it does not fit into the
    /// ring or the limits any more. If it was held back, the delivery is exposed first: it is never
    /// delivered again.
    pub(super) fn publish_early(&self, for_delivery: Option<&mut RunningDelivery>) {
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
    pub(super) fn append_blocking(&self, lane: usize, header: Header) {
        let mut port = self.port.borrow_mut();
        while port.append(lane, header, &[]).is_err() {
            port.wait_for_room(lane, 0, Duration::from_secs(1));
            if port.is_given_up(lane) {
                return; // for ever otherwise, and nobody would read it
            }
        }
    }

    /// Ends a delivery: `FIN`, published with everything that is held back.
    /// Of a package that was used in part the rest is to be given again.
    pub(super) fn finish(&self, delivery: &RunningDelivery, frees: bool) {
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

    /// A message that was begun will not be completed: its session is told at the end of the round.
    pub(super) fn abort(&self, session: u64) {
        self.aborts.borrow_mut().push(session);
    }

    /// Tells sessions with a message that cannot be completed, as far as there is room.
    pub(super) fn flush_aborts(&self, sessions: &Sessions) {
        let mut aborts = self.aborts.borrow_mut();
        if aborts.is_empty() {
            return;
        }
        let mut port = self.port.borrow_mut();
        aborts.retain(|session| {
            let header =
                Header { kind: RecordKind::Abort as u8, subject: *session, ..Header::default() };
            port.append(sessions.lane(*session), header, &[]).is_err()
        });
        port.publish(None);
    }
}
