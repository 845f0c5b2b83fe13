//! Who owns a session while it is on its way.
//!
//! The old master freezes sessions, offers them, and touches them no more until it is answered. The
//! new one answers before it touches what it has taken. So at any moment one of the two reads and
//! writes a socket, or nobody: what was not answered when the new one is gone is the old one's
//! again, and what was answered is the new one's for good.

use std::collections::BTreeMap;

/// Most sessions in one offer: descriptors that are on their way count towards a limit of the
/// kernel's for the user, and one message has room for 253 of them.
pub const SESSIONS_PER_OFFER_MAX: usize = 120;
/// Most offers of one reactor that are not answered.
pub const OFFERS_MAX: usize = 2;

/// Which sessions of an offer were taken, by their positions in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    words: [u64; 2],
}

impl Taken {
    /// What these words say.
    #[must_use]
    pub const fn of_words(words: [u64; 2]) -> Self {
        Self { words }
    }

    /// The words that say it.
    #[must_use]
    pub const fn words(self) -> [u64; 2] {
        self.words
    }

    /// The session at this position is taken.
    pub fn set(&mut self, position: usize) {
        if let Some(word) = self.words.get_mut(position / 64) {
            *word |= 1 << (position % 64);
        }
    }

    /// Whether the session at this position is taken.
    #[must_use]
    pub fn has(self, position: usize) -> bool {
        self.words.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }
}

/// What became of the sessions of an offer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered<K> {
    /// They are the new master's.
    pub gone: Vec<K>,
    /// The new master cannot have them: they stay to their end.
    pub stay: Vec<K>,
}

/// The offers of one reactor that are not answered. `K` names a session.
#[derive(Debug)]
pub struct Offers<K> {
    open: BTreeMap<u32, Vec<K>>,
    last: u32,
    is_over: bool,
}

impl<K> Default for Offers<K> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), last: 0, is_over: false }
    }
}

impl<K> Offers<K> {
    /// Whether sessions may be offered now.
    #[must_use]
    pub fn may_offer(&self) -> bool {
        !self.is_over && self.open.len() < OFFERS_MAX
    }

    /// Whether nothing will ever be offered again.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// These sessions, which are frozen, are offered: the number of the offer.
    pub fn offer(&mut self, sessions: Vec<K>) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.open.insert(self.last, sessions);
        self.last
    }

    /// An answer came. One that answers nothing is none.
    pub fn answered(&mut self, number: u32, taken: Taken) -> Answered<K> {
        let sessions = self.open.remove(&number).unwrap_or_default();
        let (mut gone, mut stay) = (Vec::new(), Vec::new());
        for (position, session) in sessions.into_iter().enumerate() {
            if taken.has(position) { gone.push(session) } else { stay.push(session) }
        }
        Answered { gone, stay }
    }

    /// The new master is gone, and all its answers were heard: what was not answered is the old
    /// one's again. Nothing is offered from now on.
    pub fn lost(&mut self) -> Vec<K> {
        self.is_over = true;
        std::mem::take(&mut self.open).into_values().flatten().collect()
    }

    /// The old master ends, and the new one is there: what was not answered is the new one's, which
    /// will find it in its socket, or nobody's. Nothing is offered from now on.
    pub fn let_go(&mut self) -> Vec<K> {
        self.lost()
    }
}
