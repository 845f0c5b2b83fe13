//! The supervisor: which worker process should exist in which slot, and what to do about it.
//!
//! **Responsible for:** filling every slot with one serving process, replacing processes without a
//! gap (reload, recycling), pausing after failed boots, deadlines of booting and leaving processes,
//! and the end of all of them at shutdown.
//!
//! **Must never:** do I/O, read a clock, draw random numbers, panic, fork after a shutdown request,
//! name a process by anything but its [`ProcessKey`], or react to an event with a fixed answer. An
//! event only changes what is known; then *wanted* is compared with *actual* for every slot
//! (level-triggered). So a lost or doubled event can delay a step, but it
//! cannot start a second process in a slot (S6) or leave a slot empty for ever (S5, S10).
//!
//! Processes of one kind are a `group`: slots, reloads, recycling, pauses and restart intensity are
//! each group's own. Among groups only the order of the end is decided: one after another.
//!
//! One file per idea: `process` (one process), `slot` (the up to three of a slot), `group` (slots
//! of a kind), `death` (what an exit or a failed start means), `backoff`, `reload`, `recycle`,
//! `intensity`, `size` (how many slots are filled), `shutdown`, `single` (groups whose processes
//! are not alike), `renewal` (their part in reloads).

mod backoff;
mod death;
mod group;
mod intensity;
mod process;
mod recycle;
mod reload;
mod renewal;
mod shutdown;
mod single;
mod size;
mod slot;
#[cfg(test)]
mod tests;
mod types;

pub use types::{
    Code, Event, Exit, GroupSettings, KillCause, LeaveReason, ReloadOutcome, Restart, Settings,
    SingleSettings, SupervisorAction,
};

use crate::Millis;
use crate::ids::{ProcessKey, ProcessKind, Slot};
use group::Group;
use shutdown::Ending;

/// The supervisor of all groups of processes (S5 to S18).
///
/// The driver calls [`Supervisor::start`] once, tells every event through [`Supervisor::on`],
/// carries out the actions in order, and sends [`Event::Tick`] when [`Supervisor::deadline`] has
/// come. Nothing here returns an error: what fails is told by events and answered by actions.
///
/// Work per event is O(slots), memory O(slots + deaths within `restart_period_ms`).
#[derive(Debug)]
pub struct Supervisor {
    /// In the order in which they stop.
    groups: Vec<Group>,
    ending: Ending,
}

impl Supervisor {
    /// Makes a supervisor for the slots of `settings`, all empty; nothing starts before
    /// [`Supervisor::start`].
    ///
    /// Settings are taken as they are, none makes it misbehave: `slots` 0 is a server without
    /// processes of that kind, `recycle_at_once` 0 counts as 1 (else a worker could never be
    /// recycled).
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let groups = settings.into_stop_order().map(|(kind, group)| Group::new(kind, group));
        Self { groups: groups.collect(), ending: Ending::Running }
    }

    /// Begins to fill the slots; all of them at once, those first that stop last. A second call
    /// changes nothing.
    ///
    /// `now` is in milliseconds on the clock that [`Supervisor::on`] uses; actions are appended to
    /// `out`.
    pub fn start(&mut self, now: Millis, out: &mut Vec<SupervisorAction>) {
        for group in self.groups.iter_mut().rev() {
            group.pass_to(now);
            group.start();
            group.reconcile(out);
        }
        self.reconcile(out);
    }

    /// Takes one event in and appends what is to be done to `out`, in order.
    ///
    /// `now` is in milliseconds on a monotonic clock; one that jumps backwards is taken as standing
    /// still. Events about processes that are not known (any more), or that make no sense in the
    /// phase of their process, are ignored (S6, S15).
    pub fn on(&mut self, event: Event, now: Millis, out: &mut Vec<SupervisorAction>) {
        for group in &mut self.groups {
            group.pass_to(now);
        }
        match event {
            Event::Tick => {}
            Event::MemoryReady(key) => self.of(key, |group| group.memory_ready(key, out)),
            Event::MemoryFailed(key) => self.of(key, |group| group.memory_failed(key, out)),
            Event::Forked(key) => self.of(key, |group| group.forked(key, out)),
            Event::ForkFailed(key) => self.of(key, |group| group.fork_failed(key, out)),
            Event::Ready(key) => self.of(key, |group| group.ready(key, out)),
            Event::TookDelivery(key) => self.of(key, |group| group.took_delivery(key)),
            Event::LeaveRequested(key, reason) => {
                self.of(key, |group| group.leave_requested(key, reason));
            }
            Event::Condemned(key) => {
                self.of(key, |group| group.kill(key, KillCause::Condemned, out))
            }
            Event::TooLarge(key) => self.of(key, |group| group.kill(key, KillCause::Memory, out)),
            Event::RequestLate(key) => {
                self.of(key, |group| group.kill(key, KillCause::RequestDeadline, out));
            }
            Event::StandsStill(key) => {
                self.of(key, |group| group.kill(key, KillCause::Stopped, out));
            }
            Event::Exited(key, exit) => self.of(key, |group| group.exited(key, exit, out)),
            Event::Retired(key) => self.of(key, |group| group.retired(key)),
            Event::Resize(kind, wanted) => self.resize(kind, wanted),
            Event::ReloadRequested => self.reload_requested(out),
            Event::RenewalRequested(kind, slot) => self.renewal_requested(kind, slot, out),
            Event::Draining => self.groups.iter_mut().for_each(|group| group.draining = true),
            Event::ShutdownRequested { now } => self.shutdown_requested(now, out),
        }
        self.reconcile(out);
    }

    /// When [`Event::Tick`] is due, in milliseconds on the clock of `now`; always later than the
    /// last `now`. `None` when only an event can change anything: an idle server has no wake-ups.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.groups.iter().filter_map(Group::deadline).min()
    }

    /// Compares wanted with actual and closes the gap as far as it can be closed now.
    fn reconcile(&mut self, out: &mut Vec<SupervisorAction>) {
        let mut has_reloaded = false;
        for group in &mut self.groups {
            group.reconcile(out);
            let has_finished = std::mem::take(&mut group.has_reloaded);
            has_reloaded |= has_finished && !group.settings.reloads_behind;
        }
        if has_reloaded {
            for group in &mut self.groups {
                group.reload_behind();
                group.follow_reload();
                group.reconcile(out);
            }
        }
        self.stop_in_turn(out);
    }

    /// There are to be so many processes of a kind.
    fn resize(&mut self, kind: ProcessKind, wanted: u16) {
        match self.groups.iter_mut().find(|group| group.kind == kind) {
            Some(group) => group.resize(wanted),
            None => crate::invariant!(false, "each kind of process has its group"),
        }
    }

    /// A user asked. A server that ends answers at once. Single processes, and those that reload
    /// behind others, follow when the others are through.
    fn reload_requested(&mut self, out: &mut Vec<SupervisorAction>) {
        for group in self.groups.iter_mut().filter(|group| group.leads_reloads()) {
            if self.ending == Ending::Running {
                group.reload_requested();
            } else {
                let outcome = ReloadOutcome::ShuttingDown;
                out.push(SupervisorAction::ReloadFinished(group.kind, outcome));
            }
        }
    }

    /// A user asked for the processes of a kind to be replaced, or for one.
    fn renewal_requested(
        &mut self,
        kind: ProcessKind,
        slot: Option<Slot>,
        out: &mut Vec<SupervisorAction>,
    ) {
        let group = self.groups.iter_mut().find(|group| group.kind == kind);
        let refused = if self.ending != Ending::Running {
            Some(ReloadOutcome::ShuttingDown)
        } else if group.is_some_and(|group| group.want_renewal(slot)) {
            None
        } else {
            Some(ReloadOutcome::NothingToReload)
        };
        out.extend(refused.map(|outcome| SupervisorAction::ReloadFinished(kind, outcome)));
    }

    /// Does something with the group of a process.
    fn of(&mut self, key: ProcessKey, act: impl FnOnce(&mut Group)) {
        match self.groups.iter_mut().find(|group| group.kind == key.kind) {
            Some(group) => act(group),
            None => crate::invariant!(false, "each kind of process has its group"),
        }
    }
}
