//! A server in the background: it is nobody's child, and so found by its pid file.
#![allow(dead_code)] // each binary uses a part of it

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ostler_testkit::{DEADLINE, Signal, TestError, TestResult, TestServer, wait_until};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::talk::Scratch;

/// Fails with this, unless the condition holds.
pub fn check(condition: bool, text: impl std::fmt::Debug) -> TestResult {
    if condition { Ok(()) } else { Err(TestError::new(format!("{text:?}"))) }
}

/// Where a daemon's files are.
pub struct Place {
    scratch: Scratch,
}

/// A master in the background. It is killed at the end, if it has not ended.
pub struct Daemon {
    pub pid: u32,
    pub address: SocketAddr,
    descriptor: OwnedFd,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.descriptor, Signal::KILL);
    }
}

/// A test that fails leaves nobody in the background, whoever was started.
impl Drop for Place {
    fn drop(&mut self) {
        for line in self.log().lines().filter(|line| line.contains("listening on")) {
            let pid = line.split(" pid=").nth(1).and_then(|rest| rest.split(' ').next());
            let Some(pid) = pid.and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw) else {
                continue;
            };
            let name = std::fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_pid()));
            if name.is_ok_and(|name| name.trim() == "ostler-master") {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
    }
}

impl Place {
    pub fn new(name: &str) -> TestResult<Self> {
        Ok(Self { scratch: Scratch::new(name)? })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until the log says so.
    pub fn wait_for_log(&self, text: &str) -> TestResult {
        wait_until(text, || self.log().contains(text))
    }

    /// The command that starts this example in the background.
    pub fn command(&self, example: &str, options: &[(&str, &str)]) -> TestResult<Command> {
        Ok(self.command_of(&TestServer::example_path(example)?, options))
    }

    /// The command that starts this program in the background.
    pub fn command_of(&self, program: &Path, options: &[(&str, &str)]) -> Command {
        let mut command = Command::new(program);
        let (log, pid) = (self.path("log"), self.path("pid"));
        let files = [("log_file", log.to_string_lossy()), ("pid_file", pid.to_string_lossy())];
        let own = files.iter().map(|(name, value)| (*name, value.as_ref()));
        let always = [("listen", "127.0.0.1:0"), ("daemonize", "true"), ("harden", "off")];
        for (name, value) in own.chain(always).chain(options.iter().copied()) {
            command.args(["--set", &format!("{name}={value}")]);
        }
        command
    }

    /// Starts it, and finds it again.
    pub fn start(&self, example: &str, options: &[(&str, &str)]) -> TestResult<Daemon> {
        let output = self.command(example, options)?.output()?;
        self.daemon_of(&output)
    }

    /// The daemon whose launcher ended like this.
    pub fn daemon_of(&self, output: &Output) -> TestResult<Daemon> {
        let text = String::from_utf8_lossy(&output.stdout);
        let address = text.trim().strip_prefix("listening on ").and_then(|at| at.parse().ok());
        let Some(address) = address.filter(|_| output.status.success()) else {
            return Err(TestError::new(format!("{output:?}, log:\n{}", self.log())));
        };
        self.daemon_at(address)
    }

    /// The daemon that has the pid file now.
    pub fn daemon_at(&self, address: SocketAddr) -> TestResult<Daemon> {
        let text = std::fs::read_to_string(self.path("pid"))?;
        let raw = text.trim().parse().ok().and_then(Pid::from_raw);
        let raw = raw.ok_or_else(|| TestError::new(format!("no pid: {text:?}")))?;
        let pid = raw.as_raw_pid().unsigned_abs();
        Ok(Daemon { pid, address, descriptor: pidfd_open(raw, PidfdFlags::empty())? })
    }
}

impl Daemon {
    /// Sends a text and expects it back.
    pub fn echoes(&self, text: &str) -> TestResult {
        let mut client = TcpStream::connect(self.address)?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.write_all(text.as_bytes())?;
        let mut answer = vec![0; text.len()];
        client.read_exact(&mut answer)?;
        if answer == text.as_bytes() { Ok(()) } else { Err(TestError::new("another answer")) }
    }

    pub fn signal(&self, signal: Signal) -> TestResult {
        Ok(pidfd_send_signal(&self.descriptor, signal)?)
    }

    /// A word of `/proc/PID/stat`, by its number in proc(5).
    pub fn stat(&self, word: usize) -> TestResult<i64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let found = behind_name.split_whitespace().nth(word.saturating_sub(3));
        let number = found.and_then(|word| word.parse().ok());
        number.ok_or_else(|| TestError::new(format!("no word {word} in {stat:?}")))
    }

    pub fn has_ended(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut list = [PollFd::from_borrowed_fd(self.descriptor.as_fd(), PollFlags::IN)];
        poll(&mut list, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Ends it in order; its log says that the books balance, and its files are gone.
    pub fn stop(self, place: &Place) -> TestResult {
        self.signal(Signal::TERM)?;
        wait_until("the daemon to end", || self.has_ended())?;
        let log = place.log();
        if log.contains("ERROR") || !log.contains(" accepted=") {
            return Err(TestError::new(format!("the log is not clean:\n{log}")));
        }
        if place.path("pid").exists() {
            return Err(TestError::new("its pid file was left"));
        }
        Ok(())
    }
}
