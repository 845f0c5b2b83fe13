//! What a worker asks of another one for a session of that, as messages of a socket: a head, and
//! what belongs to it. What is longer than one message travels in parts, in order.
//!
//! Whoever receives believes nothing of it: what makes no sense ends the way on which it came.

use ostler_shm::group_index::GROUP_NAME_MAX_BYTES;
use ostler_shm::sessions::MARKS;

use crate::worker::{GroupMessage, Marks, Output};

/// Bytes of a head.
pub(super) const HEAD_LEN: usize = 32;
/// The longest part of a message, bytes: several of them have room in a socket, and few calls are
/// needed for a long one.
const PART_BYTES_MAX: usize = 32 * 1024;
/// The longest message of the socket.
pub(super) const MESSAGE_LEN: usize = HEAD_LEN + PART_BYTES_MAX;

const SEND: u8 = 1;
const STATE: u8 = 2;
const CLOSE: u8 = 3;
const MARK: u8 = 4;
const BIND: u8 = 5;
const JOIN: u8 = 6;
const LEAVE: u8 = 7;
/// The body begins with the name of the group, whose length is in the head; the session is one that
/// does not get it.
const TO_GROUP: u8 = 8;

/// The head of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    kind: u8,
    session: u64,
    /// Where this part begins, and how long all of them are together.
    offset: u32,
    total: u32,
    /// By kind: close with a reset; marks that are set; the number to which it is bound; the
    /// length of a group's name.
    first: u32,
    /// Marks that are taken away.
    second: u32,
}

impl Head {
    fn to_bytes(self) -> [u8; HEAD_LEN] {
        let mut bytes = [0; HEAD_LEN];
        let words = [
            u64::from(self.kind),
            self.session,
            u64::from(self.offset) | u64::from(self.total) << 32,
            u64::from(self.first) | u64::from(self.second) << 32,
        ];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; HEAD_LEN]) -> Option<Self> {
        let mut words =
            bytes.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
        let kind = u8::try_from(words.next()?).ok()?;
        let session = words.next()?;
        let (low, high) = (|word: u64| word as u32, |word: u64| (word >> 32) as u32);
        let (place, more) = (words.next()?, words.next()?);
        let (offset, total) = (low(place), high(place));
        Some(Self { kind, session, offset, total, first: low(more), second: high(more) })
    }
}

/// The messages of one output: head and body of each. `None`: it cannot be relayed.
pub(super) fn messages(
    session: u64,
    output: Output<'_>,
) -> Option<impl Iterator<Item = ([u8; HEAD_LEN], &[u8])>> {
    let head = Head { session, ..Head::default() };
    let (head, body): (Head, &[u8]) = match output {
        Output::Send(bytes) => (Head { kind: SEND, ..head }, bytes),
        Output::State(bytes) => (Head { kind: STATE, ..head }, bytes),
        Output::Close(reset) => (Head { kind: CLOSE, first: u32::from(reset), ..head }, &[]),
        Output::Mark(Marks { set, clear }) => {
            (Head { kind: MARK, first: set as u32, second: clear as u32, ..head }, &[])
        }
        Output::Bind(user) => (Head { kind: BIND, first: user, ..head }, &[]),
        Output::Join(name) => (Head { kind: JOIN, ..head }, name),
        Output::Leave(name) => (Head { kind: LEAVE, ..head }, name),
        Output::Datagram(_) | Output::File(_) | Output::ToGroup(_) => return None,
        Output::Task(_) | Output::Message(_) => return None,
    };
    parts(head, body)
}

/// The messages of one to a group, whose name, of `name_len` bytes, is in front of `body`.
pub(super) fn group_messages(
    except: u64,
    name_len: usize,
    body: &[u8],
) -> Option<impl Iterator<Item = ([u8; HEAD_LEN], &[u8])>> {
    let first = u32::try_from(name_len).ok()?;
    parts(Head { kind: TO_GROUP, session: except, first, ..Head::default() }, body)
}

fn parts(head: Head, body: &[u8]) -> Option<impl Iterator<Item = ([u8; HEAD_LEN], &[u8])>> {
    let head = Head { total: u32::try_from(body.len()).ok()?, ..head };
    // An empty body has one part, too.
    let parts = body.len().div_ceil(PART_BYTES_MAX).max(1);
    Some((0..parts).map(move |part| {
        let offset = part * PART_BYTES_MAX;
        let end = body.len().min(offset + PART_BYTES_MAX);
        let head = Head { offset: offset as u32, ..head };
        (head.to_bytes(), body.get(offset..end).unwrap_or_default())
    }))
}

/// An output that has come whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Relayed {
    pub(crate) session: u64,
    head: Head,
    bytes: Vec<u8>,
}

impl Relayed {
    /// It, for the session.
    pub(crate) fn output(&self) -> Output<'_> {
        match self.head.kind {
            STATE => Output::State(&self.bytes),
            CLOSE => Output::Close(self.head.first != 0),
            MARK => Output::Mark(marks(self.head)),
            BIND => Output::Bind(self.head.first),
            JOIN => Output::Join(&self.bytes),
            LEAVE => Output::Leave(&self.bytes),
            TO_GROUP => Output::ToGroup(self.to_group()),
            _ => Output::Send(&self.bytes),
        }
    }

    fn to_group(&self) -> GroupMessage<'_> {
        let name = self.bytes.split_at_checked(self.head.first as usize);
        let (name, bytes) = name.unwrap_or_default();
        GroupMessage { name, except: self.session, bytes }
    }
}

/// Whether a group has a name of so many bytes.
const fn is_name_len(len: u32) -> bool {
    0 < len && len as usize <= GROUP_NAME_MAX_BYTES
}

fn marks(head: Head) -> Marks {
    Marks { set: u64::from(head.first), clear: u64::from(head.second) }
}

/// Whoever sent this does not speak the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonsense;

/// Puts the parts of one sender together.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    head: Option<Head>,
    bytes: Vec<u8>,
}

impl Assembly {
    /// Takes a message; answers the output that is whole with it. None is longer than `most`.
    pub(super) fn take(
        &mut self,
        message: &[u8],
        most: usize,
    ) -> Result<Option<Relayed>, Nonsense> {
        let (head, body) = message.split_first_chunk().ok_or(Nonsense)?;
        let head = Head::from_bytes(head).ok_or(Nonsense)?;
        let begun = self.head.map(|begun| Head { offset: head.offset, ..begun });
        let goes_on = begun.is_none_or(|begun| begun == head)
            && head.offset as usize == self.bytes.len()
            && self.bytes.len() + body.len() <= head.total as usize;
        // A part that brings nothing would come for ever.
        let is_empty = body.is_empty() && head.total != 0;
        if !goes_on || is_empty || head.total as usize > most || !makes_sense(head) {
            return Err(Nonsense);
        }
        self.bytes.extend_from_slice(body);
        if self.bytes.len() < head.total as usize {
            self.head = Some(head);
            return Ok(None);
        }
        self.head = None;
        let bytes = std::mem::take(&mut self.bytes);
        Ok(Some(Relayed { session: head.session, head, bytes }))
    }
}

fn makes_sense(head: Head) -> bool {
    let Marks { set, clear } = marks(head);
    match head.kind {
        SEND | STATE => head.first == 0 && head.second == 0,
        CLOSE => head.first <= 1 && head.second == 0 && head.total == 0,
        MARK => (set | clear) & !MARKS == 0 && set & clear == 0 && head.total == 0,
        BIND => head.second == 0 && head.total == 0,
        JOIN | LEAVE => head.first == 0 && head.second == 0 && is_name_len(head.total),
        TO_GROUP => head.second == 0 && is_name_len(head.first) && head.first <= head.total,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_shm::sessions::{PAUSED, PROTECTED};
    use proptest::prelude::*;

    const MOST: usize = 1 << 20;

    fn all(session: u64, output: Output<'_>) -> Vec<Vec<u8>> {
        let parts = messages(session, output).unwrap();
        parts.map(|(head, body)| [&head, body].concat()).collect()
    }

    #[test]
    fn outputs_come_as_they_were_sent() {
        let long: Vec<u8> = (0..100_000_u32).map(|index| (index % 251) as u8).collect();
        let mark = Marks { set: PAUSED, clear: PROTECTED };
        let mut assembly = Assembly::default();
        for output in [
            Output::Send(&long),
            Output::Send(b""),
            Output::Send(&long[..PART_BYTES_MAX]),
            Output::State(b"state"),
            Output::Close(false),
            Output::Close(true),
            Output::Mark(mark),
            Output::Bind(u32::MAX),
            Output::Join(b"room"),
            Output::Leave(&[b'x'; GROUP_NAME_MAX_BYTES]),
        ] {
            let mut came = None;
            for message in all(9, output) {
                assert!(came.is_none() && message.len() <= MESSAGE_LEN);
                came = assembly.take(&message, MOST).unwrap();
            }
            let came = came.unwrap();
            assert_eq!((came.session, came.output()), (9, output));
        }
    }

    #[test]
    fn a_message_to_a_group_comes_as_it_was_sent() {
        let long = vec![7; 100_000];
        for (name, bytes) in [(&b"room"[..], &long[..]), (b"x", b"")] {
            let body = [name, bytes].concat();
            let mut assembly = Assembly::default();
            let mut came = None;
            for (head, part) in group_messages(9, name.len(), &body).unwrap() {
                came = assembly.take(&[&head, part].concat(), MOST).unwrap();
            }
            let message = GroupMessage { name, except: 9, bytes };
            assert_eq!(came.unwrap().output(), Output::ToGroup(message));
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let head = Head { kind: SEND, session: 9, total: 4, ..Head::default() };
        let message = |head: Head, body: &[u8]| [&head.to_bytes(), body].concat();
        let one = |head, body: &[u8]| Assembly::default().take(&message(head, body), MOST);
        assert!(one(head, b"four").unwrap().is_some());
        for (head, body) in [
            (Head { kind: 0, ..head }, &b"four"[..]),
            (Head { kind: 9, ..head }, b"four"),
            (Head { first: 1, ..head }, b"four"),
            (Head { offset: 1, ..head }, b"our"),
            (Head { total: MOST as u32 + 1, ..head }, b"four"),
            (Head { total: u32::MAX, ..head }, b"four"),
            (head, b"five5"),
            (head, b""),
            (Head { kind: CLOSE, ..head }, b"four"),
            (Head { kind: CLOSE, total: 0, first: 2, ..head }, b""),
            (Head { kind: MARK, total: 0, first: 1, ..head }, b""),
            (Head { kind: MARK, total: 0, first: 8, second: 8, ..head }, b""),
            (Head { kind: BIND, total: 0, second: 1, ..head }, b""),
            (Head { kind: JOIN, total: 0, ..head }, b""),
            (Head { kind: JOIN, total: 256, ..head }, b"four"),
            (Head { kind: LEAVE, first: 1, ..head }, b"four"),
            (Head { kind: TO_GROUP, ..head }, b"four"),
            (Head { kind: TO_GROUP, first: 5, ..head }, b"four"),
        ] {
            assert_eq!(one(head, body), Err(Nonsense), "{head:?}");
        }
        assert_eq!(Assembly::default().take(b"short", MOST), Err(Nonsense));
        let mut assembly = Assembly::default();
        assert_eq!(assembly.take(&message(head, b"fo"), MOST), Ok(None));
        let other = Head { session: 10, offset: 2, ..head };
        assert_eq!(assembly.take(&message(other, b"ur"), MOST), Err(Nonsense));
    }

    proptest! {
        /// Whatever comes, it is nonsense or within its bounds.
        #[test]
        fn nothing_longer_than_allowed_is_kept(
            messages in proptest::collection::vec(
                (0u8..10, 0u32..40, 0u32..64, proptest::collection::vec(0u8.., 0..20)), 0..20,
            ),
        ) {
            let mut assembly = Assembly::default();
            for (kind, offset, total, body) in messages {
                let head = Head { kind, session: 1, offset, total, ..Head::default() };
                let message = [&head.to_bytes()[..], &body].concat();
                if let Ok(Some(relayed)) = assembly.take(&message, 32) {
                    prop_assert!(relayed.bytes.len() <= 32);
                }
                prop_assert!(assembly.bytes.len() <= 32);
            }
        }
    }
}
