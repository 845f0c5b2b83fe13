//! What happens to one connection in one turn: events in, requests and counts out.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustls::ClientConfig;

use super::link::{Broken, Link, State, kind_of};
use super::options::LoadOptions;
use super::pattern::Pattern;
use super::progress::{Observer, Progress};
use super::report::{Interruption, InterruptionKind, LoadReport};
use super::schedule::Schedule;
use super::tls;
use crate::{Error, Result};

/// Most connects under way at once: fewer than any server's accept queue holds.
const CONNECTING_LIMIT: usize = 64;
/// Room for one read.
const BUFFER_BYTES: usize = 128 * 1024;

/// Which requests may be begun.
#[derive(Debug)]
pub(super) enum Issue {
    /// None.
    Nothing,
    /// `depth` in flight on each connection, `remaining` in all.
    Closed { depth: usize, remaining: u64 },
    /// The first `due` of the schedule.
    Open { schedule: Schedule, due: u64, depth: usize },
}

/// The state all connections of a run share.
pub(super) struct Engine<'a> {
    pub(super) options: &'a LoadOptions,
    pub(super) progress: &'a Progress,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) epoll: OwnedFd,
    pub(super) issue: Issue,
    pub(super) report: LoadReport,
    /// The run is over: connections are to end, and no byte is due any more.
    pub(super) finishing: bool,
    connecting: usize,
    pattern: Pattern,
    /// What clients of TLS believe.
    trust: Option<Arc<ClientConfig>>,
    buffer: Vec<u8>,
    batch: Vec<u8>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        options: &'a LoadOptions,
        progress: &'a Progress,
        observer: &'a mut dyn Observer,
    ) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
            .map_err(Error::system("epoll_create of the client"))?;
        Ok(Self {
            options,
            progress,
            observer,
            epoll,
            issue: Issue::Nothing,
            report: LoadReport::new()?,
            finishing: false,
            connecting: 0,
            pattern: Pattern::ending_with(options.size_bytes, options.salt, options.ending),
            trust: options.trust.as_deref().map(tls::trust).transpose()?,
            buffer: vec![0; BUFFER_BYTES],
            batch: Vec::new(),
        })
    }

    /// Handles what epoll said about a connection.
    pub(super) fn event(&mut self, link: &mut Link, flags: EventFlags) -> Result<()> {
        match link.state {
            State::Waiting(_) | State::Down => Ok(()),
            State::Connecting(_) => self.connected(link),
            State::Open => {
                if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
                    self.readable(link)?;
                } else if flags.intersects(EventFlags::OUT) {
                    self.flush(link)?;
                }
                Ok(())
            }
        }
    }

    fn connected(&mut self, link: &mut Link) -> Result<()> {
        let now = Instant::now();
        let Some(wire) = &link.wire else { return Ok(()) };
        match rustix::net::sockopt::socket_error(wire) {
            Ok(Ok(())) => {}
            Ok(Err(errno)) | Err(errno) => {
                self.interrupt(link, kind_of(errno), now);
                return Ok(());
            }
        }
        if link.is_own_peer() {
            self.interrupt(link, InterruptionKind::Refused, now);
            return Ok(());
        }
        self.connecting -= 1;
        let began = match link.state {
            State::Connecting(since) if self.options.churn => since,
            _ => now,
        };
        link.state = State::Open;
        link.waiting_since = now;
        self.watch(link, false)?;
        self.top_up(link, began)
    }

    fn readable(&mut self, link: &mut Link) -> Result<()> {
        let (completed, result) = link.receive(&self.pattern, &mut self.buffer);
        let now = Instant::now();
        if completed > 0 {
            for intended in link.in_flight.drain(..link.in_flight.len().min(completed as usize)) {
                self.report.complete(intended, now);
            }
            link.waiting_since = now;
            self.progress.add_completed(completed);
        }
        match result {
            Ok(()) if self.options.churn && completed > 0 && !self.finishing => {
                link.disconnect(State::Waiting(now));
                self.connect(link, now)
            }
            Ok(()) => self.top_up(link, now),
            Err(Broken::Ended(_)) if self.finishing => {
                link.disconnect(State::Down);
                Ok(())
            }
            Err(Broken::Ended(kind)) => {
                self.interrupt(link, kind, now);
                Ok(())
            }
            Err(Broken::Fault(fault)) => {
                self.report.troubles.faulty(fault);
                self.interrupt(link, InterruptionKind::Corrupt, now);
                Ok(())
            }
        }
    }

    /// Begins whatever this connection may begin now.
    pub(super) fn top_up(&mut self, link: &mut Link, now: Instant) -> Result<()> {
        if link.state != State::Open {
            return Ok(());
        }
        if link.in_flight.is_empty() {
            link.waiting_since = now;
        }
        let before = link.in_flight.len();
        match &mut self.issue {
            Issue::Nothing => {}
            Issue::Closed { depth, remaining } => {
                while link.in_flight.len() < *depth && *remaining > 0 {
                    *remaining -= 1;
                    link.begin(now);
                }
            }
            Issue::Open { schedule, due, depth } => {
                let share = schedule.share(*due, link.id);
                while link.in_flight.len() < *depth && link.scheduled < share {
                    link.begin(schedule.time(link.id, link.scheduled));
                    link.scheduled += 1;
                }
            }
        }
        self.report.begun += (link.in_flight.len() - before) as u64;
        if link.wants_write { Ok(()) } else { self.flush(link) }
    }

    fn flush(&mut self, link: &mut Link) -> Result<()> {
        match link.flush(&self.pattern, &mut self.batch) {
            Ok(blocked) if blocked != link.wants_write => self.watch(link, blocked),
            Ok(_) => Ok(()),
            // A handshake that was under way when everything was said.
            Err(Broken::Ended(_)) if self.finishing => {
                link.disconnect(State::Down);
                Ok(())
            }
            Err(Broken::Ended(kind)) => {
                self.interrupt(link, kind, Instant::now());
                Ok(())
            }
            Err(Broken::Fault(_)) => Ok(()),
        }
    }

    fn watch(&self, link: &mut Link, write: bool) -> Result<()> {
        let Some(wire) = &link.wire else { return Ok(()) };
        let flags = if write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
        link.wants_write = write;
        epoll::modify(&self.epoll, wire, EventData::new_u64(u64::from(link.id)), flags)
            .map_err(Error::system("epoll_ctl of the client"))
    }

    /// Ends a connection the client did not want to end, and plans the next one if asked to.
    pub(super) fn interrupt(&mut self, link: &mut Link, kind: InterruptionKind, now: Instant) {
        if matches!(link.state, State::Connecting(_)) {
            self.connecting -= 1;
        }
        let next = if self.options.reconnect && !self.finishing {
            State::Waiting(now + Duration::from_millis(self.options.reconnect_delay_ms))
        } else {
            State::Down
        };
        let lost_requests = link.disconnect(next);
        let interruption = Interruption { at: now, connection: link.id, kind, lost_requests };
        self.report.troubles.interrupted(interruption);
        self.progress.add_interrupted();
        self.observer.interrupted(&interruption);
    }

    /// What time alone brings: connects that are due, and timeouts.
    pub(super) fn tend(&mut self, link: &mut Link, now: Instant) -> Result<()> {
        let timeout = Duration::from_millis(self.options.timeout_ms);
        match link.state {
            State::Waiting(at) if now >= at && self.connecting < CONNECTING_LIMIT => {
                self.connect(link, now)
            }
            State::Connecting(since) if now.saturating_duration_since(since) > timeout => {
                self.interrupt(link, InterruptionKind::Timeout, now);
                Ok(())
            }
            State::Open
                if !link.in_flight.is_empty()
                    && now.saturating_duration_since(link.waiting_since) > timeout =>
            {
                self.interrupt(link, InterruptionKind::Timeout, now);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn connect(&mut self, link: &mut Link, now: Instant) -> Result<()> {
        if let Err(errno) = link.connect(self.options, self.trust.as_ref(), now) {
            self.interrupt(link, kind_of(errno), now);
            return Ok(());
        }
        self.connecting += 1;
        let Some(wire) = &link.wire else { return Ok(()) };
        let token = EventData::new_u64(u64::from(link.id));
        epoll::add(&self.epoll, wire, token, EventFlags::OUT)
            .map_err(Error::system("epoll_ctl of the client"))
    }
}
