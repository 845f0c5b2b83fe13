//! inotify: names in directories that come to mean other files, or files that were written.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

/// Room for events that are read at once: some tens of them.
const READ_BYTES: usize = 4_096;

/// Directories that are watched.
#[derive(Debug)]
pub(crate) struct Inotify(OwnedFd);

/// What has happened in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happened<'a> {
    /// This name means another file, or the file was written, or may be read by others.
    Name(&'a [u8]),
    /// This name means nothing any more.
    Gone(&'a [u8]),
    /// The directory itself is gone, or events were lost.
    Unknown,
}

impl Inotify {
    /// `inotify_init1(2)` — watches nothing yet.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?))
    }

    /// `inotify_add_watch(2)` — watches a directory; its number, the same one for one that is
    /// watched already.
    pub(crate) fn watch(&self, directory: &Path) -> io::Result<i32> {
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        Ok(inotify::add_watch(&self.0, directory, flags)?)
    }

    /// `read(2)` — tells all that has happened, with the number of the directory.
    pub(crate) fn take(&self, mut tell: impl FnMut(i32, Happened<'_>)) -> io::Result<()> {
        let mut room = [MaybeUninit::uninit(); READ_BYTES];
        let mut reader = Reader::new(&self.0, &mut room);
        loop {
            match reader.next() {
                Ok(event) => {
                    let self_or_lost = ReadFlags::DELETE_SELF
                        | ReadFlags::MOVE_SELF
                        | ReadFlags::IGNORED
                        | ReadFlags::QUEUE_OVERFLOW
                        | ReadFlags::UNMOUNT;
                    let gone = ReadFlags::DELETE | ReadFlags::MOVED_FROM;
                    let name = event.file_name().map(CStr::to_bytes);
                    let happened = match name {
                        Some(_) if event.events().intersects(self_or_lost) => Happened::Unknown,
                        Some(name) if event.events().intersects(gone) => Happened::Gone(name),
                        Some(name) => Happened::Name(name),
                        None => Happened::Unknown,
                    };
                    tell(event.wd(), happened);
                }
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn names_that_come_to_mean_something_else_are_told() {
        let directory = std::env::temp_dir().join(format!("inotify-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let inotify = Inotify::new().unwrap();
        let number = inotify.watch(&directory).unwrap();
        assert_eq!(inotify.watch(&directory).unwrap(), number);
        let told = || {
            let mut told = Vec::new();
            inotify
                .take(|of, happened| {
                    assert_eq!(of, number);
                    let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
                    told.push(match happened {
                        Happened::Name(name) => text(name),
                        Happened::Gone(name) => format!("-{}", text(name)),
                        Happened::Unknown => "?".to_owned(),
                    });
                })
                .unwrap();
            told.dedup();
            told
        };
        assert!(told().is_empty());
        fs::write(directory.join("written"), "1").unwrap();
        assert_eq!(told(), ["written"]);
        let rights = fs::metadata(directory.join("written")).unwrap().permissions();
        fs::set_permissions(directory.join("written"), rights).unwrap();
        assert_eq!(told(), ["written"]);
        fs::rename(directory.join("written"), directory.join("renamed")).unwrap();
        assert_eq!(told(), ["-written", "renamed"]);
        std::os::unix::fs::symlink("renamed", directory.join("link")).unwrap();
        assert_eq!(told(), ["link"]);
        fs::remove_file(directory.join("link")).unwrap();
        assert_eq!(told(), ["-link"]);
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(told(), ["-renamed", "?"]);
        assert!(inotify.watch(&directory).is_err());
    }
}
