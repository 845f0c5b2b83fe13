//! Who owns a session while it is on its way.
//!
//! The old master freezes sessions, offers them, and touches them no more until it is answered. The
//! new one answers which of them it can have, and does not touch them before the old one has said
//! which of those it gives: not those of which somebody has said something here meanwhile. So at
//! any moment one of the two reads and writes a socket, or nobody. Until it has said so everything
//! is the old one's, also when the new one is gone or does not answer; then it is the new one's for
//! good.

use std::collections::BTreeMap;

use crate::Nanos;

/// Most sessions in one offer: descriptors that are on their way count towards a limit of the
/// kernel's for the user, and one message has room for 253 of them.
pub const SESSIONS_PER_OFFER_MAX: usize = 120;
/// Most offers of one reactor that are not answered.
pub const OFFERS_MAX: usize = 2;
/// So long sessions are frozen for an answer.
pub const ANSWER_MAX_NS: Nanos = 1_000_000_000;

/// Some sessions of an offer, by their positions in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    words: [u64; 2],
}

impl Chosen {
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

    /// The session at this position is one of them.
    pub fn set(&mut self, position: usize) {
        if let Some(word) = self.words.get_mut(position / 64) {
            *word |= 1 << (position % 64);
        }
    }

    /// Whether the session at this position is one of them.
    #[must_use]
    pub fn has(self, position: usize) -> bool {
        self.words.get(position / 64).is_some_and(|word| word >> (position % 64) & 1 == 1)
    }
}

/// What the new master says of an offer. A session that is neither wanted nor refused it cannot
/// have now, for a reason that may pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// These it can have.
    pub wanted: Chosen,
    /// These it can never have.
    pub refused: Chosen,
}

/// What becomes of the sessions of an offer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered<K> {
    /// They are the new master's, which is to be told.
    pub gone: Vec<K>,
    /// Which those are.
    pub given: Chosen,
    /// They are here for now: something was said of them meanwhile.
    pub back: Vec<K>,
    /// They are here for now: the new master cannot have them yet.
    pub later: Vec<K>,
    /// The new master cannot have them: they stay to their end.
    pub stay: Vec<K>,
}

/// One that is not answered.
#[derive(Debug)]
struct Offer<K> {
    /// Nobody, if they were taken back meanwhile.
    sessions: Vec<K>,
    /// Until then they wait.
    until: Nanos,
}

/// The offers of one reactor that are not answered. `K` names a session.
#[derive(Debug)]
pub struct Offers<K> {
    open: BTreeMap<u32, Offer<K>>,
    last: u32,
    is_over: bool,
}

impl<K> Default for Offers<K> {
    fn default() -> Self {
        Self { open: BTreeMap::new(), last: 0, is_over: false }
    }
}

impl<K> Offers<K> {
    /// Whether sessions may be offered now: not to one whose answer takes too long.
    #[must_use]
    pub fn may_offer(&self) -> bool {
        let is_late = self.open.values().any(|offer| offer.sessions.is_empty());
        !self.is_over && !is_late && self.open.len() < OFFERS_MAX
    }

    /// Whether nothing will ever be offered again.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// These sessions, which are frozen, are offered: the number of the offer.
    pub fn offer(&mut self, sessions: Vec<K>, now: Nanos) -> u32 {
        self.last = self.last.wrapping_add(1);
        let until = now.saturating_add(ANSWER_MAX_NS);
        self.open.insert(self.last, Offer { sessions, until });
        self.last
    }

    /// An answer came; `may_go` says of which sessions nothing was said here. `None`: it answers
    /// nothing.
    pub fn answered(
        &mut self,
        number: u32,
        answer: Answer,
        may_go: impl Fn(&K) -> bool,
    ) -> Option<Answered<K>> {
        let sessions = self.open.remove(&number)?.sessions;
        let given = Chosen::default();
        let mut answered =
            Answered { gone: vec![], given, back: vec![], later: vec![], stay: vec![] };
        for (position, session) in sessions.into_iter().enumerate() {
            if !answer.wanted.has(position) {
                let refused = answer.refused.has(position);
                if refused { &mut answered.stay } else { &mut answered.later }.push(session);
            } else if may_go(&session) {
                answered.given.set(position);
                answered.gone.push(session);
            } else {
                answered.back.push(session);
            }
        }
        Some(answered)
    }

    /// When [`Offers::overdue`] is to be asked.
    #[must_use]
    pub fn due(&self) -> Option<Nanos> {
        let waiting = self.open.values().filter(|offer| !offer.sessions.is_empty());
        waiting.map(|offer| offer.until).min()
    }

    /// Those whose answer takes too long: they are here for now. Their offers stay open, and
    /// nobody else is offered; when the answer comes nobody is given.
    pub fn overdue(&mut self, now: Nanos) -> Vec<K> {
        let late = self.open.values_mut().filter(|offer| now >= offer.until);
        late.flat_map(|offer| std::mem::take(&mut offer.sessions)).collect()
    }

    /// The new master is gone, or this one ends: everybody is the old one's again. Nothing is
    /// offered from now on.
    pub fn end(&mut self) -> Vec<K> {
        self.is_over = true;
        let open = self.open.values_mut();
        open.flat_map(|offer| std::mem::take(&mut offer.sessions)).collect()
    }
}
