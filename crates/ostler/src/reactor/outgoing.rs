//! Bytes on their way to a session.

use std::ops::Range;
use std::sync::Arc;

use ostler_core::body::SharedBytes;
use ostler_core::send_queue::SendQueue;
use ostler_shm::lane::RawBytes;

/// The least rest that stays where it is when its socket takes no more: less is copied, which
/// costs little, rather than to keep a whole package for it.
const STAYS_MIN_BYTES: usize = 16 * 1024;
/// The same for a message to many sessions, of which there is one copy in any case: less costs no
/// more when it is copied than its place in a queue would.
const MESSAGE_STAYS_MIN_BYTES: usize = 256;

/// Where they lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing<'a> {
    bytes: RawBytes<'a>,
    /// The package of which they are a part, and where in it they begin, if that can be kept.
    package: Option<(&'a Arc<dyn SharedBytes>, usize)>,
}

impl<'a> Outgoing<'a> {
    /// A part of a package; `None` when it has no such part.
    pub(super) fn of(package: &'a Arc<dyn SharedBytes>, offset: u32, len: u32) -> Option<Self> {
        let (offset, len) = (offset as usize, len as usize);
        let bytes = package.bytes().get(offset..offset.checked_add(len)?)?;
        Some(Self { bytes: RawBytes::of(bytes), package: Some((package, offset)) })
    }

    /// All of a message.
    pub(super) fn whole(message: &'a Arc<dyn SharedBytes>) -> Self {
        Self { bytes: RawBytes::of(message.bytes()), package: Some((message, 0)) }
    }

    pub(super) const fn bytes(self) -> RawBytes<'a> {
        self.bytes
    }

    pub(super) const fn len(self) -> usize {
        self.bytes.len()
    }

    /// What is left when `len` bytes were written.
    pub(super) fn skip(self, len: usize) -> Self {
        let len = len.min(self.len());
        let package = self.package.map(|(package, offset)| (package, offset + len));
        Self { bytes: self.bytes.skip(len), package }
    }

    /// Waits in a queue.
    pub(super) fn push_to<F>(self, queue: &mut SendQueue<F>) {
        match self.package {
            Some((package, offset)) if self.len() >= stays_min_bytes(package) => {
                let range: Range<usize> = offset..offset + self.len();
                queue.push_shared(Arc::clone(package), range);
            }
            _ => queue.push(self.len(), |chunk| self.bytes.append_to(chunk)),
        }
    }
}

fn stays_min_bytes(package: &Arc<dyn SharedBytes>) -> usize {
    if package.is_charged_apart() { MESSAGE_STAYS_MIN_BYTES } else { STAYS_MIN_BYTES }
}

impl<'a> From<RawBytes<'a>> for Outgoing<'a> {
    fn from(bytes: RawBytes<'a>) -> Self {
        Self { bytes, package: None }
    }
}
