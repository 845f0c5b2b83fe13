//! One talker in a room of five hundred who never listen, and some who do: memory stays bounded,
//! the chat goes on.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ostler_testkit::{Client, DEADLINE, TestError, TestResult, TestServer};

use super::clients::Deaf;
use super::memory::{Memory, heap_limit_mib, mib};
use super::sheet::Sheet;
use super::stage::{Stage, end};

const LISTENERS: usize = 4;
/// Length of what the talker says.
const LINE_BYTES: usize = 1_000;
/// A listener that reads at once may miss lines only while the server has no memory for it.
const HEARD_LEAST: f64 = 0.99;
/// Lines heard every second by everybody who reads, at the least: the chat is not at a standstill.
const LINES_PER_S_LEAST: f64 = 5.0;
/// The talker's last line, which lets the listeners end.
const LAST: u64 = u64::MAX;

pub(super) fn run(stage: &Stage, sheet: &mut Sheet<'_>) -> TestResult {
    let (deaf_count, time) =
        stage.pick((500, Duration::from_secs(20)), (200, Duration::from_secs(3)));
    let server = stage.chat().set("harden", "off").start()?;
    let master = server.master();
    let mut talker = Talker::connect(&server)?;
    let listeners =
        (0..LISTENERS).map(|_| Listener::start(&server)).collect::<TestResult<Vec<_>>>()?;
    // Said and heard once by everybody before the deaf come.
    talker.say(1)?;
    await_heard(&listeners, 1)?;
    let base = Memory::of(&master)?;

    let deaf = Deaf::start(server.address(), deaf_count, None)?;
    deaf.wait_open(deaf_count as u64 * 9 / 10)?;
    let talking = talker.talk(time)?;
    let most = Memory::most_during(&master, time)?;
    let Ok(talked) = talking.join() else { return Err(TestError::new("the talker panicked")) };
    let (mut talker, said) = talked?;
    let closed = deaf.closed();
    deaf.stop();
    // With the deaf gone, the last line is heard by everybody.
    talker.say(LAST)?;
    let heard: Vec<Heard> = listeners.into_iter().map(Listener::join).collect::<TestResult<_>>()?;
    let least = heard.iter().map(|heard| heard.lines).min().unwrap_or_default();
    let doubled = heard.iter().map(|heard| heard.doubled).sum();
    let swapped: u64 = heard.iter().map(|heard| heard.swapped).sum();

    sheet.told("deaf listeners", deaf_count);
    sheet.told("times one was closed", closed);
    sheet.at_most(
        "master heap beyond its base",
        mib(most.anonymous_bytes.saturating_sub(base.anonymous_bytes)),
        heap_limit_mib(deaf_count),
        "MiB",
    );
    sheet.told("master Pss, most", format_args!("{:.1} MiB", mib(most.total_bytes)));
    let per_s = said as f64 / time.as_secs_f64();
    let met = per_s >= LINES_PER_S_LEAST;
    sheet.check("lines said", format!("{per_s:.1}/s"), format!(">= {LINES_PER_S_LEAST}/s"), met);
    sheet.share_at_least("heard by each who listens", least as f64 / said as f64, HEARD_LEAST);
    sheet.none("lines heard twice", doubled);
    // The order is kept for each pair of a worker and a session; two lines may have been said by
    // two workers.
    sheet.told("lines overtaken by a later one", swapped);
    drop(talker);
    let ended = end(server, sheet)?;
    let books = ended.books()?;
    sheet.told("closed for the memory budget", books.detail("closed_memory_budget"));
    sheet.told("closed as slow readers", books.detail("closed_slow_reader"));
    Ok(())
}

/// Says numbered lines, each followed by a command whose answer shows that the line was dealt with.
struct Talker {
    reader: BufReader<TcpStream>,
}

type Talk = JoinHandle<TestResult<(Talker, u64)>>;

impl Talker {
    fn connect(server: &TestServer) -> TestResult<Self> {
        Ok(Self { reader: BufReader::new(server.connect()?.stream().try_clone()?) })
    }

    fn say(&mut self, number: u64) -> TestResult {
        let text = "x".repeat(LINE_BYTES);
        let mut stream = self.reader.get_ref();
        stream.write_all(format!("line {number} {text}\n/unknown\n").as_bytes())?;
        let mut line = Vec::new();
        loop {
            line.clear();
            if self.reader.read_until(b'\n', &mut line)? == 0 {
                return Err(TestError::new("the talker was closed"));
            }
            if line.starts_with(b"* commands") {
                return Ok(());
            }
        }
    }

    /// Talks on a thread of its own, as fast as it is answered; returns how many lines were said.
    fn talk(mut self, time: Duration) -> TestResult<Talk> {
        let thread = std::thread::Builder::new().name("talker".to_owned());
        Ok(thread.spawn(move || {
            let end = Instant::now() + time;
            let mut number = 1;
            while Instant::now() < end {
                number += 1;
                self.say(number)?;
            }
            Ok((self, number))
        })?)
    }
}

/// What a listener heard of the talker.
struct Heard {
    /// Different lines.
    lines: u64,
    /// Lines heard before.
    doubled: u64,
    /// Lines that came behind a later one.
    swapped: u64,
}

/// Reads all that is said, on a thread of its own, until the last line.
struct Listener {
    thread: JoinHandle<TestResult<Heard>>,
    newest: Arc<AtomicU64>,
}

impl Listener {
    fn start(server: &TestServer) -> TestResult<Self> {
        let client = server.connect()?;
        let newest = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&newest);
        let builder = std::thread::Builder::new().name("listener".to_owned());
        let thread = builder.spawn(move || listen(&client, &shared))?;
        Ok(Self { thread, newest })
    }

    fn join(self) -> TestResult<Heard> {
        self.thread.join().map_err(|_| TestError::new("a listener panicked"))?
    }
}

fn listen(client: &Client, newest: &AtomicU64) -> TestResult<Heard> {
    let mut reader = BufReader::new(client.stream());
    let (mut line, mut known, mut latest) = (Vec::new(), HashSet::new(), 0);
    let mut heard = Heard { lines: 0, doubled: 0, swapped: 0 };
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Err(TestError::new("a listener was closed"));
        }
        // `guest123: line 7 xxx`; all else is about who comes and goes.
        let text = String::from_utf8_lossy(&line);
        let number = text.split_once(": line ").and_then(|(_, rest)| rest.split(' ').next());
        let Some(number) = number.and_then(|digits| digits.parse::<u64>().ok()) else { continue };
        if number == LAST {
            return Ok(heard);
        }
        if !known.insert(number) {
            heard.doubled += 1;
            continue;
        }
        heard.lines += 1;
        heard.swapped += u64::from(number < latest);
        latest = latest.max(number);
        newest.store(latest, Ordering::Relaxed);
    }
}

fn await_heard(listeners: &[Listener], number: u64) -> TestResult {
    let limit = Instant::now() + DEADLINE;
    while listeners.iter().any(|listener| listener.newest.load(Ordering::Relaxed) < number) {
        if Instant::now() > limit {
            return Err(TestError::timeout("a line was not heard by everybody"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
