//! What the companion is told in more than a word: the end of a reload, a death.

use ostler_core::ids::Slot;
use ostler_core::supervisor::{Exit, ReloadOutcome};

use crate::control::ReloadPart;

/// How a reload ended, for [`ServerEvents::on_after_reload`](crate::ServerEvents::on_after_reload)
/// and for whoever has asked for one ([`ReloadTicket`](crate::ReloadTicket)).
///
/// ```
/// # use ostler::ReloadReport;
/// fn tell(report: &ReloadReport) {
///     match report.stopped_at() {
///         None => println!("every worker is new"),
///         Some(slot) => println!("w{slot} could not be replaced: {}", report.reason()),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadReport {
    outcome: ReloadOutcome,
    reason: String,
    slots: Vec<(Slot, bool)>,
    has_waited: bool,
}

impl Default for ReloadReport {
    /// One that is put together.
    fn default() -> Self {
        let (reason, slots) = (String::new(), Vec::new());
        Self { outcome: ReloadOutcome::NothingToReload, reason, slots, has_waited: false }
    }
}

impl ReloadReport {
    /// More slots are known.
    pub(crate) fn add(&mut self, part: &ReloadPart) {
        self.slots.extend(part.slots());
    }

    /// The reason is known.
    pub(crate) fn give_reason(&mut self, reason: &str) {
        reason.clone_into(&mut self.reason);
    }

    /// All is known; what is put together next is another one.
    pub(crate) fn end(&mut self, outcome: ReloadOutcome, has_waited: bool) -> Self {
        Self { outcome, has_waited, ..std::mem::take(self) }
    }

    /// Whether every worker is new.
    ///
    /// ```
    /// # use ostler::ReloadReport;
    /// fn word(report: &ReloadReport) -> &str {
    ///     if report.is_done() { "deployed" } else { "not deployed" }
    /// }
    /// ```
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outcome == ReloadOutcome::Done
    }

    /// Whether the process of this slot is a new one; `None` when it took no part in the reload.
    ///
    /// ```
    /// # use ostler::ReloadReport;
    /// fn is_first_new(report: &ReloadReport) -> bool {
    ///     report.is_replaced(0) == Some(true)
    /// }
    /// ```
    #[must_use]
    pub fn is_replaced(&self, slot: u16) -> Option<bool> {
        self.slots.iter().find(|(it, _)| it.0 == slot).map(|(_, is_new)| *is_new)
    }

    /// Each slot that took part, and whether its process is a new one.
    ///
    /// ```
    /// # use ostler::ReloadReport;
    /// fn who_is_old(report: &ReloadReport) -> Vec<u16> {
    ///     report.slots().filter(|(_, is_new)| !is_new).map(|(slot, _)| slot).collect()
    /// }
    /// ```
    pub fn slots(&self) -> impl Iterator<Item = (u16, bool)> {
        self.slots.iter().map(|(slot, is_new)| (slot.0, *is_new))
    }

    /// Whether another reload ran when this one was asked for: then it followed that, and is the
    /// answer to everybody who asked meanwhile.
    ///
    /// ```
    /// # use ostler::ReloadReport;
    /// fn hint(report: &ReloadReport) -> &str {
    ///     if report.has_waited() { "somebody else deploys, too" } else { "" }
    /// }
    /// ```
    #[must_use]
    pub const fn has_waited(&self) -> bool {
        self.has_waited
    }

    /// The slot whose new process could not start, if that is why the reload was not done. An event
    /// worker keeps its old process; a user process is tried again.
    ///
    /// ```
    /// # use ostler::ReloadReport;
    /// fn culprit(report: &ReloadReport) -> Option<String> {
    ///     report.stopped_at().map(|slot| format!("w{slot}"))
    /// }
    /// ```
    #[must_use]
    pub const fn stopped_at(&self) -> Option<u16> {
        match self.outcome {
            ReloadOutcome::CanaryFailed(slot) | ReloadOutcome::Partial(slot) => Some(slot.0),
            ReloadOutcome::Done | ReloadOutcome::ShuttingDown | ReloadOutcome::NothingToReload => {
                None
            }
        }
    }

    /// Why it was not done; empty when it was. Long reasons are cut.
    ///
    /// ```
    /// # use ostler::ReloadReport;
    /// fn log(report: &ReloadReport) {
    ///     println!("reload: {}", report.reason());
    /// }
    /// ```
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

/// A death, for [`ServerEvents::on_worker_error`](crate::ServerEvents::on_worker_error).
///
/// ```
/// # use ostler::WorkerDeath;
/// fn tell(death: &WorkerDeath) {
///     let how = match (death.exit_code(), death.signal()) {
///         (Some(code), _) => format!("code {code}"),
///         (_, Some(signal)) => format!("signal {signal}"),
///         _ => String::new(),
///     };
///     println!("{} (process {}): {how}, {}", death.name(), death.pid(), death.cause());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerDeath {
    pub(super) name: String,
    pub(super) slot: u16,
    pub(super) generation: u32,
    pub(super) pid: i32,
    pub(super) exit: Exit,
    pub(super) cause: String,
}

impl WorkerDeath {
    /// Its name in logs: `w0.3` was the third process of the first worker, `u0.1` the first user
    /// process.
    ///
    /// ```
    /// # use ostler::WorkerDeath;
    /// fn is_worker(death: &WorkerDeath) -> bool {
    ///     death.name().starts_with('w')
    /// }
    /// ```
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its slot among those of its kind.
    ///
    /// ```
    /// # use ostler::WorkerDeath;
    /// fn count(death: &WorkerDeath, deaths: &mut [u64]) {
    ///     if let Some(count) = deaths.get_mut(usize::from(death.slot())) {
    ///         *count += 1;
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn slot(&self) -> u16 {
        self.slot
    }

    /// Which process in its slot it was.
    ///
    /// ```
    /// # use ostler::WorkerDeath;
    /// fn lives(death: &WorkerDeath) -> String {
    ///     format!("{} processes have lived there", death.generation())
    /// }
    /// ```
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// Its process number.
    ///
    /// ```
    /// # use ostler::WorkerDeath;
    /// fn core_file(death: &WorkerDeath) -> String {
    ///     format!("/var/crash/core.{}", death.pid())
    /// }
    /// ```
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// With which code it ended; `None` when a signal ended it.
    ///
    /// ```
    /// # use ostler::WorkerDeath;
    /// fn has_panicked(death: &WorkerDeath) -> bool {
    ///     death.exit_code() == Some(101)
    /// }
    /// ```
    #[must_use]
    pub const fn exit_code(&self) -> Option<i32> {
        match self.exit {
            Exit::Code(code) => Some(code),
            Exit::Signal { .. } => None,
        }
    }

    /// The number of the signal that ended it; `None` when it ended with a code.
    ///
    /// ```
    /// # use ostler::WorkerDeath;
    /// fn was_killed(death: &WorkerDeath) -> bool {
    ///     death.signal() == Some(9)
    /// }
    /// ```
    #[must_use]
    pub const fn signal(&self) -> Option<i32> {
        match self.exit {
            Exit::Code(_) => None,
            Exit::Signal { signal, .. } => Some(signal),
        }
    }

    /// Why, in words, as the log says it. Long ones are cut.
    ///
    /// ```
    /// # use ostler::WorkerDeath;
    /// fn is_out_of_memory(death: &WorkerDeath) -> bool {
    ///     death.cause().contains("out of memory")
    /// }
    /// ```
    #[must_use]
    pub fn cause(&self) -> &str {
        &self.cause
    }
}
