//! How far this process is on its way out, and what holds it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::Location;

use ostler_core::Nanos;
use slab::Slab;

use super::owned_output::NO_SESSION;
use crate::sys::clock;

/// Bytes of a place in the source that are told: its end.
const PLACE_BYTES_MAX: usize = 80;

/// What holds a process, by its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder {
    /// A token of user code, made here.
    KeepAlive(&'static Location<'static>),
    /// A delivery of this session that is not finished.
    Deferred(u64),
    /// A message to this session that is written in parts.
    Stream(u64),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeepAlive(made_at) => write!(f, "keep-alive of {}", place(made_at)),
            Self::Deferred(NO_SESSION) => f.write_str("a deferred datagram"),
            Self::Deferred(session) => write!(f, "a deferred delivery of session {session}"),
            Self::Stream(session) => write!(f, "a writer to session {session}"),
        }
    }
}

/// A place in the source; of a long path the end, which says more.
pub(super) fn place(at: &Location<'_>) -> String {
    let text = at.to_string();
    let skipped = text.len().saturating_sub(PLACE_BYTES_MAX);
    match text.char_indices().find(|(index, _)| *index >= skipped) {
        Some((0, _)) | None => text,
        Some((index, _)) => format!("...{}", text.get(index..).unwrap_or_default()),
    }
}

/// Names a holder until it lets go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HolderId(usize);

/// The leaving state of a worker.
#[derive(Default)]
pub(crate) struct Leaving {
    /// The process does not end while there are any.
    holders: RefCell<Slab<Holder>>,
    /// User code asked to be replaced.
    is_wanted: Cell<bool>,
    /// When this process was told to leave, or saw it, nanoseconds of the monotonic clock.
    told_at: Cell<Option<Nanos>>,
    /// Nothing will be given any more: the process ends when nothing holds it.
    has_begun: Cell<bool>,
    /// What a process that serves nobody had to do is done: it ends when nothing keeps it.
    is_done: Cell<bool>,
    /// It was not done well.
    has_failed: Cell<bool>,
    /// The manager wants to know what holds this process.
    is_asked: Cell<bool>,
}

impl Leaving {
    /// One more holds this process.
    pub(crate) fn hold(&self, holder: Holder) -> HolderId {
        HolderId(self.holders.borrow_mut().insert(holder))
    }

    /// It does so no more.
    pub(crate) fn release(&self, HolderId(id): HolderId) {
        let held = self.holders.borrow_mut().try_remove(id);
        ostler_core::invariant!(held.is_some(), "who lets a process go has held it");
    }

    /// How many hold it.
    pub(super) fn count(&self) -> usize {
        self.holders.borrow().len()
    }

    /// Who they are, in words.
    pub(super) fn holders(&self) -> Vec<String> {
        self.holders.borrow().iter().map(|(_, holder)| holder.to_string()).collect()
    }

    /// The manager asks what holds this process.
    pub(super) fn ask(&self) {
        self.is_asked.set(true);
    }

    /// Whether it has, and was not answered.
    pub(super) fn take_question(&self) -> bool {
        self.is_asked.take()
    }

    /// User code asks to be replaced.
    pub(crate) fn want(&self) {
        self.is_wanted.set(true);
    }

    /// Whether it has.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.get()
    }

    /// A process that serves nobody has done its work, well or not.
    pub(super) fn work_is_done(&self, has_failed: bool) {
        self.is_done.set(true);
        self.has_failed.set(has_failed);
    }

    /// Whether it has.
    pub(super) fn is_done(&self) -> bool {
        self.is_done.get()
    }

    /// Whether that went wrong.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    /// It was told to leave.
    pub(super) fn told(&self) {
        if self.told_at.get().is_none() {
            self.told_at.set(Some(clock::monotonic_ns()));
        }
    }

    /// What is left of the time that leaving may take, but for a tenth of all of it: then the
    /// process is not killed while it uses that up.
    #[cfg(feature = "opentelemetry")]
    pub(super) fn time_left(&self, whole: Nanos) -> Nanos {
        let now = clock::monotonic_ns();
        let until = self.told_at.get().unwrap_or(now).saturating_add(whole / 10 * 9);
        until.saturating_sub(now)
    }

    /// Every lane was left.
    pub(super) fn begin(&self) {
        self.has_begun.set(true);
    }

    /// Whether every lane was left.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_are_told_until_they_let_go_and_their_places_used_again() {
        let leaving = Leaving::default();
        let first = leaving.hold(Holder::Deferred(7));
        let second = leaving.hold(Holder::Stream(8));
        leaving.release(first);
        let third = leaving.hold(Holder::Deferred(NO_SESSION));
        assert_eq!(leaving.count(), 2);
        assert_eq!(leaving.holders(), ["a deferred datagram", "a writer to session 8"]);
        leaving.release(second);
        leaving.release(third);
        assert_eq!((leaving.count(), leaving.holders().len()), (0, 0));
        let here = Location::caller();
        leaving.hold(Holder::KeepAlive(here));
        let told = leaving.holders().remove(0);
        assert!(told.starts_with("keep-alive of ") && told.contains("leaving.rs:"), "{told}");
    }
}
