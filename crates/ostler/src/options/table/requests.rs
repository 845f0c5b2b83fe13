//! Request deadlines: how long a handler may take, and what follows when it takes longer.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::port_field;

const DAY: u64 = 86_400_000;

const TOPIC: &str = "Request deadlines";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "request_soft_deadline_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: only a handler that looks at it, or an interpreter that is told, has a \
              use for it.",
        effect: "A callback about a session of the port that runs for so long is late: \
                 Session::is_late answers so, and the hook of an interpreter is called in the \
                 worker. Nothing else follows (P20).",
        access: port_field!(request_soft_deadline_ms),
    },
    OptionInfo {
        name: "request_deadline_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = never: how long a request may take depends on what its handler does.",
        effect: "The worker that runs a callback about a session of the port for so long is killed \
                 and replaced, also one that is stopped or blocks its signals; its stack is in the \
                 record of its death. The request is settled by crash_policy; a session that it \
                 closes (closed_request_deadline) ends with request_deadline_answer. Given again, \
                 the request has its time anew. A worker that is stopped (SIGSTOP) while it runs \
                 no request is replaced after the shortest of these times (P6).",
        access: port_field!(request_deadline_ms),
    },
    OptionInfo {
        name: "request_deadline_max_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: DAY },
        default: "0",
        unit: "milliseconds",
        why: "0 = request_deadline_ms: a handler may shorten its time, and lengthen it only where \
              the operator says how far.",
        effect: "The longest time that Session::set_time_left can give a request, from its \
                 beginning.",
        access: port_field!(request_deadline_max_ms),
    },
    OptionInfo {
        name: "request_deadline_answer",
        topic: TOPIC,
        kind: Kind::Refusal { bytes_max: 4_096 },
        default: "close",
        unit: "",
        why: "Every protocol knows the end of a connection; a protocol's own words for *it took \
              too long* tell a client more.",
        effect: "What a client sees whose session is closed because of request_deadline_ms, \
                 behind what was sent before: the orderly end, a reset, or these bytes and then \
                 the end. In BASE mode its connection ends with its worker, without an answer.",
        access: port_field!(request_deadline_answer),
    },
];
