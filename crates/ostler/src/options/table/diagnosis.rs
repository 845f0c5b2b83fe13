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
        name: "reactor_slowlog_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 86_400_000 },
        default: "100",
        unit: "milliseconds",
        why: "While a reactor is in a turn it serves nobody else, and a turn takes far less than a \
              millisecond: at 100 clients notice. 0 = off.",
        effect: "A turn of a reactor's loop that takes so long is told once, while it goes on, \
                 with the stack of its thread; at most five in ten seconds, the others are \
                 counted (and all of them in the statistics). A thread of the master looks four \
                 times in that time, and not at all while no reactor has anything to do. With \
                 mode = base that is the switch; slow turns of workers are slow handlers \
                 (request_slowlog_timeout_ms).",
        access: field!(reactor_slowlog_timeout_ms),
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
    OptionInfo {
        name: "quarantine_dir",
        topic: TOPIC,
        kind: Kind::Path,
        default: "",
        unit: "",
        why: "Empty = none: packages may hold what should not lie on a disk.",
        effect: "Directory, which has to be there, in which packages are kept that killed the \
                 worker that ran them: a file with the bytes of each, and one with an object that \
                 says of whom it was, why the worker died and how often that has happened. Only \
                 the user of the server can read them. They are written beside the reactors; what \
                 cannot be written is counted and told. Not with mode = base (P17).",
        access: field!(quarantine_dir),
    },
    OptionInfo {
        name: "quarantine_files_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 10_000 },
        default: "64",
        unit: "packages",
        why: "A few are enough to find out why.",
        effect: "Most packages in quarantine_dir, those of earlier runs included; the first ones \
                 stay, and more are counted.",
        access: field!(quarantine_files_max),
    },
    OptionInfo {
        name: "quarantine_bytes_max",
        topic: TOPIC,
        kind: Kind::Bytes { min: 4 << 10, max: 16 << 30 },
        default: "16M",
        unit: "bytes",
        why: "Room for a few packages of package_max_length, and little on a disk.",
        effect: "Most bytes of packages in quarantine_dir, those of earlier runs included, and \
                 most that wait to be written there. A package that does not fit is not kept: half \
                 of one explains nothing.",
        access: field!(quarantine_bytes_max),
    },
];
