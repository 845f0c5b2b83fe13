//! Files that are sent: what a descriptor is, and its bytes to a socket.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};

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
pub(crate) fn read_behind(
    file: impl AsFd,
    bytes: &mut Vec<u8>,
    most: usize,
    offset: u64,
) -> io::Result<()> {
    bytes.reserve(most);
    let spare: &mut [MaybeUninit<u8>] = bytes.spare_capacity_mut();
    let space = spare.get_mut(..most).unwrap_or_default();
    let (read, _) = rustix::io::pread(file, space, offset)?;
    let count = read.len();
    // SAFETY: the call has written that many bytes behind those that were there, within the
    // capacity.
    unsafe { bytes.set_len(bytes.len() + count) };
    Ok(())
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
        let mut bytes = b"before".to_vec();
        read_behind(&file, &mut bytes, 3, 4).unwrap();
        read_behind(&file, &mut bytes, 9, 9).unwrap();
        read_behind(&file, &mut bytes, 9, 10).unwrap();
        assert_eq!(bytes, b"before4569");
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
