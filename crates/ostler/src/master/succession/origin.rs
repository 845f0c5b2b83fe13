//! How this process was started, so that a new master can be started in the same way.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::error::Error;

/// Program, arguments and directory, as they were when the server was bound.
#[derive(Debug)]
pub(in crate::master) struct Origin {
    /// Where the program lies; the text says why nobody knows.
    pub(super) path: Result<PathBuf, String>,
    /// Its words, from its own name on.
    pub(super) arguments: Vec<OsString>,
    /// In which relative paths among the arguments mean what they did.
    pub(super) directory: Option<PathBuf>,
}

impl Origin {
    /// Of this process, whose program lies there.
    pub(in crate::master) fn of_this_process(path: &Result<PathBuf, Error>) -> Self {
        Self {
            path: path.as_ref().cloned().map_err(ToString::to_string),
            arguments: std::env::args_os().collect(),
            directory: std::env::current_dir().ok(),
        }
    }
}
