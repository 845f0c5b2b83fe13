//! Deadlines: what a client has to do in time. All are off by default; the time of a client counts
//! only while the server is ready to take what it sends.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::port_field;
use crate::options::size;

const GIB: u64 = size::GIB as u64;
const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

const TOPIC: &str = "Deadlines";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "idle_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 30 * DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: an idle connection costs little, and a client that is gone is noticed by \
              the keep-alive of TCP.",
        effect: "A session is closed (idle) when for so long nothing was received from its client \
                 and nothing written to it. Not while a worker has a package of it or one waits: \
                 then the time begins when the last of them is finished (P52).",
        access: port_field!(idle_timeout_ms),
    },
    OptionInfo {
        name: "silence_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 30 * DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: only protocols whose clients send a sign of life have a use for it.",
        effect: "A session is closed (silent) when for so long nothing was received from its \
                 client, whatever is written to it; the heartbeat of a protocol. Not while a \
                 worker has a package of it, one waits, or its client takes output that waited \
                 (P52).",
        access: port_field!(silence_timeout_ms),
    },
    OptionInfo {
        name: "first_package_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: in some protocols the server speaks first and the client takes its time.",
        effect: "A session is closed (first_package_timeout) unless its first package is complete \
                 so long after it was accepted (P65).",
        access: port_field!(first_package_timeout_ms),
    },
    OptionInfo {
        name: "package_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: how long a package may take depends on how long it may be.",
        effect: "A session is closed (package_timeout) when a package is not complete so long \
                 after its first byte, however steadily bytes of it come. With framing = stream a \
                 rest that a worker has left counts as a part of one, from when it was left; the \
                 time in which a worker looks at it does not count. Nothing with framing = raw \
                 (P65).",
        access: port_field!(package_timeout_ms),
    },
    OptionInfo {
        name: "receive_rate_min",
        topic: TOPIC,
        kind: Kind::Bytes { min: 0, max: GIB },
        default: "0",
        unit: "bytes per second",
        why: "0 = any rate: the slowest honest client is known to the operator only.",
        effect: "A session is closed (receive_too_slow) when, while a package of it is not \
                 complete, it falls so far behind so many bytes per second that it has lost \
                 receive_rate_grace_ms; what it sends faster is not saved up (P65).",
        access: port_field!(receive_rate_min),
    },
    OptionInfo {
        name: "receive_rate_grace_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 1, max: HOUR },
        default: "5000",
        unit: "milliseconds",
        why: "Longer than a lost segment takes to be sent again, several times.",
        effect: "How long a client may pause within a package with receive_rate_min.",
        access: port_field!(receive_rate_grace_ms),
    },
    OptionInfo {
        name: "send_stall_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: send_queue_max and memory_budget bound what a client that does not read \
              can cost.",
        effect: "A session is closed (send_stalled) when output waits for it and its client has \
                 taken nothing of it for so long; also one that only waits for its output to be \
                 written in order to end.",
        access: port_field!(send_stall_timeout_ms),
    },
];
