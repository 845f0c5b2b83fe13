//! The lanes of one reactor, and which of them serves in which worker slot.

mod lane;

pub use lane::LaneState;

pub(super) use lane::{Credit, Lane};

use slab::Slab;

use crate::Nanos;
use crate::ids::{LaneSlot, ProcessKey};

/// What is known of a worker slot, whoever lives in it.
#[derive(Clone, Copy, Debug, Default)]
struct SlotState {
    /// The lane that serves.
    serving: Option<LaneSlot>,
    /// When the slot lost its serving lane; unknown for one that never had any until
    /// [`Lanes::down_for`] looks.
    down_since: Option<Nanos>,
    /// What one delivery took the slot's last worker.
    work_ns: Option<Nanos>,
}

/// All lanes. At most one of them serves in a slot, and it is one whose state is
/// [`LaneState::Serving`].
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Slab<Lane>,
    slots: Vec<SlotState>,
}

impl Lanes {
    pub(super) fn new(workers: u16) -> Self {
        Self { lanes: Slab::new(), slots: vec![SlotState::default(); usize::from(workers)] }
    }

    /// A lane to a worker that boots.
    pub(super) fn add(&mut self, key: ProcessKey) -> LaneSlot {
        let work_ns = self.slot_of(key).and_then(|slot| slot.work_ns);
        LaneSlot(self.lanes.insert(Lane::new(key, work_ns)) as u32)
    }

    /// Forgets a lane; what its deliveries took is remembered for its successor in the slot. It
    /// serves no more ([`Lanes::stop_serving`]).
    pub(super) fn remove(&mut self, lane_slot: LaneSlot) {
        crate::invariant!(!self.is_serving(lane_slot), "a lane that is forgotten serves no more");
        let Some(lane) = self.lanes.try_remove(lane_slot.0 as usize) else {
            crate::invariant!(false, "a lane is forgotten once");
            return;
        };
        if let Some(slot) = self.slot_of(lane.key) {
            slot.work_ns = Some(lane.work_ns());
        }
    }

    /// The worker slot in which a process lives, if it is one to whom sessions are given.
    fn slot_of(&mut self, key: ProcessKey) -> Option<&mut SlotState> {
        let slots = key.kind.serves_sessions().then_some(&mut self.slots)?;
        slots.get_mut(usize::from(key.slot.0))
    }

    pub(super) fn get(&self, lane: LaneSlot) -> Option<&Lane> {
        self.lanes.get(lane.0 as usize)
    }

    pub(super) fn get_mut(&mut self, lane: LaneSlot) -> Option<&mut Lane> {
        self.lanes.get_mut(lane.0 as usize)
    }

    /// A bound on the numbers of all lanes: for those who take turns among them.
    pub(super) fn capacity(&self) -> usize {
        self.lanes.capacity()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LaneSlot, &Lane)> {
        self.lanes.iter().map(|(index, lane)| (LaneSlot(index as u32), lane))
    }

    /// A booting lane serves from now on. The answer is its worker slot, `None` when it is not
    /// booting.
    pub(super) fn begin_serving(&mut self, lane_slot: LaneSlot) -> Option<u16> {
        let lane = self.get_mut(lane_slot)?;
        crate::invariant!(
            lane.key.kind.serves_sessions(),
            "who serves nobody is not told to serve"
        );
        if lane.state() != LaneState::Booting || !lane.key.kind.serves_sessions() {
            return None;
        }
        lane.set_state(LaneState::Serving);
        let worker = lane.key.slot.0;
        if self.slots.len() <= usize::from(worker) {
            self.slots.resize(usize::from(worker) + 1, SlotState::default());
        }
        if let Some(slot) = self.slots.get_mut(usize::from(worker)) {
            slot.serving = Some(lane_slot);
            slot.down_since = None;
        }
        Some(worker)
    }

    /// A lane takes no more packages; `state` says why.
    pub(super) fn stop_serving(&mut self, lane_slot: LaneSlot, state: LaneState, now: Nanos) {
        debug_assert!(matches!(state, LaneState::Leaving | LaneState::Condemned));
        if let Some(lane) = self.get_mut(lane_slot) {
            lane.set_state(state);
        }
        for slot in &mut self.slots {
            if slot.serving == Some(lane_slot) {
                slot.serving = None;
                slot.down_since = Some(now);
            }
        }
    }

    /// How many worker slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The lane that serves in a worker slot.
    pub(super) fn serving_in(&self, worker: usize) -> Option<(LaneSlot, &Lane)> {
        let lane = self.slots.get(worker)?.serving?;
        Some((lane, self.get(lane)?))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Lane> {
        self.lanes.iter_mut().map(|(_, lane)| lane)
    }

    /// All lanes that serve, in the order of their slots.
    pub(super) fn serving(&self) -> impl Iterator<Item = (LaneSlot, &Lane)> {
        (0..self.slots.len()).filter_map(|worker| self.serving_in(worker))
    }

    /// Whether a lane serves.
    pub(super) fn is_serving(&self, lane: LaneSlot) -> bool {
        self.slots.iter().any(|slot| slot.serving == Some(lane))
    }

    /// For how long a slot has had no serving lane; `None` when it has one. The time of one that
    /// never had any begins when this is asked first.
    pub(super) fn down_for(&mut self, worker: usize, now: Nanos) -> Option<Nanos> {
        let slot = self.slots.get_mut(worker).filter(|slot| slot.serving.is_none())?;
        Some(now.saturating_sub(*slot.down_since.get_or_insert(now)))
    }

    /// Since when a slot has had no serving lane, as far as is known.
    pub(super) fn down_since(&self, worker: usize) -> Option<Nanos> {
        self.slots.get(worker)?.down_since
    }
}
