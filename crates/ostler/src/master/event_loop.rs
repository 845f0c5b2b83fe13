//! The master's main thread: one loop over signals, the listener, the manager and the reactors'
//! reports.

use std::sync::Arc;
use std::time::Duration;

use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::shutdown::{self, Shutdown};
use ostler_core::watchdog::Part;
use ostler_core::{Millis, invariant, succession};

use super::accepting::Accepting;
use super::base::{Base, SeatToken};
use super::certificate_watch::CertificateWatch;
use super::companion::Companion;
use super::figures::MasterFigures;
use super::listening;
use super::managers::Managers;
use super::operator::{OperatorToken, Operators};
use super::orphans::Orphans;
use super::pid_file::PidFile;
use super::poison::Poison;
use super::reactors::Threads;
use super::reload::Reloads;
use super::report::Announcement;
use super::retired::Retired;
use super::sandbox::Confinement;
use super::service::Service;
use super::size::Size;
use super::succession::{Predecessor, Succeeding};
use crate::api::port::Ports;
use crate::control::{Asker, Received, ToManager, ToMaster, ToProcess};
use crate::encryption::Encryption;
use crate::error::{Error, Result};
use crate::log::SignalNotes;
use crate::options::Options;
use crate::reactor::mailbox::{FromReactor, Mailbox, Reports, ToReactor};
use crate::sys::epoll::{Epoll, Events, Interest, Readiness};
use crate::sys::{clock, signal};

const SIGNALS: u64 = 0;
const MANAGER: u64 = 2;
const MANAGER_PIDFD: u64 = 3;
const REPORTS: u64 = 4;
const SPARE_PIDFD: u64 = 5;
pub(super) const COMPANION: u64 = 6;
const CERTIFICATES: u64 = 7;
pub(super) const NEW_MASTER: u64 = 8;
pub(super) const NEW_MASTER_PIDFD: u64 = 9;
pub(super) const PREDECESSOR: u64 = 10;
/// Control messages taken before other events are looked at.
const MESSAGES_MAX: usize = 64;

/// The main thread's state.
pub(super) struct Master {
    pub(super) options: Options,
    pub(super) epoll: Epoll,
    /// What the clients of encrypted ports are shown.
    pub(super) encryption: Encryption,
    pub(super) signals: signal::SignalFd,
    pub(super) signal_notes: SignalNotes,
    pub(super) accepting: Option<Accepting>,
    /// In BASE mode, which has no acceptor here, and no reactor with clients.
    pub(super) base: Option<Base>,
    pub(super) managers: Managers,
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) threads: Threads,
    pub(super) reports: Reports,
    pub(super) shutdown: Shutdown,
    /// What is told of the life of the server.
    pub(super) companion: Option<Companion>,
    /// Who is not started again.
    pub(super) retired: Retired,
    /// Until then at least one worker must have become ready.
    pub(super) boot_deadline: Option<Millis>,
    pub(super) drained: usize,
    pub(super) orphans: Orphans,
    pub(super) exit: Option<Result<()>>,
    /// Why there was no memory for a worker, the last time.
    pub(super) memory_failure: Option<std::io::Error>,
    /// Where clients connect.
    pub(super) ports: Ports,
    /// What this server is called.
    pub(super) name: String,
    /// What its user processes are called, by their slots.
    pub(super) process_names: Vec<String>,
    /// To be told once when the first worker serves.
    pub(super) announcement: Option<Announcement>,
    /// Who started the program as a service, if somebody did.
    pub(super) service: Option<Service>,
    /// How many workers there are to be.
    pub(super) size: Size,
    /// Says when the files of certificates have changed.
    pub(super) certificate_watch: Option<CertificateWatch>,
    /// Who wants new ones.
    pub(super) reloads: Reloads,
    /// Packages that kill workers, if anybody asks for them.
    pub(super) poison: Option<Poison>,
    /// The master whose place this one takes, until that has handed over.
    pub(super) predecessor: Option<Predecessor>,
    /// Those that take the place of this one.
    pub(super) succeeding: Succeeding,
    /// What is told of the server while it runs.
    pub(super) figures: MasterFigures,
    /// What it may still do.
    pub(super) confinement: Confinement,
    /// Removed at the end, if it is ours then.
    pub(super) pid_file: Option<PidFile>,
    /// Who asks and orders from outside.
    pub(super) operators: Option<Operators>,
}

impl Master {
    pub(super) fn run(mut self) -> Result<()> {
        let internal = |error| Error::internal("the master's loop failed", Some(error));
        self.watch_all().map_err(internal)?;
        let mut events = Events::with_capacity(64);
        self.report_start();
        self.tell_figures();
        while self.exit.is_none() {
            self.epoll.wait(&mut events, self.timeout()).map_err(internal)?;
            let now = clock::monotonic_ms();
            for (token, readiness) in events.iter() {
                match token {
                    SIGNALS => self.take_signals(now),
                    MANAGER => {
                        self.take_messages(MESSAGES_MAX, now);
                        if readiness.writable() {
                            self.flush_manager();
                        }
                    }
                    MANAGER_PIDFD => self.manager_lost(now),
                    REPORTS => {
                        if self.take_reports(now)
                            && let Some(accepting) = &mut self.accepting
                        {
                            accepting.resume(&self.epoll);
                        }
                    }
                    SPARE_PIDFD => self.spare_lost(),
                    COMPANION => self.on_companion(now),
                    CERTIFICATES => self.on_certificate_files(now),
                    NEW_MASTER => self.on_new_master(readiness.writable(), now),
                    NEW_MASTER_PIDFD => self.new_master_ended(now),
                    PREDECESSOR => self.on_predecessor(readiness.writable(), now),
                    _ => self.on_numbered(token, readiness, now),
                }
            }
            self.run_due(now);
            self.tell_figures();
        }
        self.finish()
    }

    /// Something of which there are many happened.
    fn on_numbered(&mut self, token: u64, readiness: Readiness, now: Millis) {
        if let Some(operator) = OperatorToken::unpack(token) {
            return self.on_operator(operator, readiness, now);
        }
        match (SeatToken::unpack(token), listening::port_of(token)) {
            (Some(seat), _) => self.on_seat(seat, now),
            (None, Some(port)) => self.accept(port, now),
            _ => invariant!(false, "what the master watches has a token"),
        }
    }

    /// How long nothing is due.
    fn timeout(&self) -> Option<Duration> {
        let deadlines = [
            self.shutdown.deadline(),
            self.boot_deadline,
            self.managers.promotion_deadline(),
            self.accepting.as_ref().and_then(Accepting::due),
            self.service_due(),
            self.certificate_watch.as_ref().and_then(CertificateWatch::due),
            self.succeeding.due(),
            self.succeeding.retry_at,
            self.predecessor.as_ref().and_then(Predecessor::due),
            self.size_due(),
            self.managers.current.channel.retry_at(),
            self.base.as_ref().and_then(Base::retry_at),
            self.companion.as_ref().and_then(Companion::retry_at),
            self.operators.as_ref().and_then(Operators::due),
        ];
        let deadline = deadlines.into_iter().flatten().min()?;
        Some(Duration::from_millis(deadline.saturating_sub(clock::monotonic_ms())))
    }

    fn watch_all(&mut self) -> std::io::Result<()> {
        self.epoll.add(&self.signals, SIGNALS, Interest::READ)?;
        self.epoll.add(self.reports.queue.bell(), REPORTS, Interest::BELL)?;
        // Clients of somebody else are accepted when this master can serve them.
        if self.predecessor.is_none()
            && let Some(accepting) = &mut self.accepting
        {
            accepting.begin(&self.epoll)?;
        }
        if let Some(watch) = &self.certificate_watch {
            self.epoll.add(watch, CERTIFICATES, Interest::READ)?;
        }
        self.watch_operators()?;
        self.watch_manager()
    }

    pub(super) fn watch_manager(&mut self) -> std::io::Result<()> {
        self.epoll.add(&self.managers.current.channel, MANAGER, Interest::READ)?;
        self.epoll.add(&self.managers.current.pidfd, MANAGER_PIDFD, Interest::READ)?;
        self.watch_spare()
    }

    fn watch_spare(&self) -> std::io::Result<()> {
        match &self.managers.spare {
            Some(spare) => self.epoll.add(&spare.pidfd, SPARE_PIDFD, Interest::READ),
            None => Ok(()),
        }
    }

    // ---- events
    // ---------------------------------------------------------------------------------------------

    pub(super) fn take_messages(&mut self, at_most: usize, now: Millis) {
        for _ in 0..at_most {
            match self.managers.current.channel.receive() {
                Ok(Received::Message(message, descriptors)) => {
                    self.managers.on_word();
                    self.on_message(message, descriptors, now);
                }
                // What follows a close is told by the pidfd.
                Ok(Received::Nothing | Received::Closed) => return,
                Err(error) => {
                    tracing::error!(%error, "the manager's message cannot be read");
                    // One that makes no sense is gone; the next may be its spare.
                    if error.kind() != std::io::ErrorKind::InvalidData {
                        return;
                    }
                }
            }
        }
    }

    fn on_message(
        &mut self,
        message: ToMaster,
        descriptors: Vec<std::os::fd::OwnedFd>,
        now: Millis,
    ) {
        match message {
            ToMaster::Spare { pid } => {
                if let Some(old) = &self.managers.spare {
                    let _ = self.epoll.remove(&old.pidfd);
                }
                self.managers.set_spare(pid, descriptors);
                if let Err(error) = self.watch_spare() {
                    tracing::error!(%error, "cannot watch the spare manager");
                }
            }
            ToMaster::SpareFailed { errno } => spare_failed(errno),
            ToMaster::Need(key) => self.make_memory(key),
            ToMaster::Spawned { worker, pid } => self.on_spawned(worker, pid, descriptors),
            ToMaster::Serve { serve, leave } => self.on_serve(serve, leave),
            ToMaster::Leave(key) => {
                if !self.companion_stays(key) {
                    self.let_leave(key);
                }
            }
            ToMaster::Release(key) => {
                self.managers.note_gone(key);
                self.release(key);
            }
            ToMaster::Cause(key, cause) => {
                self.companion_notes_cause(key, cause);
                self.poison_notes_cause(key, cause);
            }
            ToMaster::DiedIn(callback) => self.poison_notes_callback(callback),
            ToMaster::Died(notice) => {
                self.poison_hears_of_death(notice.worker, now);
                self.companion_hears_of_death(notice);
                if !notice.expected {
                    self.figures.process_died(notice.worker);
                }
                self.managers.note_gone(notice.worker);
                self.release(notice.worker);
                self.look_for_drained(now);
            }
            ToMaster::Retired(key) => self.retired.note(key),
            ToMaster::ReloadStarted { requests } => self.on_reload_started(requests),
            ToMaster::ReloadSlots(part) => self.on_reload_slots(part),
            ToMaster::ReloadFinished { outcome, why } => self.on_reload_finished(outcome, why),
            ToMaster::RenewalWhy(why) => self.on_renewal_why(why),
            ToMaster::Renewed { kind, ticket, outcome } => self.on_renewed(kind, ticket, outcome),
            ToMaster::WantReload { worker, ticket } => {
                let _ = self.reload(Asker::Process { worker, ticket });
            }
            ToMaster::NobodyStarts(why) => self.on_nobody_starts(why),
            ToMaster::Resized(workers) => self.on_resized(workers),
            ToMaster::Busy(workers) => self.on_busy(workers, now),
            ToMaster::WantWorkers { workers, worker } => {
                let _ = self.set_workers(workers, &worker.to_string());
            }
            ToMaster::ShutdownRequested => self.on_shutdown(shutdown::Event::Requested, now),
            ToMaster::Finished => self.on_shutdown(shutdown::Event::WorkersGone, now),
            ToMaster::GoesOn => self.service_goes_on(Part::Manager),
            ToMaster::Late { worker, session } => {
                self.tell_all(|| ToReactor::Late { key: worker, session });
                self.send(&ToManager::LateIsKnown(worker), Vec::new());
            }
        }
    }

    fn on_spawned(&mut self, key: ProcessKey, pid: i32, descriptors: Vec<std::os::fd::OwnedFd>) {
        tracing::debug!(worker = %key, pid, "forked");
        self.companion_notes_pid(key, pid);
        self.figures.process_started();
        self.managers.note_spawned(key);
        if let Err(error) = self.watch_worker(key, descriptors) {
            // It will not serve, see `on_serve`.
            tracing::error!(worker = %key, %error, "cannot watch a worker, it is replaced");
            self.send(&ToManager::Condemn(key), Vec::new());
        }
    }

    /// Sends a worker's pidfd to every reactor.
    fn watch_worker(
        &mut self,
        key: ProcessKey,
        descriptors: Vec<std::os::fd::OwnedFd>,
    ) -> std::io::Result<()> {
        let missing = || std::io::Error::other("its pidfd did not come, no descriptors left");
        let pidfd = descriptors.into_iter().next().ok_or_else(missing)?;
        for mailbox in &self.mailboxes {
            mailbox.push(ToReactor::Spawned(key, pidfd.try_clone()?));
        }
        self.watch_process(key, pidfd)?;
        self.managers.note_watched(key);
        Ok(())
    }

    fn on_serve(&mut self, serve: ProcessKey, leave: Option<ProcessKey>) {
        if !self.managers.is_watched(serve) {
            // A reactor that cannot see the worker's death must not give it packages: their
            // sessions would wait for ever.
            tracing::error!(worker = %serve, "does not serve, because nobody could see its death");
            if let Some(leave) = leave {
                self.let_leave(leave);
            }
            self.send(&ToManager::Condemn(serve), Vec::new());
            return;
        }
        if let Some(leave) = leave {
            self.managers.note_leaves(leave);
            self.figures.process_leaves(leave);
        }
        if serve.kind == ProcessKind::Task {
            self.tell_all(|| ToReactor::Serve { serve, leave });
            if let Some(leave) = leave {
                self.tell_process(leave, ToProcess::Leave);
            }
            tracing::info!(worker = %serve, "takes tasks");
            return;
        }
        if !serve.kind.serves_sessions() {
            tracing::info!(process = %serve, name = self.name_of(serve), "runs");
            return self.companion_runs(serve);
        }
        self.boot_deadline = None;
        self.note_serving(serve.slot.0);
        self.tell_all(|| ToReactor::Serve { serve, leave });
        self.serve_and_leave(serve, leave);
        self.service_serves(serve, leave);
        // After the reactors know, so that who reads the line is served by this worker.
        tracing::info!(worker = %serve, "serves");
        self.announce();
    }

    /// True when a connection was closed that the acceptor waits for.
    fn take_reports(&mut self, now: Millis) -> bool {
        let mut closed = false;
        for report in self.reports.queue.take() {
            match report {
                FromReactor::Condemned(key, why) => {
                    tracing::debug!(worker = %key, why, "condemned");
                    self.tell_all(|| ToReactor::Condemn(key));
                    self.send(&ToManager::Condemn(key), Vec::new());
                }
                // The switch of BASE mode has no sessions: those who have tell it themselves.
                FromReactor::Drained if self.base.is_some() => {}
                FromReactor::Drained => {
                    self.drained += 1;
                    if self.drained == self.mailboxes.len() {
                        self.on_shutdown(shutdown::Event::SessionsDrained, now);
                    }
                }
                FromReactor::Deserted(reactor) => self.note_deserted(reactor, now),
                FromReactor::Offer(offer) => self.pass_offer(*offer, now),
                FromReactor::Given { reactor, offer, given } => {
                    self.pass_given(reactor, offer, given, now);
                }
                FromReactor::ClientsWait => self.clients_wait(),
                FromReactor::Closed => closed = true,
                FromReactor::Settled(key, suspect) => self.poison_settled(key, suspect, now),
                FromReactor::GoesOn(index) => self.service_goes_on(Part::Reactor(index)),
                FromReactor::Lags(told) => self.reactor_lags(told),
                FromReactor::CallAnswered(call, answer) => self.call_answered(call, answer, now),
                FromReactor::Failed(index, error) => {
                    let what = format!("reactor {index} failed");
                    self.exit = Some(Err(Error::internal(what, Some(error))));
                }
            }
        }
        closed
    }

    fn run_due(&mut self, now: Millis) {
        self.tell_refused_calls();
        self.tell_again(now);
        self.run_service(now);
        self.look_at_certificates(now);
        self.look_at_workers(now);
        self.run_operators(now);
        if let Some(accepting) = &mut self.accepting {
            accepting.run_due(now, &self.epoll);
        }
        if self.managers.promotion_failed(now) {
            let why = "the manager ended, and its spare did not take its place";
            self.exit = Some(Err(Error::managers_lost(why)));
        }
        if self.shutdown.deadline().is_some_and(|deadline| now >= deadline) {
            self.on_shutdown(shutdown::Event::Tick, now);
        }
        if self.succeeding.due().is_some_and(|deadline| now >= deadline) {
            self.on_succession(succession::Event::Tick, &"", now);
        }
        self.new_master_due(now);
        self.predecessor_due(now);
        if self.boot_deadline.is_some_and(|deadline| now >= deadline) {
            self.boot_deadline = None;
            let wanted = usize::from(self.options.workers);
            self.exit = Some(Err(Error::never_ready(0, wanted, self.options.boot_timeout_ms)));
        }
        // Behind all that says something to processes.
        if let Some(base) = &mut self.base {
            base.watch_links(&self.epoll);
        }
    }

    // ---- helpers
    // ---------------------------------------------------------------------------------------------

    /// A message to the manager. When it cannot be reached its pidfd will say so.
    pub(super) fn send(&mut self, message: &ToManager, descriptors: Vec<std::os::fd::OwnedFd>) {
        if let Err(error) = self.managers.current.channel.send(message, descriptors) {
            tracing::debug!(%error, "the manager cannot be reached");
        }
        self.watch_backlog();
    }

    /// Sends what waits for something that nothing tells of.
    fn tell_again(&mut self, now: Millis) {
        if self.managers.current.channel.retry_at().is_some_and(|at| now >= at) {
            self.flush_manager();
        }
        if let Some(base) = &mut self.base {
            base.tell_again(now);
        }
        if let Some(companion) = &mut self.companion {
            companion.tell_again(now, &self.epoll);
        }
    }

    fn flush_manager(&mut self) {
        let _ = self.managers.current.channel.flush();
        self.watch_backlog();
    }

    fn watch_backlog(&mut self) {
        let channel = &self.managers.current.channel;
        let _ = self.epoll.modify(channel, MANAGER, channel.interest());
    }

    pub(super) fn tell_all(&self, message: impl Fn() -> ToReactor) {
        for mailbox in &self.mailboxes {
            mailbox.push(message());
        }
    }
}

fn spare_failed(errno: i32) {
    let error = std::io::Error::from_raw_os_error(errno);
    tracing::error!(%error, "no spare manager; the manager tries again");
}
