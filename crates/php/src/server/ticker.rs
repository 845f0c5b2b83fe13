//! Timers of the engine, and its ear for other threads, for whichever kind of process this is.

use std::time::Duration;

use ostler::{TimerId, Worker};

use super::companion::PhpEvents;
use super::handler::PhpHandler;
use super::state::{ProcessKind, ServerState};
use super::user::PhpProcess;

/// A process in which timers run.
pub(crate) struct Ticker<'a> {
    worker: &'a Worker,
    kind: ProcessKind,
}

/// Lets something run in the loop of a process; false when that has ended.
pub(crate) type Poster = Box<dyn Fn() -> bool + Send>;

impl<'a> Ticker<'a> {
    /// Of the process of this server that this is, if it is one.
    pub(crate) fn of(server: &'a ServerState) -> Option<Self> {
        let process = server.process()?;
        Some(Self { worker: &process.worker, kind: process.kind })
    }

    /// Lets `run` be called later, or again and again.
    pub(crate) fn start(
        &self,
        interval: Duration,
        repeats: bool,
        run: impl Fn() + 'static,
    ) -> TimerId {
        match self.kind {
            ProcessKind::Event | ProcessKind::Task => {
                start_for::<PhpHandler>(self.worker, interval, repeats, run)
            }
            ProcessKind::Companion => start_for::<PhpEvents>(self.worker, interval, repeats, run),
            ProcessKind::User => start_for::<PhpProcess>(self.worker, interval, repeats, run),
        }
    }

    /// A way for other threads to have `run` called in the loop.
    pub(crate) fn poster(&self, run: fn()) -> Poster {
        match self.kind {
            ProcessKind::Event | ProcessKind::Task => poster_for::<PhpHandler>(self.worker, run),
            ProcessKind::Companion => poster_for::<PhpEvents>(self.worker, run),
            ProcessKind::User => poster_for::<PhpProcess>(self.worker, run),
        }
    }
}

fn start_for<H: 'static>(
    worker: &Worker,
    interval: Duration,
    repeats: bool,
    run: impl Fn() + 'static,
) -> TimerId {
    let callback = move |_: &mut H, _: &Worker| {
        run();
        Ok(())
    };
    if repeats { worker.every(interval, callback) } else { worker.after(interval, callback) }
}

fn poster_for<H: 'static>(worker: &Worker, run: fn()) -> Poster {
    let remote = worker.remote::<H>();
    Box::new(move || match remote.post(move |_: &mut H, _: &Worker| run()) {
        Ok(()) => true,
        // It has much to do, and will look then.
        Err(error) => error.is_full(),
    })
}
