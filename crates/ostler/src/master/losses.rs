//! A manager or its spare is lost.

use ostler_core::{Millis, shutdown};

use super::event_loop::Master;
use super::managers::Lost;
use crate::control::{ServerEvent, ToManager};
use crate::error::Error;
use crate::manager::ManagerHandle;

impl Master {
    pub(super) fn manager_lost(&mut self, now: Millis) {
        // What it said before it died counts, to the last word: that may be its spare. It adds
        // nothing any more.
        self.take_messages(usize::MAX, now);
        if self.exit.is_some() {
            return;
        }
        let _ = self.epoll.remove(&self.managers.current.channel);
        let _ = self.epoll.remove(&self.managers.current.pidfd);
        if let Some(spare) = &self.managers.spare {
            let _ = self.epoll.remove(&spare.pidfd);
        }
        if !self.shutdown.wants_manager() {
            self.on_shutdown(shutdown::Event::ManagersLost, now);
            return;
        }
        // Its workers died with it and are ours now. Asked while it is known to have ended, so that
        // they are known as ours.
        self.reap_orphans(now);
        let dead = self.managers.current.pid;
        self.retired.forget_what_is_known();
        self.companion_hears(ServerEvent::ManagerStop { pid: dead.get() });
        let (lost, processes) = self.managers.lost(now);
        self.figures.manager_died();
        for (key, has_died) in processes {
            if has_died {
                self.figures.process_died(key);
            }
            self.poison_forgets(key);
            self.release(key);
        }
        if let Lost::ForGood(why) = lost {
            self.exit = Some(Err(Error::managers_lost(why)));
            return;
        }
        tracing::warn!(
            pid = dead.get(),
            successor = self.managers.current.pid.get(),
            "the manager died, its spare takes its place; its workers died with it"
        );
        self.companion_hears_of_manager();
        if self.shutdown.has_begun() {
            self.send(&ToManager::Draining, Vec::new());
        }
        self.tell_size();
        self.service_has_new_manager();
        self.ask_for_reloads_anew();
        if let Err(error) = self.watch_manager() {
            self.exit = Some(Err(Error::internal("cannot watch the manager", Some(error))));
        }
    }

    pub(super) fn spare_lost(&mut self) {
        // The event may be of its predecessor: the manager has forked another in the same turn.
        let is_lost = |spare: &mut ManagerHandle| matches!(spare.pidfd.has_ended(), Ok(true));
        if let Some(spare) = self.managers.spare.take_if(is_lost) {
            let _ = self.epoll.remove(&spare.pidfd);
            tracing::warn!(pid = spare.pid.get(), "the spare manager died");
            // The manager notices too and forks another.
        }
    }
}
