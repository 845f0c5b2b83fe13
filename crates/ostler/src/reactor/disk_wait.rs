//! Waiting for the disk of a file, without keeping all other clients waiting.
//!
//! Before a piece is written it is looked at: when its bytes are not in memory, the kernel is asked
//! to read them and the session is looked at again a moment later. A disk that has not read them
//! after [`LOOKS_MAX`] looks is waited for, because there may be none that can be asked.

use std::os::fd::AsFd;

use ostler_core::Nanos;

use crate::sys::file;

/// Time between two looks: a disk that seeks takes several times as long, one that does not is
/// ready by then.
pub(super) const DISK_LOOK_NS: Nanos = 1_000_000;
/// Looks at one piece before it is read whatever that takes: a disk that is alive has read 256 KiB
/// by then.
const LOOKS_MAX: u8 = 50;
/// So much is read ahead of what is sent, bytes, once a file was found not to be in memory.
const AHEAD_BYTES: u64 = 1024 * 1024;

/// How one session waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DiskWait {
    /// Looks at the piece that is next.
    looks: u8,
    /// There is a timer for the next look.
    is_waiting: bool,
    /// Up to here reading was asked for; 0: everything was in memory so far.
    asked_to: u64,
}

impl DiskWait {
    /// Whether `len` bytes of a file at `offset`, at least one, can be written without waiting, or
    /// are not waited for any longer.
    pub(super) fn has_read(&mut self, descriptor: impl AsFd, offset: u64, len: u64) -> bool {
        let last = offset + len.saturating_sub(1);
        let is_ready = self.looks >= LOOKS_MAX
            || (file::is_in_memory(&descriptor, offset) && file::is_in_memory(&descriptor, last));
        if self.asked_to > 0 || !is_ready {
            self.ask(descriptor, offset, offset + AHEAD_BYTES.max(len));
        }
        self.looks = if is_ready { 0 } else { self.looks + 1 };
        is_ready
    }

    /// Asks for what was not asked for; of another file, or another place, for all of it.
    fn ask(&mut self, descriptor: impl AsFd, offset: u64, end: u64) {
        let follows = (offset..end).contains(&self.asked_to);
        let from = if follows { self.asked_to } else { offset };
        // In pieces, for asking costs more than being ready does.
        if !follows || end - from >= AHEAD_BYTES / 4 {
            file::read_ahead(descriptor, from, end - from);
            self.asked_to = end;
        }
    }

    /// A look is due; false when there is a timer for it already.
    pub(super) const fn begin_waiting(&mut self) -> bool {
        !std::mem::replace(&mut self.is_waiting, true)
    }

    /// The timer was due.
    pub(super) const fn look_again(&mut self) {
        self.is_waiting = false;
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.is_waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::Advice;

    const LEN: u64 = 4 << 20;

    fn cold_file(name: &str) -> std::fs::File {
        let path = std::env::temp_dir().join(format!("ostler-{name}-{}", std::process::id()));
        std::fs::write(&path, vec![7; LEN as usize]).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        rustix::fs::fsync(&file).unwrap();
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
        file
    }

    /// On a file system that cannot be asked it is ready at once.
    #[test]
    fn a_file_is_ready_when_it_is_read_or_was_looked_at_long_enough() {
        let file = cold_file("cold");
        let mut disk = DiskWait::default();
        for offset in (0..LEN).step_by(256 * 1024) {
            let mut looks = 0;
            while !disk.has_read(&file, offset, 256 * 1024) {
                looks += 1;
                assert!(looks <= LOOKS_MAX, "{looks} looks at {offset}");
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        assert_eq!(disk.looks, 0);
    }

    #[test]
    fn what_is_in_memory_is_not_asked_for() {
        let file = cold_file("warm");
        std::os::unix::fs::FileExt::read_at(&file, &mut vec![0; LEN as usize], 0).unwrap();
        let mut disk = DiskWait::default();
        assert!(disk.has_read(&file, 0, LEN));
        assert_eq!((disk.asked_to, disk.looks), (0, 0));
    }

    #[test]
    fn there_is_one_timer_at_a_time() {
        let mut disk = DiskWait::default();
        assert!(disk.begin_waiting() && !disk.begin_waiting() && disk.is_waiting());
        disk.look_again();
        assert!(!disk.is_waiting() && disk.begin_waiting());
    }
}
