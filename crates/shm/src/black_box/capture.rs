//! What a signal handler captures of its process: registers, the upper end of the stack, and frames
//! that other languages add.
//!
//! The writing side runs in signal context: it allocates nothing, takes no lock, cannot panic, and
//! writes to words that exist.

use crate::sync::{AtomicU64, Ordering, fence};

/// Registers of one capture at most: program counter, stack pointer, frame pointer, link register.
pub const REGISTERS_MAX: usize = 4;
/// Bytes of the stack that are captured, from the innermost frame on: some hundred frames.
pub const STACK_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the frames that other languages add.
pub const FRAME_BYTES_MAX: usize = 8 * 1024;

/// What is said of a capture beside registers and stack.
#[repr(C, align(64))]
#[derive(Debug)]
pub struct CaptureLine {
    /// Odd while a capture is written.
    turn: AtomicU64,
    number: AtomicU64,
    phase_turn: AtomicU64,
    signal: AtomicU64,
    code: AtomicU64,
    address: AtomicU64,
    sender: AtomicU64,
    thread: AtomicU64,
    taken_ns: AtomicU64,
    took_ns: AtomicU64,
    stack_at: AtomicU64,
    stack_words: AtomicU64,
    registers: AtomicU64,
    frame_bytes: AtomicU64,
    frames_lost: AtomicU64,
    unused: AtomicU64,
}

/// Why a process was captured, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Reason {
    /// The number by which the manager asked; 0: it did not.
    pub number: u64,
    /// Which callback ran, see [`super::phase::Seen::turn`].
    pub phase_turn: u64,
    /// The signal.
    pub signal: i32,
    /// Its `si_code`.
    pub code: i32,
    /// Its `si_addr`, where it has one.
    pub address: u64,
    /// Its `si_pid`, where it has one.
    pub sender: u32,
    /// The thread that took it.
    pub thread: u32,
    /// When, nanoseconds of the monotonic clock.
    pub taken_ns: u64,
}

/// A capture as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Capture {
    /// Why it was made.
    pub reason: Reason,
    /// How long it took, nanoseconds.
    pub took_ns: u64,
    /// Program counter, stack pointer, frame pointer, link register.
    pub registers: Vec<u64>,
    /// Where the captured stack begins.
    pub stack_at: u64,
    /// The stack from there on.
    pub stack: Vec<u64>,
    /// What other languages have added, see [`frames`].
    pub frames: Vec<u8>,
    /// Frames that found no room.
    pub frames_lost: u64,
}

/// The words of a capture: views of one memory.
#[derive(Clone, Copy, Debug)]
pub struct CaptureWords<'a> {
    /// The line.
    pub line: &'a CaptureLine,
    /// Room for registers.
    pub registers: &'a [AtomicU64],
    /// Room for the stack.
    pub stack: &'a [AtomicU64],
    /// Room for frames of other languages.
    pub frames: &'a [AtomicU64],
}

impl CaptureWords<'_> {
    /// Process: a capture begins. One that was there is gone.
    pub fn begin(&self, reason: &Reason) {
        let line = self.line;
        let turn = line.turn.load(Ordering::Relaxed) | 1;
        line.turn.store(turn, Ordering::Relaxed);
        fence(Ordering::Release);
        let code = |number: i32| u64::from(number.cast_unsigned());
        line.number.store(reason.number, Ordering::Relaxed);
        line.phase_turn.store(reason.phase_turn, Ordering::Relaxed);
        line.signal.store(code(reason.signal), Ordering::Relaxed);
        line.code.store(code(reason.code), Ordering::Relaxed);
        line.address.store(reason.address, Ordering::Relaxed);
        line.sender.store(u64::from(reason.sender), Ordering::Relaxed);
        line.thread.store(u64::from(reason.thread), Ordering::Relaxed);
        line.taken_ns.store(reason.taken_ns, Ordering::Relaxed);
        for word in [&line.stack_words, &line.registers, &line.frame_bytes, &line.frames_lost] {
            word.store(0, Ordering::Relaxed);
        }
    }

    /// Process: the registers.
    pub fn set_registers(&self, registers: impl Iterator<Item = u64>) {
        let mut count = 0;
        for (word, register) in self.registers.iter().zip(registers) {
            word.store(register, Ordering::Relaxed);
            count += 1;
        }
        self.line.registers.store(count, Ordering::Relaxed);
    }

    /// Process: the stack from `at` on, so many words of it.
    pub fn set_stack(&self, at: u64, words: usize) {
        self.line.stack_at.store(at, Ordering::Relaxed);
        self.line.stack_words.store(words as u64, Ordering::Relaxed);
    }

    /// Process: adds a frame of another language behind those that are there. False: there was no
    /// room, which is counted.
    pub fn add_frame(&self, function: &[u8], file: &[u8], line_number: u32) -> bool {
        let at = self.line.frame_bytes.load(Ordering::Relaxed) as usize;
        let (function, file) = (shortened(function), shortened(file));
        let head = [function.len() as u16, file.len() as u16].map(u16::to_le_bytes);
        let line_number = line_number.to_le_bytes();
        let pieces = [head.as_flattened(), &line_number, function, file].map(<[u8]>::iter);
        let end = at + pieces.iter().map(ExactSizeIterator::len).sum::<usize>();
        if end > self.frames.len() * size_of::<u64>() {
            self.line.frames_lost.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        for (place, byte) in (at..end).zip(pieces.into_iter().flatten()) {
            if let Some(word) = self.frames.get(place / 8) {
                let shift = place % 8 * 8;
                let others = word.load(Ordering::Relaxed) & !(0xff << shift);
                word.store(others | u64::from(*byte) << shift, Ordering::Relaxed);
            }
        }
        self.line.frame_bytes.store(end as u64, Ordering::Relaxed);
        true
    }

    /// Process: the capture is complete.
    pub fn end(&self, took_ns: u64) {
        let line = self.line;
        line.took_ns.store(took_ns, Ordering::Relaxed);
        let turn = line.turn.load(Ordering::Relaxed) | 1;
        line.turn.store(turn.wrapping_add(1), Ordering::Release);
    }

    /// The number of the capture that is complete; 0 for none.
    #[must_use]
    pub fn number(&self) -> u64 {
        let turn = self.line.turn.load(Ordering::Acquire);
        if turn & 1 == 0 { self.line.number.load(Ordering::Relaxed) } else { 0 }
    }

    /// The capture; `None` when there is none, or it is written just now. Lengths are bounded by
    /// the room that there is, whatever the process says.
    #[must_use]
    pub fn read(&self) -> Option<Capture> {
        let line = self.line;
        let turn = line.turn.load(Ordering::Acquire);
        let get = |word: &AtomicU64| word.load(Ordering::Relaxed);
        let number = |word: &AtomicU64| (get(word) as u32).cast_signed();
        let some = |words: &[AtomicU64], count: &AtomicU64| -> Vec<u64> {
            words.iter().take(get(count) as usize).map(get).collect()
        };
        let frame_bytes = get(&line.frame_bytes) as usize;
        let capture = Capture {
            reason: Reason {
                number: get(&line.number),
                phase_turn: get(&line.phase_turn),
                signal: number(&line.signal),
                code: number(&line.code),
                address: get(&line.address),
                sender: get(&line.sender) as u32,
                thread: get(&line.thread) as u32,
                taken_ns: get(&line.taken_ns),
            },
            took_ns: get(&line.took_ns),
            registers: some(self.registers, &line.registers),
            stack_at: get(&line.stack_at),
            stack: some(self.stack, &line.stack_words),
            frames: read_bytes(self.frames, frame_bytes),
            frames_lost: get(&line.frames_lost),
        };
        fence(Ordering::Acquire);
        let is_whole = turn & 1 == 0 && turn != 0 && get(&line.turn) == turn;
        is_whole.then_some(capture)
    }
}

/// A frame of another language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The function.
    pub function: &'a [u8],
    /// The file.
    pub file: &'a [u8],
    /// The line, from 1; 0 when it is not known.
    pub line: u32,
}

/// The frames that [`CaptureWords::add_frame`] wrote; what makes no sense ends them.
pub fn frames(mut bytes: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    std::iter::from_fn(move || {
        let (function, rest) = bytes.split_first_chunk::<2>()?;
        let (file, rest) = rest.split_first_chunk::<2>()?;
        let (line, rest) = rest.split_first_chunk::<4>()?;
        let (function, rest) = rest.split_at_checked(u16::from_le_bytes(*function).into())?;
        let (file, rest) = rest.split_at_checked(u16::from_le_bytes(*file).into())?;
        bytes = rest;
        Some(Frame { function, file, line: u32::from_le_bytes(*line) })
    })
}

/// The longest name of a function or file, bytes.
const NAME_BYTES_MAX: usize = 255;

fn shortened(name: &[u8]) -> &[u8] {
    name.get(..NAME_BYTES_MAX).unwrap_or(name)
}

/// The first bytes of words, as many as there are.
#[must_use]
pub fn read_bytes(words: &[AtomicU64], bytes: usize) -> Vec<u8> {
    let bytes = bytes.min(size_of_val(words));
    let words = words.iter().take(bytes.div_ceil(size_of::<u64>()));
    let mut read: Vec<u8> =
        words.flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
    read.truncate(bytes);
    read
}

/// Writes bytes into words, as many as there is room for, which is answered. For signal context,
/// too.
pub fn write_bytes(words: &[AtomicU64], bytes: &[u8]) -> usize {
    for (word, piece) in words.iter().zip(bytes.chunks(size_of::<u64>())) {
        let mut whole = [0; size_of::<u64>()];
        for (to, from) in whole.iter_mut().zip(piece) {
            *to = *from;
        }
        word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
    }
    bytes.len().min(size_of_val(words))
}
