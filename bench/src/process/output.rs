//! Keeps a server's pipes empty: the first line of stdout is handed over, the end of stderr is kept
//! for messages.

use std::io::{BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::{Error, Result};

const FIRST_LINE_BYTES: u64 = 4 * 1024;
const TAIL_BYTES: usize = 4 * 1024;

fn thread(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    // Detached: it ends with the last process that holds the pipe.
    started.map(drop).map_err(Error::system("start a thread for a server's output"))
}

/// Reads `stdout` to its end. The receiver gets the first line, or nothing if there is none.
pub(super) fn first_line(stdout: impl Read + Send + 'static) -> Result<Receiver<String>> {
    let (sender, receiver) = channel();
    thread("stdout", move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if matches!(stdout.by_ref().take(FIRST_LINE_BYTES).read_line(&mut line), Ok(1..)) {
            // Nobody waits for it any more: then it is not needed.
            _ = sender.send(line);
        }
        drop(sender);
        // A read error is the end of the output like any other end.
        _ = std::io::copy(&mut stdout, &mut std::io::sink());
    })?;
    Ok(receiver)
}

/// The last bytes of a stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail {
    kept: Arc<Mutex<Vec<u8>>>,
    /// Set when the stream has ended.
    ended: Arc<AtomicBool>,
}

impl Tail {
    /// Reads `stream` to its end.
    pub(super) fn follow(mut stream: impl Read + Send + 'static) -> Result<Self> {
        let tail = Self::default();
        let shared = tail.clone();
        thread("stderr", move || {
            let mut piece = [0; TAIL_BYTES];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                shared.push(piece.get(..length).unwrap_or_default());
            }
            shared.ended.store(true, Ordering::Release);
        })?;
        Ok(tail)
    }

    fn push(&self, bytes: &[u8]) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let excess = kept.len().saturating_sub(TAIL_BYTES);
        kept.drain(..excess);
    }

    /// Whether the stream has ended, so that what is kept is all of its end.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// What is kept now.
    pub(super) fn text(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn the_first_line_comes_or_the_channel_ends() {
        let line = first_line(Cursor::new("one\ntwo\n")).unwrap().recv();
        assert_eq!(line.as_deref(), Ok("one\n"));
        assert!(first_line(Cursor::new("")).unwrap().recv().is_err());
    }

    #[test]
    fn the_tail_is_bounded() {
        let tail = Tail::default();
        tail.push(&[b'a'; TAIL_BYTES]);
        tail.push(b"end");
        assert_eq!(tail.text().len(), TAIL_BYTES);
        assert!(tail.text().ends_with("aend"));
    }
}
