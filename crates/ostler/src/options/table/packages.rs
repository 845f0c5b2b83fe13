//! Packages: from a client's bytes to a worker's handler.

use crate::options::choices::Words as _;
use ostler_core::framing::{LengthType, MAX_HEADER_OFFSET};

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::{field, port_field};
use crate::options::size;
use crate::options::{AnswerOrder, Dispatch, FramingKind};

const GIB: u64 = size::GIB as u64;
const MIB: u64 = size::MIB as u64;

const TOPIC: &str = "Packages";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "dispatch",
        topic: TOPIC,
        kind: Kind::Choice(<Option<Dispatch>>::WORDS),
        default: "auto",
        unit: "",
        why: "Whole messages go to an idle worker, because then a slow request delays no other \
              while a worker is free; what has no boundaries stays with one worker, where code \
              that keeps a part of a message finds it again.",
        effect: "Which worker gets the packages of a session of which none is at a worker. \
                 round_robin: the next in turn. idle_first: the one with the least to do (P5, \
                 S54). least_in_hand: the one with the fewest unfinished packages, deferred ones \
                 included. sticky: the same when the session begins, then always that slot. \
                 session_hash, address_hash: always the same slot for a session, or for a client's \
                 address. user_id: slot N % workers for a session that a worker has bound to the \
                 number N, else by its id. user_function: the same, but on_connect is finished \
                 before anything else is given, and so decides for all packages. pull: one that \
                 has nothing to do; a worker gets its next package when it has finished the one \
                 before, and packages of one session are worked on at the same time, in any order \
                 (S26). auto = session_hash for framing stream and raw, idle_first for the others.",
        access: port_field!(dispatch),
    },
    OptionInfo {
        name: "crash_policy",
        topic: TOPIC,
        kind: Kind::CrashPolicy { attempts_max: 100 },
        default: "close",
        unit: "",
        why: "No client hangs and nothing runs twice; more than 100 attempts only repeat the same \
              crash.",
        effect: "What becomes of a package whose worker died after it was started: close the \
              session, drop the package, or give it to another worker up to N times. With \
              redeliver the visible output happens exactly once, the execution may not (P2, S53).",
        access: port_field!(crash_policy),
    },
    OptionInfo {
        name: "redeliver_output_bytes",
        topic: TOPIC,
        kind: Kind::Bytes { min: 0, max: GIB },
        default: "1M",
        unit: "bytes",
        why: "Output that is held back costs worker memory; most replies are far smaller.",
        effect: "Output of one delivery held back in the worker under redeliver; more than that is \
              sent at once, and that delivery is never repeated.",
        access: field!(redeliver_output_bytes),
    },
    OptionInfo {
        name: "answer_order",
        topic: TOPIC,
        kind: Kind::Choice(AnswerOrder::WORDS),
        default: "kept",
        unit: "",
        why: "A client that sends several requests at once tells the answers apart by their order.",
        effect: "Whether the answers of a session come in the order of its packages when some of \
                 them are deferred (kept), or as they are given (free). Kept holds back what later \
                 packages cause until the earlier ones are finished: for each of them at most \
                 redeliver_output_bytes or one message, then a send answers full.",
        access: field!(answer_order),
    },
    OptionInfo {
        name: "session_window",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 1_024 },
        default: "16",
        unit: "packages",
        why: "Enough to keep a pipelining client busy, too little for one session to fill a lane.",
        effect: "Most packages of one session that are given to a worker and not finished; the \
              rest stays in the kernel. With framing = stream always one.",
        access: port_field!(session_window),
    },
    OptionInfo {
        name: "connect_events",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "true",
        unit: "",
        why: "They come in their order in every mode of dispatch; without them a short connection \
              costs a worker one callback less.",
        effect: "Whether on_connect and on_close are called (S39). dispatch = user_function and \
                 accept_confirm need them.",
        access: port_field!(connect_events),
    },
    OptionInfo {
        name: "discard_gone_packages",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "false",
        unit: "",
        why: "What a client had sent before its connection failed may be an order that counts; \
              switch it on where an answer that nobody reads is wasted work.",
        effect: "Whether packages of a client whose connection has failed are thrown away, in the \
                 master and at workers that have not begun them, and counted \
                 (dropped_session_gone, input_dropped_bytes), instead of being handled (S42). A \
                 client that only half-closes is not gone.",
        access: port_field!(discard_gone_packages),
    },
    OptionInfo {
        name: "queue_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 1_048_576 },
        default: "0",
        unit: "sessions",
        why: "0 = all that are connected: their bytes wait in the kernel and cost no memory here. \
              A limit where an early refusal is worth more than a late answer.",
        effect: "Most sessions of the port that have something for a worker and of which no \
                 worker was given anything, each reactor its share; beyond it the newest are \
                 refused (refused_queue_full, closed_overloaded) (P23). Those whose packages are \
                 kept ready at a busy worker (prefetch_packages) do not count; \
                 queue_wait_max_ms is for them, too.",
        access: port_field!(queue_max),
    },
    OptionInfo {
        name: "queue_wait_max_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 3_600_000 },
        default: "0",
        unit: "milliseconds",
        why: "0 = as long as it takes, because a server does not know how long its clients wait. \
              Who has given up should not cost a worker's time.",
        effect: "How long a session may wait for a worker to begin with what it asks; then it is \
                 refused (refused_queue_wait, closed_overloaded). What waits at a busy worker, not \
                 begun, is taken back for that (P23).",
        access: port_field!(queue_wait_max_ms),
    },
    OptionInfo {
        name: "refusal",
        topic: TOPIC,
        kind: Kind::Refusal { bytes_max: 4_096 },
        default: "close",
        unit: "",
        why: "Every protocol knows the end of a connection; a protocol's own words for *busy* tell \
              a client more.",
        effect: "What a client sees that is refused, because of queue_max, queue_wait_max_ms, or \
                 when no worker has served for slot_down_ms: the orderly end, a reset, or these \
                 bytes and then the end. With `answer:` these bytes in the place of the answer to \
                 each package that is refused, in the order of the others, and the session stays; \
                 that needs a framing with boundaries.",
        access: port_field!(refusal),
    },
    OptionInfo {
        name: "accept_confirm",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "false",
        unit: "",
        why: "Most servers want the first package at once.",
        effect: "Whether a session begins paused: nothing of it is read until a handler calls \
                 Session::confirm, for example from on_connect or when a look-up is done.",
        access: port_field!(accept_confirm),
    },
    OptionInfo {
        name: "prefetch_us",
        topic: TOPIC,
        kind: Kind::Microseconds { min: 0, max: 100_000 },
        default: "100",
        unit: "microseconds",
        why: "Longer than a wake-up takes, shorter than anyone notices; 0 gives a worker one \
              package at a time.",
        effect: "Estimated work kept ready at a busy worker; what waits there can be taken back.",
        access: field!(prefetch_us),
    },
    OptionInfo {
        name: "prefetch_packages",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 4_096 },
        default: "64",
        unit: "packages",
        why: "Bounds the damage of a wrong estimate.",
        effect: "Most packages kept ready at a worker, however short they seem.",
        access: field!(prefetch_packages),
    },
    OptionInfo {
        name: "framing",
        topic: TOPIC,
        kind: Kind::Choice(FramingKind::WORDS),
        default: "stream",
        unit: "",
        why: "It changes nothing of what the client sent, and any protocol can be parsed in a \
              worker without losing the half of a message with that worker.",
        effect: "How bytes become packages. stream: each read is one; what the handler does not \
              use of it (Package::consume) is given again with what comes next, one package of a \
              session at a time. raw: each read is one. eof: a delimiter ends one. eof_at_end: all \
              that was received is one as soon as it ends with the delimiter, so that several \
              messages may be glued together; nothing is searched. line: a line feed ends one. \
              length: a field in the header says how long one is. mqtt: control packets. resp: \
              values of the Redis protocol, also inline commands (S37). What is no package closes \
              the session (package_malformed).",
        access: port_field!(framing),
    },
    OptionInfo {
        name: "package_eof",
        topic: TOPIC,
        kind: Kind::Delimiter { bytes_max: 8 },
        default: "\\r\\n",
        unit: "",
        why: "The end of a line in most text protocols; 8 bytes are as many as Swoole takes.",
        effect: "The delimiter of framing = eof and eof_at_end; the package includes it.",
        access: port_field!(package_eof),
    },
    OptionInfo {
        name: "package_length_type",
        topic: TOPIC,
        kind: Kind::Choice(LengthType::WORDS),
        default: "N",
        unit: "",
        why: "Four bytes in network byte order are what most protocols with a length have.",
        effect: "How the length is written with framing = length, as a letter of pack(): c and C \
              have 1 byte; s, S, n, v 2; l, L, N, V 4; q, Q, J, P 8. n, N, J are in network byte \
              order, v, V, P little endian, the others as the machine has them; c, s, l, q have a \
              sign, and a length below zero closes the session.",
        access: port_field!(package_length_type),
    },
    OptionInfo {
        name: "package_length_offset",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: MAX_HEADER_OFFSET as u64 },
        default: "0",
        unit: "bytes",
        why: "Most headers begin with the length; 8152 is as far as Swoole looks.",
        effect: "Bytes of a package before its length, with framing = length.",
        access: port_field!(package_length_offset),
    },
    OptionInfo {
        name: "package_body_offset",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: MAX_HEADER_OFFSET as u64 },
        default: "4",
        unit: "bytes",
        why: "The length counts the body behind a header of four bytes; 0 when it counts \
              everything.",
        effect: "What is added to the length for that of the whole package, with framing = length.",
        access: port_field!(package_body_offset),
    },
    OptionInfo {
        name: "package_max_length",
        topic: TOPIC,
        kind: Kind::Bytes { min: 64, max: 64 * MIB },
        default: "2M",
        unit: "bytes",
        why: "A client that never sends the delimiter must not fill the memory; more than 64M \
              belongs into a file.",
        effect: "Longest package of a framing with boundaries, and the most bytes of which a \
              handler of framing = stream may use nothing; a session that exceeds it is closed.",
        access: port_field!(package_max_length),
    },
    OptionInfo {
        name: "receive_size",
        topic: TOPIC,
        kind: Kind::BytesOrAutomatic { min: 64, max: 4 * MIB },
        default: "0",
        unit: "bytes",
        why: "0 = the smaller of 64K, above which reads gain no speed, and one record of the lane \
              (a quarter of it, less the 64-byte header); 4M is that quarter of the largest lane.",
        effect: "Most bytes of one raw package, or of one read of framing = stream; one that does \
                 not fit into a record of the lane is an error at start.",
        access: port_field!(receive_size),
    },
];
