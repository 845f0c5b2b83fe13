//! What a service manager hears of a server: sd_notify(3), against a socket that plays systemd.
#![allow(clippy::unwrap_used, clippy::panic)] // a test that cannot go on

mod support;
mod talk;

use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use ostler_testkit::{DEADLINE, ServerBuilder, Signal, TestError, TestResult, TestServer};
use support::{Held, check, echo, orders, round_trip, start, wait_lines};
use talk::{Scratch, Talk, probe, small_probe};

/// Plays the service manager.
struct Systemd {
    socket: UnixDatagram,
    address: String,
    heard: Vec<String>,
}

impl Systemd {
    /// Listens at a name in the abstract name space.
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ostler-systemd-{}-{number}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self::with(UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}"))
    }

    fn at(scratch: &Scratch) -> Self {
        let path = scratch.path("notify");
        Self::with(UnixDatagram::bind(&path).unwrap(), path.display().to_string())
    }

    fn with(socket: UnixDatagram, address: String) -> Self {
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Self { socket, address, heard: Vec::new() }
    }

    fn starts(&self, builder: ServerBuilder) -> ServerBuilder {
        builder.env("NOTIFY_SOCKET", &*self.address)
    }

    /// The next message, or none within a moment.
    fn next(&mut self) -> Option<String> {
        let mut bytes = [0; 4_096];
        match self.socket.recv(&mut bytes) {
            Ok(length) => {
                let message =
                    String::from_utf8(bytes.get(..length).unwrap_or_default().to_vec()).unwrap();
                self.heard.push(message.clone());
                Some(message)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("the socket of the test: {error}"),
        }
    }

    /// Waits for a message with this line.
    fn wait_for(&mut self, line: &str) -> TestResult<String> {
        let since = Instant::now();
        while since.elapsed() < DEADLINE {
            if let Some(message) = self.next()
                && message.lines().any(|said| said.starts_with(line))
            {
                return Ok(message);
            }
        }
        Err(TestError::new(format!("no message with {line:?}, but {:#?}", self.heard)))
    }

    /// Everything that was said and not read yet.
    fn read_all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

fn value<'text>(message: &'text str, name: &str) -> &'text str {
    let of = |line: &'text str| line.strip_prefix(name)?.strip_prefix('=');
    message.lines().find_map(of).unwrap_or("none")
}

/// `CLOCK_MONOTONIC` in microseconds.
fn monotonic_usec() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000 + u64::try_from(now.tv_nsec / 1_000).unwrap()
}

#[test]
fn ready_reloading_and_stopping_are_told_in_order() -> TestResult {
    let scratch = Scratch::new("service")?;
    let mut systemd = Systemd::at(&scratch);
    let server = systemd.starts(echo(2, 2)).start()?;
    let ready = systemd.wait_for("READY=1")?;
    let master = server.master().pid().to_string();
    check(value(&ready, "MAINPID") == master, ready.clone())?;
    check(value(&ready, "STATUS").starts_with("serves: 0 open sessions, "), ready.clone())?;
    // Who reads it is served.
    round_trip(&mut server.connect()?, "hello")?;
    for signal in [Signal::USR1, Signal::HUP] {
        let before = monotonic_usec();
        server.signal(signal);
        let reloading = systemd.wait_for("RELOADING=1")?;
        let moment: u64 = value(&reloading, "MONOTONIC_USEC").parse().unwrap();
        check((before..=monotonic_usec()).contains(&moment), reloading.clone())?;
        systemd.wait_for("EXTEND_TIMEOUT_USEC=15000000")?;
        systemd.wait_for("READY=1")?;
    }
    // Each new worker served when that was said.
    wait_lines(&server, "reload finished: every worker is new", 2)?;
    server.signal(Signal::TERM);
    let stopping = systemd.wait_for("STOPPING=1")?;
    check(value(&stopping, "STATUS").starts_with("stops: "), stopping.clone())?;
    server.wait_end()?.check_books()?;
    systemd.read_all();
    let order: Vec<&str> = systemd
        .heard
        .iter()
        .filter_map(|message| message.lines().next())
        .filter(|line| line.ends_with("=1"))
        .collect();
    let expected = ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"];
    check(order == expected, format!("{order:?}"))
}

/// The number of a process's parent.
fn parent_of(pid: &str) -> TestResult<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    Ok(parent.unwrap_or_default().trim().to_owned())
}

/// One that fails is no child of the old master, which learns of its end all the same.
#[test]
fn a_new_master_of_a_service_that_fails_changes_nothing() -> TestResult {
    let scratch = Scratch::new("service-lost")?;
    let mut systemd = Systemd::at(&scratch);
    let server = systemd
        .starts(small_probe().env("PROBE_FAIL_START_IF_EXISTS", scratch.path("fail")))
        .expect_log("could not start")
        .expect_log("told to fail")
        .expect_log("no worker has ever")
        .expect_log("the new master did not take over")
        .start()?;
    systemd.wait_for("READY=1")?;
    scratch.make("fail")?;
    server.signal(Signal::USR2);
    server.wait_for_log("the new master did not take over, this one goes on")?;
    Talk::new(&server)?;
    // Whoever plays the service manager reaps it, and nobody else does.
    let started = server.wait_for_log("a new master is started")?;
    let new = started.split(" pid=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    let reaped =
        waitpid(Pid::from_raw(new.parse().unwrap()), None).map_err(std::io::Error::from)?;
    check(
        matches!(reaped, WaitStatus::Exited(..) | WaitStatus::Signaled(..)),
        format!("{reaped:?}"),
    )?;
    systemd.read_all();
    check(!systemd.heard.iter().any(|said| said.starts_with("MAINPID=")), "it took over")?;
    server.signal(Signal::TERM);
    // The books of both are there.
    check(server.wait_end()?.code() == Some(0), "the old master ends in order")
}

/// The new master says that it is ready when the old one has said who is the main process now, and
/// the old one says nothing afterwards, not even that it stops.
#[test]
fn a_new_master_is_the_main_process_before_it_says_anything() -> TestResult {
    let scratch = Scratch::new("service-new")?;
    let mut systemd = Systemd::at(&scratch);
    // The client stays with the old one.
    let server = systemd.starts(echo(1, 1).set("succession_sessions", "drain"));
    let server = server.expect_log("the new master is gone").start()?;
    systemd.wait_for("READY=1")?;
    let old = server.master().pid().to_string();
    let mut client = server.connect()?;
    round_trip(&mut client, "hello")?;
    server.signal(Signal::USR2);
    let told = systemd.wait_for("MAINPID=")?;
    let new = value(&told, "MAINPID").to_owned();
    check(new != old && told.lines().count() == 1, &told)?;
    // systemd waits for the end of a main process that is its own child, and for no other one.
    check(parent_of(&new)? == std::process::id().to_string(), "it is not the manager's child")?;
    let ready = systemd.wait_for("READY=1")?;
    check(value(&ready, "MAINPID") == new, &ready)?;
    let pid = new.parse().ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, Signal::TERM)?;
    systemd.wait_for("STOPPING=1")?;
    server.wait_for_log("the new master is gone")?;
    systemd.read_all();
    let before = systemd.heard.len();
    round_trip(&mut client, "still here")?;
    drop(client);
    check(server.wait_end()?.code() == Some(0), "the old master ends in order")?;
    // A service manager reaps what is its own.
    let reaped =
        waitpid(Pid::from_raw(new.parse().unwrap()), None).map_err(std::io::Error::from)?;
    check(matches!(reaped, WaitStatus::Exited(_, 0)), format!("{reaped:?}"))?;
    systemd.read_all();
    check(systemd.heard.len() == before, format!("{:#?}", systemd.heard))
}

#[test]
fn a_failed_reload_is_over_and_its_outcome_is_told() -> TestResult {
    let scratch = Scratch::new("service-fail")?;
    let mut systemd = Systemd::new();
    let server = systemd
        .starts(small_probe().env("PROBE_FAIL_START_IF_EXISTS", scratch.path("fail")))
        .expect_log("could not start")
        .expect_log("told to fail")
        .expect_log("aborted")
        .start()?;
    systemd.wait_for("READY=1")?;
    scratch.make("fail")?;
    server.signal(Signal::USR1);
    systemd.wait_for("RELOADING=1")?;
    let ready = systemd.wait_for("READY=1")?;
    let words = "; last reload: aborted, the new worker 0 did not start";
    check(value(&ready, "STATUS").ends_with(words), ready.clone())?;
    server.stop()
}

#[test]
fn neither_workers_nor_programs_know_of_the_service_manager() -> TestResult {
    let mut systemd = Systemd::new();
    let builder = systemd.starts(probe()).env("WATCHDOG_USEC", "60000000");
    let server = builder.env("WATCHDOG_PID", "").start()?;
    systemd.wait_for("READY=1")?;
    let mut talk = Talk::new(&server)?;
    for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        talk.expect_answer(&format!("variable {name}"), "unset")?;
    }
    server.stop()
}

#[test]
fn the_status_says_what_there_is() -> TestResult {
    let mut systemd = Systemd::new();
    let server = start(systemd.starts(echo(2, 1)), 2)?;
    let mut clients: Vec<_> = (0..3).map(|_| server.connect()).collect::<TestResult<_>>()?;
    clients.iter_mut().try_for_each(|client| round_trip(client, "x"))?;
    systemd.wait_for("STATUS=serves: 3 open sessions, 2 workers")?;
    drop(clients);
    systemd.wait_for("STATUS=serves: 0 open sessions, 2 workers")?;
    server.stop()
}

#[test]
fn a_long_drain_asks_for_more_time_again_and_again() -> TestResult {
    let mut systemd = Systemd::new();
    let server = systemd.starts(orders(1).set("shutdown_timeout_ms", "60s")).start()?;
    systemd.wait_for("READY=1")?;
    let mut client = server.connect()?;
    let held = Held::by(&server, &mut client, "held")?;
    server.signal(Signal::TERM);
    systemd.wait_for("STOPPING=1")?;
    for _ in 0..2 {
        let message = systemd.wait_for("EXTEND_TIMEOUT_USEC=")?;
        check(value(&message, "EXTEND_TIMEOUT_USEC") == "15000000", message.clone())?;
    }
    held.release()?;
    client.expect(b"released")?;
    server.wait_end()?.check_books()
}

// ---- the watchdog -------------------------------------------------------------------------------

const HANGS: &str = "parts of the server hang";

fn watched(systemd: &Systemd, builder: ServerBuilder) -> ServerBuilder {
    systemd.starts(builder).env("WATCHDOG_USEC", "300000").expect_log(HANGS)
}

/// Called when a part hangs: checks that nobody is fed because of it, then lets it go on by `wake`.
fn check_starved(
    systemd: &mut Systemd,
    server: &TestServer,
    part: &str,
    wake: impl FnOnce() -> TestResult,
) -> TestResult {
    // All others have answered. (On a busy machine one that does not hang may be late, too.)
    let only = format!("{HANGS}; the watchdog is not fed parts=[{part}]");
    let before = server.log_lines_with(&only).len();
    // An answer from before it hung may come after the first line, and begin another round.
    wait_lines(server, &only, before + 2)?;
    // What was said until then is taken; then it goes on to hang.
    systemd.read_all();
    let before = server.log_lines_with(&only).len();
    wait_lines(server, &only, before + 2)?;
    let fed = systemd.read_all().into_iter().any(|message| message.contains("WATCHDOG=1"));
    check(!fed, "it was fed while a part hung")?;
    wake()?;
    systemd.wait_for("WATCHDOG=1").map(drop)
}

#[test]
fn the_watchdog_is_fed_while_manager_and_reactors_go_on() -> TestResult {
    let mut systemd = Systemd::new();
    let server = watched(&systemd, echo(1, 2)).start()?;
    for _ in 0..5 {
        systemd.wait_for("WATCHDOG=1")?;
    }
    let manager = server.manager();
    manager.stop()?;
    check_starved(&mut systemd, &server, "Manager", || manager.cont())?;
    server.stop()
}

#[test]
fn the_watchdog_is_fed_again_when_the_spare_has_taken_over() -> TestResult {
    let mut systemd = Systemd::new();
    let builder = watched(&systemd, echo(1, 1));
    let builder = ["the manager died", "died"].into_iter().fold(builder, ServerBuilder::expect_log);
    let server = builder.start()?;
    systemd.wait_for("WATCHDOG=1")?;
    let manager = server.manager();
    manager.stop()?;
    check_starved(&mut systemd, &server, "Manager", || {
        manager.kill();
        Ok(())
    })?;
    server.stop()
}

#[test]
fn a_reactor_that_hangs_starves_the_watchdog() -> TestResult {
    let mut systemd = Systemd::new();
    // A debugger must be allowed to look into it.
    let server = watched(&systemd, echo(1, 2).set("harden", "off")).start()?;
    systemd.wait_for("WATCHDOG=1")?;
    let thread = thread_named(server.master().pid(), "reactor-1")?;
    let failed = std::io::Error::from;
    ptrace::seize(thread, ptrace::Options::empty()).map_err(failed)?;
    ptrace::interrupt(thread).map_err(failed)?;
    waitpid(thread, Some(WaitPidFlag::__WALL)).map_err(failed)?;
    check_starved(&mut systemd, &server, "Reactor(1)", || {
        Ok(ptrace::detach(thread, None).map_err(failed)?)
    })?;
    server.stop()
}

fn thread_named(process: u32, name: &str) -> TestResult<Pid> {
    for entry in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let path = entry?.path();
        if std::fs::read_to_string(path.join("comm"))?.trim() == name {
            let number = path.file_name().unwrap_or_default().to_string_lossy();
            return Ok(Pid::from_raw(number.parse().unwrap()));
        }
    }
    Err(TestError::new(format!("no thread {name}")))
}

#[test]
fn a_watchdog_of_somebody_else_gets_nothing() -> TestResult {
    for (usec, pid, warns) in [("60000", "1", false), ("60000", "x", true), ("0", "", true)] {
        let mut systemd = Systemd::new();
        let words = "no sign of life is given";
        let builder = systemd.starts(echo(1, 1)).env("WATCHDOG_USEC", usec);
        let server = builder.env("WATCHDOG_PID", pid).expect_log(words).start()?;
        systemd.wait_for("READY=1")?;
        server.signal(Signal::TERM);
        let ended = server.wait_end()?;
        ended.check_books()?;
        let said = !ended.log().lines_with(words).is_empty();
        check(said == warns, format!("{usec} {pid}"))?;
        systemd.read_all();
        check(!systemd.heard.iter().any(|said| said.contains("WATCHDOG")), "it was fed")?;
    }
    Ok(())
}

// ---- bad addresses ------------------------------------------------------------------------------

#[test]
fn a_service_manager_that_is_not_there_costs_a_line_and_not_the_server() -> TestResult {
    for address in ["run/notify", "/nowhere/notify", "vsock:2:1", "@", "@ostler-nobody-is-here"] {
        let words = "NOTIFY_SOCKET does not lead to it";
        let server = echo(1, 1).env("NOTIFY_SOCKET", address).expect_log(words).start()?;
        server.wait_for_log(words)?;
        round_trip(&mut server.connect()?, address)?;
        server.stop()?;
    }
    let server = echo(1, 1).env("NOTIFY_SOCKET", "").start()?;
    round_trip(&mut server.connect()?, "none")?;
    server.stop()
}

#[test]
fn a_service_manager_that_goes_costs_nothing_but_lines() -> TestResult {
    let mut systemd = Systemd::new();
    let words = "the service manager does not hear";
    let server = systemd.starts(echo(1, 1)).expect_log(words).start()?;
    systemd.wait_for("READY=1")?;
    drop(systemd);
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished: every worker is new")?;
    round_trip(&mut server.connect()?, "served")?;
    server.stop()
}
