//! A client of a test server.

use std::cell::RefCell;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{DEADLINE, Pump};

/// A client. Dropping it closes its connection.
pub struct TestClient {
    stream: UnixStream,
    server: Rc<RefCell<dyn Pump>>,
    /// Received and not yet looked at.
    received: Vec<u8>,
    is_at_end: bool,
}

impl std::fmt::Debug for TestClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TestClient(\"{}\")", self.received.escape_ascii())
    }
}

impl TestClient {
    pub(super) fn new(stream: UnixStream, server: Rc<RefCell<dyn Pump>>) -> Self {
        Self { stream, server, received: Vec::new(), is_at_end: false }
    }

    /// Sends bytes, and lets the server do what there is to do. What the server does not take any
    /// more, because it has closed the connection, is lost.
    ///
    /// # Panics
    /// When the server reads nothing for ten seconds.
    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        self.until("the server to read", |client| {
            match client.stream.write(rest) {
                Ok(len) => rest = rest.get(len..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => rest = &[],
            }
            rest.is_empty()
        });
        self.look();
    }

    /// What has come since the last look.
    #[must_use]
    pub fn received(&mut self) -> Vec<u8> {
        self.look();
        std::mem::take(&mut self.received)
    }

    /// Expects exactly these bytes next.
    ///
    /// # Panics
    /// When others come, or not so many within ten seconds.
    #[track_caller]
    pub fn expect(&mut self, bytes: &[u8]) {
        let len = bytes.len();
        self.until("bytes from the server", |client| {
            client.received.len() >= len || client.is_at_end
        });
        let rest = self.received.split_off(len.min(self.received.len()));
        let got = std::mem::replace(&mut self.received, rest);
        assert!(
            got == bytes,
            "expected \"{}\", got \"{}\"",
            bytes.escape_ascii(),
            got.escape_ascii()
        );
    }

    /// Expects the end of the connection, and nothing before it.
    ///
    /// # Panics
    /// When something comes, or no end within ten seconds.
    #[track_caller]
    pub fn expect_end(&mut self) {
        self.until("the end of the connection", |client| client.is_at_end);
        assert!(self.received.is_empty(), "\"{}\" before the end", self.received.escape_ascii());
    }

    /// Sends no more, and goes on receiving.
    pub fn shutdown(&mut self) {
        // It has ended otherwise.
        let _ = self.stream.shutdown(Shutdown::Write);
        self.look();
    }

    /// Lets the server work, then receives what there is.
    fn look(&mut self) {
        self.server.borrow_mut().pump();
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.is_at_end = true;
                    return;
                }
                Ok(len) => {
                    self.received.extend_from_slice(buffer.get(..len).unwrap_or_default());
                    self.server.borrow_mut().pump();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_at_end |= error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            self.look();
            if is_so(self) {
                return;
            }
            assert!(Instant::now() < deadline, "waited {DEADLINE:?} in vain for {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
