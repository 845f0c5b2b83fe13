//! Rows beside the payloads: other ways in which clients and servers meet, with free placement and,
//! unless it is said otherwise, 64 bytes.

use std::path::Path;

use super::case::{Case, Form, Placement};
use crate::identity::Identity;
use crate::process::Peer;

/// Length of a big message.
const MEGA_BYTES: usize = 1024 * 1024;
/// Length of a long message.
const STREAM_BYTES: usize = 64 * 1024 * 1024;
/// Four workers are busy an eighth of the time with it.
const IDLE_RATE_PER_S: f64 = 1_000.0;

/// One such row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Connect, one request, close.
    Churn,
    /// Sixteen requests in flight on each connection.
    Depth16,
    /// A thousand connections.
    Connections1000,
    /// Ostler with two reactors and two workers.
    TwoByTwo,
    /// Ostler with two workers, and one handler call in a hundred takes five milliseconds.
    SlowHandlers,
    /// Messages with their length in front, against the same server without framing.
    Length64,
    /// The same with 4 KiB.
    Length4096,
    /// Messages with a delimiter behind them, against the same server without framing.
    Eof64,
    /// Messages of 1 MiB with their length in front, against a raw echo that receives them whole.
    LengthMega,
    /// TLS, against a raw echo that speaks it.
    Tls64,
    /// The same with 64 KiB.
    Tls65536,
    /// Datagrams, against a raw echo of datagrams.
    Udp64,
    /// Handlers of which one in a hundred takes fifty milliseconds: the idle worker first, against
    /// one worker for each session. Requests are due at a rate that keeps the workers idle most of
    /// the time.
    IdleFirst,
    /// Messages of 64 MiB to one client, against a loop around `send`.
    Stream,
    /// Files of 64 MiB to one client, against a loop around `sendfile`.
    Sendfile,
    /// BASE mode with one worker, against a raw echo.
    Base64,
    /// The same with 4 KiB.
    Base4096,
    /// The same with 64 KiB.
    Base65536,
    /// Packages through a task worker, against an echo of Ostler: with a callback, waited for, and
    /// beside the echo, so that nobody listens to it; and the least that the wait costs.
    Task64,
    /// The same with 4 KiB.
    Task4096,
    /// The same with 64 KiB.
    Task65536,
    /// Packages through a task worker, called back, whose tasks outlive the server: not synced, and
    /// synced, against those that do not.
    TaskKept,
    /// The echo in PHP, against the same in Rust.
    Php64,
    /// The same with 64 KiB.
    Php65536,
    /// A package through a task worker in PHP, called back, against the same in Rust.
    PhpTask,
}

impl Extra {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 25] = [
        Self::Churn,
        Self::Depth16,
        Self::Connections1000,
        Self::TwoByTwo,
        Self::SlowHandlers,
        Self::Length64,
        Self::Length4096,
        Self::Eof64,
        Self::LengthMega,
        Self::Tls64,
        Self::Tls65536,
        Self::Udp64,
        Self::IdleFirst,
        Self::Stream,
        Self::Sendfile,
        Self::Base64,
        Self::Base4096,
        Self::Base65536,
        Self::Task64,
        Self::Task4096,
        Self::Task65536,
        Self::TaskKept,
        Self::Php64,
        Self::Php65536,
        Self::PhpTask,
    ];

    /// Its name on the command line and in the table.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Churn => "churn",
            Self::Depth16 => "depth-16",
            Self::Connections1000 => "1000-connections",
            Self::TwoByTwo => "2+2",
            Self::SlowHandlers => "slow-handlers",
            Self::Length64 => "length",
            Self::Length4096 => "length-4K",
            Self::Eof64 => "eof",
            Self::LengthMega => "length-1M",
            Self::Tls64 => "tls",
            Self::Tls65536 => "tls-64K",
            Self::Udp64 => "udp",
            Self::IdleFirst => "idle-first",
            Self::Stream => "stream",
            Self::Sendfile => "sendfile",
            Self::Base64 => "base",
            Self::Base4096 => "base-4K",
            Self::Base65536 => "base-64K",
            Self::Task64 => "task",
            Self::Task4096 => "task-4K",
            Self::Task65536 => "task-64K",
            Self::TaskKept => "task-kept",
            Self::Php64 => "php",
            Self::Php65536 => "php-64K",
            Self::PhpTask => "php-task",
        }
    }

    /// The case, from one with the usual connections and times.
    pub(super) fn case(self, usual: Case) -> Case {
        let usual = Case { load: self.name(), size_bytes: 64, placement: Placement::Free, ..usual };
        match self {
            Self::Churn => Case { churn: true, ..usual },
            Self::Depth16 => Case { depth: 16, ..usual },
            Self::Connections1000 => Case { connections: 1_000, ..usual },
            Self::TwoByTwo | Self::SlowHandlers | Self::Tls64 | Self::Udp64 => usual,
            Self::Base64 | Self::Task64 | Self::Php64 | Self::PhpTask => usual,
            // What one sync of the disk costs is shared by all that wait for it.
            Self::TaskKept => Case { connections: 256, ..usual },
            Self::Base4096 | Self::Task4096 => Case { size_bytes: 4_096, ..usual },
            Self::Tls65536 | Self::Base65536 | Self::Task65536 | Self::Php65536 => {
                Case { size_bytes: 65_536, ..usual }
            }
            Self::Stream | Self::Sendfile => {
                Case { form: Form::LongReply, size_bytes: STREAM_BYTES, connections: 1, ..usual }
            }
            Self::IdleFirst => Case { rate_per_s: Some(IDLE_RATE_PER_S), depth: 64, ..usual },
            Self::Length64 => Case { form: Form::StatedLength, ..usual },
            Self::Length4096 => Case { form: Form::StatedLength, size_bytes: 4_096, ..usual },
            Self::Eof64 => Case { form: Form::Ending, ..usual },
            // More of them would wait for memory: a package of each is in hand at the same time.
            Self::LengthMega => Case {
                form: Form::StatedLength,
                size_bytes: MEGA_BYTES,
                connections: usual.connections.min(8),
                ..usual
            },
        }
    }

    /// The server in Rust and the one in PHP, which `php` starts.
    fn php_peers(self, php: &Peer, instrument: &Path) -> Vec<Peer> {
        if self == Self::PhpTask {
            let mut tasks = Peer { name: "php-task".to_owned(), ..php.clone() };
            tasks.command.push("--tasks=1".to_owned());
            return vec![Peer::ostler_tasks("ostler-task", instrument, "task"), tasks];
        }
        vec![Peer::ostler_set("ostler-raw", instrument, &["framing=raw"]), php.clone()]
    }

    /// Who is measured: where only Ostler has such a shape, the reference and Ostler in it.
    pub(super) fn peers(
        self,
        peers: &[Peer],
        php: Option<&Peer>,
        bench: &Path,
        instrument: &Path,
        identity: &Identity,
    ) -> Vec<Peer> {
        let is_wanted = peers.iter().any(|peer| peer.name == "ostler");
        let shape = match self {
            Self::Churn | Self::Depth16 | Self::Connections1000 => return peers.to_vec(),
            Self::TwoByTwo => Peer::ostler_as(instrument, 2, 2, "echo"),
            Self::SlowHandlers => Peer::ostler_as(instrument, 2, 1, "slow_every:100,5"),
            Self::Length64 | Self::Length4096 | Self::Eof64 | Self::LengthMega => {
                return self.framed_peers(peers, bench, instrument);
            }
            _ if !is_wanted => return Vec::new(),
            Self::Tls64 | Self::Tls65536 => {
                let ostler = Peer::ostler_tls(instrument, identity);
                return vec![Peer::raw_tls(bench, identity), ostler];
            }
            Self::Base64 | Self::Base4096 | Self::Base65536 => {
                return vec![Peer::raw_epoll(bench), Peer::ostler_base(instrument)];
            }
            Self::Task64 | Self::Task4096 | Self::Task65536 => {
                let plain = Peer::ostler_tasks("ostler-echo", instrument, "echo");
                let ways = ["task", "task_wait", "task_send"];
                let ways =
                    ways.map(|way| Peer::ostler_tasks(&format!("ostler-{way}"), instrument, way));
                return [plain].into_iter().chain(ways).chain([Peer::raw_relay(bench)]).collect();
            }
            Self::TaskKept => {
                let kept = |sync| Peer::ostler_kept(instrument, &identity.certificate, sync);
                let plain = Peer::ostler_tasks("ostler-task", instrument, "task");
                return vec![plain, kept("never"), kept("always")];
            }
            Self::Udp64 => return vec![Peer::raw_udp(bench), Peer::ostler_udp(instrument)],
            Self::Stream => {
                let handler = format!("stream:{STREAM_BYTES}");
                let ostler = Peer::ostler_as(instrument, 1, 1, &handler);
                return vec![Peer::raw_send(bench, STREAM_BYTES), ostler];
            }
            Self::Sendfile => {
                let handler = format!("sendfile:{STREAM_BYTES}");
                let ostler = Peer::ostler_as(instrument, 1, 1, &handler);
                return vec![Peer::raw_sendfile(bench, STREAM_BYTES), ostler];
            }
            // Without the program in PHP there is nothing to measure.
            Self::Php64 | Self::Php65536 | Self::PhpTask => {
                return php.map_or_else(Vec::new, |php| self.php_peers(php, instrument));
            }
            Self::IdleFirst => {
                let by = |name, dispatch| Peer::ostler_slow(name, instrument, dispatch);
                return vec![by("ostler-hash", "session_hash"), by("ostler", "idle_first")];
            }
        };
        if !peers.iter().any(|peer| peer.name == shape.name) {
            return Vec::new();
        }
        // Two threads without anything between them show what of it is the machine's: four threads
        // of a server and a client on two CPUs wait for each other.
        let threads = (self == Self::TwoByTwo).then(|| Peer::raw_epoll_threads(bench, 2));
        peers.iter().take(1).cloned().chain(threads).chain([shape]).collect()
    }

    /// The reference, Ostler with framing, and the raw echo where that is not the reference.
    fn framed_peers(self, peers: &[Peer], bench: &Path, instrument: &Path) -> Vec<Peer> {
        if !peers.iter().any(|peer| peer.name == "ostler") {
            return Vec::new();
        }
        let ostler = |name, settings: &[&str]| Peer::ostler_set(name, instrument, settings);
        let framed = if self == Self::Eof64 {
            ostler("ostler", &["framing=eof", r"package_eof=\r\n\r\n"])
        } else {
            let field = ["package_length_type=V", "package_length_offset=12"];
            ostler("ostler", &["framing=length", field[0], field[1], "package_body_offset=0"])
        };
        if self == Self::LengthMega {
            return vec![Peer::raw_epoll_whole(bench, MEGA_BYTES), framed];
        }
        let unframed = ostler("ostler-raw", &["framing=raw"]);
        [unframed, framed].into_iter().chain(peers.iter().take(1).cloned()).collect()
    }
}
