//! Events of a kind that may come in a burst: the first is told, and then one in each period for
//! all that came meanwhile.

use crate::Millis;

/// Kinds that are kept apart at most; more count as the one that was told last.
pub const KINDS_MAX: usize = 16;

/// What is told of one kind.
#[derive(Debug)]
struct Kind<K, E> {
    kind: K,
    told_at: Millis,
    /// Events since then.
    held: u64,
    /// The last of them.
    last: Option<E>,
}

/// Bursts of events, by kind.
#[derive(Debug)]
pub struct Bursts<K, E> {
    period: Millis,
    kinds: Vec<Kind<K, E>>,
}

impl<K: PartialEq, E> Bursts<K, E> {
    /// One event of a kind in `period` is told.
    #[must_use]
    pub const fn new(period: Millis) -> Self {
        Self { period, kinds: Vec::new() }
    }

    /// An event; the answer is told now.
    pub fn add(&mut self, kind: K, event: E, now: Millis) -> Option<E> {
        let period = self.period;
        self.kinds.retain(|one| one.held > 0 || now.saturating_sub(one.told_at) < period);
        let index = self.kinds.iter().position(|one| one.kind == kind);
        let is_full = self.kinds.len() >= KINDS_MAX;
        let index = index.or_else(|| self.kinds.len().checked_sub(1).filter(|_| is_full));
        let Some(known) = index.and_then(|index| self.kinds.get_mut(index)) else {
            self.kinds.push(Kind { kind, told_at: now, held: 0, last: None });
            return Some(event);
        };
        known.held += 1;
        known.last = Some(event);
        None
    }

    /// When [`Bursts::take_due`] has something to tell.
    #[must_use]
    pub fn due(&self) -> Option<Millis> {
        let waiting = self.kinds.iter().filter(|one| one.held > 0);
        waiting.map(|one| one.told_at.saturating_add(self.period)).min()
    }

    /// What is to be told at `now`: the last event of each kind whose period is over, and how many
    /// came before it that were not told.
    pub fn take_due(&mut self, now: Millis) -> Vec<(E, u64)> {
        let period = self.period;
        let due = self.kinds.iter_mut().filter(|one| one.told_at.saturating_add(period) <= now);
        due.filter_map(|one| {
            let event = one.last.take()?;
            one.told_at = now;
            Some((event, std::mem::take(&mut one.held).saturating_sub(1)))
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_then_one_for_each_period() {
        let mut bursts = Bursts::new(1_000);
        assert_eq!((bursts.add('a', 1, 500), bursts.due()), (Some(1), None));
        assert_eq!(bursts.add('b', 2, 600), Some(2));
        for event in 3..300 {
            assert_eq!(bursts.add('a', event, 600 + event / 2), None);
        }
        assert_eq!((bursts.due(), bursts.take_due(1_499)), (Some(1_500), vec![]));
        assert_eq!(bursts.take_due(1_500), [(299, 296)]);
        assert_eq!((bursts.due(), bursts.take_due(9_000)), (None, vec![]));
        assert_eq!(bursts.add('a', 7, 2_499), None, "its period is not over");
        assert_eq!(bursts.take_due(2_500), [(7, 0)]);
        assert_eq!(bursts.add('a', 8, 3_500), Some(8));
    }

    #[test]
    fn kinds_without_end_take_no_memory_and_nothing_is_lost() {
        let mut bursts = Bursts::new(1_000);
        let at_once = (0..1_000).filter(|kind| bursts.add(*kind, *kind, 5).is_some()).count();
        assert_eq!((at_once, bursts.kinds.len()), (KINDS_MAX, KINDS_MAX));
        let later: u64 = bursts.take_due(2_000).iter().map(|(_, more)| 1 + more).sum();
        assert_eq!(at_once as u64 + later, 1_000);
    }
}
