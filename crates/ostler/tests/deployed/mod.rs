//! A server of a program that can be replaced on disk, for several test binaries.
#![allow(dead_code)] // each binary uses a part of it

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use ostler_testkit::{Signal, TestResult, TestServer, wait_until};

use crate::daemon::{Daemon, Place, check};

/// A server of a program that can be replaced on disk.
pub struct Deployed {
    pub place: Place,
    pub program: PathBuf,
}

impl Deployed {
    pub fn new(name: &str, example: &str) -> TestResult<Self> {
        let place = Place::new(name)?;
        let program = place.path("program");
        let deployed = Self { place, program };
        deployed.deploy(&std::fs::read(TestServer::example_path(example)?)?)?;
        Ok(deployed)
    }

    /// Puts another program in its place, as one should.
    pub fn deploy(&self, bytes: &[u8]) -> TestResult {
        let beside = self.place.path("program.new");
        std::fs::write(&beside, bytes)?;
        std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755))?;
        Ok(std::fs::rename(&beside, &self.program)?)
    }

    pub fn command(&self, options: &[(&str, &str)]) -> Command {
        let mut command = self.place.command_of(&self.program, options);
        // Other users may have no way to where a clone lies.
        command.current_dir(self.place.path(""));
        command
    }

    pub fn start(&self, options: &[(&str, &str)]) -> TestResult<Daemon> {
        self.place.daemon_of(&self.command(options).output()?)
    }

    /// How often the log says so.
    pub fn count(&self, text: &str) -> usize {
        self.place.log().matches(text).count()
    }

    pub fn wait_for_another(&self, text: &str, before: usize) -> TestResult {
        wait_until(text, || self.count(text) > before)
    }

    /// Whose the pid file is.
    pub fn pid(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.place.path("pid")).unwrap_or_default();
        text.trim().parse().ok()
    }

    pub fn wait_for_pid(&self, what: &str, is_it: impl Fn(u32) -> bool) -> TestResult {
        wait_until(what, || self.pid().is_some_and(&is_it))
    }

    /// Asks for a new master, and waits until it is in charge.
    pub fn succeed(&self, old: &Daemon) -> TestResult<Daemon> {
        const TAKEN: &str = "has taken over from the old master";
        let before = self.count(TAKEN);
        old.signal(Signal::USR2)?;
        self.wait_for_another(TAKEN, before)?;
        let new = self.place.daemon_at(old.address)?;
        check(new.pid != old.pid, "the pid file is the new one's")?;
        Ok(new)
    }

    /// Waits until the old master has ended by itself.
    pub fn wait_left(&self, old: &Daemon) -> TestResult {
        wait_until("the old master to end", || old.has_ended())?;
        let log = self.place.log();
        check(!log.contains("ERROR"), &log)
    }
}
