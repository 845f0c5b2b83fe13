//! One message of a session.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, Range};
use std::rc::Rc;

use ostler_core::trace::TraceContext;
use ostler_shm::record::{FLAG_LAST, FLAG_REDELIVERED};

use super::file_source::FileSource;
use super::send_error::SendError;
use crate::worker::context::WorkerContext;
use crate::worker::output::Output;
use crate::worker::port::Payload;
use crate::worker::token::DeferredToken;

/// A package: one message of a framed session, or what a read brought of one without framing, see
/// [`Package::consume`]. Its bytes lie in shared memory that only the master can change, and does
/// not while the callback runs.
///
/// ```
/// # use ostler::Package;
/// fn words(package: &Package) -> usize {
///     // It is a slice of bytes.
///     package.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).count()
/// }
/// ```
pub struct Package {
    context: Rc<WorkerContext>,
    payload: Payload,
    session: u64,
    flags: u8,
    /// The part that is shown, when it is not all of it.
    part: RefCell<Option<Range<usize>>>,
}

/// So many bytes are shown by `Debug`.
const SHOWN_BYTES: usize = 64;

impl fmt::Debug for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes(f, "Package", format_args!("session {}", self.session), self.as_bytes())
    }
}

/// The length and the first bytes, escaped: a package may be long, and of any bytes.
pub(super) fn debug_bytes(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    of: fmt::Arguments<'_>,
    bytes: &[u8],
) -> fmt::Result {
    let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes).escape_ascii();
    let more = if bytes.len() > SHOWN_BYTES { "…" } else { "" };
    write!(f, "{name}({of}, {} bytes: \"{shown}{more}\")", bytes.len())
}

impl Package {
    pub(crate) fn new(
        context: &Rc<WorkerContext>,
        payload: Payload,
        session: u64,
        flags: u8,
    ) -> Self {
        Self { context: Rc::clone(context), payload, session, flags, part: RefCell::default() }
    }

    /// What the handles of its worker share.
    pub(super) const fn context(&self) -> &Rc<WorkerContext> {
        &self.context
    }

    /// The bytes.
    ///
    /// ```
    /// # use ostler::Package;
    /// fn is_ping(package: &Package) -> bool {
    ///     package.as_bytes() == b"PING\r\n"
    /// }
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let all = self.payload.bytes();
        match &*self.part.borrow() {
            None => all,
            Some(part) => all.get(part.clone()).unwrap_or_default(),
        }
    }

    /// Shows only this part while `work` is done.
    pub(super) fn with_part<T>(&self, part: Range<usize>, work: impl FnOnce() -> T) -> T {
        let before = self.part.replace(Some(part));
        let done = work();
        self.part.replace(before);
        done
    }

    /// The most bytes that a package of its port may leave unused; `None`: with its framing nothing
    /// can be left.
    pub(super) fn stream_max_length(&self) -> Option<usize> {
        self.context.running_stream_max_length()
    }

    /// Whether its delivery does not end with the callback, or its session was closed.
    pub(super) fn is_deferred_or_closed(&self) -> bool {
        self.context.is_running_deferred_or_closed()
    }

    /// Whether a worker that died had started it before (only with `crash_policy = redeliver`):
    /// side effects outside this server may have happened already.
    ///
    /// ```
    /// # use ostler::{Outcome, Package};
    /// fn pay(package: &Package) -> Outcome {
    ///     if package.is_redelivered() {
    ///         // The worker that had it died: look first whether it was paid already.
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn is_redelivered(&self) -> bool {
        self.flags & FLAG_REDELIVERED != 0
    }

    /// Says that only the first `len` bytes of the package were used (framing `stream`, the
    /// default). The rest is given again, with what the client has sent since, to this worker or to
    /// another one: a message that is not complete yet needs no memory in the handler, and survives
    /// its worker. Without a call, or with `len` at least the package's length, all of it was used.
    /// The last call counts.
    ///
    /// After a package of which something was used the rest is given again at once; after one of
    /// which nothing was used, when more has come. The most that can be kept is
    /// `package_max_length`.
    ///
    /// ```
    /// # use ostler::{Package, Session};
    /// /// Answers each line; the beginning of the next one stays with the server.
    /// fn on_receive(session: &Session, package: &Package) {
    ///     let complete = package.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    ///     for line in package[..complete].split_inclusive(|byte| *byte == b'\n') {
    ///         let _ = session.send(line);
    ///     }
    ///     package.consume(complete);
    /// }
    /// ```
    ///
    /// For a package that is deferred it may be called in the callback or later, by
    /// [`Deferred::consume`]: the rest is given again when the deferred delivery is finished.
    ///
    /// With another framing a package is always used as a whole; the call is logged as a mistake.
    /// Behind a [`ByLength`](crate::ByLength) it has no effect.
    pub fn consume(&self, len: usize) {
        if self.part.borrow().is_some() {
            return;
        }
        self.context.set_used(part_of(len, self.as_bytes().len()));
    }

    /// Whether this is the rest that a handler did not use, given once more because the client will
    /// send no more (framing `stream`). What is not used now is thrown away. A client that leaves
    /// nothing unused behind has no last package.
    ///
    /// ```
    /// # use ostler::{Outcome, Package, Session};
    /// fn on_receive(session: &Session, package: &Package) -> Outcome {
    ///     if package.is_last() {
    ///         return Err("the client left in the middle of a message".into());
    ///     }
    ///     package.consume(0); // wait for more
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn is_last(&self) -> bool {
        self.flags & FLAG_LAST != 0
    }

    /// Takes the delivery out of the callback: it is finished when the answer is dropped, not when
    /// `on_receive` returns. Until then the session stays with this worker and the delivery stays
    /// in hand.
    ///
    /// `None` when it was deferred already.
    ///
    /// ```
    /// # use ostler::{Outcome, Package};
    /// fn on_receive(package: &Package) -> Outcome {
    ///     let mut deferred = package.defer().ok_or("deferred already")?;
    ///     std::thread::spawn(move || {
    ///         let answer = deferred.as_bytes().to_ascii_uppercase(); // takes long
    ///         let _ = deferred.send(&answer); // refused when the client has left
    ///     });
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn defer(&self) -> Option<Deferred> {
        let token = DeferredToken::begin(&self.context)?;
        let (bytes, is_part) = (self.as_bytes().to_vec(), self.part.borrow().is_some());
        Some(Deferred { token, bytes, session: self.session, trace: self.trace(), is_part })
    }
}

/// `used` of `len` bytes; `None` = all.
fn part_of(used: usize, len: usize) -> Option<u32> {
    if used < len { u32::try_from(used).ok() } else { None }
}

impl Deref for Package {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// A delivery that goes on after its callback. Dropping it finishes it. It may go to another
/// thread: there its outputs are posted to the worker, in their order. When a thread panics with
/// it, its session is closed, because nobody will answer any more.
///
/// ```
/// use ostler::{Handler, Outcome, Package, Session, Worker};
///
/// struct Slow;
///
/// impl Handler for Slow {
///     fn on_receive(&mut self, _: &Worker, _: &Session, package: &Package) -> Outcome {
///         if let Some(mut deferred) = package.defer() {
///             std::thread::spawn(move || {
///                 let answer = deferred.as_bytes().repeat(2); // takes long
///                 deferred.send(&answer)
///             });
///         }
///         Ok(())
///     }
/// }
/// ```
///
/// With `crash_policy = redeliver` its outputs become visible all at once when it is finished; more
/// than `redeliver_output_bytes` of them become visible as they come, and the package is then never
/// delivered again. The same happens when the callback it was taken in sends something itself.
///
/// Until it is finished, later packages of its session are handled, but what they cause is held
/// back, so that the answers of a session come in the order of its packages (`answer_order = kept`,
/// the default).
///
/// What becomes visible as it comes waits for the end of a callback of another delivery that it is
/// sent in, if that one has sent something too: at most `redeliver_output_bytes` (or one message),
/// then sending answers *full* until that callback has returned.
pub struct Deferred {
    token: DeferredToken,
    bytes: Vec<u8>,
    session: u64,
    pub(super) trace: TraceContext,
    /// The delivery has other bytes besides.
    is_part: bool,
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_bytes(f, "Deferred", format_args!("session {}", self.session), &self.bytes)
    }
}

impl Deferred {
    /// The package's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Id of the package's session.
    #[must_use]
    pub const fn session_id(&self) -> u64 {
        self.session
    }

    /// Sends bytes to the package's session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.token.output(self.session, Output::Send(bytes))
    }

    /// Sends bytes to any session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_to(&mut self, session: u64, bytes: &[u8]) -> Result<(), SendError> {
        self.token.output(session, Output::Send(bytes))
    }

    /// Sends a part of a file to the package's session as an output of this delivery, see
    /// [`crate::Session::sendfile`].
    ///
    /// ```
    /// # use ostler::{Deferred, SendError};
    /// /// On another thread, which may wait for the disk.
    /// fn answer(mut request: Deferred) -> Result<(), SendError> {
    ///     let path = String::from_utf8_lossy(request.as_bytes()).into_owned();
    ///     request.sendfile(&path, 0, None)
    /// }
    /// ```
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn sendfile<'a>(
        &mut self,
        file: impl Into<FileSource<'a>>,
        offset: u64,
        length: impl Into<Option<u64>>,
    ) -> Result<(), SendError> {
        match file.into().part(offset, length.into())? {
            Some(part) => self.token.output(self.session, Output::File(&part)),
            None => self.token.output(self.session, Output::Send(&[])),
        }
    }

    /// Sets the state of the package's session as an output of this delivery.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn set_state(&mut self, state: &[u8]) -> Result<(), SendError> {
        self.token.output(self.session, Output::State(state))
    }

    /// Binds the package's session to a number as an output of this delivery, see
    /// [`crate::Session::bind`].
    ///
    /// ```
    /// # use ostler::{Deferred, SendError};
    /// /// Somebody has looked up who logs in.
    /// fn known(mut login: Deferred, user: u32) -> Result<(), SendError> {
    ///     login.bind(user)?;
    ///     login.send(b"welcome\n")
    /// }
    /// ```
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn bind(&mut self, user: u32) -> Result<(), SendError> {
        self.token.output(self.session, Output::Bind(user))
    }

    /// Closes the package's session, after what was sent before, as an output of this delivery.
    /// Like [`crate::Session::close`] this is never refused for want of room.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn close(&mut self) -> Result<(), SendError> {
        self.token.output(self.session, Output::Close(false))
    }

    /// Says how many bytes of the package were used, as [`Package::consume`] does in the callback,
    /// whose word this replaces. The rest is given again when the delivery is finished, with what
    /// the client has sent since.
    ///
    /// ```
    /// # use ostler::Deferred;
    /// /// On another thread: answers the whole lines, leaves the beginning of the next one.
    /// fn answer(mut deferred: Deferred) {
    ///     let lines = deferred.as_bytes().iter().rposition(|byte| *byte == b'\n');
    ///     let complete = lines.map_or(0, |at| at + 1);
    ///     let answer = deferred.as_bytes()[..complete].to_ascii_uppercase();
    ///     deferred.consume(complete);
    ///     let _ = deferred.send(&answer); // refused when the client has left
    /// }
    /// ```
    pub fn consume(&mut self, len: usize) {
        if !self.is_part {
            self.token.set_used(part_of(len, self.bytes.len()));
        }
    }

    /// Finishes the delivery; the same as dropping it.
    pub fn finish(self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deferred_package_may_go_to_another_thread() {
        const fn may_be_sent<T: Send>() {}
        may_be_sent::<Deferred>();
    }

    #[test]
    fn debug_shows_the_length_and_the_first_bytes_escaped() {
        struct Shown<'a>(&'a [u8]);
        impl fmt::Debug for Shown<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                debug_bytes(f, "Package", format_args!("session 7"), self.0)
            }
        }
        let short = format!("{:?}", Shown(b"GET \xff\n"));
        assert_eq!(short, "Package(session 7, 6 bytes: \"GET \\xff\\n\")");
        let long = format!("{:?}", Shown(&[b'x'; 1_000]));
        assert!(long.contains("1000 bytes") && long.ends_with("x…\")"), "{long}");
        assert!(long.len() < 120, "{long}");
    }
}
