//! The connections of operators.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use ostler_core::Millis;
use ostler_core::ids::ProcessKind;

use super::OperatorToken;
use super::answers;
use super::conversation::{Conversation, Next};
use crate::sys::epoll::{Epoll, Interest, Readiness};
use crate::sys::socket::{self, is_passing};
use crate::sys::unix_socket;

/// Operators that are connected at once. Who comes then takes the place of who has been silent for
/// longest.
pub(super) const PEERS_MAX: usize = 16;
/// How long one may leave an answer unread.
const STALL_MS: Millis = 10_000;
/// How long a command that an operator calls may take.
const CALL_TIMEOUT_MS: Millis = 30_000;
/// Bytes that are read at once.
const READ_BYTES: usize = 4_096;

/// Who is at the other end, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) pid: u32,
    pub(super) uid: u32,
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Reload(u32),
    Renewal(ProcessKind, u32),
    Succession,
    Call { number: u64, until: Millis },
}

#[derive(Debug)]
struct Peer {
    socket: OwnedFd,
    who: Who,
    conversation: Conversation,
    waits: Option<Waits>,
    heard_at: Millis,
    /// It has not read its answer since then.
    stalled_at: Option<Millis>,
}

/// They, by their numbers, which are never used again.
#[derive(Debug, Default)]
pub(super) struct Peers {
    all: BTreeMap<u64, Peer>,
    last: u64,
    last_call: u64,
    /// Calls for whose answers nobody waits any more.
    forgotten: Vec<u64>,
}

/// What there is to be done for one.
#[derive(Debug)]
pub(super) enum Served {
    Request(Vec<u8>, Who),
    TooLong,
    Nothing,
}

impl Peers {
    /// Takes those who have connected.
    ///
    /// # Errors
    /// Why one could not be taken; the others wait.
    pub(super) fn accept(
        &mut self,
        listener: impl AsFd,
        epoll: &Epoll,
        now: Millis,
    ) -> io::Result<()> {
        for _ in 0..PEERS_MAX {
            let (socket, [pid, uid, _]) = match unix_socket::accept(listener.as_fd()) {
                Ok(accepted) => accepted,
                Err(error) if is_passing(&error) => return Ok(()),
                Err(error) => return Err(error),
            };
            if self.all.len() >= PEERS_MAX && !self.make_room(epoll) {
                // It has not read anything yet, so that there is room for the line.
                let _ = socket::send(&socket, answers::too_many().as_bytes());
                continue;
            }
            self.add(socket, Who { pid, uid }, epoll, now)?;
        }
        Ok(())
    }

    fn add(&mut self, socket: OwnedFd, who: Who, epoll: &Epoll, now: Millis) -> io::Result<()> {
        let Some(conversation) = Conversation::new() else { return Ok(()) };
        self.last += 1;
        epoll.add(&socket, OperatorToken::Peer(self.last).pack(), Interest::READ)?;
        let peer = Peer { socket, who, conversation, waits: None, heard_at: now, stalled_at: None };
        self.all.insert(self.last, peer);
        Ok(())
    }

    /// Who has been silent for longest, and waits for nothing, makes room.
    fn make_room(&mut self, epoll: &Epoll) -> bool {
        let silent = self.all.iter().filter(|(_, peer)| peer.waits.is_none());
        let number = silent.min_by_key(|(_, peer)| peer.heard_at).map(|(number, _)| *number);
        number.inspect(|number| self.drop_one(*number, epoll)).is_some()
    }

    fn drop_one(&mut self, number: u64, epoll: &Epoll) {
        let Some(peer) = self.all.remove(&number) else { return };
        // It is watched; a descriptor that is closed is not.
        let _ = epoll.remove(&peer.socket);
        if let Some(Waits::Call { number, .. }) = peer.waits {
            self.forgotten.push(number);
        }
    }

    /// Something happened at one; whether it may have asked something, or have read.
    pub(super) fn happened(&mut self, number: u64, readiness: Readiness, epoll: &Epoll) -> bool {
        let Some(peer) = self.all.get_mut(&number) else { return false };
        if readiness.readable() && peer.conversation.wants_input() {
            let mut buffer = [0; READ_BYTES];
            match socket::recv(&peer.socket, &mut buffer) {
                Ok(0) => peer.conversation.ended(),
                Ok(len) => peer.conversation.received(buffer.get(..len).unwrap_or_default()),
                Err(error) if is_passing(&error) => {}
                Err(_) => {
                    self.drop_one(number, epoll);
                    return false;
                }
            }
            return true;
        }
        if readiness.hangup() || readiness.error() {
            self.drop_one(number, epoll);
            return false;
        }
        readiness.writable()
    }

    /// The next request of one, when it has read the answer to the last.
    pub(super) fn next_request(&mut self, number: u64, epoll: &Epoll, now: Millis) -> Served {
        if !self.write(number, epoll, now) {
            return Served::Nothing;
        }
        let Some(peer) = self.all.get_mut(&number) else { return Served::Nothing };
        match peer.conversation.next_step() {
            Next::Request(line) => {
                peer.heard_at = now;
                return Served::Request(line, peer.who);
            }
            Next::TooLong => return Served::TooLong,
            Next::Nothing => {}
        }
        if peer.conversation.is_over() {
            self.drop_one(number, epoll);
        } else {
            self.watch(number, false, epoll);
        }
        Served::Nothing
    }

    /// Its turn is over, though it may have asked for more.
    pub(super) fn flush(&mut self, number: u64, epoll: &Epoll, now: Millis) {
        if self.write(number, epoll, now) {
            self.watch(number, true, epoll);
        }
    }

    /// Writes what one is answered; false: it is gone.
    fn write(&mut self, number: u64, epoll: &Epoll, now: Millis) -> bool {
        let Some(peer) = self.all.get_mut(&number) else { return false };
        while !peer.conversation.unsent().is_empty() {
            match socket::send(&peer.socket, peer.conversation.unsent()) {
                Ok(len) => {
                    peer.conversation.wrote(len);
                    peer.stalled_at = None;
                }
                Err(error) if is_passing(&error) => {
                    peer.stalled_at.get_or_insert(now);
                    return true;
                }
                Err(_) => {
                    self.drop_one(number, epoll);
                    return false;
                }
            }
        }
        true
    }

    fn watch(&mut self, number: u64, has_more: bool, epoll: &Epoll) {
        let Some(peer) = self.all.get(&number) else { return };
        let conversation = &peer.conversation;
        let interest = if !conversation.unsent().is_empty() || has_more {
            Interest::WRITE
        } else if conversation.wants_input() {
            Interest::READ
        } else {
            Interest::NONE
        };
        let token = OperatorToken::Peer(number).pack();
        if epoll.modify(&peer.socket, token, interest).is_err() {
            self.drop_one(number, epoll);
        }
    }

    /// One is answered. [`Peers::next_request`] writes it.
    pub(super) fn answer(&mut self, number: u64, text: String) {
        if let Some(peer) = self.all.get_mut(&number) {
            peer.waits = None;
            peer.conversation.answer(text);
        }
    }

    /// What one has asked for is answered by a reload.
    pub(super) fn wait_for_reload(&mut self, number: u64, ticket: u32, epoll: &Epoll) {
        self.wait(number, Waits::Reload(ticket), epoll);
    }

    /// What one has asked for is answered when the processes of a kind are new.
    pub(super) fn wait_for_renewal(
        &mut self,
        number: u64,
        (kind, ticket): (ProcessKind, u32),
        epoll: &Epoll,
    ) {
        self.wait(number, Waits::Renewal(kind, ticket), epoll);
    }

    /// What one has asked for is answered when a new master has taken over, or has failed to.
    pub(super) fn wait_for_succession(&mut self, number: u64, epoll: &Epoll) {
        self.wait(number, Waits::Succession, epoll);
    }

    /// What one has asked for is answered by a process; the number of its call.
    pub(super) fn wait_for_call(&mut self, number: u64, epoll: &Epoll, now: Millis) -> u64 {
        self.last_call += 1;
        let until = now + CALL_TIMEOUT_MS;
        self.wait(number, Waits::Call { number: self.last_call, until }, epoll);
        self.last_call
    }

    fn wait(&mut self, number: u64, waits: Waits, epoll: &Epoll) {
        if let Some(peer) = self.all.get_mut(&number) {
            peer.waits = Some(waits);
        }
        self.watch(number, false, epoll);
    }

    fn who_waits(&self, is_it: impl Fn(&Waits) -> bool) -> Option<u64> {
        let mut all = self.all.iter();
        all.find(|(_, peer)| peer.waits.as_ref().is_some_and(&is_it)).map(|(number, _)| *number)
    }

    /// Who waits for the answer to this call.
    pub(super) fn who_calls(&self, call: u64) -> Option<u64> {
        self.who_waits(|waits| matches!(waits, Waits::Call { number, .. } if *number == call))
    }

    /// Who waits for this reload, of whatever kind.
    pub(super) fn who_reloads(&self, ticket: u32) -> Option<u64> {
        self.who_waits(
            |waits| matches!(waits, Waits::Reload(it) | Waits::Renewal(_, it) if *it == ticket),
        )
    }

    /// The renewals that are waited for.
    pub(super) fn renewals(&self) -> Vec<(ProcessKind, u32)> {
        let waits = self.all.values().filter_map(|peer| match peer.waits {
            Some(Waits::Renewal(kind, ticket)) => Some((kind, ticket)),
            _ => None,
        });
        waits.collect()
    }

    /// Who waits for a new master.
    pub(super) fn who_succeeds(&self) -> Option<u64> {
        self.who_waits(|waits| *waits == Waits::Succession)
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Millis> {
        self.all.values().filter_map(Peer::due).min()
    }

    /// Gives up those who do not read.
    pub(super) fn drop_stalled(&mut self, now: Millis, epoll: &Epoll) {
        let is_due = |peer: &Peer| peer.stall_ends().is_some_and(|until| until <= now);
        let stalled = self.all.iter().filter(|(_, peer)| is_due(peer)).map(|(number, _)| *number);
        for number in stalled.collect::<Vec<_>>() {
            self.drop_one(number, epoll);
        }
    }

    /// Whose calls have taken too long: they are not waited for any more.
    pub(super) fn late_callers(&mut self, now: Millis) -> Vec<u64> {
        let mut late = Vec::new();
        for (number, peer) in &mut self.all {
            if let Some(Waits::Call { number: call, until }) = peer.waits
                && until <= now
            {
                peer.waits = None;
                self.forgotten.push(call);
                late.push(*number);
            }
        }
        late
    }

    /// Calls that nobody waits for any more.
    pub(super) fn take_forgotten(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.forgotten)
    }
}

impl Peer {
    fn stall_ends(&self) -> Option<Millis> {
        self.stalled_at.map(|since| since + STALL_MS)
    }

    fn due(&self) -> Option<Millis> {
        match self.waits {
            Some(Waits::Call { until, .. }) => Some(until),
            Some(Waits::Reload(_) | Waits::Renewal(..) | Waits::Succession) | None => {
                self.stall_ends()
            }
        }
    }
}
