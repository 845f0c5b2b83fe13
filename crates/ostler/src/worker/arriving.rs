//! What the client of the session has shown whose connect event is running.

use std::cell::RefCell;
use std::rc::Rc;

/// It is there while the callback runs, and nowhere else: other workers never had it, so that code
/// that works with one worker works with several.
#[derive(Default)]
pub(crate) struct Arriving {
    shown: RefCell<Option<(u64, Rc<[u8]>)>>,
}

impl Arriving {
    /// The connect event of a session begins, which tells this.
    pub(super) fn begin(&self, session: u64, shown: &[u8]) {
        if !shown.is_empty() {
            self.shown.replace(Some((session, shown.into())));
        }
    }

    /// It is over.
    pub(super) fn end(&self) {
        self.shown.take();
    }

    /// What the client of this session has shown, as the reactor wrote it.
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "only TLS shows something"))]
    pub(crate) fn of(&self, session: u64) -> Option<Rc<[u8]>> {
        let shown = self.shown.borrow();
        shown.as_ref().filter(|(id, _)| *id == session).map(|(_, shown)| Rc::clone(shown))
    }
}
