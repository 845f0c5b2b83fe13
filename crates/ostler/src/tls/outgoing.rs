//! A buffer to encrypt into, which is filled again and again without being cleared.

/// Bytes to be sent, in memory that is kept for the next ones.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    memory: Vec<u8>,
    len: usize,
}

impl Outgoing {
    /// Room for `len` more bytes. What is in it is of no meaning.
    pub(crate) fn space(&mut self, len: usize) -> &mut [u8] {
        let end = self.len + len;
        if self.memory.len() < end {
            self.memory.resize(end, 0);
        }
        self.memory.get_mut(self.len..end).unwrap_or_default()
    }

    /// So many bytes of the room were written.
    pub(crate) fn filled(&mut self, len: usize) {
        self.len = (self.len + len).min(self.memory.len());
    }

    /// What was written.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }

    /// All of it was taken. More memory than `keep` bytes is given back.
    pub(crate) fn clear(&mut self, keep: usize) {
        self.len = 0;
        if self.memory.len() > keep {
            self.memory = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_is_kept_and_room_is_made_behind_it() {
        let mut out = Outgoing::default();
        out.space(8)[..3].copy_from_slice(b"one");
        out.filled(3);
        let space = out.space(1000);
        assert_eq!(space.len(), 1000);
        space[..3].copy_from_slice(b"two");
        out.filled(3);
        assert_eq!(out.bytes(), b"onetwo");
        out.clear(2000);
        assert_eq!((out.bytes(), out.memory.len()), (&b""[..], 1003));
        out.clear(1000);
        assert_eq!(out.memory.len(), 0, "it held more than may be kept");
    }
}
