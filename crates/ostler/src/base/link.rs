//! The link of a process to the master: orders for the process, and introductions of other
//! processes, which are looked for also while user code runs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::control::{Channel, FromProcess, Received, ToProcess};

/// A message and its descriptors.
type Letter = (ToProcess, Vec<OwnedFd>);

/// How long what cannot be sent waits.
const RETRY: Duration = Duration::from_millis(10);

/// The link.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    channel: RefCell<Channel<FromProcess, ToProcess>>,
    orders: RefCell<VecDeque<Letter>>,
    introductions: RefCell<VecDeque<Letter>>,
    is_closed: Cell<bool>,
}

impl Link {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            socket: socket.try_clone()?,
            channel: RefCell::new(Channel::new(socket)),
            orders: RefCell::default(),
            introductions: RefCell::default(),
            is_closed: Cell::new(false),
        })
    }

    /// Sends what could not be sent at once; what is left is to be tried again after the time that
    /// it answers, because nothing tells when that is possible.
    pub(super) fn try_again(&self) -> Option<Duration> {
        let mut channel = self.channel.borrow_mut();
        if channel.has_backlog() {
            // The master that cannot be reached is gone.
            let _ = channel.flush();
        }
        channel.has_backlog().then_some(RETRY)
    }

    /// Takes everything that the master has sent.
    pub(super) fn read(&self) {
        self.try_again();
        let mut channel = self.channel.borrow_mut();
        loop {
            match channel.receive() {
                Ok(Received::Message(message, descriptors)) if message.is_introduction() => {
                    self.introductions.borrow_mut().push_back((message, descriptors));
                    let _ = channel.send(&FromProcess::Met, Vec::new());
                }
                Ok(Received::Message(message, descriptors)) => {
                    self.orders.borrow_mut().push_back((message, descriptors));
                }
                Ok(Received::Nothing) => return,
                // Whoever ends this process with the master has seen it, too.
                Ok(Received::Closed) => return self.is_closed.set(true),
                Err(error) => {
                    tracing::error!(%error, "the master's message cannot be read");
                    return;
                }
            }
        }
    }

    /// The next order that was read.
    pub(super) fn next_order(&self) -> Option<Letter> {
        self.orders.borrow_mut().pop_front()
    }

    /// Whether an order was read and not taken.
    pub(super) fn has_orders(&self) -> bool {
        !self.orders.borrow().is_empty()
    }

    /// Whether an order to leave was read and not taken, or nobody is there to give one.
    pub(super) fn is_told_to_leave(&self) -> bool {
        let leave = |(order, _): &Letter| *order == ToProcess::Leave;
        self.is_closed.get() || self.orders.borrow().iter().any(leave)
    }

    /// The next introduction that was read.
    pub(super) fn next_introduction(&self) -> Option<Letter> {
        self.introductions.borrow_mut().pop_front()
    }

    /// Whether the master is gone.
    pub(super) const fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Tells the master something.
    pub(super) fn send(&self, message: FromProcess, descriptors: Vec<OwnedFd>) {
        // The master that cannot be reached is gone.
        let _ = self.channel.borrow_mut().send(&message, descriptors);
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
