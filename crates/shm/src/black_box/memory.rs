//! The memory file of a black box.

use super::capture::{
    Capture, CaptureLine, CaptureWords, FRAME_BYTES_MAX, REGISTERS_MAX, STACK_BYTES_MAX,
    read_bytes, write_bytes,
};
use super::phase::PhaseLine;
use crate::layout::{BLACK_BOX_MAGIC, PAGE, PROTOCOL};
use crate::mapping::{self, Mapping, Writer};
use crate::sync::{AtomicU64, Ordering};
use rustix::fd::{AsFd, OwnedFd};
use std::io;

/// Bytes of the text about the mapped programs and libraries.
const MODULE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of last words.
const WORDS_BYTES_MAX: usize = 1_024;

/// Who the process is. Written by itself.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct IdentityLine {
    magic: AtomicU64,
    protocol: AtomicU64,
    /// The signal by which it is asked for a capture; 0: it cannot be asked.
    signal: AtomicU64,
    /// The end of the stack of its main thread; 0 when that is not known.
    stack_end: AtomicU64,
    module_bytes: AtomicU64,
    word_bytes: AtomicU64,
}

const PHASE_AT: u64 = size_of::<IdentityLine>() as u64;
const CAPTURE_AT: u64 = PHASE_AT + size_of::<PhaseLine>() as u64;
const REGISTERS_AT: u64 = CAPTURE_AT + size_of::<CaptureLine>() as u64;
const WORDS_AT: u64 = 1_024;
const MODULES_AT: u64 = PAGE;
const FRAMES_AT: u64 = MODULES_AT + MODULE_BYTES_MAX as u64;
const STACK_AT: u64 = FRAMES_AT + FRAME_BYTES_MAX as u64;
const LEN: u64 = STACK_AT + STACK_BYTES_MAX as u64;
const _: () = assert!(REGISTERS_AT + REGISTERS_MAX as u64 * 8 <= WORDS_AT);
const _: () = assert!(WORDS_AT + WORDS_BYTES_MAX as u64 <= PAGE);

const WORD: usize = size_of::<u64>();

/// A mapping of the file.
#[derive(Debug)]
pub struct BlackBox {
    mapping: Mapping,
}

impl BlackBox {
    /// Manager: makes the file and maps it for reading; the descriptor is for the process. Its
    /// pages exist when they are written: most are only when a process is captured.
    ///
    /// # Errors
    /// Those of memfd_create(2), ftruncate(2) and mmap(2).
    pub fn create() -> io::Result<(Self, OwnedFd)> {
        let fd = mapping::create("ostler-box", LEN, false)?;
        mapping::seal(&fd, Writer::Receiver)?;
        let mapping = Mapping::new(&fd, LEN, false)?;
        Ok((Self { mapping }, fd))
    }

    /// Process: maps the file for writing.
    ///
    /// # Errors
    /// When it is too short, or mapping fails.
    pub fn open(fd: impl AsFd) -> io::Result<Self> {
        let opened = Self { mapping: Mapping::new(&fd, LEN, true)? };
        if let Some(line) = opened.identity() {
            line.protocol.store(PROTOCOL, Ordering::Relaxed);
            line.magic.store(BLACK_BOX_MAGIC, Ordering::Release);
        }
        Ok(opened)
    }

    fn identity(&self) -> Option<&IdentityLine> {
        self.mapping.words(0)
    }

    /// Whether its process is of this protocol: the words of another one may mean anything.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        self.identity().is_some_and(|line| {
            line.magic.load(Ordering::Acquire) == BLACK_BOX_MAGIC
                && line.protocol.load(Ordering::Relaxed) == PROTOCOL
        })
    }

    /// Process: it can be asked for captures by this signal, and the stack of its main thread ends
    /// there (0: it does not know).
    pub fn identify(&self, signal: i32, stack_end: u64) {
        if let Some(line) = self.identity() {
            line.stack_end.store(stack_end, Ordering::Relaxed);
            line.signal.store(u64::from(signal.unsigned_abs()), Ordering::Release);
        }
    }

    /// By which signal it can be asked for a capture, as it says.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        let signal = self.identity()?.signal.load(Ordering::Acquire);
        i32::try_from(signal).ok().filter(|signal| *signal > 0)
    }

    /// The end of the stack of its main thread; 0 when that is not known.
    #[must_use]
    pub fn stack_end(&self) -> u64 {
        self.identity().map_or(0, |line| line.stack_end.load(Ordering::Relaxed))
    }

    /// What it is doing.
    #[must_use]
    pub fn phase(&self) -> Option<&PhaseLine> {
        self.mapping.words(PHASE_AT)
    }

    /// The words of captures.
    #[must_use]
    pub fn capture(&self) -> Option<CaptureWords<'_>> {
        Some(CaptureWords {
            line: self.mapping.words(CAPTURE_AT)?,
            registers: self.mapping.word_slice(REGISTERS_AT, REGISTERS_MAX)?,
            stack: self.mapping.word_slice(STACK_AT, STACK_BYTES_MAX / WORD)?,
            frames: self.mapping.word_slice(FRAMES_AT, FRAME_BYTES_MAX / WORD)?,
        })
    }

    /// The last capture.
    #[must_use]
    pub fn read_capture(&self) -> Option<Capture> {
        self.capture()?.read()
    }

    /// Process: which programs and libraries it has mapped, in its own words.
    pub fn set_modules(&self, text: &[u8]) {
        let words = self.mapping.word_slice(MODULES_AT, MODULE_BYTES_MAX / WORD);
        if let (Some(line), Some(words)) = (self.identity(), words) {
            line.module_bytes.store(write_bytes(words, text) as u64, Ordering::Release);
        }
    }

    /// What it said of that.
    #[must_use]
    pub fn modules(&self) -> Vec<u8> {
        let words = self.mapping.word_slice(MODULES_AT, MODULE_BYTES_MAX / WORD);
        let count = self.identity().map(|line| line.module_bytes.load(Ordering::Acquire));
        read_bytes(words.unwrap_or_default(), count.unwrap_or(0) as usize)
    }

    /// Process: its last words, why it is about to end.
    pub fn set_last_words(&self, text: &[u8]) {
        let words = self.mapping.word_slice(WORDS_AT, WORDS_BYTES_MAX / WORD);
        if let (Some(line), Some(words)) = (self.identity(), words) {
            line.word_bytes.store(write_bytes(words, text) as u64, Ordering::Release);
        }
    }

    /// Its last words; empty when it said none.
    #[must_use]
    pub fn last_words(&self) -> Vec<u8> {
        let words = self.mapping.word_slice(WORDS_AT, WORDS_BYTES_MAX / WORD);
        let count = self.identity().map(|line| line.word_bytes.load(Ordering::Acquire));
        read_bytes(words.unwrap_or_default(), count.unwrap_or(0) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::super::capture::{Frame, Reason, frames};
    use super::super::phase::Phase;
    use super::*;

    #[test]
    fn the_manager_reads_what_the_process_writes_also_when_that_is_gone() {
        let (manager, fd) = BlackBox::create().unwrap();
        assert!(!manager.is_understood() && manager.signal().is_none());
        let process = BlackBox::open(&fd).unwrap();
        process.identify(62, 0x7fff_0000);
        process.set_modules(b"1000-2000 /bin/program\n");
        process.set_last_words(b"out of cheese");
        process.phase().unwrap().begin(&Phase { callback: 2, ..Phase::default() });
        drop(process);
        assert!(manager.is_understood());
        assert_eq!((manager.signal(), manager.stack_end()), (Some(62), 0x7fff_0000));
        assert_eq!(manager.modules(), b"1000-2000 /bin/program\n");
        assert_eq!(manager.last_words(), b"out of cheese");
        assert_eq!(manager.phase().unwrap().read().unwrap().phase.callback, 2);
        assert!(rustix::fs::ftruncate(&fd, 0).is_err(), "the manager must not be faulted");
    }

    #[test]
    fn a_capture_is_read_when_it_is_complete() {
        let (manager, fd) = BlackBox::create().unwrap();
        let process = BlackBox::open(&fd).unwrap();
        assert_eq!(manager.read_capture(), None);
        let reason = Reason { number: 7, signal: 11, code: -6, sender: 9, ..Reason::default() };
        let words = process.capture().unwrap();
        words.begin(&reason);
        words.set_registers([1, 2, 3].into_iter());
        words.stack[0].store(5, Ordering::Relaxed);
        words.set_stack(0x1000, 1);
        assert!(words.add_frame(b"main", b"index.php", 3));
        assert!(words.add_frame(&[b'a'; 300], b"", 0));
        assert_eq!((manager.read_capture(), manager.capture().unwrap().number()), (None, 0));
        words.end(99);
        let capture = manager.read_capture().unwrap();
        assert_eq!((capture.reason, capture.took_ns), (reason, 99));
        assert_eq!((&capture.registers[..], &capture.stack[..]), (&[1, 2, 3][..], &[5][..]));
        let found: Vec<Frame<'_>> = frames(&capture.frames).collect();
        assert_eq!(found[0], Frame { function: b"main", file: b"index.php", line: 3 });
        assert_eq!((found.len(), found[1].function.len()), (2, 255));
        assert_eq!(manager.capture().unwrap().number(), 7);
        words.begin(&Reason::default());
        assert_eq!(manager.read_capture(), None, "the next one is being written");
    }

    #[test]
    fn frames_that_find_no_room_are_counted_and_nonsense_ends_them() {
        let (manager, fd) = BlackBox::create().unwrap();
        let process = BlackBox::open(&fd).unwrap();
        let words = process.capture().unwrap();
        words.begin(&Reason::default());
        let most = FRAME_BYTES_MAX / (8 + 250);
        let added = (0..most + 5).filter(|_| words.add_frame(&[b'f'; 250], b"", 1)).count();
        words.end(0);
        let capture = manager.read_capture().unwrap();
        assert_eq!((added, capture.frames_lost), (most, 5));
        assert_eq!(frames(&capture.frames).count(), most);
        assert_eq!(frames(&[255; 40]).count(), 0);
        assert_eq!(frames(&[]).count(), 0);
    }

    #[test]
    fn lengths_that_cannot_be_are_bounded() {
        let (manager, fd) = BlackBox::create().unwrap();
        let every = Mapping::new(&fd, LEN, true).unwrap();
        every.word_slice(0, LEN as usize / 8).unwrap().iter().for_each(|word| {
            word.store(u64::MAX - 1, Ordering::Relaxed);
        });
        let capture = manager.read_capture().unwrap();
        assert_eq!((capture.registers.len(), capture.stack.len()), (REGISTERS_MAX, 8_192));
        assert_eq!((manager.modules().len(), manager.last_words().len()), (16_384, 1_024));
        assert!(!manager.is_understood() && manager.signal().is_none());
    }
}
