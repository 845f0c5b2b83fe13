//! Shared: workers with a counter, a number, a lock and a table that all of them see. For the
//! process tests.
//!
//! A line is a command: `add N` (to the counter), `sum`, `put N`, `get`, `own` (what a plain
//! `Arc` counts in this process), `make` (a counter, here in the worker), `sleep` (until `get`
//! is not 0, in a thread), `visit KEY` (how often that was), `rows` (all keys, with the visits
//! of each), `lock MS` (takes it, waits so long, lets go), `hold` (takes it and keeps it), `pid`,
//! `worry` (adds to the row `worried` until it is killed).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ostler::shared::{Atomic64, Column, Counter, Lock, Table, TableDesign};
use ostler::{Framing, Handler, Outcome, Package, Server, Session, Worker};

#[derive(Clone)]
struct Shared {
    counter: Counter,
    number: Atomic64,
    lock: Lock,
    table: Table,
    visits: Column<i64>,
    /// What looks shared, and is not.
    plain: Arc<AtomicU64>,
}

impl Shared {
    fn new() -> ostler::Result<Self> {
        let mut design = TableDesign::new(20);
        let visits = design.integer("visits");
        Ok(Self {
            lock: Lock::new("lock")?,
            table: design.make("visits")?,
            visits,
            counter: Counter::new("counter")?,
            number: Atomic64::new("number", 0)?,
            plain: Arc::default(),
        })
    }
}

impl Shared {
    fn rows(&self) -> Result<String, Box<dyn std::error::Error>> {
        let mut all = Vec::new();
        for entry in self.table.rows() {
            let (key, row) = entry?;
            all.push(format!("{}={}", String::from_utf8(key)?, row.get(self.visits)));
        }
        all.sort();
        Ok(all.join(" "))
    }
}

impl Handler for Shared {
    fn on_receive(&mut self, _: &Worker, session: &Session, line: &Package) -> Outcome {
        let line = std::str::from_utf8(line)?.trim_end();
        let (command, argument) = line.split_once(' ').unwrap_or((line, "0"));
        let plain = self.plain.fetch_add(1, Ordering::Relaxed);
        let answer = match command {
            "add" => {
                self.counter.add(argument.parse()?);
                "added".to_owned()
            }
            "sum" => self.counter.sum().to_string(),
            "put" => {
                self.number.store(argument.parse()?);
                format!("woken {}", self.number.wake(u32::MAX))
            }
            "get" => self.number.load().to_string(),
            "own" => plain.to_string(),
            "make" => match Counter::new("late") {
                Ok(_) => "made".to_owned(),
                Err(error) => error.to_string(),
            },
            "visit" => self.table.add(argument.as_bytes(), self.visits, 1)?.to_string(),
            "pid" => std::process::id().to_string(),
            "lock" => match self.lock.lock(Duration::from_millis(argument.parse()?))? {
                Some(guard) if guard.is_torn() => {
                    guard.mend();
                    "torn".to_owned()
                }
                Some(_) => "whole".to_owned(),
                None => "held".to_owned(),
            },
            "hold" => {
                let _guard = self.lock.lock(Duration::ZERO)?;
                self.number.store(1);
                std::thread::sleep(Duration::from_secs(3_600));
                "let go".to_owned()
            }
            "rows" => self.rows()?,
            "worry" => loop {
                self.table.add(b"worried", self.visits, 1)?;
            },
            "sleep" => {
                let (number, counter) = (self.number.clone(), self.counter.clone());
                std::thread::spawn(move || {
                    counter.add(u64::from(number.wait(0, Duration::from_secs(60))));
                });
                "asleep".to_owned()
            }
            _ => return Err(format!("no command {command:?}").into()),
        };
        Ok(session.send(format!("{answer}\n").as_bytes())?)
    }
}

fn serve() -> ostler::Result<()> {
    let shared = Shared::new()?;
    let builder = Server::builder().framing(Framing::lines());
    let server = builder.args(std::env::args_os().skip(1)).bind()?;
    let server = server.on_listening(|ports| println!("listening on {ports}"));
    server.run(move |_| shared.clone())
}

fn main() -> ostler::Exit {
    serve().into()
}
