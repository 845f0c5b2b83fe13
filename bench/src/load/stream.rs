//! A client that asks for long messages, one after the other, and reads them as fast as they come
//! or more slowly.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::options::LoadOptions;
use super::progress::Observer;
use super::report::LoadReport;
use crate::{Error, Result};

/// Each byte of a long message is its place modulo this.
pub(crate) const PERIOD: usize = 251;
/// Most bytes of one read.
const BUFFER_BYTES: usize = 256 * 1024;

/// The first bytes of a long message.
pub(crate) fn periodic(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place % PERIOD) as u8).collect()
}

/// One such client.
#[derive(Debug)]
pub(crate) struct StreamClient {
    socket: TcpStream,
    buffer: Vec<u8>,
    expected: Vec<u8>,
    /// At most so many bytes per second; `None`: as many as come.
    rate_per_s: Option<f64>,
}

impl StreamClient {
    /// Connects. Nothing that it waits for may take longer than `patience`.
    pub(crate) fn connect(
        address: SocketAddr,
        rate_per_s: Option<f64>,
        patience: Duration,
    ) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&address, patience)
            .and_then(|socket| {
                socket.set_nodelay(true)?;
                socket.set_read_timeout(Some(patience))?;
                socket.set_write_timeout(Some(patience))?;
                Ok(socket)
            })
            .map_err(Error::system("connect"))?;
        let buffer_bytes = if rate_per_s.is_some() { 16 * 1024 } else { BUFFER_BYTES };
        let expected = periodic(buffer_bytes + PERIOD);
        Ok(Self { socket, buffer: vec![0; buffer_bytes], expected, rate_per_s })
    }

    /// Asks for a message of so many bytes and reads it to its end, telling `progress` of each
    /// piece, which says whether to go on. False: it was told not to.
    pub(crate) fn ask(
        &mut self,
        len: usize,
        mut progress: impl FnMut(usize) -> bool,
    ) -> Result<bool> {
        self.socket.write_all(&[b'?'; 64]).map_err(Error::system("ask for a message"))?;
        let (begun, mut received) = (Instant::now(), 0);
        while received < len {
            let most = self.buffer.len().min(len - received);
            let space = self.buffer.get_mut(..most).unwrap_or_default();
            let some = self.socket.read(space).map_err(Error::system("read a message"))?;
            if some == 0 {
                return Err(Error::usage(format!("ended after {received} of {len} bytes")));
            }
            let place = received % PERIOD;
            if self.buffer.get(..some) != self.expected.get(place..place + some) {
                return Err(Error::usage(format!("wrong bytes behind the first {received}")));
            }
            received += some;
            if !progress(some) {
                return Ok(false);
            }
            if let Some(rate_per_s) = self.rate_per_s {
                let due = begun + Duration::from_secs_f64(received as f64 / rate_per_s);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        }
        Ok(true)
    }
}

/// One client that reads messages of the size of the options, one after the other, for as long as
/// they say and at least one, after one that does not count. A request of the report is a MiB.
///
/// An error means that the server is not reached, or sent something else.
pub fn read_long_replies(options: &LoadOptions, observer: &mut dyn Observer) -> Result<LoadReport> {
    const MEBIBYTE: usize = 1024 * 1024;
    let address = options.target.socket_address();
    let address = address.ok_or_else(|| Error::usage("long messages are read over TCP"))?;
    let patience = Duration::from_millis(options.timeout_ms);
    let mut client = StreamClient::connect(address, None, patience)?;
    client.ask(options.size_bytes, |_| true)?;
    let mut report = LoadReport::new()?;
    observer.begins();
    let begun = Instant::now();
    report.restart(begun);
    let end = begun + Duration::from_millis(options.duration_ms);
    let (mut part, mut part_begun) = (0, begun);
    while report.completed == 0 || Instant::now() < end {
        client.ask(options.size_bytes, |some| {
            part += some;
            while part >= MEBIBYTE {
                let now = Instant::now();
                report.complete(part_begun, now);
                (part, part_begun) = (part - MEBIBYTE, now);
            }
            true
        })?;
        observer.second();
    }
    report.begun = report.completed;
    report.elapsed = begun.elapsed();
    observer.ends();
    Ok(report)
}
