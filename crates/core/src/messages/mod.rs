//! Messages between processes: to whom they go, in which order, and what becomes of those that
//! nobody takes. A machine without I/O; the first reactor drives it.
//!
//! A message is for a *place*, the process that lives in a slot, or for one process alone. It waits
//! at its receiver until there is room in that one's ring, and counts as delivered when the
//! receiver has begun to handle it. Of each sender, a receiver gets them in the order in which they
//! were sent.

mod counts;
pub mod form;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{Generation, LaneSlot, ProcessKey, ProcessKind};
pub use counts::MessageCounts;

/// What a message is counted besides its bytes, so that empty ones are not without end.
pub const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// The generation of a receiver that is whoever lives in its slot.
pub const ANYBODY: Generation = Generation(0);

/// What an exchange has to know.
#[derive(Clone, Copy, Debug)]
pub struct MessageSettings {
    /// Most bytes of messages that a receiver has not begun to handle; one always has room.
    pub queue_max_bytes: usize,
    /// How many processes of each kind there are from the beginning: event workers, user processes,
    /// companions, task workers, in the order of [`ProcessKind::code`].
    pub processes: [u16; ProcessKind::ALL.len()],
}

/// Who sends a message, and what it calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageSender {
    /// The process.
    pub key: ProcessKey,
    /// Its lane.
    pub lane: LaneSlot,
    /// Its number for the message.
    pub number: u64,
}

/// Why a message did not reach its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageEnd {
    /// No process runs in that slot.
    NotRunning,
    /// Too much waits for the receiver.
    Full,
    /// The memory budget has no room.
    NoMemory,
    /// The receiver ended before it had begun to handle the message.
    ReceiverEnded,
}

impl MessageEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NotRunning, Self::Full, Self::NoMemory, Self::ReceiverEnded];

    /// It as a number, for records.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::NotRunning => 1,
            Self::Full => 2,
            Self::NoMemory => 3,
            Self::ReceiverEnded => 4,
        }
    }

    /// The end with this number; `None` when there is none.
    #[must_use]
    pub fn of_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.code() == code)
    }
}

/// A message on its way.
#[derive(Debug)]
pub struct Letter {
    /// Who has sent it.
    pub sender: MessageSender,
    /// What kind of message it is, as sender and receiver know it.
    pub form: u16,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many of them are written.
    pub written: usize,
    /// For whoever lives in the slot.
    is_for_place: bool,
}

/// What a message of so many bytes counts.
#[must_use]
pub const fn cost_of(bytes: &[u8]) -> u64 {
    (bytes.len() + MESSAGE_OVERHEAD_BYTES) as u64
}

/// A process that can be written to.
#[derive(Debug)]
struct Reader {
    key: ProcessKey,
    /// What waits for room in its ring.
    waiting: VecDeque<Letter>,
    waiting_bytes: u64,
    /// Senders and costs of what was written and is not taken, the oldest first.
    given: VecDeque<(MessageSender, u64)>,
    given_bytes: u64,
    /// How many were taken.
    taken: u64,
}

/// A slot.
#[derive(Debug, Default)]
struct Place {
    /// Who gets what is for it.
    receiver: Option<LaneSlot>,
    /// Somebody has lived there.
    has_begun: bool,
    /// What came before.
    early: VecDeque<Letter>,
    early_bytes: u64,
}

/// All messages of a server.
#[derive(Debug)]
pub struct MessageExchange {
    settings: MessageSettings,
    places: BTreeMap<u32, Place>,
    readers: BTreeMap<u32, Reader>,
    /// Letters that wait at readers.
    waiting: usize,
    counts: MessageCounts,
}

impl MessageExchange {
    /// One without processes.
    #[must_use]
    pub fn new(settings: MessageSettings) -> Self {
        Self {
            settings,
            places: BTreeMap::new(),
            readers: BTreeMap::new(),
            waiting: 0,
            counts: MessageCounts::default(),
        }
    }

    /// What became of all of them.
    #[must_use]
    pub const fn counts(&self) -> &MessageCounts {
        &self.counts
    }

    /// Senders were to be told something, and were not.
    pub const fn count_unheard(&mut self, failures: u64) {
        self.counts.unheard += failures;
    }

    // ---- processes ------------------------------------------------------------------------------

    /// A process has begun. What is for its slot is for it unless another one lives there.
    pub fn appears(&mut self, lane: LaneSlot, key: ProcessKey) {
        let reader = Reader {
            key,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            given: VecDeque::new(),
            given_bytes: 0,
            taken: 0,
        };
        self.readers.insert(lane.0, reader);
        let place = self.places.entry(key.place()).or_default();
        place.has_begun = true;
        if place.receiver.is_none() {
            self.set_receiver(lane, key);
        }
    }

    /// A worker takes the place of its predecessor: what is for the slot is for it from now on,
    /// also what waits for room at the predecessor.
    pub fn serves(&mut self, lane: LaneSlot) {
        let Some(key) = self.readers.get(&lane.0).map(|reader| reader.key) else { return };
        self.set_receiver(lane, key);
    }

    fn set_receiver(&mut self, lane: LaneSlot, key: ProcessKey) {
        let Some(place) = self.places.get_mut(&key.place()) else { return };
        let before = place.receiver.replace(lane).filter(|before| *before != lane);
        let mut moved = std::mem::take(&mut place.early);
        place.early_bytes = 0;
        self.waiting += moved.len();
        if let Some(before) = before.and_then(|before| self.readers.get_mut(&before.0)) {
            moved.extend(before.take_of_place());
        }
        if let Some(reader) = self.readers.get_mut(&lane.0) {
            for mut letter in moved {
                letter.written = 0;
                reader.waiting_bytes += cost_of(&letter.bytes);
                reader.waiting.push_back(letter);
            }
        }
    }

    /// A process has taken so many messages, as it says.
    ///
    /// # Errors
    /// When that is impossible.
    pub fn look(&mut self, lane: LaneSlot, taken: u64) -> Result<(), &'static str> {
        let Some(reader) = self.readers.get_mut(&lane.0) else { return Ok(()) };
        let given = reader.taken + reader.given.len() as u64;
        if taken < reader.taken || taken > given {
            return Err("messages were taken that were not given");
        }
        for _ in reader.taken..taken {
            let cost = reader.given.pop_front().map_or(0, |(_, cost)| cost);
            reader.given_bytes -= cost;
        }
        self.counts.delivered += taken - reader.taken;
        reader.taken = taken;
        Ok(())
    }

    /// A process is dead, and has been looked at since. Returns who is told that what it did not
    /// take is lost, and the bytes of what was not written.
    pub fn ended(&mut self, lane: LaneSlot) -> Ended {
        let mut ended = Ended::default();
        let Some(reader) = self.readers.remove(&lane.0) else { return ended };
        self.waiting -= reader.waiting.len();
        ended.told.extend(reader.given.iter().map(|(sender, _)| *sender));
        ended.told.extend(reader.waiting.iter().map(|letter| letter.sender));
        ended.charged = reader.waiting_bytes;
        self.counts.ended += ended.told.len() as u64;
        let heir = self.heir_of(reader.key);
        if let Some(place) = self.places.get_mut(&reader.key.place())
            && place.receiver == Some(lane)
        {
            place.receiver = heir;
        }
        ended
    }

    /// The youngest of those who live in a slot.
    fn heir_of(&self, key: ProcessKey) -> Option<LaneSlot> {
        let alike = self.readers.iter().filter(|(_, reader)| reader.key.place() == key.place());
        let youngest = alike.max_by_key(|(_, reader)| reader.key.generation);
        youngest.map(|(lane, _)| LaneSlot(*lane))
    }

    // ---- messages -------------------------------------------------------------------------------

    /// The lane of the process that gets what is sent to this one, if it runs.
    #[must_use]
    pub fn receiver_of(&self, to: ProcessKey) -> Option<LaneSlot> {
        if to.generation == ANYBODY {
            return self.places.get(&to.place())?.receiver;
        }
        let (lane, _) = self.readers.iter().find(|(_, reader)| reader.key == to)?;
        Some(LaneSlot(*lane))
    }

    /// Takes a message in. `charge` charges so much memory, if there is some.
    ///
    /// # Errors
    /// Why it is not; it was counted.
    pub fn send(
        &mut self,
        sender: MessageSender,
        to: ProcessKey,
        form: u16,
        bytes: Vec<u8>,
        charge: impl FnOnce(u64) -> bool,
    ) -> Result<(), MessageEnd> {
        let cost = cost_of(&bytes);
        let is_for_place = to.generation == ANYBODY;
        let letter = Letter { sender, form, bytes, written: 0, is_for_place };
        let taken = match self.receiver_of(to) {
            Some(lane) => self.add_to_reader(lane, letter, cost, charge),
            None => self.add_early(to, letter, cost, charge),
        };
        match taken {
            Ok(()) => self.counts.sent += 1,
            Err(MessageEnd::NotRunning) => self.counts.refused_not_running += 1,
            Err(_) => self.counts.refused_full += 1,
        }
        taken
    }

    fn add_to_reader(
        &mut self,
        lane: LaneSlot,
        letter: Letter,
        cost: u64,
        charge: impl FnOnce(u64) -> bool,
    ) -> Result<(), MessageEnd> {
        let reader = self.readers.get_mut(&lane.0).ok_or(MessageEnd::NotRunning)?;
        let held = reader.waiting_bytes + reader.given_bytes;
        self.settings.admit(held, cost, charge)?;
        reader.waiting_bytes += cost;
        reader.waiting.push_back(letter);
        self.waiting += 1;
        Ok(())
    }

    /// For a process that is about to begin with the server.
    fn add_early(
        &mut self,
        to: ProcessKey,
        letter: Letter,
        cost: u64,
        charge: impl FnOnce(u64) -> bool,
    ) -> Result<(), MessageEnd> {
        let processes = self.settings.processes.get(usize::from(to.kind.code()));
        let is_known = processes.is_some_and(|processes| to.slot.0 < *processes);
        if !is_known || to.generation != ANYBODY {
            return Err(MessageEnd::NotRunning);
        }
        let place = self.places.entry(to.place()).or_default();
        if place.has_begun {
            return Err(MessageEnd::NotRunning);
        }
        self.settings.admit(place.early_bytes, cost, charge)?;
        place.early_bytes += cost;
        place.early.push_back(letter);
        Ok(())
    }

    /// Writes what waits: `write` writes as much of a letter as there is room for, says how much
    /// that was in it, and answers whether it is all. Nobody else's letters wait for a full one.
    pub fn hand_on(&mut self, mut write: impl FnMut(LaneSlot, &mut Letter) -> bool) {
        if self.waiting == 0 {
            return;
        }
        for (lane, reader) in &mut self.readers {
            while let Some(letter) = reader.waiting.front_mut() {
                if !write(LaneSlot(*lane), letter) {
                    break;
                }
                let (sender, cost) = (letter.sender, cost_of(&letter.bytes));
                reader.waiting.pop_front();
                reader.waiting_bytes -= cost;
                reader.given_bytes += cost;
                reader.given.push_back((sender, cost));
                self.waiting -= 1;
            }
        }
    }

    /// Whether anything waits for room.
    #[must_use]
    pub const fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether something waits for room in a lane.
    #[must_use]
    pub fn waits_for(&self, lane: LaneSlot) -> bool {
        self.readers.get(&lane.0).is_some_and(|reader| !reader.waiting.is_empty())
    }

    /// The processes that have something that they have not taken.
    pub fn untaken(&self) -> impl Iterator<Item = LaneSlot> + '_ {
        let has_given = |reader: &Reader| !reader.given.is_empty();
        self.readers.iter().filter(move |it| has_given(it.1)).map(|(lane, _)| LaneSlot(*lane))
    }

    /// The server is over: what is left is counted. Returns the bytes of what was not written.
    pub fn end(&mut self) -> u64 {
        // What is there, and not what is lacking: so the books show it if one was forgotten.
        let early: usize = self.places.values().map(|it| it.early.len()).sum();
        let readers = self.readers.values();
        let untaken: usize = readers.map(|it| it.waiting.len() + it.given.len()).sum();
        self.counts.left += (early + untaken) as u64;
        self.waiting = 0;
        let places = std::mem::take(&mut self.places).into_values().map(|it| it.early_bytes);
        let readers = std::mem::take(&mut self.readers).into_values().map(|it| it.waiting_bytes);
        places.sum::<u64>() + readers.sum::<u64>()
    }
}

/// What a process leaves.
#[derive(Debug, Default)]
pub struct Ended {
    /// Whose messages it did not take, in the order in which they were sent.
    pub told: Vec<MessageSender>,
    /// What those were charged that were not written.
    pub charged: u64,
}

impl MessageSettings {
    /// Whether so much more has room beside what is held.
    fn admit(
        &self,
        held: u64,
        cost: u64,
        charge: impl FnOnce(u64) -> bool,
    ) -> Result<(), MessageEnd> {
        if held > 0 && held + cost > self.queue_max_bytes as u64 {
            return Err(MessageEnd::Full);
        }
        if charge(cost) { Ok(()) } else { Err(MessageEnd::NoMemory) }
    }
}

impl Reader {
    /// What waits and is for the slot, not for this process.
    fn take_of_place(&mut self) -> VecDeque<Letter> {
        let (of_place, own) =
            std::mem::take(&mut self.waiting).into_iter().partition(|letter| letter.is_for_place);
        self.waiting = own;
        self.waiting_bytes = self.waiting.iter().map(|letter| cost_of(&letter.bytes)).sum();
        of_place
    }
}
