//! What workers may know of groups: how many members each has, and which session is in which. The
//! reactors write it, each its own part; it follows the truth, which is in their memory.
//!
//! A group is known by its tag, a keyed hash of its name (decision 55). Each reactor has a table of
//! counts in buckets; a group has two of them where its count may lie, so that nothing is ever
//! moved and a reader looks at a fixed number of words. Each session has a few words for the tags
//! of its groups.

use siphasher::sip::SipHasher24;

use crate::sync::{AtomicU64, Ordering};

/// The longest name of a group, bytes: its length is one byte of a record.
pub const GROUP_NAME_MAX_BYTES: usize = 255;

/// Whether a group can have this name.
#[must_use]
pub fn is_group_name(name: &[u8]) -> bool {
    (1..=GROUP_NAME_MAX_BYTES).contains(&name.len())
}

/// The most groups of a reactor that a board can be made for: its counts then take 64 MiB of
/// addresses.
pub const GROUPS_MAX: u64 = 1 << 21;
/// The most groups of one session that a board can be made for: who asks for members looks at all
/// of them.
pub const SESSION_GROUPS_MAX: u64 = 256;

/// Places of a bucket.
const BUCKET_PLACES: u64 = 8;
/// Words of a place: the tag, and how many members its group has.
const PLACE_WORDS: u64 = 2;
/// Words of a cache line.
const LINE_WORDS: u64 = 8;

/// How many groups a board has room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupSizes {
    /// Most groups of a reactor.
    pub groups: u64,
    /// Most groups of a session.
    pub of_session: u64,
}

impl GroupSizes {
    /// Whether a board can be made for so many.
    pub(crate) const fn are_possible(self) -> bool {
        self.groups <= GROUPS_MAX && self.of_session <= SESSION_GROUPS_MAX
    }

    /// Buckets of a reactor, a power of two: twice as many places as groups, so that both buckets
    /// of a group are as good as never full.
    const fn buckets(self) -> u64 {
        if self.groups == 0 {
            return 0;
        }
        (2 * self.groups).div_ceil(BUCKET_PLACES).next_power_of_two()
    }

    /// Words of a reactor.
    const fn reactor_words(self) -> u64 {
        self.buckets() * BUCKET_PLACES * PLACE_WORDS
    }

    /// Words of all that a board has about groups; `None` when that is no number.
    pub(crate) fn words(self, sessions: u64, reactors: usize) -> Option<u64> {
        let of_sessions = self.session_words(sessions)?;
        of_sessions.checked_add(self.reactor_words().checked_mul(reactors as u64)?)
    }

    fn session_words(self, sessions: u64) -> Option<u64> {
        // In whole cache lines, for what comes behind.
        sessions.checked_mul(self.of_session)?.checked_next_multiple_of(LINE_WORDS)
    }
}

/// The words of a board about groups.
#[derive(Clone, Copy, Debug)]
pub struct GroupIndex<'a> {
    key: [u64; 2],
    sizes: GroupSizes,
    of_sessions: &'a [AtomicU64],
    of_reactors: &'a [AtomicU64],
}

impl<'a> GroupIndex<'a> {
    /// The index that lies in these words. `None`: they are too few.
    pub(crate) fn new(
        words: &'a [AtomicU64],
        key: [u64; 2],
        sizes: GroupSizes,
        sessions: u64,
    ) -> Option<Self> {
        let of_sessions = usize::try_from(sizes.session_words(sessions)?).ok()?;
        let (of_sessions, of_reactors) = words.split_at_checked(of_sessions)?;
        Some(Self { key, sizes, of_sessions, of_reactors })
    }

    /// How many groups there may be.
    #[must_use]
    pub const fn sizes(&self) -> GroupSizes {
        self.sizes
    }

    /// What makes numbers of this server such as nobody foresees; all its processes have the same.
    #[must_use]
    pub const fn secret(&self) -> [u64; 2] {
        self.key
    }

    /// By which number a group is known here: never 0, which is nobody's.
    #[must_use]
    pub fn tag(&self, name: &[u8]) -> u64 {
        keyed_hash(self.key, name).max(1)
    }

    // ---- counts ---------------------------------------------------------------------------------

    /// The reactor: a group of it has so many members now. False: there is no room for its count.
    #[must_use]
    pub fn set_members(&self, reactor: usize, tag: u64, members: u64) -> bool {
        let place = match self.find(reactor, tag) {
            Some(place) => place,
            None if members == 0 => return true,
            None => match self.find_free(reactor, tag) {
                Some(place) => place,
                None => return false,
            },
        };
        let [tag_word, count] = place;
        count.store(members, Ordering::Relaxed);
        // The count comes first: who finds the tag finds a count of its group.
        tag_word.store(if members == 0 { 0 } else { tag }, Ordering::Release);
        true
    }

    /// How many members a group has at a reactor.
    #[must_use]
    pub fn members_at(&self, reactor: usize, tag: u64) -> u64 {
        let Some([tag_word, count]) = self.find(reactor, tag) else { return 0 };
        let members = count.load(Ordering::Acquire);
        // It may have become another group's meanwhile.
        if tag_word.load(Ordering::Relaxed) == tag { members } else { 0 }
    }

    /// How many members a group has.
    #[must_use]
    pub fn members(&self, tag: u64) -> u64 {
        let reactors = self.of_reactors.len() / (self.sizes.reactor_words() as usize).max(1);
        (0..reactors).map(|reactor| self.members_at(reactor, tag)).sum()
    }

    fn of_reactor(&self, reactor: usize) -> Option<&'a [AtomicU64]> {
        let words = usize::try_from(self.sizes.reactor_words()).ok().filter(|words| *words > 0)?;
        self.of_reactors.chunks_exact(words).nth(reactor)
    }

    /// The two buckets where a group's count may be, the same one twice if there is one only.
    fn buckets(&self, reactor: usize, tag: u64) -> [&'a [AtomicU64]; 2] {
        let buckets = self.sizes.buckets();
        let words = (BUCKET_PLACES * PLACE_WORDS) as usize;
        let table = self.of_reactor(reactor);
        let bucket = |number: u64| {
            let first = (number & buckets.saturating_sub(1)) as usize * words;
            table.and_then(|table| table.get(first..first + words)).unwrap_or_default()
        };
        [bucket(tag), bucket(tag >> 32)]
    }

    fn find(&self, reactor: usize, tag: u64) -> Option<&'a [AtomicU64; 2]> {
        let [first, second] = self.buckets(reactor, tag);
        let mut places = places(first).chain(places(second));
        places.find(|[tag_word, _]| tag_word.load(Ordering::Acquire) == tag)
    }

    /// A place of the emptier bucket.
    fn find_free(&self, reactor: usize, tag: u64) -> Option<&'a [AtomicU64; 2]> {
        let free = |bucket| {
            let is_free = |[tag_word, _]: &&[AtomicU64; 2]| tag_word.load(Ordering::Relaxed) == 0;
            places(bucket).filter(is_free)
        };
        let [first, second] = self.buckets(reactor, tag);
        let emptier = if free(first).count() >= free(second).count() { first } else { second };
        free(emptier).next()
    }

    // ---- memberships ----------------------------------------------------------------------------

    /// The reactor: the session in this entry of the session table is in a group from now on.
    pub fn add(&self, entry: u64, tag: u64) {
        let free = |word: &&AtomicU64| word.load(Ordering::Relaxed) == 0;
        if let Some(word) = self.of_session(entry).iter().find(free) {
            word.store(tag, Ordering::Release);
        }
    }

    /// The reactor: it is not any more.
    pub fn remove(&self, entry: u64, tag: u64) {
        let has = |word: &&AtomicU64| word.load(Ordering::Relaxed) == tag;
        if let Some(word) = self.of_session(entry).iter().find(has) {
            word.store(0, Ordering::Release);
        }
    }

    /// The tags of the groups that the session in this entry is in.
    pub fn tags(&self, entry: u64) -> impl Iterator<Item = u64> + use<'a> {
        let words = self.of_session(entry).iter();
        words.map(|word| word.load(Ordering::Acquire)).filter(|tag| *tag != 0)
    }

    fn of_session(&self, entry: u64) -> &'a [AtomicU64] {
        let words = usize::try_from(self.sizes.of_session).unwrap_or(0);
        let first = usize::try_from(entry).ok().and_then(|entry| entry.checked_mul(words));
        let range = first.and_then(|first| Some(first..first.checked_add(words)?));
        range.and_then(|range| self.of_sessions.get(range)).unwrap_or_default()
    }
}

/// The places of a bucket.
fn places(bucket: &[AtomicU64]) -> impl Iterator<Item = &[AtomicU64; 2]> {
    bucket.chunks_exact(PLACE_WORDS as usize).filter_map(<[_]>::first_chunk)
}

/// A hash whose values nobody can foresee who does not know its key: so clients cannot choose names
/// that fall together.
fn keyed_hash([first, second]: [u64; 2], bytes: &[u8]) -> u64 {
    SipHasher24::new_with_keys(first, second).hash(bytes)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const KEY: [u64; 2] = [7, 9];

    fn words(sizes: GroupSizes, sessions: u64, reactors: usize) -> Vec<AtomicU64> {
        let words = sizes.words(sessions, reactors).unwrap_or(0);
        (0..words).map(|_| AtomicU64::new(0)).collect()
    }

    #[test]
    fn counts_of_as_many_groups_as_may_be_find_a_place() {
        for groups in [1, 2, 5, 100, 10_000] {
            let sizes = GroupSizes { groups, of_session: 2 };
            let words = words(sizes, 4, 2);
            let index = GroupIndex::new(&words, KEY, sizes, 4).unwrap();
            let tags: Vec<u64> =
                (0..groups).map(|number| index.tag(&number.to_le_bytes())).collect();
            for round in 0..3 {
                for (number, tag) in tags.iter().enumerate() {
                    assert!(index.set_members(1, *tag, number as u64 + 1), "{number} of {groups}");
                }
                for (number, tag) in tags.iter().enumerate() {
                    assert_eq!(index.members(*tag), number as u64 + 1);
                    assert_eq!(index.members_at(0, *tag), 0);
                }
                assert_eq!(index.members(index.tag(b"unknown")), 0);
                tags.iter().for_each(|tag| assert!(index.set_members(1, *tag, 0), "{round}"));
            }
            let used = words.iter().filter(|word| word.load(Ordering::Relaxed) != 0).count();
            assert!(used <= groups as usize, "only counts stay");
        }
    }

    #[test]
    fn counts_of_all_reactors_are_added() {
        let sizes = GroupSizes { groups: 10, of_session: 1 };
        let words = words(sizes, 4, 3);
        let index = GroupIndex::new(&words, KEY, sizes, 4).unwrap();
        let tag = index.tag(b"room");
        for reactor in 0..3 {
            assert!(index.set_members(reactor, tag, 5));
        }
        assert_eq!(index.members(tag), 15);
        assert!(!index.set_members(3, tag, 5), "there is no such reactor");
    }

    #[test]
    fn sessions_are_in_the_groups_that_they_joined() {
        let sizes = GroupSizes { groups: 10, of_session: 3 };
        let words = words(sizes, 8, 1);
        let index = GroupIndex::new(&words, KEY, sizes, 8).unwrap();
        let mut model: HashMap<u64, Vec<u64>> = HashMap::new();
        for entry in 0..8 {
            for tag in 1..=3 {
                index.add(entry, entry * 10 + tag);
                model.entry(entry).or_default().push(entry * 10 + tag);
            }
            index.add(entry, 99); // more than there is room for
        }
        index.remove(4, 42);
        model.get_mut(&4).unwrap().retain(|tag| *tag != 42);
        for (entry, tags) in model {
            assert_eq!(index.tags(entry).collect::<Vec<_>>(), tags);
        }
        assert_eq!(index.tags(8).count(), 0, "there is no such entry");
        assert_eq!(index.tags(u64::MAX).count(), 0);
    }

    #[test]
    fn a_board_without_groups_has_none() {
        let sizes = GroupSizes::default();
        let words = words(sizes, 8, 1);
        let index = GroupIndex::new(&words, KEY, sizes, 8).unwrap();
        index.add(0, 5);
        assert_eq!((index.tags(0).count(), index.members(5)), (0, 0));
        assert!(GroupIndex::new(&[], KEY, GroupSizes { groups: 1, of_session: 1 }, 8).is_none());
    }

    /// Values that the authors give for the key 00..0f and the inputs 00.., of growing length.
    #[test]
    fn it_is_the_function_that_its_authors_describe() {
        let key = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];
        let input: Vec<u8> = (0..64).collect();
        for (len, expected) in [
            (0, 0x726f_db47_dd0e_0e31),
            (1, 0x74f8_39c5_93dc_67fd),
            (7, 0xab02_00f5_8b01_d137),
            (8, 0x93f5_f579_9a93_2462),
            (15, 0xa129_ca61_49be_45e5),
            (63, 0x958a_324c_eb06_4572),
        ] {
            assert_eq!(keyed_hash(key, &input[..len]), expected, "{len}");
        }
    }

    /// The standard library has the same function, under a name that is deprecated.
    #[test]
    #[allow(deprecated)]
    fn it_is_the_function_of_the_standard_library() {
        use std::hash::{Hasher as _, SipHasher};
        let key = [0x1234_5678_9abc_def0, 0x0fed_cba9_8765_4321];
        for len in 0..300_usize {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
            let mut hasher = SipHasher::new_with_keys(key[0], key[1]);
            hasher.write(&bytes);
            assert_eq!(keyed_hash(key, &bytes), hasher.finish(), "{len}");
        }
    }
}
