//! What is to be sent by [`Session::sendfile`](super::session::Session::sendfile).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::send_error::{SendError, SendErrorKind};
use crate::sys::file;
use crate::worker::FileToSend;

/// A file: a path that is opened with the rights of the worker, or one that is open already, of
/// which the worker keeps its own descriptor. Its position is neither used nor changed.
///
/// ```
/// # use std::{fs::File, path::Path};
/// # use ostler::{Outcome, Session};
/// fn send_both(session: &Session, path: &Path, open: &File) -> Outcome {
///     session.sendfile(path, 0, None)?;
///     session.sendfile(open, 0, None)?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct FileSource<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Path(&'a Path),
    Open(BorrowedFd<'a>),
}

impl<'a> From<&'a Path> for FileSource<'a> {
    fn from(path: &'a Path) -> Self {
        Self(Source::Path(path))
    }
}

impl<'a> From<&'a PathBuf> for FileSource<'a> {
    fn from(path: &'a PathBuf) -> Self {
        Self(Source::Path(path))
    }
}

impl<'a> From<&'a str> for FileSource<'a> {
    fn from(path: &'a str) -> Self {
        Self(Source::Path(Path::new(path)))
    }
}

impl<'a> From<&'a String> for FileSource<'a> {
    fn from(path: &'a String) -> Self {
        Self(Source::Path(Path::new(path)))
    }
}

impl<'a> From<&'a File> for FileSource<'a> {
    fn from(file: &'a File) -> Self {
        Self(Source::Open(file.as_fd()))
    }
}

impl<'a> From<&'a OwnedFd> for FileSource<'a> {
    fn from(file: &'a OwnedFd) -> Self {
        Self(Source::Open(file.as_fd()))
    }
}

impl<'a> From<BorrowedFd<'a>> for FileSource<'a> {
    fn from(file: BorrowedFd<'a>) -> Self {
        Self(Source::Open(file))
    }
}

impl FileSource<'_> {
    /// The part of it that is to be sent; `None` when that is empty.
    pub(super) fn part(
        self,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Option<FileToSend>, SendError> {
        let opened = match self.0 {
            Source::Path(path) => file::open_to_send(path),
            Source::Open(file) => file.try_clone_to_owned(),
        };
        let not_opened = |error: io::Error| SendErrorKind::FileNotOpened {
            errno: error.raw_os_error().unwrap_or(0),
        };
        FileToSend::new(opened.map_err(not_opened)?, offset, length)
    }
}
