//! Talking with the `probe` server line by line, and what several test binaries share.
#![allow(dead_code)] // each binary uses a part of it
#![allow(clippy::panic, clippy::unwrap_used)] // a test that cannot go on

pub mod facts;
pub mod machine;
pub mod successors;

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ostler_testkit::{Client, DEADLINE, Random, ServerBuilder, TestError, TestResult, TestServer};

/// The probe with the sizes that its hostile commands rely on.
pub fn probe() -> ServerBuilder {
    TestServer::example("probe").set("workers", 2).set("reactors", 2).set("lane_size", 65_536)
}

/// The probe with one worker and one reactor: everything meets everything.
pub fn small_probe() -> ServerBuilder {
    probe().set("workers", 1).set("reactors", 1)
}

/// A connection on which questions are asked by the line.
pub struct Talk {
    pub client: Client,
    read: Vec<u8>,
}

impl Talk {
    pub fn new(server: &TestServer) -> TestResult<Self> {
        Ok(Self::with(server.connect()?))
    }

    pub fn with(client: Client) -> Self {
        Self { client, read: Vec::new() }
    }

    /// Sends a line.
    pub fn say(&mut self, line: &str) -> TestResult {
        self.client.send(format!("{line}\n").as_bytes())
    }

    /// Receives a line, without its end.
    pub fn line(&mut self) -> TestResult<String> {
        loop {
            if let Some(at) = self.read.iter().position(|byte| *byte == b'\n') {
                let rest = self.read.split_off(at + 1);
                self.read.pop();
                let line = String::from_utf8_lossy(&self.read).into_owned();
                self.read = rest;
                return Ok(line);
            }
            self.more("a line")?;
        }
    }

    /// Sends a line and receives one.
    pub fn ask(&mut self, line: &str) -> TestResult<String> {
        self.say(line)?;
        self.line()
    }

    /// Sends a line and expects another.
    pub fn expect_answer(&mut self, line: &str, expected: &str) -> TestResult {
        let answer = self.ask(line)?;
        if answer == expected {
            return Ok(());
        }
        Err(TestError::new(format!("{line:?}: {answer:?}, not {expected:?}")))
    }

    /// As `ask`, for a number.
    pub fn number(&mut self, line: &str) -> TestResult<u64> {
        let answer = self.ask(line)?;
        answer.parse().map_err(|_| TestError::new(format!("{line:?}: {answer:?} is no number")))
    }

    /// Expects this line next.
    #[track_caller]
    pub fn expect(&mut self, line: &str) {
        let got = self.line().unwrap_or_else(|error| panic!("expected {line:?}: {error}"));
        assert_eq!(got, line);
    }

    /// Receives exactly so many bytes.
    pub fn bytes(&mut self, count: usize) -> TestResult<Vec<u8>> {
        while self.read.len() < count {
            self.more("bytes")?;
        }
        let rest = self.read.split_off(count);
        Ok(std::mem::replace(&mut self.read, rest))
    }

    fn more(&mut self, what: &str) -> TestResult {
        let some = self.client.read_some()?;
        if some.is_empty() {
            let have = self.read.len();
            return Err(TestError::new(format!(
                "expected {what}, got the end behind {have} bytes"
            )));
        }
        self.read.extend(some);
        Ok(())
    }

    /// Expects the orderly end, with nothing before it.
    #[track_caller]
    pub fn expect_eof(mut self) {
        assert_eq!(String::from_utf8_lossy(&self.read), "", "bytes before the end");
        self.client.expect_eof().unwrap();
    }

    /// Expects an end of any kind, with nothing before it.
    #[track_caller]
    pub fn expect_closed(mut self) {
        assert_eq!(String::from_utf8_lossy(&self.read), "", "bytes before the end");
        self.client.expect_closed().unwrap();
    }

    /// Everything until the orderly end.
    pub fn rest(mut self) -> TestResult<Vec<u8>> {
        loop {
            let some = self.client.read_some()?;
            if some.is_empty() {
                return Ok(self.read);
            }
            self.read.extend(some);
        }
    }

    /// Sends in pieces of one to `most` bytes, as TCP may cut them.
    pub fn send_in_pieces(&mut self, bytes: &[u8], most: usize, random: &mut Random) -> TestResult {
        let mut rest = bytes;
        while !rest.is_empty() {
            let cut = (1 + random.next_u64() as usize % most).min(rest.len());
            let (piece, behind) = rest.split_at(cut);
            self.client.send(piece)?;
            rest = behind;
        }
        Ok(())
    }

    /// Whether the server has closed the connection; what it has sent before is left unread.
    pub fn is_closed(&self) -> bool {
        let stream = self.client.stream();
        stream.set_nonblocking(true).unwrap();
        let seen = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        match seen {
            Ok(bytes) => bytes == 0,
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    }

    /// Whether nothing arrives within a moment. Only for what must *not* happen.
    #[track_caller]
    pub fn expect_silence(&mut self) {
        assert_eq!(String::from_utf8_lossy(&self.read), "");
        let stream = self.client.stream();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut byte = [0];
        let result = (&mut &*stream).read(&mut byte);
        assert!(result.is_err(), "silence was expected, got {result:?} {byte:?}");
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
    }
}

/// Sends a RESP request of these words and expects the answer, byte for byte.
pub fn ask_resp(client: &mut Client, words: &[&str], answer: &str) -> TestResult {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    client.send(request.as_bytes())?;
    client.expect(answer.as_bytes())
}

/// The bytes that the probe sends for `big N`.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

/// The checksum that the probe answers to `sum`.
pub fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A directory of one test, removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> TestResult<Self> {
        // Tests of one program may run beside each other, also with the same word.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unique = format!("probe-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Makes the file for which somebody waits.
    pub fn make(&self, name: &str) -> TestResult {
        std::fs::write(self.path(name), b"")?;
        Ok(())
    }

    /// The lines of a file; none while it is not there.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Packages that were given so far to handlers of a probe that keeps its journal here
    /// (`PROBE_JOURNAL`).
    pub fn received(&self) -> usize {
        let lines = self.lines("journal");
        lines.iter().filter(|line| line.contains(" receive ")).count()
    }

    /// Waits until there were so many.
    pub fn wait_received(&self, packages: usize) -> TestResult {
        ostler_testkit::wait_until("the package to be started", || self.received() >= packages)
    }

    pub fn at(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Waits until the server has come to rest, then looks for three seconds whether anything stirs.
pub fn expect_idle(server: &TestServer) -> TestResult {
    let before = server.wait_for_rest()?;
    std::thread::sleep(Duration::from_secs(3));
    let after = server.stirring()?;
    if before == after {
        return Ok(());
    }
    Err(TestError::new(format!("in three seconds of nothing {before:?} became {after:?}")))
}

/// While one of the two workers of `server` is stuck in a package, every other session is served:
/// what was given to the stuck one beforehand is taken back.
pub fn expect_neighbours_served(
    server: &TestServer,
    scratch: &Scratch,
    talkers: usize,
    rounds: usize,
) -> TestResult {
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut stuck = Talk::new(server)?;
    stuck.say(&format!("until {} done", scratch.path("go").display()))?;
    let mut talks: Vec<Talk> =
        (0..talkers).map(|_| Talk::new(server)).collect::<TestResult<_>>()?;
    for round in 0..rounds {
        for talk in &mut talks {
            talk.say(&format!("echo {round}"))?;
        }
        for talk in &mut talks {
            talk.expect(&round.to_string());
        }
    }
    stuck.expect_silence();
    scratch.make("go")?;
    stuck.expect("done");
    Ok(())
}
