//! The memory of a child.
#![allow(unsafe_code)]

use std::io;

use super::process::ProcessId;

const PAGE: u64 = 4096;
/// Pages that one call reads.
const PAGES_MAX: usize = 17;

/// `process_vm_readv(2)` — reads words of a process from `at`, rounded down, on: as many as are
/// mapped, at most `bytes`, which is at most 64 KiB.
///
/// For a child of this process or with privileges only, where Yama or a seccomp profile limit it.
pub(crate) fn read(pid: ProcessId, at: u64, bytes: usize) -> io::Result<Vec<u64>> {
    let first = at & !7;
    let end = first.saturating_add(bytes as u64);
    let mut words = vec![0_u64; bytes / size_of::<u64>()];
    // A part for each page: the kernel copies whole parts only.
    let mut from = first;
    let mut parts = Vec::with_capacity(PAGES_MAX);
    while from < end && parts.len() < PAGES_MAX {
        let to = ((from / PAGE + 1) * PAGE).min(end);
        let len = usize::try_from(to - from).unwrap_or(0);
        parts.push(libc::iovec { iov_base: from as *mut libc::c_void, iov_len: len });
        from = to;
    }
    let local =
        libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: size_of_val(&words[..]) };
    // SAFETY: the kernel checks every address of the other process, and writes only into `words`.
    let read = unsafe {
        let count = parts.len() as libc::c_ulong;
        libc::process_vm_readv(pid.get(), &raw const local, 1, parts.as_ptr(), count, 0)
    };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    words.truncate(read / size_of::<u64>());
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process;

    #[test]
    fn memory_is_read_up_to_where_it_ends() {
        let memory: Vec<u64> = (0..100).collect();
        let at = memory.as_ptr() as u64;
        let read = read(process::current(), at + 8, 80).unwrap();
        assert_eq!(read, (1..11).collect::<Vec<u64>>());
        assert!(super::read(process::current(), 8, 80).is_err());
    }
}
