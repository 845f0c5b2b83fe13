//! Broadcasts: what it costs to send a message to many listeners, against a loop around `send`.
//!
//! One client speaks, all listen. The next message is sent when the last one has reached everybody.
//! Nobody sleeps in a read meanwhile, and nobody's message is left unread for long: who sends would
//! pay for waking him, or for the timers of late acknowledgements, and how often would depend on
//! the order in which they read.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::process::{CpuMeter, Peer, Server};
use crate::{Error, Result};

/// A server gets this long to end after SIGTERM.
const STOP_GRACE_MS: u64 = 10_000;
/// A message reaches everybody within this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long is waited when it has come to nobody since the last look.
const PAUSE: Duration = Duration::from_millis(1);

/// What is measured.
#[derive(Clone, Debug)]
pub struct BroadcastOptions {
    /// This program.
    pub bench: PathBuf,
    /// Ostler's instrument.
    pub instrument: PathBuf,
    /// Clients that listen.
    pub listeners: usize,
    /// Bytes of a message.
    pub size_bytes: usize,
    /// Messages of a measurement.
    pub messages: usize,
    /// Measurements of each server, in turns.
    pub rounds: usize,
}

/// The CPU time of a server for each message that reached a listener, nanoseconds: of the loop and
/// of Ostler, for each round.
pub type Costs = Vec<(f64, f64)>;

/// Measures.
///
/// # Errors
/// When a server does not start, or a message does not reach everybody.
pub fn run(options: &BroadcastOptions) -> Result<Costs> {
    // Every client is a descriptor here and one in the server.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised)
        .map_err(Error::system("raise the limit of descriptors"))?;
    let raw = Peer::raw_send_to_all(&options.bench, options.listeners);
    let ostler = Peer::ostler_as(&options.instrument, 1, 1, "broadcast");
    (0..options.rounds).map(|_| Ok((measure(&raw, options)?, measure(&ostler, options)?))).collect()
}

fn measure(peer: &Peer, options: &BroadcastOptions) -> Result<f64> {
    let server = Server::start(peer, &options.bench, None)?;
    let address = server.target().socket_address();
    let address = address.ok_or_else(|| Error::usage("the server listens on no TCP port"))?;
    let mut clients = Vec::with_capacity(options.listeners);
    for _ in 0..options.listeners {
        let client = TcpStream::connect(address).map_err(Error::system("connect"))?;
        client.set_nonblocking(true).map_err(Error::system("set non-blocking"))?;
        clients.push(client);
    }
    // Each is told that it is a member.
    receive_all(&clients, 1)?;
    let message = vec![b'm'; options.size_bytes];
    // Warm: every queue and page was used once.
    say(&clients, &message)?;
    let mut meter = CpuMeter::start(server.pid())?;
    for _ in 0..options.messages {
        say(&clients, &message)?;
    }
    meter.sample()?;
    let delivered = (options.messages * options.listeners) as f64;
    let cost = meter.total_ns() as f64 / delivered;
    drop(clients);
    server.stop(STOP_GRACE_MS)?;
    Ok(cost)
}

/// The first client sends a message, and everybody gets it.
fn say(clients: &[TcpStream], message: &[u8]) -> Result<()> {
    let mut speaker = clients.first().ok_or_else(|| Error::usage("write at least 1 listener"))?;
    speaker.write_all(message).map_err(Error::system("send"))?;
    receive_all(clients, message.len())
}

/// Everybody reads so many bytes, whoever has some first: no order of sending is waited for more
/// than another one.
fn receive_all(clients: &[TcpStream], len: usize) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    let mut bytes = vec![0; len];
    let mut missing: Vec<(&TcpStream, usize)> = clients.iter().map(|it| (it, len)).collect();
    while !missing.is_empty() {
        let before = missing.len();
        let mut failed: Option<std::io::Error> = None;
        missing.retain_mut(|(client, left)| {
            match client.read(bytes.get_mut(..*left).unwrap_or_default()) {
                Ok(0) => failed = Some(ErrorKind::UnexpectedEof.into()),
                Ok(some) => *left -= some,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => failed = Some(error),
            }
            *left > 0
        });
        if failed.is_none() && Instant::now() > until {
            failed = Some(ErrorKind::TimedOut.into());
        }
        if let Some(error) = failed {
            return Err(Error::system("receive a broadcast")(error));
        }
        if missing.len() == before {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// What came of it, and the median of the ratios.
#[must_use]
pub fn report(options: &BroadcastOptions, costs: &Costs) -> String {
    let mut ratios: Vec<f64> = costs.iter().map(|(raw, ostler)| ostler / raw).collect();
    ratios.sort_by(f64::total_cmp);
    let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
    let mut text = format!(
        "broadcast of {} bytes to {} listeners, {} messages a round: CPU for each delivered\n",
        options.size_bytes, options.listeners, options.messages
    );
    for (raw, ostler) in costs {
        text += &format!("  loop {raw:7.0} ns   ostler {ostler:7.0} ns   {:.2}x\n", ostler / raw);
    }
    text + &format!("  median {median:.2}x, target 1.10x\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_has_the_median_of_the_ratios() {
        let options = BroadcastOptions {
            bench: PathBuf::new(),
            instrument: PathBuf::new(),
            listeners: 3,
            size_bytes: 64,
            messages: 5,
            rounds: 3,
        };
        let costs = vec![(1_000.0, 1_500.0), (1_000.0, 1_050.0), (1_000.0, 900.0)];
        let text = report(&options, &costs);
        assert!(text.contains("median 1.05x") && text.contains("to 3 listeners"), "{text}");
    }
}
