//! Crew: an echo server with user processes, for the process tests.
//!
//! ```text
//! crew [--set NAME=VALUE | --process NAME=KIND[,POLICY][,reload] | --companion]...
//! ```
//!
//! `KIND` says what a process does:
//!
//! * `wait`: a function that does what the file `CREW_DIR/NAME.order` says, and else waits;
//! * `tick`: its function returns at once; a timer does the same;
//! * `crash`: it exits with code 1 at once;
//! * `hang`: it does not become ready.
//!
//! Orders are `send TEXT` (to all sessions), `exit CODE`, `fail`, `panic`, `done`, `hang`, `leave`,
//! `hostile`, `thread`, `reload WHAT`, `become PROGRAM`; each is done once and its file removed.
//! Every life is told in `CREW_DIR/journal`, and so is every event of the companion. At an event it
//! waits as long as the file `hold_EVENT` exists, and ends when `die_EVENT` does. It asks for a
//! reload at `on_start` when `reload_at_start` exists. A worker waits at its start as long as
//! `hold_wSLOT` exists, and asks for a reload when a client says `reload WHAT`; `WHAT` is
//! `workers`, `tasks`, `processes`, or the name of a process. The answer is told in the journal.

#[path = "probe/memory.rs"]
#[allow(dead_code, reason = "of another program, which needs all of it")]
mod memory;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::time::Duration;

use ostler::{
    Error, Exit, Handler, KeepAlive, Outcome, Package, ProcessBody, Reload, ReloadReport, Restart,
    Server, ServerEvents, Session, UserProcess, Worker, WorkerDeath,
};

use ostler_shm::layout::Sizes;

/// How often a process looks for orders.
const LOOK: Duration = Duration::from_millis(5);

fn directory() -> PathBuf {
    std::env::var_os("CREW_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn note(text: &str) {
    let path = directory().join("journal");
    if let Ok(mut journal) = OpenOptions::new().append(true).create(true).open(path) {
        let _ = journal.write_all(format!("{text} {}\n", std::process::id()).as_bytes());
    }
}

fn send_to_all(worker: &Worker, text: &str) {
    for session in worker.sessions() {
        let _ = session.send(format!("{text}\n").as_bytes());
    }
}

/// Writes nonsense over the words of this process's lanes.
fn be_hostile() -> Outcome {
    let memory = memory::Memory::open("ostler-up").ok_or("no lanes")?;
    // Up to where the rings of two lanes begin.
    let words = Sizes { reactors: 2, lane_size: 512 * 1_024 }.out_ring_at(0);
    for at in (0..words).step_by(8) {
        memory.put(at, 0x5a5a_5a5a_5a5a_5a5a ^ at);
    }
    memory::ring_all(&memory::bells());
    Ok(())
}

fn what(word: &str) -> Reload<'_> {
    match word {
        "workers" => Reload::Workers,
        "tasks" => Reload::TaskWorkers,
        "processes" => Reload::Processes,
        name => Reload::Process(name),
    }
}

/// What the answer to a request was.
fn answer(who: &str, report: &ReloadReport) -> String {
    let slots: Vec<_> = report.slots().collect();
    let (done, stopped) = (report.is_done(), report.stopped_at());
    let waited = if report.has_waited() { "waited" } else { "at once" };
    format!("{who} reloaded {done} {slots:?} {stopped:?} {waited}: {}", report.reason())
}

fn reload_and_wait(worker: &Worker, name: &str, word: &str) -> Outcome {
    let ticket = worker.reload(what(word));
    note(&format!("{name} asked"));
    while worker.wait(LOOK) {
        if let Some(report) = ticket.report() {
            note(&answer(name, &report));
            return Ok(());
        }
    }
    Err("leaves without an answer".into())
}

/// What follows from an order.
enum Next {
    GoOn,
    End,
}

fn obey(worker: &Worker, name: &str) -> Result<Next, ostler::Failure> {
    let path = directory().join(format!("{name}.order"));
    let Ok(order) = std::fs::read_to_string(&path) else { return Ok(Next::GoOn) };
    if !order.ends_with('\n') {
        return Ok(Next::GoOn);
    }
    std::fs::remove_file(&path)?;
    let (word, rest) = order.trim_end().split_once(' ').unwrap_or((order.trim_end(), ""));
    match word {
        "send" => send_to_all(worker, rest),
        "exit" => std::process::exit(rest.parse()?),
        "fail" => return Err("told to fail".into()),
        "panic" => std::panic::resume_unwind(Box::new("told to panic")),
        "done" => return Ok(Next::End),
        "hang" => std::thread::sleep(Duration::from_secs(3_600)),
        "become" => return Err(std::process::Command::new(rest).arg("3600").exec().into()),
        "leave" => worker.leave(),
        "reload" => reload_and_wait(worker, name, rest)?,
        "hostile" => {
            be_hostile()?;
            std::thread::sleep(Duration::from_secs(60));
        }
        _ => return Err(format!("unknown order {word}").into()),
    }
    Ok(Next::GoOn)
}

/// A process that is a value.
struct Ticker {
    name: String,
    held: Option<KeepAlive>,
}

impl ProcessBody for Ticker {
    fn on_start(&mut self, worker: &Worker) -> Outcome {
        note(&format!("{} start u{}.{}", self.name, worker.slot(), worker.generation()));
        Ok(())
    }

    fn run(&mut self, worker: &Worker) -> Outcome {
        self.held = Some(worker.keep_alive());
        worker.every::<Self>(LOOK, |me, worker| {
            if let Next::End = obey(worker, &me.name)? {
                me.held = None;
                std::process::exit(0);
            }
            Ok(())
        });
        // A thread of its own speaks by a closure.
        let remote = worker.remote::<Self>();
        let posted = std::thread::spawn(move || {
            remote.post(|me, _| note(&format!("{} posted", me.name))).is_ok()
        });
        if posted.join().is_ok_and(|posted| posted) { Ok(()) } else { Err("not posted".into()) }
    }

    fn on_exit(&mut self, _: &Worker) {
        note(&format!("{} exit", self.name));
        self.held = None;
    }

    fn on_stop(&mut self, _: &Worker) {
        note(&format!("{} stop", self.name));
    }
}

/// The companion.
struct Events;

impl Events {
    fn at(&self, worker: &Worker, event: &str, more: &str) -> Outcome {
        note(&format!("companion {event} {more}"));
        while directory().join(format!("hold_{event}")).exists() {
            std::thread::sleep(LOOK);
        }
        if directory().join(format!("die_{event}")).exists() {
            std::process::exit(9);
        }
        send_to_all(worker, event);
        Ok(())
    }
}

impl ServerEvents for Events {
    fn on_start(&mut self, worker: &Worker) -> Outcome {
        worker.after::<Self>(LOOK, |me, worker| me.at(worker, "timer", ""));
        if directory().join("reload_at_start").exists() {
            worker.reload(Reload::Workers).then::<Self>(|_, worker, report| {
                note(&answer(&format!("c0.{}", worker.generation()), report));
                Ok(())
            });
        }
        self.at(worker, "start", "")
    }

    fn on_before_shutdown(&mut self, worker: &Worker) -> Outcome {
        self.at(worker, "before_shutdown", "")
    }

    fn on_shutdown(&mut self, worker: &Worker) -> Outcome {
        self.at(worker, "shutdown", &format!("{} sessions", worker.sessions().len()))
    }

    fn on_manager_start(&mut self, worker: &Worker, pid: i32) -> Outcome {
        self.at(worker, "manager_start", &pid.to_string())
    }

    fn on_manager_stop(&mut self, worker: &Worker, pid: i32) -> Outcome {
        self.at(worker, "manager_stop", &pid.to_string())
    }

    fn on_before_reload(&mut self, worker: &Worker) -> Outcome {
        self.at(worker, "before_reload", "")
    }

    fn on_after_reload(&mut self, worker: &Worker, report: &ReloadReport) -> Outcome {
        let (done, first) = (report.is_done(), report.is_replaced(0));
        self.at(worker, "after_reload", &format!("{done} {first:?} {:?}", report.stopped_at()))
    }

    fn on_worker_error(&mut self, worker: &Worker, death: &WorkerDeath) -> Outcome {
        let (name, pid, cause) = (death.name(), death.pid(), death.cause());
        let how = format!("{:?} {:?}", death.exit_code(), death.signal());
        self.at(worker, "worker_error", &format!("{name} {pid} {how} {cause}"))
    }
}

fn wait(worker: &Worker) -> Outcome {
    let name = worker.process_name().ok_or("a process has a name")?;
    note(&format!("{name} start u{}.{}", worker.slot(), worker.generation()));
    while worker.wait(LOOK) {
        if let Next::End = obey(worker, name)? {
            break;
        }
    }
    note(&format!("{name} stop"));
    Ok(())
}

struct Echo;

impl Handler for Echo {
    fn on_receive(&mut self, worker: &Worker, session: &Session, package: &Package) -> Outcome {
        let Some(word) = package.strip_prefix(b"reload ") else {
            return Ok(session.send(package)?);
        };
        let (session, word) = (session.clone(), String::from_utf8_lossy(word).into_owned());
        worker.reload(what(&word)).then::<Self>(move |_, worker, report| {
            let who = format!("w{}.{}", worker.slot(), worker.generation());
            note(&answer(&who, report));
            Ok(session.send(b"reloaded")?)
        });
        Ok(())
    }

    fn on_worker_start(&mut self, worker: &Worker) -> Outcome {
        let hold = directory().join(format!("hold_w{}", worker.slot()));
        if hold.exists() {
            note(&format!("w{}.{} is held", worker.slot(), worker.generation()));
        }
        while hold.exists() {
            std::thread::sleep(LOOK);
        }
        match directory().join("fail_workers").exists() {
            true => Err("told to fail".into()),
            false => Ok(()),
        }
    }

    fn on_worker_stop(&mut self, worker: &Worker) {
        note(&format!("w{} stop", worker.slot()));
    }
}

fn process(spec: &str) -> Option<UserProcess> {
    let (name, rest) = spec.split_once('=')?;
    let mut words = rest.split(',');
    let owned = name.to_owned();
    let process = match words.next()? {
        "wait" => UserProcess::function(name, wait),
        "tick" => UserProcess::new(name, move |_| Ticker { name: owned.clone(), held: None }),
        "crash" => UserProcess::function(name, |worker| {
            note(&format!("{} start", worker.process_name().unwrap_or_default()));
            std::process::exit(1)
        }),
        "hang" => UserProcess::new(name, |_| {
            note("hang make");
            std::thread::sleep(Duration::from_secs(3_600));
            Ticker { name: String::new(), held: None }
        }),
        _ => return None,
    };
    Some(words.fold(process, |process, word| match word {
        "on_failure" => process.restart(Restart::OnFailure),
        "never" => process.restart(Restart::Never),
        "reload" => process.follows_reload(true),
        _ => process.restart(Restart::Always),
    }))
}

fn serve() -> ostler::Result<()> {
    std::panic::set_hook(Box::new(|_| {}));
    let mut builder = Server::builder().set("listen", "127.0.0.1:0");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        if argument == "--companion" {
            builder = builder.companion(|_| Events);
            continue;
        }
        let value = arguments.next().unwrap_or_default();
        builder = match (argument.as_str(), value.split_once('=')) {
            ("--set", Some((name, value))) => builder.set(name, value),
            ("--process", Some(_)) => {
                let Some(process) = process(&value) else {
                    return Err(Error::usage("unknown kind of process"));
                };
                builder.process(process)
            }
            _ => return Err(Error::usage("usage: crew [--set NAME=VALUE | --process ...]...")),
        };
    }
    let server = builder.bind()?;
    server.on_listening(|ports| println!("listening on {ports}")).run(|_| Echo)
}

fn main() -> Exit {
    serve().into()
}
