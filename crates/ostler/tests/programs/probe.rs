//! Probe: a line server whose commands exercise the whole interface, for the process tests.
//!
//! ```text
//! probe [--set NAME=VALUE]...
//! ```
//!
//! One line is one command (`framing = eof`, delimiter `\n`), each answer is one line unless said
//! otherwise. With `PROBE_JOURNAL=FILE` every callback appends a line to that file. The commands
//! that begin with `hostile` write nonsense into this process's own lanes and then wait to be
//! killed for it.

#![allow(clippy::panic)] // told to

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ostler::{
    CloseReason, Deferred, Error, Exit, Handler, KeepAlive, Outcome, Package, SendError, Server,
    Session, TimerId, Worker,
};
use ostler_shm::layout::Sizes;
use ostler_shm::record::{FLAG_PARTLY, FLAG_SKIPPED, Header, RecordKind};
use ostler_shm::words::{PhaseLine, ProcessWords};

/// Place of the phase words in the `up` file.
const PHASE_AT: u64 = 128;

/// A hostile command waits so long for its end.
const DOOM: Duration = Duration::from_secs(60);

struct Probe {
    /// Packages are pieces of a stream of lines.
    is_stream: bool,
    /// At most one line of a package is used.
    one_by_one: bool,
    journal: Option<File>,
    sizes: Sizes,
    tokens: RefCell<Vec<KeepAlive>>,
    deferred: Rc<RefCell<Vec<Deferred>>>,
    timers: RefCell<Vec<TimerId>>,
}

/// What became of an output, in one word.
fn outcome(result: Result<(), SendError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(error) if error.is_full() => "full",
        Err(error) if error.is_gone() => "gone",
        Err(error) if error.is_too_long() => "too_long",
        Err(error) if error.is_truncated() => "truncated",
        Err(_) => "unknown",
    }
}

/// Bytes whose order shows: 251 is prime to every power of two.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index % 251) as u8).collect()
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn wait_for_file(path: &str) {
    while !std::path::Path::new(path).exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn say(session: &Session, text: impl AsRef<str>) {
    let _ = session.send(format!("{}\n", text.as_ref()).as_bytes());
}

/// The arguments of a command, one by one.
struct Arguments<'a>(&'a str);

impl<'a> Arguments<'a> {
    fn word(&mut self) -> &'a str {
        let (word, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        word
    }

    fn number(&mut self) -> u64 {
        self.word().parse().unwrap_or(0)
    }

    fn size(&mut self) -> usize {
        self.number() as usize
    }

    fn millis(&mut self) -> Duration {
        Duration::from_millis(self.number())
    }

    fn rest(&self) -> String {
        self.0.to_owned()
    }
}

impl Probe {
    fn new(sizes: Sizes, is_stream: bool) -> Self {
        let journal = std::env::var_os("PROBE_JOURNAL")
            .and_then(|path| OpenOptions::new().append(true).create(true).open(path).ok());
        Self {
            is_stream,
            one_by_one: std::env::var_os("PROBE_ONE_BY_ONE").is_some(),
            journal,
            sizes,
            tokens: RefCell::default(),
            deferred: Rc::default(),
            timers: RefCell::default(),
        }
    }

    fn note(&self, worker: &Worker, what: impl AsRef<str>) {
        if let Some(mut journal) = self.journal.as_ref() {
            let line = format!("w{}.{} {}\n", worker.slot(), worker.generation(), what.as_ref());
            let _ = journal.write_all(line.as_bytes());
        }
    }

    /// Uses the whole lines of a package.
    fn on_stream(&mut self, worker: &Worker, session: &Session, package: &Package) {
        let mut used = 0;
        while let Some(rest) = package.get(used..)
            && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
        {
            let head = rest.get(..end.min(512)).unwrap_or(rest);
            used += end + 1;
            // Before the command, which may defer the package.
            package.consume(used);
            self.command(worker, session, package, &String::from_utf8_lossy(head));
            if self.one_by_one {
                break;
            }
        }
        package.consume(used);
        if package.is_last() {
            say(session, format!("last {}", package.len() - used));
        }
    }

    fn command(&mut self, worker: &Worker, session: &Session, package: &Package, line: &str) {
        let mut rest = Arguments(line);
        match rest.word() {
            "echo" => say(session, rest.rest()),
            "ref" => drop(session.send(package)),
            // The package so many times.
            "refs" => {
                let count = rest.size();
                let sent = (0..count).filter(|_| session.send(package).is_ok()).count();
                say(session, format!("sent {sent}"));
            }
            "sum" => say(session, format!("sum {} {}", package.len(), checksum(package))),
            "redelivered" => say(session, package.is_redelivered().to_string()),
            "big" => {
                let result = session.send(&pattern(rest.size()));
                if result.is_err() {
                    say(session, outcome(result));
                }
            }
            "bigs" => {
                let bytes = pattern(rest.size());
                for piece in bytes.chunks(rest.size().max(1)) {
                    // A client that reads may be slower than this loop.
                    while session.send(piece).is_err_and(|error| error.is_full()) {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
            }
            "close" => {
                say(session, "bye");
                let _ = session.close();
            }
            "closebig" => {
                let _ = session.send(&pattern(rest.size()));
                let _ = session.close();
            }
            "reset" => drop(session.reset()),
            "farewell" => self.farewell(worker, session, package, &mut rest),
            // Closes, and goes on until the file is there.
            "closeuntil" => {
                let _ = session.close();
                wait_for_file(rest.word());
            }
            "closeof" => say(session, outcome(worker.session(rest.number()).close())),
            "closeonly" => drop(worker.session(rest.number()).close()),
            "resetof" => say(session, outcome(worker.session(rest.number()).reset())),
            "state" => say(session, outcome(session.set_state(rest.rest().as_bytes()))),
            "statebig" => say(session, outcome(session.set_state(&pattern(rest.size())))),
            "rw" => {
                let _ = session.set_state(rest.rest().as_bytes());
                say(session, String::from_utf8_lossy(&session.state()));
            }
            "get" => say(session, String::from_utf8_lossy(&session.state())),
            "getof" => {
                let state = worker.session(rest.number()).state();
                say(session, String::from_utf8_lossy(&state));
            }
            "id" => say(session, session.id().to_string()),
            "info" => match session.info() {
                Some(info) => say(session, format!("{} {} {}", info.id, info.peer, info.is_full)),
                None => say(session, "none"),
            },
            "infoof" => {
                let info = worker.session(rest.number()).info();
                say(session, if info.is_some() { "some" } else { "none" });
            }
            "sessions" => {
                let mut ids: Vec<u64> = worker.sessions().iter().map(Session::id).collect();
                ids.sort_unstable();
                let words: Vec<String> = ids.iter().map(u64::to_string).collect();
                say(session, words.join(" "));
            }
            "send" => {
                let to = worker.session(rest.number());
                say(session, outcome(to.send(format!("{}\n", rest.rest()).as_bytes())));
            }
            "flood" => {
                let to = worker.session(rest.number());
                let (count, size) = (rest.number(), rest.size());
                say(session, flood(&[to], count, size));
            }
            "broadcast" => {
                let mut others = worker.sessions();
                others.retain(|other| other.id() != session.id());
                let (count, size) = (rest.number(), rest.size());
                say(session, flood(&others, count, size));
            }
            "whoami" => {
                let pid = std::process::id();
                say(session, format!("w{}.{} {pid}", worker.slot(), worker.generation()));
            }
            "arguments" => say(session, std::env::args().collect::<Vec<_>>().join(" ")),
            "finished" => say(session, worker.finished().to_string()),
            "sleep" => {
                std::thread::sleep(rest.millis());
                say(session, rest.rest());
            }
            // Sleeps until the file is there.
            "until" => {
                let path = rest.word();
                while !std::path::Path::new(path).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                say(session, rest.rest());
            }
            // Waits for the file, floods its own session and notes what came of it.
            "stalled" => {
                let path = rest.word();
                while !std::path::Path::new(path).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let (count, size) = (rest.number(), rest.size());
                let result = flood(std::slice::from_ref(session), count, size);
                self.note(worker, format!("flooded {result}"));
            }
            // Sends first, then waits: what is held back shows.
            "senduntil" => {
                let path = rest.word();
                let size = rest.size();
                let _ = session.send(&pattern(size));
                while !std::path::Path::new(path).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                say(session, "end");
            }
            "leave" => {
                say(session, "leaving");
                worker.leave();
            }
            "keepalive" => {
                self.tokens.borrow_mut().push(worker.keep_alive());
                say(session, "held");
            }
            "panic" => panic!("told to panic: {}", rest.rest()),
            "exit" => std::process::exit(rest.number() as i32),
            "abort" => std::process::abort(),
            "spin" => spin(),
            "start" => say(session, start_child().to_string()),
            // This process is another user's from now on.
            "become" => {
                let id = rustix::process::Uid::from_raw(rest.number() as u32);
                let became = rustix::thread::set_thread_uid(id);
                say(session, if became.is_ok() { "ok" } else { "refused" });
            }
            "open" => {
                let opened = File::open(rest.rest()).is_ok();
                say(session, if opened { "opened" } else { "refused" });
            }
            "hostile" => self.hostile(worker, session, &mut rest),
            word => self.timed_command(worker, session, package, word, &mut rest),
        }
    }

    /// Fills the lane when the file is there, ends its session, tries to go on and notes what came
    /// of it all: `farewell close|reset|token FILE`.
    fn farewell(
        &self,
        worker: &Worker,
        session: &Session,
        package: &Package,
        rest: &mut Arguments<'_>,
    ) {
        let how = rest.word();
        wait_for_file(rest.word());
        let filled = loop {
            match outcome(session.send(&pattern(20))) {
                "ok" => {}
                other => break other,
            }
        };
        // Those are as small as a close.
        while session.set_state(b"").is_ok() {}
        self.note(worker, format!("filled {filled}"));
        let ended = match how {
            "close" => session.close(),
            "reset" => session.reset(),
            _ => package.defer().map_or(Ok(()), |mut token| token.close()),
        };
        let later = [session.send(b"late"), session.set_state(b"late"), session.close()];
        let later = later.map(|result| result.err().and_then(|error| error.gone_because()));
        let later = later.map(|why| why.unwrap_or("-")).join(" ");
        self.note(worker, format!("ended {} {later}", outcome(ended)));
    }

    /// Everything that is held sends until it is refused, closes its session, and tries once more.
    fn held_farewell(&self, session: &Session) {
        say(session, "begin");
        for held in &mut *self.deferred.borrow_mut() {
            let filled = loop {
                match outcome(held.send(&pattern(1_000))) {
                    "ok" => {}
                    other => break other,
                }
            };
            // Those are as small as a close.
            while held.set_state(b"").is_ok() {}
            let closed = outcome(held.close());
            let late = held.send(b"late");
            let why = late.err().and_then(|error| error.gone_because()).unwrap_or("-");
            say(session, format!("{filled} {closed} {why}"));
        }
        self.deferred.borrow_mut().clear();
    }

    fn timed_command(
        &self,
        worker: &Worker,
        session: &Session,
        package: &Package,
        word: &str,
        rest: &mut Arguments<'_>,
    ) {
        match word {
            "defer" => {
                let delay = rest.millis();
                answer_later(worker, delay, package.defer(), rest.rest());
                if package.defer().is_some() {
                    say(session, "deferred twice");
                }
            }
            // Sends before it defers and after.
            "senddefer" => {
                say(session, "first");
                let delay = rest.millis();
                answer_later(worker, delay, package.defer(), rest.rest());
            }
            // Is finished without an answer.
            "deferdrop" => {
                drop(package.defer());
                say(session, "dropped");
            }
            // Is finished by the death of the process only.
            "hold" => self.deferred.borrow_mut().extend(package.defer()),
            // Answers everything that is held, as outputs of those deliveries.
            "release" => {
                let held = std::mem::take(&mut *self.deferred.borrow_mut());
                for mut deferred in held {
                    let _ = deferred.send(format!("released {}\n", rest.rest()).as_bytes());
                }
                say(session, "ok");
            }
            // The same to the one who asks, in the order in which they were held.
            "releasehere" => {
                let held = std::mem::take(&mut *self.deferred.borrow_mut());
                for (index, mut deferred) in held.into_iter().enumerate() {
                    let _ = deferred.send_to(session.id(), format!("{index}\n").as_bytes());
                }
            }
            // Is held, and sends all the same: not by its token.
            "holdsend" => {
                self.deferred.borrow_mut().extend(package.defer());
                say(session, rest.rest());
            }
            // A timer sends something, and holds it.
            "holdbig" => {
                let (delay, size) = (rest.millis(), rest.size());
                let (waiting, held) = (RefCell::new(package.defer()), Rc::clone(&self.deferred));
                worker.after::<Probe>(delay, move |_, _| {
                    if let Some(mut deferred) = waiting.borrow_mut().take() {
                        let _ = deferred.send(&pattern(size));
                        held.borrow_mut().push(deferred);
                    }
                    Ok(())
                });
            }
            // Everything that is held sends; this delivery has sent already, or waits then for a
            // file.
            "heldflood" => {
                say(session, "begin");
                let (count, size) = (rest.number(), rest.size());
                say(session, self.held_flood(count, size));
            }
            "heldfarewell" => self.held_farewell(session),
            "helduntil" => {
                let path = rest.word();
                let _ = self.held_flood(1, rest.size());
                while !std::path::Path::new(path).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                say(session, "end");
            }
            // Waits for the file, floods its own session by its token, and is finished.
            "stalleddefer" => {
                let path = rest.word();
                while !std::path::Path::new(path).exists() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                self.deferred.borrow_mut().extend(package.defer());
                let (count, size) = (rest.number(), rest.size());
                let result = self.held_flood(count, size);
                self.note(worker, format!("flooded {result}"));
                self.deferred.borrow_mut().clear();
            }
            "deferbig" => {
                let (delay, size) = (rest.millis(), rest.size());
                let held = RefCell::new(package.defer());
                worker.after::<Probe>(delay, move |_, _| {
                    if let Some(mut deferred) = held.borrow_mut().take() {
                        let _ = deferred.send(&pattern(size));
                    }
                    Ok(())
                });
            }
            "deferclose" => {
                let held = RefCell::new(package.defer());
                worker.after::<Probe>(rest.millis(), move |_, _| {
                    if let Some(mut deferred) = held.borrow_mut().take() {
                        let _ = deferred.set_state(b"closing");
                        let _ = deferred.send(b"bye\n");
                        let _ = deferred.close();
                        deferred.finish();
                    }
                    Ok(())
                });
            }
            // The timer panics while it holds the deferred package.
            "deferpanic" => {
                let held = RefCell::new(package.defer());
                let again = package.is_redelivered();
                worker.after::<Probe>(rest.millis(), move |_, _| {
                    let deferred = held.borrow_mut().take();
                    if !again {
                        panic!("told to panic with a deferred package");
                    }
                    if let Some(mut deferred) = deferred {
                        let _ = deferred.send(b"second time\n");
                    }
                    Ok(())
                });
            }
            // Waits in a thread of its own, and answers by the way into this worker from there: N
            // times, in order.
            "remote" => {
                let (remote, id) = (worker.remote::<Self>(), session.id());
                let (delay, count, text) = (rest.millis(), rest.number(), rest.rest());
                std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    for number in 0..count {
                        let line = format!("{number} {text}");
                        let _ = remote.post(move |me, worker| {
                            me.note(worker, format!("posted {line}"));
                            say(&worker.session(id), line);
                        });
                    }
                });
            }
            // Is answered by another thread: so many lines after a while. With 0 lines the thread
            // panics.
            "deferthread" => {
                let (delay, count, text) = (rest.millis(), rest.number(), rest.rest());
                let Some(mut deferred) = package.defer() else { return };
                std::thread::spawn(move || {
                    std::thread::sleep(delay);
                    assert!(count > 0, "told to panic with a deferred package");
                    for number in 0..count {
                        while deferred
                            .send(format!("{number} {text}\n").as_bytes())
                            .is_err_and(|error| error.is_full())
                        {
                            std::thread::sleep(Duration::from_millis(1));
                        }
                    }
                });
            }
            "after" => {
                let (delay, session, text) = (rest.millis(), session.clone(), rest.rest());
                worker.after::<Probe>(delay, move |_, _| {
                    say(&session, &text);
                    Ok(())
                });
            }
            // Sends N times and cancels itself.
            "every" => {
                let (period, count) = (rest.millis(), rest.number());
                let (session, text) = (session.clone(), rest.rest());
                let state = Rc::new(RefCell::new((0, None)));
                let shared = Rc::clone(&state);
                let timer = worker.every::<Probe>(period, move |_, worker| {
                    let mut state = shared.borrow_mut();
                    state.0 += 1;
                    say(&session, format!("{} {text}", state.0));
                    if state.0 == count
                        && let Some(timer) = state.1
                    {
                        say(&session, format!("cancelled {}", worker.cancel(timer)));
                        say(&session, format!("cancelled {}", worker.cancel(timer)));
                    }
                    Ok(())
                });
                state.borrow_mut().1 = Some(timer);
            }
            // A big message that belongs to no delivery.
            "afterbig" => {
                let (delay, size, session) = (rest.millis(), rest.size(), session.clone());
                worker.after::<Probe>(delay, move |_, _| {
                    let _ = session.send(&pattern(size));
                    Ok(())
                });
            }
            // A timer whose callback takes longer than its period.
            "busyevery" => {
                let (period, work) = (rest.millis(), rest.millis());
                let timer = worker.every::<Probe>(period, move |_, _| {
                    std::thread::sleep(work);
                    Ok(())
                });
                self.timers.borrow_mut().push(timer);
                say(session, "busy");
            }
            "canceltimers" => {
                let timers = std::mem::take(&mut *self.timers.borrow_mut());
                let cancelled = timers.into_iter().filter(|timer| worker.cancel(*timer)).count();
                say(session, format!("cancelled {cancelled}"));
            }
            // A timer that adds the next one, for ever.
            "rearm" => {
                rearm(worker, rest.millis());
                say(session, "armed");
            }
            // The phase words of this process, now or when its handler is over.
            "phase" => say(session, phase()),
            "phaselater" => {
                let session = session.clone();
                worker.after::<Probe>(Duration::ZERO, move |_, _| {
                    say(&session, phase());
                    Ok(())
                });
            }
            "panictimer" => {
                worker.after::<Probe>(rest.millis(), |_, _| panic!("told to panic in a timer"));
            }
            _ => say(session, format!("unknown {word}")),
        }
    }

    /// Sends messages by every token that is held.
    fn held_flood(&self, count: u64, size: usize) -> String {
        let bytes = pattern(size);
        let (mut ok, mut full, mut other) = (0, 0, 0);
        for deferred in self.deferred.borrow_mut().iter_mut() {
            for _ in 0..count {
                match outcome(deferred.send(&bytes)) {
                    "ok" => ok += 1,
                    "full" => full += 1,
                    _ => other += 1,
                }
            }
        }
        format!("ok {ok} full {full} other {other}")
    }

    // ---- hostile
    // ---------------------------------------------------------------------------------------------

    fn hostile(&self, worker: &Worker, session: &Session, rest: &mut Arguments<'_>) {
        let what = rest.word();
        let mut random = Random(rest.number() ^ u64::from(std::process::id()));
        let (Some(up), bells) = (Memory::open("ostler-up"), bells()) else {
            return say(session, "there is no up file");
        };
        let reactor = ostler_shm::sessions::reactor_of(session.id());
        let words = self.sizes.up_words_at(reactor);
        let ring = self.sizes.out_ring_at(reactor);
        let put = |at: u64, value: u64| drop(up.write(&value.to_le_bytes(), at));
        let get = |at: u64| {
            let mut bytes = [0; 8];
            let _ = up.read(&mut bytes, at);
            u64::from_le_bytes(bytes)
        };
        let (taken, freed, written, commit) = (words, words + 8, words + 64, 0);
        // A record is behind those that are there, whatever else is wrong with it.
        let record = |header: Header, len: u64| {
            let at = get(written);
            let offset = at & (self.sizes.lane_size - 1);
            for (index, word) in header.to_words().into_iter().enumerate() {
                put(ring + offset + 8 * index as u64, word);
            }
            put(written, at + len);
            put(commit, get(commit) + 1);
        };
        // The number of the next record is not known here; the last one in the ring knows it.
        let last_seq = self.last_seq(&up, ring, get(written));
        let good = Header {
            len: 64,
            kind: RecordKind::Fin as u8,
            seq: last_seq + 1,
            stamp: get(commit) + 1,
            ..Header::default()
        };
        match what {
            "words" => {
                for at in (0..self.sizes.out_ring_at(0)).step_by(8) {
                    put(at, random.next());
                }
            }
            "ring" => {
                for at in (0..self.sizes.lane_size).step_by(8) {
                    put(ring + at, random.next());
                }
                put(written, get(written) + 64);
                put(commit, u64::MAX);
            }
            "commit_back" => {
                put(commit, 0);
                put(written, get(written) + 64);
            }
            "written_far" => {
                put(written, !63);
                put(commit, get(commit) + 1);
            }
            "written_back" => {
                put(written, 0);
                put(commit, get(commit) + 1);
            }
            "written_odd" => {
                put(written, get(written) + 1);
                put(commit, get(commit) + 1);
            }
            "taken_far" => {
                put(taken, u64::MAX);
                record(Header { kind: RecordKind::Close as u8, subject: 0, ..good }, 64);
            }
            "taken_back" => {
                put(taken, 0);
                record(Header { kind: RecordKind::Close as u8, subject: 0, ..good }, 64);
            }
            "freed_far" => {
                put(freed, get(taken) + (1 << 20));
                record(Header { kind: RecordKind::Close as u8, subject: 0, ..good }, 64);
            }
            "freed_odd" => {
                put(freed, get(freed) + 8);
                record(Header { kind: RecordKind::Close as u8, subject: 0, ..good }, 64);
            }
            // All that was given is freed, also what was never taken.
            "freed_untaken" => {
                let up_to = rest.number();
                put(freed, (get(taken) - 1) + up_to);
                record(Header { kind: RecordKind::Close as u8, subject: 0, ..good }, 64);
            }
            "fin_unknown" => record(Header { cause: 1 << 40, ..good }, 64),
            "skip_unknown" => {
                record(Header { cause: 1 << 40, flags: FLAG_SKIPPED, ..good }, 64);
            }
            "fin_zero" => record(Header { cause: 0, ..good }, 64),
            // A part of this delivery is said to be used: its number, and how many bytes.
            "fin_partly" => {
                let (cause, total) = (rest.number(), rest.number() as u32);
                record(Header { flags: FLAG_PARTLY, cause, total, ..good }, 64);
            }
            "expose_unknown" => {
                record(Header { kind: RecordKind::Expose as u8, cause: 77_777, ..good }, 64);
            }
            "kind_unknown" => record(Header { kind: 99, ..good }, 64),
            "kind_down" => record(Header { kind: RecordKind::Data as u8, ..good }, 64),
            "seq_wrong" => record(Header { seq: last_seq + 2, ..good }, 64),
            "len_zero" => record(Header { len: 0, ..good }, 64),
            "len_huge" => record(Header { len: u32::MAX, ..good }, 64),
            "len_beyond" => record(Header { len: 128, ..good }, 64),
            "reference" => {
                let header = Header {
                    kind: RecordKind::OutReference as u8,
                    subject: session.id(),
                    cause: rest.number(),
                    part_offset: u32::MAX,
                    total: u32::MAX,
                    ..good
                };
                record(header, 64);
            }
            // Flips random words for a while and goes on as if nothing had happened.
            "fuzz" => {
                let places = [commit, 64, 72, 128, 136, taken, freed, written, words + 128];
                for _ in 0..rest.number().max(1) {
                    match random.next() % 4 {
                        0 => put((random.next() % self.sizes.up_len()) & !7, random.next()),
                        1 => {
                            let at = places.get(random.next() as usize % places.len());
                            put(at.copied().unwrap_or(0), random.next());
                        }
                        2 => {
                            let at =
                                *places.get(random.next() as usize % places.len()).unwrap_or(&0);
                            put(at, get(at).wrapping_add(random.next() % 256 * 64));
                        }
                        _ => put(
                            ring + ((random.next() % self.sizes.lane_size) & !7),
                            random.next() % 1024,
                        ),
                    }
                }
                ring_all(&bells);
                return say(session, "fuzzed");
            }
            "bells" => {
                let doom = Instant::now() + DOOM;
                while Instant::now() < doom {
                    ring_all(&bells);
                    std::thread::yield_now();
                }
            }
            "few_bells" => {
                for _ in 0..500 {
                    ring_all(&bells);
                }
                return say(session, "rung");
            }
            // Says from now on that a delivery takes so long, whatever the engine says of it in
            // between.
            "work" => {
                let work_ns = std::mem::offset_of!(ProcessWords, phase)
                    + std::mem::offset_of!(PhaseLine, work_ns);
                let lie = rest.word().parse::<u64>().unwrap_or(u64::MAX).to_le_bytes();
                std::thread::spawn(move || {
                    while up.write(&lie, work_ns as u64).is_ok() {
                        std::thread::sleep(Duration::from_micros(20));
                    }
                });
                return say(session, format!("w{} lies", worker.slot()));
            }
            // The master's files are sealed: nothing can be written into them.
            "down" => {
                let refused = ["ostler-down", "ostler-board"].map(|name| {
                    Memory::open(name).map_or("missing", |memory| {
                        if memory.write(&[0xff; 64], 0).is_err() { "refused" } else { "written" }
                    })
                });
                return say(session, refused.join(" "));
            }
            "child" => return say(session, format!("child {}", start_child())),
            _ => return say(session, "unknown kind of harm"),
        }
        self.note(worker, format!("harm {what}"));
        ring_all(&bells);
        std::thread::sleep(DOOM);
    }

    /// The number of the last record that ends at `written`: the ring is searched for the newest
    /// one.
    fn last_seq(&self, up: &Memory, ring: u64, written: u64) -> u64 {
        let capacity = self.sizes.lane_size;
        let mut at = written.saturating_sub(capacity).next_multiple_of(64);
        let mut last = 0;
        while at < written {
            let mut bytes = [0; 64];
            if up.read(&mut bytes, ring + (at & (capacity - 1))).is_err() {
                return last;
            }
            let mut words = [0; 8];
            for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(8)) {
                *word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
            }
            let header = Header::from_words(words);
            // In a ring that never wrapped the first record is at 0 and each tells where the next
            // one is.
            last = header.seq;
            at += u64::from(header.len.max(64)).next_multiple_of(64);
        }
        last
    }
}

/// Starts a process that outlives this one, with everything that it inherits; its number.
fn start_child() -> u32 {
    let child = Command::new("sleep")
        .arg("300")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.map_or(0, |child| child.id())
}

/// A one-shot timer that adds the next one.
fn rearm(worker: &Worker, period: Duration) {
    worker.after::<Probe>(period, move |_, worker| {
        rearm(worker, period);
        Ok(())
    });
}

/// What this process says of itself to those who look: the session that it works for (0: none).
fn phase() -> String {
    let mut word = [0; 8];
    let read = Memory::open("ostler-up").map(|memory| memory.read(&mut word, PHASE_AT));
    format!("phase {} {}", matches!(read, Some(Ok(()))), u64::from_ne_bytes(word))
}

/// Answers a deferred package by a timer.
fn answer_later(worker: &Worker, delay: Duration, deferred: Option<Deferred>, text: String) {
    let held = RefCell::new(deferred);
    worker.after::<Probe>(delay, move |_, _| {
        if let Some(mut deferred) = held.borrow_mut().take() {
            let _ = deferred.send(format!("{text}\n").as_bytes());
        }
        Ok(())
    });
}

fn flood(to: &[Session], count: u64, size: usize) -> String {
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

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Numbers and targets of this process's descriptors.
fn descriptors() -> Vec<(i32, String)> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let mut found: Vec<(i32, String)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            let target = std::fs::read_link(entry.path()).ok()?;
            Some((number, target.to_string_lossy().into_owned()))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Shared memory of this process, past all that the library allows: its files are closed, but it is
/// mapped.
struct Memory {
    all: File,
    at: u64,
}

impl Memory {
    fn open(name: &str) -> Option<Self> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let line = maps.lines().find(|line| line.contains(name))?;
        let at = u64::from_str_radix(line.split_once('-')?.0, 16).ok()?;
        let all = OpenOptions::new().read(true).write(true).open("/proc/self/mem").ok()?;
        Some(Self { all, at })
    }

    fn write(&self, bytes: &[u8], at: u64) -> std::io::Result<()> {
        self.all.write_all_at(bytes, self.at + at)
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
        self.all.read_exact_at(bytes, self.at + at)
    }
}

/// Every eventfd of this process: its own bell and those of its lanes.
fn bells() -> Vec<OwnedFd> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let Ok(own) = pidfd_open(getpid(), PidfdFlags::empty()) else { return Vec::new() };
    descriptors()
        .into_iter()
        .filter(|(_, target)| target.contains("eventfd"))
        .filter_map(|(number, _)| pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).ok())
        .collect()
}

fn ring_all(bells: &[OwnedFd]) {
    for bell in bells {
        let _ = rustix::io::write(bell, &1u64.to_ne_bytes());
    }
}

impl Handler for Probe {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        self.note(worker, "start");
        let hang = std::env::var_os("PROBE_HANG_START_IF_EXISTS");
        while hang.as_ref().is_some_and(|path| std::path::Path::new(path).exists()) {
            std::thread::sleep(Duration::from_millis(10));
        }
        match std::env::var_os("PROBE_FAIL_START_IF_EXISTS") {
            Some(path) if std::path::Path::new(&path).exists() => Err("told to fail".into()),
            _ => Ok(()),
        }
    }

    fn on_connect(&mut self, worker: &Worker, session: &Session) -> Outcome {
        self.note(worker, format!("connect {}", session.id()));
        if let Some(path) = std::env::var_os("PROBE_HOLD_CONNECT_UNTIL") {
            while !std::path::Path::new(&path).exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        if std::env::var_os("PROBE_GREET").is_some() {
            say(session, "hello");
        }
        Ok(())
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        if self.journal.is_some() {
            self.note(worker, format!("receive {} {}", session.id(), package.len()));
        }
        if self.is_stream {
            self.on_stream(worker, session, package);
            return Ok(());
        }
        // Commands are at the front; the rest of a long line is only weighed.
        let head = package.get(..512).unwrap_or(package);
        let line = String::from_utf8_lossy(head);
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        if let Some(why) = line.strip_prefix("fail ") {
            say(session, "sent before it failed");
            return Err(why.into());
        }
        self.command(worker, session, package, &line);
        Ok(())
    }

    fn on_close(&mut self, worker: &Worker, session: &Session, reason: CloseReason) -> Outcome {
        let state = String::from_utf8_lossy(&session.state()).into_owned();
        let info = if session.info().is_some() { "info" } else { "noinfo" };
        let sent = session.send(b"too late\n");
        let why = sent.err().and_then(|error| error.gone_because()).unwrap_or("-");
        let (sent, reason) = (outcome(sent), reason.name());
        self.note(worker, format!("close {} {info} {sent} {why} {reason} {state}", session.id()));
        Ok(())
    }

    fn on_worker_exit(&mut self, worker: &Worker) {
        self.note(worker, "exit");
        self.tokens.borrow_mut().clear();
    }

    fn on_worker_stop(&mut self, worker: &Worker) {
        self.note(worker, "stop");
    }
}

fn serve() -> ostler::Result<()> {
    // The engine says what there is to say of a panic in one line; the default hook would add some
    // more.
    std::panic::set_hook(Box::new(|_| {}));
    let mut builder = Server::builder()
        .set("framing", "eof")
        .set("package_eof", "\\n")
        .set("listen", "127.0.0.1:0");
    // For the hostile commands, which are given both.
    let mut sizes = Sizes { reactors: 1, lane_size: 64 * 1024 };
    let mut is_stream = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let pair = arguments.next();
        let pair = pair.as_deref().and_then(|pair| pair.split_once('='));
        let (true, Some((name, value))) = (argument == "--set", pair) else {
            return Err(Error::usage("usage: probe [--set NAME=VALUE]..."));
        };
        match name {
            "framing" => is_stream = value == "stream",
            "reactors" => sizes.reactors = value.parse().unwrap_or(1),
            "lane_size" => sizes.lane_size = value.parse().unwrap_or(64 * 1024),
            _ => {}
        }
        builder = builder.set(name, value);
    }
    let server = builder.bind()?;
    let server = match std::env::var_os("PROBE_RUN_WHEN_EXISTS") {
        // Is known before it serves.
        Some(path) => {
            println!("listening on {}", server.local_address());
            while !std::path::Path::new(&path).exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            server
        }
        None => server.on_listening(|address| println!("listening on {address}")),
    };
    server.run(move |_| match std::env::var_os("PROBE_FAIL_MAKE_IF_EXISTS") {
        Some(path) if std::path::Path::new(&path).exists() => Err("told not to be made"),
        _ => Ok(Probe::new(sizes, is_stream)),
    })
}

fn main() -> Exit {
    serve().into()
}
