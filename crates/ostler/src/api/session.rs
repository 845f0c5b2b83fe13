//! A client's connection, as user code sees it.

use std::rc::Rc;

use ostler_shm::sessions::{PAUSED, PROTECTED, Peer};

use super::file_source::FileSource;
use super::port::Port;
use super::send_error::SendError;
use super::session_info::SessionInfo;
use super::writer::Writer;
use crate::worker::{Marks, Output, Stream, WorkerContext};

/// A handle to a session. Any worker may use it for any session; it outlives the session, and then
/// answers `gone`.
///
/// ```
/// # use ostler::{Outcome, Session, Worker};
/// /// Any worker may send to any session, by its id.
/// fn whisper(worker: &Worker, to: u64, text: &str) -> Outcome {
///     let session: Session = worker.session(to);
///     Ok(session.send(text.as_bytes())?)
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    context: Rc<WorkerContext>,
    id: u64,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Session {
    pub(crate) const fn new(context: Rc<WorkerContext>, id: u64) -> Self {
        Self { context, id }
    }

    pub(super) const fn context(&self) -> &Rc<WorkerContext> {
        &self.context
    }

    /// The session's id: 53 bits, never issued twice by one server.
    ///
    /// ```
    /// # use std::collections::HashMap;
    /// # use ostler::Session;
    /// fn join(rooms: &mut HashMap<u64, String>, session: &Session, room: &str) {
    ///     rooms.insert(session.id(), room.to_owned());
    /// }
    /// ```
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Sends bytes to the client. Accepted means: written to the socket in order, or the session
    /// closes with a reason. Inside a callback this is an output of its delivery (see
    /// `crash_policy`), elsewhere it is visible at once.
    ///
    /// A reply that is a part of the package being handled is not copied.
    ///
    /// ```
    /// # use ostler::{Outcome, Package, Session};
    /// fn on_receive(session: &Session, package: &Package) -> Outcome {
    ///     session.send(&package[..package.len() / 2])?; // not copied
    ///     session.send(b"\n")?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError`]: full, gone or too long.
    pub fn send(&self, bytes: &[u8]) -> Result<(), SendError> {
        self.context.output(self.id, Output::Send(bytes))
    }

    /// Sends a part of a file: `length` bytes from `offset` on, or all of them to its end. In order
    /// with everything else that is sent to the session, and an output of the running callback, as
    /// [`Session::send`] is. The kernel takes the bytes from the file while the client reads, so
    /// that there is no limit of their number; on an encrypted connection they are copied. They
    /// are those that the file has then: who changes a file should write a new one and rename it.
    ///
    /// Accepted means: the process that has the connection has the file too. It is written to its
    /// end even if this worker dies. When the file becomes shorter meanwhile, or its disk fails,
    /// the session is closed as `truncated`.
    ///
    /// The path is opened here, with the rights of this worker. What is no regular file is
    /// refused, and so is one whose reads a program or a driver answers (FUSE, `/proc`). A file
    /// that waits counts as 16 KiB of unsent output, however long it is, and `sendfile_max` of them
    /// may wait over the whole server.
    ///
    /// ```
    /// # use ostler::{Outcome, Session};
    /// fn answer(session: &Session, path: &str) -> Outcome {
    ///     session.send(b"here it is:\n")?;
    ///     session.sendfile(path, 0, None)?;
    ///     Ok(session.send(b"\n")?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError`]: full (also when too many files wait, then nothing tells when there are
    /// fewer), gone, or [`SendError::file_error`].
    pub fn sendfile<'a>(
        &self,
        file: impl Into<FileSource<'a>>,
        offset: u64,
        length: impl Into<Option<u64>>,
    ) -> Result<(), SendError> {
        match file.into().part(offset, length.into())? {
            Some(part) => self.context.output(self.id, Output::File(&part)),
            None => self.context.output(self.id, Output::Send(&[])),
        }
    }

    /// Begins a message of any length, which is sent as fast as the client reads: for what is
    /// longer than `max_send_bytes`, or better not held in memory as a whole. From its first byte
    /// until it is finished, what is sent to the session besides waits behind it, and other writers
    /// of this worker to the session have no room.
    ///
    /// Inside a callback of a delivery it takes that out of the callback, as
    /// [`Package::defer`](crate::Package::defer) does: the package is finished when the writer is
    /// finished or dropped, answers to later packages come behind it, and the package is never
    /// delivered again once something was written. There may be several for one package.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Session, Writer};
    /// fn send_long<H: Handler>(session: &Session, bytes: Vec<u8>) -> Outcome {
    ///     go_on::<H>(bytes, session.writer()?)
    /// }
    ///
    /// fn go_on<H: Handler>(mut rest: Vec<u8>, mut writer: Writer) -> Outcome {
    ///     let taken = writer.write(&rest)?;
    ///     rest.drain(..taken);
    ///     if rest.is_empty() {
    ///         return Ok(writer.finish()?);
    ///     }
    ///     writer.on_writable(|_: &mut H, _, writer| go_on::<H>(rest, writer));
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError`]: full, as for [`Session::send`], or gone.
    pub fn writer(&self) -> Result<Writer, SendError> {
        Ok(Writer::new(Stream::begin(&self.context, self.id)?))
    }

    /// Ends the session after everything sent before is written. This is never refused for want of
    /// room; it waits for some, however short `send_timeout_ms` is. Nothing follows it: sends are
    /// refused at once, and packages that the client sent behind are not given to the handler.
    ///
    /// ```
    /// # use ostler::{Outcome, Session};
    /// fn quit(session: &Session) -> Outcome {
    ///     session.send(b"bye\n")?;
    ///     session.close()?; // when that is written
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when it has ended already.
    pub fn close(&self) -> Result<(), SendError> {
        self.context.output(self.id, Output::Close(false))
    }

    /// Ends the session at once with a TCP reset; what is unsent is thrown away.
    /// Otherwise like [`Session::close`].
    ///
    /// ```
    /// # use ostler::{SendError, Session};
    /// fn throw_out(session: &Session) -> Result<(), SendError> {
    ///     session.reset()
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when it has ended already.
    pub fn reset(&self) -> Result<(), SendError> {
        self.context.output(self.id, Output::Close(true))
    }

    /// Whether it takes output: it has not ended, it is not closing, and this worker has not asked
    /// for its close, as far as is known here.
    ///
    /// ```
    /// # use ostler::Session;
    /// fn still_there(sessions: &[Session]) -> usize {
    ///     sessions.iter().filter(|session| session.is_open()).count()
    /// }
    /// ```
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.context.takes_output(self.id)
    }

    /// Stops reading the session: what its client sends waits in the kernel, and in the end at the
    /// client. Packages that were given to workers before, also to others, are still handled;
    /// output is not affected. Pausing what is paused changes nothing.
    ///
    /// The pause is the session's: it stays when this worker dies or is replaced, until any worker
    /// calls [`Session::resume`]. It ends when the connection fails (what came before is still
    /// handled) and when the server drains. [`SessionInfo::is_paused`] shows it.
    ///
    /// Inside a callback this is an output of its delivery, so that it takes effect when those do.
    /// It is never refused for want of room.
    ///
    /// ```
    /// # use ostler::{Outcome, Package, Session};
    /// /// One order at a time: the next is read when this one is done.
    /// fn on_receive(session: &Session, order: &Package) -> Outcome {
    ///     session.pause()?;
    ///     // … and where the order is done:
    ///     session.resume()?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when it has ended.
    pub fn pause(&self) -> Result<(), SendError> {
        self.context.output(self.id, Output::Mark(Marks { set: PAUSED, clear: 0 }))
    }

    /// Reads the session again, see [`Session::pause`]. Resuming what is not paused changes
    /// nothing.
    ///
    /// ```
    /// # use ostler::{SendError, Session};
    /// fn next_order(session: &Session) -> Result<(), SendError> {
    ///     session.resume()
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when it has ended.
    pub fn resume(&self) -> Result<(), SendError> {
        self.context.output(self.id, Output::Mark(Marks { set: 0, clear: PAUSED }))
    }

    /// Lets a session be read that came on a port with `accept_confirm`, the same as
    /// [`Session::resume`].
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Peer, Session, Worker};
    /// # struct Guarded;
    /// # fn is_welcome(_: std::net::IpAddr) -> bool { true }
    /// # impl Handler for Guarded {
    /// fn on_connect(&mut self, _: &Worker, session: &Session) -> Outcome {
    ///     match session.peer() {
    ///         Some(Peer::Ip(peer)) if is_welcome(peer.ip()) => Ok(session.confirm()?),
    ///         _ => Ok(session.reset()?),
    ///     }
    /// }
    /// # fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome { Ok(()) }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when it has ended.
    pub fn confirm(&self) -> Result<(), SendError> {
        self.resume()
    }

    /// Exempts the session from being ended for having been idle, or ends the exemption. Limits of
    /// memory and of unsent output are meant for it as for any other. Like the pause it is the
    /// session's own and survives this worker; [`SessionInfo::is_protected`] shows it.
    ///
    /// ```
    /// # use ostler::{Outcome, Session};
    /// /// A listener has nothing to say for hours.
    /// fn subscribe(session: &Session) -> Outcome {
    ///     session.protect(true)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_gone`] when it has ended.
    pub fn protect(&self, on: bool) -> Result<(), SendError> {
        let (set, clear) = if on { (PROTECTED, 0) } else { (0, PROTECTED) };
        self.context.output(self.id, Output::Mark(Marks { set, clear }))
    }

    /// Binds the session to a number: that of a user, of a room, or of a worker slot. With
    /// `dispatch = user_id` or `user_function` the session belongs to the worker in slot `user %
    /// workers` from when nothing of it is at a worker any more; so all sessions of one user meet
    /// in one process. With other modes the number is only kept, for [`Session::user`]. It may be
    /// bound again at any time; inside a callback that is published together with the reply.
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Session, Worker};
    /// # struct Game;
    /// # fn player(_: &[u8]) -> Option<u32> { None }
    /// # impl Handler for Game {
    /// fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
    ///     if session.user().is_none() {
    ///         // The first package is the login: what follows goes where the player's game is.
    ///         let player = player(package).ok_or("no such player")?;
    ///         return Ok(session.bind(player)?);
    ///     }
    ///     Ok(())
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`SendError`]: gone, or full when the lane has had no room for `send_timeout_ms`.
    pub fn bind(&self, user: u32) -> Result<(), SendError> {
        self.context.output(self.id, Output::Bind(user))
    }

    /// The number to which the session is bound, as the session table shows it: a moment after
    /// [`Session::bind`], when that callback is over. `None` when it is not bound, or has ended.
    ///
    /// ```
    /// # use ostler::{Session, Worker};
    /// fn sessions_of(worker: &Worker, user: u32) -> Vec<Session> {
    ///     let all = worker.sessions().into_iter();
    ///     all.filter(|session| session.user() == Some(user)).collect()
    /// }
    /// ```
    #[must_use]
    pub fn user(&self) -> Option<u32> {
        let record = self.context.sessions.record(self.id)?;
        ostler_shm::sessions::user_of(record.flags)
    }

    /// Who the client is: its address, or the process at the other end of a unix socket.
    /// `None` once the session has ended (after `on_close`).
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Session, Worker};
    /// # struct Greeter;
    /// # impl Handler for Greeter {
    /// fn on_connect(&mut self, _worker: &Worker, session: &Session) -> Outcome {
    ///     let Some(peer) = session.peer() else { return Ok(()) }; // it has left already
    ///     Ok(session.send(format!("welcome, {peer}\n").as_bytes())?)
    /// }
    /// # fn on_receive(&mut self, _: &Worker, _: &Session, _: &Package) -> Outcome { Ok(()) }
    /// # }
    /// ```
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        Some(self.info()?.peer)
    }

    /// The port on which the client came; `None` once the session has ended (after `on_close`).
    ///
    /// ```
    /// # use ostler::{Handler, Outcome, Package, Session, Worker};
    /// # struct Both;
    /// # impl Both { fn administer(&self, _: &Session, _: &Package) -> Outcome { Ok(()) } }
    /// # impl Handler for Both {
    /// fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
    ///     if session.port().is_some_and(|port| port.name() == "admin") {
    ///         return self.administer(session, package);
    ///     }
    ///     Ok(session.send(package)?)
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn port(&self) -> Option<Port> {
        let record = self.context.sessions.record(self.id)?;
        Some(self.context.listening_port(record.port).clone())
    }

    /// What is known of it; `None` once it has ended (after `on_close`). It is read from memory
    /// that all processes share: nobody is asked, and nothing waits.
    ///
    /// ```
    /// # use ostler::Session;
    /// fn reads_too_slowly(session: &Session) -> bool {
    ///     session.info().is_some_and(|info| info.is_full)
    /// }
    /// ```
    #[must_use]
    pub fn info(&self) -> Option<SessionInfo> {
        let record = self.context.sessions.record(self.id)?;
        let traffic = self.context.sessions.traffic(self.id)?;
        Some(SessionInfo::new(&record, &traffic))
    }

    /// Keeps a blob with the session, in the master: it survives this process and is seen by every
    /// worker. In a callback it is published together with what is sent behind it, or else with the
    /// end of the callback; so set it before the reply, and nobody sees one without the other.
    ///
    /// With the feature `serde` of this crate, `set_state_as` and `state_as` keep a value of the
    /// program's own type.
    ///
    /// ```
    /// # use ostler::{Outcome, Session};
    /// fn enter(session: &Session, room: &str) -> Outcome {
    ///     session.set_state(room.as_bytes())?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError::is_too_long`] above `session_state_max_bytes`; [`SendError::is_full`] when it
    /// is longer than `session_state_size` and the memory for those has no room; gone.
    pub fn set_state(&self, state: &[u8]) -> Result<(), SendError> {
        self.context.output(self.id, Output::State(state))?;
        self.context.sessions.note_state(self.id, state);
        Ok(())
    }

    /// The blob; empty when none was set or the session has ended.
    ///
    /// ```
    /// # use ostler::Session;
    /// fn name(session: &Session) -> String {
    ///     String::from_utf8(session.state()).unwrap_or_default()
    /// }
    /// ```
    #[must_use]
    pub fn state(&self) -> Vec<u8> {
        self.context.sessions.state(self.id)
    }
}
