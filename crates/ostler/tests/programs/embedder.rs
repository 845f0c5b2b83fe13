//! Embedder: a program that does other things too, and runs two servers one after the other. For
//! the process tests.
//!
//! ```text
//! embedder [--set NAME=VALUE]...     with EMBEDDER_LOGS=DIRECTORY for first.log and second.log,
//!                                    and EMBEDDER_SECOND=NAME=VALUE for the second server alone;
//!                                    with EMBEDDER_THREAD it starts a thread before its servers
//! ```
//!
//! Prints where each server listens, and after each of them what `run` has left changed: nothing,
//! if all is well.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Child, Command};

use ostler::{Error, Exit, Handler, Outcome, Package, Server, ServerBuilder, Session, Worker};

struct Echo;

impl Handler for Echo {
    fn on_receive(&mut self, _worker: &Worker, session: &Session, package: &Package) -> Outcome {
        Ok(session.send(package)?)
    }
}

fn builder(log: &str) -> ostler::Result<ServerBuilder> {
    let directory = std::env::var("EMBEDDER_LOGS")
        .map_err(|_| Error::usage("set EMBEDDER_LOGS to a directory"))?;
    let mut builder = Server::builder()
        .set("listen", "127.0.0.1:0")
        .set("harden", "off")
        .set("log_file", format!("{directory}/{log}.log"));
    let mut arguments = std::env::args().skip(1);
    while let (Some(_), Some(pair)) = (arguments.next(), arguments.next()) {
        let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
        builder = builder.set(name, value);
    }
    if let (Ok(pair), "second") = (std::env::var("EMBEDDER_SECOND"), log) {
        let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
        builder = builder.set(name, value);
    }
    Ok(builder)
}

/// What can be seen of this process, by name.
fn look() -> BTreeMap<String, String> {
    let mut seen = BTreeMap::new();
    let read =
        |file: &str| std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    for line in read("status").lines() {
        if let Some((name, value)) = line.split_once(':')
            && ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd", "Threads", "Name"].contains(&name)
        {
            // Signals 32 and 33 are the C library's: it catches them once a process has had
            // threads.
            let value = match u64::from_str_radix(value.trim(), 16) {
                Ok(set) if name.starts_with("Sig") => format!("{:016x}", set & !(0b11 << 31)),
                _ => value.trim().to_owned(),
            };
            seen.insert(name.to_owned(), value);
        }
    }
    seen.insert("cmdline".to_owned(), read("cmdline"));
    seen.insert("limits".to_owned(), read("limits"));
    seen.insert("arguments".to_owned(), format!("{:?}", std::env::args_os()));
    seen.insert("dumpable".to_owned(), format!("{:?}", rustix::process::dumpable_behavior()));
    seen.insert("adopts".to_owned(), format!("{:?}", rustix::process::child_subreaper()));
    seen
}

/// Prints what is no longer as it was.
fn compare(before: &BTreeMap<String, String>, child: &mut Child) {
    let after = look();
    for (name, value) in before {
        let now = after.get(name).map_or("", String::as_str);
        if now != value {
            println!("changed {name}: {value:?} is {now:?}");
        }
    }
    match child.wait() {
        Ok(status) => println!("child {status}"),
        Err(error) => println!("child {error}"),
    }
    // Says "own hook".
    #[allow(clippy::panic, reason = "the hook is what is asked for")]
    let _ = std::panic::catch_unwind(|| panic!("to be heard by the hook"));
}

fn serve() -> ostler::Result<()> {
    let start = |program: &str| {
        Command::new(program).spawn().map_err(|error| Error::usage(format!("{program}: {error}")))
    };
    std::panic::set_hook(Box::new(|_| println!("own hook")));
    let before = look();
    if std::env::var_os("EMBEDDER_THREAD").is_some() {
        std::thread::spawn(|| std::thread::sleep(std::time::Duration::from_secs(3_600)));
    }
    let first = builder("first")?.bind()?;
    let second = builder("second")?.bind()?;
    println!("listening on {}", first.local_address());
    println!("second {}", second.local_address());
    let mut child = start("true")?;
    first.run(|_| Echo)?;
    // The second one still holds signals.
    let mut expected = before.clone();
    expected.insert("SigBlk".to_owned(), look().remove("SigBlk").unwrap_or_default());
    compare(&expected, &mut child);
    println!("first done");
    let mut child = start("true")?;
    second.run(|_| Echo)?;
    compare(&before, &mut child);
    println!("second done");
    let _ = std::io::stdout().flush();
    Ok(())
}

fn main() -> Exit {
    serve().into()
}
