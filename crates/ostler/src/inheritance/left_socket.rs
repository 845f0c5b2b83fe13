//! A control socket that the process which started this one has left to it, named by a variable of
//! the environment. Everything else waits in it.

use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};

use crate::error::{Error, Result};
use crate::sys::process::{self, ProcessId};
use crate::sys::{control_socket, descriptor};

/// Lowest number that a descriptor of ours can have.
const FIRST_DESCRIPTOR: RawFd = 3;

/// Who may have left a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftBy {
    /// Our parent.
    Parent,
    /// Our parent, or another child of it.
    ParentOrSibling,
}

impl LeftBy {
    fn includes(self, process: ProcessId) -> bool {
        let ours = process::parent();
        let is_sibling = || process::parent_of(process).is_ok_and(|theirs| theirs == ours);
        ours == Some(process) || self == Self::ParentOrSibling && is_sibling()
    }
}

/// The socket that `variable` names; `None` when nothing is left to this process. `meaning` says
/// what the variable is for, for who sets it by hand.
///
/// # Errors
/// When the variable lies, or when the program has started threads before.
pub(crate) fn take(variable: &str, meaning: &str, by: LeftBy) -> Result<Option<OwnedFd>> {
    let Some(value) = std::env::var_os(variable) else { return Ok(None) };
    forget(variable)?;
    match socket_of(&value, by) {
        Ok(socket) => Ok(Some(socket)),
        Err(problem) => {
            let value = value.to_string_lossy();
            let text = format!(
                "the environment says `{variable}={value}`, which is {meaning}, but {problem}: \
                 unset it to start a server"
            );
            Err(Error::start(text, None))
        }
    }
}

/// At once, so that no program that this one starts takes itself for what this one is.
fn forget(variable: &str) -> Result<()> {
    match process::thread_count() {
        Ok(1) | Err(_) => {
            descriptor::forget_variable(variable);
            Ok(())
        }
        Ok(threads) => Err(Error::start(
            format!(
                "this process has {threads} threads: bind the server before any is started, as \
                 for a server that forks"
            ),
            None,
        )),
    }
}

/// The control socket that the variable names, if its other end is of who may have left it.
fn socket_of(value: &OsString, by: LeftBy) -> std::result::Result<OwnedFd, String> {
    let number: RawFd = value
        .to_str()
        .and_then(|text| text.parse().ok())
        .filter(|number| *number >= FIRST_DESCRIPTOR)
        .ok_or("that is no number of a descriptor")?;
    let peer = descriptor::look_at(number, control_socket::maker)
        .map_err(|_| "no such descriptor was passed".to_owned())?;
    let peer = peer.map_err(|_| "that descriptor is no control socket".to_owned())?;
    if !by.includes(peer) {
        return Err("that socket is not of the process that started this one".to_owned());
    }
    descriptor::adopt(number).map_err(|error| error.to_string())
}
