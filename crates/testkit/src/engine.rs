//! The thread behind a load: one epoll, many connections.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::connection::{Connection, State, Work};
use crate::error::TestResult;
use crate::faults::Random;
use crate::frame::Frames;
use crate::judge::End;
use crate::load::{EchoLoad, LoadReport, Shared};

/// How long the engine sleeps at most before it looks at wishes and clocks.
const TICK: Duration = Duration::from_millis(5);

/// Pause before a connection that ended is made anew.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);

/// Bytes asked for by one read.
const CHUNK_BYTES: usize = 64 * 1024;

/// Events taken by one look.
const EVENTS_MAX: usize = 256;

/// All connections of one load.
pub(crate) struct Engine {
    plan: EchoLoad,
    shared: Arc<Shared>,
    epoll: OwnedFd,
    places: Vec<Place>,
    work: Work,
    /// The high half tells loads apart, the low half counts connections.
    next_owner: u64,
}

/// Where a connection is or will be.
enum Place {
    Empty { retry_at: Instant },
    Taken(Box<Connection>),
}

impl Engine {
    pub(crate) fn new(plan: EchoLoad, shared: Arc<Shared>) -> TestResult<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let now = Instant::now();
        let places = (0..plan.connections).map(|_| Place::Empty { retry_at: now }).collect();
        let port = u64::from(plan.address.port());
        let salt = Random::new(u64::from(std::process::id()) << 16 | port).next_u64();
        let next_owner = salt & !u64::from(u32::MAX);
        let work = Work {
            depth: plan.depth,
            budget: plan.requests_max,
            report: LoadReport::default(),
            chunk: vec![0; CHUNK_BYTES],
        };
        Ok(Self { plan, shared, epoll, places, work, next_owner })
    }

    /// Runs to the end and returns the counts.
    pub(crate) fn run(&mut self) -> TestResult<LoadReport> {
        let end = Instant::now() + self.plan.time_max;
        let mut draining = false;
        let mut next_round = Instant::now();
        while !self.shared.aborted() {
            let now = Instant::now();
            draining |= now >= end || self.shared.draining() || self.work.budget == 0;
            // The rounds look at every connection, so they follow the clock and not the events.
            if now >= next_round {
                next_round = now + TICK;
                self.drop_silent(now);
                if draining {
                    self.work.budget = 0;
                    self.close_idle();
                } else {
                    self.open_missing(now)?;
                }
                self.shared.publish(&self.work.report);
            }
            if draining && self.is_empty() {
                break;
            }
            self.take_events()?;
        }
        self.drop_silent(Instant::now() + self.plan.patience);
        self.shared.publish(&self.work.report);
        Ok(self.work.report.clone())
    }

    fn is_empty(&self) -> bool {
        self.places.iter().all(|place| matches!(place, Place::Empty { .. }))
    }

    fn open_missing(&mut self, now: Instant) -> TestResult {
        for (index, place) in self.places.iter_mut().enumerate() {
            let Place::Empty { retry_at } = place else { continue };
            if *retry_at > now {
                continue;
            }
            let frames = Frames {
                owner: self.next_owner,
                bytes_min: self.plan.bytes_min,
                bytes_max: self.plan.bytes_max,
            };
            self.next_owner += 1;
            match open(&self.epoll, self.plan.address, frames, index)? {
                Some(connection) => *place = Place::Taken(Box::new(connection)),
                None => {
                    self.work.report.connect_failed += 1;
                    *retry_at = now + RECONNECT_PAUSE;
                }
            }
        }
        Ok(())
    }

    fn take_events(&mut self) -> TestResult {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let timeout = Timespec::try_from(TICK).ok();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events {
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(place) = self.places.get_mut(index) else { continue };
            let Place::Taken(connection) = place else { continue };
            connection.drive(&mut self.work);
            if connection.state() == State::Ended {
                vacate(place, End::Visible, &mut self.work.report);
            }
        }
        Ok(())
    }

    /// Half-closes what has nothing under way; a server that owes nothing closes too.
    fn close_idle(&mut self) {
        for place in &mut self.places {
            let Place::Taken(connection) = place else { continue };
            connection.close_if_idle();
            if connection.state() == State::Ended {
                vacate(place, End::Visible, &mut self.work.report);
            }
        }
    }

    /// Gives up what owes something and does not move.
    fn drop_silent(&mut self, now: Instant) {
        for place in &mut self.places {
            let Place::Taken(connection) = place else { continue };
            if !connection.is_silent(now, self.plan.patience) {
                continue;
            }
            let report = &mut self.work.report;
            report.never_closed += u64::from(connection.state() == State::Closing);
            report.connect_failed += u64::from(connection.state() == State::Connecting);
            vacate(place, End::Silent, report);
        }
    }
}

/// Begins a connection and registers it, edge-triggered and once; `None` when the server refused at
/// once.
fn open(
    epoll: &OwnedFd,
    address: SocketAddr,
    frames: Frames,
    index: usize,
) -> TestResult<Option<Connection>> {
    let Some(connection) = Connection::begin(address, frames)? else { return Ok(None) };
    let flags = epoll::EventFlags::IN
        | epoll::EventFlags::OUT
        | epoll::EventFlags::RDHUP
        | epoll::EventFlags::ET;
    let data = epoll::EventData::new_u64(u64::try_from(index).unwrap_or(u64::MAX));
    epoll::add(epoll, connection.stream(), data, flags)?;
    Ok(Some(connection))
}

fn vacate(place: &mut Place, end: End, report: &mut LoadReport) {
    let empty = Place::Empty { retry_at: Instant::now() + RECONNECT_PAUSE };
    if let Place::Taken(connection) = std::mem::replace(place, empty) {
        connection.finish(end, report);
    }
}
