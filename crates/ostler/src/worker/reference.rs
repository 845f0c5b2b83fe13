//! Bytes that this process was given are not sent back: a record says where they lie (protocol §5,
//! §8).

use ostler_shm::record::{FLAG_REFERENCE, Header, RecordKind};

use super::port::AnswerInArea;
use super::running::RunningDelivery;
use super::send::Sender;

/// Bytes of at least this size that lie in what the callback was given are sent by reference
/// instead of being copied. Below it the copy is cheaper than keeping ring space longer.
const REFERENCE_MIN_BYTES: usize = 2 * 1024;

impl Sender {
    /// The header of a message to a session that need not be copied.
    pub(super) fn by_reference(
        &self,
        header: Header,
        lane: usize,
        bytes: &[u8],
        for_delivery: Option<&RunningDelivery>,
    ) -> Option<Header> {
        let header = Header { kind: RecordKind::OutReference as u8, ..header };
        if let Some(part_offset) = self.offset_in_delivery(lane, bytes, for_delivery) {
            return Some(Header { part_offset, ..header });
        }
        let (cause, part_offset) = self.offset_in_answer(lane, bytes)?;
        Some(Header { flags: FLAG_REFERENCE, cause, part_offset, ..header })
    }

    /// Where these bytes lie in the delivery, if a record of the lane may refer to them there.
    pub(super) fn offset_in_delivery(
        &self,
        lane: usize,
        bytes: &[u8],
        for_delivery: Option<&RunningDelivery>,
    ) -> Option<u32> {
        let current = for_delivery?;
        if bytes.len() < REFERENCE_MIN_BYTES || current.lane != lane {
            return None;
        }
        if let Some((address, len)) = current.area {
            return offset_inside(bytes, address, len);
        }
        if current.ring_len == 0 {
            return None;
        }
        self.port.borrow().offset_in_package(lane, current.position, current.ring_len, bytes)
    }

    /// The answer that is being told, by its number, and where in it these bytes lie.
    fn offset_in_answer(&self, lane: usize, bytes: &[u8]) -> Option<(u64, u32)> {
        let answer = self.told_answer.get()?;
        if bytes.len() < REFERENCE_MIN_BYTES || lane != self.switch() {
            return None;
        }
        Some((answer.number, offset_inside(bytes, answer.address, answer.len)?))
    }

    /// While this answer is told, what is sent of it need not be copied.
    pub(super) fn tells_answer(&self, answer: Option<AnswerInArea>) {
        self.told_answer.set(answer);
    }
}

/// Where in other bytes these lie, if they do.
fn offset_inside(bytes: &[u8], address: usize, len: usize) -> Option<u32> {
    let offset = (bytes.as_ptr() as usize).checked_sub(address)?;
    let is_inside = offset.checked_add(bytes.len())? <= len;
    u32::try_from(offset).ok().filter(|_| is_inside)
}
