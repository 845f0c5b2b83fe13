//! Timers of the engine, for whichever kind of process this is.

use std::time::Duration;

use ostler::{TimerId, Worker};

use super::companion::PhpEvents;
use super::handler::PhpHandler;
use super::state::{ProcessKind, ServerState};

/// A process in which timers run.
pub(crate) struct Ticker<'a> {
    worker: &'a Worker,
    kind: ProcessKind,
}

impl<'a> Ticker<'a> {
    /// Of the process of this server that this is, if it is one.
    pub(crate) fn of(server: &'a ServerState) -> Option<Self> {
        let process = server.process.get()?;
        Some(Self { worker: &process.worker, kind: process.kind })
    }

    /// Lets `run` be called later, or again and again.
    pub(crate) fn start(
        &self,
        interval: Duration,
        repeats: bool,
        run: impl Fn() + 'static,
    ) -> TimerId {
        match (self.kind, repeats) {
            (ProcessKind::Event | ProcessKind::Task, true) => {
                self.worker.every(interval, move |_: &mut PhpHandler, _| {
                    run();
                    Ok(())
                })
            }
            (ProcessKind::Event | ProcessKind::Task, false) => {
                self.worker.after(interval, move |_: &mut PhpHandler, _| {
                    run();
                    Ok(())
                })
            }
            (ProcessKind::Companion, true) => {
                self.worker.every(interval, move |_: &mut PhpEvents, _| {
                    run();
                    Ok(())
                })
            }
            (ProcessKind::Companion, false) => {
                self.worker.after(interval, move |_: &mut PhpEvents, _| {
                    run();
                    Ok(())
                })
            }
        }
    }
}
