//! Streams: messages whose length nobody knows when they begin, sent as fast as their clients read
//! (protocol §8).
//!
//! What is on the way of a stream, in the lane and unsent at the reactor, is bounded by the credit
//! of its sender: the reactor says in the session table how much is written, and so much may
//! follow. So a slow client stops who produces for it, and no memory grows.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use ostler_core::brain::PortId;
use ostler_core::send_queue::stream_step;
use ostler_core::trace::TraceContext;
use ostler_shm::record::{FLAG_MORE, Header, RecordKind};

use super::context::WorkerContext;
use super::deferred::DeferredDelivery;
use super::handlers::HandlerId;
use super::leaving::{Holder, HolderId};
use crate::api::outcome::Outcome;
use crate::api::send_error::{SendError, SendErrorKind};
use crate::api::worker::Worker;
use crate::api::writer::Writer;

/// Most bytes on the way of one stream while memory for output is short: a client that reads goes
/// on, and a thousand that do not take 4 MiB.
const PRESSED_WINDOW_BYTES: usize = 4 * 1024;

/// Called when there is room, where no other callback runs.
pub(crate) type Resumption = Box<dyn FnOnce(&mut dyn Any, &Worker, Writer) -> Outcome>;

/// A writer that waits for room, and whom to call then.
pub(super) struct Parked {
    pub(super) writer: Writer,
    pub(super) handler: HandlerId,
    pub(super) resumption: Resumption,
    /// That of the callback in which it began to wait.
    pub(super) trace: Option<TraceContext>,
}

/// The streams of one worker.
#[derive(Default)]
pub(crate) struct Streams {
    last_number: Cell<u32>,
    /// Sessions to which this worker has begun a message that is not finished.
    open: RefCell<HashSet<u64>>,
    /// Those that wait for room.
    parked: RefCell<Vec<Parked>>,
}

impl Streams {
    /// Whether a stream of this worker to a session is not finished: the next one begins behind it.
    fn is_open(&self, session: u64) -> bool {
        self.open.borrow().contains(&session)
    }

    /// A writer waits until its client has read.
    pub(crate) fn park(
        &self,
        writer: Writer,
        handler: HandlerId,
        resumption: Resumption,
        trace: Option<TraceContext>,
    ) {
        self.parked.borrow_mut().push(Parked { writer, handler, resumption, trace });
    }

    /// Whether one that waits has room, or waits in vain.
    pub(super) fn has_ready(&self) -> bool {
        self.parked
            .borrow()
            .iter()
            .any(|parked| parked.writer.stream().readiness() != Readiness::Waits)
    }

    /// Takes out those that have room. Of sessions that have ended what waits is dropped.
    pub(super) fn take_ready(&self) -> Vec<Parked> {
        if self.parked.borrow().is_empty() {
            return Vec::new();
        }
        let (mut ready, mut gone) = (Vec::new(), Vec::new());
        let mut parked = self.parked.borrow_mut();
        for one in std::mem::take(&mut *parked) {
            match one.writer.stream().readiness() {
                Readiness::Waits => parked.push(one),
                Readiness::Room => ready.push(one),
                Readiness::Gone => gone.push(one),
            }
        }
        drop(parked);
        // User code runs when what it has captured is dropped: nothing is borrowed here then.
        drop(gone);
        ready
    }

    fn set_open(&self, session: u64, is_open: bool) {
        let mut open = self.open.borrow_mut();
        if is_open {
            open.insert(session);
        } else {
            open.remove(&session);
        }
    }

    fn next_number(&self) -> u32 {
        let number = self.last_number.get().wrapping_add(1).max(1);
        self.last_number.set(number);
        number
    }
}

/// What a stream that waits may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    Waits,
    Room,
    /// Its session has ended.
    Gone,
}

/// What a stream may send.
#[derive(Clone, Copy, Debug)]
struct Credit {
    /// So many bytes.
    room: usize,
    /// With so many who waits is called. The reactor rings when they come together, at the latest
    /// when all that was sent is written.
    enough: usize,
}

/// One open stream.
pub(crate) struct Stream {
    context: Rc<WorkerContext>,
    hold: HolderId,
    /// What it belongs to: that is finished when this is over.
    delivery: Option<DeferredDelivery>,
    session: u64,
    number: u32,
    /// Most bytes on the way.
    window: usize,
    sent: u64,
    is_over: bool,
}

impl Stream {
    /// Begins a stream to a session. Inside a callback it takes the delivery out of that.
    pub(crate) fn begin(context: &Rc<WorkerContext>, session: u64) -> Result<Self, SendError> {
        let running = context.running.delivery();
        let cause = running.map(|running| running.as_cause());
        context.sessions.check(session, true, cause)?;
        if context.sessions.elsewhere(session).is_some() {
            return Err(SendError::new(SendErrorKind::OtherWorker));
        }
        let record = context.sessions.record(session).ok_or(SendError::gone(None))?;
        let hold = context.leaving.hold(Holder::Stream(session));
        Ok(Self {
            hold,
            context: Rc::clone(context),
            delivery: DeferredDelivery::share(context),
            session,
            number: context.streams.next_number(),
            window: context.settings.port(PortId(record.port)).stream_window,
            sent: 0,
            is_over: false,
        })
    }

    pub(crate) fn context(&self) -> Rc<WorkerContext> {
        Rc::clone(&self.context)
    }

    pub(crate) const fn session(&self) -> u64 {
        self.session
    }

    /// Whether its outputs may be seen now: no earlier delivery of its session is unfinished, no
    /// other message to it is, and no other callback has a transaction open.
    fn may_show(&self) -> bool {
        let has_turn = self.delivery.as_ref().is_none_or(DeferredDelivery::has_turn);
        let is_next = self.sent > 0 || !self.context.streams.is_open(self.session);
        has_turn && is_next && !self.context.is_transaction_open()
    }

    /// How many bytes are taken now.
    pub(crate) fn room(&self) -> Result<usize, SendError> {
        Ok(self.credit()?.room)
    }

    fn credit(&self) -> Result<Credit, SendError> {
        let sessions = &self.context.sessions;
        sessions.check_stream(self.session, self.sent > 0 && !self.is_over)?;
        if !self.may_show() {
            return Ok(Credit { room: 0, enough: 1 });
        }
        let written = sessions.stream_written(self.session, self.context.key, self.number);
        // Before its turn has come, others are in front.
        let window = if written.is_some() { self.window } else { stream_step(self.window) };
        let window =
            if sessions.has_pressure() { window.min(PRESSED_WINDOW_BYTES) } else { window };
        let on_the_way = self.sent.saturating_sub(written.unwrap_or(0));
        let on_the_way = usize::try_from(on_the_way).unwrap_or(usize::MAX);
        Ok(Credit { room: window.saturating_sub(on_the_way), enough: stream_step(window).max(1) })
    }

    fn readiness(&self) -> Readiness {
        match self.credit() {
            Ok(credit) if credit.room >= credit.enough => Readiness::Room,
            Ok(_) => Readiness::Waits,
            Err(_) => Readiness::Gone,
        }
    }

    /// Sends as many of the bytes as there is room for.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<usize, SendError> {
        let bytes = bytes.get(..self.room()?).unwrap_or(bytes);
        if bytes.is_empty() {
            return Ok(0);
        }
        if let Some(delivery) = &self.delivery {
            delivery.show();
        }
        let sender = &self.context.sender;
        let lane = self.context.sessions.lane(self.session);
        let payload_max = sender.port().payload_max(lane);
        let mut taken = 0;
        for part in bytes.chunks(payload_max) {
            let header = Header { flags: FLAG_MORE, ..self.header() };
            if sender.append_waiting(lane, header, part, None).is_err() {
                break; // no room in the lane for `send_timeout_ms`: what was taken counts
            }
            sender.publish();
            self.context.streams.set_open(self.session, true);
            self.sent += part.len() as u64;
            taken += part.len();
        }
        Ok(taken)
    }

    fn header(&self) -> Header {
        Header {
            kind: RecordKind::Stream as u8,
            subject: self.session,
            cause: self.delivery.as_ref().map_or(0, DeferredDelivery::seq),
            part_offset: self.sent as u32,
            total: self.number,
            ..Header::default()
        }
    }

    /// The message is complete.
    pub(crate) fn finish(&mut self) -> Result<(), SendError> {
        let begun = self.sent > 0 && !self.is_over;
        let checked = self.context.sessions.check_stream(self.session, begun);
        if begun && checked.is_ok() {
            let sender = &self.context.sender;
            let lane = self.context.sessions.lane(self.session);
            sender.append_blocking(lane, self.header());
            if !self.context.is_transaction_open() {
                sender.publish();
            }
            self.is_over = true;
            self.context.streams.set_open(self.session, false);
        }
        checked
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // A panic ends the process, and the master cuts what it has not finished.
        if std::thread::panicking() {
            return;
        }
        self.context.leaving.release(self.hold);
        if self.sent > 0 && !self.is_over {
            self.context.streams.set_open(self.session, false);
            self.context.sender.abort(self.session);
        }
    }
}
