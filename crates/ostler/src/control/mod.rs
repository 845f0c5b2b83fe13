//! The control plane: what master, manager and workers say to each other besides the lanes.
//!
//! Responsible for the messages, their bytes, and a channel that sends them with descriptors and
//! without blocking.
//!
//! Must never: trust a length, a kind or a value. Decoding is total: any bytes give a message or
//! [`Malformed`], and a message has exactly one encoding. Everything has a fixed size, so that
//! nothing is assembled from parts.

mod bequest;
mod callback;
mod channel;
mod companion;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod late;
mod manager;
mod process;
mod reload;
mod short_text;
mod slow_turn;
mod succession;
mod to_worker;
mod wire;
mod worker;

pub(crate) use bequest::{
    BEQUEST_DESCRIPTORS_FIXED, BEQUEST_PROTOCOL, BEQUEST_SIZE_BYTES, Bequest, NotUnderstood,
};
pub(crate) use callback::Callback;
pub(crate) use channel::{Channel, Received};
pub(crate) use companion::{FromCompanion, ServerEvent, ToCompanion};
pub(crate) use late::OF_TASK;
pub(crate) use manager::{
    BASE_DESCRIPTORS_FIXED, DeathNotice, DyingCallback, LANE_DESCRIPTORS_FIXED, ToManager, ToMaster,
};
pub(crate) use process::{FromProcess, ToProcess};
pub(crate) use reload::{Asker, ReloadPart, WantedReload};
pub(crate) use short_text::ShortText;
pub(crate) use slow_turn::SlowTurn;
pub(crate) use succession::{
    FILES_PROTOCOL, FromNewMaster, LISTENERS_PER_MESSAGE_MAX, SUCCESSION_PROTOCOL, ToNewMaster,
    is_known,
};
pub(crate) use to_worker::ToWorker;
pub(crate) use worker::{FromWorker, WORKER_MESSAGE_SIZE_BYTES};

#[cfg(test)]
mod tests;
