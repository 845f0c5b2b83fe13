//! What the supervisor and the master ask for.

use std::os::fd::OwnedFd;

use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::invariant;
use ostler_core::supervisor::{Code, Event, Exit, KillCause, ReloadOutcome, SupervisorAction};

use super::diagnosis::Measure;
use super::event_loop::{Driver, Ending, Step};
use super::reaping::Reaped;
use super::report;
use super::spawn::{Gated, LaneDescriptors, fork_process};
use super::token::Source;
use crate::control::{DeathNotice, DyingCallback, ShortText, SlowTurn, ToManager, ToMaster};
use crate::sys::epoll::Interest;
use crate::sys::{clock, signal};

impl Driver<'_> {
    /// Does what the supervisor asks for; answers with what it has to be told at once.
    pub(super) fn act(&mut self, action: SupervisorAction) -> Step<Option<Event>> {
        match action {
            SupervisorAction::NeedMemory(worker) => self.say(&ToMaster::Need(worker))?,
            SupervisorAction::Fork(worker, code) => return self.fork(worker, code).map(Some),
            SupervisorAction::ReleaseMemory(worker) => {
                self.lanes.remove(&worker);
                self.say(&ToMaster::Release(worker))?;
            }
            SupervisorAction::Serve { serve, leave } => {
                self.say(&ToMaster::Serve { serve, leave })?
            }
            SupervisorAction::Leave(worker) => {
                self.say(&ToMaster::Leave(worker))?;
                self.interrupt(worker);
            }
            SupervisorAction::Kill(worker, cause) => self.kill(worker, cause),
            SupervisorAction::Died { worker, exit, killed, took_delivery, expected } => {
                self.died(DeathNotice { worker, exit, killed, took_delivery, expected })?;
            }
            SupervisorAction::Resized(_, slots) => self.say(&ToMaster::Resized(slots))?,
            SupervisorAction::Recycles(worker, reason) => {
                tracing::info!(%worker, because = report::reason(reason), "worker is recycled");
            }
            SupervisorAction::Retired(key) => {
                let name = self.setup.attributes.process_name(key);
                tracing::info!(process = %key, name, "ended for good");
                self.say(&ToMaster::Retired(key))?;
            }
            SupervisorAction::BackOff { kind, slot, failures, retry_after_ms } => {
                // Whether it was ready or not: it ended without having taken anything (decision 9),
                // or it is a single process.
                let slot = format!("{}{slot}", kind.letter());
                tracing::debug!(
                    slot,
                    failures,
                    retry_after_ms,
                    "ended before it served, or for itself: the next one waits"
                );
            }
            SupervisorAction::NobodyBoots(kind) => {
                // A server is one without its other processes, too.
                if kind.serves_sessions() {
                    self.say(&ToMaster::NobodyStarts(self.reports.last_failure(kind)))?;
                }
            }
            SupervisorAction::IntensityExceeded { kind, deaths } => {
                let period_ms = self.setup.settings.of(kind).restart_period_ms;
                let kind = kind.letter();
                tracing::warn!(%kind, deaths, period_ms, "workers die often");
            }
            SupervisorAction::ReloadStarted(kind) => self.reload_started(kind)?,
            SupervisorAction::ReloadSlots(_, slots) => self.reload_slots(slots),
            SupervisorAction::ReloadFinished(kind, outcome) => self.reload_ended(kind, outcome)?,
            SupervisorAction::Finished => return Err(Ending::Finished),
        }
        Ok(None)
    }

    fn died(&mut self, death: DeathNotice) -> Step {
        let reaped = self.reaped.take_if(|reaped| reaped.key == death.worker);
        invariant!(reaped.is_some(), "a death is told when the process was just reaped");
        if let Some((cause, callback)) = reaped.map(|reaped| self.tell_death(&death, &reaped)) {
            let seeks_culprits = self.setup.diagnosis.seeks_culprits;
            if seeks_culprits || self.setup.settings.companion.slots > 0 {
                self.say(&ToMaster::Cause(death.worker, cause))?;
            }
            if let Some(callback) = callback.filter(|_| seeks_culprits) {
                self.say(&ToMaster::DiedIn(callback))?;
            }
        }
        self.say(&ToMaster::Died(death))
    }

    /// Tells a death, and returns the cause, and in which callback it was.
    fn tell_death(
        &mut self,
        death: &DeathNotice,
        reaped: &Reaped,
    ) -> (ShortText, Option<DyingCallback>) {
        let now = clock::monotonic_ms();
        let case = self.diagnosis.on_death(death, reaped, now);
        let name = self.setup.attributes.process_name(death.worker);
        self.reports.death(death, reaped, &case, (now, name));
        let cause = ShortText::new(&case.cause);
        // Whoever was killed by somebody else was killed by no package.
        let is_of_package = case.by_itself || death.killed == Some(KillCause::RequestDeadline);
        let callback = case.dying_callback().filter(|_| is_of_package);
        // Who leaves in good order has not died.
        if !death.expected || death.killed.is_some() || death.exit != Exit::Code(0) {
            self.diagnosis.tell_death(death, case, now, self.setup);
        }
        (cause, callback)
    }

    /// Does what the master asks for.
    pub(super) fn on_master_message(
        &mut self,
        message: ToManager,
        descriptors: Vec<OwnedFd>,
    ) -> Step {
        match message {
            ToManager::Promote { .. } => {
                tracing::warn!("was promoted twice");
                Ok(())
            }
            ToManager::MemoryReady { worker, seat } => {
                let count = descriptors.len();
                let ends = self.setup.attributes.ends;
                let Some(lanes) = LaneDescriptors::new(worker, descriptors, ends, seat) else {
                    // This process may have none left to open them with.
                    tracing::error!(%worker, count, "lane memory with wrong descriptors");
                    self.say(&ToMaster::Release(worker))?;
                    return self.tell(Event::MemoryFailed(worker));
                };
                self.lanes.insert(worker, lanes);
                self.tell(Event::MemoryReady(worker))?;
                // Forked or released by now, unless it was never asked for.
                self.lanes.remove(&worker);
                Ok(())
            }
            ToManager::MemoryFailed(worker) => {
                self.reports.no_memory(worker, clock::monotonic_ms());
                self.tell(Event::MemoryFailed(worker))
            }
            ToManager::Condemn(worker) => {
                tracing::warn!(%worker, "worker wrote nonsense into its lanes");
                self.tell(Event::Condemned(worker))
            }
            ToManager::Retired(key) => self.tell(Event::Retired(key)),
            ToManager::HowManyAreBusy => self.say(&ToMaster::Busy(self.children.busy_workers())),
            ToManager::Resize(workers) => self.tell(Event::Resize(ProcessKind::Event, workers)),
            ToManager::Reload(asker) => self.on_reload_asked(asker),
            ToManager::Renew { kind, ticket } => self.on_renewal_asked(kind, ticket),
            ToManager::Draining => self.tell(Event::Draining),
            ToManager::ReactorLags => {
                match descriptors.first().map(SlowTurn::of_file) {
                    Some(Ok(turn)) => {
                        self.diagnosis.on_slow_turn(turn, clock::monotonic_ms(), self.setup);
                    }
                    Some(Err(error)) => tracing::warn!(%error, "a slow turn cannot be read"),
                    // This process may have no descriptor left.
                    None => tracing::warn!("a slow turn of a reactor came without its file"),
                }
                Ok(())
            }
            ToManager::AreYouThere => self.say(&ToMaster::GoesOn),
            ToManager::LateIsKnown(worker) => {
                let measure = self.diagnosis.on_late_known(worker, &self.children);
                measure.map_or(Ok(()), |measure| self.take_measure(measure))
            }
            ToManager::Shutdown { now } => {
                tracing::info!(now, "workers have to end");
                self.tell(Event::ShutdownRequested { now })
            }
        }
    }

    /// Does what a worker that is late or stopped has to expect.
    pub(super) fn take_measure(&mut self, measure: Measure) -> Step {
        match measure {
            Measure::Announce(worker, session) => self.say(&ToMaster::Late { worker, session }),
            Measure::End(worker) => {
                self.kill_now(worker, KillCause::DrainTimeout);
                Ok(())
            }
            Measure::Kill(worker, KillCause::Stopped) => self.tell(Event::StandsStill(worker)),
            Measure::Kill(worker, _) => self.tell(Event::RequestLate(worker)),
        }
    }

    /// Another program is accepted, or the one that was tried is forgotten.
    pub(super) fn reload_over(&mut self, outcome: ReloadOutcome) {
        let Some(programs) = &mut self.programs else { return };
        if !programs.reload_over(outcome == ReloadOutcome::Done) {
            return;
        }
        tracing::info!("another program is accepted: workers that die are replaced by it");
        match programs.accepted().try_clone() {
            // A spare that cannot be told is replaced by one that knows.
            Ok(program) => self.tell_spare(|guard| guard.accept(&program)),
            Err(error) => tracing::error!(%error, "a spare would start the program before"),
        }
    }

    fn fork(&mut self, worker: ProcessKey, code: Code) -> Step<Event> {
        let Some(lanes) = self.lanes.remove(&worker) else {
            invariant!(false, "a process is forked when its lane memory has just come");
            return Ok(Event::ForkFailed(worker));
        };
        let program = match self.programs.as_mut().map(|programs| programs.of(code)).transpose() {
            Ok(program) => program,
            Err(problem) => {
                self.reports.no_program(worker, &problem, clock::monotonic_ms());
                return Ok(Event::ForkFailed(worker));
            }
        };
        let watched = fork_process(self.setup, worker, lanes, program).and_then(|gated| {
            let pidfd = gated.pidfd().try_clone()?;
            self.watch(worker, &gated)?;
            Ok((gated, pidfd))
        });
        let (gated, pidfd) = match watched {
            Ok(watched) => watched,
            Err(error) => {
                self.reports.no_fork(worker, &error, clock::monotonic_ms());
                return Ok(Event::ForkFailed(worker));
            }
        };
        let pid = gated.pid();
        tracing::debug!(%worker, %pid, "worker forked");
        self.say_with(&ToMaster::Spawned { worker, pid: pid.get() }, vec![pidfd])?;
        self.tell_spare(|guard| guard.add(gated.pidfd()));
        let mut child = gated.open_gate();
        child.inherited_bytes = self.memory.inherited(&child);
        self.children.insert(worker, child);
        Ok(Event::Forked(worker))
    }

    fn watch(&self, worker: ProcessKey, gated: &Gated) -> std::io::Result<()> {
        // Edge: a dead worker that a debugger holds back would be told for ever.
        self.epoll.add(gated.pidfd(), Source::WorkerProcess(worker).token(), Interest::BELL)?;
        let control = Source::WorkerControl(worker).token();
        self.epoll.add(gated.control(), control, Interest::READ).inspect_err(|_| {
            // The worker ends at its gate; its pidfd must not be told of under a key that is no
            // child.
            let _ = self.epoll.remove(gated.pidfd());
        })
    }

    /// A user process may be in a call that does not end, or may have become another program: TERM
    /// says it there, too. What waits in the engine is told by its lane.
    fn interrupt(&self, process: ProcessKey) {
        if process.kind != ProcessKind::User {
            return;
        }
        if let Some(child) = self.children.get(process)
            && let Err(error) = child.pidfd.send(signal::TERM)
        {
            tracing::debug!(%process, %error, "TERM cannot be sent");
        }
    }

    /// Kills a worker; one that should have left is asked first what holds it.
    fn kill(&mut self, worker: ProcessKey, cause: KillCause) {
        match self.children.get(worker).filter(|child| child.is_ready) {
            Some(child) if cause == KillCause::DrainTimeout => {
                self.diagnosis.ask_what_holds(worker, child, clock::monotonic_ms());
            }
            _ => self.kill_now(worker, cause),
        }
    }

    fn kill_now(&self, worker: ProcessKey, cause: KillCause) {
        let Some(child) = self.children.get(worker) else {
            invariant!(false, "only a process that was forked and not reaped is killed");
            return;
        };
        tracing::debug!(%worker, pid = %child.pid, cause = report::cause(cause), "SIGKILL");
        // It has not been reaped, or it were not in the table; but it may have taken on another
        // user id, which an ordinary user cannot signal.
        if let Err(error) = child.pidfd.kill() {
            tracing::error!(%worker, pid = %child.pid, %error, "cannot kill");
        }
    }
}
