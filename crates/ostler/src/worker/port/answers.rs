//! Answers: taken whenever the worker looks, whatever it does besides.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use ostler_core::handed_out::LettingGo;
use ostler_shm::answers::{AnswerTaker, TakeAnswer};
use ostler_shm::lane::PackageBytes;
use ostler_shm::outbox::Committer;
use ostler_shm::record::{FLAG_IN_AREA, FLAG_MORE, Header, RecordKind, read_place};
use ostler_shm::sync::Ordering;

use super::{LaneEnd, Port, ring_if_asleep};

/// A process that sleeps and has let go of so many bytes that its reactor does not know of, wakes
/// it. Fewer are told by what it sends next.
const LET_GO_UNTOLD_MAX_BYTES: usize = 1024 * 1024;

/// What [`Port::take_answer`] found.
pub(crate) enum FoundAnswer {
    /// An answer: the header of its last part, and its bytes.
    Answer(Header, AnswerBytes),
    /// Nothing on any lane.
    Nothing,
    /// The master wrote something impossible: this process must end.
    Broken,
}

/// The bytes of an answer.
#[derive(Debug)]
pub(crate) enum AnswerBytes {
    /// A copy.
    Heap(Vec<u8>),
    /// Where they lie in the area of the first reactor.
    Area(BodyAnswer),
}

impl AnswerBytes {
    /// They, in memory of this process.
    pub(crate) fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Area(answer) => answer.bytes.to_vec(),
        }
    }

    /// Where they lie, and the number of the answer there.
    pub(crate) fn area(&self) -> Option<AnswerInArea> {
        match self {
            Self::Heap(_) => None,
            Self::Area(answer) => Some(AnswerInArea {
                number: answer.number,
                address: answer.bytes.as_ptr() as usize,
                len: answer.bytes.len(),
            }),
        }
    }
}

impl Deref for AnswerBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Heap(bytes) => bytes,
            Self::Area(answer) => &answer.bytes,
        }
    }
}

/// Where an answer lies: what is sent of it need not be copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnswerInArea {
    /// Its number among those that this process has read where they lie.
    pub(crate) number: u64,
    /// Of its first byte.
    pub(crate) address: usize,
    /// How many there are.
    pub(crate) len: usize,
}

/// An answer that is read where it lies; it stays there until this is dropped.
#[derive(Debug)]
pub(crate) struct BodyAnswer {
    bytes: PackageBytes,
    number: u64,
    let_go: Rc<Letting>,
}

impl Drop for BodyAnswer {
    fn drop(&mut self) {
        self.let_go.answers.borrow_mut().let_go(self.number);
        self.let_go.untold_bytes.set(self.let_go.untold_bytes.get() + self.bytes.len());
    }
}

#[derive(Debug, Default)]
struct Letting {
    answers: RefCell<LettingGo>,
    /// Bytes of those that were let go of since the reactor was woken for it.
    untold_bytes: Cell<usize>,
}

/// Which of them this process has let go of.
#[derive(Debug, Default)]
pub(super) struct LetGo {
    shared: Rc<Letting>,
    /// How many its reactor can see.
    told: u64,
}

impl LetGo {
    fn receive(&self, bytes: PackageBytes) -> BodyAnswer {
        let number = self.shared.answers.borrow_mut().receive();
        BodyAnswer { bytes, number, let_go: Rc::clone(&self.shared) }
    }
}

impl Port {
    /// Whether there is an answer.
    pub(crate) fn has_answers(&self) -> bool {
        self.lanes.iter().any(|end| end.answers.has_news(end.lane.down()))
    }

    /// Takes the next answer. From then on it is this process's, also when that dies at once.
    pub(crate) fn take_answer(&mut self) -> FoundAnswer {
        self.tell_let_go();
        for end in &mut self.lanes {
            match take_from(end, &self.let_go) {
                FoundAnswer::Nothing => {
                    if std::mem::take(&mut end.owes_answer_bell) {
                        Committer::fence();
                        if AnswerTaker::is_awaited(end.lane.down()) {
                            ring_if_asleep(end);
                        }
                    }
                }
                found => return found,
            }
        }
        FoundAnswer::Nothing
    }

    /// Says which answers are needed no more, unless something that may refer to them is not
    /// published.
    pub(super) fn tell_let_go(&mut self) {
        let done = self.let_go.shared.answers.borrow().done();
        if done == self.let_go.told || self.has_staged() {
            return;
        }
        let Some(process) = self.home_of_switch().words() else { return };
        process.answers.let_go.store(done, Ordering::Release);
        self.let_go.told = done;
        if self.let_go.shared.untold_bytes.get() < LET_GO_UNTOLD_MAX_BYTES {
            return;
        }
        self.let_go.shared.untold_bytes.set(0);
        Committer::fence();
        let switch = self.switch();
        if let Some(end) = self.lanes.get_mut(switch) {
            ring_if_asleep(end);
        }
    }
}

fn take_from(end: &mut LaneEnd, let_go: &LetGo) -> FoundAnswer {
    loop {
        let (header, position) = match end.answers.take(end.lane.down(), &end.lane.answers) {
            TakeAnswer::Empty => return FoundAnswer::Nothing,
            TakeAnswer::Broken => return FoundAnswer::Broken,
            TakeAnswer::Record { header, position } => (header, position),
        };
        let bytes = end.lane.answer(position, &header);
        end.answers.done(end.lane.up());
        end.owes_answer_bell = true;
        if header.flags & FLAG_IN_AREA != 0 {
            let (board, reactor) = (&end.board, end.reactor);
            let body = read_place(&bytes).and_then(|at| board.body_at(reactor, at, header.total));
            let Some(body) = body else { return FoundAnswer::Broken };
            return FoundAnswer::Answer(header, AnswerBytes::Area(let_go.receive(body)));
        }
        if header.flags & FLAG_MORE == 0 && header.part_offset == 0 {
            return FoundAnswer::Answer(header, AnswerBytes::Heap(bytes));
        }
        let is_message = header.kind == RecordKind::Message as u8;
        let parts = if is_message { &mut end.message_parts } else { &mut end.answer_parts };
        if header.part_offset == 0 {
            parts.clear(); // the rest of what came before went to another process
        }
        parts.extend_from_slice(&bytes);
        if header.flags & FLAG_MORE == 0 {
            return FoundAnswer::Answer(header, AnswerBytes::Heap(std::mem::take(parts)));
        }
    }
}
