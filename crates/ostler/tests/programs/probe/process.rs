//! Commands about the process that runs them: who it is, how it waits, ends and changes.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::Probe;
use crate::memory::Memory;
use crate::words::{Call, wait_for_file};

/// Place of the session for which a callback runs in the black box.
const SESSION_AT: u64 = 72;

/// A token that keeps this process; one by which it clings to life is never let go.
fn hold(probe: &Probe, call: &mut Call<'_>, word: &str) {
    let token = call.worker.keep_alive();
    match word {
        "cling" => std::mem::forget(token),
        _ => probe.tokens.borrow_mut().push(token),
    }
    call.say("held");
}

/// Carries a command of this topic out; `false`: it is of another one.
pub(crate) fn run(probe: &Probe, call: &mut Call<'_>, word: &str) -> bool {
    let worker = call.worker;
    let rest = &mut call.arguments;
    match word {
        "whoami" => {
            let pid = std::process::id();
            call.say(format!("w{}.{} {pid}", worker.slot(), worker.generation()));
        }
        "arguments" => call.say(std::env::args().collect::<Vec<_>>().join(" ")),
        "variable" => {
            let value = std::env::var(rest.word()).unwrap_or_else(|_| "unset".to_owned());
            call.say(value);
        }
        "finished" => call.say(worker.finished().to_string()),
        "sleep" => {
            std::thread::sleep(rest.millis());
            call.say(call.arguments.rest());
        }
        // Sleeps until the file is there.
        "until" => {
            wait_for_file(rest.word());
            call.say(call.arguments.rest());
        }
        "leave" => {
            call.say("leaving");
            worker.leave();
        }
        "workers" => {
            worker.set_workers(rest.number() as u16);
            call.say("asked");
        }
        "keepalive" | "cling" => hold(probe, call, word),
        "panic" => panic!("told to panic: {}", rest.rest()),
        "exit" => std::process::exit(rest.number() as i32),
        "abort" => std::process::abort(),
        "print" => {
            print(&rest.rest());
            call.say("printed");
        }
        "spin" => spin(),
        "deafspin" => deafspin(),
        // Blocks in a system call: reads a byte from a pipe.
        "block" => {
            let read = File::open(rest.word()).and_then(|mut pipe| pipe.read(&mut [0; 1]));
            call.say(read.map_or_else(|error| format!("error {error}"), |n| format!("read {n}")));
        }
        // Takes so many bytes for itself, for ever.
        "grow" => {
            let size = rest.size();
            call.say(take_memory(size));
        }
        "overflow" => call.say(descend(u64::MAX).to_string()),
        "start" => call.say(start_child().to_string()),
        // The same, and the process that outlives has one of its own, which outlives it.
        "startdeep" => call.say(start("sh", &["-c", "sleep 300 & wait"]).to_string()),
        // Its ids and groups, where it is, and whether it may gain rights.
        "ids" => call.say(ids()),
        "open" => {
            let opened = File::open(rest.rest());
            call.say(opened.map_or("refused", |_| "opened"));
        }
        // The phase words of this process.
        "phase" => call.say(phase()),
        _ => return change(call, word),
    }
    true
}

/// Changes this process in a way that no handler should.
fn change(call: &mut Call<'_>, word: &str) -> bool {
    match word {
        "ignoreterm" => call.say(ignore_term()),
        // This process has no descriptor any more.
        "closeall" => close_all(),
        // This process is another program from now on, of which nothing comes back.
        "turninto" => {
            let error = Command::new(call.arguments.word()).arg("3600").exec();
            call.say(error.to_string());
        }
        // This process is another user's from now on.
        "become" => become_user(call),
        _ => return false,
    }
    true
}

fn become_user(call: &mut Call<'_>) {
    let id = rustix::process::Uid::from_raw(call.arguments.number() as u32);
    let became = rustix::thread::set_thread_uid(id);
    call.say(became.map_or("refused", |()| "ok"));
}

#[allow(unsafe_code)]
fn ignore_term() -> &'static str {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: no handler is installed.
    let ignored = unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) };
    ignored.map_or("refused", |_| "ignored")
}

#[allow(unsafe_code)]
fn close_all() {
    // SAFETY: whoever owns them fails from now on, and that is what is wanted; nothing is opened
    // that could have one of the numbers.
    unsafe { nix::libc::syscall(nix::libc::SYS_close_range, 0, u32::MAX, 0) };
}

/// Spins, and takes no signal any more.
fn deafspin() {
    let _ = nix::sys::signal::SigSet::all().thread_block();
    spin()
}

/// Says a text on both streams.
fn print(text: &str) {
    println!("out {text}");
    eprintln!("err {text}");
}

/// The user and group ids of this process, real, effective and saved, and its groups; its working
/// directory; `no_new_privs`.
fn ids() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?");
        line.split_whitespace().take(3).collect::<Vec<_>>().join(",")
    };
    let groups = nix::unistd::getgroups().unwrap_or_default();
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let (uid, gid) = (nix::unistd::getresuid(), nix::unistd::getresgid());
    let uid = uid.map(|ids| format!("{},{},{}", ids.real, ids.effective, ids.saved));
    let gid = gid.map(|ids| format!("{},{},{}", ids.real, ids.effective, ids.saved));
    let here = std::env::current_dir().map(|path| path.display().to_string());
    let text =
        |result: Result<String, _>| result.unwrap_or_else(|error: nix::Error| error.to_string());
    format!(
        "uid {} gid {} groups {} in {} no_new {} capabilities {}",
        text(uid),
        text(gid),
        groups.join(","),
        here.unwrap_or_else(|error| error.to_string()),
        of("NoNewPrivs:"),
        of("CapEff:"),
    )
}

/// Starts a process that outlives this one, with everything that it inherits; its number.
pub(crate) fn start_child() -> u32 {
    start("sleep", &["300"])
}

fn start(program: &str, arguments: &[&str]) -> u32 {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.map_or(0, |child| child.id())
}

/// What this process says of itself to those who look: the session that it works for (0: none).
pub(crate) fn phase() -> String {
    let mut word = [0; 8];
    let read = Memory::open("ostler-box").map(|memory| memory.read(&mut word, SESSION_AT));
    format!("phase {} {}", matches!(read, Some(Ok(()))), u64::from_ne_bytes(word))
}

/// Takes so many bytes and never gives them back.
pub(crate) fn take_memory(size: usize) -> &'static str {
    std::mem::forget(std::hint::black_box(vec![1_u8; size]));
    "grown"
}

#[inline(never)]
fn descend(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 32]);
    if depth == 0 { 0 } else { descend(depth - 1) + frame.iter().sum::<u64>() }
}

fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}
