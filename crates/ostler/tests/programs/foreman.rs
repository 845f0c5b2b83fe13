//! Foreman: a server whose clients order tasks, for the process tests. One order a line:
//!
//! * `wait MS TASK`: waits for the first result, at most so long (or for `ever`); answers it, or
//!   `error: WHY`;
//! * `multi MS TASK|TASK`: the same for several, answered in one line;
//! * `then TASK`, `report TASK`, `send TASK`: answers `asked N`, and then, but for `send`, each
//!   result as `N: RESULT` and a failure as `N: error: WHY`;
//! * `keep TASK`: waits until it is taken in; answers `kept` or `error: WHY`;
//! * `to SLOT ORDER`, `after MS ORDER`, `low ORDER`, `high ORDER`: the same order on other terms;
//! * `burst N TASK`: asks N tasks with `then`; each is heard of as above;
//! * `size N`: waits for a result of N bytes to a payload of N bytes; answers `same N`;
//! * `part N`: the same with the last N bytes of this line as the payload;
//! * `overlap TASK`: the client, the task and its result have parts of one package that overlap;
//! * `nested TASK`: waits for 5 000 bytes in its callback; answers `nested N and 5000`;
//! * `lie TASK`: when its result is told, says that it has let go of answers that it never had;
//! * `hostile WHAT`: writes a record that nobody honest writes;
//! * `die TASK`: asks it and dies before its package is finished;
//! * `whoami`: answers who serves; `id`: which session this is;
//! * `figures`: answers how many tasks the server has asked and has open, as its statistics say;
//! * `unheard`: answers how many results and ends were nobody's.
//!
//! A task says what its worker does: `echo TEXT`, `twice TEXT`, `silent`, `whoami`, `who` (has
//! asked), `attempt`, `sleep MS`, `later MS TEXT`
//! (sleeps before it answers), `gate FILE` (makes FILE.waits, waits for FILE), `late TEXT` (a
//! result, and a minute of sleep), `start FILE` (appends its attempt), `stop FILE` (the same, and
//! sleeps at the first), `fail`, `abort`, `append FILE TEXT`, `die FILE` (the first who
//! comes there), `early FILE` (the same, with a result before), `big N` (a result of N bytes),
//! `nest TASK` (waits for a task), `tell ID TEXT` (sends a session a line), `hold ID` (opens a
//! stream to a session, which ends with `let-go`), `hostile WHAT`.

#[path = "hostile_record.rs"]
mod hostile_record;
#[path = "probe/memory.rs"]
#[allow(dead_code, reason = "of another program, which needs all of it")]
mod memory;

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use ostler::{
    Exit, Framing, Handler, Outcome, Package, Server, Session, Task, TaskError, TaskPriority,
    TaskRequest, TaskResult, Worker, Writer,
};
use ostler_shm::layout::Sizes;
use ostler_shm::record::{FLAG_REFERENCE, Header, RecordKind};
use ostler_shm::words::ProcessWords;

#[derive(Default)]
struct Foreman {
    /// Who has ordered a task that is reported.
    sessions: HashMap<u64, u64>,
    /// Of tasks that are not over before `let-go`.
    writers: Vec<Writer>,
}

/// An order and its terms.
struct Terms<'a> {
    to: Option<u16>,
    after: Option<Duration>,
    priority: Option<TaskPriority>,
    order: &'a str,
}

impl<'a> Terms<'a> {
    fn read(mut order: &'a str) -> Self {
        let (mut to, mut after, mut priority) = (None, None, None);
        loop {
            let (word, rest) = split(order);
            let rest = match word {
                "to" => {
                    let (slot, rest) = split(rest);
                    to = slot.parse().ok();
                    rest
                }
                "after" => {
                    let (ms, rest) = split(rest);
                    after = Some(millis(ms));
                    rest
                }
                "low" => {
                    priority = Some(TaskPriority::Low);
                    rest
                }
                "high" => {
                    priority = Some(TaskPriority::High);
                    rest
                }
                _ => return Self { to, after, priority, order },
            };
            order = rest;
        }
    }

    fn request<'b>(&self, worker: &'b Worker, task: &'b str) -> TaskRequest<'b> {
        let mut request = worker.task(task.as_bytes());
        if let Some(slot) = self.to {
            request = request.to(slot);
        }
        if let Some(after) = self.after {
            request = request.after(after);
        }
        request.priority(self.priority.unwrap_or_default())
    }
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn millis(text: &str) -> Duration {
    if text == "ever" {
        return Duration::MAX;
    }
    Duration::from_millis(text.parse().unwrap_or(0))
}

fn text_of(result: Result<&[u8], TaskError>) -> String {
    match result {
        Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Err(error) => format!("error: {error}"),
    }
}

fn say(session: &Session, line: &str) -> Outcome {
    Ok(session.send(format!("{line}\n").as_bytes())?)
}

/// Bytes that show when one is lost or doubled.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

impl Foreman {
    fn then(worker: &Worker, session: &Session, terms: &Terms<'_>, task: &str) -> Outcome {
        let id = session.id();
        let asked = terms.request(worker, task).then::<Self>(move |_, worker, result| {
            let line = format!("{}: {}", result.task(), text_of(result.bytes()));
            say(&worker.session(id), &line)
        });
        match asked {
            Ok(number) => say(session, &format!("asked {number}")),
            Err(error) => say(session, &format!("error: {error}")),
        }
    }

    fn wait(worker: &Worker, session: &Session, terms: &Terms<'_>, rest: &str) -> Outcome {
        let (ms, task) = split(rest);
        let result = terms.request(worker, task).wait(millis(ms));
        say(session, &text_of(result.as_deref().map_err(|error| *error)))
    }

    fn size(worker: &Worker, session: &Session, len: usize) -> Outcome {
        let payload = pattern(len);
        match worker.task_wait(&payload, Duration::from_secs(20)) {
            Ok(result) if result == payload => say(session, &format!("same {len}")),
            Ok(result) => say(session, &format!("different {}", result.len())),
            Err(error) => say(session, &format!("error: {error}")),
        }
    }

    /// The client, the task and its result have parts of one package, and they overlap.
    fn overlap(worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let task = package.get("overlap ".len()..package.len() - 1).ok_or("too short")?;
        let id = session.id();
        worker.task(task).then::<Self>(move |_, worker, result| {
            worker.session(id).send(result.bytes()?)?;
            say(&worker.session(id), "")
        })?;
        Ok(session.send(package.get(package.len() / 3..).ok_or("too short")?)?)
    }

    fn part(worker: &Worker, session: &Session, package: &Package, len: usize) -> Outcome {
        let part = package.trim_ascii_end();
        let part = part.get(part.len() - len..).ok_or("longer than the line")?;
        match worker.task_wait(part, Duration::from_secs(20)) {
            Ok(result) if result == part => say(session, &format!("same {len}")),
            other => say(session, &format!("different {other:?}")),
        }
    }
}

impl Handler for Foreman {
    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let line = String::from_utf8_lossy(package).into_owned();
        let terms = Terms::read(line.trim_end());
        let (word, rest) = split(terms.order);
        match word {
            "wait" => Self::wait(worker, session, &terms, rest),
            "multi" => {
                let (ms, tasks) = split(rest);
                let tasks: Vec<&[u8]> = tasks.split('|').map(str::as_bytes).collect();
                let results = worker.task_wait_multi(&tasks, millis(ms));
                let texts = results.iter().map(|it| text_of(it.as_deref().map_err(|it| *it)));
                say(session, &texts.collect::<Vec<_>>().join("|"))
            }
            "then" => Self::then(worker, session, &terms, rest),
            "burst" => {
                let (count, task) = split(rest);
                for _ in 0..count.parse::<u64>()? {
                    Self::then(worker, session, &terms, task)?;
                }
                Ok(())
            }
            "report" => {
                let number = terms.request(worker, rest).report()?;
                self.sessions.insert(number, session.id());
                say(session, &format!("asked {number}"))
            }
            "send" => match terms.request(worker, rest).send() {
                Ok(number) => say(session, &format!("asked {number}")),
                Err(error) => say(session, &format!("error: {error}")),
            },
            "keep" => match terms.request(worker, rest).keep(Duration::from_secs(20)) {
                Ok(()) => say(session, "kept"),
                Err(error) => say(session, &format!("error: {error}")),
            },
            "size" => Self::size(worker, session, rest.parse()?),
            "part" => Self::part(worker, session, package, split(rest).0.parse()?),
            "overlap" => Self::overlap(worker, session, package),
            "nested" => {
                let id = session.id();
                terms.request(worker, rest).then::<Self>(move |_, worker, result| {
                    let other = worker.task_wait(b"big 5000", Duration::from_secs(20))?;
                    let is_whole = result.bytes()?.iter().chain(&other).all(|byte| *byte == b'x');
                    let (len, other) = (result.bytes()?.len(), other.len());
                    let line = format!("nested {len} and {other}");
                    say(&worker.session(id), if is_whole { &line } else { "torn" })
                })?;
                Ok(())
            }
            "lie" => {
                terms.request(worker, rest).then::<Self>(|_, worker, _| lie(worker))?;
                Ok(())
            }
            "hostile" => be_hostile(rest),
            "die" => {
                terms.request(worker, rest).send()?;
                std::process::abort();
            }
            "whoami" => say(session, &whoami(worker)),
            "join" => {
                session.join("room")?;
                say(session, "joined")
            }
            "id" => say(session, &session.id().to_string()),
            "figures" => say(session, &figures(worker)),
            "unheard" => say(session, &worker.stats().tasks.unheard.to_string()),
            _ => Err(format!("no order: {line}").into()),
        }
    }

    fn on_finish(&mut self, worker: &Worker, result: &TaskResult) -> Outcome {
        if result.is_inherited() {
            return hear_for_the_dead(worker, result);
        }
        let id = self.sessions.get(&result.task()).copied().unwrap_or(0);
        let line = format!("{}: {}", result.task(), text_of(result.bytes()));
        say(&worker.session(id), &line)
    }

    fn on_task(&mut self, worker: &Worker, task: &Task) -> Outcome {
        let text = String::from_utf8_lossy(task);
        let (word, rest) = split(&text);
        match word {
            "echo" => Ok(task.finish(rest.as_bytes())?),
            "twice" => {
                task.finish(rest.as_bytes())?;
                Ok(task.finish(rest.as_bytes())?)
            }
            "silent" => Ok(()),
            "whoami" => Ok(task.finish(whoami(worker).as_bytes())?),
            "who" => Ok(task.finish(task.asker().as_bytes())?),
            "attempt" => Ok(task.finish(task.attempt().to_string().as_bytes())?),
            "start" | "stop" => note_attempt(task, word, rest),
            "sleep" => {
                std::thread::sleep(millis(rest));
                Ok(task.finish(b"slept")?)
            }
            "gate" => {
                std::fs::write(format!("{rest}.waits"), "")?;
                wait_for_gate(Path::new(rest));
                Ok(task.finish(b"open")?)
            }
            "fail" => Err("told to".into()),
            "append" => append(task, rest),
            "die" => {
                if is_first(rest) {
                    std::process::abort();
                }
                Ok(task.finish(b"survived")?)
            }
            "announce" => announce(worker, task, rest),
            "early" => finish_early(task, rest),
            "later" => {
                let (ms, text) = split(rest);
                std::thread::sleep(millis(ms));
                Ok(task.finish(text.as_bytes())?)
            }
            "late" => {
                task.finish(rest.as_bytes())?;
                std::thread::sleep(Duration::from_secs(60));
                Ok(())
            }
            "abort" => std::process::abort(),
            "big" => Ok(task.finish("x".repeat(rest.parse()?).as_bytes())?),
            "nest" => {
                let error = worker.task_wait(rest.as_bytes(), Duration::from_secs(1)).err();
                let text = error.map_or_else(|| "waited".to_owned(), |error| error.to_string());
                Ok(task.finish(text.as_bytes())?)
            }
            "tell" => tell(worker, rest),
            "hold" => {
                self.writers.push(worker.session(rest.parse()?).writer()?);
                Ok(())
            }
            "let-go" => {
                self.writers.clear();
                Ok(task.finish(b"gone")?)
            }
            "hostile" => be_hostile(rest),
            // What `size` asks.
            _ => Ok(task.finish(task)?),
        }
    }
}

fn note_attempt(task: &Task, word: &str, path: &str) -> Outcome {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{}\n", task.attempt()).as_bytes())?;
    if word == "stop" && task.attempt() == 1 {
        std::thread::sleep(Duration::from_secs(60));
    }
    Ok(task.finish(b"started")?)
}

fn append(task: &Task, rest: &str) -> Outcome {
    let (path, text) = split(rest);
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{text}\n").as_bytes())?;
    Ok(task.finish(text.as_bytes())?)
}

/// The result says into which new file this is to be noted. Its end is no news.
fn hear_for_the_dead(worker: &Worker, result: &TaskResult) -> Outcome {
    let path = String::from_utf8_lossy(result.bytes()?).trim().to_owned();
    let heard = format!("w{}.{} heard of {}", worker.slot(), worker.generation(), result.task());
    let unfinished = format!("{path}.new");
    std::fs::write(&unfinished, heard)?;
    if std::fs::exists(&path)? {
        return Err("heard twice".into());
    }
    Ok(std::fs::rename(unfinished, path)?)
}

/// Whether nobody has been here: a file says so from now on.
fn is_first(path: &str) -> bool {
    OpenOptions::new().write(true).create_new(true).open(path).is_ok()
}

/// How many tasks the server has asked, and has open.
fn figures(worker: &Worker) -> String {
    let tasks = worker.stats().tasks;
    format!("{} {}", tasks.asked, tasks.open)
}

/// Tells a session, and a room, in which attempt; the first one dies then.
fn announce(worker: &Worker, task: &Task, rest: &str) -> Outcome {
    let (file, rest) = split(rest);
    let (id, len) = split(rest);
    let text = format!("{} {}", task.attempt(), "x".repeat(len.parse()?));
    tell(worker, &format!("{id} {text}"))?;
    worker.group("room").send(format!("room {text}\n").as_bytes())?;
    if is_first(file) {
        std::process::abort();
    }
    Ok(task.finish(b"announced")?)
}

/// Sends a session a line.
fn tell(worker: &Worker, rest: &str) -> Outcome {
    let (id, text) = split(rest);
    say(&worker.session(id.parse()?), text)
}

/// Dies behind its result, the first time.
fn finish_early(task: &Task, rest: &str) -> Outcome {
    task.finish(b"early")?;
    if is_first(rest) {
        std::process::abort();
    }
    Ok(())
}

/// As long as a test may take, at most.
fn wait_for_gate(gate: &Path) {
    (0..4_000).take_while(|_| !gate.exists()).for_each(|_| {
        std::thread::sleep(Duration::from_millis(5));
    });
}

fn whoami(worker: &Worker) -> String {
    let kind = if worker.is_task_worker() { 't' } else { 'w' };
    format!("{kind}{}.{} {}", worker.slot(), worker.generation(), std::process::id())
}

/// A record of this kind, filled in one of several ways, and behind it one that is of no kind.
fn any_record(kind: u8, form: u8) -> [Header; 2] {
    let plain = Header { len: 64, kind, seq: 1, stamp: 1, ..Header::default() };
    let all = u64::MAX;
    let header = match form {
        0 => plain,
        1 => Header { subject: 7, cause: 77, port: 3, part_offset: 5, total: 5, ..plain },
        2 => Header { flags: 0xff, subject: 1, cause: 1, total: 1, ..plain },
        3 => Header { subject: all, cause: all, part_offset: !0, total: !0, ..plain },
        // With 64 bytes behind it.
        _ => Header { len: 128, subject: 1, cause: 1, total: 64, ..plain },
    };
    [header, Header { kind: 250, ..Header { len: 64, seq: 1, stamp: 1, ..Header::default() } }]
}

/// Writes a record that nobody honest writes, as the next of this process, and sleeps until it is
/// killed for it.
/// What stands behind the first word makes the task long.
fn be_hostile(what: &str) -> Outcome {
    let (what, rest) = split(what);
    let memory = memory::Memory::open("ostler-up").ok_or("no lanes")?;
    let sizes = Sizes { reactors: 1, lane_size: 65_536 };
    if what == "record" {
        let (kind, form) = split(rest);
        let [header, end] = any_record(kind.parse()?, form.parse()?);
        hostile_record::commit_all_and_sleep(&memory, &sizes, &[header, end]);
    }
    let good = Header {
        len: 64,
        kind: RecordKind::Result as u8,
        seq: 1,
        cause: 1,
        stamp: 1,
        ..Header::default()
    };
    let header = match what {
        "result_unknown" => Header { cause: 77, ..good },
        "result_long" => Header { total: u32::MAX, ..good },
        "result_part" => Header { part_offset: 5, total: 5, ..good },
        "result_more" => Header { flags: 1, total: 0, ..good },
        "fin_unknown" => Header { kind: RecordKind::Fin as u8, cause: 77, ..good },
        "expose_unknown" => Header { kind: RecordKind::Expose as u8, cause: 77, ..good },
        "ask_without_terms" => Header { kind: RecordKind::AskTask as u8, ..good },
        "reference_unknown" => Header { flags: FLAG_REFERENCE, cause: 77, ..good },
        "reference_outside" => {
            Header { flags: FLAG_REFERENCE, part_offset: 4_000, total: 4_000, ..good }
        }
        "reference_short" => Header { flags: FLAG_REFERENCE, total: 1, ..good },
        "reference_with_bytes" => Header { flags: FLAG_REFERENCE, len: 72, total: 1, ..good },
        "ask_reference" => Header {
            kind: RecordKind::AskTask as u8,
            flags: FLAG_REFERENCE,
            len: 72,
            cause: 77,
            ..good
        },
        "answer_reference" => {
            Header { kind: RecordKind::OutReference as u8, flags: FLAG_REFERENCE, ..good }
        }
        "down" => Header { kind: RecordKind::Task as u8, ..good },
        "answer" => Header { kind: RecordKind::Answer as u8, ..good },
        "end" => Header { kind: RecordKind::TaskEnd as u8, ..good },
        _ => return Err(format!("no harm: {what}").into()),
    };
    hostile_record::commit_and_sleep(&memory, &sizes, &header)
}

/// Says that this process has let go of more than it was given, and sends something, so that it is
/// heard.
fn lie(worker: &Worker) -> Outcome {
    let memory = memory::Memory::open("ostler-up").ok_or("no lanes")?;
    let sizes = Sizes { reactors: 1, lane_size: 65_536 };
    let word = std::mem::offset_of!(ProcessWords, answers) as u64;
    memory.put(sizes.process_words_at() + word, 99);
    worker.task(b"echo lied").send()?;
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn main() -> Exit {
    let server = Server::builder().framing(Framing::lines());
    let (server, _) = server.take_args(std::env::args_os().skip(1));
    let served = server.bind().and_then(|server| {
        server.on_listening(|ports| println!("listening on {ports}")).run(|_| Foreman::default())
    });
    served.into()
}
