//! The phases of a run: connect, warm up, measure, check that nothing more comes.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::Timespec;

use super::engine::{Engine, Issue};
use super::link::{Link, State};
use super::options::{LoadOptions, Mode};
use super::progress::{Observer, Progress};
use super::report::{InterruptionKind, LoadReport};
use super::schedule::Schedule;
use super::wire::Wire;
use crate::{Error, Result};

const TIMER: u64 = u64::MAX;
const EVENTS_PER_TURN: usize = 256;
/// How often connections are looked at without an event, and the longest wait of a turn.
const TEND_EVERY: Duration = Duration::from_millis(10);
/// How long connections may take to end after the run; ending later is no fault.
const FINISH_LIMIT: Duration = Duration::from_secs(1);

/// Runs a load on the calling thread until its duration, its number of requests or
/// [`Progress::stop`].
///
/// An error means that the client could not work; whatever the server did wrong is in the report.
pub fn run(
    options: &LoadOptions,
    progress: &Progress,
    observer: &mut dyn Observer,
) -> Result<LoadReport> {
    options.validate()?;
    let now = Instant::now();
    let mut client = Client {
        engine: Engine::new(options, progress, observer)?,
        links: (0..options.connections).map(|id| Link::new(id, now)).collect(),
        events: [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
            EVENTS_PER_TURN],
        next_tend: now,
        timer: None,
        measuring: false,
        seconds: 0,
    };
    client.connect()?;
    if options.warmup_ms > 0 {
        let depth = match options.mode {
            Mode::Closed => options.pipeline as usize,
            Mode::Open { .. } => 1,
        };
        let issue = Issue::Closed { depth, remaining: u64::MAX };
        client.phase(issue, options.warmup_ms)?;
    }
    client.measure()?;
    client.finish()?;
    Ok(client.engine.report)
}

struct Client<'a> {
    engine: Engine<'a>,
    links: Vec<Link>,
    events: [Event; EVENTS_PER_TURN],
    next_tend: Instant,
    /// Open loop: fires when requests become due.
    timer: Option<OwnedFd>,
    measuring: bool,
    /// Seconds of the measurement told to the observer.
    seconds: u64,
}

impl Client<'_> {
    fn connect(&mut self) -> Result<()> {
        let give_up = Instant::now() + Duration::from_millis(self.engine.options.timeout_ms);
        let unsettled = |link: &Link| !matches!(link.state, State::Open | State::Down);
        while self.links.iter().any(unsettled) && !self.engine.progress.stopped() {
            self.next_tend = Instant::now();
            if self.turn()? > give_up {
                break;
            }
        }
        Ok(())
    }

    fn measure(&mut self) -> Result<()> {
        let options = self.engine.options;
        let limit = options.requests.unwrap_or(u64::MAX);
        let depth = options.pipeline as usize;
        self.engine.observer.begins();
        let start = Instant::now();
        self.engine.report.restart(start);
        self.measuring = true;
        let issue = match options.mode {
            Mode::Closed => Issue::Closed { depth, remaining: limit },
            Mode::Open { rate_per_s } => {
                let schedule = Schedule::new(start, rate_per_s, options.connections, limit);
                self.timer = Some(self.add_timer(&schedule)?);
                Issue::Open { schedule, due: 0, depth }
            }
        };
        self.phase(issue, options.duration_ms)?;
        self.timer = None;
        self.engine.report.elapsed = start.elapsed();
        self.measuring = false;
        self.engine.observer.ends();
        Ok(())
    }

    fn add_timer(&self, schedule: &Schedule) -> Result<OwnedFd> {
        let timer = schedule.timer()?;
        epoll::add(&self.engine.epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)
            .map_err(Error::system("epoll_ctl of the timer"))?;
        Ok(timer)
    }

    /// Issues requests for a time, then waits until the last one is answered or given up.
    fn phase(&mut self, issue: Issue, duration_ms: u64) -> Result<()> {
        self.engine.issue = issue;
        let mut now = Instant::now();
        let end = now + Duration::from_millis(duration_ms);
        for link in &mut self.links {
            self.engine.top_up(link, now)?;
        }
        while now < end && !self.engine.progress.stopped() && self.may_issue() {
            self.come_due(now)?;
            now = self.turn()?;
        }
        self.come_due(now.min(end))?;
        if let Issue::Closed { remaining, .. } = &mut self.engine.issue {
            *remaining = 0;
        }
        let give_up = now + Duration::from_millis(self.engine.options.timeout_ms);
        while now < give_up && self.links.iter().any(|link| self.is_pending(link)) {
            now = self.turn()?;
        }
        for link in &mut self.links {
            if !link.in_flight.is_empty() {
                self.engine.interrupt(link, InterruptionKind::Timeout, now);
            }
        }
        if let Issue::Open { due, .. } = self.engine.issue {
            let scheduled: u64 = self.links.iter().map(|link| link.scheduled).sum();
            self.engine.report.troubles.unsent_requests += due - scheduled;
        }
        self.engine.issue = Issue::Nothing;
        Ok(())
    }

    fn may_issue(&self) -> bool {
        let requests_left = match &self.engine.issue {
            Issue::Nothing => false,
            Issue::Closed { remaining, .. } => *remaining > 0,
            Issue::Open { schedule, due, .. } => *due < schedule.limit(),
        };
        requests_left && self.links.iter().any(|link| link.state != State::Down)
    }

    fn is_pending(&self, link: &Link) -> bool {
        let overdue = match &self.engine.issue {
            Issue::Open { schedule, due, .. } => link.scheduled < schedule.share(*due, link.id),
            Issue::Nothing | Issue::Closed { .. } => false,
        };
        !link.in_flight.is_empty() || (overdue && link.state != State::Down)
    }

    /// Open loop: begins the requests that time has made due.
    fn come_due(&mut self, now: Instant) -> Result<()> {
        let Issue::Open { schedule, due, .. } = &mut self.engine.issue else { return Ok(()) };
        let before = *due;
        *due = schedule.due(now).max(before);
        let connections = self.links.len() as u64;
        for number in before..(*due).min(before + connections) {
            if let Some(link) = self.links.get_mut((number % connections) as usize) {
                self.engine.top_up(link, now)?;
            }
        }
        Ok(())
    }

    /// Waits for events, at most [`TEND_EVERY`], and handles them. Returns the time after it.
    fn turn(&mut self) -> Result<Instant> {
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(TEND_EVERY.subsec_nanos()) };
        let ready = match epoll::wait(&self.engine.epoll, &mut self.events, Some(&wait)) {
            Ok(ready) => ready,
            Err(Errno::INTR) => 0,
            Err(errno) => return Err(Error::system("epoll_wait of the client")(errno)),
        };
        for event in self.events.iter().take(ready) {
            let token = event.data.u64();
            if let (TIMER, Some(timer)) = (token, &self.timer) {
                // The kernel winds a periodic timer up again only when it is read. How often it
                // fired does not matter: what is due is computed from the clock.
                _ = rustix::io::read(timer, &mut [0; 8]);
            } else if let Some(link) = self.links.get_mut(token as usize) {
                self.engine.event(link, event.flags)?;
            }
        }
        let now = Instant::now();
        if now >= self.next_tend {
            self.next_tend = now + TEND_EVERY;
            self.tend(now)?;
        }
        Ok(now)
    }

    fn tend(&mut self, now: Instant) -> Result<()> {
        for link in &mut self.links {
            self.engine.tend(link, now)?;
        }
        if self.measuring {
            let elapsed = now.saturating_duration_since(self.engine.report.started);
            if elapsed.as_secs() > self.seconds {
                self.seconds = elapsed.as_secs();
                self.engine.observer.second();
            }
        }
        Ok(())
    }

    /// Says goodbye on every connection and reads to the end: not one byte may come.
    fn finish(&mut self) -> Result<()> {
        self.engine.finishing = true;
        for link in &mut self.links {
            let is_open = link.state == State::Open;
            if !is_open || !link.wire.as_mut().is_some_and(Wire::end) {
                link.disconnect(State::Down);
            }
        }
        let give_up = Instant::now() + FINISH_LIMIT;
        while self.links.iter().any(|link| link.state != State::Down) {
            if self.turn()? > give_up {
                break;
            }
        }
        Ok(())
    }
}
