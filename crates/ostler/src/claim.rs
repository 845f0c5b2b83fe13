//! A file that one server has for itself, before it is taken: what lies at its path, and why that
//! is not taken.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::Error;

/// Why a file is not taken.
pub(crate) struct Refusal {
    words: String,
    source: Option<io::Error>,
}

impl Refusal {
    /// For a reason that no call has told.
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), source: None }
    }

    /// For what the system said.
    pub(crate) fn because(words: &str, source: io::Error) -> Self {
        Self { words: words.to_owned(), source: Some(source) }
    }

    /// The error of a start with the option that names this path.
    pub(crate) fn of_option(self, option: &str, path: &Path) -> Error {
        let Self { words, source } = self;
        Error::start(format!("option `{option}`: {}: {words}", path.display()), source)
    }
}

/// The words of one kind of file.
pub(crate) struct Words {
    /// It cannot be opened.
    pub(crate) unreadable: &'static str,
    /// It is a directory, a pipe, or the like.
    pub(crate) no_file: &'static str,
}

/// `open(2)` — the file that the path names, if there is one and it may be of this kind.
pub(crate) fn open_what_is_there(path: &Path, words: &Words) -> Result<Option<File>, Refusal> {
    // Not followed: a link may lead to any file of the machine, and a new file would take its
    // place. Not waited for: it may be a pipe.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            return Err(Refusal::new("is a symbolic link, write the path that it leads to"));
        }
        Err(error) => return Err(Refusal::because(words.unreadable, error)),
    };
    if !file.metadata().is_ok_and(|found| found.is_file()) {
        return Err(Refusal::new(words.no_file));
    }
    Ok(Some(file))
}
