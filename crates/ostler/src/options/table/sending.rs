//! Sending: from a worker's reply to the client's socket.

use ostler_shm::group_index::{GROUPS_MAX, SESSION_GROUPS_MAX};
use ostler_shm::sessions::STATE_BYTES_MAX;

use crate::options::GroupOverflow;
use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::{field, port_field};
use crate::options::size;

const GIB: u64 = size::GIB as u64;
const KIB: u64 = size::KIB as u64;

/// So long a reactor may copy at once.
const SESSION_STATE_MAX_BYTES: u64 = 16 * size::MIB as u64;

const TOPIC: &str = "Sending";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "send_queue_high",
        topic: TOPIC,
        kind: Kind::Bytes { min: KIB, max: GIB },
        default: "256K",
        unit: "bytes",
        why: "Dozens of replies of common size, so that only a client that really lags meets it.",
        effect: "A session with more unsent bytes answers full to a send, and a Writer takes no \
              more (S40).",
        access: port_field!(send_queue_high),
    },
    OptionInfo {
        name: "send_queue_low",
        topic: TOPIC,
        kind: Kind::Bytes { min: KIB, max: GIB },
        default: "64K",
        unit: "bytes",
        why: "Who does not read answers should not ask more; one reply of common size stays below \
              it.",
        effect: "A session with more unsent bytes is not read until they are fewer.",
        access: port_field!(send_queue_low),
    },
    OptionInfo {
        name: "send_queue_max",
        topic: TOPIC,
        kind: Kind::Bytes { min: KIB, max: GIB },
        default: "1M",
        unit: "bytes",
        why: "Between high and max there is room for replies that were already accepted.",
        effect: "A session with more unsent bytes is closed as a slow reader; one message may \
              overshoot it by max_send_bytes.",
        access: port_field!(send_queue_max),
    },
    OptionInfo {
        name: "max_send_bytes",
        topic: TOPIC,
        kind: Kind::Bytes { min: KIB, max: GIB },
        default: "2M",
        unit: "bytes",
        why: "One message is accepted or refused as a whole, so it has to be bounded.",
        effect: "Longest message of one send; a longer one is refused (S46), and a Writer sends \
              it.",
        access: port_field!(max_send_bytes),
    },
    OptionInfo {
        name: "sendfile_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 1_048_576 },
        default: "1024",
        unit: "files",
        why: "Each has a descriptor of the process that has the connection, which clients then \
              cannot have; an eighth of the limit of descriptors lowers it at start.",
        effect: "Most files that wait to be sent (Session::sendfile), over the whole server; \
                 workers are told that they are full when an eighth of the places is left. With \
                 `mode = base` each worker has its part.",
        access: field!(sendfile_max),
    },
    OptionInfo {
        name: "session_state_size",
        topic: TOPIC,
        kind: Kind::Bytes { min: 0, max: STATE_BYTES_MAX as u64 },
        default: "192",
        unit: "bytes",
        why: "Enough for a name, a room, a cursor. Every entry of the session table has room for \
              it, taken or not, in steps of 64 bytes. It is written with the reply, and read \
              without another look.",
        effect: "Room for a session's state in its entry of the session table. A longer state \
                 takes pages of 4 KiB of its own, see session_state_max_bytes.",
        access: field!(session_state_size),
    },
    OptionInfo {
        name: "session_state_max_bytes",
        topic: TOPIC,
        kind: Kind::Bytes { min: 0, max: SESSION_STATE_MAX_BYTES },
        default: "64K",
        unit: "bytes",
        why: "A basket, a document that is edited, a game. What does not fit into the session \
              table lies in a quarter of memory_budget, in equal parts for the reactors: 256 \
              states of this length with the defaults and one reactor. The reactor copies it, and \
              serves nobody meanwhile: about 0.3 ms for a mebibyte.",
        effect: "Longest state of a session (Session::set_state, set_state_as); a longer one is \
                 refused, and so is one for which that memory has no room.",
        access: field!(session_state_max_bytes),
    },
    OptionInfo {
        name: "send_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 600_000 },
        default: "1000",
        unit: "milliseconds",
        why: "A reactor drains its lanes in every turn, so a second without room means \
              trouble; 0 refuses at once.",
        effect: "How long a worker's send waits for room in the lane before it answers full (S51).",
        access: field!(send_timeout_ms),
    },
    OptionInfo {
        name: "linger_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 600_000 },
        default: "2000",
        unit: "milliseconds",
        why: "A client that reads hears of the end within a round trip and closes too; one that \
              does not would keep its descriptor for ever. 0 closes at once.",
        effect: "How long a connection that the server has closed in order is kept, its input \
                 thrown away, until its client has closed too: a socket closed earlier may answer \
                 with a reset that overtakes the last bytes.",
        access: port_field!(linger_timeout_ms),
    },
    OptionInfo {
        name: "group_overflow",
        topic: TOPIC,
        kind: Kind::Choice(GroupOverflow::WORDS),
        default: "skip",
        unit: "",
        why: "Who lags misses something, and what comes when it has read is newer; `close` is for \
              clients that cannot go on with a gap, and connect anew.",
        effect: "What becomes of a member of a group to which a send would answer full: `skip`: it \
                 misses the message; `close`: its session ends as a slow reader.",
        access: port_field!(group_overflow),
    },
    OptionInfo {
        name: "groups_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: GROUPS_MAX },
        default: "65536",
        unit: "groups",
        why: "Their names and members take memory of the master, about 230 bytes for each group, \
              and clients may be able to choose names.",
        effect: "Most groups that have members, at each reactor; a session that would begin one \
                 more does not join. With `mode = base` at each worker.",
        access: field!(groups_max),
    },
    OptionInfo {
        name: "session_groups_max",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: SESSION_GROUPS_MAX },
        default: "16",
        unit: "groups",
        why: "Who asks for the members of a group looks at as many words of each session. Each \
              entry of the session table has 8 bytes for each, which take memory when they are \
              used.",
        effect: "Most groups that one session is in; it does not join more.",
        access: field!(session_groups_max),
    },
];
