//! What a reload is for the master: the files that it reads itself, a word to its manager, and the
//! requests that a manager must not take into its grave.

use ostler_core::ids::{ProcessKind, Slot};
use ostler_core::reload_requests::{ReloadRequests, Request};
use ostler_core::supervisor::ReloadOutcome;

use super::event_loop::Master;
use crate::control::{Asker, ReloadPart, ServerEvent, ShortText, ToManager};
use crate::log;
use crate::sys::signal;

/// Signals that wait for a reload and are remembered one by one. Those beyond them are merged with
/// these, as all are.
const SIGNALS_WAITING_MAX: usize = 64;
/// Operators that wait for a reload to begin; and those that wait for a renewal of other processes
/// to end. Who has gone meanwhile counts, too: a manager is asked for each.
pub(super) const OPERATORS_WAITING_MAX: usize = 16;
/// Askers that the line about the end of a reload names.
const ASKERS_TOLD_MAX: usize = 3;

/// Who has asked for a reload, and what is known of the one that runs.
#[derive(Default)]
pub(super) struct Reloads {
    requests: ReloadRequests<Asker>,
    signals_waiting: usize,
    parts: Vec<ReloadPart>,
    /// Of the renewal whose end is told next.
    renewal_why: Option<ShortText>,
    /// Certificates are read anew when the next one begins.
    wants_certificates: bool,
}

impl Reloads {
    /// Somebody asks; false when that is as if nobody had, because so many have.
    fn ask(&mut self, asker: Asker) -> bool {
        // Whoever waits for a reload waits for the certificates, too: so many of them may follow
        // that reading all files for each would take long.
        let waits = self.requests.is_running() || self.requests.waiting().next().is_some();
        match asker {
            Asker::Signal { .. } => {
                if self.signals_waiting >= SIGNALS_WAITING_MAX {
                    return false;
                }
                self.signals_waiting += 1;
            }
            Asker::Operator { .. } => {
                let is_operator = |it: &&Asker| matches!(it, Asker::Operator { .. });
                if self.requests.waiting().filter(is_operator).count() >= OPERATORS_WAITING_MAX {
                    return false;
                }
                self.wants_certificates |= waits;
            }
            Asker::Process { .. } => self.wants_certificates |= waits,
        }
        self.requests.ask(asker);
        true
    }

    /// Whether certificates are to be read now, for somebody who has just asked.
    fn reads_certificates(&self, asker: Asker, is_asked: bool) -> bool {
        match asker {
            Asker::Operator { .. } | Asker::Process { .. } => is_asked && !self.wants_certificates,
            Asker::Signal { .. } => true,
        }
    }

    fn end(&mut self, outcome: ReloadOutcome) -> Vec<Request<Asker>> {
        let answered = match outcome {
            ReloadOutcome::ShuttingDown => self.requests.end_all(),
            _ => self.requests.end(),
        };
        let is_signal = |request: &&Request<Asker>| matches!(request.asker, Asker::Signal { .. });
        let signals = answered.iter().filter(is_signal).count();
        self.signals_waiting = self.signals_waiting.saturating_sub(signals);
        answered
    }
}

impl Master {
    /// The log file was rotated, or its program wants new workers: both is done.
    pub(super) fn on_hang_up(&mut self, received: signal::Received) {
        reopen_log();
        self.reload_by_signal(received);
    }

    /// Whoever rotates the log wants a new file, and no new workers. All other processes follow the
    /// name by themselves.
    pub(super) fn on_log_signal(received: signal::Received) {
        reopen_log();
        tracing::info!(sender = received.sender_pid, "the log goes on in the file of its name");
    }

    pub(super) fn reload_by_signal(&mut self, received: signal::Received) {
        let sender = i32::try_from(received.sender_pid).unwrap_or(0);
        let _ = self.reload(Asker::Signal { signal: received.signal, sender });
    }

    /// New certificates at once, new workers one after another. An operator or a process that has
    /// to wait for a reload waits for the certificates, too. False: so many have asked that nothing
    /// is done.
    pub(super) fn reload(&mut self, asker: Asker) -> bool {
        let is_asked = self.reloads.ask(asker);
        if self.reloads.reads_certificates(asker, is_asked) {
            self.read_certificates();
        }
        if is_asked {
            self.service_reloads();
            self.send(&ToManager::Reload(asker), Vec::new());
        }
        is_asked
    }

    fn read_certificates(&mut self) {
        self.encryption.reload();
        self.reload_base_certificates();
    }

    /// Reads the certificates for whom the reload that begins is.
    fn read_certificates_that_waited(&mut self) {
        if std::mem::take(&mut self.reloads.wants_certificates) {
            self.read_certificates();
        }
    }

    /// A new manager has heard of nothing that was asked for.
    pub(super) fn ask_for_reloads_anew(&mut self) {
        self.reloads.parts.clear();
        self.reloads.renewal_why = None;
        let open: Vec<Asker> = self.reloads.requests.begin_anew().copied().collect();
        for asker in open {
            self.service_reloads();
            self.send(&ToManager::Reload(asker), Vec::new());
        }
        self.ask_for_renewals_anew();
    }

    pub(super) fn on_reload_started(&mut self, requests: u32) {
        self.read_certificates_that_waited();
        self.reloads.requests.begin_first(usize::try_from(requests).unwrap_or(usize::MAX));
        self.figures.reload_began();
        self.companion_hears(ServerEvent::BeforeReload);
    }

    pub(super) fn on_reload_slots(&mut self, part: ReloadPart) {
        self.reloads.parts.push(part);
    }

    pub(super) fn on_reload_finished(&mut self, outcome: ReloadOutcome, why: ShortText) {
        let parts = std::mem::take(&mut self.reloads.parts);
        let slots: Vec<_> = parts.iter().flat_map(ReloadPart::slots).collect();
        if !self.reloads.requests.is_running() {
            // It has never begun, and who has asked is answered.
            self.read_certificates_that_waited();
        }
        let answered = self.reloads.end(outcome);
        report(outcome, why, &slots, &names_of(&answered));
        let tickets = tickets_of(&answered);
        let told = (outcome, why.as_str());
        self.operators_hear_of_reload(ProcessKind::Event, &tickets, told, &slots);
        self.companion_hears_of_reload(ServerEvent::AfterReload(outcome), why, parts);
        self.service_reloaded(outcome);
        self.figures.reload_ended(outcome);
    }

    pub(super) const fn on_renewal_why(&mut self, why: ShortText) {
        self.reloads.renewal_why = Some(why);
    }

    /// An operator's request for processes of another kind than event workers is answered.
    pub(super) fn on_renewed(&mut self, kind: ProcessKind, ticket: u32, outcome: ReloadOutcome) {
        let why = self.reloads.renewal_why.take().unwrap_or_else(|| ShortText::new(""));
        let parts = std::mem::take(&mut self.reloads.parts);
        let slots: Vec<_> = parts.iter().flat_map(ReloadPart::slots).collect();
        if let Some(operators) = &mut self.operators {
            operators.note_renewed(kind, ticket);
        }
        self.operators_hear_of_reload(kind, &[ticket], (outcome, why.as_str()), &slots);
    }
}

/// Those of them that operators wait for.
fn tickets_of(requests: &[Request<Asker>]) -> Vec<u32> {
    let tickets = requests.iter().filter_map(|request| match request.asker {
        Asker::Operator { ticket } => Some(ticket),
        Asker::Signal { .. } | Asker::Process { .. } => None,
    });
    tickets.collect()
}

/// The first of those who asked, and how many more they are.
fn names_of(requests: &[Request<Asker>]) -> String {
    let told = requests.iter().take(ASKERS_TOLD_MAX).map(|request| request.asker.to_string());
    let mut names = told.collect::<Vec<_>>().join(", ");
    if let Some(more @ 1..) = requests.len().checked_sub(ASKERS_TOLD_MAX) {
        names.push_str(&format!(" and {more} more"));
    }
    names
}

/// The slots whose processes are old, or new, in words.
fn slots_in_words(slots: &[(Slot, bool)], are_new: bool) -> String {
    let which = slots.iter().filter(|(_, is_new)| *is_new == are_new);
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for (Slot(slot), _) in which {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(*slot) => *last = *slot,
            _ => ranges.push((*slot, *slot)),
        }
    }
    let in_words = |(first, last): &(u16, u16)| match first == last {
        true => format!("w{first}"),
        false => format!("w{first}-w{last}"),
    };
    ranges.iter().map(in_words).collect::<Vec<_>>().join(" ")
}

/// The end of a reload.
fn report(outcome: ReloadOutcome, why: ShortText, slots: &[(Slot, bool)], asked_by: &str) {
    match outcome {
        ReloadOutcome::Done => tracing::info!(asked_by, "reload finished: every worker is new"),
        ReloadOutcome::ShuttingDown => {
            tracing::info!(asked_by, "reload finished: the server shuts down");
        }
        ReloadOutcome::NothingToReload => tracing::info!(asked_by, "there is nothing to reload"),
        ReloadOutcome::CanaryFailed(slot) => {
            tracing::warn!(
                %slot,
                %why,
                asked_by,
                "reload finished: aborted, the first new worker did not start, nothing changed"
            );
        }
        ReloadOutcome::Partial(slot) => {
            let (new, old) = (slots_in_words(slots, true), slots_in_words(slots, false));
            tracing::warn!(
                %slot,
                new,
                old,
                %why,
                asked_by,
                "reload finished: stopped, a new worker did not start"
            );
        }
    }
}

fn reopen_log() {
    if let Err(error) = log::reopen() {
        tracing::error!(%error, "cannot open the log file anew, lines go to the old one");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::ids::ProcessKey;

    const fn signal_of(sender: i32) -> Asker {
        Asker::Signal { signal: signal::USR1, sender }
    }

    #[test]
    fn a_flood_of_signals_is_remembered_in_part_and_answered_as_one() {
        let mut reloads = Reloads::default();
        let taken = (0..1_000).filter(|sender| reloads.ask(signal_of(*sender))).count();
        assert_eq!(taken, SIGNALS_WAITING_MAX);
        reloads.requests.begin_first(usize::MAX);
        let answered = reloads.end(ReloadOutcome::Done);
        let told = "SIGUSR1 of process 0, SIGUSR1 of process 1, SIGUSR1 of process 2 and 61 more";
        assert_eq!(names_of(&answered), told);
        assert!(reloads.ask(signal_of(1)), "there is room again");
    }

    const fn operator(ticket: u32) -> Asker {
        Asker::Operator { ticket }
    }

    #[test]
    fn so_many_operators_wait_for_a_reload_and_no_more() {
        let mut reloads = Reloads::default();
        let most = OPERATORS_WAITING_MAX as u32;
        assert!((0..most).all(|ticket| reloads.ask(operator(ticket))));
        assert!(!reloads.ask(operator(most)) && reloads.ask(signal_of(1)));
        reloads.requests.begin_first(OPERATORS_WAITING_MAX);
        assert!((0..most).all(|ticket| reloads.ask(operator(ticket))), "they wait for the next");
        assert!(!reloads.ask(operator(most)));
        assert_eq!(tickets_of(&reloads.end(ReloadOutcome::Done)).len(), OPERATORS_WAITING_MAX);
    }

    const fn process(ticket: u32) -> Asker {
        Asker::Process { worker: ProcessKey::event(0, 1), ticket }
    }

    #[test]
    fn certificates_are_read_once_for_all_who_wait_for_a_reload() {
        for asker in [operator, process] {
            let mut reloads = Reloads::default();
            let reads = |reloads: &mut Reloads, asker| {
                let is_asked = reloads.ask(asker);
                reloads.reads_certificates(asker, is_asked)
            };
            assert!(reads(&mut reloads, asker(1)), "at once");
            reloads.requests.begin_first(1);
            assert!((0..20).all(|_| !reads(&mut reloads, asker(2))), "when the next one begins");
            assert!(reads(&mut reloads, signal_of(1)));
            assert!(reloads.wants_certificates);
        }
    }

    /// The manager says in its time that a reload has begun.
    #[test]
    fn certificates_are_read_once_for_all_who_ask_before_a_reload_begins() {
        let mut reloads = Reloads::default();
        let asked = (0..100).filter(|ticket| {
            let is_asked = reloads.ask(process(*ticket));
            reloads.reads_certificates(process(*ticket), is_asked)
        });
        assert_eq!(asked.count(), 1);
        assert!(reloads.wants_certificates);
    }

    #[test]
    fn slots_are_told_as_ranges() {
        let slots = [true, true, false, true, false, false, false];
        let slots: Vec<_> = (0..).map(Slot).zip(slots).collect();
        assert_eq!(slots_in_words(&slots, true), "w0-w1 w3");
        assert_eq!(slots_in_words(&slots, false), "w2 w4-w6");
        assert_eq!(slots_in_words(&[], true), "");
    }
}
