//! The companion, as the master knows it: what it has to be told, and what it has not handled yet.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use ostler_core::event_queue::EventQueue;
use ostler_core::ids::{ProcessKey, ProcessKind};
use ostler_core::{Millis, shutdown};

use super::event_loop::{COMPANION, Master};
use super::watched::Watched;
use crate::control::{
    Channel, DeathNotice, FromCompanion, Received, ReloadPart, ServerEvent, ShortText, ToCompanion,
};
use crate::sys::control_socket;
use crate::sys::epoll::Epoll;

/// Most events that wait for the companion: a crash storm of minutes. What comes beyond them is
/// told to nobody.
const EVENTS_MAX: usize = 4_096;
/// Messages taken before other events are looked at.
const MESSAGES_MAX: usize = 64;

/// What it has to be told, with what goes before it.
struct Told {
    event: ServerEvent,
    text: ShortText,
    /// Of the reload that it is about.
    slots: Vec<ReloadPart>,
}

/// The state of the companion, whichever process it is.
pub(super) struct Companion {
    queue: EventQueue<Told>,
    /// The process that is told, or will be when it is ready.
    process: Option<Process>,
    /// Numbers of processes, and why they died, until that is told.
    facts: HashMap<ProcessKey, Facts>,
    /// The end of the server waits until it knows of it.
    is_announcing: bool,
    /// It leaves when it has handled everything.
    leaving: Option<ProcessKey>,
}

struct Process {
    key: ProcessKey,
    link: Channel<ToCompanion, FromCompanion>,
    is_ready: bool,
    watched: Watched,
}

#[derive(Default)]
struct Facts {
    pid: i32,
    cause: Option<ShortText>,
}

impl Companion {
    pub(super) fn new() -> Self {
        Self {
            queue: EventQueue::new(EVENTS_MAX),
            process: None,
            facts: HashMap::new(),
            is_announcing: false,
            leaving: None,
        }
    }

    fn push(&mut self, told: Told) {
        if !self.queue.push(told) && self.queue.refused() == 1 {
            let most = EVENTS_MAX;
            tracing::error!(most, "the companion is behind, events are lost from now on");
        }
        self.tell();
    }

    /// Tells the process what it can be told now.
    fn tell(&mut self) {
        let Some(process) = self.process.as_mut().filter(|process| process.is_ready) else {
            return;
        };
        while let Some((number, Told { event, text, slots })) = self.queue.next_to_tell() {
            let has_text = !text.as_str().is_empty();
            let text = has_text.then_some(ToCompanion::Text(*text));
            let more = slots.iter().copied().map(ToCompanion::Slots).chain(text);
            for message in more.chain([ToCompanion::Event(number, *event)]) {
                if let Err(error) = process.link.send(&message, Vec::new()) {
                    // It is dying, which is told.
                    tracing::debug!(%error, "the companion cannot be reached");
                }
            }
        }
    }

    /// Watches for room when something waits for it.
    fn watch(&mut self, epoll: &Epoll) {
        let Some(process) = &mut self.process else { return };
        let wanted = process.link.interest();
        process.watched.follow(wanted, &process.link, COMPANION, epoll);
    }

    /// When what it is to be told is tried again.
    pub(super) fn retry_at(&self) -> Option<Millis> {
        self.process.as_ref()?.link.retry_at()
    }

    /// Tells it what it could not be told before, if it is time for that.
    pub(super) fn tell_again(&mut self, now: Millis, epoll: &Epoll) {
        if let Some(process) = &mut self.process {
            // One that cannot be reached is dying, which is told.
            let _ = process.link.send_again(now);
        }
        self.watch(epoll);
    }

    /// Its process is gone, or never came.
    fn lost(&mut self, key: ProcessKey, epoll: &Epoll) {
        let Some(mut process) = self.process.take_if(|process| process.key == key) else { return };
        process.watched.end(&process.link, epoll);
        self.leaving.take_if(|leaving| *leaving == key);
        if let Some(Told { event, .. }) = self.queue.receiver_died() {
            tracing::error!(?event, "every companion dies of this event, it is given up");
        }
    }

    /// Takes what its process says; false when that cannot be understood.
    fn hear(&mut self, epoll: &Epoll) -> bool {
        for _ in 0..MESSAGES_MAX {
            let Some(process) = &mut self.process else { return true };
            // What does not fit into the socket waits for the next event.
            let _ = process.link.flush();
            match process.link.receive() {
                Ok(Received::Message(FromCompanion::Handled(number), _)) => {
                    if !self.queue.handled(number) {
                        return false;
                    }
                }
                Ok(Received::Nothing) => return true,
                // It dies, which is told, or its code has closed what it does not know.
                Ok(Received::Closed) => {
                    process.watched.end(&process.link, epoll);
                    return true;
                }
                Err(_) => return false,
            }
        }
        true
    }
}

impl Master {
    /// The companion will be told, if there is one.
    pub(super) fn companion_hears(&mut self, event: ServerEvent) {
        self.companion_hears_why(event, ShortText::new(""));
    }

    /// The same with a reason.
    pub(super) fn companion_hears_why(&mut self, event: ServerEvent, why: ShortText) {
        self.companion_hears_of_reload(event, why, Vec::new());
    }

    /// The same with what became of each slot.
    pub(super) fn companion_hears_of_reload(
        &mut self,
        event: ServerEvent,
        text: ShortText,
        slots: Vec<ReloadPart>,
    ) {
        let Some(companion) = &mut self.companion else { return };
        companion.push(Told { event, text, slots });
        companion.watch(&self.epoll);
    }

    /// A manager is in charge.
    pub(super) fn companion_hears_of_manager(&mut self) {
        let pid = self.managers.current.pid.get();
        self.companion_hears(ServerEvent::ManagerStart { pid });
    }

    /// The end begins when the companion knows.
    pub(super) fn announce_end(&mut self) {
        if let Some(companion) = &mut self.companion {
            companion.is_announcing = true;
        }
        self.companion_hears(ServerEvent::BeforeShutdown);
    }

    /// The link of the companion that is to be made, whose other end this returns. For other kinds
    /// of process there is none.
    pub(super) fn link_companion(&mut self, key: ProcessKey) -> io::Result<Option<OwnedFd>> {
        let companion = self.companion.as_mut().filter(|_| key.kind == ProcessKind::Companion);
        let Some(companion) = companion else { return Ok(None) };
        let (near, far) = control_socket::pair()?;
        let watched = Watched::begin(&near, COMPANION, &self.epoll)?;
        let link = Channel::new(near);
        let process = Process { key, link, is_ready: false, watched };
        companion.process = Some(process);
        Ok(Some(far))
    }

    /// A process was forked.
    pub(super) fn companion_notes_pid(&mut self, key: ProcessKey, pid: i32) {
        if let Some(companion) = &mut self.companion {
            companion.facts.insert(key, Facts { pid, cause: None });
        }
    }

    /// Why a process died whose death is told next.
    pub(super) fn companion_notes_cause(&mut self, key: ProcessKey, cause: ShortText) {
        if let Some(companion) = &mut self.companion {
            companion.facts.entry(key).or_default().cause = Some(cause);
        }
    }

    /// A process runs that serves nobody.
    pub(super) fn companion_runs(&mut self, key: ProcessKey) {
        let Some(companion) = &mut self.companion else { return };
        if let Some(process) = companion.process.as_mut().filter(|process| process.key == key) {
            process.is_ready = true;
        }
        companion.tell();
        companion.watch(&self.epoll);
    }

    /// A process has died.
    pub(super) fn companion_hears_of_death(&mut self, death: DeathNotice) {
        let Some(companion) = &mut self.companion else { return };
        let Facts { pid, cause } = companion.facts.remove(&death.worker).unwrap_or_default();
        if !death.expected {
            let (worker, exit) = (death.worker, death.exit);
            let event = ServerEvent::WorkerError { worker, pid, exit };
            self.companion_hears_why(event, cause.unwrap_or(ShortText::new("")));
        }
    }

    /// A process is gone, or never came.
    pub(super) fn companion_released(&mut self, key: ProcessKey) {
        if let Some(companion) = &mut self.companion {
            companion.facts.remove(&key);
            companion.lost(key, &self.epoll);
        }
    }

    /// Everybody else is gone: true when the companion has something to do before it leaves.
    pub(super) fn companion_stays(&mut self, key: ProcessKey) -> bool {
        if key.kind != ProcessKind::Companion {
            return false;
        }
        if self.shutdown.has_begun() {
            let pid = self.managers.current.pid.get();
            self.companion_hears(ServerEvent::ManagerStop { pid });
            self.companion_hears(ServerEvent::Shutdown);
        }
        let Some(companion) = &mut self.companion else { return false };
        companion.leaving = Some(key).filter(|_| !companion.queue.is_empty());
        companion.leaving.is_some()
    }

    /// The server is over.
    pub(super) fn tell_unhandled_events(&self) {
        let Some(companion) = &self.companion else { return };
        let (unhandled, lost) = (companion.queue.len(), companion.queue.refused());
        if unhandled > 0 || lost > 0 {
            tracing::info!(unhandled, lost, "events that the companion has not handled");
        }
    }

    /// The companion says something.
    pub(super) fn on_companion(&mut self, now: Millis) {
        let Some(companion) = &mut self.companion else { return };
        if !companion.hear(&self.epoll)
            && let Some(process) = companion.process.as_ref()
        {
            let key = process.key;
            tracing::error!(worker = %key, "the companion writes nonsense");
            companion.lost(key, &self.epoll);
            self.send(&crate::control::ToManager::Condemn(key), Vec::new());
            return;
        }
        companion.tell();
        companion.watch(&self.epoll);
        if !companion.queue.is_empty() {
            return;
        }
        let is_announced = std::mem::take(&mut companion.is_announcing);
        let leaving = companion.leaving.take();
        if is_announced {
            self.on_shutdown(shutdown::Event::Announced, now);
        }
        if let Some(key) = leaving {
            self.let_leave(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::epoll::Events;
    use std::time::Duration;

    /// A process that closes its end, or dies while its manager stands still, is not gone yet.
    #[test]
    fn a_link_that_is_closed_is_not_watched_any_more() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::with_capacity(4));
        let mut is_seen = || {
            epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
            !events.is_empty()
        };
        let (near, far) = control_socket::pair().unwrap();
        let watched = Watched::begin(&near, COMPANION, &epoll).unwrap();
        let key = ProcessKey { kind: ProcessKind::Companion, ..ProcessKey::event(0, 1) };
        let mut companion = Companion::new();
        let link = Channel::new(near);
        companion.process = Some(Process { key, link, is_ready: true, watched });
        drop(far);
        assert!(is_seen());
        assert!(companion.hear(&epoll), "that is no nonsense");
        assert!(!is_seen());
        let text = ShortText::new("");
        companion.push(Told { event: ServerEvent::Start, text, slots: Vec::new() });
        companion.watch(&epoll);
        assert!(!is_seen());
        companion.lost(key, &epoll);
        assert!(companion.process.is_none());
    }
}
