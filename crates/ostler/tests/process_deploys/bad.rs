//! Deploys that are no good: nothing is replaced, and the reason is told.

use std::io::Write as _;

use ostler_testkit::{RunningLoad, Signal, TestResult, TestServer};

use crate::scene::{Place, check_running};
use crate::support::{check, start, wait_lines, wait_serving};

const ABORTED: &str = "nothing changed";

/// A server under load that expects its deploys to fail.
struct Scene {
    place: Place,
    server: TestServer,
    load: RunningLoad,
    /// What runs.
    good: u64,
    aborted: usize,
    serving: usize,
}

impl Scene {
    fn new(name: &str, boot_timeout: &str) -> TestResult<Self> {
        let place = Place::new(name)?;
        let builder = place
            .server(2, 1)
            .set("crash_policy", "redeliver:5")
            .set("boot_timeout_ms", boot_timeout)
            .expect_log(ABORTED)
            .expect_log("could not start")
            .expect_log("cannot be started")
            .expect_log("what a server is this")
            .expect_log("talks too much")
            .expect_log("worker died");
        let server = start(builder, 2)?;
        let load = server.load().connections(8).depth(2).start()?;
        let good = place.inode()?;
        Ok(Self { place, server, load, good, aborted: 0, serving: 2 })
    }

    /// A reload that is to be aborted for this reason; afterwards a worker dies and comes back.
    fn is_refused(&mut self, reason: &str) -> TestResult {
        let old = self.server.workers();
        self.load.wait_for_more(100)?;
        self.server.signal(Signal::USR1);
        self.aborted += 1;
        wait_lines(&self.server, ABORTED, self.aborted)?;
        let lines = self.server.log_lines_with(ABORTED);
        let line = lines.last().cloned().unwrap_or_default();
        check(line.contains(reason), format!("{reason:?} is not in {line}"))?;
        check(self.server.workers() == old, "an old worker was touched")?;
        self.load.wait_for_more(100)?;
        // What lies on disk is nobody's successor.
        self.server.worker(0).kill();
        self.serving += 1;
        wait_serving(&self.server, self.serving)?;
        check_running(&self.server, self.good)
    }

    /// A good one after all the others.
    fn ends(self) -> TestResult {
        let deployed = self.place.deploy()?;
        self.server.signal(Signal::USR1);
        self.server.wait_for_log("reload finished: every worker is new")?;
        crate::scene::wait_running(&self.server, 2, deployed)?;
        self.load.wait_for_more(100)?;
        self.load.stop()?.check_perfect()?;
        self.server.stop()
    }
}

#[test]
fn files_that_are_no_program_are_refused() -> TestResult {
    let mut scene = Scene::new("files", "30s")?;
    std::fs::remove_file(scene.place.program())?;
    scene.is_refused("No such file")?;
    std::fs::create_dir(scene.place.program())?;
    scene.is_refused("directory")?;
    std::fs::remove_dir(scene.place.program())?;
    scene.place.deploy_bytes(b"", 0o755)?;
    scene.is_refused("empty")?;
    scene.place.deploy_bytes(b"#!/bin/sh\nexec /bin/true\n", 0o755)?;
    scene.is_refused("script")?;
    scene.place.deploy_bytes(&[b'x'; 4_096], 0o755)?;
    scene.is_refused("no program")?;
    scene.ends()
}

#[test]
fn programs_that_are_not_whole_or_for_others_are_refused() -> TestResult {
    let mut scene = Scene::new("halves", "30s")?;
    let whole = std::fs::read(TestServer::example_path("ostler-echo")?)?;
    for part in [100, whole.len() / 2, whole.len() - 1] {
        scene.place.deploy_bytes(whole.get(..part).unwrap_or(&whole), 0o755)?;
        scene.is_refused("its end is missing")?;
    }
    let mut other = whole.clone();
    if let Some(machine) = other.get_mut(18) {
        *machine ^= 0x55;
    }
    scene.place.deploy_bytes(&other, 0o755)?;
    scene.is_refused("another machine")?;
    scene.place.deploy_bytes(&whole, 0o644)?;
    scene.is_refused("may it be executed")?;
    scene.ends()
}

/// It is still being copied: the kernel does not run what somebody writes.
#[test]
fn a_program_that_is_being_written_is_refused() -> TestResult {
    let mut scene = Scene::new("written", "30s")?;
    scene.place.deploy()?;
    let mut writer = std::fs::OpenOptions::new().append(true).open(scene.place.program())?;
    writer.write_all(b"\0")?;
    let refused = scene.is_refused("somebody writes into it");
    drop(writer);
    refused?;
    scene.ends()
}

#[test]
fn programs_that_are_no_server_are_refused() -> TestResult {
    let mut scene = Scene::new("impostors", "2s")?;
    for (what, reason) in [
        ("exits", "before its program came to its server: code 0"),
        ("babbles", "before its program came to its server: code 3"),
        ("hangs", "before its program came to its server: SIGKILL"),
    ] {
        scene.place.deploy_impostor(what)?;
        scene.is_refused(reason)?;
    }
    scene.ends()
}
