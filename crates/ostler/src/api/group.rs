//! Groups of sessions, as user code sees them.

use std::rc::Rc;

use super::send_error::SendError;
use super::session::Session;
use super::worker::Worker;
use crate::worker::WorkerContext;

/// A group of sessions by its name, made by [`Worker::group`]: a room, a topic, a game. The master
/// keeps who is in it, so that it does not matter to a group which workers live or die. It is there
/// as long as a session is in it; a session leaves all of its groups when it ends.
///
/// ```
/// # use ostler::{Handler, Outcome, Package, Session, Worker};
/// # struct Room;
/// # impl Handler for Room {
/// fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome {
///     session.join("lobby")?;
///     Ok(worker.group("lobby").send(b"somebody came\n")?) // also to who came
/// }
///
/// fn on_receive(&mut self, worker: &Worker, session: &Session, line: &Package) -> Outcome {
///     Ok(worker.group("lobby").send_to_others(session, line)?)
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct Group {
    context: Rc<WorkerContext>,
    name: Box<[u8]>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = String::from_utf8_lossy(&self.name);
        f.debug_struct("Group").field("name", &name).finish_non_exhaustive()
    }
}

impl Group {
    /// Its name.
    ///
    /// ```
    /// # use ostler::Group;
    /// fn describe(group: &Group) -> String {
    ///     format!("{} people in {}", group.len(), String::from_utf8_lossy(group.name()))
    /// }
    /// ```
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Sends bytes to every member. It costs this worker the same however many there are: the
    /// master writes it to each of them, from one copy.
    ///
    /// Each member gets it in order with everything else that this worker sends to it. A member to
    /// which [`Session::send`] would answer *full* misses it, or is closed, as the option
    /// `group_overflow` says; the books count both. Inside a callback it is an output of its
    /// delivery, so that with `crash_policy = redeliver` it is sent once.
    ///
    /// ```
    /// # use ostler::{Outcome, Worker};
    /// fn announce(worker: &Worker, news: &[u8]) -> Outcome {
    ///     Ok(worker.group("subscribers").send(news)?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError`]: too long (more than [`Worker::max_send_bytes`]), a bad name, or full when a
    /// lane has had no room for `send_timeout_ms`: then nobody gets it.
    pub fn send(&self, bytes: &[u8]) -> Result<(), SendError> {
        self.context.send_to_group(&self.name, 0, bytes)
    }

    /// The same to every member but one.
    ///
    /// ```
    /// # use ostler::{Outcome, Package, Session, Worker};
    /// fn said(worker: &Worker, session: &Session, line: &Package) -> Outcome {
    ///     Ok(worker.group("lobby").send_to_others(session, line)?)
    /// }
    /// ```
    ///
    /// # Errors
    /// As for [`Group::send`].
    pub fn send_to_others(&self, session: &Session, bytes: &[u8]) -> Result<(), SendError> {
        self.context.send_to_group(&self.name, session.id(), bytes)
    }

    /// How many members it has, as the session table shows it: who joined or left in a callback is
    /// seen a moment after that is over. It costs the same however many they are.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn is_full(worker: &Worker, room: &str) -> bool {
    ///     worker.group(room).len() >= 100
    /// }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.context.group_len(&self.name)).unwrap_or(usize::MAX)
    }

    /// Whether nobody is in it.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn is_free(worker: &Worker, game: &str) -> bool {
    ///     worker.group(game).is_empty()
    /// }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its members, at most `most` of them, in no order, as the session table shows them. It costs
    /// by the number of sessions of the server: meant for looking around, not for sending.
    ///
    /// ```
    /// # use ostler::Worker;
    /// fn names(worker: &Worker, room: &str) -> Vec<Vec<u8>> {
    ///     worker.group(room).members(100).iter().map(|member| member.state()).collect()
    /// }
    /// ```
    #[must_use]
    pub fn members(&self, most: usize) -> Vec<Session> {
        let members = self.context.group_members(&self.name, most).into_iter();
        members.map(|session| Session::new(Rc::clone(&self.context), session)).collect()
    }
}

impl Worker {
    /// A group of sessions, by its name. It need not exist.
    ///
    /// ```
    /// # use ostler::{SendError, Worker};
    /// fn tell_all(worker: &Worker, room: &str) -> Result<(), SendError> {
    ///     worker.group(room).send(b"news\n")
    /// }
    /// ```
    #[must_use]
    pub fn group(&self, name: impl AsRef<[u8]>) -> Group {
        Group { context: Rc::clone(self.context()), name: name.as_ref().into() }
    }
}

impl Session {
    /// Joins a group, which is there from then on; a name is 1 to 255 bytes. Joining again changes
    /// nothing. The membership is the session's: it stays when this worker dies, until
    /// [`Session::leave`] or the session's end.
    ///
    /// Inside a callback this is an output of its delivery. From the next record of this worker on
    /// the session is a member: what is sent to the group behind it reaches the session too.
    ///
    /// A session is in at most `session_groups_max` groups, and a reactor knows at most
    /// `groups_max`: the master refuses what is beyond, logs it and counts it.
    ///
    /// ```
    /// # use ostler::{Outcome, Session};
    /// fn change_room(session: &Session, from: &str, to: &str) -> Outcome {
    ///     session.leave(from)?;
    ///     Ok(session.join(to)?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`SendError`]: gone, a bad name, or full when the lane has had no room for
    /// `send_timeout_ms`.
    pub fn join(&self, group: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.context().set_membership(self.id(), group.as_ref(), true)
    }

    /// Leaves a group; leaving one in which it is not changes nothing. See [`Session::join`].
    ///
    /// ```
    /// # use ostler::{SendError, Session};
    /// fn unsubscribe(session: &Session, topic: &str) -> Result<(), SendError> {
    ///     session.leave(topic)
    /// }
    /// ```
    ///
    /// # Errors
    /// As for [`Session::join`].
    pub fn leave(&self, group: impl AsRef<[u8]>) -> Result<(), SendError> {
        self.context().set_membership(self.id(), group.as_ref(), false)
    }

    /// Whether the session is in a group, as the session table shows it: a moment after
    /// [`Session::join`], when that callback is over.
    ///
    /// ```
    /// # use ostler::Session;
    /// fn hears(session: &Session, topic: &str) -> bool {
    ///     session.is_in(topic)
    /// }
    /// ```
    #[must_use]
    pub fn is_in(&self, group: impl AsRef<[u8]>) -> bool {
        self.context().is_in_group(self.id(), group.as_ref())
    }
}
