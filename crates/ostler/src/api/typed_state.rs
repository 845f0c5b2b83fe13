//! The state of a session as a value of the program's own type (feature `serde`).

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::send_error::SendError;
use super::session::Session;

/// Why a typed state could not be kept or read.
pub struct StateError {
    kind: StateErrorKind,
}

enum StateErrorKind {
    Refused(SendError),
    /// The type has no such form, for example a map whose keys are lists.
    Encode(serde_json::Error),
    Decode(serde_json::Error),
}

impl StateError {
    /// The state was not kept: it is too long, or the session has ended.
    #[must_use]
    pub const fn refused(&self) -> Option<&SendError> {
        match &self.kind {
            StateErrorKind::Refused(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            StateErrorKind::Refused(error) => error.fmt(f),
            StateErrorKind::Encode(error) => write!(f, "a state of this type has no form: {error}"),
            StateErrorKind::Decode(error) => {
                write!(f, "the state of the session is not of this type: {error}")
            }
        }
    }
}

impl fmt::Debug for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for StateError {}

impl Session {
    /// The state as a value; `None` when none was set or the session has ended.
    ///
    /// It is kept as JSON: during a reload workers of the old and of the new code read each
    /// other's states, and a form with names bears a field more or less (`#[serde(default)]`).
    ///
    /// ```
    /// # use ostler::{Outcome, Session};
    /// fn count(session: &Session) -> Outcome {
    ///     let (name, visits): (String, u64) = session.state_as()?.unwrap_or_default();
    ///     session.set_state_as(&(name, visits + 1))?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// When what was set is not of this type.
    pub fn state_as<T: DeserializeOwned>(&self) -> Result<Option<T>, StateError> {
        let state = self.state();
        if state.is_empty() {
            return Ok(None);
        }
        let decode = |error| StateError { kind: StateErrorKind::Decode(error) };
        serde_json::from_slice(&state).map(Some).map_err(decode)
    }

    /// Keeps a value as the state of the session, as [`Session::set_state`] keeps bytes.
    ///
    /// ```
    /// # use ostler::{Session, StateError};
    /// fn rename(session: &Session, name: &str) -> Result<(), StateError> {
    ///     session.set_state_as(&(name, 0_u64))
    /// }
    /// ```
    ///
    /// # Errors
    /// When its form is longer than `session_state_max_bytes` or the session has ended
    /// ([`StateError::refused`]), or the type has no form as JSON.
    pub fn set_state_as<T: Serialize + ?Sized>(&self, state: &T) -> Result<(), StateError> {
        let encode = |error| StateError { kind: StateErrorKind::Encode(error) };
        let bytes = serde_json::to_vec(state).map_err(encode)?;
        let refused = |error| StateError { kind: StateErrorKind::Refused(error) };
        self.set_state(&bytes).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use crate::test::TestServer;
    use crate::{Framing, Handler, Outcome, Package, Server, Session, Worker};

    /// Keeps what it receives and tells what was kept.
    struct Names;

    impl Handler for Names {
        fn on_receive(&mut self, _: &Worker, session: &Session, package: &Package) -> Outcome {
            let name = std::str::from_utf8(package)?.trim_end();
            let answer = match name {
                "number" => match session.state_as::<u64>() {
                    Ok(number) => format!("{number:?}"),
                    Err(error) => error.to_string(),
                },
                "long" => match session.set_state_as(&"x".repeat(70_000)) {
                    Ok(()) => "kept".to_owned(),
                    Err(error) => {
                        let is_too_long = error.refused().is_some_and(|error| error.is_too_long());
                        format!("{is_too_long}: {error}")
                    }
                },
                _ => {
                    let before: Option<(String, u64)> = session.state_as()?;
                    let count = before.as_ref().map_or(0, |(_, count)| *count);
                    session.set_state_as(&(name, count + 1))?;
                    format!("{before:?}")
                }
            };
            Ok(session.send(format!("{answer}\n").as_bytes())?)
        }
    }

    #[test]
    fn a_state_is_a_value_of_the_programs_type() {
        let builder = Server::builder().framing(Framing::lines());
        let server = TestServer::start(builder, |_| Names).unwrap();
        let mut client = server.connect();
        client.send(b"number\nada\neve\nnumber\nlong\nzoe\n");
        client.expect(b"None\nNone\nSome((\"ada\", 1))\n");
        client.expect(b"the state of the session is not of this type: ");
        client.expect(b"invalid type: sequence, expected u64 at line 1 column 0\n");
        client
            .expect(b"true: a state of 70002 bytes is longer than the 65536 that are kept for a ");
        client
            .expect(b"session: raise session_state_max_bytes, or keep the rest elsewhere and its ");
        client.expect(b"key here\n");
        client.expect(b"Some((\"eve\", 2))\n");
    }
}
