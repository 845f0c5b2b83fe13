//! Messages that workers send in parts: of each worker at most one that is not whole.

use std::collections::HashMap;

use ostler_core::ids::LaneSlot;
use ostler_shm::giver::ProtocolViolation;
use ostler_shm::lane::RawBytes;
use ostler_shm::record::{FLAG_MORE, Header};

/// Where the parts of a message are put together.
pub(super) trait Gathers {
    /// Bytes that are there.
    fn len(&self) -> usize;

    /// Adds some, which their worker may be changing.
    fn append(&mut self, bytes: RawBytes<'_>);

    /// Memory of the heap that it takes.
    fn heap_bytes(&self) -> usize;
}

impl Gathers for Vec<u8> {
    fn len(&self) -> usize {
        self.len()
    }

    fn append(&mut self, bytes: RawBytes<'_>) {
        bytes.append_to(self);
    }

    fn heap_bytes(&self) -> usize {
        self.capacity()
    }
}

/// What came of messages that are not whole. `K` is by what the parts of one are known, `M` where
/// they are put together.
#[derive(Debug)]
pub(super) struct Parts<K, M = Vec<u8>> {
    begun: HashMap<LaneSlot, (K, M)>,
}

impl<K, M> Default for Parts<K, M> {
    fn default() -> Self {
        Self { begun: HashMap::new() }
    }
}

impl<K: PartialEq> Parts<K> {
    /// Adds a part; answers the message when it is whole with that. The first part of one takes the
    /// place of what was begun before: its worker gave that up, because there was no room for the
    /// rest. `reserve` is how long it will be, if the caller has checked that.
    ///
    /// # Errors
    /// `stray`, if it is another than the next part of what was begun.
    pub(super) fn add(
        &mut self,
        lane: LaneSlot,
        key: K,
        header: &Header,
        bytes: RawBytes<'_>,
        (reserve, stray): (usize, ProtocolViolation),
    ) -> Result<Option<Vec<u8>>, ProtocolViolation> {
        self.add_to(lane, key, header, bytes, (|| Vec::with_capacity(reserve), stray))
    }
}

impl<K: PartialEq, M: Gathers> Parts<K, M> {
    /// The same; `begin` makes the memory for a message.
    ///
    /// # Errors
    /// `stray`, if it is another than the next part of what was begun.
    pub(super) fn add_to(
        &mut self,
        lane: LaneSlot,
        key: K,
        header: &Header,
        bytes: RawBytes<'_>,
        (begin, stray): (impl FnOnce() -> M, ProtocolViolation),
    ) -> Result<Option<M>, ProtocolViolation> {
        let offset = header.part_offset as usize;
        let mut message = match self.begun.remove(&lane) {
            _ if offset == 0 => begin(),
            Some((of, begun)) if of == key && begun.len() == offset => begun,
            _ => return Err(stray),
        };
        message.append(bytes);
        if header.flags & FLAG_MORE == 0 {
            return Ok(Some(message));
        }
        self.begun.insert(lane, (key, message));
        Ok(None)
    }

    /// The rest of what this worker has begun does not come; whether there was something.
    pub(super) fn give_up(&mut self, lane: LaneSlot) -> bool {
        self.begun.remove(&lane).is_some()
    }

    /// Memory that they take.
    pub(super) fn bytes(&self) -> usize {
        self.begun.values().map(|(_, message)| message.heap_bytes()).sum()
    }
}
