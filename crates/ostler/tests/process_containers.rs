//! A server as process 1 of a container: signals reach it, and it waits for everybody's children.
#![allow(clippy::unwrap_used)] // a test that cannot go on

mod talk;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use ostler_testkit::{DEADLINE, Signal, TestError, TestResult, TestServer, wait_until};
use rustix::process::{Pid, kill_process};
use talk::machine::lets_run_through;

/// Begins as process 1 of a name space of its own, with a `/proc` that shows it.
const AS_FIRST: [&str; 6] =
    ["unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];

/// A server in a container.
struct Container {
    launcher: Child,
    address: String,
    /// The master's number outside.
    first: Pid,
}

impl Drop for Container {
    fn drop(&mut self) {
        // With everything in it.
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}

impl Container {
    fn start() -> TestResult<Self> {
        let [launcher, words @ ..] = AS_FIRST;
        let mut command = Command::new(launcher);
        command.args(words).arg(TestServer::example_path("ostler-echo")?);
        let options = ["listen=127.0.0.1:0", "workers=1", "reactors=1", "harden=off"];
        command.args(options.iter().flat_map(|option| ["--set", option]));
        command.args(["--handler", "orders"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut launcher = command.spawn()?;
        let mut line = String::new();
        BufReader::new(launcher.stdout.take().unwrap()).read_line(&mut line)?;
        let address = line.trim().trim_start_matches("listening on ").to_owned();
        let id = launcher.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let first = children.trim().parse().ok().and_then(Pid::from_raw);
        let first = first.ok_or_else(|| TestError::new(format!("children: {children:?}")))?;
        Ok(Self { launcher, address, first })
    }

    /// Sends an order, and says what came back; nothing from a worker that died of it.
    fn ask(&self, order: &str) -> TestResult<String> {
        let mut client = TcpStream::connect(&self.address)?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.write_all(order.as_bytes())?;
        let mut bytes = [0; 64];
        let length = client.read(&mut bytes)?;
        Ok(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned())
    }

    fn space(pid: u32) -> PathBuf {
        std::fs::read_link(format!("/proc/{pid}/ns/pid")).unwrap_or_default()
    }

    /// The states of all processes in it.
    fn states(&self) -> Vec<(String, char)> {
        let own = Self::space(self.first.as_raw_pid().unsigned_abs());
        let numbers = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let inside = numbers.filter(|pid| Self::space(*pid) == own);
        let state = |pid: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let (name, rest) = stat.rsplit_once(')')?;
            Some((name.to_owned(), rest.trim().chars().next()?))
        };
        inside.filter_map(state).collect()
    }

    /// Tells the master to end in order, and how the container ended.
    fn stop(mut self) -> TestResult<(Option<i32>, String)> {
        kill_process(self.first, Signal::TERM)?;
        let mut log = String::new();
        self.launcher.stderr.take().unwrap().read_to_string(&mut log)?;
        Ok((self.launcher.wait()?.code(), log))
    }
}

#[test]
fn process_1_serves_waits_for_strangers_and_drains() -> TestResult {
    if !lets_run_through(&AS_FIRST, "have a process 1") {
        return Ok(());
    }
    let container = Container::start()?;
    assert_eq!(container.ask("hello")?, "hello");
    // A program of a worker's, which then has no parent.
    let orphan: u32 = container.ask("spawn")?.parse().unwrap();
    assert!(orphan > 1, "a number inside");
    assert_eq!(container.ask("abort")?, "", "its worker died");
    assert_eq!(container.ask("served again")?, "served again");
    let is_zombie = |(_, state): &(String, char)| *state == 'Z';
    wait_until("no zombie", || !container.states().iter().any(is_zombie))?;
    let sleeps = |found: &[(String, char)]| found.iter().any(|(name, _)| name.contains("(sleep"));
    assert!(sleeps(&container.states()), "{:?}", container.states());

    let (code, log) = container.stop()?;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("draining") && log.contains(" accepted="), "{log}");
    assert!(!log.contains("invariant"), "{log}");
    Ok(())
}

/// Like a shell that somebody opens in a container: it has a parent outside, what it starts has
/// none when it ends.
#[test]
fn what_strangers_leave_in_the_container_is_waited_for_and_lives_on() -> TestResult {
    if !lets_run_through(&AS_FIRST, "have a process 1") {
        return Ok(());
    }
    let container = Container::start()?;
    let first = container.first.as_raw_pid().to_string();
    let inside = ["nsenter", "--preserve-credentials", "--user", "--pid", "--target", &first];
    if !lets_run_through(&inside, "enter a name space") {
        return Ok(());
    }
    let [launcher, words @ ..] = inside;
    let script = "sleep 600 & (sleep 0.3 & exec true) & true & exit 7";
    let ended = Command::new(launcher).args(words).args(["sh", "-c", script]).status()?;
    assert_eq!(ended.code(), Some(7));
    // One of them ends when it has no parent any more.
    let one_sleeps = || {
        let found = container.states();
        let count = |name| found.iter().filter(|(found, _)| found.contains(name)).count();
        let zombies = found.iter().filter(|(_, state)| *state == 'Z').count();
        (count("(sh"), count("(true"), count("(sleep"), zombies) == (0, 0, 1, 0)
    };
    wait_until("one of them to be there, and no zombie", one_sleeps)?;

    let (code, log) = container.stop()?;
    assert_eq!(code, Some(0), "{log}");
    Ok(())
}
