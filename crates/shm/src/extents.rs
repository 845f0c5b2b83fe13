//! Which pages of an area are taken.
//!
//! The lowest gap that is long enough is taken, so that memory that was used before is used again,
//! and as little of the area as possible is ever touched.

/// Runs of pages, by where they begin.
#[derive(Debug)]
pub(crate) struct Extents {
    /// Free runs below `touched`, in order; no two of them touch.
    gaps: Vec<Run>,
    /// Pages below this one were taken at some time.
    touched: u32,
    /// Pages that there are.
    pages: u32,
    /// Pages that are taken.
    taken: u32,
}

/// Pages that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: u32,
    pub(crate) pages: u32,
}

impl Run {
    const fn end(self) -> u32 {
        self.first + self.pages
    }
}

impl Extents {
    pub(crate) const fn new(pages: u32) -> Self {
        Self { gaps: Vec::new(), touched: 0, pages, taken: 0 }
    }

    /// Pages that were taken at some time and are not now.
    pub(crate) const fn idle(&self) -> u32 {
        self.touched - self.taken
    }

    /// Pages that were taken at some time.
    pub(crate) const fn touched(&self) -> u32 {
        self.touched
    }

    /// The most pages that can be taken at once; without `may_touch` only such as were taken
    /// before.
    pub(crate) fn longest(&self, may_touch: bool) -> u32 {
        let longest = self.gaps.iter().map(|gap| gap.pages).max().unwrap_or(0);
        if !may_touch {
            return longest;
        }
        let last = self.gaps.last().filter(|gap| gap.end() == self.touched);
        longest.max(self.pages - last.map_or(self.touched, |gap| gap.first))
    }

    /// Takes so many pages; `None` when there is no gap of that length.
    pub(crate) fn take(&mut self, pages: u32) -> Option<Run> {
        if pages == 0 {
            return None;
        }
        let gap = self.gaps.iter().position(|gap| gap.pages >= pages);
        let first = match gap.and_then(|index| Some((index, self.gaps.get_mut(index)?))) {
            Some((index, gap)) => {
                let first = gap.first;
                (gap.first, gap.pages) = (first + pages, gap.pages - pages);
                if gap.pages == 0 {
                    self.gaps.remove(index);
                }
                first
            }
            None => self.take_behind(pages)?,
        };
        self.taken += pages;
        Some(Run { first, pages })
    }

    /// Takes pages that nobody has touched, and the gap in front of them if there is one.
    fn take_behind(&mut self, pages: u32) -> Option<u32> {
        let last = self.gaps.last().copied().filter(|gap| gap.end() == self.touched);
        let first = last.map_or(self.touched, |gap| gap.first);
        let end = first.checked_add(pages).filter(|end| *end <= self.pages)?;
        if last.is_some() {
            self.gaps.pop();
        }
        self.touched = end;
        Some(first)
    }

    /// Gives back what was taken.
    pub(crate) fn give_back(&mut self, run: Run) {
        self.taken -= run.pages;
        let index = self.gaps.partition_point(|gap| gap.first < run.first);
        let mut merged = run;
        if let Some(behind) = self.gaps.get(index).copied().filter(|gap| gap.first == run.end()) {
            merged.pages += behind.pages;
            self.gaps.remove(index);
        }
        match index.checked_sub(1).and_then(|before| self.gaps.get_mut(before)) {
            Some(before) if before.end() == run.first => before.pages += merged.pages,
            _ => self.gaps.insert(index, merged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_used_before_is_used_again() {
        let mut extents = Extents::new(100);
        let first = extents.take(10).unwrap();
        let second = extents.take(20).unwrap();
        assert_eq!((first.first, second.first, extents.idle()), (0, 10, 0));
        extents.give_back(first);
        assert_eq!(extents.idle(), 10);
        assert_eq!(extents.take(11).unwrap().first, 30, "the gap is too short");
        assert_eq!(extents.take(10).unwrap(), first);
    }

    #[test]
    fn a_gap_at_the_end_of_what_was_touched_grows() {
        let mut extents = Extents::new(16);
        let run = extents.take(8).unwrap();
        extents.give_back(run);
        assert_eq!(extents.take(16), Some(Run { first: 0, pages: 16 }));
        assert_eq!((extents.take(1), extents.idle()), (None, 0));
    }

    #[test]
    fn memory_that_was_never_used_counts_as_room_only_if_it_may_be() {
        let mut extents = Extents::new(16);
        assert_eq!((extents.longest(false), extents.longest(true)), (0, 16));
        let runs = [4, 2, 3].map(|pages| extents.take(pages).unwrap());
        assert_eq!((extents.longest(false), extents.longest(true)), (0, 7));
        extents.give_back(runs[0]);
        extents.give_back(runs[2]);
        assert_eq!((extents.longest(false), extents.longest(true)), (4, 10));
        assert_eq!(extents.touched(), 9);
    }

    proptest! {
        #[test]
        fn no_page_is_taken_twice_and_all_come_back(
            steps in proptest::collection::vec((1u32..20, any::<bool>(), 0usize..8), 1..200),
        ) {
            let mut extents = Extents::new(64);
            let mut taken: Vec<Run> = Vec::new();
            for (pages, takes, index) in steps {
                if takes {
                    let Some(run) = extents.take(pages) else { continue };
                    prop_assert!(run.end() <= 64 && run.pages == pages);
                    for other in &taken {
                        prop_assert!(run.end() <= other.first || other.end() <= run.first);
                    }
                    taken.push(run);
                } else if index < taken.len() {
                    extents.give_back(taken.swap_remove(index));
                }
                let mut more = Extents { gaps: extents.gaps.clone(), ..extents };
                let longest = extents.longest(true);
                prop_assert!(more.take(longest + 1).is_none());
                prop_assert!(longest == 0 || more.take(longest).is_some());
                let sum: u32 = taken.iter().map(|run| run.pages).sum();
                prop_assert_eq!(sum + extents.idle(), extents.touched);
                prop_assert!(extents.gaps.windows(2).all(|w| w[0].end() < w[1].first));
            }
            for run in taken.drain(..) {
                extents.give_back(run);
            }
            prop_assert_eq!(extents.idle(), extents.touched);
            prop_assert_eq!(extents.take(64).map(|run| run.first), Some(0));
        }
    }
}
