//! Messages between processes.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;
use crate::options::size;

const TOPIC: &str = "Messages";
const MIB: u64 = size::MIB as u64;

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "message_max_length",
        topic: TOPIC,
        kind: Kind::Bytes { min: 64, max: 64 * MIB },
        default: "2M",
        unit: "bytes",
        why: "As long as a package or a task may be: what came from a client can be passed on.",
        effect: "Longest message of one process of the server to another (`Worker::send_message`); \
                 a longer one is refused where it is sent.",
        access: field!(message_max_length),
    },
    OptionInfo {
        name: "message_queue_bytes",
        topic: TOPIC,
        kind: Kind::Bytes { min: 64 * 1_024, max: 1_024 * MIB },
        default: "16M",
        unit: "bytes",
        why: "Some of the longest messages, or tens of thousands of short ones: who is behind by \
              more does not catch up.",
        effect: "Most bytes of messages that a process has not begun to handle, each counted with \
                 256 more; who sends one more is told that the receiver is full. One message \
                 always has room.",
        access: field!(message_queue_bytes),
    },
];
