//! How new masters end that do not take over, or have taken over already.

use std::os::fd::AsFd as _;
use std::time::Duration;

use ostler_core::Millis;
use ostler_core::succession::{Event, TooLate};

use crate::master::event_loop::Master;
use crate::sys::pidfd::Exit;
use crate::sys::{clock, poll, signal};

/// How long a server that is over waits for the end of a new master that it has killed.
const END_MAX: Duration = Duration::from_secs(1);

/// What a new master has not done in its time.
pub(super) const fn too_late(what: TooLate) -> &'static str {
    match what {
        TooLate::ToServe => "no worker of it served in time (boot_timeout_ms)",
        TooLate::ToEnd => "it was told to end, and did not end in time (shutdown_timeout_ms)",
    }
}

impl Master {
    /// The new master has ended.
    pub(in crate::master) fn new_master_ended(&mut self, now: Millis) {
        let Some(new) = &self.succeeding.new else { return };
        let ended = match new.pidfd.try_reap() {
            Ok(None) => return,
            Ok(Some(Exit::Code(code))) => format!("it ended with code {code}, see what it says"),
            Ok(Some(Exit::Signal { signal, .. })) => {
                format!("it was ended by {}", signal::name(signal))
            }
            // A sibling, which our parent reaps.
            Err(_) if !new.pidfd.has_ended().unwrap_or(true) => return,
            Err(_) => "it has ended, see what it says".to_owned(),
        };
        let pid = new.pid;
        // Its manager, workers and programs are ours now. Asked while it is known to have ended, so
        // that they are known as ours.
        self.orphans.let_alone_no_more(pid);
        self.reap_orphans(now);
        let pid = pid.get();
        self.new_master_says_no_more(now);
        let new = self.succeeding.new.take();
        let _ = new.map(|new| self.epoll.remove(&new.pidfd));
        if self.succeeding.state.has_left() {
            tracing::warn!(pid, ended, "the new master is gone, this one accepts nobody any more");
        } else {
            if let Some(Err(error)) = self.pid_file.as_mut().map(|file| file.claim_again()) {
                tracing::error!(%error, "the pid file is lost");
            }
            self.call_operators_back(pid);
        }
        self.on_succession(Event::Lost, &ended, now);
    }

    /// This server is over, and with it a new master that was not in charge: it has had its end.
    /// What it had of the files of this one is ours again, and goes with us.
    pub(in crate::master) fn see_new_master_end(&mut self) {
        let has_left = self.succeeding.state.has_left();
        let Some(new) = self.succeeding.new.as_ref().filter(|_| !has_left) else { return };
        let _ = poll::wait_readable([new.pidfd.as_fd()], Some(END_MAX));
        self.new_master_ended(clock::monotonic_ms());
    }

    /// Its manager and workers die with it.
    pub(super) fn end_new_master(&mut self) {
        if let Some(new) = &self.succeeding.new {
            // It may have ended meanwhile. A server that ends now waits for it.
            let _ = new.pidfd.kill();
            self.orphans.let_alone_no_more(new.pid);
        }
        // Only then: to a new master that serves the end of this channel says that it is in charge.
        self.forget_channel();
    }
}
