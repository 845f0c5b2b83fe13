//! The encrypted transport: the socket has records, the session gets what is in them.
//!
//! Between two calls a connection holds only what cannot be elsewhere: the beginning of a record,
//! content for which its reader had no room, records that the kernel did not take. All of it is
//! bounded by the size of a record or of one write, is told by [`Tls::held`], and is nothing as
//! long as the connection is idle. Everything else passes through buffers of the thread.

mod end;

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::sync::Arc;

use ostler_shm::lane::{RawBytes, RawBytesMut};
use rustls::ServerConfig;

use super::super::client_socket::ClientSocket;
use super::space::{Behind, Ring, Slice, Space};
use super::{Handshaking, Ready, Received};
use crate::sys::epoll::{Epoll, Interest, Readiness};
use crate::sys::{file, socket};
use crate::tls::engine::{Backlog, Engine, Processed, Progress};
use crate::tls::outgoing::Outgoing;

/// A record as it is on the way, at most: what the protocol allows, and its header.
const RECORD_BYTES_MAX: usize = 16 * 1024 + 2048 + 5;
/// Bytes taken from the socket at once: four full records, as many as a read of the default size
/// brings.
const INCOMING_BYTES: usize = 68 * 1024;
/// Content encrypted at once, so that a connection whose client does not read holds no more.
const SEAL_BYTES_MAX: usize = 64 * 1024;
/// Memory for encrypted output that a thread keeps.
const OUTGOING_KEPT_BYTES: usize = 72 * 1024;
/// Bytes that a client may send before its session begins: a long chain of certificates has room.
const HANDSHAKE_BYTES_MAX: usize = 128 * 1024;
/// Looks at the socket in one step of a handshake: a long one is received in three, and who sends
/// as fast as it is looked at waits for its next turn.
pub(super) const LOOKS_MAX: usize = 8;
/// Records the kernel does not take that a client may cause without reading; more is an attack.
const OWED_BYTES_MAX: usize = SEAL_BYTES_MAX + 16 * 1024;

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// What the connections of a thread share; each uses it for as long as one call takes.
#[derive(Default)]
struct Buffers {
    incoming: Vec<u8>,
    outgoing: Outgoing,
    copy: Vec<u8>,
}

/// A socket and the state of its encryption.
#[derive(Debug)]
pub(in crate::reactor) struct Tls {
    socket: ClientSocket,
    engine: Engine,
    /// The kernel takes output (as far as is known).
    writable: bool,
    /// The client has shut down its side, or has sent urgent data: a read that brings little is not
    /// the last one.
    reads_may_be_short: bool,
    /// Received, and not decrypted or not read.
    backlog: Backlog,
    /// There may be a whole record among it.
    may_have_record: bool,
    /// The last look at the socket took all that it asked for.
    socket_may_have_more: bool,
    /// An event has told of input since the last look at the socket. A read that finds something
    /// that was received before does not look, and the event comes only once.
    event_came: bool,
    /// What of the decrypted input is read.
    data_at: usize,
    /// Encrypted, and not sent before `sealed_at`.
    sealed: Vec<u8>,
    sealed_at: usize,
    /// Bytes received before the session began.
    handshake_bytes: usize,
    /// Something was wrong with the encryption: nothing is read or written any more.
    is_broken: bool,
    /// The end of this side is said when all is sent.
    shutdown_due: bool,
    /// It is said.
    is_shut_down: bool,
    /// How often the socket was looked at.
    #[cfg(test)]
    pub(super) looks: usize,
}

impl Tls {
    pub(super) fn new(
        socket: ClientSocket,
        config: Arc<ServerConfig>,
    ) -> Result<Self, rustls::Error> {
        Ok(Self {
            socket,
            engine: Engine::new(config)?,
            writable: true,
            reads_may_be_short: false,
            backlog: Backlog::default(),
            may_have_record: false,
            socket_may_have_more: false,
            event_came: false,
            data_at: 0,
            sealed: Vec::new(),
            sealed_at: 0,
            handshake_bytes: 0,
            is_broken: false,
            shutdown_due: false,
            is_shut_down: false,
            #[cfg(test)]
            looks: 0,
        })
    }

    /// What was agreed in the handshake and what the client has shown, once it is over.
    pub(super) fn shown(&mut self) -> io::Result<Vec<u8>> {
        let shown = self.engine.shown();
        shown.ok_or_else(|| io::Error::other("the client has shown more than can be told of it"))
    }

    pub(super) fn watch(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        epoll.add(&self.socket, token, Interest::CLIENT)
    }

    /// The same connection under another token; what is there is told anew.
    pub(super) fn watch_again(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        epoll.modify(&self.socket, token, Interest::CLIENT)
    }

    /// Records may be left that the kernel has not taken: room for them is told, too.
    pub(super) fn watch_input(&self, epoll: &Epoll, token: u64) -> io::Result<()> {
        let interest = if self.shutdown_due { Interest::CLIENT } else { Interest::BELL };
        epoll.modify(&self.socket, token, interest)
    }

    #[inline]
    pub(super) fn on_event(&mut self, readiness: Readiness) -> Ready {
        let (ended, urgent) = (readiness.read_hangup(), readiness.urgent());
        self.reads_may_be_short |= ended || urgent;
        self.event_came |= readiness.readable();
        let output = readiness.writable() && !self.writable;
        self.writable |= output;
        Ready {
            failed: readiness.error() || readiness.hangup() || (ended && self.was_cut_off()),
            output,
            ended,
            input: readiness.readable() || ended || urgent,
        }
    }

    /// The connection has ended and the client had not said so: what it sent may be a part of what
    /// it wanted to send, for anybody on the way can end a connection.
    fn was_cut_off(&self) -> bool {
        !self.engine.is_ended() && !self.holds_input() && socket::is_at_end(&self.socket)
    }

    #[inline]
    pub(super) const fn takes_output(&self) -> bool {
        self.writable
    }

    pub(super) const fn expect_output(&mut self) {
        self.writable = true;
    }

    pub(super) const fn may_hold_more(&self) -> bool {
        self.reads_may_be_short
            || self.event_came
            || self.is_broken
            || self.engine.is_ended()
            || self.holds_input()
    }

    /// Input that no event tells of.
    const fn holds_input(&self) -> bool {
        self.may_have_record || self.socket_may_have_more || !self.backlog.data.is_empty()
    }

    /// Bytes of memory that it holds.
    pub(super) const fn held(&self) -> usize {
        self.backlog.undecrypted.capacity() + self.backlog.data.capacity() + self.sealed.capacity()
    }

    /// Bytes that were taken for output and not sent.
    pub(super) const fn unsent(&self) -> usize {
        self.sealed.len() - self.sealed_at
    }

    /// Whether the session took up an earlier one.
    pub(super) fn is_resumed(&self) -> bool {
        self.engine.is_resumed()
    }

    // ---- the handshake --------------------------------------------------------------------------

    /// Goes on with the handshake as far as it can. To be called again after the next event.
    pub(super) fn handshake(&mut self) -> io::Result<Handshaking> {
        for _ in 0..LOOKS_MAX {
            if self.flush()? {
                return Ok(Handshaking::Waits);
            }
            if !self.engine.is_handshaking() {
                return Ok(Handshaking::Done);
            }
            match self.receive(&mut Slice(&mut [])) {
                Ok(true) => {}
                Ok(false) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Ok(Handshaking::Waits);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if self.handshake_bytes > HANDSHAKE_BYTES_MAX {
                self.is_broken = true;
                return Err(io::Error::new(ErrorKind::InvalidData, "a handshake without an end"));
            }
        }
        Ok(Handshaking::Yields)
    }

    // ---- input ----------------------------------------------------------------------------------

    pub(super) fn recv(&mut self, space: &mut [u8]) -> io::Result<usize> {
        Ok(self.read(&mut Slice(space))?.len)
    }

    pub(super) fn recv_behind(&mut self, bytes: &mut Vec<u8>, most: usize) -> io::Result<usize> {
        let room = most.min(bytes.capacity() - bytes.len());
        Ok(self.read(&mut Behind { bytes, room })?.len)
    }

    pub(super) fn recv_into(&mut self, space: &mut RawBytesMut<'_>) -> io::Result<Received> {
        // The caller looks at its front afterwards.
        self.read(&mut Ring(&mut space.by_ref()))
    }

    fn read(&mut self, space: &mut impl Space) -> io::Result<Received> {
        let room = space.len();
        self.put_data(space);
        while space.len() == room {
            if !self.backlog.data.is_empty() {
                return Err(waits()); // there was no room to begin with
            }
            if self.shutdown_due {
                self.go_on_with_shutdown()?;
            }
            if self.engine.is_ended() {
                // Who says no more may still be reading what it is told.
                let is_over = !self.shutdown_due;
                return is_over.then_some(Received { len: 0, more: false }).ok_or_else(waits);
            }
            if self.is_broken {
                return self.discard();
            }
            match self.receive(space) {
                Ok(true) => {}
                Ok(false) => {
                    self.is_broken = true;
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, "cut off"));
                }
                // What came in front of what is wrong is read first; the next read tells of it.
                Err(_) if space.len() < room => self.is_broken = true,
                Err(error) => return Err(error),
            }
        }
        Ok(Received { len: room - space.len(), more: self.may_hold_more() })
    }

    /// What a client goes on sending when nothing of it can be understood any more: thrown away,
    /// so that the last words of this side reach it.
    fn discard(&self) -> io::Result<Received> {
        if !self.is_shut_down {
            return Err(ErrorKind::BrokenPipe.into());
        }
        BUFFERS.with_borrow_mut(|buffers| {
            buffers.incoming.resize(INCOMING_BYTES, 0);
            let len = socket::recv(&self.socket, &mut buffers.incoming)?;
            Ok(Received { len, more: true })
        })
    }

    /// What is decrypted already.
    fn put_data(&mut self, space: &mut impl Space) {
        if self.backlog.data.is_empty() {
            return;
        }
        self.data_at += space.put(self.backlog.data.get(self.data_at..).unwrap_or_default());
        if self.data_at >= self.backlog.data.len() {
            (self.backlog.data, self.data_at) = (Vec::new(), 0);
        }
    }

    /// Decrypts what is there: what is left of earlier, or else what the socket has. False at the
    /// end of the connection.
    fn receive(&mut self, space: &mut impl Space) -> io::Result<bool> {
        BUFFERS.with_borrow_mut(|buffers| {
            let Buffers { incoming, outgoing, .. } = buffers;
            incoming.resize(INCOMING_BYTES, 0);
            let kept = self.backlog.undecrypted.len();
            if let Some(front) = incoming.get_mut(..kept) {
                front.copy_from_slice(&self.backlog.undecrypted);
            }
            let mut filled = kept;
            if !self.may_have_record {
                let wanted = wanted(space.len()).max(end_of_next(kept)).min(INCOMING_BYTES);
                let free = incoming.get_mut(kept..wanted).unwrap_or_default();
                if free.is_empty() {
                    self.is_broken = true;
                    return Err(io::Error::new(ErrorKind::InvalidData, "a message without end"));
                }
                (self.socket_may_have_more, self.event_came) = (false, false);
                #[cfg(test)]
                {
                    self.looks += 1;
                }
                let received = socket::recv(&self.socket, free)?;
                if received == 0 {
                    return Ok(false);
                }
                self.socket_may_have_more = received == free.len();
                if self.engine.is_handshaking() {
                    self.handshake_bytes += received;
                }
                filled += received;
            }
            let received = incoming.get_mut(..filled).unwrap_or_default();
            let processed = self.process(received, outgoing, space);
            outgoing.clear(OUTGOING_KEPT_BYTES);
            processed.map(|()| true)
        })
    }

    /// Decrypts received bytes, keeps what is left of them, sends what that demands.
    fn process(
        &mut self,
        received: &mut [u8],
        outgoing: &mut Outgoing,
        space: &mut impl Space,
    ) -> io::Result<()> {
        let data = &mut self.backlog.data;
        let take = &mut |content: &[u8]| {
            let taken = space.put(content);
            data.extend_from_slice(content.get(taken..).unwrap_or_default());
            data.is_empty() && space.len() > 0
        };
        let Processed { consumed, outcome } = self.engine.process(received, outgoing, take);
        let rest = received.get(consumed..).unwrap_or_default();
        self.may_have_record = matches!(outcome, Ok(Progress::Enough)) && !rest.is_empty();
        self.backlog.undecrypted = if outcome.is_ok() { rest.to_vec() } else { Vec::new() };
        self.is_broken |= outcome.is_err();
        let sent = match outgoing.bytes() {
            [] => Ok(()),
            records => self.write_out(records),
        };
        match outcome {
            Ok(_) => sent,
            Err(error) => Err(io::Error::new(ErrorKind::InvalidData, error)),
        }
    }

    /// Bytes that were received and not read, as far as is known: those that are still encrypted
    /// count with what their records cost.
    pub(super) fn unread(&self) -> usize {
        if self.is_broken || self.engine.is_ended() {
            return self.backlog.data.len() - self.data_at;
        }
        self.backlog.data.len() - self.data_at
            + self.backlog.undecrypted.len()
            + socket::unread(&self.socket)
    }

    // ---- output ---------------------------------------------------------------------------------

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.flush()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes = bytes.get(..SEAL_BYTES_MAX).unwrap_or(bytes);
        BUFFERS.with_borrow_mut(|buffers| self.seal(bytes, &mut buffers.outgoing))?;
        Ok(bytes.len())
    }

    /// What a worker may be changing is copied before it is encrypted.
    pub(super) fn send_from(&mut self, bytes: RawBytes<'_>) -> io::Result<usize> {
        self.send_copy(|copy| {
            bytes.first(SEAL_BYTES_MAX).append_to(copy);
            Ok(())
        })
    }

    pub(super) fn send_file(
        &mut self,
        file: impl AsFd,
        offset: u64,
        most: usize,
    ) -> io::Result<usize> {
        self.send_copy(|copy| file::read_behind(file, copy, most.min(SEAL_BYTES_MAX), offset))
    }

    fn send_copy(
        &mut self,
        fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<usize> {
        if self.flush()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        BUFFERS.with_borrow_mut(|buffers| {
            buffers.copy.clear();
            fill(&mut buffers.copy)?;
            if !buffers.copy.is_empty() {
                self.seal(&buffers.copy, &mut buffers.outgoing)?;
            }
            Ok(buffers.copy.len())
        })
    }

    fn seal(&mut self, bytes: &[u8], outgoing: &mut Outgoing) -> io::Result<()> {
        if self.is_broken {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let sealed = self.engine.seal(bytes, &mut self.backlog, outgoing).map_err(|error| {
            self.is_broken = true;
            io::Error::other(error)
        });
        let sent = sealed.and_then(|()| self.write_out(outgoing.bytes()));
        outgoing.clear(OUTGOING_KEPT_BYTES);
        sent
    }

    /// Sends records, behind those that wait; what the kernel does not take waits, too.
    fn write_out(&mut self, records: &[u8]) -> io::Result<()> {
        let sent = if self.sealed.is_empty() { self.send_records(records)? } else { 0 };
        let rest = records.get(sent..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        if self.unsent() + rest.len() > OWED_BYTES_MAX {
            self.is_broken = true;
            return Err(io::Error::other("a client that asks and does not read"));
        }
        self.sealed.extend_from_slice(rest);
        Ok(())
    }

    /// As much as the kernel takes.
    fn send_records(&mut self, records: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while let Some(rest) = records.get(sent..).filter(|rest| !rest.is_empty()) {
            match socket::send(&self.socket, rest) {
                Ok(len) => sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.writable = false;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Sends records that wait. True when some are left.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        if self.sealed.is_empty() {
            return Ok(false);
        }
        let records = std::mem::take(&mut self.sealed);
        let sent = self.send_records(records.get(self.sealed_at..).unwrap_or_default());
        self.sealed = records;
        self.sealed_at += sent?;
        if self.sealed_at >= self.sealed.len() {
            (self.sealed, self.sealed_at) = (Vec::new(), 0);
        }
        Ok(!self.sealed.is_empty())
    }
}

/// Up to where to receive behind bytes that are kept, at least: to the end of the record that they
/// begin, and when they are more than one, because their message is not whole, for another record.
const fn end_of_next(kept: usize) -> usize {
    if kept < RECORD_BYTES_MAX { kept + 1 } else { kept + RECORD_BYTES_MAX }
}

fn waits() -> io::Error {
    ErrorKind::WouldBlock.into()
}

/// How many bytes to receive for so much content: with what records cost, and never less than one.
fn wanted(content: usize) -> usize {
    (content + content / 64 + 64).max(RECORD_BYTES_MAX)
}
