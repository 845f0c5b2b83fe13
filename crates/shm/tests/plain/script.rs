//! What a hostile worker does, read from arbitrary bytes.

use ostler_shm::sync::{AtomicU64, Ordering};

/// Bytes to be read as a script; ends in zeroes.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub fn word(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// A number near `now`, or aligned and not far, or any.
    pub fn number(&mut self, now: u64) -> u64 {
        match self.byte() % 5 {
            0 => now.wrapping_add(u64::from(self.byte()) * 64),
            1 => now.wrapping_add(u64::from(self.byte() % 4)),
            2 => now.wrapping_sub(u64::from(self.byte())),
            3 => u64::from(self.byte()) * 64,
            _ => self.word(),
        }
    }
}

/// Changes a word as the script says.
pub fn set(word: &AtomicU64, script: &mut Script<'_>) {
    let value = script.number(word.load(Ordering::Relaxed));
    word.store(value, Ordering::Relaxed);
}
