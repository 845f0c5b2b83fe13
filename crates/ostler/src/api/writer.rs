//! Messages of any length, sent as fast as their clients read.

use std::any::Any;
use std::fmt;

use super::handler::Handler;
use super::outcome::Outcome;
use super::send_error::SendError;
use super::worker::{WRONG_HANDLER, Worker};
use crate::worker::Stream;

/// Sends one message of any length to a session, see [`Session::writer`](super::session::Session).
///
/// It takes at most `send_queue_high` bytes that its client has not read; more are taken when the
/// client has read some. So a slow client stops who produces for it, and no memory grows. It takes
/// a quarter of that before the reactor has seen that it begins, or has no other message in front
/// of it, and while `memory_budget` is nearly used up.
///
/// The message ends in one of these ways:
///
/// | what happens | what the client sees |
/// |---|---|
/// | [`Writer::finish`] | all of it, and what is sent to the session later |
/// | it is dropped before, or its worker dies | a reset: the session ends as `truncated` |
/// | the session ends | what was written until then |
///
/// A message of which nothing was written yet leaves nothing behind when it is dropped.
///
/// ```
/// use ostler::{Handler, Outcome, Package, Session, Worker, Writer};
///
/// /// Answers each line with a hundred million bytes.
/// struct Generous;
///
/// impl Generous {
///     fn go_on(&mut self, mut left: usize, mut writer: Writer) -> Outcome {
///         let zeros = [b'0'; 64 * 1024];
///         while left > 0 {
///             let taken = writer.write(&zeros[..left.min(zeros.len())])?;
///             if taken == 0 {
///                 writer.on_writable(move |me: &mut Self, _, writer| me.go_on(left, writer));
///                 return Ok(());
///             }
///             left -= taken;
///         }
///         Ok(writer.finish()?)
///     }
/// }
///
/// impl Handler for Generous {
///     fn on_receive(&mut self, _: &Worker, session: &Session, _: &Package) -> Outcome {
///         self.go_on(100_000_000, session.writer()?)
///     }
/// }
/// ```
pub struct Writer {
    stream: Stream,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("session", &self.stream.session()).finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) const fn new(stream: Stream) -> Self {
        Self { stream }
    }

    pub(crate) const fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Id of the session.
    ///
    /// ```
    /// # use ostler::{Worker, Writer};
    /// fn who_reads(worker: &Worker, writer: &Writer) -> Option<String> {
    ///     worker.session(writer.session_id()).info().map(|info| info.peer.to_string())
    /// }
    /// ```
    #[must_use]
    pub const fn session_id(&self) -> u64 {
        self.stream.session()
    }

    /// How many bytes [`Writer::write`] would take now: so much is worth producing.
    ///
    /// ```
    /// # use ostler::{Outcome, Writer};
    /// /// Reads no more of a file than can be sent.
    /// fn copy(file: &mut impl std::io::Read, writer: &mut Writer) -> Outcome {
    ///     let mut bytes = vec![0; writer.room()?.min(64 * 1024)];
    ///     let read = file.read(&mut bytes)?;
    ///     writer.write(&bytes[..read])?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when the session has ended.
    pub fn room(&self) -> Result<usize, SendError> {
        self.stream.room()
    }

    /// Sends the first of these bytes, as many as there is room for, and returns how many that
    /// were. None: the client has to read first, see [`Writer::on_writable`]; or an earlier package
    /// of the session is not answered yet.
    ///
    /// ```
    /// # use ostler::{Outcome, Writer};
    /// /// Sends what there is room for.
    /// fn send_some(rest: &mut Vec<u8>, writer: &mut Writer) -> Outcome {
    ///     let taken = writer.write(rest)?;
    ///     rest.drain(..taken);
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when the session has ended.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize, SendError> {
        self.stream.write(bytes)
    }

    /// Calls back once, with this writer, when a quarter of `send_queue_high` can be written or
    /// more. When the session ends before, the callback is dropped; `on_close` tells of it.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Writer};
    /// /// Sends a message piece by piece.
    /// fn send_all<H: Handler>(mut rest: Vec<u8>, mut writer: Writer) -> Outcome {
    ///     let taken = writer.write(&rest)?;
    ///     rest.drain(..taken);
    ///     if rest.is_empty() {
    ///         return Ok(writer.finish()?);
    ///     }
    ///     writer.on_writable(|_: &mut H, _, writer| send_all::<H>(rest, writer));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Panics
    /// When `H` is not the type of the handler whose callback runs.
    pub fn on_writable<H: Handler>(
        self,
        callback: impl FnOnce(&mut H, &Worker, Self) -> Outcome + 'static,
    ) {
        let context = self.stream.context();
        let callee = context.callee.running_of::<H>();
        assert!(callee.is_some(), "{WRONG_HANDLER}");
        let resume = move |handler: &mut dyn Any, worker: &Worker, writer: Self| {
            handler.downcast_mut().map_or(Ok(()), |handler| callback(handler, worker, writer))
        };
        let trace = context.traces.context();
        context.streams.park(self, callee.unwrap_or_default(), Box::new(resume), trace);
    }

    /// The message is complete. This finds room however slowly the client reads, as a close does.
    ///
    /// ```
    /// # use ostler::{Outcome, Session, Writer};
    /// fn end_list(session: &Session, writer: Writer) -> Outcome {
    ///     writer.finish()?; // without it the session would end as `truncated`
    ///     Ok(session.send(b"and what now?\n")?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when the session has ended.
    pub fn finish(mut self) -> Result<(), SendError> {
        self.stream.finish()
    }
}
