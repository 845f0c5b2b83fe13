//! Whether a file could be opened or made, as far as one can know without doing so. Asked as the
//! user by whose rights this thread opens files, whoever that is at the moment.

use std::io;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, accessat, open};
use rustix::io::Errno;

/// `open(2)`, `faccessat2(2)` — whether `path` can be opened for appending, or made.
pub(crate) fn can_append(path: &Path) -> io::Result<()> {
    // Without CREATE: a question leaves no file. Without waiting for the reader of a pipe.
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NOCTTY;
    match open(path, flags | OFlags::NONBLOCK, Mode::empty()) {
        Err(Errno::NOENT) => can_make_beside(path),
        // A pipe that nobody reads yet.
        Ok(_) | Err(Errno::NXIO) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// `faccessat2(2)` — whether names can be made and removed where `path` lies.
pub(crate) fn can_make_beside(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let access = Access::WRITE_OK | Access::EXEC_OK;
    // `access(2)` answers for the real user, and this thread may open files as another one.
    Ok(accessat(CWD, parent.unwrap_or(Path::new(".")), access, AtFlags::EACCESS)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::privileges;
    use crate::sys::process::in_forked_test;

    #[test]
    fn what_is_not_there_and_can_be_made_stays_away() {
        let directory = std::env::temp_dir().join(format!("prospect-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        can_append(&directory.join("new")).unwrap();
        assert!(!directory.join("new").exists());
        let lost = can_append(&directory.join("no/new")).unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::NotFound);
        assert!(can_append(&directory).is_err(), "a directory is no file");
        std::fs::remove_dir(&directory).unwrap();
    }

    #[test]
    fn who_acts_as_another_user_is_answered_as_that_one() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("NOT TESTED: acting as another user needs root");
            return;
        }
        in_forked_test(|| {
            let file = std::env::temp_dir().join(format!("prospect-root-{}", std::process::id()));
            std::fs::create_dir(&file).unwrap(); // root's, as its permissions say
            let new = file.join("new");
            can_append(&new).unwrap();
            let acting = privileges::act_as(Some(4_711), 4_711, &[]).unwrap();
            let refused = can_append(&new).unwrap_err();
            drop(acting);
            std::fs::remove_dir(&file).unwrap();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        });
    }
}
