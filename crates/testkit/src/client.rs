//! A client of a server: one blocking connection with deadlines, in the words of a test.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::{
    Timeout, set_socket_linger, set_socket_recv_buffer_size, set_socket_timeout,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::error::{TestError, TestResult};
use crate::wait::{DEADLINE, timed_out};

/// Bytes asked for by one read.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many bytes an error text shows.
const SHOWN_BYTES: usize = 48;

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

/// How a read ended.
enum Incoming {
    Data(Vec<u8>),
    End,
    Reset,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens or the connection is not made in time.
    pub fn connect(address: SocketAddr) -> TestResult<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)
            .map_err(|error| TestError::from(error).context(format!("connect to {address}")))?;
        Self::with_deadlines(stream)
    }

    /// Connects with a small receive buffer (the kernel doubles the number and has a least value):
    /// the client that never reads. The buffer must be set before the connection is made, else the
    /// window is already wide.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_with_receive_buffer(address: SocketAddr, bytes: usize) -> TestResult<Self> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_socket_recv_buffer_size(&socket, bytes)?;
        // The send timeout also bounds connect(2).
        set_socket_timeout(&socket, Timeout::Send, Some(DEADLINE))?;
        connect(&socket, &address)
            .map_err(|error| TestError::from(error).context(format!("connect to {address}")))?;
        Self::with_deadlines(TcpStream::from(socket))
    }

    fn with_deadlines(stream: TcpStream) -> TestResult<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream })
    }

    /// The same connection once more, for a thread that receives while another sends.
    ///
    /// # Errors
    /// When no descriptor is left.
    pub fn second_handle(&self) -> TestResult<Self> {
        Ok(Self { stream: self.stream.try_clone()? })
    }

    /// This side's address, by which a log names the connection.
    ///
    /// # Errors
    /// When the socket has none any more.
    pub fn local_address(&self) -> TestResult<SocketAddr> {
        Ok(self.stream.local_addr()?)
    }

    /// The socket itself, for what the kit has no word for.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends all bytes.
    ///
    /// # Errors
    /// When the server does not take them in time or has closed.
    pub fn send(&mut self, bytes: &[u8]) -> TestResult {
        self.stream.write_all(bytes).map_err(|error| {
            if is_timeout(&error) {
                return timed_out("the server to take what was sent", DEADLINE);
            }
            TestError::from(error).context(format!("send of {} bytes", bytes.len()))
        })
    }

    /// Sends as much as the server and the kernel take within `patience`; returns how many bytes
    /// that was. For clients that fill a server's buffers on purpose.
    ///
    /// # Errors
    /// When the connection is closed.
    pub fn send_until_blocked(&mut self, bytes: &[u8], patience: Duration) -> TestResult<usize> {
        self.stream.set_write_timeout(Some(patience))?;
        let mut sent = 0;
        let end = loop {
            let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) else {
                break Ok(sent);
            };
            match self.stream.write(rest) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => break Ok(sent),
                Err(error) => break Err(TestError::from(error).context("send until blocked")),
            }
        };
        self.stream.set_write_timeout(Some(DEADLINE))?;
        end
    }

    /// Receives exactly these bytes and nothing before them.
    ///
    /// # Errors
    /// At the first byte that differs, at the end of the connection, or at the deadline.
    pub fn expect(&mut self, expected: &[u8]) -> TestResult {
        let mut received = 0;
        while let Some(rest) = expected.get(received..).filter(|rest| !rest.is_empty()) {
            let data = match self.receive(rest.len().min(CHUNK_BYTES))? {
                Incoming::Data(data) => data,
                Incoming::End => return Err(cut(expected, received, "was closed")),
                Incoming::Reset => return Err(cut(expected, received, "was reset")),
            };
            if let Some(at) = data.iter().zip(rest).position(|(got, want)| got != want) {
                return Err(differs(rest, &data, received, at));
            }
            received += data.len();
        }
        Ok(())
    }

    /// Receives exactly this many bytes, whatever they are.
    ///
    /// # Errors
    /// At the end of the connection or at the deadline.
    pub fn read_exactly(&mut self, count: usize) -> TestResult<Vec<u8>> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            match self.receive((count - bytes.len()).min(CHUNK_BYTES))? {
                Incoming::Data(data) => bytes.extend(data),
                Incoming::End | Incoming::Reset => {
                    let text = format!("{} of {count} bytes came, then the end", bytes.len());
                    return Err(TestError::new(text));
                }
            }
        }
        Ok(bytes)
    }

    /// Receives whatever comes next; empty at the end of the connection.
    ///
    /// # Errors
    /// At a reset or at the deadline.
    pub fn read_some(&mut self) -> TestResult<Vec<u8>> {
        match self.receive(CHUNK_BYTES)? {
            Incoming::Data(data) => Ok(data),
            Incoming::End => Ok(Vec::new()),
            Incoming::Reset => Err(TestError::new("the connection was reset")),
        }
    }

    /// Expects the orderly end (FIN) as the next thing.
    ///
    /// # Errors
    /// When data or a reset comes instead, or nothing until the deadline.
    pub fn expect_eof(&mut self) -> TestResult {
        match self.receive(CHUNK_BYTES)? {
            Incoming::End => Ok(()),
            Incoming::Reset => Err(TestError::new("expected the end, got a reset")),
            Incoming::Data(data) => Err(unexpected("the end", &data)),
        }
    }

    /// Expects a reset (RST) as the next thing.
    ///
    /// # Errors
    /// When data or an orderly end comes instead, or nothing until the deadline.
    pub fn expect_reset(&mut self) -> TestResult {
        match self.receive(CHUNK_BYTES)? {
            Incoming::Reset => Ok(()),
            Incoming::End => Err(TestError::new("expected a reset, got an orderly end")),
            Incoming::Data(data) => Err(unexpected("a reset", &data)),
        }
    }

    /// Expects the connection to end, in order or by reset.
    ///
    /// # Errors
    /// When data comes instead, or nothing until the deadline.
    pub fn expect_closed(&mut self) -> TestResult {
        match self.receive(CHUNK_BYTES)? {
            Incoming::End | Incoming::Reset => Ok(()),
            Incoming::Data(data) => Err(unexpected("the end or a reset", &data)),
        }
    }

    /// Says that nothing more will be sent, and goes on receiving.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn half_close(&mut self) -> TestResult {
        Ok(self.stream.shutdown(Shutdown::Write)?)
    }

    /// Ends the connection with a reset.
    ///
    /// # Errors
    /// When the socket refuses the option.
    pub fn abort(self) -> TestResult {
        // Closing a socket that lingers for zero seconds sends RST.
        Ok(set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }

    fn receive(&mut self, most: usize) -> TestResult<Incoming> {
        let mut buffer = vec![0; most];
        loop {
            return match self.stream.read(&mut buffer) {
                Ok(0) => Ok(Incoming::End),
                Ok(count) => {
                    buffer.truncate(count);
                    Ok(Incoming::Data(buffer))
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Incoming::Reset),
                Err(error) if is_timeout(&error) => {
                    Err(timed_out("something from the server", DEADLINE))
                }
                Err(error) => Err(TestError::from(error).context("receive")),
            };
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    // The kernel says EAGAIN at the end of SO_RCVTIMEO and SO_SNDTIMEO.
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn cut(expected: &[u8], received: usize, how: &str) -> TestError {
    TestError::new(format!("{received} of {} bytes came, then it {how}", expected.len()))
}

fn differs(want: &[u8], got: &[u8], before: usize, at: usize) -> TestError {
    let want = Shown(want.get(at..).unwrap_or_default());
    let got = Shown(got.get(at..).unwrap_or_default());
    TestError::new(format!("byte {} differs: expected {want}, got {got}", before + at))
}

fn unexpected(wanted: &str, data: &[u8]) -> TestError {
    TestError::new(format!("expected {wanted}, got {} bytes: {}", data.len(), Shown(data)))
}

/// The beginning of some bytes, readable.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.0.get(..SHOWN_BYTES).unwrap_or(self.0);
        let dots = if head.len() < self.0.len() { "..." } else { "" };
        write!(f, "\"{}{dots}\"", head.escape_ascii())
    }
}
