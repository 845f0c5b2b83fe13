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
//! Without a file the data live as long as their worker, which must be the only one.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use ostler::{Error, Exit, Handler, Options, Outcome, Package, Server, Session, Worker};

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

/// Answers of so many bytes are sent before more requests are carried out.
const ANSWERS_MAX: usize = 256 * 1024;
/// More than an answer has besides its value.
const ANSWER_FRAME: usize = 64;

#[derive(Default)]
struct Store {
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// Every change, in order. All workers, also one that leaves beside its successor, append to it
    /// and read what the others have appended.
    file: Option<File>,
    /// The file is carried out up to here.
    read_to: u64,
    /// Answers to several requests fit into one send, and so does any of them behind those.
    answers_max: usize,
    value_max: usize,
}

impl Store {
    fn open(path: Option<&PathBuf>, max_send_bytes: usize) -> std::io::Result<Self> {
        let open = |path| OpenOptions::new().read(true).append(true).create(true).open(path);
        let answers_max = ANSWERS_MAX.min(max_send_bytes / 2);
        let mut store = Self {
            file: path.map(open).transpose()?,
            answers_max,
            value_max: max_send_bytes - answers_max - ANSWER_FRAME,
            ..Self::default()
        };
        store.catch_up()?;
        Ok(store)
    }

    /// Carries out what was appended since the last look.
    fn catch_up(&mut self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut bytes = vec![0; (file.metadata()?.len().saturating_sub(self.read_to)) as usize];
        file.read_exact_at(&mut bytes, self.read_to)?;
        let mut read = 0;
        while let Ok(Some((words, len))) = request(bytes.get(read..).unwrap_or(&[])) {
            self.answer(&words);
            read += len;
        }
        self.read_to += read as u64;
        Ok(())
    }

    /// Appends a change before it is carried out.
    fn keep(&mut self, change: &[u8]) -> std::io::Result<()> {
        let Some(lock) = self.file.as_ref().map(File::try_clone).transpose()? else {
            return Ok(());
        };
        lock.lock()?; // the kernel gives it back when this process dies
        let kept = self.catch_up().and_then(|()| {
            // What a worker did not write to the end before it died.
            lock.set_len(self.read_to)?;
            (&lock).write_all(change)
        });
        lock.unlock()?;
        self.read_to += if kept.is_ok() { change.len() as u64 } else { 0 };
        kept
    }

    /// Carries out a request and answers it.
    fn answer(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let name = words.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        match (name.as_slice(), words) {
            (b"GET", [_, key]) => match self.values.get(*key) {
                // Kept when `max_send_bytes` was larger.
                Some(value) if value.len() > self.value_max => self.too_long(value.len()),
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

    fn too_long(&self, len: usize) -> Vec<u8> {
        format!("-ERR a value has at most {} bytes, not {len}\r\n", self.value_max).into_bytes()
    }

    /// Looks at what others have changed, keeps what this request changes, carries it out.
    fn serve(&mut self, words: &[&[u8]], request: &[u8]) -> Vec<u8> {
        let reads = words.first().is_some_and(|name| name.eq_ignore_ascii_case(b"GET"));
        if let Some(value) = words.get(2).filter(|value| value.len() > self.value_max) {
            return self.too_long(value.len());
        }
        let kept = if reads { self.catch_up() } else { self.keep(request) };
        match kept {
            Ok(()) => self.answer(words),
            Err(error) => format!("-ERR not kept: {error}\r\n").into_bytes(),
        }
    }
}

impl Handler for Store {
    fn on_receive(&mut self, _worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let (mut used, mut answers, mut malformed) = (0, Vec::new(), false);
        loop {
            let rest = package.get(used..).unwrap_or(&[]);
            match request(rest) {
                // What is left comes again at once.
                _ if answers.len() >= self.answers_max => break package.consume(used),
                Ok(Some((words, len))) => {
                    answers.extend(self.serve(&words, rest.get(..len).unwrap_or(&[])));
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
    let builder = Server::builder()
        // Without a file one worker has all the data.
        .workers(1)
        .help("keyvalue [--file PATH]: GET, SET and DEL of the Redis protocol")
        .from_env("OSTLER_");
    let (builder, own) = builder.take_args(std::env::args_os().skip(1));
    let path = file(&own)?;
    let is_kept = path.is_some();
    let server = builder.demand(move |options| one_worker_or_a_file(options, is_kept)).bind()?;
    let server = server.on_listening(|address| println!("listening on {address}"));
    server.run(move |worker| Store::open(path.as_ref(), worker.max_send_bytes()))
}

/// The argument of its own: `--file PATH` or `--file=PATH`.
fn file(own: &[OsString]) -> ostler::Result<Option<PathBuf>> {
    match own {
        [] => Ok(None),
        [name, path] if name == "--file" => Ok(Some(PathBuf::from(path))),
        _ => {
            let word = own.first().filter(|_| own.len() == 1);
            let path = word.and_then(|word| word.as_bytes().strip_prefix(b"--file="));
            let wrong = || Error::usage("write: keyvalue [--file PATH] [--set NAME=VALUE]...");
            Ok(Some(PathBuf::from(OsStr::from_bytes(path.ok_or_else(wrong)?))))
        }
    }
}

fn one_worker_or_a_file(options: &Options, is_kept: bool) -> Result<(), String> {
    if is_kept || options.get("workers").as_deref() == Some("1") {
        return Ok(());
    }
    Err("without a file each worker would have data of its own: write --file PATH, or set \
         workers = 1"
        .to_owned())
}

fn main() -> Exit {
    serve().into()
}
