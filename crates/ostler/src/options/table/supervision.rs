//! Supervision: starting, replacing and ending workers.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;

const TOPIC: &str = "Supervision";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "drain_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 86_400_000 },
        default: "10000",
        unit: "milliseconds",
        why: "Requests are expected to end within seconds; raise it for long ones, up to a day.",
        effect: "How long a leaving worker may finish what it has in hand before it is killed \
                 (S18, P8).",
        access: field!(drain_timeout_ms),
    },
    OptionInfo {
        name: "shutdown_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 86_400_000 },
        default: "10000",
        unit: "milliseconds",
        why: "Below the 90 seconds after which systemd kills, with a margin.",
        effect: "How long a shutdown may take to finish and flush before everything ends (S18).",
        access: field!(shutdown_timeout_ms),
    },
    OptionInfo {
        name: "boot_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: 3_600_000 },
        default: "30000",
        unit: "milliseconds",
        why: "Loading a large application takes seconds; a worker that hangs at start must not \
              hang a reload.",
        effect: "How long a worker may take to become ready before it is killed (P14).",
        access: field!(boot_timeout_ms),
    },
    OptionInfo {
        name: "slot_down_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 3_600_000 },
        default: "1000",
        unit: "milliseconds",
        why: "A restart takes far less; clients should not wait for a slot that does not come \
              back. Raise it where workers need longer to boot.",
        effect: "How long a session hashed to a slot without a worker waits before it is hashed \
              over the others; without any worker, how long clients wait before those that ask for \
              something are closed (`closed_no_worker`).",
        access: field!(slot_down_ms),
    },
    OptionInfo {
        name: "back_off_min_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: 3_600_000 },
        default: "100",
        unit: "milliseconds",
        why: "Short enough that a single bad start is hardly noticed.",
        effect: "Pause after the first boot failure of a slot; it doubles with each further one \
              (P18).",
        access: field!(back_off_min_ms),
    },
    OptionInfo {
        name: "back_off_max_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: 3_600_000 },
        default: "30000",
        unit: "milliseconds",
        why: "A repaired application is serving again within half a minute.",
        effect: "Longest pause between boot attempts of a slot (P18).",
        access: field!(back_off_max_ms),
    },
    OptionInfo {
        name: "fork_interval_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 60_000 },
        default: "50",
        unit: "milliseconds",
        why: "A worker that dies with every request must not turn the machine into a fork loop.",
        effect: "Least time between two forks for one slot (P18).",
        access: field!(fork_interval_ms),
    },
    OptionInfo {
        name: "max_requests",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_000_000_000_000 },
        default: "0",
        unit: "deliveries",
        why: "0 = never: only code that leaks needs it.",
        effect: "Deliveries after which a worker asks to be replaced; above 10 the slots are \
              spread over half as many again, so that they do not leave together (S29, S44, P13, \
              P43).",
        access: field!(max_requests),
    },
    OptionInfo {
        name: "recycle_at_once",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 1_024 },
        default: "1",
        unit: "workers",
        why: "Recycling costs a boot each; one at a time keeps the CPU for requests.",
        effect: "Most workers that are recycled because of max_requests at the same time.",
        access: field!(recycle_at_once),
    },
];
