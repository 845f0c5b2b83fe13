//! A new master takes the place of this one (USR2): the program as it lies on disk now is started
//! beside this one and gets its listeners, and when one of its workers serves, this one accepts
//! nobody any more and ends with its last session.
//!
//! **Responsible for:** starting the new master, telling it what it gets, and handing over; until
//! that moment nothing has changed for anybody. When that is, [`Succession`] decides.
//!
//! **Must never:** wait for the new master, or stop accepting before it serves.
//! (`docs/decisions/66-a-new-master-takes-the-listeners.md`)

mod ends;
mod hand_over;
mod kept_places;
mod origin;
mod predecessor;
mod take_over;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::os::fd::{AsFd as _, OwnedFd};

use ostler_core::Millis;
use ostler_core::shutdown;
use ostler_core::succession::{Event, Succession, SuccessionAction};

pub(super) use origin::Origin;
pub(super) use predecessor::Predecessor;

use super::event_loop::{Master, NEW_MASTER, NEW_MASTER_PIDFD, PREDECESSOR};
use super::ports::Estate;
use super::start;
use crate::control::{
    Channel, FromNewMaster, LISTENERS_PER_MESSAGE_MAX, Received, SUCCESSION_PROTOCOL, ToNewMaster,
};
use crate::manager::{ManagerSetup, check_program};
use crate::options::{Options, SuccessionSessions};
use crate::reactor::mailbox::ToReactor;
use crate::sys::descriptor::PASSED_VARIABLES;
use crate::sys::epoll::Interest;
use crate::sys::new_program::NewProgram;
use crate::sys::notify_socket::WATCHDOG_VARIABLES;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, ProcessId};
use crate::sys::{clock, control_socket, sealed_file};

/// How much longer a new master may take than its workers may take to boot, or to end.
const START_MS: Millis = 5_000;

/// Messages of a new master that are taken before other events are looked at.
const WORDS_MAX: usize = 64;

/// What the environment says of this process alone. Whoever is in charge gives signs of life.
const OF_THIS_PROCESS: [&str; 4] = {
    let [pid, count, names] = PASSED_VARIABLES;
    [pid, count, names, WATCHDOG_VARIABLES[1]]
};

/// What the master has to do with those that follow it.
pub(super) struct Succeeding {
    state: Succession,
    origin: Origin,
    /// Until nobody is accepted any more.
    estate: Option<Estate>,
    /// What the program had, if this master has something else.
    oom_adjustment: Option<i32>,
    new: Option<NewMaster>,
    /// Sessions go to it.
    hands_over: bool,
    /// What this master needed to make workers, and has given away.
    rights_are_gone: bool,
    /// Reactors that have said that they have no session left, since a new master accepts.
    deserted: BTreeSet<usize>,
    /// What waits to be told to it is tried again then.
    pub(super) retry_at: Option<Millis>,
}

/// The new master, until it is reaped.
struct NewMaster {
    pid: ProcessId,
    pidfd: PidFd,
    /// Until it has taken over what it takes.
    channel: Option<Channel<ToNewMaster, FromNewMaster>>,
}

impl Succeeding {
    /// A master that nobody follows yet. In BASE mode there is no estate.
    pub(super) fn new(
        options: &Options,
        origin: Origin,
        estate: Option<Estate>,
        setup: &ManagerSetup,
    ) -> Self {
        let start_ms = options.boot_timeout_ms.saturating_add(START_MS);
        let end_ms = options.shutdown_timeout_ms.saturating_add(options.stop_timeout_ms());
        let end_ms = end_ms.saturating_add(START_MS);
        let state = Succession::new(start_ms, options.succession_timeout_ms, end_ms);
        Self {
            state,
            origin,
            estate,
            oom_adjustment: setup.resources.oom_adjustment_before(),
            new: None,
            hands_over: false,
            rights_are_gone: setup.capabilities != 0,
            deserted: BTreeSet::new(),
            retry_at: None,
        }
    }

    /// Whether another master is in charge.
    pub(super) const fn has_left(&self) -> bool {
        self.state.has_left()
    }

    /// When [`Event::Tick`] is due.
    pub(super) const fn due(&self) -> Option<Millis> {
        self.state.deadline()
    }

    /// The new master, until it is reaped.
    pub(super) fn new_master(&self) -> Option<(ProcessId, &PidFd)> {
        self.new.as_ref().map(|new| (new.pid, &new.pidfd))
    }

    /// This master is in charge: what the one before it has lent is its own.
    pub(super) fn estate_is_ours_now(&mut self, options: &Options) {
        if let Some(estate) = &mut self.estate {
            estate.is_ours_now(options);
        }
    }

    /// Nobody is accepted any more, and nobody takes over: paths of sockets go that are our own.
    pub(super) fn drop_estate(&mut self) {
        self.estate = None;
    }
}

impl Master {
    /// The process `sender` wants a new master.
    ///
    /// # Errors
    /// Why none can be started, which the log says, too. What becomes of one that is started, is
    /// told later.
    pub(super) fn ask_for_succession(
        &mut self,
        sender: u32,
        now: Millis,
    ) -> Result<(), &'static str> {
        if let Some(why) = self.why_no_succession() {
            tracing::warn!(sender, why, "no new master is started");
            return Err(why);
        }
        tracing::info!(sender, "a new master is to take over");
        self.on_succession(Event::Asked, &"", now);
        Ok(())
    }

    /// Why a master that is asked for now would be refused because of the one that was asked for.
    pub(super) fn why_nobody_else_succeeds(&self) -> Option<String> {
        let pid = self.succeeding.new.as_ref().map_or(0, |new| new.pid.get());
        if self.succeeding.state.has_left() {
            Some("another master is in charge already: ask that one".to_owned())
        } else if self.shutdown.has_begun() {
            Some("the server ends".to_owned())
        } else if self.succeeding.state.is_starting() {
            Some(format!("a new master starts already, process {pid}: ask when that is over"))
        } else if self.succeeding.state.is_declined() {
            Some(format!("a new master was told to end, process {pid}: ask when it has ended"))
        } else {
            None
        }
    }

    fn why_no_succession(&self) -> Option<&'static str> {
        if self.base.is_some() {
            Some("in BASE mode clients are the workers', who cannot hand them over: restart it")
        } else if process::current().get() == 1 {
            Some("process 1 cannot be followed by another: start a new container")
        } else if self.confinement.is_on() {
            Some("its sandbox lets it start no program: restart it")
        } else if self.succeeding.rights_are_gone {
            Some(
                "it has given away the rights by which workers become another user's \
                 (master_user), and a new master would not have them: restart it",
            )
        } else if !self.options.master_user.is_empty() && !self.options.no_new_privileges {
            Some(
                "programs that it starts gain no rights (master_user), so those of the new \
                 master's workers could not either: set no_new_privileges = true, or restart it",
            )
        } else if !self.process_names.is_empty() {
            Some("its user processes would run twice: restart it")
        } else if !self.options.task_journal.is_empty() {
            Some("its task_journal belongs to one master at a time: restart it")
        } else if start::binds_several() {
            Some("this program binds several servers: restart it")
        } else if self.shutdown.has_begun() {
            Some("the server ends")
        } else if self.announcement.is_some() || self.takes_over() {
            Some("the server starts, no worker serves yet")
        } else {
            None
        }
    }

    /// One step; `why` says why a new master is lost.
    pub(super) fn on_succession(&mut self, event: Event, why: &dyn Display, now: Millis) {
        match self.succeeding.state.on(event, now) {
            None => {}
            Some(SuccessionAction::Start) => {
                if let Err(problem) = self.start_new_master() {
                    self.on_succession(Event::Lost, &problem, now);
                }
            }
            Some(SuccessionAction::Refuse) => {
                let pid = self.succeeding.new.as_ref().map(|new| new.pid.get());
                tracing::warn!(pid, "a new master is there already, another one is not started");
            }
            Some(SuccessionAction::GoOn { too_late }) => {
                let too_late = too_late.map(ends::too_late);
                let why: &dyn Display = too_late.as_ref().map_or(why, |text| text as &dyn Display);
                tracing::warn!(%why, "the new master did not take over, this one goes on");
                self.end_new_master();
                self.operators_hear_of_succession(Err(why), now);
            }
            Some(SuccessionAction::HandOver) => self.hand_over(now),
            Some(SuccessionAction::End { timed_out }) => {
                let open = self.open_connections();
                if timed_out {
                    tracing::warn!(open, "succession_timeout_ms is over, sessions are closed");
                } else {
                    tracing::info!("the last session has ended, and with it this master");
                }
                self.on_shutdown(shutdown::Event::Requested, now);
            }
        }
    }

    /// What it gets waits in its socket before it is started.
    fn start_new_master(&mut self) -> Result<(), String> {
        if self.succeeding.new.is_some() {
            return Err("the one before it has not ended yet".to_owned());
        }
        let path = self.succeeding.origin.path.clone()?;
        check_program(&path)?;
        let fail = |error: std::io::Error| format!("{}: {error}", path.display());
        let (near, far) = control_socket::pair().map_err(fail)?;
        let mut channel = Channel::new(near);
        self.send_estate(&mut channel).map_err(fail)?;
        let origin = &self.succeeding.origin;
        let program = NewProgram {
            path: &path,
            arguments: &origin.arguments,
            directory: origin.directory.as_deref(),
            passed: far.as_fd(),
            variable: predecessor::VARIABLE,
            without: &OF_THIS_PROCESS,
            // A service manager that is told the number of its main process waits for the end of a
            // child of its own only, and kills all of the service at once that has another one.
            as_sibling: self.service.is_some(),
        };
        let started = program.start().map_err(fail)?;
        let (pid, pidfd) = (started.pid(), started.into_pidfd());
        match self.watch_started(&pidfd, &channel) {
            Ok(()) => {
                self.orphans.let_alone(pid);
                let program = path.display();
                tracing::info!(pid = pid.get(), %program, "a new master is started");
                self.succeeding.new = Some(NewMaster { pid, pidfd, channel: Some(channel) });
                self.watch_new_master(clock::monotonic_ms());
                Ok(())
            }
            Err(error) => {
                // Nobody would see its end, and it has our listeners.
                let _ = pidfd.kill();
                if self.service.is_none() {
                    self.orphans.adopt(pid);
                }
                Err(fail(error))
            }
        }
    }

    fn watch_started(
        &self,
        pidfd: &PidFd,
        channel: &Channel<ToNewMaster, FromNewMaster>,
    ) -> std::io::Result<()> {
        self.epoll.add(channel, NEW_MASTER, Interest::READ)?;
        self.epoll.add(pidfd, NEW_MASTER_PIDFD, Interest::READ)
    }

    fn send_estate(
        &self,
        channel: &mut Channel<ToNewMaster, FromNewMaster>,
    ) -> std::io::Result<()> {
        let estate = self.succeeding.estate.as_ref().ok_or(std::io::ErrorKind::NotFound)?;
        let mut listeners = estate.listeners()?;
        let mut will = vec![sealed_file::create("ostler-listeners", &estate.list())?];
        let newest_session = Some(self.reports.places.newest());
        will.push(sealed_file::create("ostler-open", &self.sessions_that_may_go())?);
        if let Some(pid_file) = &self.pid_file {
            will.push(pid_file.pass_on()?);
        }
        let message = ToNewMaster::Will {
            protocol: SUCCESSION_PROTOCOL,
            listeners: u16::try_from(listeners.len()).unwrap_or(u16::MAX),
            has_pid_file: self.pid_file.is_some(),
            oom_adjustment: self.succeeding.oom_adjustment,
            newest_session,
        };
        channel.send(&message, will)?;
        while !listeners.is_empty() {
            let rest = listeners.split_off(listeners.len().min(LISTENERS_PER_MESSAGE_MAX));
            let some: Vec<OwnedFd> = std::mem::replace(&mut listeners, rest);
            channel.send(&ToNewMaster::Listeners, some)?;
        }
        Ok(())
    }

    /// The new master has said something, or can be told more.
    pub(super) fn on_new_master(&mut self, writable: bool, now: Millis) {
        if writable {
            self.flush_to_new_master(now);
        }
        for _ in 0..WORDS_MAX {
            let Some(channel) = self.channel_of_new() else { return };
            match channel.receive() {
                Ok(Received::Message(FromNewMaster::Serves { takes_over }, _)) => {
                    self.new_master_serves(takes_over, now);
                }
                Ok(Received::Message(FromNewMaster::Wanted { reactor, offer, answer }, _)) => {
                    self.pass_answer(reactor, offer, answer);
                }
                Ok(Received::Nothing) => return,
                // Its end is told by its pidfd.
                Ok(Received::Closed) => return self.new_master_says_no_more(now),
                Err(error) if self.succeeding.state.has_left() => {
                    tracing::error!(%error, "what the new master says is not understood");
                    // One that makes no sense is gone; the next may be better.
                    if error.kind() != std::io::ErrorKind::InvalidData {
                        return self.new_master_says_no_more(now);
                    }
                }
                Err(error) => return self.on_succession(Event::Lost, &error, now),
            }
        }
    }

    /// A worker of the new master serves. Said again it changes nothing: reactors were told.
    fn new_master_serves(&mut self, takes_over: bool, now: Millis) {
        if !self.succeeding.state.is_starting() {
            return;
        }
        // What it has said may outlive it, and be heard before its end.
        self.new_master_ended(now);
        let Some(pid) = self.succeeding.new.as_ref().map(|new| new.pid.get()) else { return };
        self.succeeding.hands_over =
            takes_over && self.options.succession_sessions == SuccessionSessions::HandOver;
        // In this order: the service manager listens to one process, and the new one tells it
        // nothing before it is in charge.
        self.service_names(pid);
        let told = self
            .channel_of_new()
            .map_or(Ok(()), |channel| channel.send(&ToNewMaster::InCharge, Vec::new()));
        match told {
            Ok(()) => self.on_succession(Event::Serves, &"", now),
            // Nothing was given away yet. It was told to end, or dies just now: its pidfd says when
            // it has ended, and until then it serves whom it has.
            Err(error) => {
                tracing::debug!(pid, %error, "the new master listens no more");
                self.service_names(process::current().get());
                self.forget_channel();
                self.on_succession(Event::Declined, &"", now);
            }
        }
    }

    fn channel_of_new(&mut self) -> Option<&mut Channel<ToNewMaster, FromNewMaster>> {
        self.succeeding.new.as_mut()?.channel.as_mut()
    }

    fn forget_channel(&mut self) {
        if let Some(channel) = self.succeeding.new.as_mut().and_then(|new| new.channel.take()) {
            let _ = self.epoll.remove(&channel);
        }
    }

    /// The new master is in charge, and knows it.
    fn hand_over(&mut self, now: Millis) {
        let Some(new) = &self.succeeding.new else { return };
        let (pid, open) = (new.pid.get(), self.open_connections());
        tracing::info!(pid, open, "the new master serves, nobody is accepted here any more");
        if let Some(estate) = self.succeeding.estate.take() {
            estate.give_away();
        }
        self.stop_accepting();
        self.send_operators_away(now);
        // Who would still come from the master before this one stays there.
        self.take_nothing_more();
        self.service_hands_over();
        // What it was told may wait.
        self.watch_new_master(now);
        self.succeeding.hands_over &= self.channel_of_new().is_some();
        let hands_over = self.succeeding.hands_over;
        if !hands_over {
            self.forget_channel();
        }
        // Behind that word: what reactors offer comes after it.
        self.tell_all(|| ToReactor::AcceptNoMore { hands_over });
        self.operators_hear_of_succession(Ok(pid), now);
    }

    /// The first worker serves: this is the time to take over, if there is somebody to take over
    /// from.
    pub(super) fn take_over(&mut self) {
        if self.predecessor.is_none() {
            return self.service_is_ready();
        }
        self.appear_to_operators();
        let Some(predecessor) = &mut self.predecessor else { return };
        for mailbox in &self.mailboxes {
            mailbox.push(ToReactor::Accept);
        }
        let takes = self.options.succession_sessions == SuccessionSessions::HandOver;
        predecessor.hear_that_we_serve(takes);
        let interest = predecessor.interest(clock::monotonic_ms());
        let begun = match &mut self.accepting {
            Some(accepting) => accepting.begin(&self.epoll),
            None => Ok(()),
        };
        let watched = begun.and_then(|()| match &self.predecessor {
            Some(predecessor) => self.epoll.add(predecessor, PREDECESSOR, interest),
            None => Ok(()),
        });
        if let Err(error) = watched {
            self.exit = Some(Err(start::fail("cannot watch the listeners", error)));
        }
    }
}
