//! Network: the listener and its connections.

use crate::options::choices::Words as _;
use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::{field, port_field};
use crate::options::{Options, ProxyProtocol, SessionIds};

const TOPIC: &str = "Network";

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "listen",
        topic: TOPIC,
        kind: Kind::Address,
        default: "tcp://127.0.0.1:9501",
        unit: "",
        why: "Only this machine can connect until someone decides otherwise; port 0 lets the \
              kernel choose a free one.",
        effect: "Where clients connect: `HOST:PORT` or `tcp://HOST:PORT`, with an IPv6 address \
                 in brackets, `unix:///PATH`, `udp://` and `unixgram://` for datagrams, or \
                 `fd://NAME` and `fd+tls://NAME` for a listener that systemd has opened. Set \
                 for the server it is that of the port `main`; each other port has its own. A \
                 server whose ports are named listens nowhere else.",
        access: port_field!(listen),
    },
    OptionInfo {
        name: "backlog",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 65_535 },
        default: "512",
        unit: "connections",
        why: "A burst of connections waits in the kernel for the master's next turn; the kernel \
              itself caps the number at net.core.somaxconn, and a line of the log says so.",
        effect: "Length of the kernel's queue of connections that wait to be accepted.",
        access: port_field!(backlog),
    },
    OptionInfo {
        name: "unix_mode",
        topic: TOPIC,
        kind: Kind::Permissions,
        default: "0600",
        unit: "",
        why: "Only the user of the server can connect until someone decides otherwise: 0660 lets \
              its group, 0666 everybody who can reach the directory.",
        effect: "Permissions of the socket's file, when `listen` is a `unix://` or \
                 `unixgram://` path: who can write to it can connect, or send.",
        access: port_field!(unix_mode),
    },
    OptionInfo {
        name: "tcp_nodelay",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "true",
        unit: "",
        why: "A reply is written as a whole, so that holding back its last bytes only adds delay.",
        effect: "Switches Nagle's algorithm off on accepted sockets.",
        access: port_field!(tcp_nodelay),
    },
    OptionInfo {
        name: "proxy_protocol",
        topic: TOPIC,
        kind: Kind::Choice(ProxyProtocol::WORDS),
        default: "off",
        unit: "",
        why: "Only who runs the proxy knows that there is one. There is no `optional`: a client \
              that connects itself could then say of itself what it likes.",
        effect: "Whether each connection begins with a header of the PROXY protocol, version 1 \
                 (up to 107 bytes) or 2 (up to 4096), in front of TLS: `Session::peer` is the \
                 client that it names. A connection without one, or from nobody in \
                 proxy_protocol_from, is closed, and counted with the reason. The header has to \
                 be there within handshake_timeout_ms.",
        access: port_field!(proxy_protocol),
    },
    OptionInfo {
        name: "proxy_protocol_from",
        topic: TOPIC,
        kind: Kind::Networks,
        default: "",
        unit: "",
        why: "Whoever is trusted can say that it is somebody else, so that nobody is trusted \
              unless it was named.",
        effect: "Addresses and networks of the proxies that may write such headers \
                 (`10.0.0.0/8,2001:db8::1`, up to 256), and `unix` for whoever may connect to a \
                 unix socket.",
        access: port_field!(proxy_protocol_from),
    },
    OptionInfo {
        name: "max_connections",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 1_048_576 },
        default: "16384",
        unit: "connections",
        why: "The session table is fixed at start, for the whole server, at 192 bytes an \
              entry and session_state_size; it \
              has at least a quarter more entries than this, and 1024 for each reactor, for \
              sessions whose end no worker has seen yet.",
        effect: "Above it nobody is accepted until a session ends; who comes waits in the kernel's \
                 queue (backlog). A limit of descriptors (ulimit -n) that does not allow so many \
                 lowers it at start, and a line of the log says so.",
        access: field!(max_connections),
    },
    OptionInfo {
        name: "session_ids",
        topic: TOPIC,
        kind: Kind::Choice(SessionIds::WORDS),
        default: "random_start",
        unit: "",
        why: "A number that a client or a store has kept from before a restart must not name \
              somebody else after it. Programs that expect small numbers, and forget them with the \
              server, choose `sequential`.",
        effect: "Where the numbers of sessions begin: anywhere below 2^48, or behind \
                 start_session_id. They grow by one with each connection (those whose place in the \
                 session table is taken are passed over), fit into 53 bits, and none is issued \
                 twice while the server runs.",
        access: field!(session_ids),
    },
    OptionInfo {
        name: "start_session_id",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: Options::START_SESSION_ID_MAX },
        default: "0",
        unit: "sessions",
        why: "The first connection is session 1, unless a program goes on counting where it was \
              before a restart.",
        effect: "The number before that of the first session, with session_ids = sequential.",
        access: field!(start_session_id),
    },
];
