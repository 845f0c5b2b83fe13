//! Where tasks are kept: in pieces that never move, so that no step copies all of them.

use super::task::TaskId;

/// Tasks in one piece: small enough that making one is no pause.
const PIECE: usize = 256;

/// Values by place; a place is used again when its value is gone.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pieces: Vec<Box<[Option<T>]>>,
    free: Vec<u32>,
    len: usize,
    /// How often a place was looked at.
    #[cfg(test)]
    pub(super) touched: std::cell::Cell<u64>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            free: Vec::new(),
            len: 0,
            #[cfg(test)]
            touched: std::cell::Cell::new(0),
        }
    }
}

impl<T> Slab<T> {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, value: T) -> TaskId {
        let index = self.free.pop().unwrap_or_else(|| {
            let first = (self.pieces.len() * PIECE) as u32;
            self.pieces.push((0..PIECE).map(|_| None).collect());
            self.free.extend((first + 1..first + PIECE as u32).rev());
            first
        });
        if let Some(place) = self.place(index) {
            *place = Some(value);
        }
        self.len += 1;
        TaskId(index)
    }

    fn place(&mut self, index: u32) -> Option<&mut Option<T>> {
        self.touch();
        self.pieces.get_mut(index as usize / PIECE)?.get_mut(index as usize % PIECE)
    }

    fn touch(&self) {
        #[cfg(test)]
        self.touched.set(self.touched.get() + 1);
    }

    pub(super) fn get(&self, id: TaskId) -> Option<&T> {
        self.touch();
        self.pieces.get(id.0 as usize / PIECE)?.get(id.0 as usize % PIECE)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, id: TaskId) -> Option<&mut T> {
        self.place(id.0)?.as_mut()
    }

    pub(super) fn remove(&mut self, id: TaskId) -> Option<T> {
        let value = self.place(id.0)?.take()?;
        self.free.push(id.0);
        self.len -= 1;
        Some(value)
    }

    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.pieces.into_iter().flat_map(|piece| piece.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_and_values_stay_where_they_are() {
        let mut slab = Slab::default();
        let ids: Vec<_> = (0..1_000).map(|value| slab.insert(value)).collect();
        assert_eq!(slab.len(), 1_000);
        for (value, id) in ids.iter().enumerate() {
            assert_eq!(slab.get(*id), Some(&value));
        }
        assert_eq!(slab.remove(ids[7]), Some(7));
        assert_eq!(slab.remove(ids[7]), None, "it is gone");
        assert_eq!(slab.insert(70), ids[7]);
        assert_eq!(slab.pieces.len(), 4, "no more than are needed");
        assert_eq!(slab.into_values().count(), 1_000);
    }
}
