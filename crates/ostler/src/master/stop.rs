//! Ending in order.

use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::time::Duration;

use ostler_core::brain::CloseReason;
use ostler_core::shutdown::{Event, ShutdownAction};
use ostler_core::{Millis, succession};

use super::books::log_books;
use super::event_loop::Master;
use crate::control::{ServerEvent, ToManager, ToProcess};
use crate::error::Result;
use crate::reactor::mailbox::ToReactor;
use crate::sys::{clock, poll};

/// How long a manager that has said goodbye may take to end.
const MANAGER_END_MAX: Duration = Duration::from_millis(500);

impl Master {
    pub(super) fn on_shutdown(&mut self, event: Event, now: Millis) {
        let had_begun = self.shutdown.has_begun();
        let actions = self.shutdown.on(event, now);
        if !had_begun && actions.contains(&ShutdownAction::StopWorkers { now: true }) {
            // The end does not wait for it, and it hears of it all the same.
            self.companion_hears(ServerEvent::BeforeShutdown);
        }
        for action in actions {
            match action {
                ShutdownAction::Announce => self.announce_end(),
                ShutdownAction::Drain => self.begin_drain(now),
                ShutdownAction::CloseSessions { timed_out } => self.close_sessions(timed_out),
                ShutdownAction::StopWorkers { now } => {
                    self.send(&ToManager::Shutdown { now }, Vec::new())
                }
                ShutdownAction::Exit => {
                    if event == Event::Tick {
                        tracing::warn!(
                            "the manager did not end its workers in time, all are killed"
                        );
                        // Its workers die with it. It may have ended meanwhile.
                        let _ = self.managers.current.pidfd.kill();
                    }
                    self.exit = Some(Ok(()));
                }
            }
        }
    }

    fn begin_drain(&mut self, now: Millis) {
        tracing::info!("draining: no more connections, no more input");
        self.boot_deadline = None;
        self.on_succession(succession::Event::ShutdownBegan, &"the server ends", now);
        self.service_stops();
        self.take_the_last(now);
        self.stop_accepting();
        self.send(&ToManager::Draining, Vec::new());
        self.tell_all(|| ToReactor::Drain);
        self.tell_processes(ToProcess::Drain);
    }

    pub(super) fn stop_accepting(&mut self) {
        self.succeeding.drop_estate();
        if let Some(accepting) = self.accepting.take() {
            let counts = accepting.end(&self.epoll);
            self.figures.accepting_ended(counts);
        }
    }

    fn close_sessions(&mut self, timed_out: bool) {
        if timed_out {
            tracing::warn!(
                open = self.open_connections(),
                shutdown_timeout_ms = self.options.shutdown_timeout_ms,
                "the drain took too long, sessions are closed"
            );
        }
        let reason = CloseReason::ShutdownTimeout;
        self.tell_all(|| ToReactor::CloseAll { reason, timed_out });
        self.tell_processes(ToProcess::CloseAll { timed_out });
    }

    /// Stops the reactors, writes the books.
    pub(super) fn finish(mut self) -> Result<()> {
        // Those that are left (a spare; all of them after a failure) end with their sockets and
        // with the master.
        self.managers.spare = None;
        if matches!(self.exit, Some(Err(_))) {
            let _ = self.managers.current.pidfd.kill();
        }
        self.stop_accepting();
        self.tell_all(|| ToReactor::Stop);
        self.threads.end();
        self.tell_the_last_given();
        self.service_ends();
        self.end_quarantine();
        self.tell_unhandled_events();
        self.close_base_books();
        self.tell_refused_calls();
        self.see_new_master_end();
        log_books(&self.reports.books.lock().unwrap_or_else(PoisonError::into_inner));
        self.sweep();
        self.exit.unwrap_or(Ok(()))
    }
}

impl Master {
    /// Ends what is left of a manager that was lost or did not end: programs that its workers had
    /// started are our children now. What the program itself had started before stays.
    fn sweep(&mut self) {
        // It says its last words and ends; a spare ends when its socket is closed.
        let manager = self.managers.current.pidfd.as_fd();
        let _ = poll::wait_readable([manager], Some(MANAGER_END_MAX));
        self.reap_orphans(clock::monotonic_ms());
        let left = self.orphans.end_all();
        if left > 0 {
            tracing::error!(left, "processes survived SIGKILL, the master ends without them");
        }
    }
}
