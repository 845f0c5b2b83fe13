//! A load of numbered requests with unique content over many connections, which judges every reply.
//!
//! One thread with one epoll drives all connections ([`engine`](crate::engine)); what a reply must
//! look like is in [`frame`](crate::frame), what became of each request is decided in
//! [`judge`](crate::judge).

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::engine;
use crate::error::{TestError, TestResult};
use crate::frame::HEADER_BYTES;
use crate::wait::DEADLINE;

/// A load about to be started. The defaults: 16 connections, one request at a time on each, 24 to
/// 512 bytes, no end by count, two minutes at most.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent before `start`"]
pub struct EchoLoad {
    pub(crate) address: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) depth: u64,
    pub(crate) bytes_min: usize,
    pub(crate) bytes_max: usize,
    pub(crate) requests_max: u64,
    pub(crate) time_max: Duration,
    pub(crate) patience: Duration,
}

impl EchoLoad {
    /// A load on a server that returns every byte in order.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            connections: 16,
            depth: 1,
            bytes_min: HEADER_BYTES,
            bytes_max: 512,
            requests_max: u64::MAX,
            time_max: Duration::from_secs(120),
            patience: DEADLINE,
        }
    }

    /// How many connections are kept open; one that ends is replaced by a new one.
    pub fn connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// How many requests may be under way on one connection.
    pub fn depth(self, depth: u64) -> Self {
        Self { depth: depth.max(1), ..self }
    }

    /// The least and the greatest size of a request; 24 bytes at least, for its header.
    pub fn bytes(self, least: usize, greatest: usize) -> Self {
        let bytes_min = least.max(HEADER_BYTES);
        Self { bytes_min, bytes_max: greatest.max(bytes_min), ..self }
    }

    /// The number of requests after which no more are sent.
    pub fn requests(self, requests_max: u64) -> Self {
        Self { requests_max, ..self }
    }

    /// The time after which no more are sent.
    pub fn time(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    /// How long a connection that owes a reply may be silent, before its requests count as lost and
    /// a new connection takes its place.
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Starts the thread.
    ///
    /// # Errors
    /// When epoll or the thread cannot be had.
    pub fn start(self) -> TestResult<RunningLoad> {
        let shared = Arc::new(Shared::default());
        let mut engine = engine::Engine::new(self, Arc::clone(&shared))?;
        let thread = std::thread::Builder::new()
            .name("echo-load".to_owned())
            .spawn(move || engine.run().map_err(|error| error.to_string()))?;
        Ok(RunningLoad { shared, thread: Some(thread) })
    }
}

/// What the engine and the test share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    wish: AtomicU8,
    report: Mutex<LoadReport>,
}

/// Go on.
const GO: u8 = 0;
/// Send nothing more, await the replies.
const DRAIN: u8 = 1;
/// End at once.
const ABORT: u8 = 2;

impl Shared {
    pub(crate) fn draining(&self) -> bool {
        self.wish.load(Ordering::Relaxed) != GO
    }

    pub(crate) fn aborted(&self) -> bool {
        self.wish.load(Ordering::Relaxed) == ABORT
    }

    pub(crate) fn publish(&self, report: &LoadReport) {
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report.clone();
    }
}

/// A load under way.
#[derive(Debug)]
pub struct RunningLoad {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<LoadReport, String>>>,
}

impl RunningLoad {
    /// The counts so far; a few milliseconds old.
    #[must_use]
    pub fn so_far(&self) -> LoadReport {
        self.shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until this many more requests are answered than at the call. The way to let a load run
    /// "for a while".
    ///
    /// # Errors
    /// When they are not in time.
    pub fn wait_for_more(&self, answers: u64) -> TestResult {
        let wanted = self.so_far().answered + answers;
        crate::wait::wait_until(&format!("{wanted} answers to the load"), || {
            self.so_far().answered >= wanted
        })
        .map_err(|error| error.followed_by(&format!("so far: {}", self.so_far())))
    }

    /// Sends nothing more, awaits the outstanding replies, closes, and returns the counts.
    ///
    /// # Errors
    /// When the machinery failed; whatever the server did is in the counts.
    pub fn stop(mut self) -> TestResult<LoadReport> {
        self.shared.wish.store(DRAIN, Ordering::Relaxed);
        self.join()
    }

    /// Waits for the end by count or time, and returns the counts.
    ///
    /// # Errors
    /// As [`stop`](Self::stop).
    pub fn finish(mut self) -> TestResult<LoadReport> {
        self.join()
    }

    fn join(&mut self) -> TestResult<LoadReport> {
        let thread = self.thread.take().ok_or_else(|| TestError::new("the load has ended"))?;
        let ended = thread.join().map_err(|_| TestError::new("the thread of the load panicked"))?;
        ended.map_err(|text| TestError::new(format!("the load failed: {text}")))
    }
}

impl Drop for RunningLoad {
    fn drop(&mut self) {
        self.shared.wish.store(ABORT, Ordering::Relaxed);
        if self.thread.is_some() {
            // The test has failed otherwise, or does not want the counts.
            let _counts = self.join();
        }
    }
}

/// What became of all requests.
///
/// Every request ends in exactly one way: `sent = answered + wrong + lost + cut`, once the load has
/// ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Requests handed to the kernel in full.
    pub sent: u64,
    /// Requests whose reply came once, whole and in order.
    pub answered: u64,
    /// Requests whose reply had other content.
    pub wrong: u64,
    /// Requests without a reply on a connection that lived: skipped by a later reply, or silent
    /// until the end.
    pub lost: u64,
    /// Requests under way when their connection ended: no reply, but the client knows.
    pub cut: u64,
    /// Replies to requests already settled: a second time, or after their turn.
    pub duplicated: u64,
    /// Bytes that are a reply to nothing, counted once per connection.
    pub stray: u64,
    /// Connections made.
    pub connected: u64,
    /// Connections refused or not completed.
    pub connect_failed: u64,
    /// Connections the server ended in order.
    pub closed_early: u64,
    /// Connections that ended by a reset.
    pub reset: u64,
    /// Connections that the server left open after this side had closed.
    pub never_closed: u64,
}

impl LoadReport {
    /// Demands that every request was answered once and rightly, and that no connection ended of
    /// itself.
    ///
    /// # Errors
    /// With the counts.
    pub fn check_perfect(&self) -> TestResult {
        let breaks = self.cut + self.connect_failed + self.closed_early + self.reset;
        if breaks + self.never_closed > 0 {
            return Err(TestError::new(format!("connections were not kept: {self}")));
        }
        self.check_honest()
    }

    /// Demands that nothing was lost in silence, doubled or falsified. Connections may have ended.
    ///
    /// # Errors
    /// With the counts.
    pub fn check_honest(&self) -> TestResult {
        if self.wrong + self.lost + self.duplicated + self.stray > 0 {
            return Err(TestError::new(format!("replies were not right: {self}")));
        }
        if self.sent == 0 {
            return Err(TestError::new(format!("nothing was sent: {self}")));
        }
        Ok(())
    }
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, answered, wrong, lost, cut, duplicated, stray, .. } = self;
        let Self { connected, connect_failed, closed_early, reset, never_closed, .. } = self;
        write!(
            f,
            "requests: sent {sent} answered {answered} wrong {wrong} lost {lost} cut {cut}; "
        )?;
        write!(f, "replies: duplicated {duplicated} stray {stray}; ")?;
        write!(f, "connections: connected {connected} connect_failed {connect_failed} ")?;
        write!(f, "closed_early {closed_early} reset {reset} never_closed {never_closed}")
    }
}
