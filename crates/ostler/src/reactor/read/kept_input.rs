//! Input of sessions whose client is gone: received to the end, given from memory.
//!
//! A connection that failed gives its descriptor and its place back at once. What the kernel had
//! received of it before is read to the end first, for workers have not seen it yet, and after the
//! descriptor is closed nobody could read it.

use std::collections::HashMap;
use std::io::ErrorKind;

use ostler_core::brain::{CloseReason, ConnectionSlot, Phase};

use super::intake::Intake;
use crate::reactor::ClientSide;

/// All of it in one reactor.
#[derive(Debug)]
pub(in crate::reactor) struct KeptInput {
    of: HashMap<ConnectionSlot, Box<Intake>>,
    /// Bytes of memory held.
    bytes: usize,
    /// The most of them: clients that are gone must not take the budget of those that are there.
    max: usize,
}

impl KeptInput {
    pub(in crate::reactor) fn new(max: usize) -> Self {
        Self { of: HashMap::new(), bytes: 0, max }
    }

    fn has_room(&self, more: usize) -> bool {
        self.bytes + more <= self.max
    }

    /// What is held of each session, bytes of memory.
    pub(in crate::reactor) fn held(&self) -> impl Iterator<Item = (ConnectionSlot, u64)> {
        self.of.iter().map(|(slot, intake)| (*slot, intake.charged() as u64))
    }

    fn insert(&mut self, slot: ConnectionSlot, intake: Box<Intake>) {
        self.bytes += intake.charged();
        self.of.insert(slot, intake);
    }

    fn remove(&mut self, slot: ConnectionSlot) -> Option<Box<Intake>> {
        let intake = self.of.remove(&slot)?;
        self.bytes -= intake.charged();
        Some(intake)
    }
}

impl ClientSide {
    /// The connection failed: writing or reading it answers an error, or the kernel tells a hang-up
    /// of both sides. What the kernel still has of it is received, then its descriptor is closed.
    pub(in crate::reactor) fn peer_lost(&mut self, slot: ConnectionSlot) {
        if self.brain.phase(slot) == Some(Phase::Open) {
            self.receive_rest(slot);
        }
        // Its client was lost before, and all that was kept of its input is given.
        let Some(connection) = self.connections.get_mut(slot) else { return };
        let has_input = connection.intake.as_ref().is_some_and(|intake| intake.len() > 0);
        self.publish_input(slot);
        self.brain.peer_lost(slot, has_input);
        self.carry_out();
    }

    /// Receives what the kernel has of a connection that failed, at most its receive buffer. Beyond
    /// what may be kept it is thrown away and counted.
    fn receive_rest(&mut self, slot: ConnectionSlot) {
        let mut dropped = 0;
        while let Some(connection) = self.connections.get_mut(slot) {
            let len = match connection.transport.recv(&mut self.scratch) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            if let Some(entry) = self.board.entry(connection.session) {
                entry.note_received(self.now, len as u64);
            }
            self.traffic.received_bytes += len as u64;
            let framer = self.settings.ports.get(connection.port).rest_framer;
            let intake = connection.intake.get_or_insert_with(|| Box::new(Intake::new(framer)));
            let (growth, held) = (intake.growth(len), intake.charged());
            // Nothing may be left out in the middle.
            let fits = dropped == 0 && self.kept_input.has_room(held + growth);
            if fits && self.memory.charge(growth as u64) {
                intake.push(self.scratch.get(..len).unwrap_or(&[]), growth);
            } else {
                dropped += len;
            }
        }
        if dropped > 0 {
            if self.complaints.input_dropped.admits() {
                let text = "input of a client that is gone is more than may be kept, dropped";
                tracing::info!(bytes = dropped, "{text}");
            }
            self.brain.count_input_dropped(CloseReason::MemoryBudget, dropped as u64);
        }
    }

    /// The socket of a session is closed: its input is kept while it is still served.
    pub(in crate::reactor) fn keep_or_drop_input(
        &mut self,
        slot: ConnectionSlot,
        intake: Box<Intake>,
        reason: CloseReason,
    ) {
        let is_served = self.brain.phase(slot) == Some(Phase::PeerGone);
        if is_served && intake.len() > 0 {
            return self.kept_input.insert(slot, intake);
        }
        self.memory.release(intake.charged() as u64);
        self.count_input_dropped(reason, intake.len());
    }

    /// What is kept of a session will not be served.
    pub(in crate::reactor) fn drop_kept_input(
        &mut self,
        slot: ConnectionSlot,
        reason: CloseReason,
    ) {
        if let Some(intake) = self.kept_input.remove(slot) {
            self.memory.release(intake.charged() as u64);
            self.count_input_dropped(reason, intake.len());
        }
    }

    pub(in crate::reactor) fn count_input_dropped(&mut self, reason: CloseReason, bytes: usize) {
        if bytes > 0 {
            tracing::debug!(bytes, reason = reason.name(), "input dropped");
            self.brain.count_input_dropped(reason, bytes as u64);
        }
    }

    /// What was received of a session and not given yet.
    pub(in crate::reactor) fn intake_mut(&mut self, slot: ConnectionSlot) -> Option<&mut Intake> {
        match self.connections.get_mut(slot) {
            Some(connection) => connection.intake.as_deref_mut(),
            None => self.kept_input.of.get_mut(&slot).map(Box::as_mut),
        }
    }

    /// An intake holds so much more memory, for bytes that a worker has left. Somebody may have to
    /// pay for it.
    pub(in crate::reactor) fn intake_grew(&mut self, slot: ConnectionSlot, growth: usize) {
        if self.kept_input.of.contains_key(&slot) {
            self.kept_input.bytes += growth;
        }
        self.charge_put_back(growth);
    }

    /// An intake holds so much less memory.
    pub(in crate::reactor) fn intake_shrank(&mut self, slot: ConnectionSlot, freed: usize) {
        self.memory.release(freed as u64);
        if self.kept_input.of.contains_key(&slot) {
            self.kept_input.bytes -= freed;
        }
    }
}
