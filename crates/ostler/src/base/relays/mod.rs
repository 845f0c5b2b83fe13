//! Sessions of other processes: their tables, which every process reads, and ways to them.
//!
//! Responsible for: finding the process that has a session; bringing it what user code here wants
//! of it; taking what others want of sessions here. Must never: wait for another process, believe
//! what one has written, or let what waits for one grow without bound.

mod incoming;
mod way;
mod wire;

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use ostler_core::ids::ProcessKey;
use ostler_core::invariant;
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
use incoming::{Incoming, Taken};
use way::{Other, WAITING_MAX_BYTES, Way};
use wire::Relayed;

const EVENTS: usize = 64;

/// How long what cannot be sent waits, when nothing tells that it could be.
const RETRY: Duration = Duration::from_millis(10);

/// Outputs of other processes, or parts of them, that are taken before this process looks at its
/// own clients again.
const RELAYS_MAX: usize = 256;

/// Nobody is at the other end of a way.
struct Gone;

/// All of them.
pub(super) struct Relays {
    link: Rc<Link>,
    seat: SeatOf,
    others: RefCell<Vec<Other>>,
    incoming: RefCell<Incoming>,
    /// Entries of a session table, bytes of a state there and of the area for longer ones, and room
    /// for groups: those of all processes are alike.
    sizes: (u64, usize, u64, GroupSizes),
    /// Both kinds of ways.
    epoll: Epoll,
    /// Ways to others, by their seats: those on which something waits.
    outgoing: Epoll,
    events: RefCell<Events>,
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
        let (epoll, outgoing, incoming) = (Epoll::new()?, Epoll::new()?, Incoming::new(longest)?);
        epoll.add(&outgoing, 0, Interest::READ)?;
        epoll.add(&incoming, 1, Interest::READ)?;
        Ok(Self {
            link,
            seat,
            others: RefCell::default(),
            incoming: RefCell::new(incoming),
            sizes: sizes_of(board),
            epoll,
            outgoing,
            events: RefCell::new(Events::with_capacity(EVENTS)),
        })
    }

    /// Takes what the master tells of other processes.
    pub(super) fn meet(&self) {
        while let Some((message, descriptors)) = self.link.next_introduction() {
            let descriptor = descriptors.into_iter().next();
            match (message, descriptor) {
                (ToProcess::Board { seat, worker }, Some(board)) => self.know(seat, worker, &board),
                (ToProcess::Way { worker }, Some(socket)) => {
                    self.incoming.borrow_mut().listen_to(worker, socket);
                }
                (ToProcess::Gone { worker, .. }, _) => self.forget(worker),
                // Descriptors that could not be opened here. Who has made a way finds it closed,
                // and makes another one; a table is shown again.
                (message, None) => {
                    if let ToProcess::Board { seat, worker } = message {
                        self.link.send(FromProcess::Missed { seat, worker }, Vec::new());
                    }
                    tracing::warn!("another worker cannot be reached, no descriptors left");
                }
                _ => invariant!(false, "only introductions are among them"),
            }
        }
    }

    fn know(&self, seat: u16, key: ProcessKey, board: &OwnedFd) {
        match Board::open_of_other(board) {
            Ok(board) if sizes_of(&board) == self.sizes => {
                self.others.borrow_mut().push(Other::new(seat, key, board));
            }
            Ok(_) => tracing::warn!(worker = %key, "has a session table of a strange size"),
            Err(error) => tracing::warn!(worker = %key, %error, "has no session table"),
        }
    }

    fn forget(&self, key: ProcessKey) {
        self.others.borrow_mut().retain(|other| other.key != key);
        self.incoming.borrow_mut().forget(key);
    }

    /// Sends on what waits on ways to others, as far as they take it.
    fn look_at_outgoing(&self) {
        let mut events = self.events.borrow_mut();
        if self.outgoing.wait(&mut events, Some(Duration::ZERO)).is_err() {
            return;
        }
        for (seat, readiness) in events.iter() {
            let mut others = self.others.borrow_mut();
            let is_his = |other: &&mut Other| u64::from(other.seat) == seat && other.way.is_some();
            let Some(other) = others.iter_mut().find(is_his) else { continue };
            let is_gone = readiness.hangup() || readiness.error();
            if is_gone || self.flush(other).is_err() {
                other.lose_way();
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
        self.outgoing.modify(way, u64::from(other.seat), way.interest())
    }

    /// Sends what waits for something that nothing tells of; what is left is to be tried again
    /// after the time that it answers.
    pub(super) fn try_again(&self) -> Option<Duration> {
        let mut others = self.others.borrow_mut();
        let waits = |other: &Other| other.way.as_ref().is_some_and(Way::waits_untold);
        for other in others.iter_mut().filter(|other| waits(other)) {
            if self.flush(other).is_err() {
                other.lose_way();
            }
        }
        others.iter().any(waits).then_some(RETRY)
    }

    /// Whether nothing waits on a way any more.
    pub(super) fn are_flushed(&self) -> bool {
        let waits = |other: &Other| other.way.as_ref().is_some_and(Way::has_waiting);
        !self.others.borrow().iter().any(waits)
    }

    /// Does what others want of sessions here; true: something. What is left rings again.
    pub(super) fn serve(&self, context: &WorkerContext) -> bool {
        self.look_at_outgoing();
        self.incoming.borrow_mut().look();
        for done in 0..RELAYS_MAX {
            let taken = self.incoming.borrow_mut().take();
            match taken {
                None => return done > 0,
                Some(Taken::Part) => {}
                Some(Taken::Output(relayed)) => self.deliver(context, &relayed),
            }
        }
        true
    }

    /// Does what another process wants of a session here.
    fn deliver(&self, context: &WorkerContext, relayed: &Relayed) {
        self.seat.note_relay(Relay::Taken);
        if context.append_relayed(relayed).is_err() {
            self.seat.note_relay(Relay::Refused);
        }
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
    ///
    /// A process may close a way and live on: one that had no descriptor for it, for example. So
    /// the output goes on a new one, once.
    fn send<'a, M>(&self, other: &mut Other, messages: impl Fn() -> Option<M>) -> Result<(), Gone>
    where
        M: Iterator<Item = ([u8; wire::HEAD_LEN], &'a [u8])>,
    {
        // Before it is sent: whoever dies in between has lost it for the books.
        self.seat.note_relay(Relay::Sent);
        if self.send_once(other, messages().ok_or(Gone)?).is_ok() {
            return Ok(());
        }
        other.lose_way();
        self.open_way(other).map_err(|_| Gone)?;
        self.send_once(other, messages().ok_or(Gone)?).map_err(|_| Gone)
    }

    fn send_once<'a>(
        &self,
        other: &mut Other,
        messages: impl Iterator<Item = ([u8; wire::HEAD_LEN], &'a [u8])>,
    ) -> io::Result<()> {
        let Some(way) = &mut other.way else { return Err(io::ErrorKind::NotConnected.into()) };
        let had_waiting = way.has_waiting();
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
        let at = self.find_whose_way_is_not_lost(session).ok_or(gone)?;
        let mut others = self.others.borrow_mut();
        let other = others.get_mut(at).ok_or(gone)?;
        // Nothing is counted of what cannot be relayed.
        if wire::messages(session, output).is_none() {
            return Err(gone);
        }
        self.has_way(other, most)?;
        self.send(other, || wire::messages(session, output)).map_err(|Gone| gone)
    }

    /// The process of a session. Of one that has closed its way the master knows whether it lives.
    fn find_whose_way_is_not_lost(&self, session: u64) -> Option<usize> {
        let at = self.find(session)?;
        if !self.others.borrow().get(at)?.has_lost_way {
            return Some(at);
        }
        self.link.read();
        self.meet();
        self.find(session)
    }

    fn open_way(&self, other: &mut Other) -> io::Result<()> {
        let (near, far) = control_socket::pair()?;
        self.outgoing.add(&near, u64::from(other.seat), Interest::NONE)?;
        let message = FromProcess::Way { seat: other.seat, worker: other.key };
        self.link.send(message, vec![far]);
        other.has_lost_way = false;
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

    fn flush(&self) -> Option<Duration> {
        self.look_at_outgoing();
        [self.link.try_again(), self.try_again()].into_iter().flatten().min()
    }

    fn ways(&self) -> BorrowedFd<'_> {
        self.outgoing.as_fd()
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
        for other in self.others.borrow_mut().iter_mut() {
            let has_room = self.has_way(other, WAITING_MAX_BYTES).is_ok();
            if !has_room && !other.has_sessions() {
                continue; // nor a member
            }
            // One that came after the look, and to which no way can be made.
            if self.has_way(other, usize::MAX).is_err() {
                continue;
            }
            // Who is gone has no members any more.
            let name_len = message.name.len();
            let messages = || wire::group_messages(message.except, name_len, &body);
            let _: Result<(), Gone> = self.send(other, messages);
        }
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
    ///
    /// Whoever speaks for a port here keeps to its limits, or is condemned by the reactor, whoever
    /// has said it before: so nothing is passed on that user code here could not say.
    fn append_relayed(&self, relayed: &Relayed) -> Result<(), SendError> {
        let (session, output) = (relayed.session, relayed.output());
        self.check_relayed(session, output)?;
        let done = self.append_here(session, output, None);
        if done.is_err() && matches!(output, Output::State(_)) {
            // Its setter was told that it is set: the next handler must not see the one before.
            tracing::warn!(session, "its state was accepted and finds no room, the session ends");
            self.append_close(session, true, None);
        }
        self.sender.publish();
        done
    }

    fn check_relayed(&self, session: u64, output: Output<'_>) -> Result<(), SendError> {
        match output {
            Output::ToGroup(message) => self.check_group_message(message.bytes),
            // Whether there is room is not asked here: the reactor ends a session that has none.
            Output::State(state) => self.check_state_len(state.len()),
            _ => self.check_size(session, output),
        }
    }
}

#[cfg(test)]
mod tests;
