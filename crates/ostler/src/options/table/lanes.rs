//! Lanes and memory: the fixed memory of lanes, and the budget of everything else.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;
use crate::options::size;

const GIB: u64 = size::GIB as u64;
const KIB: u64 = size::KIB as u64;
const MIB: u64 = size::MIB as u64;

const TOPIC: &str = "Lanes and memory";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "lane_size",
        topic: TOPIC,
        kind: Kind::PowerOfTwo { min: 64 * KIB, max: 16 * MIB },
        default: "0",
        unit: "bytes",
        why: "0 = the smaller of 512K and lane_memory / (2 * reactors * workers), rounded down to \
              a power of two; larger rings gain no speed, and below 64K a raw package no longer \
              fits well.",
        effect: "Size of the package ring and of the output ring of each lane; one record is at \
              most a quarter of it. Without task workers the lanes of BASE mode that messages take \
              have 64K.",
        access: field!(lane_size),
    },
    OptionInfo {
        name: "lane_memory",
        topic: TOPIC,
        kind: Kind::Bytes { min: 128 * KIB, max: 1_024 * GIB },
        default: "256M",
        unit: "bytes",
        why: "Every byte of a ring becomes resident sooner or later, so the sum is what has to be \
              bounded.",
        effect: "Most bytes of package and output rings over all lanes of one generation; too \
            little \
              for 64K each is an error at start.",
        access: field!(lane_memory),
    },
    OptionInfo {
        name: "memory_budget",
        topic: TOPIC,
        kind: Kind::Bytes { min: MIB, max: 1_024 * GIB },
        default: "64M",
        unit: "bytes",
        why: "Slow clients and big messages must not take the machine's memory; each reactor \
              leases 256K at a time from it.",
        effect: "Most bytes of send queues, partial packages, kept bodies and assembled messages \
              in the master; when it is used up, the session that holds the most, of whichever \
              reactor, is closed. With `mode = base` each worker has its part, and what goes \
              from one process to another has one, too.",
        access: field!(memory_budget),
    },
];
