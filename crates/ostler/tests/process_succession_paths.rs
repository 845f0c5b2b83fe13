//! The paths of unix sockets while a new master takes the place of an old one: they are the old
//! one's until the new one is in charge.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod daemon;
mod deployed;
#[path = "deployed/handing_over.rs"]
mod handing_over;
mod talk;

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use daemon::{Daemon, check};
use deployed::Deployed;
use handing_over::{journal, talk as talk_to};
use ostler_testkit::{DEADLINE, Signal, TestError, TestResult, wait_until};

const GOES_ON: &str = "the new master did not take over, this one goes on";

/// A probe with a port at a path, whose permissions somebody has changed, and one for datagrams.
struct WithPaths {
    deployed: Deployed,
    old: Daemon,
    stream: PathBuf,
    datagrams: PathBuf,
    /// Its workers hang in their start as long as this is there.
    hang: PathBuf,
    /// Its workers fail in their start as long as this is there.
    fail: PathBuf,
}

fn mode(path: &Path) -> TestResult<u32> {
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
}

fn set_mode(path: &Path, mode: u32) -> TestResult {
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?)
}

impl WithPaths {
    fn start(name: &str, options: &[(&str, &str)]) -> TestResult<Self> {
        let deployed = Deployed::new(name, "probe")?;
        let (stream, datagrams) = (deployed.place.path("s"), deployed.place.path("d"));
        let (hang, fail) = (deployed.place.path("hang"), deployed.place.path("fail"));
        let (at, datagrams_at) =
            (format!("unix://{}", stream.display()), format!("unixgram://{}", datagrams.display()));
        let small = [("workers", "1"), ("reactors", "2"), ("lane_size", "65536")];
        let ports = [("port.s.listen", at.as_str()), ("port.d.listen", datagrams_at.as_str())];
        let mut command = deployed.command(&[&small[..], &ports, options].concat());
        command.env("PROBE_JOURNAL", deployed.place.path("journal"));
        command.env("PROBE_HANG_START_IF_EXISTS", &hang);
        command.env("PROBE_FAIL_START_IF_EXISTS", &fail);
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let main = text.lines().find_map(|line| line.split("tcp://").nth(1)?.split(' ').next());
        let main = main.and_then(|address| address.parse::<SocketAddr>().ok());
        let main = main
            .ok_or_else(|| TestError::new(format!("{output:?}, log:\n{}", deployed.place.log())))?;
        let old = deployed.place.daemon_at(main)?;
        set_mode(&stream, 0o640)?;
        set_mode(&datagrams, 0o640)?;
        Ok(Self { deployed, old, stream, datagrams, hang, fail })
    }

    /// The old master is asked for a new one, which has the pid file now and serves nobody.
    fn ask_one_that_hangs(&self) -> TestResult<Daemon> {
        let starts = self.deployed.count(" starts version=");
        std::fs::write(&self.hang, "")?;
        self.old.signal(Signal::USR2)?;
        self.deployed
            .wait_for_pid("the new master to have the pid file", |pid| pid != self.old.pid)?;
        self.deployed.wait_for_another(" starts version=", starts)?;
        self.deployed.place.daemon_at(self.old.address)
    }

    /// Clients are served at the path as ever.
    fn is_unchanged(&self) -> TestResult {
        self.answers()?;
        let modes = (mode(&self.stream)?, mode(&self.datagrams)?);
        check(modes == (0o640, 0o640), format!("the modes are {modes:?}"))
    }

    fn answers(&self) -> TestResult {
        check(self.datagrams.exists(), "the path for datagrams is there")?;
        let mut client = UnixStream::connect(&self.stream)?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.write_all(b"echo served\n")?;
        let mut answer = [0; 7];
        client.read_exact(&mut answer)?;
        check(&answer == b"served\n", answer)
    }

    /// Another new master takes over, with the paths and with the permissions that options name,
    /// and takes the paths with it when it ends.
    fn expect_followed(self) -> TestResult {
        let new = self.deployed.succeed(&self.old)?;
        wait_until("the old master to end", || self.old.has_ended())?;
        self.answers()?;
        let modes = (mode(&self.stream)?, mode(&self.datagrams)?);
        check(modes == (0o600, 0o600), format!("the modes are {modes:?}"))?;
        new.signal(Signal::TERM)?;
        wait_until("the new master to end", || new.has_ended())?;
        let are_left = self.stream.exists() || self.datagrams.exists();
        check(!are_left, "the paths went with the last master")
    }
}

#[test]
fn a_new_master_whose_workers_fail_leaves_the_paths_to_the_old_one() -> TestResult {
    let server = WithPaths::start("paths-fails", &[])?;
    std::fs::write(&server.fail, "")?;
    server.old.signal(Signal::USR2)?;
    server.deployed.wait_for_another(GOES_ON, 0)?;
    server.is_unchanged()?;
    std::fs::remove_file(&server.fail)?;
    server.expect_followed()
}

/// Another of its ports cannot be opened any more: it ends before it has all of them.
#[test]
fn a_new_master_that_cannot_open_its_ports_leaves_the_paths_to_the_old_one() -> TestResult {
    let beside = Deployed::new("paths-beside", "probe")?;
    let taken = beside.place.path("z");
    let url = format!("unix://{}", taken.display());
    let server = WithPaths::start("paths-ports", &[("port.z.listen", url.as_str())])?;
    std::fs::remove_file(&taken)?;
    std::fs::write(&taken, "precious")?;
    server.old.signal(Signal::USR2)?;
    server.deployed.wait_for_another(GOES_ON, 0)?;
    check(server.deployed.count("it ended with code") == 1, server.deployed.place.log())?;
    server.is_unchanged()?;
    std::fs::remove_file(&taken)?;
    server.expect_followed()
}

#[test]
fn a_new_master_that_is_told_to_end_while_it_boots_leaves_the_paths_to_the_old_one() -> TestResult {
    let server = WithPaths::start("paths-boots", &[])?;
    let new = server.ask_one_that_hangs()?;
    new.signal(Signal::TERM)?;
    // Its workers do not end before they have started.
    server.deployed.place.wait_for_log("draining")?;
    std::fs::remove_file(&server.hang)?;
    server.deployed.wait_for_another(GOES_ON, 0)?;
    server.is_unchanged()?;
    server.expect_followed()
}

/// It serves already when it is told to end, and is not in charge yet.
#[test]
fn a_new_master_that_is_told_to_end_when_it_serves_leaves_the_paths_to_the_old_one() -> TestResult {
    let server = WithPaths::start("paths-serves", &[])?;
    let new = server.ask_one_that_hangs()?;
    let serving = server.deployed.count("serves worker=");
    // What the new one says is not heard before its workers serve and it is told to end.
    server.old.signal(Signal::STOP)?;
    std::fs::remove_file(&server.hang)?;
    server.deployed.wait_for_another("serves worker=", serving)?;
    // It lives on for the request that it has in hand.
    let mut newcomer = talk_to(server.old.address)?;
    let rest = server.deployed.place.path("rest");
    newcomer.say(&format!("until {} rested", rest.display()))?;
    wait_until("the new one to have it", || journal(&server.deployed, "receive") >= 1)?;
    new.signal(Signal::TERM)?;
    server.deployed.place.wait_for_log("draining")?;
    server.old.signal(Signal::CONT)?;
    // The old one serves who comes.
    server.is_unchanged()?;
    std::fs::write(&rest, "")?;
    newcomer.expect("rested");
    wait_until("the new master to end", || new.has_ended())?;
    server.deployed.wait_for_another(GOES_ON, 0)?;
    server.is_unchanged()?;
    server.expect_followed()
}

/// Who takes the place of one that is killed has its paths.
#[test]
fn a_new_master_whose_old_one_is_killed_has_the_paths() -> TestResult {
    let server = WithPaths::start("paths-killed", &[])?;
    let new = server.ask_one_that_hangs()?;
    server.old.signal(Signal::KILL)?;
    wait_until("the old master to end", || server.old.has_ended())?;
    std::fs::remove_file(&server.hang)?;
    server.deployed.place.wait_for_log("has taken over from the old master")?;
    server.answers()?;
    check(mode(&server.stream)? == 0o600, "it has the permissions of the new one")?;
    new.signal(Signal::TERM)?;
    wait_until("the new master to end", || new.has_ended())?;
    check(!server.stream.exists() && !server.datagrams.exists(), "the paths went with it")
}
