//! The datagram ports of a reactor: their sockets, what is read of them and what is sent.
//!
//! A port belongs to one reactor (decision 29), so that the datagrams of a peer have one order on
//! their way to a worker, and those of one worker on their way out.

mod deaf;
mod receive;
mod send;
mod socket;

use std::hash::{BuildHasher as _, RandomState};
use std::os::fd::OwnedFd;

use ostler_core::brain::{LaneSlot, NotSent};
use ostler_core::ids::PortId;

use super::mailbox::DatagramPart;
use super::parts::Parts;
use super::{ClientSide, token};
use crate::sys::datagram::Batch;
use crate::sys::epoll::Readiness;
use socket::DatagramPort;

/// All datagram ports of a reactor.
#[derive(Default)]
pub(super) struct Datagrams {
    ports: Vec<DatagramPort>,
    /// Where datagrams are received; made with the first port.
    batch: Option<Box<Batch>>,
    /// Whose turn it is to be read first.
    turn: usize,
    /// Sessions had their turn first.
    comes_first: bool,
    /// Makes numbers of addresses that no sender can choose.
    keys: RandomState,
    /// Datagrams of workers of which some parts came.
    parts: Parts<()>,
    /// Where one that came whole is copied, before it is looked at.
    copy: Vec<u8>,
}

impl Datagrams {
    /// The number by which the brain knows a peer: made of the port and the address in a record.
    fn key(&self, port: PortId, address: &[u8]) -> u64 {
        self.keys.hash_one((port.0, address))
    }

    fn find(&mut self, port: u16) -> Option<&mut DatagramPort> {
        self.ports.iter_mut().find(|own| own.id().0 == port)
    }

    /// Whether everything that workers sent is with the kernel.
    pub(super) fn are_sent(&self) -> bool {
        self.ports.iter().all(|port| port.outgoing.is_empty())
    }
}

impl ClientSide {
    /// A datagram port is this reactor's from now on, or a part of it.
    pub(super) fn open_datagrams(&mut self, port: PortId, socket: OwnedFd, part: DatagramPart) {
        let token = token::datagrams(self.datagrams.ports.len() as u32);
        let watched = DatagramPort::new(port, socket, part).and_then(|port| {
            self.epoll.add(&port, token, port.interest())?;
            Ok(port)
        });
        match watched {
            Ok(port) => self.datagrams.ports.push(port),
            Err(error) => {
                let message = super::mailbox::FromReactor::Failed(self.index, error);
                self.reports.queue.push(message);
            }
        }
        self.datagrams.batch.get_or_insert_with(|| Box::new(Batch::new()));
    }

    #[cfg(test)]
    pub(super) const fn datagrams_open(&self) -> usize {
        self.datagrams.ports.len()
    }

    /// BASE mode: the datagram ports that are this process's to read are read from now on, or no
    /// more.
    pub(super) fn let_datagrams_be_read(&mut self, reads: bool) {
        for (number, port) in (0..).zip(&mut self.datagrams.ports) {
            let interest = port.let_read(reads);
            // It is watched, so that nothing is lacking.
            let _ = self.epoll.modify(&*port, token::datagrams(number), interest);
        }
    }

    /// A datagram port has something to read, or room to write again.
    pub(super) fn datagram_event(&mut self, number: u32, readiness: Readiness) {
        let Some(port) = self.datagrams.ports.get_mut(number as usize) else { return };
        port.note_event(readiness);
        if readiness.writable() {
            port.outgoing.unblock();
        }
    }

    /// A worker is gone: what it had begun to send will not be completed.
    pub(super) fn drop_datagram_parts(&mut self, lane: LaneSlot) {
        if self.datagrams.parts.give_up(lane) {
            self.brain.count_not_sent(NotSent::Truncated, 1);
        }
    }

    /// The end: what is not sent is counted, and what the kernel has dropped.
    pub(super) fn end_datagrams(&mut self) {
        self.flush_datagrams();
        for port in &mut self.datagrams.ports {
            let unsent = port.outgoing.clear();
            self.brain.count_not_sent(NotSent::Shutdown, unsent);
            let dropped = port.drops_at_end();
            self.brain.count_kernel_drops(dropped);
        }
    }
}
