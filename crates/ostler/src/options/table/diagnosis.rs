//! Diagnosis: what is told of workers that are slow, or die.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::field;

const TOPIC: &str = "Diagnosis";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "request_slowlog_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 86_400_000 },
        default: "0",
        unit: "milliseconds",
        why: "0 = off: what is slow depends on what a handler does. It costs nothing that can be \
              measured while nothing is slow, so that it can stay switched on.",
        effect: "A callback that runs for so long is told with its session, client, port, the \
                 time that its package waited and its stack, while it goes on; again each \
                 time that this has doubled. A worker that cannot tell its stack (stopped, \
                 signals blocked) is read from outside where that is allowed. The manager \
                 looks four times in that time, at least once a second (S20, P19, P20).",
        access: field!(request_slowlog_timeout_ms),
    },
    OptionInfo {
        name: "request_slowlog_file",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "The log has a line for each; in a file of its own each frame has a line.",
        effect: "File to append the records of request_slowlog_timeout_ms to; empty = the log. It \
                 is opened for each record, by the manager: whoever rotates it has to tell nobody.",
        access: field!(request_slowlog_file),
    },
    OptionInfo {
        name: "death_log_file",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "The log has a line for a death, and one for its stack.",
        effect: "File to append a JSON object to for each worker that died: cause, callback, \
                 session, age, memory, stack, and how often the same was seen. A crash loop is one \
                 object a second, which counts the others. Opened for each record, by the manager.",
        access: field!(death_log_file),
    },
];
