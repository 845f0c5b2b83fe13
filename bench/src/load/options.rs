//! What a load run shall do.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::PathBuf;

use super::pattern::HEADER_BYTES;
use super::target::Target;
use crate::{Error, Result};

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mode {
    /// Each connection keeps `pipeline` requests in flight; a reply makes room for the next one.
    Closed,
    /// Requests are due at fixed times, dealt to the connections in turn, whatever the server does.
    /// Latency counts from the due time, so a stall is charged to every request it delayed.
    Open {
        /// Requests due per second, over all connections.
        rate_per_s: f64,
    },
}

/// Options of one load run.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadOptions {
    /// The server.
    pub target: Target,
    /// The server's certificate, PEM: what a client of TLS believes. None by default.
    pub trust: Option<PathBuf>,
    /// Number of connections.
    pub connections: u32,
    /// Length of each request and reply.
    pub size_bytes: usize,
    /// Most requests in flight on one connection (in open mode too: more due ones wait here, with
    /// their time running).
    pub pipeline: u32,
    /// When requests are sent.
    pub mode: Mode,
    /// How long requests are issued.
    pub duration_ms: u64,
    /// Stop issuing after this many requests (of the measurement; warm-up not counted).
    pub requests: Option<u64>,
    /// Issue requests this long before the measurement, on the same connections, closed loop.
    pub warmup_ms: u64,
    /// A request without its reply for this long is a timeout and its connection is given up. Also
    /// bounds connecting and the wait for the last replies.
    pub timeout_ms: u64,
    /// Connect again when the server closed or reset a connection, or refuses it.
    pub reconnect: bool,
    /// Each request has a connection of its own: the client connects, sends it, reads the reply,
    /// closes. Latency counts from the connect. Closed loop with pipeline 1 only.
    pub churn: bool,
    /// Pause before connecting again.
    pub reconnect_delay_ms: u64,
    /// Part of every request's content: tells concurrent load generators on one server apart.
    /// Random by default.
    pub salt: u32,
    /// The last bytes of each message, for a server that finds its messages by them; at most as
    /// many as a message has behind its header of 16 bytes. Empty by default.
    pub ending: &'static [u8],
}

impl LoadOptions {
    /// The defaults, for this server: 64 connections, closed loop, 64 bytes, pipeline 1, five
    /// seconds.
    pub fn new(target: impl Into<Target>) -> Self {
        Self {
            target: target.into(),
            trust: None,
            connections: 64,
            size_bytes: 64,
            pipeline: 1,
            mode: Mode::Closed,
            duration_ms: 5_000,
            requests: None,
            warmup_ms: 0,
            timeout_ms: 10_000,
            reconnect: false,
            churn: false,
            reconnect_delay_ms: 10,
            salt: RandomState::new().hash_one(0) as u32,
            ending: b"",
        }
    }

    /// Checks every bound.
    pub fn validate(&self) -> Result<()> {
        let checks = [
            (self.connections >= 1 && self.connections <= 1 << 20, "connections: 1 to 1048576"),
            (
                self.trust.is_some() || !matches!(self.target, Target::Tls(_)),
                "a server of TLS needs the certificate to be trusted",
            ),
            (!self.churn || !self.target.is_datagram(), "churn: datagrams need no connection"),
            (self.size_bytes >= 1 && self.size_bytes <= 64 << 20, "size: 1 byte to 64 MiB"),
            (
                self.ending.is_empty() || self.size_bytes >= HEADER_BYTES + self.ending.len(),
                "size: at least 16 bytes and the ending",
            ),
            (self.pipeline >= 1 && self.pipeline <= 1 << 20, "pipeline: 1 to 1048576"),
            (self.duration_ms <= 7 * 86_400_000, "duration: at most seven days"),
            (self.warmup_ms <= 3_600_000, "warm-up: at most an hour"),
            (self.timeout_ms >= 1 && self.timeout_ms <= 3_600_000, "timeout: 1 ms to an hour"),
            (self.reconnect_delay_ms <= 3_600_000, "reconnect delay: at most an hour"),
            (self.requests != Some(0), "requests: at least 1"),
            (
                !self.churn || (self.mode == Mode::Closed && self.pipeline == 1),
                "churn: only with a closed loop and a pipeline of 1",
            ),
            (
                match self.mode {
                    Mode::Closed => true,
                    Mode::Open { rate_per_s } => (0.001..=10_000_000.0).contains(&rate_per_s),
                },
                "rate: 0.001 to 10000000 per second",
            ),
        ];
        match checks.iter().find(|(holds, _)| !holds) {
            Some((_, text)) => Err(Error::usage(*text)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn bounds_are_checked() {
        let good = LoadOptions::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        assert!(good.validate().is_ok());
        assert!(LoadOptions { connections: 0, ..good.clone() }.validate().is_err());
        assert!(LoadOptions { size_bytes: 0, ..good.clone() }.validate().is_err());
        let ending: &[u8] = b"\r\n";
        assert!(LoadOptions { ending, size_bytes: 18, ..good.clone() }.validate().is_ok());
        assert!(LoadOptions { ending, size_bytes: 17, ..good.clone() }.validate().is_err());
        assert!(LoadOptions { requests: Some(0), ..good.clone() }.validate().is_err());
        assert!(LoadOptions { churn: true, pipeline: 2, ..good.clone() }.validate().is_err());
        let target = Target::Udp(([127, 0, 0, 1], 1).into());
        assert!(LoadOptions { churn: true, target, ..good.clone() }.validate().is_err());
        let target = Target::Tls(([127, 0, 0, 1], 1).into());
        assert!(LoadOptions { target, ..good.clone() }.validate().is_err());
        let mode = Mode::Open { rate_per_s: f64::NAN };
        assert!(LoadOptions { mode, ..good }.validate().is_err());
    }
}
