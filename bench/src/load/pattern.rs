//! Content of requests: unique for each (salt, connection, sequence), and cheap to compare.
//!
//! A message is a 16-byte header (sequence, connection, salt) and a window into one pool of
//! pseudo-random bytes that starts at a place derived from connection and sequence. Nothing is
//! generated or copied per request; the comparison is one `memcmp`. A message shorter than 16 bytes
//! is the beginning of its header.

/// Length of the header that makes each message unique.
pub const HEADER_BYTES: usize = 16;
/// Number of places in the pool where a body may begin.
const WINDOWS: u64 = 4096;

/// The pool that all messages of one run are cut from.
#[derive(Debug)]
pub struct Pattern {
    pool: Vec<u8>,
    size_bytes: usize,
    salt: u32,
    /// Places of the pool where a body may begin.
    windows: u64,
}

/// One message: header and body, to be sent in this order.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    body: &'a [u8],
}

/// What a header found in a stream says about where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Connection number in the header.
    pub connection: u32,
    /// Sequence number in the header.
    pub sequence: u64,
}

/// One step of splitmix64: a good mix of all bits.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

impl Pattern {
    /// Messages of `size_bytes`. `salt` tells the messages of concurrent load generators apart.
    pub fn new(size_bytes: usize, salt: u32) -> Self {
        let pool_bytes = size_bytes + WINDOWS as usize;
        let words = (0..pool_bytes.div_ceil(8) as u64).map(|word| mix(word ^ u64::from(salt)));
        let mut pool: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        pool.truncate(pool_bytes);
        Self { pool, size_bytes, salt, windows: WINDOWS }
    }

    /// Messages that end with `ending`, whose first byte is nowhere else in their bodies. All have
    /// the same body, because it has to end in one place of the pool; their headers differ.
    pub fn ending_with(size_bytes: usize, salt: u32, ending: &[u8]) -> Self {
        let mut pattern = Self::new(size_bytes, salt);
        let Some(first) = ending.first() else { return pattern };
        for byte in pattern.pool.iter_mut().filter(|byte| *byte == first) {
            *byte = !*first;
        }
        let body_bytes = size_bytes.saturating_sub(HEADER_BYTES);
        let place = body_bytes.saturating_sub(ending.len());
        for (byte, end) in pattern.pool.iter_mut().skip(place).zip(ending) {
            *byte = *end;
        }
        pattern.windows = 1;
        pattern
    }

    /// Length of every message.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The message with number `sequence` of `connection`.
    pub fn message(&self, connection: u32, sequence: u64) -> Message<'_> {
        let mut header = [0; HEADER_BYTES];
        let (first, rest) = header.split_at_mut(8);
        first.copy_from_slice(&sequence.to_le_bytes());
        let (second, third) = rest.split_at_mut(4);
        second.copy_from_slice(&connection.to_le_bytes());
        third.copy_from_slice(&self.salt.to_le_bytes());
        let header_bytes = self.size_bytes.min(HEADER_BYTES);
        let start = (mix(sequence ^ (u64::from(connection) << 40)) % self.windows) as usize;
        let body = self.pool.get(start..start + self.size_bytes - header_bytes).unwrap_or_default();
        Message { header, header_bytes, body }
    }

    /// Reads a header of this run; `None` if the bytes are not one.
    pub fn origin(&self, bytes: &[u8]) -> Option<Origin> {
        let (sequence, rest) = bytes.split_first_chunk::<8>()?;
        let (connection, rest) = rest.split_first_chunk::<4>()?;
        let salt = rest.first_chunk::<4>()?;
        (u32::from_le_bytes(*salt) == self.salt).then(|| Origin {
            connection: u32::from_le_bytes(*connection),
            sequence: u64::from_le_bytes(*sequence),
        })
    }
}

impl Message<'_> {
    /// The two parts that remain when `skip` bytes of the message are already done; either may be
    /// empty.
    pub fn parts(&self, skip: usize) -> (&[u8], &[u8]) {
        let header = self.header.get(skip..self.header_bytes).unwrap_or_default();
        let body = self.body.get(skip.saturating_sub(self.header_bytes)..).unwrap_or_default();
        (header, body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn bytes(pattern: &Pattern, connection: u32, sequence: u64) -> Vec<u8> {
        let message = pattern.message(connection, sequence);
        let (header, body) = message.parts(0);
        [header, body].concat()
    }

    #[test]
    fn every_message_has_the_size_and_its_own_content() {
        for size in [16, 17, 64, 5000] {
            let pattern = Pattern::new(size, 1);
            let mut seen = HashSet::new();
            for connection in 0..20 {
                for sequence in 0..20 {
                    let message = bytes(&pattern, connection, sequence);
                    assert_eq!(message.len(), size);
                    assert!(seen.insert(message));
                }
            }
        }
        assert_ne!(bytes(&Pattern::new(64, 1), 0, 0), bytes(&Pattern::new(64, 2), 0, 0));
    }

    #[test]
    fn an_ending_is_at_the_end_and_nowhere_else() {
        let pattern = Pattern::ending_with(5000, 1, b"\r\n\r\n");
        let (first, second) = (bytes(&pattern, 1, 2), bytes(&pattern, 1, 3));
        assert_ne!(first, second);
        let place = first.windows(4).position(|window| window == b"\r\n\r\n");
        assert_eq!((place, first.len()), (Some(4996), 5000));
    }

    #[test]
    fn short_messages_are_the_beginning_of_the_header() {
        let pattern = Pattern::new(3, 9);
        assert_eq!(bytes(&pattern, 7, 0x01_02_03), [3, 2, 1]);
    }

    #[test]
    fn parts_continue_anywhere() {
        let pattern = Pattern::new(100, 3);
        let whole = bytes(&pattern, 5, 6);
        for skip in 0..=100 {
            let message = pattern.message(5, 6);
            let (header, body) = message.parts(skip);
            assert_eq!([header, body].concat(), whole[skip..], "skip {skip}");
        }
    }

    #[test]
    fn origin_is_found_in_own_headers_only() {
        let pattern = Pattern::new(64, 77);
        let origin = pattern.origin(&bytes(&pattern, 4, 5));
        assert_eq!(origin, Some(Origin { connection: 4, sequence: 5 }));
        assert_eq!(pattern.origin(&bytes(&Pattern::new(64, 78), 4, 5)), None);
        assert_eq!(pattern.origin(&[0; 15]), None);
    }
}
