//! Sessions of other processes: their tables, which every process reads, and ways to them.
//!
//! Responsible for: finding the process that has a session; bringing it what user code here wants
//! of it; taking what others want of sessions here. Must never: wait for another process, believe
//! what one has written, or let what waits for one grow without bound.

mod way;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use ostler_core::ids::ProcessKey;
use ostler_shm::board::Board;
use ostler_shm::commons::Relay;
use ostler_shm::group_index::{GROUP_NAME_MAX_BYTES, GroupSizes};
use ostler_shm::session_state::SessionState;
use ostler_shm::session_traffic::SessionTraffic;
use ostler_shm::sessions::SessionRecord;

use super::commons::SeatOf;
use super::link::Link;
use super::local::Local;
use crate::api::send_error::{SendError, SendErrorKind};
use crate::control::{FromProcess, ToProcess};
use crate::options::Options;
use crate::sys::control_socket;
use crate::sys::epoll::{Epoll, Events, Interest};
use crate::worker::elsewhere::{Elsewhere, Seen};
use crate::worker::{Output, WorkerContext};
use way::{Other, WAITING_MAX_BYTES, Way};
use wire::{Assembly, MESSAGE_LEN, Relayed};

/// The token of the way to the first seat; that of the next one is the next number. Below are those
/// of ways from others.
const WAYS: u64 = 1 << 32;
const EVENTS: usize = 64;

/// Outputs of other processes that are taken before this process looks at its own clients again.
const RELAYS_MAX: usize = 256;

/// A way from another process.
struct Incoming {
    socket: OwnedFd,
    assembly: Assembly,
}

/// All of them.
pub(super) struct Relays {
    link: Rc<Link>,
    seat: SeatOf,
    others: RefCell<Vec<Other>>,
    incoming: RefCell<BTreeMap<u64, Incoming>>,
    /// The number of the next one.
    next_number: Cell<u64>,
    /// Those that have something, by their numbers.
    ready: RefCell<VecDeque<u64>>,
    /// What others need not exceed: the longest output that any port takes.
    longest: usize,
    /// Entries of a session table, bytes of a state there and of the area for longer ones, and room
    /// for groups: those of all processes are alike.
    sizes: (u64, usize, u64, GroupSizes),
    epoll: Epoll,
    events: RefCell<Events>,
    buffer: RefCell<Vec<u8>>,
}

impl Relays {
    /// Shows the sessions of this process to the others, and those of the others to user code.
    pub(super) fn join(
        link: &Rc<Link>,
        seat: &SeatOf,
        local: &Local,
        options: &Options,
    ) -> io::Result<Rc<Self>> {
        let sends = options.ports().iter().map(|port| port.options.max_send_bytes).max();
        let longest =
            sends.unwrap_or(0).max(options.session_state_max_bytes) + GROUP_NAME_MAX_BYTES;
        let board = local.context.board();
        let relays = Rc::new(Self::new(Rc::clone(link), seat.clone(), &board, longest)?);
        relays.meet();
        let elsewhere: Rc<dyn Elsewhere> = Rc::clone(&relays) as _;
        local.context.sessions.join(elsewhere);
        // Others have no session and no member of a group, ever.
        if local.context.key.kind.serves_sessions() {
            link.send(FromProcess::Board, vec![local.board_fd.try_clone()?]);
        }
        Ok(relays)
    }

    /// None yet. `board` is that of this process.
    fn new(link: Rc<Link>, seat: SeatOf, board: &Board, longest: usize) -> io::Result<Self> {
        Ok(Self {
            link,
            seat,
            others: RefCell::default(),
            incoming: RefCell::default(),
            next_number: Cell::new(0),
            ready: RefCell::default(),
            longest,
            sizes: sizes_of(board),
            epoll: Epoll::new()?,
            events: RefCell::new(Events::with_capacity(EVENTS)),
            buffer: RefCell::default(),
        })
    }

    /// Takes what the master tells of other processes.
    pub(super) fn meet(&self) {
        while let Some((message, descriptors)) = self.link.next_introduction() {
            let descriptor = descriptors.into_iter().next();
            match (message, descriptor) {
                (ToProcess::Board { seat, worker }, Some(board)) => self.know(seat, worker, &board),
                (ToProcess::Way, Some(socket)) => self.listen_to(socket),
                (ToProcess::Gone { worker, .. }, _) => self.forget(worker),
                // Descriptors that could not be opened here.
                _ => tracing::warn!("another worker cannot be reached, no descriptors left"),
            }
        }
    }

    fn know(&self, seat: u16, key: ProcessKey, board: &OwnedFd) {
        match Board::open_of_other(board) {
            Ok(board) if sizes_of(&board) == self.sizes => {
                self.others.borrow_mut().push(Other { seat, key, board, way: None });
            }
            Ok(_) => tracing::warn!(worker = %key, "has a session table of a strange size"),
            Err(error) => tracing::warn!(worker = %key, %error, "has no session table"),
        }
    }

    fn forget(&self, key: ProcessKey) {
        self.others.borrow_mut().retain(|other| other.key != key);
    }

    fn listen_to(&self, socket: OwnedFd) {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        match self.epoll.add(&socket, number, Interest::READ) {
            Ok(()) => {
                let incoming = Incoming { socket, assembly: Assembly::default() };
                self.incoming.borrow_mut().insert(number, incoming);
            }
            Err(error) => tracing::warn!(%error, "cannot watch the way of another worker"),
        }
    }

    /// Looks at the ways: what has come, who reads again, who is gone.
    fn look_at_ways(&self) {
        let mut events = self.events.borrow_mut();
        if self.epoll.wait(&mut events, Some(Duration::ZERO)).is_err() {
            return;
        }
        for (token, readiness) in events.iter() {
            let Some(seat) = token.checked_sub(WAYS) else {
                let mut ready = self.ready.borrow_mut();
                if !ready.contains(&token) {
                    ready.push_back(token);
                }
                continue;
            };
            let mut others = self.others.borrow_mut();
            let is_his = |other: &Other| u64::from(other.seat) == seat && other.way.is_some();
            let Some(at) = others.iter().position(is_his) else { continue };
            let is_gone = readiness.hangup() || readiness.error();
            if is_gone || others.get_mut(at).is_some_and(|other| self.flush(other).is_err()) {
                others.remove(at);
            }
        }
    }

    fn flush(&self, other: &mut Other) -> io::Result<()> {
        let Some(way) = &mut other.way else { return Ok(()) };
        way.flush()?;
        self.watch(other)
    }

    fn watch(&self, other: &Other) -> io::Result<()> {
        let Some(way) = &other.way else { return Ok(()) };
        let interest = if way.has_waiting() { Interest::WRITE } else { Interest::NONE };
        self.epoll.modify(way, WAYS + u64::from(other.seat), interest)
    }

    /// Whether nothing waits on a way any more.
    pub(super) fn are_flushed(&self) -> bool {
        let waits = |other: &Other| other.way.as_ref().is_some_and(Way::has_waiting);
        !self.others.borrow().iter().any(waits)
    }

    /// Does what others want of sessions here; true: something. What is left rings again.
    pub(super) fn serve(&self, context: &WorkerContext) -> bool {
        self.look_at_ways();
        for done in 0..RELAYS_MAX {
            let Some(relayed) = self.take() else { return done > 0 };
            if context.append_relayed(&relayed).is_err() {
                self.seat.note_relay(Relay::Refused);
            }
        }
        true
    }

    /// What another process wants next of a session here.
    fn take(&self) -> Option<Relayed> {
        let mut ready = self.ready.borrow_mut();
        let mut incoming = self.incoming.borrow_mut();
        while let Some(number) = ready.front().copied() {
            let Some(one) = incoming.get_mut(&number) else {
                ready.pop_front();
                continue;
            };
            match self.receive(one) {
                Ok(Some(relayed)) => {
                    self.seat.note_relay(Relay::Taken);
                    // It is the turn of the others; there is an order only within one way.
                    ready.rotate_left(1);
                    return Some(relayed);
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready.pop_front();
                }
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        tracing::error!("another worker wrote nonsense, it is not listened to");
                    }
                    incoming.remove(&number);
                    ready.pop_front();
                }
            }
        }
        None
    }

    /// One message of a way; an output if it is whole with it.
    fn receive(&self, one: &mut Incoming) -> io::Result<Option<Relayed>> {
        let mut buffer = self.buffer.borrow_mut();
        buffer.resize(MESSAGE_LEN, 0);
        let len = control_socket::receive_without_descriptors(&one.socket, &mut buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let message = buffer.get(..len).ok_or(io::ErrorKind::InvalidData)?;
        let taken = one.assembly.take(message, self.longest);
        taken.map_err(|wire::Nonsense| io::ErrorKind::InvalidData.into())
    }

    fn find(&self, session: u64) -> Option<usize> {
        let has = |other: &Other| other.board.home(session).is_some();
        self.others.borrow().iter().position(has)
    }

    /// The same; the master is asked first for processes that are not known yet.
    fn find_anywhere(&self, session: u64) -> Option<usize> {
        self.find(session).or_else(|| {
            self.link.read();
            self.meet();
            self.find(session)
        })
    }

    /// Whether there is a way to a process on which less than `most` bytes wait.
    fn has_way(&self, other: &mut Other, most: usize) -> Result<(), SendError> {
        let is_open = other.way.is_some() || self.open_way(other).is_ok();
        let waiting = other.way.as_ref().map_or(0, Way::waiting_bytes);
        if is_open && waiting < most { Ok(()) } else { Err(SendError::new(SendErrorKind::Full)) }
    }

    /// Sends the messages of one output. An error: nobody is at the other end.
    fn send<'a>(
        &self,
        other: &mut Other,
        messages: impl Iterator<Item = ([u8; wire::HEAD_LEN], &'a [u8])>,
    ) -> io::Result<()> {
        let Some(way) = &mut other.way else { return Err(io::ErrorKind::NotConnected.into()) };
        let had_waiting = way.has_waiting();
        // Before it is sent: whoever dies in between has lost it for the books.
        self.seat.note_relay(Relay::Sent);
        for (head, body) in messages {
            way.send(&head, body)?;
        }
        if !had_waiting && way.has_waiting() {
            // It is watched, so that nothing is lacking.
            let _ = self.watch(other);
        }
        Ok(())
    }

    /// Lets the process of a session do something with it, if less than `most` bytes wait for that.
    fn relay_below(&self, most: usize, session: u64, output: Output<'_>) -> Result<(), SendError> {
        let gone = SendError::gone(None);
        let at = self.find(session).ok_or(gone)?;
        let messages = wire::messages(session, output).ok_or(gone)?;
        let mut others = self.others.borrow_mut();
        let other = others.get_mut(at).ok_or(gone)?;
        self.has_way(other, most)?;
        if self.send(other, messages).is_err() {
            others.remove(at);
            return Err(gone);
        }
        Ok(())
    }

    fn open_way(&self, other: &mut Other) -> io::Result<()> {
        let (near, far) = control_socket::pair()?;
        self.epoll.add(&near, WAYS + u64::from(other.seat), Interest::NONE)?;
        let message = FromProcess::Way { seat: other.seat, worker: other.key };
        self.link.send(message, vec![far]);
        other.way = Some(Way::new(near));
        Ok(())
    }
}

impl Elsewhere for Relays {
    fn look(&self, session: u64, asks: bool) -> Option<Seen> {
        let at = if asks { self.find_anywhere(session) } else { self.find(session) }?;
        let others = self.others.borrow();
        let Other { board, way, .. } = others.get(at)?;
        let waiting = way.as_ref().map_or(0, Way::waiting_bytes);
        Some(Seen {
            flags: board.entry(session)?.flags_of(session)?,
            has_pressure: board.pressure(),
            is_way_full: waiting >= WAITING_MAX_BYTES,
            state_room: board.state_room(0),
        })
    }

    fn record(&self, session: u64) -> Option<SessionRecord> {
        let at = self.find_anywhere(session)?;
        self.others.borrow().get(at)?.board.session(session)
    }

    fn state(&self, session: u64) -> Option<SessionState> {
        let at = self.find_anywhere(session)?;
        self.others.borrow().get(at)?.board.state(session)
    }

    fn traffic(&self, session: u64) -> Option<SessionTraffic> {
        let at = self.find_anywhere(session)?;
        self.others.borrow().get(at)?.board.traffic(session)
    }

    fn sessions(&self) -> Vec<(u64, u64)> {
        self.link.read();
        self.meet();
        self.others.borrow().iter().flat_map(|other| other.board.sessions()).collect()
    }

    fn master(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    fn is_told_to_leave(&self) -> bool {
        self.link.read();
        self.meet();
        self.link.is_told_to_leave()
    }

    fn flush(&self) {
        self.look_at_ways();
    }

    fn relay(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        let most = match output {
            // It is one for each session, and never refused.
            Output::Close(_) => usize::MAX,
            Output::Send(_) => WAITING_MAX_BYTES,
            _ => 2 * WAITING_MAX_BYTES,
        };
        self.relay_below(most, session, output)
    }

    fn relay_admitted(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        self.relay_below(usize::MAX, session, output)
    }

    fn check_ways(&self) -> Result<(), SendError> {
        self.link.read();
        self.meet();
        let mut others = self.others.borrow_mut();
        others.iter_mut().try_for_each(|other| match self.has_way(other, WAITING_MAX_BYTES) {
            Err(full) if other.has_sessions() => Err(full),
            _ => Ok(()),
        })
    }

    fn relay_to_all(&self, output: Output<'_>) {
        let Output::ToGroup(message) = output else { return };
        let body = [message.name, message.bytes].concat();
        self.others.borrow_mut().retain_mut(|other| {
            let has_room = self.has_way(other, WAITING_MAX_BYTES).is_ok();
            if !has_room && !other.has_sessions() {
                return true; // nor a member
            }
            // One that came after the look, and to which no way can be made.
            if self.has_way(other, usize::MAX).is_err() {
                return true;
            }
            let messages = wire::group_messages(message.except, message.name.len(), &body);
            // Who is gone has no members any more.
            messages.is_some_and(|messages| self.send(other, messages).is_ok())
        });
    }

    fn each_board(&self, look: &mut dyn FnMut(&Board)) {
        self.link.read();
        self.meet();
        self.others.borrow().iter().for_each(|other| look(&other.board));
    }
}

impl AsFd for Relays {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

fn sizes_of(board: &Board) -> (u64, usize, u64, GroupSizes) {
    let groups = board.groups().map_or_else(GroupSizes::default, |groups| groups.sizes());
    (board.session_entries(), board.state_bytes(), board.state_area(), groups)
}

impl WorkerContext {
    /// Does what another process wants of a session here. It has looked at the session's flags; if
    /// the session has ended since, the reactor counts that.
    fn append_relayed(&self, relayed: &Relayed) -> Result<(), SendError> {
        let (session, output) = (relayed.session, relayed.output());
        // Whoever speaks for a port here keeps to its limits, or is condemned by the reactor.
        self.check_size(session, output)?;
        self.append_here(session, output, None)?;
        self.sender.publish();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
