//! The manager's loop: one epoll object, one sleep, every event an ordinary event.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ostler_core::ids::ProcessKey;
use ostler_core::supervisor::{Event, Supervisor};
use ostler_core::{Millis, invariant};

use super::children::Children;
use super::diagnosis::Diagnosis;
use super::generations::BasedSupervisor;
use super::memory::MemoryWatch;
use super::programs::Programs;
use super::reaping::Reaped;
use super::reloads::Reloads;
use super::report::Reports;
use super::setup::ManagerSetup;
use super::spawn::LaneDescriptors;
use super::spawn::spare::Spare;
use super::token::Source;
use super::{EXIT_BROKEN, sweep};
use crate::control::{Channel, Received, ToManager, ToMaster};
use crate::inheritance::EXIT_ORPHANED;
use crate::log::SignalNotes;
use crate::sys::clock;
use crate::sys::epoll::{Epoll, Events, Interest};
use crate::sys::process;
use crate::sys::signal::{self, SignalFd};

/// Events per wait; what does not fit comes with the next one.
const EVENTS_PER_TURN: usize = 64;
/// Messages from the master per turn.
const MASTER_MESSAGES_PER_TURN: usize = 64;
/// Words from one worker per turn.
const WORKER_WORDS_PER_TURN: usize = 16;

/// Why the loop ends.
#[derive(Debug)]
pub(super) enum Ending {
    /// All workers are gone after a shutdown.
    Finished,
    /// The master is gone, or talks to us no more.
    MasterGone,
    /// A system call failed that never should.
    Broken(io::Error),
}

impl From<io::Error> for Ending {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

pub(super) type Step<T = ()> = Result<T, Ending>;

/// A promoted manager.
pub(super) struct Driver<'setup> {
    pub(super) setup: &'setup ManagerSetup,
    pub(super) epoll: Epoll,
    signals: SignalFd,
    signal_notes: SignalNotes,
    pub(super) master: Channel<ToMaster, ToManager>,
    /// What the master's socket is watched for.
    watched_for: Interest,
    supervisor: BasedSupervisor,
    pub(super) children: Children,
    /// Lane memory that has arrived and is not forked with yet.
    pub(super) lanes: HashMap<ProcessKey, LaneDescriptors>,
    /// The process that was reaped last, until its death is told.
    pub(super) reaped: Option<Reaped>,
    pub(super) reports: Reports,
    pub(super) reloads: Reloads,
    pub(super) diagnosis: Diagnosis,
    pub(super) memory: MemoryWatch,
    /// Those that workers are started from; `None`: they are forks.
    pub(super) programs: Option<Programs<'setup>>,
    pub(super) spare: Option<Spare>,
    /// When the last spare was forked, or tried to be.
    pub(super) spare_forked_at: Millis,
    /// Whether one has to be forked again.
    pub(super) spare_wanted: bool,
}

impl<'setup> Driver<'setup> {
    pub(super) fn new(
        setup: &'setup ManagerSetup,
        master: Channel<ToMaster, ToManager>,
        generation_base: u32,
        spare: Option<Spare>,
        program: Option<OwnedFd>,
    ) -> io::Result<Self> {
        process::adopt_orphans()?;
        let signals = SignalFd::new()?;
        // What came while this process was a spare was not for a manager: a TERM of long ago must
        // not end the server now. (A child that has ended meanwhile is looked for at the
        // beginning.)
        while signals.read()?.is_some() {}
        let epoll = Epoll::new()?;
        epoll.add(&signals, Source::Signals.token(), Interest::READ)?;
        epoll.add(&master, Source::Master.token(), Interest::READ)?;
        epoll.add(&setup.master_pidfd, Source::MasterProcess.token(), Interest::READ)?;
        let supervisor = Supervisor::new(setup.settings.clone());
        Ok(Self {
            setup,
            epoll,
            signals,
            signal_notes: SignalNotes::default(),
            master,
            watched_for: Interest::READ,
            supervisor: BasedSupervisor::new(supervisor, generation_base),
            children: Children::default(),
            lanes: HashMap::new(),
            reaped: None,
            reports: Reports::default(),
            reloads: Reloads::default(),
            diagnosis: Diagnosis::new(&setup.diagnosis),
            memory: MemoryWatch::new(setup.memory_limits),
            programs: setup.exec.as_ref().zip(program).map(|(exec, own)| Programs::new(exec, own)),
            spare_wanted: spare.is_none(),
            spare_forked_at: clock::monotonic_ms(),
            spare,
        })
    }

    /// Supervises until the end; answers with the exit code.
    pub(super) fn run(mut self) -> i32 {
        tracing::info!(workers = self.setup.settings.event.slots, "supervises");
        let ending = self.supervise();
        self.diagnosis.finish(self.setup);
        let spare = self.spare.as_ref().map(|spare| spare.pid);
        let workers = self.children.drain().map(|child| child.pidfd);
        let left = sweep::end_all(workers, spare.as_slice());
        if left > 0 {
            tracing::error!(left, "processes survived SIGKILL, this process ends without them");
        }
        match ending {
            Ending::Finished => {
                if self.master.send(&ToMaster::Finished, Vec::new()).is_ok() {
                    sweep::flush(&mut self.master);
                }
                tracing::info!("ends: all workers are gone");
                0
            }
            Ending::MasterGone => {
                tracing::warn!("ends: the master is gone");
                EXIT_ORPHANED
            }
            Ending::Broken(error) => {
                tracing::error!(%error, "ends: a system call failed");
                EXIT_BROKEN
            }
        }
    }

    fn supervise(&mut self) -> Ending {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let mut step = self.begin();
        while step.is_ok() {
            step = self.turn(&mut events);
        }
        step.err().unwrap_or(Ending::Finished)
    }

    fn begin(&mut self) -> Step {
        self.reap_strays()?;
        let actions = self.supervisor.start(clock::monotonic_ms());
        let mut follow_ups = VecDeque::new();
        for action in actions {
            follow_ups.extend(self.act(action)?);
        }
        follow_ups.into_iter().try_for_each(|event| self.tell(event))
    }

    fn turn(&mut self, events: &mut Events) -> Step {
        let now = clock::monotonic_ms();
        if self.supervisor.deadline().is_some_and(|at| at <= now) {
            self.tell(Event::Tick)?;
        }
        self.keep_spare(now)?;
        self.reports.run_due(now);
        for measure in self.diagnosis.run_due(now, &self.children, self.setup) {
            self.take_measure(measure)?;
        }
        for event in self.memory.run_due(now, &self.children) {
            self.tell(event)?;
        }
        self.master.send_again(now).map_err(|_| Ending::MasterGone)?;
        self.watch_backlog()?;
        self.epoll.wait(events, self.timeout())?;
        for (token, _) in events.iter() {
            match Source::of_token(token) {
                Some(Source::Signals) => self.read_signals()?,
                Some(Source::Master) => self.hear_master()?,
                Some(Source::MasterProcess) => return Err(Ending::MasterGone),
                Some(Source::WorkerProcess(key)) => self.reap(key)?,
                Some(Source::WorkerControl(key)) => {
                    self.on_worker_message(key, WORKER_WORDS_PER_TURN)?
                }
                None => invariant!(false, "only tokens of sources are watched"),
            }
        }
        Ok(())
    }

    /// Until the next thing that no descriptor tells; `None` for ever: an idle manager does not
    /// wake up.
    fn timeout(&self) -> Option<Duration> {
        let due = [
            self.supervisor.deadline(),
            self.spare_due(),
            self.reports.due(),
            self.diagnosis.due(),
            self.memory.due(),
            self.master.retry_at(),
        ];
        let at = due.into_iter().flatten().min()?;
        // At least 1 ms, so that a deadline that does not move can never make this loop spin.
        Some(Duration::from_millis(at.saturating_sub(clock::monotonic_ms()).max(1)))
    }

    /// Tells the supervisor what happened and does what it asks for, until nothing follows.
    pub(super) fn tell(&mut self, event: Event) -> Step {
        let mut pending = VecDeque::from([event]);
        while let Some(event) = pending.pop_front() {
            for action in self.supervisor.on(event, clock::monotonic_ms()) {
                pending.extend(self.act(action)?);
            }
        }
        Ok(())
    }

    pub(super) fn say(&mut self, message: &ToMaster) -> Step {
        self.say_with(message, Vec::new())
    }

    pub(super) fn say_with(&mut self, message: &ToMaster, descriptors: Vec<OwnedFd>) -> Step {
        self.master.send(message, descriptors).map_err(|error| {
            tracing::warn!(%error, "cannot reach the master");
            Ending::MasterGone
        })
    }

    fn watch_backlog(&mut self) -> Step {
        let wanted = self.master.interest();
        if wanted != self.watched_for {
            self.epoll.modify(&self.master, Source::Master.token(), wanted)?;
            self.watched_for = wanted;
        }
        Ok(())
    }

    fn hear_master(&mut self) -> Step {
        self.master.flush().map_err(|_| Ending::MasterGone)?;
        for _ in 0..MASTER_MESSAGES_PER_TURN {
            match self.master.receive()? {
                Received::Message(message, descriptors) => {
                    self.on_master_message(message, descriptors)?;
                }
                Received::Nothing => break,
                Received::Closed => return Err(Ending::MasterGone),
            }
        }
        Ok(())
    }

    fn read_signals(&mut self) -> Step {
        while let Some(received) = self.signals.read()? {
            match received.signal {
                signal::CHLD => self.reap_strays()?,
                signal::TERM => {
                    tracing::info!(sender = received.sender_pid, "got SIGTERM");
                    self.say(&ToMaster::ShutdownRequested)?;
                }
                // A terminal sends these to the whole group, the master answers them.
                signal::INT | signal::HUP | signal::QUIT | signal::USR1 => {}
                _ => self.signal_notes.note(received),
            }
        }
        Ok(())
    }

    /// Stops listening to a worker.
    pub(super) fn close_control(&mut self, key: ProcessKey) -> Step {
        if let Some(control) = self.children.get_mut(key).and_then(|child| child.control.take()) {
            self.epoll.remove(control.as_fd())?;
        }
        Ok(())
    }
}
