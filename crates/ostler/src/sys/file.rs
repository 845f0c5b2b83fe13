//! Files that are sent: what a descriptor is, and its bytes to a socket.
#![allow(unsafe_code)]

use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use rustix::fs::{Advice, FileType, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// `sendfile(2)` — sends at most `most` bytes of a file from `offset` on, without SIGPIPE; tells
/// how many the socket has taken. 0: the file ends there.
///
/// The socket must not block. A file whose bytes are not in memory is waited for.
pub(crate) fn send(
    socket: impl AsFd,
    file: impl AsFd,
    mut offset: u64,
    most: usize,
) -> io::Result<usize> {
    without_pipe_signal(|| Ok(rustix::fs::sendfile(socket, file, Some(&mut offset), most)?))
}

/// Does something that knows no `MSG_NOSIGNAL`: a SIGPIPE that it causes is taken back. The program
/// may not ignore that signal, and would end because a client has left.
fn without_pipe_signal<T>(call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let (mut pipe, mut before) = (SigSet::empty(), SigSet::empty());
    pipe.add(Signal::SIGPIPE);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&pipe), Some(&mut before))?;
    let result = call();
    if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: both pointers are to values that live as long as the call, and a null for the
        // information is allowed.
        unsafe { libc::sigtimedwait(pipe.as_ref(), std::ptr::null_mut(), &raw const at_once) };
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    result
}

/// `pread(2)` — reads at most `most` bytes of a file from `offset` on behind those of `bytes`. None
/// are read: the file ends there.
#[cfg(feature = "tls")] // plain sockets get files from the kernel
pub(crate) fn read_behind(
    file: impl AsFd,
    bytes: &mut Vec<u8>,
    most: usize,
    offset: u64,
) -> io::Result<()> {
    bytes.reserve(most);
    let space = bytes.spare_capacity_mut().get_mut(..most).unwrap_or_default();
    let (read, _) = rustix::io::pread(file, space, offset)?;
    let count = read.len();
    // SAFETY: the call has written that many bytes behind those that were there, within the
    // capacity.
    unsafe { bytes.set_len(bytes.len() + count) };
    Ok(())
}

/// `preadv2(2)`, `RWF_NOWAIT` — whether the byte at `offset` can be read without waiting for a
/// disk. True where that cannot be told.
pub(crate) fn is_in_memory(file: impl AsFd, offset: u64) -> bool {
    let mut byte = [0];
    let mut space = [IoSliceMut::new(&mut byte)];
    let read = rustix::io::preadv2(file, &mut space, offset, ReadWriteFlags::NOWAIT);
    read != Err(Errno::AGAIN)
}

/// `posix_fadvise(2)`, `POSIX_FADV_WILLNEED` — begins to read a part of a file into memory.
pub(crate) fn read_ahead(file: impl AsFd, offset: u64, len: u64) {
    // Where it cannot be done, who needs the bytes waits for them.
    let _ = rustix::fs::fadvise(file, offset, NonZeroU64::new(len), Advice::WillNeed);
}

/// Why a descriptor cannot be sent as a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsendable {
    /// It is no regular file.
    NotRegular,
    /// It is not open for reading.
    NotReadable,
    /// A program or a driver answers reads of it, and may let a reader wait for ever.
    Answered,
    /// The system does not say what it is, with this number of an error.
    Unknown(i32),
}

/// The file systems whose files have no bytes of their own: FUSE, proc, sysfs, debugfs, tracefs.
const ANSWERED: [i64; 5] = [0x6573_5546, 0x9fa0, 0x6265_6572, 0x6462_6720, 0x7472_6163];

/// `fstat(2)`, `fcntl(2)` `F_GETFL`, `fstatfs(2)` — the length of a file that can be sent.
pub(crate) fn sendable(file: impl AsFd) -> Result<u64, Unsendable> {
    let unknown = |error: rustix::io::Errno| Unsendable::Unknown(error.raw_os_error());
    let stat = rustix::fs::fstat(&file).map_err(unknown)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Unsendable::NotRegular);
    }
    let flags = rustix::fs::fcntl_getfl(&file).map_err(unknown)?;
    if flags.contains(OFlags::PATH) || flags & OFlags::ACCMODE == OFlags::WRONLY {
        return Err(Unsendable::NotReadable);
    }
    let system = rustix::fs::fstatfs(&file).map_err(unknown)?;
    if ANSWERED.contains(&(system.f_type as i64)) {
        return Err(Unsendable::Answered);
    }
    Ok(u64::try_from(stat.st_size).unwrap_or(0))
}

/// `openat(2)` — opens what is to be sent. A FIFO is not waited for, and no terminal becomes that
/// of the process.
pub(crate) fn open_to_send(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::in_forked_test;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    fn file(contents: &[u8]) -> std::fs::File {
        let mut file = tempfile();
        file.write_all(contents).unwrap();
        file
    }

    fn tempfile() -> std::fs::File {
        std::fs::File::from(
            rustix::fs::memfd_create("sent", rustix::fs::MemfdFlags::CLOEXEC).unwrap(),
        )
    }

    #[test]
    fn a_part_of_a_file_is_sent_and_its_end_is_told() {
        let (mut near, far) = UnixStream::pair().unwrap();
        let file = file(b"0123456789");
        assert_eq!(send(&far, &file, 2, 5).unwrap(), 5);
        assert_eq!(send(&far, &file, 8, 5).unwrap(), 2);
        assert_eq!(send(&far, &file, 10, 5).unwrap(), 0);
        assert_eq!(send(&far, &file, 11, 5).unwrap(), 0);
        drop(far);
        let mut received = String::new();
        near.read_to_string(&mut received).unwrap();
        assert_eq!(received, "2345689");
    }

    #[test]
    #[cfg(feature = "tls")]
    fn a_part_is_read_behind_what_is_there_and_ends_with_the_file() {
        let file = file(b"0123456789");
        let mut bytes = b"before".to_vec();
        read_behind(&file, &mut bytes, 3, 4).unwrap();
        read_behind(&file, &mut bytes, 9, 9).unwrap();
        read_behind(&file, &mut bytes, 9, 10).unwrap();
        assert_eq!(bytes, b"before4569");
    }

    /// What a worker may pass, and what a worker says of it before.
    #[test]
    fn only_files_that_have_their_own_bytes_can_be_sent() {
        let directory = std::env::temp_dir().join(format!("ostler-sent-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let regular = directory.join("regular");
        std::fs::write(&regular, b"12345").unwrap();
        let open = |path: &Path| sendable(open_to_send(path).unwrap());
        assert_eq!(open(&regular), Ok(5));
        assert_eq!(sendable(file(b"memory")), Ok(6));
        assert_eq!(open(&directory), Err(Unsendable::NotRegular));
        for device in ["/dev/null", "/dev/zero", "/dev/tty", "/dev/full"] {
            if let Ok(device) = open_to_send(Path::new(device)) {
                assert_eq!(sendable(device), Err(Unsendable::NotRegular));
            }
        }
        let fifo = directory.join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(open(&fifo), Err(Unsendable::NotRegular), "and nobody waits for a writer");
        let (near, _far) = UnixStream::pair().unwrap();
        assert_eq!(sendable(near), Err(Unsendable::NotRegular));
        let (read_end, _write_end) = std::io::pipe().unwrap();
        assert_eq!(sendable(read_end), Err(Unsendable::NotRegular));
        let write_only = std::fs::File::options().append(true).open(&regular).unwrap();
        assert_eq!(sendable(write_only), Err(Unsendable::NotReadable));
        let both = std::fs::File::options().read(true).write(true).open(&regular).unwrap();
        assert_eq!(sendable(both), Ok(5));
        let named = rustix::fs::open(&regular, OFlags::PATH, Mode::empty()).unwrap();
        assert_eq!(sendable(named), Err(Unsendable::NotReadable));
        assert_eq!(open(Path::new("/proc/self/status")), Err(Unsendable::Answered));
        let missing = open_to_send(&directory.join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        std::fs::remove_dir_all(&directory).unwrap();
    }

    /// What can be told depends on the file system; that nothing is lost does not.
    #[test]
    fn what_was_read_ahead_is_in_memory() {
        let path = std::env::temp_dir().join(format!("ostler-ahead-{}", std::process::id()));
        std::fs::write(&path, vec![1; 1 << 20]).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(is_in_memory(&file, 0) && is_in_memory(&file, (1 << 20) - 1));
        assert!(is_in_memory(&file, 1 << 30), "behind the end there is nothing to wait for");
        rustix::fs::fsync(&file).unwrap();
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        read_ahead(&file, 0, 1 << 20);
        while !is_in_memory(&file, 500_000) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_client_that_has_left_does_not_end_the_process() {
        in_forked_test(|| {
            // SAFETY: the default disposition, in a process of its own.
            unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
            let (near, far) = UnixStream::pair().unwrap();
            drop(near);
            let error = send(&far, file(b"nobody reads this"), 0, 4).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            assert!(!SigSet::thread_get_mask().unwrap().contains(Signal::SIGPIPE));
        });
    }
}
