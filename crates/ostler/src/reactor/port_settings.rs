//! What a reactor has to know of a listening port: how its connections are read and written.

use std::io;

use ostler_core::Nanos;
use ostler_core::brain;
use ostler_core::deadlines::Deadlines;
use ostler_core::framing::Framer;
use ostler_core::send_queue::WaterMarks;
use ostler_core::session_rate::SessionRates;

use crate::options::{FramingKind, GroupOverflow, Options, PortOptions, Proxies, Refusal};

/// The figures of one port, which a connection finds by the id of its port.
#[derive(Clone, Debug)]
pub(super) struct PortSettings {
    /// Most bytes of one raw read.
    pub(super) receive_size: usize,
    /// Finds packages in what was received; `None`: every read is one.
    pub(super) framer: Option<Framer>,
    /// What it is called, for other masters.
    pub(super) name: Box<str>,
    /// Cuts what is left of a session whose client is gone into packages: `framer`, or reads of the
    /// raw size.
    pub(super) rest_framer: Framer,
    /// Workers may leave a part of a package unused.
    pub(super) keeps_unused: bool,
    /// How packages are cut, in words.
    pub(super) framing: Box<str>,
    /// Most bytes of a package.
    pub(super) package_max_length: usize,
    /// Longest message of one send.
    pub(super) max_send_bytes: usize,
    /// Limits of unsent output.
    pub(super) marks: WaterMarks,
    /// What becomes of a member of a group that reads too slowly.
    pub(super) group_overflow: GroupOverflow,
    /// How long a connection that was closed in order waits for its client to close too.
    pub(super) linger_ns: Nanos,
    /// What a client is told that is refused.
    pub(super) refusal: Refusal,
    /// What a client is told whose request was not finished in time.
    pub(super) request_deadline_answer: Refusal,
    /// Most connections of one address; 0 = any number.
    pub(super) address_max: u32,
    /// Most connections of one address in a second; 0 = any number.
    pub(super) connection_rate_per_address: u64,
    /// Most packages of one address in a second; 0 = any number.
    pub(super) package_rate_per_address: u64,
    /// Most workers that packages of one address may kill within a minute; 0 = any number.
    pub(super) address_deaths_max: u32,
    /// Sessions are not read until a worker confirms them.
    pub(super) accept_confirm: bool,
    /// Whose word counts, whose connection it is; `None`: connections are their clients'.
    pub(super) proxies: Option<Proxies>,
    /// Most bytes that a session may send at once.
    pub(super) burst_max: usize,
    /// How much a session may send in a second.
    pub(super) rates: SessionRates,
    /// What clients have to do in time.
    pub(super) deadlines: Deadlines,
}

impl PortSettings {
    /// `server`: what the sizes of lanes follow from.
    pub(super) fn new(server: &Options, options: &PortOptions) -> io::Result<Self> {
        let rest_framer = Framer::new(&server.framing_config(options)).map_err(io::Error::other)?;
        let framer = match options.framing {
            FramingKind::Raw => None,
            _ => Some(rest_framer),
        };
        Ok(Self {
            // What one read brings beyond the rate would have to be rested for.
            receive_size: server.receive_size_resolved(options).min(burst_max(options)),
            framer,
            name: Box::default(),
            rest_framer,
            framing: server.framing_text(options).into(),
            keeps_unused: options.framing == FramingKind::Stream,
            package_max_length: options.package_max_length,
            max_send_bytes: options.max_send_bytes,
            marks: WaterMarks {
                low: options.send_queue_low,
                high: options.send_queue_high,
                max: options.send_queue_max,
            },
            group_overflow: options.group_overflow,
            linger_ns: options.linger_timeout_ms * 1_000_000,
            refusal: options.refusal.clone(),
            request_deadline_answer: options.request_deadline_answer.clone(),
            address_max: options.max_connections_per_address,
            connection_rate_per_address: options.connection_rate_per_address.into(),
            package_rate_per_address: options.package_rate_per_address.into(),
            address_deaths_max: options.worker_deaths_per_address,
            accept_confirm: options.accept_confirm,
            proxies: options.trusted_proxies().cloned(),
            burst_max: burst_max(options),
            rates: SessionRates {
                packages: u64::from(options.package_rate_max),
                bytes: options.receive_rate_max as u64,
            },
            deadlines: options.deadlines(),
        })
    }

    /// The brain's part of them.
    pub(super) fn of_brain(&self, options: &PortOptions, reactors: u16) -> brain::PortSettings {
        brain::PortSettings {
            dispatch: options.dispatch_resolved(),
            crash_policy: options.crash_policy,
            // A worker that has a package may still leave a part of it for the next.
            session_window: if self.keeps_unused { 1 } else { options.session_window },
            keeps_unused: self.keeps_unused,
            connect_events: options.connect_events,
            deferred_max_ns: options.request_deadlines().hard,
            discards_gone: options.discard_gone_packages,
            queue_wait_max_ns: options.queue_wait_max_ms * 1_000_000,
            // Reactors have about as many clients each, but at least one may wait at each of them.
            queue_max: options.queue_max.div_ceil(u32::from(reactors.max(1))),
            answers_refused: matches!(options.refusal, Refusal::AnswerAndStay(_)),
        }
    }
}

/// Bytes that a session may send at once.
const fn burst_max(options: &PortOptions) -> usize {
    match options.receive_rate_max {
        0 => usize::MAX,
        bytes => bytes,
    }
}
