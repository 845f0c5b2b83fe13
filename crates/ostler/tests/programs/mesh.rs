//! Mesh: a server whose processes send each other messages, for the process tests. Besides the
//! workers there are the user processes `body` (it is called with its messages), `reader` (it waits
//! for them) and `once` (it ends at once), and a companion. One order a line:
//!
//! * `whoami`: answers who serves;
//! * `tell SLOT WHAT`: sends a message; answers `sent N` or `error: WHY`;
//! * `flood SLOT N BYTES`: sends N messages of so many bytes, numbered; the receiver says
//!   `in order N` behind the last one if none came out of order. Answers `flooded ACCEPTED`;
//! * `die SLOT WHAT`: sends a message and dies before its package is finished;
//! * `call SLOT MS NAME TEXT`: calls a command and waits for its result, which it answers, or
//!   `error: WHY`; `later SLOT MS NAME TEXT`: the same by a callback, as `later: RESULT`;
//! * `sum`: answers what of the messages for this session did not arrive.
//!
//! `SLOT` is `w1`, `t0`, `c`, or the name of a user process. What a message says its receiver does:
//! `say TEXT` (to the session that has ordered it, as `RECEIVER<-SENDER TEXT`), `via SLOT WHAT`
//! (sends the rest on), `size TEXT` (says how long it is), `sleep MS` (says `sleeps` first),
//! `abort`, `hostile WHAT`.
//! The commands are `who`, `echo TEXT`, `big N` (answers N bytes), `fail`, `sleep MS`, `abort`.
//! What did not arrive is told to the session as `undelivered: WHY` if `tell` had ordered it, and
//! counted if `flood` had.

#[path = "hostile_record.rs"]
mod hostile_record;
#[path = "probe/memory.rs"]
#[allow(dead_code, reason = "of another program, which needs all of it")]
mod memory;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use ostler::{
    CommandError, Exit, Framing, Handler, Message, MessageError, Outcome, Package, ProcessBody,
    ProcessSlot, Restart, Server, ServerEvents, Session, Undelivered, UserProcess, Worker,
};
use ostler_shm::layout::Sizes;
use ostler_shm::record::{Header, RecordKind};

/// What a process knows of messages.
#[derive(Default)]
struct Node {
    /// The session of each message of its own, and whether it is one of a flood.
    own: HashMap<u64, (u64, bool)>,
    /// How many of a flood did not arrive, by session.
    lost: BTreeMap<u64, u64>,
    /// The next number of the flood of each sender.
    next: HashMap<ProcessSlot, u64>,
}

fn split(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}

fn slot_of(worker: &Worker, name: &str) -> Result<ProcessSlot, String> {
    let number = |rest: &str| rest.parse::<u16>().map_err(|error| error.to_string());
    if let Some(process) = worker.find_process(name) {
        return Ok(process);
    }
    match name.split_at_checked(1) {
        Some(("w", rest)) => Ok(number(rest)?.into()),
        Some(("t", rest)) => Ok(ProcessSlot::TaskWorker(number(rest)?)),
        Some(("u", rest)) => Ok(ProcessSlot::UserProcess(number(rest)?)),
        Some(("c", "")) => Ok(ProcessSlot::Companion),
        _ => Err(format!("no slot: {name}")),
    }
}

fn say(worker: &Worker, session: u64, text: &str) -> Outcome {
    Ok(worker.session(session).send(format!("{text}\n").as_bytes())?)
}

impl Node {
    fn tell(&mut self, worker: &Worker, session: u64, rest: &str) -> Result<u64, MessageError> {
        let (slot, what) = split(rest);
        let slot = slot_of(worker, slot).unwrap_or(ProcessSlot::UserProcess(u16::MAX));
        let number = worker.send_message(slot, format!("{session} {what}").as_bytes())?;
        self.own.insert(number, (session, false));
        Ok(number)
    }

    fn flood(&mut self, worker: &Worker, session: u64, rest: &str) -> Result<u64, String> {
        let (slot, rest) = split(rest);
        let (count, bytes) = split(rest);
        let slot = slot_of(worker, slot)?;
        let count = count.parse::<u64>().map_err(|error| error.to_string())?;
        let padding = "x".repeat(bytes.parse().unwrap_or(0));
        let mut accepted = 0;
        for number in 0..count {
            let what = format!("{session} number {number} {count} {padding}");
            if let Ok(number) = worker.send_message(slot, what.as_bytes()) {
                self.own.insert(number, (session, true));
                accepted += 1;
            }
        }
        Ok(accepted)
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        let text = String::from_utf8_lossy(message);
        let (session, what) = split(&text);
        let session: u64 = session.parse()?;
        let (verb, rest) = split(what);
        let way = format!("{}<-{}", worker.process_slot(), message.sender());
        match verb {
            "say" => say(worker, session, &format!("{way} {rest}")),
            "size" => say(worker, session, &format!("{way} {}", pattern_len(rest))),
            "via" => Ok(self.tell(worker, session, rest).map(drop)?),
            "sleep" => {
                say(worker, session, &format!("{way} sleeps"))?;
                std::thread::sleep(Duration::from_millis(rest.parse()?));
                Ok(())
            }
            "abort" => std::process::abort(),
            "hostile" => be_hostile(rest),
            "number" => self.number(worker, session, message.sender(), rest),
            _ => Err(format!("no message: {what}").into()),
        }
    }

    fn number(
        &mut self,
        worker: &Worker,
        session: u64,
        sender: ProcessSlot,
        rest: &str,
    ) -> Outcome {
        let (number, rest) = split(rest);
        let (number, count): (u64, u64) = (number.parse()?, split(rest).0.parse()?);
        let next = self.next.entry(sender).or_insert(0);
        if number < *next && number != 0 {
            return say(worker, session, &format!("out of order: {number} behind {next}"));
        }
        *next = number + 1;
        if number + 1 == count {
            *next = 0;
            return say(worker, session, &format!("in order {count}"));
        }
        Ok(())
    }

    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        match self.own.remove(&undelivered.number()) {
            Some((session, false)) => {
                say(worker, session, &format!("undelivered: {}", undelivered.error()))
            }
            Some((session, true)) => {
                *self.lost.entry(session).or_insert(0) += 1;
                Ok(())
            }
            None => Err("undelivered, and never sent".into()),
        }
    }
}

/// How many bytes a text has that shows when one is lost or doubled; 0 when one is.
fn pattern_len(text: &str) -> usize {
    let right = text.bytes().enumerate().all(|(at, byte)| byte == b'a' + (at % 23) as u8);
    if right { text.len() } else { 0 }
}

/// What a process lets others call.
fn add_commands<H: 'static>(worker: &Worker) {
    let added = [
        worker.add_command::<H>("who", |_, worker, _| {
            Ok(worker.process_slot().to_string().into_bytes())
        }),
        worker.add_command::<H>("echo", |_, _, text| Ok(text.to_vec())),
        worker.add_command::<H>("big", |_, _, len| {
            let len = std::str::from_utf8(len)?.parse()?;
            Ok(vec![b'x'; len])
        }),
        worker.add_command::<H>("fail", |_, _, _| Err("told to".into())),
        worker.add_command::<H>("sleep", |_, _, ms| {
            let ms = std::str::from_utf8(ms)?.parse()?;
            std::thread::sleep(Duration::from_millis(ms));
            Ok(b"slept".to_vec())
        }),
        worker.add_command::<H>("abort", |_, _, _| std::process::abort()),
    ];
    assert!(added.into_iter().all(|added| added), "they are new");
    assert!(!worker.add_command::<H>("who", |_, _, _| Ok(Vec::new())), "that is there");
}

fn text_of(result: Result<Vec<u8>, CommandError>) -> String {
    match result {
        Ok(bytes) if bytes.len() > 1_000 => format!("{} bytes", bytes.len()),
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("error: {error}"),
    }
}

/// Calls a command as an order says.
fn call(worker: &Worker, session: u64, rest: &str, waits: bool) -> Outcome {
    let (slot, rest) = split(rest);
    let (ms, rest) = split(rest);
    let (name, text) = split(rest);
    let (slot, timeout) = (slot_of(worker, slot)?, Duration::from_millis(ms.parse()?));
    let call = worker.call(slot, name, text.as_bytes());
    if waits {
        return say(worker, session, &text_of(call.wait(timeout)));
    }
    let called = call.then::<Node>(timeout, move |_, worker, result| {
        say(worker, session, &format!("later: {}", text_of(result)))
    });
    let answer = called.map_or_else(|error| format!("error: {error}"), |()| "called".to_owned());
    say(worker, session, &answer)
}

impl Handler for Node {
    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        add_commands::<Self>(worker);
        Ok(())
    }

    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let line = String::from_utf8_lossy(package).into_owned();
        let (verb, rest) = split(line.trim_end());
        let id = session.id();
        match verb {
            "whoami" => say(worker, id, &worker.process_slot().to_string()),
            "tell" => {
                let answer = match self.tell(worker, id, rest) {
                    Ok(number) => format!("sent {number}"),
                    Err(error) => format!("error: {error}"),
                };
                say(worker, id, &answer)
            }
            "flood" => {
                let accepted = self.flood(worker, id, rest)?;
                say(worker, id, &format!("flooded {accepted}"))
            }
            "die" => {
                self.tell(worker, id, rest)?;
                std::process::abort();
            }
            "call" => call(worker, id, rest, true),
            "later" => call(worker, id, rest, false),
            "sum" => say(worker, id, &self.lost.get(&id).copied().unwrap_or(0).to_string()),
            _ => Err(format!("no order: {line}").into()),
        }
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        self.on_message(worker, message)
    }

    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        self.on_undelivered(worker, undelivered)
    }
}

/// A user process that is called.
struct Body(Node);

impl ProcessBody for Body {
    fn on_start(&mut self, worker: &Worker) -> Outcome {
        add_commands::<Self>(worker);
        Ok(())
    }

    fn run(&mut self, worker: &Worker) -> Outcome {
        worker.every::<Self>(Duration::from_secs(3_600), |_, _| Ok(()));
        Ok(()) // the timer keeps it
    }

    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        self.0.on_message(worker, message)
    }

    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        self.0.on_undelivered(worker, undelivered)
    }
}

impl ServerEvents for Body {
    fn on_message(&mut self, worker: &Worker, message: &Message) -> Outcome {
        self.0.on_message(worker, message)
    }

    fn on_undelivered(&mut self, worker: &Worker, undelivered: &Undelivered) -> Outcome {
        self.0.on_undelivered(worker, undelivered)
    }
}

/// A user process that looks for itself.
fn read(worker: &Worker) -> Outcome {
    let mut node = Node::default();
    while !worker.is_leaving() {
        if let Some(message) = worker.wait_for_message(Duration::from_secs(3_600)) {
            node.on_message(worker, &message)?;
        }
    }
    Ok(())
}

/// Writes a record that nobody honest writes, as the next of this process, and sleeps until it is
/// killed for it.
fn be_hostile(what: &str) -> Outcome {
    let memory = memory::Memory::open("ostler-up").ok_or("no lanes")?;
    let sizes = Sizes { reactors: 1, lane_size: 65_536 };
    let kind = RecordKind::SendMessage as u8;
    let good = Header { len: 64, kind, seq: 1, subject: 1, stamp: 1, ..Header::default() };
    let header = match what {
        "nobody" => Header { cause: 0xff << 48, ..good },
        "above" => Header { cause: 1 << 60, ..good },
        "long" => Header { total: u32::MAX, ..good },
        "part" => Header { part_offset: 5, total: 5, ..good },
        "more" => Header { flags: 1, total: 0, ..good },
        "down" => Header { kind: RecordKind::Message as u8, ..good },
        "end" => Header { kind: RecordKind::MessageEnd as u8, ..good },
        "taken" => {
            // More than it was given. It is seen when the next message comes.
            memory.put(sizes.process_words_at() + 192, 1 << 40);
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        _ => return Err(format!("no harm: {what}").into()),
    };
    hostile_record::commit_and_sleep(&memory, &sizes, &header)
}

fn main() -> Exit {
    let server = Server::builder()
        .framing(Framing::lines())
        .process(UserProcess::new("body", |_| Body(Node::default())))
        .process(UserProcess::function("reader", read))
        .process(UserProcess::function("once", |_| Ok(())).restart(Restart::Never))
        .companion(|_| Body(Node::default()));
    let (server, _) = server.take_args(std::env::args_os().skip(1));
    let served = server.bind().and_then(|server| {
        server.on_listening(|ports| println!("listening on {ports}")).run(|_| Node::default())
    });
    served.into()
}
