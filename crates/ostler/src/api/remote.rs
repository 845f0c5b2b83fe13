//! The way into a worker from other threads of its process.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::outcome::IntoOutcome;
use super::worker::Worker;
use crate::worker::HandlerId;
use crate::worker::inbox::{Inbox, Refused};

/// A handle to a worker for other threads of its process: thread pools, runtimes, drivers with
/// threads of their own. Made by [`Worker::remote`], cheap to clone, may go anywhere.
///
/// What is posted runs on the worker's thread between two callbacks, in the order in which one
/// thread posted it. It gets the handler and the worker, so that it may do whatever a callback may.
///
/// Threads must be started after the fork: in the factory of [`crate::Server::run`], in
/// [`Handler::on_worker_start`](crate::Handler::on_worker_start) or later.
///
/// ```
/// use ostler::{Handler, Outcome, Package, Session, Worker};
///
/// struct Slow;
///
/// impl Handler for Slow {
///     fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
///         let (remote, id, work) = (worker.remote::<Self>(), session.id(), package.to_vec());
///         std::thread::spawn(move || {
///             let answer = work.repeat(2); // takes long
///             // Refused only when the worker ends, or does not come to what is posted any more.
///             let _ = remote.post(move |_, worker| worker.session(id).send(&answer));
///         });
///         Ok(())
///     }
/// }
/// ```
pub struct Remote<H> {
    inbox: Arc<Inbox>,
    handler: HandlerId,
    of_type: PhantomData<fn(H)>,
}

impl<H> Clone for Remote<H> {
    fn clone(&self) -> Self {
        Self { inbox: Arc::clone(&self.inbox), handler: self.handler, of_type: PhantomData }
    }
}

impl<H> fmt::Debug for Remote<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}

impl<H: 'static> Remote<H> {
    pub(crate) fn new(inbox: &Arc<Inbox>, handler: HandlerId) -> Self {
        Self { inbox: Arc::clone(inbox), handler, of_type: PhantomData }
    }

    /// Runs `callback` on the worker's thread, soon. An error that it returns is logged. At most 65
    /// 536 callbacks wait at a time.
    ///
    /// # Errors
    /// [`PostError`]: the worker has ended, or so many callbacks wait already; `callback` is
    /// dropped.
    pub fn post<R: IntoOutcome>(
        &self,
        callback: impl FnOnce(&mut H, &Worker) -> R + Send + 'static,
    ) -> Result<(), PostError> {
        let post = move |handler: &mut dyn Any, worker: &Worker| match handler.downcast_mut() {
            Some(handler) => callback(handler, worker).into_outcome(),
            None => Err(super::worker::WRONG_HANDLER.into()),
        };
        self.inbox.post(self.handler, Box::new(post)).map_err(PostError)
    }
}

/// Why [`Remote::post`] refused.
///
/// ```
/// # use ostler::{Handler, PostError, Remote};
/// fn tick<H: Handler>(remote: &Remote<H>) -> bool {
///     match remote.post(|_, worker| println!("worker {}", worker.slot())) {
///         Ok(()) => true,
///         Err(error) if error.is_full() => true, // later
///         Err(error) => !error.is_ended(),
///     }
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PostError(pub(crate) Refused);

impl PostError {
    /// Too many callbacks wait; later there may be room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0 == Refused::Full
    }

    /// The worker process ends; what it had in hand is settled by the master.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.0 == Refused::Ended
    }
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Refused::Full => "too many callbacks wait for the worker: wait until it has taken some",
            Refused::Ended => "the worker has ended",
        })
    }
}

impl fmt::Debug for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for PostError {}
