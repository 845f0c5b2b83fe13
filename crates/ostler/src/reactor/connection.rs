//! What the driver keeps of a connection besides what the brain knows: its transport and its bytes.

use ostler_core::brain::{ConnectionSlot, LaneSlot, PortId};
use ostler_core::invariant;
use ostler_core::send_queue::SendQueue;

use super::deadlines::Timing;
use super::disk_wait::DiskWait;
use super::files::HeldFile;
use super::rate::Metering;
use super::read::intake::Intake;
use super::transport::Transport;

/// One open connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) transport: Transport,
    pub(super) session: u64,
    /// The port on which it came: its settings are those of the connection.
    pub(super) port: PortId,
    /// Unsent output.
    pub(super) output: SendQueue<HeldFile>,
    /// Flags as they stand in the session table.
    pub(super) flags: u64,
    /// Input of a framed session that is not delivered yet.
    pub(super) intake: Option<Box<Intake>>,
    /// For its deadlines, if its port has any.
    pub(super) timing: Option<Box<Timing>>,
    /// For the limits of what it may send, if its port has any.
    pub(super) metering: Option<Box<Metering>>,
    /// It goes on with a file in the next turn, because others are to have theirs.
    pub(super) waits_for_turn: bool,
    /// How it waits for the disk of a file.
    pub(super) disk: DiskWait,
    /// Bytes of the transport's own buffers that the budget was charged.
    pub(super) transport_charged: usize,
}

/// All connections of a reactor, by their place.
#[derive(Debug)]
pub(super) struct Connections {
    places: Vec<Option<Box<Connection>>>,
}

impl Connections {
    pub(super) const fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// A place that the brain has given out; it gives out the lowest ones first.
    pub(super) fn insert(&mut self, slot: ConnectionSlot, connection: Connection) {
        let index = slot.0 as usize;
        if self.places.len() <= index {
            self.places.resize_with(index + 1, || None);
        }
        let Some(place) = self.places.get_mut(index) else {
            return invariant!(false, "there is a place for each that the brain gives out");
        };
        invariant!(place.is_none(), "a place is free before the next session has it");
        *place = Some(Box::new(connection));
    }

    pub(super) fn get_mut(&mut self, slot: ConnectionSlot) -> Option<&mut Connection> {
        self.places.get_mut(slot.0 as usize)?.as_deref_mut()
    }

    pub(super) fn take(&mut self, slot: ConnectionSlot) -> Option<Box<Connection>> {
        self.places.get_mut(slot.0 as usize)?.take()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionSlot, &Connection)> {
        self.places.iter().enumerate().filter_map(|(index, place)| {
            place.as_deref().map(|connection| (ConnectionSlot(index as u32), connection))
        })
    }
}

impl Connection {
    pub(super) fn new(
        transport: Transport,
        session: u64,
        port: PortId,
        intake: Option<Box<Intake>>,
        timing: Option<Box<Timing>>,
    ) -> Self {
        Self {
            transport,
            session,
            port,
            output: SendQueue::default(),
            flags: 0,
            intake,
            timing,
            metering: None,
            waits_for_turn: false,
            disk: DiskWait::default(),
            transport_charged: 0,
        }
    }

    /// Bytes of memory that its queues hold, as they are charged.
    pub(super) fn charged(&self) -> usize {
        self.transport_charged
            + self.output_charged()
            + self.intake.as_ref().map_or(0, |intake| intake.charged())
    }

    /// The same, with the bytes that others keep as well and that are charged once: what it holds
    /// when it is to be found out who holds the most.
    pub(super) fn held(&self) -> usize {
        self.charged() + self.output.charged_apart()
    }

    /// The part of them that is output.
    pub(super) fn output_charged(&self) -> usize {
        self.output.charged()
    }

    /// Whether a message of this lane's worker is being written, or waits and is incomplete.
    pub(super) fn is_owned_by(&self, lane: LaneSlot) -> bool {
        self.output.is_owned_by(lane)
    }

    /// Bytes that wait to be written, where a file counts as so many as the marks know.
    pub(super) fn unsent(&self) -> usize {
        self.output.unsent() + self.transport.unsent()
    }

    /// Bytes that wait to be written, those of files too. It costs by what is queued.
    pub(super) fn left(&self) -> u64 {
        self.output.left() + self.transport.unsent() as u64
    }
}
