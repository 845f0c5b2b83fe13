//! What the master tells about the life of the server.

use super::event_loop::Master;
use crate::api::port::Ports;
use crate::control::ServerEvent;
use crate::sys::process;

/// What the program wants to do when the server listens.
pub(crate) type Announcement = Box<dyn FnOnce(&Ports)>;

impl Master {
    /// The figures that are in force, whatever was asked for.
    pub(super) fn report_start(&mut self) {
        self.companion_hears(ServerEvent::Start);
        self.companion_hears_of_manager();
        let (options, plan) = (&self.options, self.options.planned());
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            name = self.name,
            address = %self.ports,
            workers = options.workers,
            reactors = options.reactors,
            max_connections = options.max_connections,
            lane_size = plan.lane_size(),
            lanes = plan.lanes(),
            sessions = plan.board(),
            budget = plan.budget(),
            total = plan.total(),
            "starts"
        );
    }

    /// Says once that clients are served from now on.
    pub(super) fn announce(&mut self) {
        if let Some(announcement) = self.announcement.take() {
            let pid = process::current().get();
            for port in self.ports.iter() {
                let name = Some(port.name()).filter(|_| !self.ports.is_only_main());
                tracing::info!(pid, port = name, "listening on {port}");
            }
            announcement(&self.ports);
            // What the program does there is its own, and the last thing that needs more; one that
            // takes over makes what was lent to it its own first.
            if !self.takes_over() {
                self.confine();
            }
            self.take_over();
        }
    }
}
