//! Which processes use an object, and which of them live.
//!
//! A process draws a number from a counter in the shared memory, and locks the byte of that number
//! in the memory file (`F_SETLK`). The kernel gives the lock back at the moment in which no thread
//! of the process can run any more, however it ended, before anybody has reaped it; so a byte that
//! is not locked is a death. Process ids would not do: they are used again, and `/proc`, which
//! could tell two processes apart, is not there after a chroot.
#![allow(unsafe_code)]

use super::claim::Claimant;
use crate::layout::PAGE;
use rustix::fd::{AsRawFd as _, OwnedFd};
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Numbers that are tried when one is taken already, which nothing but a writer at random can
/// cause.
const DRAWS_MAX: usize = 64;
/// The highest number: it is a place in a file.
const NUMBER_MAX: u64 = 1 << 48;
/// Attempts without a pause to get what another process has: it has it for some hundred
/// nanoseconds.
const SPINS_AT_MOST: u32 = 8;
/// The pause after them.
const PAUSE: Duration = Duration::from_micros(50);
/// Pauses for a process that lives and lets not go: it is stopped, or waits for a CPU.
const PAUSES_MAX: u32 = 2_000;

/// The processes that use an object.
#[derive(Debug)]
pub struct Members {
    file: OwnedFd,
    own: OwnWord,
}

impl Members {
    /// Those of the object whose memory is this file. (No other descriptor of this process may be
    /// of that file: when one is closed, the kernel gives back all locks that the process has.)
    ///
    /// # Errors
    /// Those of mmap(2) and madvise(2).
    pub fn new(file: OwnedFd) -> io::Result<Self> {
        Ok(Self { file, own: OwnWord::new()? })
    }

    /// This process as a member; `next` is the counter of numbers, in the shared memory.
    ///
    /// # Errors
    /// Those of fcntl(2), at the first call in each process.
    pub fn me(&self, next: &AtomicU64) -> io::Result<Member<'_>> {
        let word = self.own.get();
        let mut number = word.load(Ordering::Relaxed);
        if number == 0 {
            let drawn = self.join(next)?;
            // Another thread may have joined meanwhile: its number is that of all threads, and
            // this one is nobody's.
            let joined = word.compare_exchange(0, drawn, Ordering::Relaxed, Ordering::Relaxed);
            number = joined.map_or_else(|other| other, |_| drawn);
        }
        Ok(Member { members: self, number })
    }

    /// Whether this process has this number: a child that it forks has not.
    #[must_use]
    pub fn is_me(&self, number: u64) -> bool {
        self.own.get().load(Ordering::Relaxed) == number
    }

    #[cold]
    fn join(&self, next: &AtomicU64) -> io::Result<u64> {
        for _ in 0..DRAWS_MAX {
            let number = next.fetch_add(1, Ordering::Relaxed) % NUMBER_MAX + 1;
            match self.lock(number, libc::F_SETLK) {
                Ok(_) => return Ok(number),
                Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// `fcntl(2)`, `F_SETLK` or `F_GETLK` — locks the byte of a number, or asks whether somebody
    /// else has locked it.
    fn lock(&self, number: u64, operation: libc::c_int) -> io::Result<bool> {
        // SAFETY: all zero is a valid `flock`.
        let mut lock: libc::flock = unsafe { std::mem::zeroed() };
        lock.l_type = libc::F_WRLCK as _;
        lock.l_whence = libc::SEEK_SET as _;
        // Below 2^48 + 1, see `join`; a number that another process has written at random is cut.
        lock.l_start = (number % (NUMBER_MAX + 1)) as libc::off_t;
        lock.l_len = 1;
        // SAFETY: the descriptor is open as long as `self`, and `lock` a `flock` that nobody else
        // sees.
        let done = unsafe { libc::fcntl(self.file.as_raw_fd(), operation, &raw mut lock) };
        if done < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
    }
}

/// This process.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    members: &'a Members,
    number: u64,
}

impl Claimant for Member<'_> {
    fn number(&self) -> u64 {
        self.number
    }

    fn is_dead(&self, number: u64) -> bool {
        // The kernel does not tell of our own locks.
        number != self.number
            && self.members.lock(number, libc::F_GETLK).is_ok_and(|is_locked| !is_locked)
    }

    fn pause(&self, attempt: u32) -> bool {
        if attempt < SPINS_AT_MOST {
            std::hint::spin_loop();
        } else {
            std::thread::sleep(PAUSE);
        }
        attempt < SPINS_AT_MOST + PAUSES_MAX
    }
}

/// A word of this process alone, which is 0 again in a child that it forks (`MADV_WIPEONFORK`).
#[derive(Debug)]
struct OwnWord {
    page: NonNull<AtomicU64>,
}

// SAFETY: the page is plain memory without thread affinity, reached through an atomic only.
unsafe impl Send for OwnWord {}
// SAFETY: as above.
unsafe impl Sync for OwnWord {}

impl OwnWord {
    fn new() -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice aliases nothing.
        let page = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                PAGE as usize,
                protection,
                MapFlags::PRIVATE,
            )?
        };
        let Some(page) = NonNull::new(page.cast()) else {
            return Err(io::Error::other("mmap answered a null pointer"));
        };
        let word = Self { page };
        // SAFETY: exactly the mapping made above; the advice changes nothing for this process.
        unsafe {
            rustix::mm::madvise(page.as_ptr().cast(), PAGE as usize, Advice::LinuxWipeOnFork)?
        };
        Ok(word)
    }

    fn get(&self) -> &AtomicU64 {
        // SAFETY: the page is mapped as long as `self`, begins with zeros, which are a valid
        // atomic, and nobody reaches it but through this.
        unsafe { self.page.as_ref() }
    }
}

impl Drop for OwnWord {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`; no reference outlives `self`.
        let _ = unsafe { rustix::mm::munmap(self.page.as_ptr().cast(), PAGE as usize) };
    }
}
