//! What commands are made of, and what their answers say.

use std::path::Path;
use std::time::Duration;

use ostler::{Package, SendError, Session, Worker};

/// A command with those that it is for.
pub(crate) struct Call<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) session: &'a Session,
    pub(crate) package: &'a Package,
    pub(crate) arguments: Arguments<'a>,
}

impl Call<'_> {
    /// Answers with a line.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        say(self.session, text);
    }
}

/// The arguments of a command, one by one.
pub(crate) struct Arguments<'a>(pub(crate) &'a str);

impl<'a> Arguments<'a> {
    pub(crate) fn word(&mut self) -> &'a str {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        word
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.word().parse().unwrap_or(0)
    }

    pub(crate) fn size(&mut self) -> usize {
        self.number() as usize
    }

    pub(crate) fn millis(&mut self) -> Duration {
        Duration::from_millis(self.number())
    }

    pub(crate) fn rest(&self) -> String {
        self.0.to_owned()
    }
}

/// What became of an output, in one word.
pub(crate) fn outcome(result: Result<(), SendError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(error) if error.is_full() => "full",
        Err(error) if error.is_gone() => "gone",
        Err(error) if error.is_too_long() => "too_long",
        Err(error) if error.is_truncated() => "truncated",
        Err(error) if error.is_unreachable() => "unreachable",
        Err(_) => "unknown",
    }
}

/// Bytes whose order shows: 251 is prime to every power of two.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Waits until the file is there.
pub(crate) fn wait_for_file(path: impl AsRef<Path>) {
    while !path.as_ref().exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Sends a line.
pub(crate) fn say(session: &Session, text: impl AsRef<str>) {
    let _ = session.send(format!("{}\n", text.as_ref()).as_bytes());
}

/// Sends to each of them so many times, and says what came of it.
pub(crate) fn flood(to: &[Session], count: u64, size: usize) -> String {
    let bytes = pattern(size);
    let (mut ok, mut full, mut gone, mut other) = (0, 0, 0, 0);
    for _ in 0..count {
        for session in to {
            match outcome(session.send(&bytes)) {
                "ok" => ok += 1,
                "full" => full += 1,
                "gone" => gone += 1,
                _ => other += 1,
            }
        }
    }
    format!("ok {ok} full {full} gone {gone} other {other}")
}
