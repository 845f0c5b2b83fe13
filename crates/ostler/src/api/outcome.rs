//! What a callback returns: nothing wrong, or why it failed.

use std::error::Error;

/// Why a callback failed. Any error becomes one by `?`, as do strings by `.into()`.
///
/// ```
/// fn port(text: &str) -> Result<u16, ostler::Failure> {
///     let port: u16 = text.parse()?;
///     if port == 0 { Err("a port is not 0".into()) } else { Ok(port) }
/// }
/// assert!(port("0").is_err() && port("x").is_err());
/// ```
pub type Failure = Box<dyn Error>;

/// What a callback returns. A failure is logged with its session, and the session is closed after
/// everything that was sent to it before: its client would wait for an answer that does not come.
///
/// A send that fails because the session has ended is no failure of the callback: nothing is
/// logged.
///
/// ```
/// use ostler::{Handler, Outcome, Package, Session, Worker};
///
/// struct Upper;
///
/// impl Handler for Upper {
///     fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
///         // A client that sends something else is closed.
///         let text = std::str::from_utf8(package)?;
///         session.send(text.to_uppercase().as_bytes())?;
///         Ok(())
///     }
/// }
/// ```
pub type Outcome = Result<(), Failure>;

/// What the callback of a [`crate::Remote`] may return: nothing, or a result whose error is logged.
///
/// Implemented for `()` and for `Result<(), E>` with any error; nobody else needs to implement it.
///
/// ```
/// use ostler::{Handler, Remote};
///
/// fn tell<H: Handler>(remote: &Remote<H>, session: u64) {
///     // A callback that returns nothing, and one whose error is logged.
///     let _ = remote.post(|_, worker| println!("{} sessions", worker.sessions().len()));
///     let _ = remote.post(move |_, worker| worker.session(session).send(b"done\n"));
/// }
/// ```
pub trait IntoOutcome {
    /// The outcome.
    ///
    /// # Errors
    /// What went wrong.
    fn into_outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn into_outcome(self) -> Outcome {
        Ok(())
    }
}

impl<E: Into<Failure>> IntoOutcome for Result<(), E> {
    fn into_outcome(self) -> Outcome {
        self.map_err(Into::into)
    }
}

/// What the factory of [`crate::Server::run`] may return: a handler, or a result of one.
///
/// Implemented for every [`crate::Handler`] and for `Result<H, E>`; nobody else needs to implement
/// it.
///
/// ```
/// use ostler::{Handler, Outcome, Package, Server, Session, Worker};
///
/// struct Words(String);
///
/// impl Handler for Words {
///     fn on_receive(&mut self, _: &Worker, session: &Session, _: &Package) -> Outcome {
///         Ok(session.send(self.0.as_bytes())?)
///     }
/// }
///
/// # fn main() -> ostler::Result<()> {
/// let builder = Server::builder();
/// let server = ostler::test::TestServer::start(builder, |_| std::env::var("NOT_SET").map(Words));
/// assert!(server.is_err());
/// # Ok(())
/// # }
/// ```
pub trait IntoHandler {
    /// The handler that is made.
    type Handler: crate::Handler;

    /// The handler.
    ///
    /// # Errors
    /// Why it cannot be made.
    fn into_handler(self) -> Result<Self::Handler, Failure>;
}

impl<H: crate::Handler> IntoHandler for H {
    type Handler = H;

    fn into_handler(self) -> Result<H, Failure> {
        Ok(self)
    }
}

impl<H: crate::Handler, E: Into<Failure>> IntoHandler for Result<H, E> {
    type Handler = H;

    fn into_handler(self) -> Result<H, Failure> {
        self.map_err(Into::into)
    }
}
