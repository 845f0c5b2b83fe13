//! Key-value store: speaks the part of the Redis protocol that `GET`, `SET` and `DEL` need. Try:
//! redis-cli -p 9501
//!
//! It shows how a protocol without end marks is parsed in a worker: a request that has not come
//! whole yet is left with the server ([`Package::consume`]), so that it survives a worker that dies
//! between its two halves. The data survive in a file, to which every change is appended before it
//! is answered.
//!
//! ```text
//! keyvalue [--file PATH] [--set NAME=VALUE]...
//! ```
//!
//! Without a file the data live as long as their worker.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write as _};
use std::path::PathBuf;

use ostler::{CrashPolicy, Exit, Handler, Outcome, Package, Server, Session, Worker};

/// Words of a request; `SET key value` has three.
const WORDS_MAX: usize = 16;

/// A request that can never become whole.
struct Malformed;

/// The words of a request and its length in bytes.
type Request<'a> = (Vec<&'a [u8]>, usize);

/// The first request in `bytes`. `None`: it is not whole yet.
fn request(bytes: &[u8]) -> Result<Option<Request<'_>>, Malformed> {
    let Some((count, mut at)) = number(bytes, 0, b'*')? else { return Ok(None) };
    if count == 0 || count > WORDS_MAX {
        return Err(Malformed);
    }
    let mut words = Vec::new();
    for _ in 0..count {
        let Some((len, start)) = number(bytes, at, b'$')? else { return Ok(None) };
        let end = start.checked_add(len).ok_or(Malformed)?;
        let Some(word) = bytes.get(start..end) else { return Ok(None) };
        let Some(mark) = bytes.get(end..end + 2) else { return Ok(None) };
        if mark != b"\r\n" {
            return Err(Malformed);
        }
        words.push(word);
        at = end + 2;
    }
    Ok(Some((words, at)))
}

/// A line of `kind` and a number at place `at`, and the place behind it.
fn number(bytes: &[u8], at: usize, kind: u8) -> Result<Option<(usize, usize)>, Malformed> {
    const DIGITS_MAX: usize = 9;
    let line = bytes.get(at..).unwrap_or(&[]);
    let Some(first) = line.first() else { return Ok(None) };
    if *first != kind {
        return Err(Malformed);
    }
    let window = line.get(..DIGITS_MAX + 3).unwrap_or(line);
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() < line.len() { Err(Malformed) } else { Ok(None) };
    };
    let digits = line.get(1..end).and_then(|digits| std::str::from_utf8(digits).ok());
    let number = digits.and_then(|digits| digits.parse().ok()).ok_or(Malformed)?;
    Ok(Some((number, at + end + 2)))
}

struct Store {
    values: HashMap<Vec<u8>, Vec<u8>>,
    path: Option<PathBuf>,
    file: Option<File>,
}

impl Store {
    fn new(path: Option<PathBuf>) -> Self {
        Self { values: HashMap::new(), path, file: None }
    }

    /// Carries out a request and answers it.
    fn answer(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let name = words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        match (name.as_slice(), words) {
            (b"GET", [_, key]) => match self.values.get(*key) {
                Some(value) => {
                    [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat()
                }
                None => b"$-1\r\n".to_vec(),
            },
            (b"SET", [_, key, value]) => {
                self.values.insert(key.to_vec(), value.to_vec());
                b"+OK\r\n".to_vec()
            }
            (b"DEL", [_, key]) => {
                format!(":{}\r\n", u8::from(self.values.remove(*key).is_some())).into_bytes()
            }
            _ => b"-ERR it is GET key, SET key value or DEL key\r\n".to_vec(),
        }
    }

    /// Appends a request that changes something to the file, as it came.
    fn keep(&mut self, words: &[&[u8]], request: &[u8]) -> std::io::Result<()> {
        let changes = words.first().is_some_and(|name| !name.eq_ignore_ascii_case(b"GET"));
        match &mut self.file {
            Some(file) if changes => file.write_all(request),
            _ => Ok(()),
        }
    }
}

impl Handler for Store {
    /// Reads what predecessors have kept, and cuts off what one of them did not write to the end.
    fn on_worker_start(&mut self, _worker: &Worker) -> Outcome {
        let Some(path) = &self.path else { return Ok(()) };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut read = 0;
        while let Ok(Some((words, len))) = request(bytes.get(read..).unwrap_or(&[])) {
            self.answer(&words);
            read += len;
        }
        file.set_len(read as u64)?;
        self.file = Some(file);
        Ok(())
    }

    fn on_receive(&mut self, _worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let (mut used, mut answers, mut malformed) = (0, Vec::new(), false);
        loop {
            let rest = package.get(used..).unwrap_or(&[]);
            match request(rest) {
                Ok(Some((words, len))) => {
                    let kept = self.keep(&words, rest.get(..len).unwrap_or(&[]));
                    answers.extend(match kept {
                        Ok(()) => self.answer(&words),
                        Err(error) => format!("-ERR not kept: {error}\r\n").into_bytes(),
                    });
                    used += len;
                }
                // The rest comes again, with what the client sends next.
                Ok(None) => break package.consume(used),
                Err(Malformed) => {
                    answers.extend(b"-ERR this is no request\r\n");
                    malformed = true;
                    break;
                }
            }
        }
        session.send(&answers)?;
        if malformed {
            session.close()?;
        }
        Ok(())
    }
}

fn serve() -> ostler::Result<()> {
    let mut path = None;
    let mut arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--file") {
        path = arguments.get(at + 1).map(PathBuf::from);
        arguments.drain(at..arguments.len().min(at + 2));
    }
    let server = Server::builder()
        // One worker has all the data.
        .workers(1)
        // To carry out a request twice after a crash comes to the same.
        .crash_policy(CrashPolicy::Redeliver(3))
        .from_env("OSTLER_")
        .args(arguments)
        .bind()?;
    let server = server.on_listening(|address| println!("listening on {address}"));
    server.run(move |_| Store::new(path.clone()))
}

fn main() -> Exit {
    serve().into()
}
