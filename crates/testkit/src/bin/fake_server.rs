//! A server that honours the contract of the examples and, on request, breaks one clause of it. It
//! exists to test the test kit: the kit must find the breach.
//!
//! It has the process tree and the names of the real one, but its master serves the clients itself:
//! threads instead of lanes, polling instead of pidfds. `--set breach=NAME` chooses the breach,
//! `--handler NAME_every:N` a faulty echo.

use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use rustix::process::{getppid, set_parent_process_death_signal};

type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// A pause between two looks at children.
const TICK: Duration = Duration::from_millis(2);

fn main() -> Fallible<ExitCode> {
    let options = Options::from_arguments()?;
    match options.role.as_str() {
        "master" => master(&options),
        "manager" => manager(&options),
        "orphan-maker" => {
            // The maker ends at once, and its child belongs to nobody.
            let _orphan = spawn("orphan")?;
            Ok(ExitCode::SUCCESS)
        }
        "orphan" => {
            // Bounded, should the kit under test fail to find and kill it.
            std::thread::sleep(Duration::from_secs(60));
            Ok(ExitCode::SUCCESS)
        }
        // A worker or the spare: asleep until killed.
        name => {
            take_role(name, true)?;
            loop {
                std::thread::park();
            }
        }
    }
}

struct Options {
    role: String,
    workers: u16,
    breach: String,
    fault: String,
    every: u64,
}

impl Options {
    fn from_arguments() -> Fallible<Self> {
        let mut options = Self {
            role: "master".to_owned(),
            workers: 2,
            breach: String::new(),
            fault: "echo".to_owned(),
            every: 0,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or("an option has no value")?;
            match (argument.as_str(), value.split_once('=')) {
                ("--role", _) => options.role = value,
                ("--handler", _) => {
                    let (fault, every) = value.split_once(':').unwrap_or((&value, "0"));
                    options.every = every.parse()?;
                    options.fault = fault.to_owned();
                }
                ("--set", Some(("workers", count))) => options.workers = count.parse()?,
                ("--set", Some(("breach", name))) => options.breach = name.to_owned(),
                ("--set", Some(("log_level", _))) => {}
                _ => return Err(format!("unknown: {argument} {value}").into()),
            }
        }
        Ok(options)
    }
}

fn log(level: &str, label: &str, text: &str) {
    // One write per line, as the contract demands; the time is not looked at.
    let line = format!("2026-01-01T00:00:00.000Z {level} {label} {text}\n");
    let _ignored = std::io::stderr().write_all(line.as_bytes());
}

/// Takes a name, and dies with the parent.
fn take_role(name: &str, die_with_parent: bool) -> Fallible {
    rustix::thread::set_name(&CString::new(format!("ostler-{name}"))?)?;
    if die_with_parent {
        set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        let parent = getppid().map(|pid| pid.as_raw_nonzero().get().to_string());
        if parent != std::env::var("FAKE_PARENT").ok() {
            // Too late for the kernel to tell; nobody is left to hear about it.
            std::process::exit(0);
        }
    }
    Ok(())
}

fn spawn(role: &str) -> Fallible<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--role", role]).env("FAKE_PARENT", std::process::id().to_string());
    if role.starts_with("orphan") {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    Ok(command.spawn()?)
}

/// Keeps a process in each slot.
fn manager(options: &Options) -> Fallible<ExitCode> {
    take_role("manager", true)?;
    let mut roles: Vec<String> = (0..options.workers).map(|slot| format!("w{slot}")).collect();
    roles.push("spare".to_owned());
    let mut children: Vec<(String, Child, u32)> = Vec::new();
    for role in roles {
        let child = spawn(&role)?;
        children.push((role, child, 1));
    }
    log("INFO", "manager", "ready");
    loop {
        for (role, child, generation) in &mut children {
            if let Some(status) = child.try_wait()? {
                *generation += 1;
                *child = spawn(role)?;
                log(
                    "INFO",
                    "manager",
                    &format!("replaced role={role} generation={generation} cause={status}"),
                );
            }
        }
        std::thread::sleep(TICK);
    }
}

#[derive(Default)]
struct Account {
    accepted: AtomicU64,
    closed: AtomicU64,
    received: AtomicU64,
    finished: AtomicU64,
}

fn master(options: &Options) -> Fallible<ExitCode> {
    take_role("master", false)?;
    if options.breach == "refuse" {
        log("ERROR", "master", "option refused name=workers");
        return Ok(ExitCode::from(3));
    }
    if options.breach == "first_line" {
        println!("hello");
    }
    // Blocked before any thread is made, so that only `wait` below sees them.
    let signals = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT, Signal::SIGUSR1]);
    signals.thread_block()?;
    let mut manager = Command::new(std::env::current_exe()?)
        .args(["--role", "manager", "--set", &format!("workers={}", options.workers)])
        .env("FAKE_PARENT", std::process::id().to_string())
        .spawn()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    let account = Arc::new(Account::default());
    serve(listener, options, &account);
    while signals.wait()? == Signal::SIGUSR1 {
        log("INFO", "master", "reload asked");
    }
    breach_at_end(options)?;
    manager.kill()?;
    manager.wait()?;
    write_books(options, &account);
    Ok(ExitCode::from(if options.breach == "exit_code" { 5 } else { 0 }))
}

fn breach_at_end(options: &Options) -> Fallible {
    match options.breach.as_str() {
        "warn" => log("WARN", "master", "fake trouble number=1"),
        "stray" => eprintln!("thread 'main' panicked at fake.rs:1:1"),
        "orphan" => drop(spawn("orphan-maker")?.wait()?),
        "file" => fs::write(std::env::temp_dir().join("left"), "x")?,
        "shm" => fs::write(format!("/dev/shm/ostler-fake-{}", std::process::id()), "x")?,
        _ => {}
    }
    Ok(())
}

fn write_books(options: &Options, account: &Account) {
    let [accepted, closed, received, finished] =
        [&account.accepted, &account.closed, &account.received, &account.finished]
            .map(|number| number.load(Ordering::SeqCst));
    let open = accepted - closed;
    let lie = u64::from(options.breach == "imbalance");
    let received = received + lie;
    let dropped = received - lie - finished;
    let line = format!(
        "books accepted={accepted} open={open} closed={closed} received={received} \
         finished={finished} in_hand=0 runnable=0 recalled=0 refused=0 dropped={dropped} \
         closed_by=0 closed_peer={closed}"
    );
    if options.breach != "no_books" {
        log("INFO", "master", &line);
    }
}

fn serve(listener: TcpListener, options: &Options, account: &Arc<Account>) {
    let (account, fault, every) = (Arc::clone(account), options.fault.clone(), options.every);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (account, fault) = (Arc::clone(&account), fault.clone());
            account.accepted.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let _ended = echo(&mut stream, &fault, every, &account);
                // Booked first, closed at the end of this block: who sees the end may read the
                // books.
                account.closed.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
}

/// Returns what comes, faultily at every n-th package of all connections.
fn echo(stream: &mut TcpStream, fault: &str, every: u64, account: &Account) -> Fallible {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        let number = account.received.fetch_add(1, Ordering::SeqCst) + 1;
        let fault = if every > 0 && number.is_multiple_of(every) { fault } else { "echo" };
        let mut reply = buffer.get(..count).unwrap_or_default().to_vec();
        match fault {
            "swallow_every" => continue,
            "double_every" => reply.extend_from_within(..),
            "falsify_every" => reply.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1),
            "garbage_every" => reply.fill(b'?'),
            "close_every" => return Ok(()),
            "reset_every" => {
                rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO))?;
                return Ok(());
            }
            _ => {}
        }
        account.finished.fetch_add(1, Ordering::SeqCst);
        stream.write_all(&reply)?;
    }
}
