//! Ways from other processes: what comes on them, read in turn.
//!
//! The master says from whom a way is. A process has one at a time: one that comes while another
//! is there takes its place, because whoever makes it has found the first one closed. So there are
//! never more than there are processes.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use ostler_core::ids::ProcessKey;

use super::wire::{self, Assembly, MESSAGE_LEN, Relayed};
use crate::sys::control_socket;
use crate::sys::epoll::{Epoll, Events, Interest};

/// Ways that are found readable at once; the others are at the next look.
const EVENTS: usize = 64;

/// A way from another process.
struct Way {
    from: ProcessKey,
    socket: OwnedFd,
    assembly: Assembly,
}

/// What was taken from a way.
#[derive(Debug)]
pub(super) enum Taken {
    /// What another process wants.
    Output(Relayed),
    /// A part of that; others come.
    Part,
}

/// All of them.
pub(super) struct Incoming {
    epoll: Epoll,
    events: Events,
    ways: BTreeMap<u64, Way>,
    /// The number of the next one.
    next_number: u64,
    /// Those that have something, by their numbers.
    ready: VecDeque<u64>,
    /// Who has written nonsense is not listened to any more.
    silenced: Vec<ProcessKey>,
    /// What others need not exceed, bytes.
    longest: usize,
    buffer: Vec<u8>,
}

impl Incoming {
    /// None yet. `longest` is what one output may have, bytes.
    pub(super) fn new(longest: usize) -> io::Result<Self> {
        Ok(Self {
            epoll: Epoll::new()?,
            events: Events::with_capacity(EVENTS),
            ways: BTreeMap::new(),
            next_number: 0,
            ready: VecDeque::new(),
            silenced: Vec::new(),
            longest,
            buffer: vec![0; MESSAGE_LEN],
        })
    }

    /// Listens to a process.
    pub(super) fn listen_to(&mut self, from: ProcessKey, socket: OwnedFd) {
        self.ways.retain(|_, way| way.from != from);
        if self.silenced.contains(&from) {
            return;
        }
        let number = self.next_number;
        self.next_number += 1;
        match self.epoll.add(&socket, number, Interest::READ) {
            Ok(()) => {
                let assembly = Assembly::default();
                self.ways.insert(number, Way { from, socket, assembly });
            }
            Err(error) => tracing::warn!(worker = %from, %error, "its way cannot be watched"),
        }
    }

    /// A process is gone. What it has sent before is still read.
    pub(super) fn forget(&mut self, key: ProcessKey) {
        self.silenced.retain(|silenced| *silenced != key);
    }

    /// Looks where something has come.
    pub(super) fn look(&mut self) {
        if self.epoll.wait(&mut self.events, Some(Duration::ZERO)).is_err() {
            return;
        }
        for (number, _) in self.events.iter() {
            if !self.ready.contains(&number) {
                self.ready.push_back(number);
            }
        }
    }

    /// What another process wants next of a session here, or a part of that: it is the turn of the
    /// others after each, and whoever takes them counts them.
    pub(super) fn take(&mut self) -> Option<Taken> {
        while let Some(number) = self.ready.front().copied() {
            let Some(way) = self.ways.get_mut(&number) else {
                self.ready.pop_front();
                continue;
            };
            match receive(way, &mut self.buffer, self.longest) {
                Ok(whole) => {
                    // There is an order only within one way.
                    self.ready.rotate_left(1);
                    return Some(whole.map_or(Taken::Part, Taken::Output));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.ready.pop_front();
                }
                Err(error) => {
                    if error.kind() == io::ErrorKind::InvalidData {
                        let text = "another worker wrote nonsense, it is not listened to";
                        tracing::error!(worker = %way.from, "{text}");
                        self.silenced.push(way.from);
                    }
                    self.ways.remove(&number);
                    self.ready.pop_front();
                }
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.ways.len()
    }
}

impl AsFd for Incoming {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// One message of a way; an output if it is whole with it.
fn receive(way: &mut Way, buffer: &mut [u8], longest: usize) -> io::Result<Option<Relayed>> {
    let len = control_socket::receive_without_descriptors(&way.socket, buffer)?;
    if len == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let message = buffer.get(..len).ok_or(io::ErrorKind::InvalidData)?;
    let taken = way.assembly.take(message, longest);
    taken.map_err(|wire::Nonsense| io::ErrorKind::InvalidData.into())
}
