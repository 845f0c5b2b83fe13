//! The worker's side of all its lanes as one pollable object: take, append, publish, sleep
//! (protocol §5).
//!
//! It knows no runtime and calls no user code. It keeps the contract that `freed` is stored only
//! while no package memory is held, and stores it between `commit` and the look at the reactors'
//! sleep words, so that a reactor waiting for ring space cannot sleep past it.

mod answers;
mod files;
mod home;
mod payload;
mod room;
mod sleep;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use ostler_core::invariant;
use ostler_core::on_the_way::OnTheWay;
use ostler_core::placement::TASK_REACTOR;
use ostler_shm::answers::AnswerTaker;
use ostler_shm::board::Board;
use ostler_shm::fault::{Step, step};
use ostler_shm::inbox::{Inbox, Take};
use ostler_shm::lane::{WorkerLane, WorkerMemory};
use ostler_shm::outbox::{Committer, NoRoom, Outbox};
use ostler_shm::record::{
    FLAG_IN_AREA, FLAG_MORE, Header, RecordKind, read_behind_place, read_place,
};
use ostler_shm::sleep::Ringer;
use ostler_shm::task_terms::TermsBlock;

use crate::sys::epoll::{Epoll, Events, Interest};
use crate::sys::eventfd;
pub(super) use answers::FoundAnswer;
use answers::LetGo;
pub(crate) use answers::{AnswerBytes, AnswerInArea};
pub(super) use files::NotPassed;
use home::Home;
use payload::Partial;
pub(crate) use payload::{Payload, Taken};

/// How often a closed gate is looked at before the worker yields its CPU for longer.
const GATE_SPINS: u32 = 100;

/// One lane's worker end.
struct LaneEnd {
    /// It is that to the switch of BASE mode.
    is_to_switch: bool,
    /// The board of its reactor, and the reactor's number there.
    board: Rc<Board>,
    reactor: usize,
    lane: WorkerLane,
    inbox: Inbox,
    outbox: Outbox,
    ringer: Ringer,
    bell: OwnedFd,
    /// By which files are passed, and the number of the last one.
    file_link: OwnedFd,
    last_file: u64,
    /// Bytes of states for the area of the reactor that it has not read.
    states: OnTheWay,
    /// Parts of a message that is not complete.
    partial: Partial,
    answers: AnswerTaker,
    /// Parts of an answer that is not complete.
    answer_parts: Vec<u8>,
    /// Parts of a message of another process.
    message_parts: Vec<u8>,
    /// Answers were read, and their reactor, which may wait for that, was not told.
    owes_answer_bell: bool,
    /// Ring space was given back and the reactor, which may sleep until there is some, was not
    /// told.
    owes_bell: bool,
}

/// What [`Port::take`] found.
pub(crate) enum Found {
    /// A delivery, started now.
    Delivery(Taken),
    /// Nothing on any lane.
    Nothing,
    /// The master wrote something impossible: this process must end.
    Broken,
}

impl LaneEnd {
    fn new(
        home: &Home,
        reactor: usize,
        (bell, file_link): (OwnedFd, OwnedFd),
        is_to_switch: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            is_to_switch,
            board: home.board(),
            reactor,
            lane: home.lane(reactor)?,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            ringer: Ringer::default(),
            bell,
            file_link,
            last_file: 0,
            states: OnTheWay::default(),
            partial: Partial::default(),
            answers: AnswerTaker::default(),
            answer_parts: Vec::new(),
            message_parts: Vec::new(),
            owes_answer_bell: false,
            owes_bell: false,
        })
    }

    fn has_news(&self) -> bool {
        self.inbox.has_news(self.lane.down()) || self.answers.has_news(self.lane.down())
    }
}

/// All lanes of this process: those to the reactors that have sessions, in their order, and in BASE
/// mode behind them that to the switch, which has tasks and messages.
pub(crate) struct Port {
    /// Where the lanes to those reactors lie.
    home: Home,
    /// Where that to the switch lies, if there is one.
    switch: Option<Home>,
    lanes: Vec<LaneEnd>,
    next_lane: usize,
    epoll: Epoll,
    events: Events,
    /// What makes room in the out ring when the reactor lives in this thread: nobody else would.
    room_maker: Option<Box<dyn Fn() -> bool>>,
    /// False: that reads no more, because the lane holds nonsense.
    is_read: bool,
    /// Answers that are read where they lie.
    let_go: LetGo,
    /// Held open: closing it would take it out of the epoll set.
    _worker_bell: OwnedFd,
}

impl Port {
    /// Joins mapped memory, bells, and for each lane a bell and a file link.
    pub(crate) fn new(
        memory: WorkerMemory,
        board: Board,
        worker_bell: OwnedFd,
        lane_ends: Vec<(OwnedFd, OwnedFd)>,
    ) -> io::Result<Self> {
        let epoll = Epoll::new()?;
        epoll.add(&worker_bell, 0, Interest::BELL)?;
        // Processes of a slot begin at different lanes, and so do those of different slots at one
        // time: if one lane's packages kill every process, the others' are taken first in some of
        // them.
        let (place, generation) = memory.key();
        let next_lane = usize::try_from(place.wrapping_add(generation)).unwrap_or(0);
        let home = Home::new(memory, board);
        let mut lanes = Vec::new();
        for (reactor, ends) in lane_ends.into_iter().enumerate() {
            lanes.push(LaneEnd::new(&home, reactor, ends, false)?);
        }
        Ok(Self {
            home,
            switch: None,
            lanes,
            next_lane,
            epoll,
            events: Events::with_capacity(8),
            room_maker: None,
            is_read: true,
            let_go: LetGo::default(),
            _worker_bell: worker_bell,
        })
    }

    /// BASE mode: tasks and messages go by this lane, to a reactor of the master.
    pub(crate) fn join_switch(
        &mut self,
        memory: WorkerMemory,
        board: Board,
        lane_end: (OwnedFd, OwnedFd),
    ) -> io::Result<()> {
        let home = Home::new(memory, board);
        self.lanes.push(LaneEnd::new(&home, TASK_REACTOR, lane_end, true)?);
        self.switch = Some(home);
        Ok(())
    }

    /// The board of the reactors that have sessions.
    pub(super) fn board(&self) -> Rc<Board> {
        self.home.board()
    }

    /// BASE mode: that of the switch, if there is one.
    pub(super) fn board_of_switch(&self) -> Option<Rc<Board>> {
        self.switch.as_ref().map(Home::board)
    }

    /// How many lanes there are to reactors that have sessions.
    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len() - usize::from(self.switch.is_some())
    }

    /// The lane of tasks and messages.
    pub(crate) fn switch(&self) -> usize {
        if self.switch.is_some() { self.lanes() } else { TASK_REACTOR }
    }

    fn home_of(&self, lane: usize) -> &Home {
        let is_to_switch = self.lanes.get(lane).is_some_and(|end| end.is_to_switch);
        self.switch.as_ref().filter(|_| is_to_switch).unwrap_or(&self.home)
    }

    /// The longest payload of one record of a lane.
    pub(crate) fn payload_max(&self, lane: usize) -> usize {
        self.home_of(lane).sizes().payload_max()
    }

    /// Bytes of each ring of a lane.
    pub(crate) fn lane_size(&self, lane: usize) -> u64 {
        self.home_of(lane).sizes().lane_size
    }

    // ---- down -----------------------------------------------------------------------------------

    /// Takes the next delivery; lanes in turn.
    pub(crate) fn take(&mut self) -> Found {
        let count = self.lanes.len();
        for turn in 0..count {
            let index = (self.next_lane + turn) % count;
            match self.take_from(index) {
                Found::Nothing => {}
                found => {
                    self.next_lane = index + 1;
                    return found;
                }
            }
        }
        Found::Nothing
    }

    fn take_from(&mut self, index: usize) -> Found {
        let Some(end) = self.lanes.get_mut(index) else {
            invariant!(false, "lanes are numbered from 0");
            return Found::Nothing;
        };
        let mut spins = 0;
        loop {
            match end.inbox.take(end.lane.down(), end.lane.up(), &end.lane.packages) {
                Take::Empty => {
                    // A void that ends behind a pad is the worker's to give back: the reactor
                    // cannot jump it.
                    if !end.lane.is_held() {
                        let position = end.inbox.position();
                        end.owes_bell |= end.inbox.free_up_to(position, end.lane.up());
                    }
                    // The rest of a message in parts comes only when its reactor knows of the
                    // space.
                    if std::mem::take(&mut end.owes_bell) {
                        Committer::fence();
                        ring_if_asleep(end);
                    }
                    return Found::Nothing;
                }
                Take::Broken => return Found::Broken,
                Take::GateClosed => {
                    // The recall takes nanoseconds, unless its reactor lost its CPU in it.
                    spins += 1;
                    if spins < GATE_SPINS {
                        std::thread::yield_now();
                    } else {
                        std::thread::sleep(Duration::from_micros(50));
                    }
                }
                Take::Record { header, position } => {
                    if header.flags & FLAG_IN_AREA != 0 {
                        let taken = take_lying(end, index, header, position);
                        return taken.map_or(Found::Broken, Found::Delivery);
                    }
                    let ring = end.lane.payload(position, &header);
                    if header.flags & FLAG_MORE != 0 || header.part_offset != 0 {
                        end.partial.add(header.part_offset, &ring);
                        drop(ring);
                        if header.flags & FLAG_MORE != 0 {
                            let position = end.inbox.position();
                            end.owes_bell |= end.inbox.free_up_to(position, end.lane.up());
                            continue;
                        }
                        let payload = Payload::Heap(end.partial.take());
                        return Found::Delivery(Taken::new(index, header, payload, position));
                    }
                    let payload = Payload::Ring(ring);
                    return Found::Delivery(Taken::new(index, header, payload, position));
                }
            }
        }
    }

    /// Where in the payload of the delivery at `position` of a lane a slice lies, if it lies in
    /// that package's ring memory: then a reply may refer to it instead of being copied.
    pub(crate) fn offset_in_package(
        &self,
        lane: usize,
        position: u64,
        len: usize,
        slice: &[u8],
    ) -> Option<u32> {
        let end = self.lanes.get(lane)?;
        let at = end.lane.packages.offset_of(slice)?;
        let first =
            (position & (self.lane_size(lane) - 1)) + ostler_shm::record::HEADER_SIZE as u64;
        let offset = at.checked_sub(first)?;
        (offset + slice.len() as u64 <= len as u64).then(|| u32::try_from(offset).ok())?
    }

    /// Whether every lane has been left by its reactor and nothing is to be taken.
    pub(crate) fn is_left(&self) -> bool {
        self.lanes.iter().all(|end| end.inbox.is_left(end.lane.down()))
    }

    /// Whether every reactor has told this process to leave, for one that takes nothing.
    pub(crate) fn is_told_to_leave(&self) -> bool {
        self.lanes.iter().all(|end| Inbox::is_told_to_leave(end.lane.down()))
    }

    // ---- up -------------------------------------------------------------------------------------

    /// Appends a record to a lane's out ring; not visible before [`Port::publish`].
    pub(crate) fn append(
        &mut self,
        lane: usize,
        header: Header,
        payload: &[u8],
    ) -> Result<(), NoRoom> {
        let pieces: &[&[u8]] = if payload.is_empty() { &[] } else { &[payload] };
        self.append_pieces(lane, header, pieces)
    }

    /// The same with a payload in pieces.
    pub(crate) fn append_pieces(
        &mut self,
        lane: usize,
        mut header: Header,
        pieces: &[&[u8]],
    ) -> Result<(), NoRoom> {
        header.stamp = self.home_of(lane).open_transaction();
        let Some(end) = self.lanes.get_mut(lane) else {
            invariant!(false, "every session that the board knows has a lane");
            return Err(NoRoom);
        };
        let result = end.outbox.append(end.lane.down(), &end.lane.outputs, header, pieces);
        if result.is_ok() {
            match RecordKind::from_byte(header.kind) {
                Some(RecordKind::Expose) => step(Step::Exposed),
                Some(RecordKind::Fin) => step(Step::FinAppended),
                _ => {}
            }
        }
        result
    }

    /// Bytes appended to a lane and not published.
    pub(crate) fn staged(&self, lane: usize) -> u64 {
        self.lanes.get(lane).map_or(0, |end| end.outbox.staged())
    }

    /// Whether anything is appended and not published.
    pub(crate) fn has_staged(&self) -> bool {
        self.lanes.iter().any(|end| end.outbox.staged() > 0)
    }

    /// Publishes all that was appended, on all lanes, by one word; what is for the switch by one of
    /// its own. With `freed` the package memory of that lane is given back in the same step (unless
    /// some of it is still held).
    pub(crate) fn publish(&mut self, freed: Option<usize>) {
        let mut touched: u64 = 0;
        let homes = [(false, Some(&mut self.home)), (true, self.switch.as_mut())];
        for (of_switch, home) in homes {
            let Some(home) = home else { continue };
            let before = touched;
            for (index, end) in self.lanes.iter_mut().enumerate() {
                if end.is_to_switch == of_switch && end.outbox.staged() > 0 {
                    Committer::store_written(&mut end.outbox, end.lane.up());
                    touched |= 1 << index;
                }
            }
            if touched != before {
                home.commit();
            }
        }
        if let Some(lane) = freed
            && let Some(end) = self.lanes.get_mut(lane)
            && !end.lane.is_held()
        {
            let position = end.inbox.position();
            // Without a record this is the only news: the callback of a deferred delivery is over.
            touched |= u64::from(end.inbox.free_up_to(position, end.lane.up())) << lane;
        }
        if touched == 0 {
            return;
        }
        Committer::fence();
        for (index, end) in self.lanes.iter_mut().enumerate() {
            if touched & (1 << index) != 0 {
                ring_if_asleep(end);
            }
        }
        step(Step::Rung);
    }
}

/// What its worker reads where it lies. `None`: it does not lie there.
fn take_lying(end: &LaneEnd, lane: usize, header: Header, position: u64) -> Option<Taken> {
    if header.kind != RecordKind::Task as u8 {
        let body = end.board.body(end.reactor, header.part_offset, header.total)?;
        return Some(Taken::new(lane, header, Payload::Area(body), position));
    }
    let place = end.lane.payload(position, &header);
    let body = end.board.body_at(end.reactor, read_place(&place)?, header.total)?;
    let terms = read_behind_place(&place).and_then(TermsBlock::read);
    Some(Taken { terms, ..Taken::new(lane, header, Payload::Area(body), position) })
}

/// After a fence: rings for what was published, unless its reactor is awake or rung already.
fn ring_if_asleep(end: &mut LaneEnd) {
    if let Some(word) = end.board.reactor_sleep(end.reactor)
        && end.ringer.needs_bell(word)
    {
        // The bell cannot fail but by being rung already.
        let _ = eventfd::ring(&end.bell);
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}
