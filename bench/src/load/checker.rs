//! Compares every byte of a connection's reply stream with what must stand there.
//!
//! An echo stream is fully known in advance, so a wrong, reordered, doubled or missing byte shows
//! as a difference at the place where it happened; a byte too many shows as more than was sent; one
//! missing at the end shows as a reply that never completes (timeout or early end, counted by the
//! client).

use std::fmt;

use super::pattern::{HEADER_BYTES, Origin, Pattern};

/// Reads one connection's replies.
#[derive(Debug)]
pub struct Checker {
    connection: u32,
    sequence: u64,
    offset: usize,
    /// Bytes of the header as they came, kept to say whose they are if they are wrong.
    seen_header: [u8; HEADER_BYTES],
}

/// A reply stream that is not what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Connection number.
    pub connection: u32,
    /// Number of the request whose reply was due.
    pub sequence: u64,
    /// Place in that reply.
    pub offset: usize,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// The kinds of [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Another byte than expected.
    Wrong {
        /// What should stand there.
        expected: u8,
        /// What came.
        found: u8,
        /// The request that the found bytes belong to, if the difference is in a header that can be
        /// read: an earlier sequence means doubled, a later one reordered or missing, another
        /// connection a mix-up of clients.
        origin: Option<Origin>,
    },
    /// More bytes than were sent.
    Extra {
        /// How many more, as far as seen.
        bytes: u64,
    },
}

impl Checker {
    /// Expects the reply to `sequence` first.
    pub fn new(connection: u32, sequence: u64) -> Self {
        Self { connection, sequence, offset: 0, seen_header: [0; HEADER_BYTES] }
    }

    /// Takes the next bytes of the stream, of which at most `owed_bytes` may come. Returns how many
    /// replies they completed. After a fault the stream is out of step: the connection must be
    /// given up.
    pub fn accept(
        &mut self,
        pattern: &Pattern,
        owed_bytes: u64,
        bytes: &[u8],
    ) -> Result<u64, Fault> {
        let owed = usize::try_from(owed_bytes).unwrap_or(usize::MAX).min(bytes.len());
        let (mut rest, extra) = bytes.split_at(owed);
        let mut completed = 0;
        while !rest.is_empty() {
            let message = pattern.message(self.connection, self.sequence);
            let (header, body) = message.parts(self.offset);
            let expected = if header.is_empty() { body } else { header };
            let (now, later) = rest.split_at(expected.len().min(rest.len()));
            if expected.get(..now.len()) != Some(now) {
                return Err(self.wrong(pattern, expected, rest));
            }
            if !header.is_empty() {
                self.keep_header(now);
            }
            self.offset += now.len();
            if self.offset == pattern.size_bytes() {
                self.offset = 0;
                self.sequence += 1;
                completed += 1;
            }
            rest = later;
        }
        if extra.is_empty() {
            Ok(completed)
        } else {
            Err(self.fault(FaultKind::Extra { bytes: extra.len() as u64 }))
        }
    }

    fn keep_header(&mut self, bytes: &[u8]) {
        let place = self.seen_header.get_mut(self.offset..).unwrap_or_default();
        for (kept, byte) in place.iter_mut().zip(bytes) {
            *kept = *byte;
        }
    }

    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { connection: self.connection, sequence: self.sequence, offset: self.offset, kind }
    }

    fn wrong(&mut self, pattern: &Pattern, expected: &[u8], found: &[u8]) -> Fault {
        let in_header = self.offset < HEADER_BYTES;
        let mut origin = None;
        if in_header && self.offset + found.len() >= HEADER_BYTES {
            self.keep_header(found);
            origin = pattern.origin(&self.seen_header);
        }
        let difference = expected.iter().zip(found).position(|(want, got)| want != got);
        let place = difference.unwrap_or_default();
        self.offset += place;
        let expected = expected.get(place).copied().unwrap_or_default();
        let found = found.get(place).copied().unwrap_or_default();
        self.fault(FaultKind::Wrong { expected, found, origin })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connection, sequence, offset, kind } = self;
        write!(f, "connection {connection} request {sequence} byte {offset}: ")?;
        match kind {
            FaultKind::Wrong { expected, found, origin } => {
                write!(f, "expected {expected:#04x}, found {found:#04x}")?;
                if let Some(origin) = origin {
                    let Origin { connection, sequence } = origin;
                    write!(f, " (reads as connection {connection} request {sequence})")?;
                }
                Ok(())
            }
            FaultKind::Extra { bytes } => write!(f, "{bytes} bytes more than were sent"),
        }
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
