//! A slow turn of a reactor, as the master tells its manager: in a sealed file, because a stack is
//! longer than a message.

use std::io;
use std::os::fd::OwnedFd;

use ostler_shm::black_box::capture::{Capture, REGISTERS_MAX, STACK_BYTES_MAX};

use crate::sys::sealed_file;

/// Bytes of a number.
const WORD: usize = size_of::<u64>();
/// Numbers before registers: which reactor, for how long, how many others, and whether there is a
/// stack.
const HEAD_WORDS: usize = 4;
/// Longest file.
const BYTES_MAX: u64 = ((HEAD_WORDS + REGISTERS_MAX + 1) * WORD + STACK_BYTES_MAX) as u64;

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlowTurn {
    /// The number of the reactor.
    pub(crate) reactor: usize,
    /// For how long the turn had been going on.
    pub(crate) elapsed_ms: u64,
    /// Others that were not told before it.
    pub(crate) more: u64,
    /// What its thread was doing, or why that is not known.
    pub(crate) stack: Result<Capture, String>,
}

impl SlowTurn {
    /// `memfd_create(2)` — the file.
    pub(crate) fn to_file(&self) -> io::Result<OwnedFd> {
        let has_stack = u64::from(self.stack.is_ok());
        let mut words = vec![self.reactor as u64, self.elapsed_ms, self.more, has_stack];
        let mut text = "";
        match &self.stack {
            Ok(capture) => {
                let register = |number| capture.registers.get(number).copied().unwrap_or(0);
                words.extend((0..REGISTERS_MAX).map(register));
                words.push(capture.stack_at);
                words.extend(capture.stack.iter().take(STACK_BYTES_MAX / WORD));
            }
            Err(why) => text = why,
        }
        let numbers = words.iter().flat_map(|word| word.to_ne_bytes());
        let bytes: Vec<u8> = numbers.chain(text.bytes()).collect();
        sealed_file::create("ostler-turn", &bytes)
    }

    /// What such a file says.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn of_file(file: &OwnedFd) -> io::Result<Self> {
        let bytes = sealed_file::read(file, BYTES_MAX)?;
        Self::read(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_at_checked(HEAD_WORDS * WORD)?;
        let words = |bytes: &[u8]| -> Vec<u64> {
            let (words, _) = bytes.as_chunks();
            words.iter().map(|word| u64::from_ne_bytes(*word)).collect()
        };
        let [reactor, elapsed_ms, more, has_stack] = words(head)[..] else { return None };
        let stack = match has_stack {
            0 => Err(String::from_utf8_lossy(rest).into_owned()),
            1 => {
                let words = words(rest);
                let (registers, rest) = words.split_at_checked(REGISTERS_MAX)?;
                let (stack_at, stack) = rest.split_first()?;
                let (registers, stack) = (registers.to_vec(), stack.to_vec());
                Ok(Capture { registers, stack_at: *stack_at, stack, ..Capture::default() })
            }
            _ => return None,
        };
        let reactor = usize::try_from(reactor).ok()?;
        Some(Self { reactor, elapsed_ms, more, stack })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read_and_nothing_else() {
        let capture = Capture {
            registers: vec![1, 2, 3, 4],
            stack_at: 0x7000,
            stack: vec![5, 6, 7],
            ..Capture::default()
        };
        for stack in [Ok(capture), Err("it gave none".to_owned())] {
            let told = SlowTurn { reactor: 3, elapsed_ms: 250, more: 9, stack };
            let file = told.to_file().unwrap();
            assert_eq!(SlowTurn::of_file(&file).unwrap(), told);
        }
        for words in [&[][..], &[1, 2, 3], &[1, 2, 3, 2], &[1, 2, 3, 1, 0, 0, 0, 0]] {
            let bytes: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_ne_bytes()).collect();
            assert_eq!(SlowTurn::read(&bytes), None, "{words:?}");
        }
        let long = sealed_file::create("long", &vec![0; BYTES_MAX as usize + 1]).unwrap();
        assert!(SlowTurn::of_file(&long).is_err());
    }
}
