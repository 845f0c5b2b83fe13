//! What each signal to the master asks for.

use ostler_core::Millis;
use ostler_core::shutdown;

use super::event_loop::Master;
use crate::sys::{log_signal, signal};

impl Master {
    pub(super) fn take_signals(&mut self, now: Millis) {
        while let Ok(Some(received)) = self.signals.read() {
            match received.signal {
                signal::TERM => self.on_shutdown(shutdown::Event::Terminate, now),
                signal::INT | signal::QUIT => self.on_shutdown(shutdown::Event::Interrupt, now),
                signal::USR1 => self.reload_by_signal(received),
                signal::HUP => self.on_hang_up(received),
                signal::TTIN => self.change_workers(1, "SIGTTIN"),
                signal::TTOU => self.change_workers(-1, "SIGTTOU"),
                signal::CHLD => self.reap_orphans(now),
                signal::USR2 => {
                    // The log says why none is started.
                    let _ = self.ask_for_succession(received.sender_pid, now);
                }
                rt if rt == log_signal::number() => Self::on_log_signal(received),
                _ => self.signal_notes.note(received),
            }
        }
    }
}
