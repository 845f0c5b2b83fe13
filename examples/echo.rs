//! Echo: sends back what it gets. Also the instrument of every measurement and process test.
//!
//! ```text
//! echo [--set NAME=VALUE]... [--handler echo|sleep_ms:N|crash_every:N|big_reply:N|orders]
//! ```
//!
//! Every option of the engine can be set by its name (`docs/OPTIONS.md`). The first line on standard output is
//! `listening on ADDRESS`; after it nothing is printed. The process that is started is the master.

use std::cell::Cell;
use std::time::Duration;

use ostler::{Error, Exit, Handler, Package, Server, ServerBuilder, Session, StartError, Worker};

/// What is done with a package.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    /// Send it back.
    Echo,
    /// Wait so many milliseconds, then send it back.
    SleepMs(u64),
    /// Send it back; at every N-th package of this process, abort instead.
    CrashEvery(u64),
    /// Send N bytes, whatever came.
    BigReply(usize),
    /// Do what the package says, see [`obey`].
    Orders,
}

impl Behaviour {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, number) = text.split_once(':').unwrap_or((text, ""));
        let count = || {
            number.parse::<u64>().map_err(|_| format!("`{text}`: write a number behind `{name}:`"))
        };
        match name {
            "echo" => Ok(Self::Echo),
            "sleep_ms" => count().map(Self::SleepMs),
            "crash_every" => count().map(|every| Self::CrashEvery(every.max(1))),
            "big_reply" => count().map(|len| Self::BigReply(len as usize)),
            "orders" => Ok(Self::Orders),
            _ => Err(format!(
                "`{text}` is no handler: write echo, sleep_ms:N, crash_every:N, big_reply:N or orders"
            )),
        }
    }
}

struct Echo {
    behaviour: Behaviour,
    seen: Cell<u64>,
    reply: Vec<u8>,
}

impl Echo {
    fn new(behaviour: Behaviour) -> Self {
        let reply = match behaviour {
            Behaviour::BigReply(len) => (0..len).map(|index| (index % 251) as u8).collect(),
            _ => Vec::new(),
        };
        Self { behaviour, seen: Cell::new(0), reply }
    }
}

impl Handler for Echo {
    fn on_worker_start(&mut self, _worker: &Worker) -> Result<(), StartError> {
        // "Broken new code", for tests of the reload: the worker does not start while this file exists.
        match std::env::var_os("ECHO_FAIL_START_IF_EXISTS") {
            Some(path) if std::path::Path::new(&path).exists() => {
                Err("told to fail by ECHO_FAIL_START_IF_EXISTS".into())
            }
            _ => Ok(()),
        }
    }

    fn on_receive(&mut self, _worker: &Worker, session: &Session, package: &Package) {
        let seen = self.seen.get() + 1;
        self.seen.set(seen);
        let reply = match self.behaviour {
            Behaviour::BigReply(_) => self.reply.as_slice(),
            Behaviour::SleepMs(ms) => {
                std::thread::sleep(Duration::from_millis(ms));
                package
            }
            Behaviour::CrashEvery(every) if seen.is_multiple_of(every) => std::process::abort(),
            Behaviour::CrashEvery(_) | Behaviour::Echo => package,
            Behaviour::Orders => {
                self.reply = obey(package);
                self.reply.as_slice()
            }
        };
        // Full or gone: the client reads too slowly or has left; an echo has nothing better to do than to drop it.
        let _ = session.send(reply);
    }
}

/// Carries out one order and answers with the reply. For process tests that need a package to be surely in hand.
///
/// `pid`: the number of this process. `hold PATH`: writes it to PATH, then waits until somebody removes PATH. `panic`,
/// `abort`: what they say. `spawn`: starts a program that runs for ever, and answers with its number. Everything else is
/// sent back.
fn obey(package: &[u8]) -> Vec<u8> {
    let order = String::from_utf8_lossy(package);
    let (word, argument) = order.split_once(' ').unwrap_or((&order, ""));
    match word {
        "pid" => std::process::id().to_string().into_bytes(),
        "hold" => {
            let path = std::path::Path::new(argument);
            if std::fs::write(path, std::process::id().to_string()).is_err() {
                return format!("cannot write {argument}").into_bytes();
            }
            while path.exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            b"released".to_vec()
        }
        #[allow(clippy::panic, reason = "that is the order")]
        "panic" => panic!("told to panic"),
        "abort" => std::process::abort(),
        "spawn" => match std::process::Command::new("sleep").arg("infinity").spawn() {
            Ok(child) => child.id().to_string().into_bytes(),
            Err(error) => error.to_string().into_bytes(),
        },
        _ => package.to_vec(),
    }
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<(ServerBuilder, Behaviour), String> {
    let mut builder = Server::builder();
    let mut behaviour = Behaviour::Echo;
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("`{argument}` needs a value"));
        match argument.as_str() {
            "--set" => {
                let pair = value()?;
                let (name, value) = pair
                    .split_once('=')
                    .ok_or(format!("`--set {pair}`: write --set NAME=VALUE"))?;
                builder = builder.set(name, value);
            }
            "--handler" => behaviour = Behaviour::parse(&value()?)?,
            "--help" | "-h" => return Err(USAGE.to_owned()),
            _ => return Err(format!("`{argument}` is unknown\n{USAGE}")),
        }
    }
    Ok((builder, behaviour))
}

const USAGE: &str = "usage: echo [--set NAME=VALUE]... [--handler echo|sleep_ms:N|crash_every:N|big_reply:N|orders]\n\
    options: see docs/OPTIONS.md";

fn serve() -> ostler::Result<()> {
    let (builder, behaviour) = parse(std::env::args().skip(1)).map_err(Error::usage)?;
    let server = builder.bind()?;
    println!("listening on {}", server.local_address());
    server.run(move || Echo::new(behaviour))
}

fn main() -> Exit {
    serve().into()
}
