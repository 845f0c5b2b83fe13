//! Commands: functions of one process that others call by name.

use std::any::Any;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::command_error::CommandError;
use super::outcome::{Failure, Outcome};
use super::process_slot::ProcessSlot;
use super::worker::Worker;
use crate::worker::{CommandFn, OnReply};

/// A call of a command that is to be made: say how its answer is awaited, [`CommandCall::wait`] or
/// [`CommandCall::then`]. Until then nothing happens.
///
/// ```
/// # use std::time::Duration;
/// # use ostler::{Outcome, Session, Worker};
/// fn show(worker: &Worker, session: &Session) -> Outcome {
///     let load = worker.call(1, "load", b"").wait(Duration::from_secs(1))?;
///     Ok(session.send(&load)?)
/// }
/// ```
#[derive(Debug)]
#[must_use = "nothing is called before `wait` or `then`"]
pub struct CommandCall<'a> {
    worker: &'a Worker,
    to: ProcessSlot,
    name: &'a str,
    bytes: &'a [u8],
}

impl CommandCall<'_> {
    /// Calls it and waits for the result, at most for `timeout`. This process does nothing else
    /// meanwhile: two that wait for each other wait until their time is over. Inside a callback
    /// what it has sent until now is published, and its package is not delivered again.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{CommandError, Worker};
    /// fn load_of(worker: &Worker, slot: u16) -> Result<Vec<u8>, CommandError> {
    ///     worker.call(slot, "load", b"").wait(Duration::from_secs(1))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`CommandError`].
    pub fn wait(self, timeout: Duration) -> Result<Vec<u8>, CommandError> {
        self.worker.context().wait_for_command((self.to, self.name, self.bytes), timeout)
    }

    /// Calls it; `callback` is called once, with the result or with why there is none, at the
    /// latest when `timeout` has passed. In a process that runs the loop of callbacks.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Handler, Outcome, Package, Session, Worker};
    /// struct Shop;
    ///
    /// impl Handler for Shop {
    ///     fn on_receive(&mut self, worker: &Worker, client: &Session, _: &Package) -> Outcome {
    ///         let client = client.id();
    ///         let call = worker.call(1, "load", b"");
    ///         call.then::<Self>(Duration::from_secs(1), move |_, worker, it| {
    ///             Ok(worker.session(client).send(&it?)?)
    ///         })?;
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Those that are known at once: then the callback is not called.
    ///
    /// # Panics
    /// When `H` is not the type of the handler whose callback runs.
    #[track_caller]
    pub fn then<H: 'static>(
        self,
        timeout: Duration,
        callback: impl FnOnce(&mut H, &Worker, Result<Vec<u8>, CommandError>) -> Outcome + 'static,
    ) -> Result<(), CommandError> {
        let handler = self.worker.running_handler::<H>();
        let on_reply: OnReply = Box::new(move |handler: &mut dyn Any, worker, result| {
            handler.downcast_mut().map_or(Ok(()), |handler| callback(handler, worker, result))
        });
        let call = (self.to, self.name, self.bytes);
        let made_at = Location::caller();
        self.worker.context().call_command(call, timeout, (handler, on_reply), made_at)
    }
}

impl Worker {
    /// Lets other processes call a function of this one by its name, 1 to 255 bytes. It is called
    /// between deliveries, with the handler whose callback runs now; an error that it returns is
    /// told to the caller. False: there is one of that name already, or it is no name.
    ///
    /// A [`ProcessBody`](crate::ProcessBody) is called when its `run` has returned.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Session, Worker};
    /// struct Shop {
    ///     orders: u64,
    /// }
    ///
    /// impl Handler for Shop {
    ///     fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
    ///         worker.add_command::<Self>("orders", |shop, _, _| {
    ///             Ok(shop.orders.to_string().into_bytes())
    ///         });
    ///         Ok(())
    ///     }
    ///
    ///     fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome {
    ///         self.orders += 1;
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ///
    /// # Panics
    /// When `H` is not the type of the handler whose callback runs.
    #[track_caller]
    pub fn add_command<H: 'static>(
        &self,
        name: &str,
        command: impl Fn(&mut H, &Self, &[u8]) -> Result<Vec<u8>, Failure> + 'static,
    ) -> bool {
        let handler = self.running_handler::<H>();
        let command: CommandFn =
            Rc::new(move |handler: &mut dyn Any, worker, bytes| match handler.downcast_mut() {
                Some(handler) => command(handler, worker, bytes),
                None => Ok(Vec::new()),
            });
        self.context().commands.add(name, handler, command)
    }

    /// A call of another process's command ([`Worker::add_command`]), with these bytes: see
    /// [`CommandCall`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{CommandError, ProcessSlot, Worker};
    /// fn flush(worker: &Worker) -> Result<(), CommandError> {
    ///     worker.call(ProcessSlot::TaskWorker(0), "flush", b"").wait(Duration::from_secs(5))?;
    ///     Ok(())
    /// }
    /// ```
    pub fn call<'a>(
        &'a self,
        to: impl Into<ProcessSlot>,
        name: &'a str,
        bytes: &'a [u8],
    ) -> CommandCall<'a> {
        CommandCall { worker: self, to: to.into(), name, bytes }
    }
}
