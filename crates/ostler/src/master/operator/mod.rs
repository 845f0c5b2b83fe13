//! The operator's socket: where people and programs outside ask the server about itself, and tell
//! it what to do, while it runs (decision 90).
//!
//! Responsible for: the connections of operators, one request after another on each, an answer to
//! every one. Must never: wait for an operator, keep more of one than a line and an answer, let
//! operators hold the main thread, or tell anything to whom the file's mode keeps out.
//!
//! `request` (what is asked), `conversation` (one connection), `peers` (all of them), `answers`
//! (what is told), `act` (what is done).

mod act;
mod answers;
mod conversation;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic)] // that is what it is for
pub mod fuzz;
mod peers;
mod request;

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use ostler_core::Millis;
use ostler_core::ids::ProcessKind;
use ostler_core::messages::MessageEnd;

use super::event_loop::Master;
use super::ports::{self, HiddenListener, OwnPath};
use super::reload::OPERATORS_WAITING_MAX;
use crate::error::Result;
use crate::sys::epoll::{Epoll, Interest, Readiness};
use peers::{PEERS_MAX, Peers, Served};

/// The listener; its peers have the numbers behind it. Above everything else that the master
/// watches.
const TOKENS: u64 = 1 << 48;
/// Descriptors that operators take at most: their listener, their connections, and one on its way.
pub(super) const OPERATOR_DESCRIPTORS: u64 = PEERS_MAX as u64 + 2;
/// Requests of one operator that are answered before others have their turn.
const REQUESTS_PER_TURN: usize = 16;
/// How long accepting rests after it failed, for example for want of a descriptor.
const REST_MS: Millis = 1_000;

/// What the master watches of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OperatorToken {
    Listener,
    Peer(u64),
}

impl OperatorToken {
    const fn pack(self) -> u64 {
        match self {
            Self::Listener => TOKENS,
            Self::Peer(number) => TOKENS + number,
        }
    }

    pub(super) const fn unpack(token: u64) -> Option<Self> {
        match token.checked_sub(TOKENS) {
            None => None,
            Some(0) => Some(Self::Listener),
            Some(number) => Some(Self::Peer(number)),
        }
    }
}

/// Where operators connect.
#[derive(Debug)]
enum Door {
    /// They can.
    Open { listener: OwnedFd, path: OwnPath },
    /// They come to the master whose place this one is about to take.
    Hidden(HiddenListener),
    /// They go to another master, or nowhere.
    Closed,
}

/// The operators of a server.
#[derive(Debug)]
pub(super) struct Operators {
    path: PathBuf,
    door: Door,
    /// Nobody is accepted until then.
    rests_until: Option<Millis>,
    last_ticket: u32,
    /// Renewals that the manager was asked for and has not answered. Who has asked may have gone.
    renewals: BTreeSet<(ProcessKind, u32)>,
    peers: Peers,
}

impl Operators {
    /// Opens the socket; `takes_over`: it appears when this master takes the place of another one.
    pub(super) fn open(path: &str, takes_over: bool) -> Result<Option<Self>> {
        if path.is_empty() {
            return Ok(None);
        }
        // Absolute, because user code may change the working directory.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let door = match takes_over {
            true => Door::Hidden(ports::listen_hidden_for_operators(&path)?),
            false => Self::open_door(&path)?,
        };
        Ok(Some(Self {
            path,
            door,
            rests_until: None,
            last_ticket: 0,
            renewals: BTreeSet::new(),
            peers: Peers::default(),
        }))
    }

    /// Whether the socket could be opened. That another server has it is no fault: it may be the
    /// one whose options are looked at.
    pub(super) fn check(path: &str) -> Result<()> {
        if path.is_empty() { Ok(()) } else { ports::check_for_operators(Path::new(path)) }
    }

    fn open_door(path: &Path) -> Result<Door> {
        let (listener, path) = ports::listen_for_operators(path)?;
        Ok(Door::Open { listener, path })
    }

    fn watch(&self, epoll: &Epoll) -> std::io::Result<()> {
        match &self.door {
            Door::Open { listener, .. } => {
                epoll.add(listener, OperatorToken::Listener.pack(), Interest::READ)
            }
            Door::Hidden(_) | Door::Closed => Ok(()),
        }
    }

    /// Whether nobody is accepted for a while.
    fn rest(&mut self, until: Option<Millis>, epoll: &Epoll) {
        self.rests_until = until;
        let interest = if until.is_some() { Interest::NONE } else { Interest::READ };
        if let Door::Open { listener, .. } = &self.door {
            // It is watched; the worst is a turn more.
            let _ = epoll.modify(listener, OperatorToken::Listener.pack(), interest);
        }
    }

    /// The number of the next reload that one asks for.
    const fn next_ticket(&mut self) -> u32 {
        self.last_ticket = self.last_ticket.wrapping_add(1);
        self.last_ticket
    }

    /// A renewal that one asks for, by its number; `None`: the manager is asked for as many already
    /// as may be.
    fn ask_for_renewal(&mut self, kind: ProcessKind) -> Option<u32> {
        if self.renewals.len() >= OPERATORS_WAITING_MAX {
            return None;
        }
        let ticket = self.next_ticket();
        self.renewals.insert((kind, ticket));
        Some(ticket)
    }

    /// The manager has answered one.
    pub(super) fn note_renewed(&mut self, kind: ProcessKind, ticket: u32) {
        self.renewals.remove(&(kind, ticket));
    }

    /// What a new manager, which knows of none, is to be asked for: what somebody waits for.
    fn renewals_anew(&mut self) -> Vec<(ProcessKind, u32)> {
        let waited_for = self.peers.renewals();
        self.renewals = waited_for.iter().copied().collect();
        waited_for
    }

    /// When something is due.
    pub(super) fn due(&self) -> Option<Millis> {
        [self.rests_until, self.peers.due()].into_iter().flatten().min()
    }
}

impl Master {
    pub(super) fn watch_operators(&self) -> std::io::Result<()> {
        self.operators.as_ref().map_or(Ok(()), |operators| operators.watch(&self.epoll))
    }

    /// Operators come here from now on, and no more to the master whose place this one takes.
    pub(super) fn appear_to_operators(&mut self) {
        let Some(operators) = &mut self.operators else { return };
        let Door::Hidden(hidden) = std::mem::replace(&mut operators.door, Door::Closed) else {
            return;
        };
        let appeared = hidden.appear().and_then(|(listener, path)| {
            operators.door = Door::Open { listener, path };
            operators.watch(&self.epoll)
        });
        if let Err(error) = appeared {
            let path = operators.path.display();
            tracing::error!(%error, %path, "the operator's socket cannot be taken over");
        }
    }

    /// The new master of this number, to which operators may have gone, is no more.
    pub(super) fn call_operators_back(&mut self, pid: i32) {
        let Some(operators) = &mut self.operators else { return };
        ports::remove_what_is_left_of(&operators.path, pid);
        if matches!(&operators.door, Door::Open { path, .. } if path.is_there()) {
            return;
        }
        let opened = Operators::open_door(&operators.path).map(|door| operators.door = door);
        let watched = operators.watch(&self.epoll);
        if let Err(error) = opened {
            tracing::error!(%error, "the operator's socket is lost");
        } else if let Err(error) = watched {
            tracing::error!(%error, "the operator's socket cannot be watched");
        }
    }

    /// Operators go to the new master. Who is here is still answered, also who waited to be
    /// accepted: nobody else could.
    pub(super) fn send_operators_away(&mut self, now: Millis) {
        self.accept_operators(now);
        if let Some(operators) = &mut self.operators {
            operators.door = Door::Closed;
            operators.rests_until = None;
        }
    }

    pub(super) fn on_operator(&mut self, token: OperatorToken, readiness: Readiness, now: Millis) {
        match token {
            OperatorToken::Listener => self.accept_operators(now),
            OperatorToken::Peer(number) => {
                let Some(operators) = &mut self.operators else { return };
                if operators.peers.happened(number, readiness, &self.epoll) {
                    self.serve_operator(number, now);
                }
            }
        }
    }

    fn accept_operators(&mut self, now: Millis) {
        let Some(operators) = &mut self.operators else { return };
        let Door::Open { listener, .. } = &operators.door else { return };
        let accepted = operators.peers.accept(listener, &self.epoll, now);
        if let Err(error) = accepted {
            tracing::warn!(%error, "an operator cannot be accepted");
            operators.rest(Some(now + REST_MS), &self.epoll);
        }
    }

    /// Answers what one has asked, as far as it reads the answers.
    fn serve_operator(&mut self, number: u64, now: Millis) {
        for _ in 0..REQUESTS_PER_TURN {
            let Some(operators) = &mut self.operators else { return };
            let answer = match operators.peers.next_request(number, &self.epoll, now) {
                Served::Request(line, who) => self.answer_operator(number, &line, who, now),
                Served::TooLong => Some(answers::too_long()),
                Served::Nothing => return,
            };
            let Some(operators) = &mut self.operators else { return };
            match answer {
                Some(answer) => operators.peers.answer(number, answer),
                None => return, // later
            }
        }
        // The rest in the next turn.
        if let Some(operators) = &mut self.operators {
            operators.peers.flush(number, &self.epoll, now);
        }
    }

    /// A request of this operator that took its time is answered now.
    fn answer_later(&mut self, number: u64, answer: String, now: Millis) {
        if let Some(operators) = &mut self.operators {
            operators.peers.answer(number, answer);
        }
        self.serve_operator(number, now);
    }

    /// What became of a call.
    pub(super) fn call_answered(
        &mut self,
        call: u64,
        answer: std::result::Result<Vec<u8>, MessageEnd>,
        now: Millis,
    ) {
        let Some(operators) = &mut self.operators else { return };
        let Some(number) = operators.peers.who_calls(call) else { return };
        self.answer_later(number, answers::of_call(answer), now);
    }

    /// Gives up who does not read, and calls that take too long.
    pub(super) fn run_operators(&mut self, now: Millis) {
        let Some(operators) = &mut self.operators else { return };
        if operators.rests_until.is_some_and(|until| until <= now) {
            operators.rest(None, &self.epoll);
        }
        operators.peers.drop_stalled(now, &self.epoll);
        for number in operators.peers.late_callers(now) {
            self.answer_later(number, answers::too_late(), now);
        }
        self.forget_calls();
    }
}
