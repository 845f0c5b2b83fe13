//! One connection of a load: a non-blocking socket with a judge.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::error::TestResult;
use crate::frame::Frames;
use crate::judge::{End, Judge};
use crate::load::LoadReport;

/// What all connections of a load share while they are driven.
pub(crate) struct Work {
    /// Requests that may be under way on one connection.
    pub(crate) depth: u64,
    /// Requests that may still be issued.
    pub(crate) budget: u64,
    /// The counts.
    pub(crate) report: LoadReport,
    /// Room for one read.
    pub(crate) chunk: Vec<u8>,
}

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The handshake is not done.
    Connecting,
    /// Requests go out, replies come in.
    Open,
    /// This side has sent its end and awaits the other's.
    Closing,
    /// Over, however it came.
    Ended,
}

/// See the module.
pub(crate) struct Connection {
    stream: TcpStream,
    state: State,
    judge: Judge,
    /// The request being written, and how much of it the kernel has.
    pending: Vec<u8>,
    written: usize,
    /// When something last happened here.
    moved: Instant,
}

impl Connection {
    /// Begins to connect; `None` when the server refuses at once.
    pub(crate) fn begin(address: SocketAddr, frames: Frames) -> TestResult<Option<Self>> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(_) => return Ok(None),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        let judge = Judge::new(frames);
        let (state, pending, written) = (State::Connecting, Vec::new(), 0);
        Ok(Some(Self { stream, state, judge, pending, written, moved: Instant::now() }))
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Whether the other side owes something and has been silent for so long.
    pub(crate) fn is_silent(&self, now: Instant, patience: Duration) -> bool {
        let owing = self.state != State::Open || self.judge.under_way() > 0;
        owing && now.saturating_duration_since(self.moved) >= patience
    }

    /// Does all that can be done without waiting: finishes the handshake, reads, then writes.
    pub(crate) fn drive(&mut self, work: &mut Work) {
        self.moved = Instant::now();
        if self.state == State::Connecting {
            self.finish_connect(work);
        }
        if matches!(self.state, State::Open | State::Closing) {
            self.read(work);
        }
        if self.state == State::Open {
            self.write(work);
        }
    }

    fn finish_connect(&mut self, work: &mut Work) {
        match self.stream.take_error() {
            // An event without error before the handshake is done: the peer has no address yet.
            Ok(None) if self.stream.peer_addr().is_err() => {}
            Ok(None) => {
                work.report.connected += 1;
                self.state = State::Open;
            }
            Ok(Some(_)) | Err(_) => {
                work.report.connect_failed += 1;
                self.state = State::Ended;
            }
        }
    }

    fn read(&mut self, work: &mut Work) {
        loop {
            match self.stream.read(&mut work.chunk) {
                Ok(0) => {
                    work.report.closed_early += u64::from(self.state == State::Open);
                    self.state = State::Ended;
                    return;
                }
                Ok(count) => {
                    let bytes = work.chunk.get(..count).unwrap_or_default();
                    if self.judge.feed(bytes, &mut work.report).is_err() {
                        self.state = State::Ended;
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    work.report.reset += 1;
                    self.state = State::Ended;
                    return;
                }
            }
        }
    }

    fn write(&mut self, work: &mut Work) {
        loop {
            if self.pending.is_empty() {
                if work.budget == 0 || self.judge.under_way() >= work.depth {
                    return;
                }
                work.budget -= 1;
                self.pending = self.judge.issue();
                self.written = 0;
            }
            let rest = self.pending.get(self.written..).unwrap_or_default();
            match self.stream.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    work.report.reset += 1;
                    self.state = State::Ended;
                    return;
                }
            }
            if self.written == self.pending.len() {
                work.report.sent += 1;
                self.pending.clear();
            }
        }
    }

    /// Sends this side's end when no request is under way.
    pub(crate) fn close_if_idle(&mut self) {
        if self.state == State::Connecting {
            // Nothing was promised on it yet.
            self.state = State::Ended;
        }
        if self.state == State::Open && self.judge.under_way() == 0 {
            // An error means that the other side was faster; the next read tells.
            let _ignored = self.stream.shutdown(Shutdown::Write);
            self.state = State::Closing;
            self.moved = Instant::now();
        }
    }

    /// Settles what was under way.
    pub(crate) fn finish(self, end: End, report: &mut LoadReport) {
        self.judge.end(u64::from(!self.pending.is_empty()), end, report);
    }
}
