//! BASE mode in the master: it owns the listeners and hands those of a slot to each process that
//! comes to live there; it knows who accepts, and keeps the books of who is gone.
//!
//! Responsible for: a seat in the commons and a link for each process, from the time that it is
//! asked for to its death. Must never: accept, touch a client, or believe a number that a process
//! wrote.

mod introductions;
mod seats;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use ostler_core::Millis;
use ostler_core::brain::Books;
use ostler_core::ids::{ProcessKey, Slot};
use ostler_core::shutdown;
use ostler_shm::commons::{Commons, RELAYS};
use ostler_shm::layout::Sizes;

use super::books::some;
use super::event_loop::Master;
use super::lanes;
use super::ports::ListeningPorts;
use crate::control::{Channel, FromProcess, Received, ToManager, ToProcess};
use crate::encryption::Handover;
use crate::inheritance::SwitchEnds;
use crate::reactor::mailbox::Mailbox;
use crate::sys::clock;
use crate::sys::epoll::{Epoll, Interest};
use crate::sys::pidfd::PidFd;
use crate::sys::{control_socket, eventfd};
use seats::{Seat, Seats};

/// The token of the first seat's link; the pidfd of the same process has the next one, and the next
/// seat the two behind it.
const SEATS: u64 = 1 << 32;

/// Messages of one process that are taken before other events are looked at.
const MESSAGES_MAX: usize = 64;

/// What an event of a seat is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SeatToken {
    /// Its process said something.
    Link(usize),
    /// Its process has ended.
    Process(usize),
}

impl SeatToken {
    fn pack(self) -> u64 {
        match self {
            Self::Link(seat) => SEATS + 2 * seat as u64,
            Self::Process(seat) => SEATS + 2 * seat as u64 + 1,
        }
    }

    pub(super) fn unpack(token: u64) -> Option<Self> {
        let number = token.checked_sub(SEATS)?;
        let seat = usize::try_from(number / 2).ok()?;
        Some(if number % 2 == 0 { Self::Link(seat) } else { Self::Process(seat) })
    }
}

/// What the master has of BASE mode.
pub(super) struct Base {
    ports: ListeningPorts,
    seats: Seats,
    /// What processes show the clients of encrypted ports.
    certificates: Handover,
    /// For processes that have a lane to the switch.
    board_of_switch: Option<OwnedFd>,
}

impl Base {
    /// The processes write into the commons.
    pub(super) fn new(
        ports: ListeningPorts,
        commons: Arc<Commons>,
        certificates: Handover,
        board_of_switch: Option<OwnedFd>,
    ) -> Self {
        Self { ports, seats: Seats::new(commons), certificates, board_of_switch }
    }

    /// What a process says.
    fn read_link(&mut self, number: usize, epoll: &Epoll) {
        let Some(seat) = self.seats.get_mut(number) else { return };
        // What does not fit into the socket waits for the next event; and there is little.
        let _ = seat.link_mut().flush();
        // Whoever talks without end is heard again when all others were.
        for _ in 0..MESSAGES_MAX {
            let Some(seat) = self.seats.get_mut(number) else { return };
            match seat.link().receive() {
                Ok(Received::Message(message, descriptors)) => {
                    self.on_word(number, message, descriptors);
                }
                Ok(Received::Nothing) => break,
                // Its death is told by the pidfd.
                Ok(Received::Closed) => return seat.end_link(epoll),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(worker = %seat.key(), %error, "cannot be understood");
                }
                Err(error) => {
                    tracing::warn!(worker = %seat.key(), %error, "cannot be heard");
                    return seat.end_link(epoll);
                }
            }
        }
    }

    /// A process has said something.
    fn on_word(&mut self, number: usize, message: FromProcess, descriptors: Vec<OwnedFd>) {
        let Some(seat) = self.seats.get_mut(number) else { return };
        let descriptor = descriptors.into_iter().next();
        match (message, descriptor) {
            (FromProcess::Drained, _) => seat.note_drained(),
            (FromProcess::DatagramsSettled, _) => seat.note_settled(),
            (FromProcess::Met, _) => {
                seat.introductions().note_met();
                self.seats.post(number);
            }
            (FromProcess::Board, Some(board)) => self.seats.show_board(number, board),
            (FromProcess::Way { seat, worker }, Some(socket)) => {
                self.seats.open_way(number, seat, worker, socket);
            }
            (FromProcess::MissedCertificates, _) => seat.lacks_certificates(clock::monotonic_ms()),
            (FromProcess::Missed { seat, worker }, _) => {
                self.seats.show_again(number, seat, worker, clock::monotonic_ms());
            }
            (FromProcess::Board | FromProcess::Way { .. }, None) => {
                let text = "cannot reach the others, no descriptors left";
                tracing::warn!(worker = %seat.key(), "{text}");
            }
        }
    }

    /// The bell of a process, and its lane to the switch if there is one.
    fn lane_to_switch(
        &self,
        key: ProcessKey,
        sizes: Sizes,
        switch: &[Arc<Mailbox>],
    ) -> io::Result<(OwnedFd, Option<SwitchEnds>)> {
        let Some(board) = &self.board_of_switch else { return Ok((eventfd::create()?, None)) };
        let board = board.try_clone()?;
        let mut made = lanes::make(key, sizes, switch)?.into_iter();
        let mut next = || made.next().ok_or_else(|| io::Error::other("the switch has one lane"));
        let (down, up, worker_bell, bell) = (next()?, next()?, next()?, next()?);
        Ok((worker_bell, Some(SwitchEnds { down, up, board, bell, file_link: next()? })))
    }

    /// When what processes are to be told is tried again.
    pub(super) fn retry_at(&self) -> Option<Millis> {
        self.seats.retry_at()
    }

    /// Tells processes what they could not be told before, if it is time for that.
    pub(super) fn tell_again(&mut self, now: Millis) {
        self.seats.tell_again(now);
        for number in 0..self.seats.len() {
            let seat = self.seats.get_mut(number);
            if seat.is_some_and(|seat| seat.is_to_have_certificates(now)) {
                self.hand_certificates_to(number, now);
            }
        }
    }

    /// Tells a process what it shows clients of encrypted ports.
    fn hand_certificates_to(&mut self, number: usize, now: Millis) {
        let Some(seat) = self.seats.get_mut(number) else { return };
        match self.certificates.file() {
            Ok(Some(file)) => seat.tell(ToProcess::Certificates, vec![file]),
            Ok(None) => {}
            Err(error) => {
                let text = "cannot hand new certificates over, it is tried again";
                tracing::error!(worker = %seat.key(), %error, "{text}");
                seat.lacks_certificates(now);
            }
        }
    }

    /// Watches for what there is to be seen of processes after all that they were told.
    pub(super) fn watch_links(&mut self, epoll: &Epoll) {
        self.seats.watch_links(epoll);
    }

    /// The books of all processes that are gone.
    pub(super) const fn books(&self) -> &Books {
        self.seats.books()
    }

    /// They lie where every process reads them.
    pub(super) fn books_are_told(&mut self) {
        self.seats.moved();
    }
}

impl Master {
    /// A process is wanted: its seat, and what it begins with.
    pub(super) fn seat_process(&mut self, key: ProcessKey) -> io::Result<()> {
        let event_link = self.link_companion(key)?;
        let Some(base) = &mut self.base else { return Ok(()) };
        let (near, far) = control_socket::pair()?;
        // Who accepts nobody has the ports only to send datagrams from them.
        let slot = if key.kind.serves_sessions() { key.slot } else { Slot(0) };
        let listeners = base.ports.of_slot(slot)?;
        let mut link = Channel::new(near);
        // It waits there before the process is forked, which looks for it.
        if let Some(file) = base.certificates.file()? {
            link.send(&ToProcess::Certificates, vec![file])?;
            if link.has_backlog() {
                // It would look in vain.
                return Err(rustix::io::Errno::TOOMANYREFS.into());
            }
        }
        let full = || io::Error::other("every seat of BASE mode is taken by a process that ends");
        let number = base.seats.take(Seat::new(key, link)).ok_or_else(full)?;
        base.seats.show_all_boards(number);
        let seat = base.seats.get_mut(number);
        let watched = seat.map_or(Ok(()), |seat| seat.begin_to_watch(number, &self.epoll));
        // Last: the switch has its lane from then on.
        let sizes = self.options.switch_lane_sizes();
        let lane = watched.and_then(|()| base.lane_to_switch(key, sizes, &self.mailboxes));
        let (bell, lane) = lane.inspect_err(|_| drop(base.seats.free(key)))?;
        let mut descriptors = vec![bell, far];
        descriptors.extend(lane.into_iter().flat_map(SwitchEnds::into_descriptors));
        descriptors.extend(listeners);
        descriptors.extend(event_link);
        let seat = u16::try_from(number).unwrap_or(u16::MAX);
        self.managers.note_needed(key);
        self.send(&ToManager::MemoryReady { worker: key, seat }, descriptors);
        Ok(())
    }

    /// A process was forked: its death will be seen.
    pub(super) fn watch_process(&mut self, key: ProcessKey, pidfd: OwnedFd) -> io::Result<()> {
        let Some(base) = &mut self.base else { return Ok(()) };
        let Some((number, seat)) = base.seats.find(key) else { return Ok(()) };
        let pidfd = PidFd::from_descriptor(pidfd);
        self.epoll.add(&pidfd, SeatToken::Process(number).pack(), Interest::READ)?;
        seat.watch(pidfd);
        Ok(())
    }

    /// What happened to a process.
    pub(super) fn on_seat(&mut self, token: SeatToken, now: Millis) {
        let Some(base) = &mut self.base else { return };
        match token {
            SeatToken::Process(number) => {
                if let Some(key) = base.seats.get(number).map(|seat| seat.key()) {
                    self.free_seat(key);
                }
            }
            SeatToken::Link(number) => base.read_link(number, &self.epoll),
        }
        self.let_datagrams_be_read();
        self.look_for_drained(now);
    }

    /// The datagrams of a slot are read by one process at a time, so that those of a peer are
    /// handled in their order: by the next one when all that the one before has read are handled.
    fn let_datagrams_be_read(&mut self) {
        let Some(base) = &mut self.base else { return };
        for key in base.seats.take_next_readers() {
            self.tell_process(key, ToProcess::ReadDatagrams);
        }
    }

    /// A process is gone, or never came: its books are added to those of the server.
    pub(super) fn free_seat(&mut self, key: ProcessKey) {
        let Some(base) = &mut self.base else { return };
        if let Some(mut seat) = base.seats.free(key) {
            seat.end_link(&self.epoll);
            if let Some(pidfd) = seat.pidfd() {
                let _ = self.epoll.remove(pidfd);
            }
        }
    }

    /// The manager says that a process is gone, or was never forked. One whose pidfd is here is
    /// over when that says so: it may still be writing its books.
    pub(super) fn release_seat(&mut self, key: ProcessKey) {
        let Some(base) = &mut self.base else { return };
        let watched = base.seats.find(key).is_some_and(|(_, seat)| seat.pidfd().is_some());
        if !watched {
            self.free_seat(key);
            self.let_datagrams_be_read();
        }
    }

    /// A process accepts from now on, its predecessor no more. While the server ends nobody begins.
    pub(super) fn serve_and_leave(&mut self, serve: ProcessKey, leave: Option<ProcessKey>) {
        // What it has shown of itself is known to the others before it has a client.
        if let Some(base) = &mut self.base
            && let Some((number, _)) = base.seats.find(serve)
        {
            base.read_link(number, &self.epoll);
        }
        if !self.shutdown.has_begun() {
            self.tell_process(serve, ToProcess::Serve);
        }
        if let Some(leave) = leave {
            self.tell_process(leave, ToProcess::Leave);
        }
        self.let_datagrams_be_read();
    }

    /// The files of certificates are read anew. Those that are right are shown by all processes,
    /// also by those that come later.
    pub(super) fn reload_base_certificates(&mut self) {
        if self.base.as_mut().is_some_and(|base| base.certificates.reload()) {
            self.hand_certificates_over();
        }
    }

    /// The same for files that have changed.
    pub(super) fn renew_base_certificates(&mut self) {
        if self.base.as_mut().is_some_and(|base| base.certificates.renew()) {
            self.hand_certificates_over();
        }
    }

    fn hand_certificates_over(&mut self) {
        let Some(base) = &mut self.base else { return };
        let now = clock::monotonic_ms();
        (0..base.seats.len()).for_each(|number| base.hand_certificates_to(number, now));
    }

    /// Tells one process.
    pub(super) fn tell_process(&mut self, key: ProcessKey, message: ToProcess) {
        let Some(base) = &mut self.base else { return };
        if let Some((_, seat)) = base.seats.find(key) {
            seat.tell(message, Vec::new());
        }
    }

    /// Tells all of them that serve clients.
    pub(super) fn tell_processes(&mut self, message: ToProcess) {
        let Some(base) = &self.base else { return };
        let keys: Vec<_> = base.seats.keys().filter(|key| key.kind.serves_sessions()).collect();
        keys.into_iter().for_each(|key| self.tell_process(key, message));
    }

    /// Goes on with the end of the server when no process has a session any more.
    pub(super) fn look_for_drained(&mut self, now: Millis) {
        let is_drained = self.base.as_ref().is_some_and(|base| base.seats.are_drained());
        if is_drained && self.shutdown.has_begun() {
            self.on_shutdown(shutdown::Event::SessionsDrained, now);
        }
    }

    /// Connections that are open, wherever.
    pub(super) fn open_connections(&self) -> u64 {
        let here = self.reports.connections.here();
        let elsewhere = self.base.as_ref().map_or(0, |base| base.seats.open());
        here.saturating_add(elsewhere)
    }

    /// The last look at the books: of processes whose death was not seen any more, too.
    pub(super) fn close_base_books(&mut self) {
        let Some(base) = &mut self.base else { return };
        let keys: Vec<_> = base.seats.keys().collect();
        for key in keys {
            base.seats.free(key);
        }
        let all = self.reports.books.lock();
        let mut all = all.unwrap_or_else(std::sync::PoisonError::into_inner);
        all.add(base.books());
        log_relays(base.seats.relays());
        all.datagrams.kernel_dropped += base.ports.kernel_drops();
    }
}

/// What became of outputs for sessions of other workers, if there were any.
fn log_relays(relays: &[u64; RELAYS]) {
    let [sent, taken, refused] = *relays;
    if sent == 0 && taken == 0 {
        return;
    }
    // Their worker died, or did not look until the end.
    let lost = some(sent.saturating_sub(taken));
    tracing::info!(sent, taken, lost, refused = some(refused), "outputs for other workers");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::ports::PassedOn;
    use crate::options::Options;
    use crate::sys::epoll::{Events, Readiness};
    use std::time::Duration;

    /// What is seen of a seat now.
    fn seen(epoll: &Epoll) -> Vec<(u64, Readiness)> {
        let mut events = Events::with_capacity(4);
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        events.iter().collect()
    }

    /// A socket that takes something is ready all the time.
    #[test]
    fn room_in_a_link_is_watched_for_as_long_as_something_waits_for_it_and_no_longer() {
        let mut options = Options::default();
        options.set("listen", "127.0.0.1:0").unwrap();
        let ports = ListeningPorts::open(&options, PassedOn::default()).unwrap();
        let commons = Arc::new(Commons::create(1, Default::default()).unwrap().0);
        let mut base = Base::new(ports, commons, Handover::of_nothing(), None);
        let epoll = Epoll::new().unwrap();
        let (near, far) = control_socket::pair().unwrap();
        let number = base.seats.take(Seat::new(ProcessKey::event(0, 1), Channel::new(near)));
        let number = number.unwrap();
        base.seats.get_mut(number).unwrap().begin_to_watch(number, &epoll).unwrap();
        let far = Channel::<FromProcess, ToProcess>::new(far);
        while !base.seats.get(number).unwrap().link().has_backlog() {
            base.seats.get_mut(number).unwrap().tell(ToProcess::Drain, Vec::new());
        }
        base.watch_links(&epoll);
        assert!(seen(&epoll).is_empty(), "there is no room");
        while let Received::Message(..) = far.receive().unwrap() {}
        assert!(matches!(seen(&epoll)[..], [(_, ready)] if ready.writable()));
        base.read_link(number, &epoll);
        base.watch_links(&epoll);
        assert!(!base.seats.get(number).unwrap().link().has_backlog());
        assert!(seen(&epoll).is_empty(), "nobody waits for room");
        assert!(matches!(far.receive().unwrap(), Received::Message(ToProcess::Drain, _)));
        // What it has missed it is told again after a while.
        let now = clock::monotonic_ms();
        base.on_word(number, FromProcess::MissedCertificates, Vec::new());
        assert!(base.retry_at().is_some_and(|at| at > now && at <= now + 60_000));
        base.tell_again(now + 60_000);
        assert_eq!(base.retry_at(), None);
        // One that is over is not watched any more, whatever it is told.
        drop(far);
        assert_eq!(seen(&epoll).len(), 1);
        base.read_link(number, &epoll);
        base.seats.get_mut(number).unwrap().tell(ToProcess::Drain, Vec::new());
        base.watch_links(&epoll);
        assert!(seen(&epoll).is_empty());
    }
}
