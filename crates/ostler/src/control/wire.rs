//! Fields of fixed-size messages, in native byte order: both ends run on one machine.

use std::fmt;

use ostler_core::ids::{Generation, ProcessKey, ProcessKind, Slot};
use ostler_core::invariant;

use super::short_text::ShortText;

/// These bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed control message")
    }
}

impl std::error::Error for Malformed {}

impl From<Malformed> for std::io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, malformed)
    }
}

/// Fills a message of `N` bytes from the left; the rest stays zero.
#[derive(Clone, Copy)]
pub(super) struct Writer<const N: usize> {
    bytes: [u8; N],
    used: usize,
}

impl<const N: usize> Writer<N> {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; N], used: 0 }
    }

    pub(super) fn bytes<const K: usize>(mut self, value: [u8; K]) -> Self {
        match self.bytes.get_mut(self.used..self.used.saturating_add(K)) {
            Some(target) => target.copy_from_slice(&value),
            None => invariant!(false, "every message fits into its buffer"),
        }
        self.used = self.used.saturating_add(K);
        self
    }

    pub(super) fn u8(self, value: u8) -> Self {
        self.bytes([value])
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.bytes(value.to_ne_bytes())
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.bytes(value.to_ne_bytes())
    }

    pub(super) fn u64(self, value: u64) -> Self {
        self.bytes(value.to_ne_bytes())
    }

    pub(super) fn i32(self, value: i32) -> Self {
        self.bytes(value.to_ne_bytes())
    }

    pub(super) fn flag(self, value: bool) -> Self {
        self.u8(u8::from(value))
    }

    pub(super) fn kind(self, kind: ProcessKind) -> Self {
        self.u8(kind.code())
    }

    pub(super) fn key(self, key: ProcessKey) -> Self {
        self.kind(key.kind).u16(key.slot.0).u32(key.generation.0)
    }

    pub(super) fn text(self, text: ShortText) -> Self {
        let (len, bytes) = text.to_wire();
        self.u8(len).bytes(bytes)
    }

    pub(super) const fn finish(self) -> [u8; N] {
        self.bytes
    }
}

/// Takes fields from the left.
pub(super) struct Reader<'message> {
    rest: &'message [u8],
}

impl<'message> Reader<'message> {
    /// Begins a message that must have exactly `size` bytes.
    pub(super) fn new(message: &'message [u8], size: usize) -> Result<Self, Malformed> {
        if message.len() == size { Ok(Self { rest: message }) } else { Err(Malformed) }
    }

    pub(super) fn bytes<const K: usize>(&mut self) -> Result<[u8; K], Malformed> {
        let (value, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*value)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Malformed> {
        let [value] = self.bytes()?;
        Ok(value)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_ne_bytes(self.bytes()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_ne_bytes(self.bytes()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_ne_bytes(self.bytes()?))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        Ok(i32::from_ne_bytes(self.bytes()?))
    }

    pub(super) fn flag(&mut self) -> Result<bool, Malformed> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    pub(super) fn kind(&mut self) -> Result<ProcessKind, Malformed> {
        ProcessKind::of_code(self.u8()?).ok_or(Malformed)
    }

    pub(super) fn key(&mut self) -> Result<ProcessKey, Malformed> {
        let kind = self.kind()?;
        let (slot, generation) = (Slot(self.u16()?), Generation(self.u32()?));
        Ok(ProcessKey { kind, slot, generation })
    }

    pub(super) fn text(&mut self) -> Result<ShortText, Malformed> {
        ShortText::from_wire(self.u8()?, self.bytes()?)
    }

    /// Ends the message: what was not taken must be zero.
    pub(super) fn finish<T>(self, message: T) -> Result<T, Malformed> {
        if self.rest.iter().all(|&byte| byte == 0) { Ok(message) } else { Err(Malformed) }
    }
}
