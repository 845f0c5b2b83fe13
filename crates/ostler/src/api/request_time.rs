//! How long a request may still take, and whether anybody waits for it.

use std::time::Duration;

use super::session::Session;

impl Session {
    /// Whether the callback that runs is about this session and has passed
    /// `request_soft_deadline_ms`. A look costs some tens of nanoseconds, so that a loop may ask in
    /// each of its rounds. False in every other callback, and where the option is off.
    ///
    /// ```
    /// # use ostler::{Outcome, Package, Session};
    /// # fn rows() -> std::vec::IntoIter<String> { Vec::new().into_iter() }
    /// fn on_receive(session: &Session, _: &Package) -> Outcome {
    ///     for row in rows() {
    ///         if session.is_late() || session.peer_gone() {
    ///             break; // what there is by now is better than nothing
    ///         }
    ///         session.send(row.as_bytes())?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.context().is_late(self.id())
    }

    /// How long the callback that runs has until its worker is killed (`request_deadline_ms`);
    /// `None` when that is off, or the callback is about another session.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::Session;
    /// /// What a question to another server may take.
    /// fn patience(session: &Session) -> Duration {
    ///     session.time_left().unwrap_or(Duration::from_secs(30)) / 2
    /// }
    /// ```
    #[must_use]
    pub fn time_left(&self) -> Option<Duration> {
        self.context().time_left(self.id())
    }

    /// Gives the callback that runs so much time from now on: less than it has, or more, up to
    /// `request_deadline_max_ms` from its beginning. Returns what it has then; `None` as
    /// [`Session::time_left`]. The next callback has the time of its port again.
    ///
    /// A time that was shortened is kept to a quarter of the port's.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ostler::{Outcome, Package, Session};
    /// fn on_receive(session: &Session, package: &Package) -> Outcome {
    ///     if package.starts_with(b"EXPORT") {
    ///         session.set_time_left(Duration::from_secs(600));
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn set_time_left(&self, time: Duration) -> Option<Duration> {
        self.context().set_time_left(self.id(), time)
    }

    /// Whether nothing that is sent now would reach the client: its connection has failed, or the
    /// session is closed, or is being. A client that has only ended its own direction may wait for
    /// an answer and is not gone; if it is, the first byte that is written to it shows that.
    ///
    /// ```
    /// # use ostler::Session;
    /// fn work_for(session: &Session, steps: impl Iterator<Item = fn()>) {
    ///     steps.take_while(|_| !session.peer_gone()).for_each(|step| step());
    /// }
    /// ```
    #[must_use]
    pub fn peer_gone(&self) -> bool {
        self.context().sessions.is_gone(self.id())
    }
}
