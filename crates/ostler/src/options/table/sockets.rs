//! Sockets: what the kernel does for the connections of a port. They inherit it from their
//! listener, so that none of it costs a call for each connection.

use crate::options::info::{Kind, OptionInfo};
use crate::options::setting::port_field;

const TOPIC: &str = "Sockets";

/// As long as the kernel takes for its longest times, seconds.
const SECONDS: Kind = Kind::Integer { min: 1, max: 32_767 };
/// Buffers that the kernel manages by itself unless they are set.
const BUFFER: Kind = Kind::BytesOrAutomatic { min: 4_096, max: 1 << 30 };

pub(super) const ROWS: &[OptionInfo] = &[
    OptionInfo {
        name: "tcp_keepalive",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "true",
        unit: "",
        why: "A client whose machine or network has gone says nothing; without probes its session \
              would stay for ever.",
        effect: "Whether the kernel probes clients that are silent.",
        access: port_field!(tcp_keepalive),
    },
    OptionInfo {
        name: "tcp_keepalive_idle",
        topic: TOPIC,
        kind: SECONDS,
        default: "60",
        unit: "seconds",
        why: "Shorter than what routers and load balancers remember of a silent connection, which \
              is seldom less than a few minutes.",
        effect: "Silence after which the first probe is sent, with tcp_keepalive.",
        access: port_field!(tcp_keepalive_idle),
    },
    OptionInfo {
        name: "tcp_keepalive_interval",
        topic: TOPIC,
        kind: SECONDS,
        default: "15",
        unit: "seconds",
        why: "With four probes a client that is gone is noticed two minutes after its last word.",
        effect: "Time between two probes, with tcp_keepalive.",
        access: port_field!(tcp_keepalive_interval),
    },
    OptionInfo {
        name: "tcp_keepalive_count",
        topic: TOPIC,
        kind: Kind::Integer { min: 1, max: 127 },
        default: "4",
        unit: "probes",
        why: "A few lost packets are no lost client.",
        effect: "Probes without an answer after which the session ends, with tcp_keepalive.",
        access: port_field!(tcp_keepalive_count),
    },
    OptionInfo {
        name: "tcp_user_timeout_ms",
        topic: TOPIC,
        kind: Kind::Milliseconds { min: 0, max: 86_400_000 },
        default: "120000",
        unit: "milliseconds",
        why: "While output is under way no probe is sent, and the kernel would try for a quarter \
              of an hour and more. As long as the probes take.",
        effect: "How long output may stay unacknowledged before the session ends; that includes a \
                 client which is there but has not read anything for so long. 0 leaves it to the \
                 kernel.",
        access: port_field!(tcp_user_timeout_ms),
    },
    OptionInfo {
        name: "tcp_defer_accept",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 3_600 },
        default: "0",
        unit: "seconds",
        why: "A server that speaks first, or wants to know of silent clients, needs them at once.",
        effect: "A connection is accepted when its client has sent something, or about so many \
                 seconds later; 0 accepts at once.",
        access: port_field!(tcp_defer_accept),
    },
    OptionInfo {
        name: "tcp_fastopen",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 65_535 },
        default: "0",
        unit: "connections",
        why: "The first bytes of a client may then arrive twice, which a protocol has to bear.",
        effect: "Connections that may wait with data in their first packet; 0 takes none. The \
                 kernel must allow it (net.ipv4.tcp_fastopen).",
        access: port_field!(tcp_fastopen),
    },
    OptionInfo {
        name: "tcp_notsent_lowat",
        topic: TOPIC,
        kind: BUFFER,
        default: "0",
        unit: "",
        why: "The kernel's own measure is best for throughput. A server whose newest message \
              matters most keeps less in the kernel, where it can be neither counted nor dropped.",
        effect: "Unsent bytes of a connection above which the kernel takes no more; 0 leaves it to \
                 the kernel.",
        access: port_field!(tcp_notsent_lowat),
    },
    OptionInfo {
        name: "socket_receive_buffer",
        topic: TOPIC,
        kind: BUFFER,
        default: "0",
        unit: "",
        why: "The kernel finds a size for each connection, and what is set switches that off.",
        effect: "Size of the kernel's receive buffer of each connection, or of the socket of a \
                 port for datagrams, as setsockopt(2) takes it: the kernel doubles it, and caps \
                 it at net.core.rmem_max. 0 leaves it to the kernel.",
        access: port_field!(socket_receive_buffer),
    },
    OptionInfo {
        name: "socket_send_buffer",
        topic: TOPIC,
        kind: BUFFER,
        default: "0",
        unit: "",
        why: "The kernel finds a size for each connection, and what is set switches that off.",
        effect: "Size of the kernel's send buffer of each connection, or of the socket of a port \
                 for datagrams, as setsockopt(2) takes it: the kernel doubles it, and caps it at \
                 net.core.wmem_max. 0 leaves it to the kernel, but that of a unix port for \
                 datagrams is made as large as its peers may need.",
        access: port_field!(socket_send_buffer),
    },
    OptionInfo {
        name: "ip_tos",
        topic: TOPIC,
        kind: Kind::Integer { min: 0, max: 255 },
        default: "0",
        unit: "(a byte)",
        why: "Networks that tell traffic apart are seldom, and say themselves what they want.",
        effect: "Type of service (IPv4) or traffic class (IPv6) of what is sent.",
        access: port_field!(ip_tos),
    },
    OptionInfo {
        name: "ipv6_only",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "false",
        unit: "",
        why: "`[::]` is for everybody, and clients of IPv4 come there with addresses that are \
              written as IPv6. On for a port of IPv4 with the same number beside it.",
        effect: "Whether a port at `[::]` takes clients of IPv6 only. It is set on each socket of \
                 IPv6, whatever the machine says (net.ipv6.bindv6only).",
        access: port_field!(ipv6_only),
    },
    OptionInfo {
        name: "reuse_port",
        topic: TOPIC,
        kind: Kind::Bool,
        default: "false",
        unit: "",
        why: "A second server on the same address is nearly always a mistake, which is told only \
              without it.",
        effect: "Whether other servers of the same user may listen on the address too; the kernel \
                 spreads the connections, or the peers that send datagrams, over them.",
        access: port_field!(reuse_port),
    },
];
