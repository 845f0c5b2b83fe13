//! The options that every port has for itself, and their defaults. Limits and reasons stand in
//! `table/`.

use ostler_core::deadlines::Deadlines;
use ostler_core::framing::LengthType;
use ostler_core::request_deadline::RequestDeadlines;

use super::list::{Paths, Protocols};
use super::size::{KIB, MIB};
use super::{
    ClientAuth, CrashPolicy, Dispatch, FramingKind, GroupOverflow, HostPort, ListenUrl, Proxies,
    ProxyProtocol, Refusal, TlsVersion, UnixMode, UnknownName,
};

/// The options of one listening port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortOptions {
    /// Where it listens.
    pub(crate) listen: ListenUrl,
    /// Length of the kernel's queue of connections that wait to be accepted.
    pub(crate) backlog: u16,
    /// Permissions of the file of a unix socket.
    pub(crate) unix_mode: UnixMode,
    /// Disable Nagle's algorithm on accepted sockets.
    pub(crate) tcp_nodelay: bool,
    /// Silent clients are probed.
    pub(crate) tcp_keepalive: bool,
    /// Silence before the first probe, seconds.
    pub(crate) tcp_keepalive_idle: u32,
    /// Time between two probes, seconds.
    pub(crate) tcp_keepalive_interval: u32,
    /// Probes without an answer after which the session ends.
    pub(crate) tcp_keepalive_count: u32,
    /// How long output may stay unacknowledged; 0 = as the kernel does.
    pub(crate) tcp_user_timeout_ms: u64,
    /// Seconds to wait for a client's first bytes before it is accepted; 0 = accepted at once.
    pub(crate) tcp_defer_accept: u32,
    /// Connections that may wait with data in their first packet; 0 = none.
    pub(crate) tcp_fastopen: u16,
    /// Unsent bytes above which the kernel takes no more; 0 = as the kernel does.
    pub(crate) tcp_notsent_lowat: usize,
    /// The kernel's receive buffer of a connection; 0 = as the kernel does.
    pub(crate) socket_receive_buffer: usize,
    /// The kernel's send buffer of a connection; 0 = as the kernel does.
    pub(crate) socket_send_buffer: usize,
    /// Type of service or traffic class.
    pub(crate) ip_tos: u8,
    /// An address of IPv6 that stands for all does not stand for those of IPv4.
    pub(crate) ipv6_only: bool,
    /// Others may listen on the address too.
    pub(crate) reuse_port: bool,

    /// Most connections of one address; 0 = any number.
    pub(crate) max_connections_per_address: u32,
    /// Workers that packages of one address may kill within a minute before it is refused; 0 = any
    /// number.
    pub(crate) worker_deaths_per_address: u32,
    /// Most connections accepted in a second; 0 = any number.
    pub(crate) accept_rate: u32,
    /// Most connections of one address in a second; 0 = any number.
    pub(crate) connection_rate_per_address: u32,
    /// Most packages of one address in a second; 0 = any number.
    pub(crate) package_rate_per_address: u32,
    /// Most packages of a session in a second; 0 = any number.
    pub(crate) package_rate_max: u32,
    /// Most bytes of a session in a second; 0 = any number.
    pub(crate) receive_rate_max: usize,

    /// Whether connections begin with a proxy's header.
    pub(crate) proxy_protocol: ProxyProtocol,
    /// Who is trusted to write one.
    pub(crate) proxy_protocol_from: Proxies,

    /// Files with the certificates that clients are shown; none: the port is not encrypted.
    pub(crate) tls_certificate: Paths,
    /// Files with their private keys; none: they stand with the certificates.
    pub(crate) tls_key: Paths,
    /// Files with what the authorities say about their validity.
    pub(crate) tls_ocsp: Paths,
    /// File with the authorities of the clients' certificates.
    pub(crate) tls_client_ca: Paths,
    /// Whether clients show certificates.
    pub(crate) tls_client_auth: ClientAuth,
    /// Most bytes of the certificates of one client.
    pub(crate) tls_client_chain_max: usize,
    /// Protocols that are spoken, as ALPN names them.
    pub(crate) tls_alpn: Protocols,
    /// The oldest version that is spoken.
    pub(crate) tls_min_version: TlsVersion,
    /// Whether sessions may be taken up again.
    pub(crate) tls_tickets: bool,
    /// What who asks for a name that is not there is shown.
    pub(crate) tls_unknown_name: UnknownName,

    /// How bytes become packages.
    pub(crate) framing: FramingKind,
    /// What ends a package when `framing` is `eof` or `eof_at_end`.
    pub(crate) package_eof: Vec<u8>,
    /// How the length is written when `framing` is `length`.
    pub(crate) package_length_type: LengthType,
    /// Bytes before the length.
    pub(crate) package_length_offset: u32,
    /// What is added to the length for that of the whole package.
    pub(crate) package_body_offset: u32,
    /// Longest framed package.
    pub(crate) package_max_length: usize,
    /// Longest raw package; 0 = automatic. See [`Options::receive_size_resolved`].
    pub(crate) receive_size: usize,

    /// Which worker gets the packages of a session that is not bound; `None` = by the framing. See
    /// [`PortOptions::dispatch_resolved`].
    pub(crate) dispatch: Option<Dispatch>,
    /// What becomes of packages that a dying worker had started.
    pub(crate) crash_policy: CrashPolicy,
    /// Most packages of one session given and not finished.
    pub(crate) session_window: u32,
    /// Handlers are told when a session begins and ends.
    pub(crate) connect_events: bool,
    /// What a client had sent is not handled any more once its connection has failed.
    pub(crate) discard_gone_packages: bool,
    /// Most sessions that wait for a worker; 0 = all.
    pub(crate) queue_max: u32,
    /// How long a session waits for a worker; 0 = as long as it takes.
    pub(crate) queue_wait_max_ms: u64,
    /// What a client is told that is refused.
    pub(crate) refusal: Refusal,
    /// A session is not read until a handler confirms it.
    pub(crate) accept_confirm: bool,

    /// Unsent bytes of a session above which a send answers full.
    pub(crate) send_queue_high: usize,
    /// Unsent bytes of a session above which it is not read.
    pub(crate) send_queue_low: usize,
    /// Unsent bytes of a session above which it is closed.
    pub(crate) send_queue_max: usize,
    /// Longest message of one send.
    pub(crate) max_send_bytes: usize,
    /// What becomes of a member of a group that reads too slowly.
    pub(crate) group_overflow: GroupOverflow,
    /// How long a closed connection waits for its client to close too.
    pub(crate) linger_timeout_ms: u64,

    /// Longest time without input and output of a session; 0 = no limit, as for the next six.
    pub(crate) idle_timeout_ms: u64,
    /// Longest time without input of a session.
    pub(crate) silence_timeout_ms: u64,
    /// Longest time from accepting to the first whole package.
    pub(crate) first_package_timeout_ms: u64,
    /// Longest time from the first byte of a package to its last.
    pub(crate) package_timeout_ms: u64,
    /// Fewest bytes per second of a package that is not complete.
    pub(crate) receive_rate_min: usize,
    /// How far behind that rate a client may fall.
    pub(crate) receive_rate_grace_ms: u64,
    /// Longest time in which a client takes nothing of its output.
    pub(crate) send_stall_timeout_ms: u64,

    /// After how long a request is late, and its handler can know; 0 = never.
    pub(crate) request_soft_deadline_ms: u64,
    /// After how long the worker is killed that runs a request; 0 = never.
    pub(crate) request_deadline_ms: u64,
    /// The longest deadline that a handler may give its request; 0 = that of the port.
    pub(crate) request_deadline_max_ms: u64,
    /// What a client is told whose request was not finished in time.
    pub(crate) request_deadline_answer: Refusal,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self {
            listen: ListenUrl::Tcp(HostPort { host: "127.0.0.1".to_owned(), port: 9_501 }),
            backlog: 512,
            unix_mode: UnixMode::OWNER_ONLY,
            tcp_nodelay: true,
            max_connections_per_address: 0,
            worker_deaths_per_address: 0,
            accept_rate: 0,
            connection_rate_per_address: 0,
            package_rate_per_address: 0,
            package_rate_max: 0,
            receive_rate_max: 0,
            proxy_protocol: ProxyProtocol::Off,
            proxy_protocol_from: Proxies::default(),
            tls_certificate: Paths::default(),
            tls_key: Paths::default(),
            tls_ocsp: Paths::default(),
            tls_client_ca: Paths::default(),
            tls_client_auth: ClientAuth::Off,
            tls_client_chain_max: 16 * 1024,
            tls_alpn: Protocols::default(),
            tls_min_version: TlsVersion::Tls12,
            tls_tickets: true,
            tls_unknown_name: UnknownName::First,
            tcp_keepalive: true,
            tcp_keepalive_idle: 60,
            tcp_keepalive_interval: 15,
            tcp_keepalive_count: 4,
            tcp_user_timeout_ms: 120_000,
            tcp_defer_accept: 0,
            tcp_fastopen: 0,
            tcp_notsent_lowat: 0,
            socket_receive_buffer: 0,
            socket_send_buffer: 0,
            ip_tos: 0,
            ipv6_only: false,
            reuse_port: false,
            dispatch: None,
            crash_policy: CrashPolicy::Close,
            session_window: 16,
            connect_events: true,
            discard_gone_packages: false,
            queue_max: 0,
            queue_wait_max_ms: 0,
            refusal: Refusal::Close,
            accept_confirm: false,
            framing: FramingKind::Stream,
            package_eof: b"\r\n".to_vec(),
            package_length_type: LengthType::U32Big,
            package_length_offset: 0,
            package_body_offset: 4,
            package_max_length: 2 * MIB,
            receive_size: 0,
            send_queue_high: 256 * KIB,
            send_queue_low: 64 * KIB,
            send_queue_max: MIB,
            max_send_bytes: 2 * MIB,
            group_overflow: GroupOverflow::Skip,
            linger_timeout_ms: 2_000,
            idle_timeout_ms: 0,
            silence_timeout_ms: 0,
            first_package_timeout_ms: 0,
            package_timeout_ms: 0,
            receive_rate_min: 0,
            receive_rate_grace_ms: 5_000,
            send_stall_timeout_ms: 0,
            request_soft_deadline_ms: 0,
            request_deadline_ms: 0,
            request_deadline_max_ms: 0,
            request_deadline_answer: Refusal::Close,
        }
    }
}

impl PortOptions {
    /// Which worker gets the packages of a session that is not bound: as the user says, else by the
    /// framing. Datagrams and whole messages may go to whoever idles. What a client sends without
    /// boundaries stays with one worker, where code that keeps a part of a message finds it again.
    pub(crate) fn dispatch_resolved(&self) -> Dispatch {
        self.dispatch.unwrap_or(match self.framing {
            _ if self.listen.has_datagrams() => Dispatch::IdleFirst,
            FramingKind::Stream | FramingKind::Raw => Dispatch::SessionHash,
            _ => Dispatch::IdleFirst,
        })
    }

    /// How long handlers may take for a request of the port.
    pub(crate) const fn request_deadlines(&self) -> RequestDeadlines {
        RequestDeadlines {
            soft: self.request_soft_deadline_ms * 1_000_000,
            hard: self.request_deadline_ms * 1_000_000,
            longest: self.request_deadline_max_ms * 1_000_000,
        }
    }

    /// What clients of the port have to do in time.
    pub(crate) const fn deadlines(&self) -> Deadlines {
        Deadlines {
            idle: self.idle_timeout_ms * 1_000_000,
            silence: self.silence_timeout_ms * 1_000_000,
            first_package: self.first_package_timeout_ms * 1_000_000,
            package: self.package_timeout_ms * 1_000_000,
            receive_rate: self.receive_rate_min as u64,
            receive_rate_grace: self.receive_rate_grace_ms * 1_000_000,
            send_stall: self.send_stall_timeout_ms * 1_000_000,
        }
    }
}
