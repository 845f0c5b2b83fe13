//! The bytes of a task or a result in the reactor: short ones on the heap, longer ones in its body
//! area, where workers read them (protocol §8).

use std::sync::Arc;

use ostler_core::body::SharedBytes;
use ostler_core::invariant;
use ostler_shm::body_area::BodyArea;
use ostler_shm::lane::RawBytes;
use ostler_shm::layout::PAGE;
use ostler_shm::task_terms::{TermsBlock, TermsBytes};

use crate::reactor::filling::Filling;
use crate::reactor::parts::Gathers;

/// Bytes from which on it is cheaper to let a worker read them where they lie than to write them
/// into its ring.
const LIES_MIN_BYTES: usize = 2 * 1024;
/// Memory that a task takes besides its bytes, as it is charged.
const TASK_OVERHEAD_BYTES: usize = 256;

/// A part of something that lies in the area, and keeps it there.
#[derive(Clone, Debug)]
pub(in crate::reactor) struct Lying {
    whole: Arc<dyn SharedBytes>,
    offset: usize,
    len: usize,
}

impl Lying {
    /// All of it.
    pub(in crate::reactor) fn all(whole: &Arc<dyn SharedBytes>) -> Self {
        Self { whole: Arc::clone(whole), offset: 0, len: whole.bytes().len() }
    }

    /// A part of it; `None`: it has no such part.
    pub(in crate::reactor) fn part(&self, offset: u32, len: u32) -> Option<Self> {
        let (offset, len) = (offset as usize, len as usize);
        let is_inside = offset.checked_add(len)? <= self.len;
        is_inside.then(|| Self {
            whole: Arc::clone(&self.whole),
            offset: self.offset + offset,
            len,
        })
    }

    /// Whether most of what it keeps in the area is somebody else's: as a task it would hold memory
    /// for which nobody has paid.
    pub(super) fn is_a_small_part(&self) -> bool {
        self.len < self.whole.bytes().len() / 2
    }

    /// That of which it is a part, and where it begins there.
    pub(in crate::reactor) const fn whole(&self) -> (&Arc<dyn SharedBytes>, usize) {
        (&self.whole, self.offset)
    }

    pub(in crate::reactor) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.whole.bytes().get(self.offset..self.offset + self.len).unwrap_or_default()
    }

    /// Where in the area it begins.
    pub(super) fn place(&self) -> u64 {
        u64::from(self.whole.place()) * PAGE + self.offset as u64
    }
}

/// A body.
#[derive(Debug)]
pub(super) enum TaskBody {
    /// A task with its terms in front, or a result.
    Heap(Vec<u8>),
    /// Without terms in front. Who runs a task is given them besides; a result has none.
    Lying(Lying, Option<Box<TermsBytes>>),
}

impl TaskBody {
    /// Memory that it is charged.
    pub(super) const fn charge(&self) -> u64 {
        let len = match self {
            Self::Heap(bytes) => bytes.len(),
            Self::Lying(lying, _) => lying.len(),
        };
        (len + TASK_OVERHEAD_BYTES) as u64
    }

    /// Its bytes, without terms in front.
    pub(super) fn task_bytes(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes.get(TermsBlock::len_of(bytes)..).unwrap_or_default(),
            Self::Lying(lying, _) => lying.bytes(),
        }
    }

    /// It, if workers read it from where it lies.
    pub(super) const fn lying(&self) -> Option<&Lying> {
        match self {
            Self::Heap(_) => None,
            Self::Lying(lying, _) => Some(lying),
        }
    }
}

/// A body that is being put together from what a worker has written.
#[derive(Debug)]
pub(super) enum Gathered {
    Heap(Vec<u8>),
    Area(Filling),
}

impl Gathered {
    /// Memory for `len` bytes.
    pub(super) fn begin(area: Option<&Arc<BodyArea>>, len: usize) -> Self {
        let area = area.filter(|_| len >= LIES_MIN_BYTES);
        match area.and_then(|area| Filling::begin(area, len, &[])) {
            Some(filling) => Self::Area(filling),
            None => Self::Heap(Vec::with_capacity(len)),
        }
    }

    /// What stands in front of the bytes of a task.
    pub(super) fn terms(&self) -> Option<TermsBlock> {
        TermsBlock::read(match self {
            Self::Heap(bytes) => bytes,
            Self::Area(filling) => filling.bytes(),
        })
    }

    /// It is whole. The terms of a task are no bytes of it where they are read; a result has none.
    pub(super) fn finish(self, terms: Option<&TermsBlock>) -> TaskBody {
        match self {
            Self::Heap(bytes) => TaskBody::Heap(bytes),
            Self::Area(filling) => {
                let whole = filling.finish();
                let terms = terms.map(|terms| Box::new(terms.to_bytes()));
                let in_front = terms.as_ref().map_or(0, |terms| terms.len());
                let len = whole.bytes().len().saturating_sub(in_front);
                TaskBody::Lying(Lying { whole, offset: in_front, len }, terms)
            }
        }
    }
}

impl Gathers for Gathered {
    fn len(&self) -> usize {
        match self {
            Self::Heap(bytes) => bytes.len(),
            Self::Area(filling) => filling.bytes().len(),
        }
    }

    fn append(&mut self, bytes: RawBytes<'_>) {
        match self {
            Self::Heap(heap) => bytes.append_to(heap),
            Self::Area(filling) => {
                let copied = filling.rest().copy_raw(bytes);
                invariant!(copied == bytes.len(), "no part is behind the end of its message");
                filling.grow(copied);
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Heap(bytes) => bytes.capacity(),
            Self::Area(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::board::{Board, BoardSizes};
    use proptest::prelude::*;

    const AREA_PAGES: usize = 8;

    fn area() -> Arc<BodyArea> {
        let sizes = BoardSizes {
            reactors: 1,
            sessions: 1,
            body_area: AREA_PAGES as u64 * PAGE,
            ..BoardSizes::default()
        };
        Board::create(sizes).unwrap().0.take_body_area(0).unwrap()
    }

    fn gathered(area: &Arc<BodyArea>, bytes: &[u8]) -> Gathered {
        let mut gathered = Gathered::begin(Some(area), bytes.len());
        for part in bytes.chunks(1_000) {
            gathered.append(RawBytes::of(part));
        }
        assert_eq!(Gathers::len(&gathered), bytes.len());
        gathered
    }

    #[test]
    fn a_part_lies_inside_what_it_is_a_part_of() {
        let bytes: Vec<u8> = (0..5_000_u32).map(|index| (index % 251) as u8).collect();
        let terms = TermsBlock::default();
        let body = gathered(&area(), &bytes).finish(Some(&terms));
        let lying = body.lying().unwrap();
        assert_eq!((lying.bytes(), lying.place()), (&bytes[8..], 8));
        let part = lying.part(4_092, 900).unwrap();
        assert_eq!((part.bytes(), part.place()), (&bytes[4_100..], 4_100));
        for (offset, len) in [(0, 4_993), (4_992, 1), (u32::MAX, 2), (1, u32::MAX)] {
            assert!(lying.part(offset, len).is_none(), "{offset} {len}");
        }
        assert!(part.part(1, 900).is_none(), "a part of a part is no larger");
    }

    /// A task of a part of something long does not keep the rest of it.
    #[test]
    fn a_small_part_is_copied_and_the_rest_comes_back() {
        let area = area();
        let long = gathered(&area, &[5; 6 * PAGE as usize]).finish(None);
        let lying = long.lying().unwrap();
        for (len, is_small) in [(0, true), (9_000, true), (12_288, false), (24_576, false)] {
            assert_eq!(lying.part(0, len).unwrap().is_a_small_part(), is_small, "{len}");
        }
    }

    #[test]
    fn what_is_short_or_finds_no_room_is_on_the_heap() {
        let area = area();
        assert!(gathered(&area, &[7; LIES_MIN_BYTES - 1]).finish(None).lying().is_none());
        let all = gathered(&area, &[1; AREA_PAGES * PAGE as usize]).finish(None);
        assert!(all.lying().is_some());
        match gathered(&area, &[9; 10_000]).finish(Some(&TermsBlock::default())) {
            TaskBody::Heap(bytes) => assert_eq!(bytes, [9; 10_000]),
            TaskBody::Lying(..) => panic!("there is no room"),
        }
    }

    proptest! {
        /// However bodies are made, cut and dropped: no two share a byte unless one is a part of
        /// the other, each is what was written, and at the end all of the area is free.
        #[test]
        fn bodies_are_apart_and_all_of_the_area_comes_back(
            steps in proptest::collection::vec((0_usize..3, 0_usize..12_000, any::<u8>()), 1..60),
        ) {
            let area = area();
            let mut bodies: Vec<(TaskBody, u8)> = Vec::new();
            for (step, size, byte) in steps {
                let chosen = if bodies.is_empty() { 0 } else { size % bodies.len() };
                match step {
                    0 => bodies.push((gathered(&area, &vec![byte; size]).finish(None), byte)),
                    1 if !bodies.is_empty() => {
                        let (body, byte) = &bodies[chosen];
                        let lying = body.lying().and_then(|body| body.part(0, 1_000));
                        let byte = *byte;
                        bodies.extend(lying.map(|lying| (TaskBody::Lying(lying, None), byte)));
                    }
                    _ if !bodies.is_empty() => drop(bodies.swap_remove(chosen)),
                    _ => {}
                }
                for (body, byte) in &bodies {
                    let bytes = match body {
                        TaskBody::Heap(bytes) => bytes,
                        TaskBody::Lying(lying, _) => lying.bytes(),
                    };
                    prop_assert!(bytes.iter().all(|seen| seen == byte));
                }
            }
            drop(bodies);
            let all = gathered(&area, &[1; AREA_PAGES * PAGE as usize]).finish(None);
            prop_assert!(all.lying().is_some(), "something of the area did not come back");
        }
    }
}
