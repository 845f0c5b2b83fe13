//! Programs: by which name this one was started, how another is opened, and how it takes a process
//! over.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

/// `getauxval(3)`, `AT_EXECFN` — the path that `execve(2)` was given for this process.
pub(crate) fn started_as() -> Option<PathBuf> {
    // SAFETY: asks for a word of the auxiliary vector; 0 when there is none.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    let pointer = std::ptr::with_exposed_provenance::<libc::c_char>(address as usize);
    if pointer.is_null() {
        return None;
    }
    // SAFETY: the kernel has put a terminated text there, in memory that lives as long as the
    // process and that nobody changes.
    let text = unsafe { CStr::from_ptr(pointer) };
    Some(PathBuf::from(OsStr::from_bytes(text.to_bytes())))
}

/// `open(2)` — opens a program to look at it and to execute it; it has to be a regular file. One
/// that may be executed and not read is opened for that alone.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::ACCESS) => {
            rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?
        }
        opened => opened?,
    };
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::RegularFile => Ok(file),
        FileType::Directory => Err(io::ErrorKind::IsADirectory.into()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// `fstat(2)` — whether both are the same file.
pub(crate) fn is_same_file(one: &OwnedFd, other: &OwnedFd) -> bool {
    match (rustix::fs::fstat(one), rustix::fs::fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

/// `fstat(2)` — its bytes.
pub(crate) fn length(file: &OwnedFd) -> io::Result<u64> {
    Ok(u64::try_from(rustix::fs::fstat(file)?.st_size).unwrap_or(0))
}

/// `pread(2)` — fills `buffer` from `offset` on; whether there was that much.
pub(crate) fn read_at(file: &OwnedFd, offset: u64, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..)
        && !rest.is_empty()
    {
        match rustix::io::pread(file, rest, offset.saturating_add(filled as u64)) {
            Ok(0) => return Ok(false),
            Ok(count) => filled = filled.saturating_add(count),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(true)
}

/// `fcntl(2)`, `execveat(2)`, `AT_EMPTY_PATH` — the program takes this process over, with
/// `inherited` and what else is not closed on exec. Returns only when it cannot.
///
/// By its descriptor, so that it is the file that was looked at whatever its name means by now.
pub(crate) fn execute(
    program: &OwnedFd,
    arguments: &[CString],
    environment: &[CString],
    inherited: BorrowedFd<'_>,
) -> io::Error {
    if let Err(errno) = rustix::io::fcntl_setfd(inherited, rustix::io::FdFlags::empty()) {
        return errno.into();
    }
    let pointers = |texts: &[CString]| -> Vec<*const libc::c_char> {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let (argv, envp) = (pointers(arguments), pointers(environment));
    let descriptor = program.as_fd().as_raw_fd();
    // SAFETY: all pointers are to terminated texts and lists that live until the call returns, if
    // it does.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            descriptor,
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    let error = io::Error::last_os_error();
    // A security profile of old does not know the call.
    if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) {
        let path = format!("/proc/self/fd/{descriptor}");
        if let Ok(path) = CString::new(path) {
            // SAFETY: as above.
            unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
            return io::Error::last_os_error();
        }
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::pidfd::PidFd;
    use crate::sys::process::{ExitBy, fork_child, in_forked_test};
    use crate::sys::{eventfd, poll};

    #[test]
    fn this_program_is_found_and_opened() {
        let named = open(&std::path::absolute(started_as().unwrap()).unwrap()).unwrap();
        let own = open(Path::new("/proc/self/exe")).unwrap();
        assert!(is_same_file(&named, &own));
        let mut head = [0; 4];
        assert!(read_at(&own, 0, &mut head).unwrap() && head == *b"\x7fELF");
        assert!(!read_at(&own, length(&own).unwrap() - 2, &mut head).unwrap());
        let error = open(&std::env::temp_dir()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_program_gets_its_words_and_one_descriptor() {
        in_forked_test(|| {
            let shell = open(Path::new("/bin/sh")).unwrap();
            let (mine, other) = (eventfd::create().unwrap(), eventfd::create().unwrap());
            let script = format!(
                "test \"$0 $1 $WORD\" = 'name one two' && test -e /proc/self/fd/{} && \
                 ! test -e /proc/self/fd/{} && exit 7",
                mine.as_raw_fd(),
                other.as_raw_fd()
            );
            let text = |text: &str| CString::new(text).unwrap();
            let arguments = ["sh", "-c", &script, "name", "one"].map(text);
            let keep = [shell.as_raw_fd(), mine.as_raw_fd(), other.as_raw_fd()];
            let child = fork_child(&keep, ExitBy::Immediately, || {
                let environment = [text("WORD=two")];
                let _ = execute(&shell, &arguments, &environment, mine.as_fd());
                1
            });
            let child = PidFd::open(child.unwrap()).unwrap();
            assert_eq!(poll::wait_readable([child.as_fd()], None).unwrap(), [true]);
            assert_eq!(format!("{:?}", child.try_reap().unwrap()), "Some(Code(7))");
        });
    }
}
