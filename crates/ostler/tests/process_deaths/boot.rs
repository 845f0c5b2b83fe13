//! Workers that do not start, at first or later.

use ostler_testkit::{TestResult, TestServer};

use crate::support::{check, echo, round_trip, start, wait_lines};
use crate::{BACK_OFF, DIED, OFTEN};

/// A file that workers do not start with, outside of the server's own directory: it exists before
/// the server.
struct Broken {
    path: std::path::PathBuf,
}

impl Broken {
    fn new(name: &str) -> TestResult<Self> {
        let name = format!("ostler-test-{name}-{}", std::process::id());
        let broken = Self { path: std::env::temp_dir().join(name) };
        std::fs::write(&broken.path, "")?;
        Ok(broken)
    }

    fn repair(&self) -> TestResult {
        Ok(std::fs::remove_file(&self.path)?)
    }

    fn destroy(&self) -> TestResult {
        Ok(std::fs::write(&self.path, "")?)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        let _gone = std::fs::remove_file(&self.path);
    }
}

/// Workers that served once and do not start any more: attempts go on, slower and slower, until it
/// works.
#[test]
fn a_crash_loop_at_start_backs_off_and_recovers() -> TestResult {
    let broken = Broken::new("loop")?;
    broken.repair()?;
    let builder = echo(1, 1)
        .env("ECHO_FAIL_START_IF_EXISTS", &broken.path)
        .set("log_level", "debug")
        .set("back_off_min_ms", 20)
        .set("back_off_max_ms", 200)
        .set("slot_down_ms", 3_600_000)
        .expect_log("on_worker_start failed")
        .expect_log(OFTEN)
        .expect_log(DIED);
    let server = start(builder, 1)?;
    let mut client = server.connect()?;
    round_trip(&mut client, "before")?;
    server.wait_for_rest()?;
    broken.destroy()?;
    server.worker(0).kill();
    wait_lines(&server, BACK_OFF, 6)?;
    let pauses: Vec<u64> = server
        .log()
        .parsed()
        .iter()
        .filter(|line| line.message.contains(BACK_OFF))
        .filter_map(|line| line.number("retry_after_ms"))
        .collect();
    check(pauses.starts_with(&[20, 40, 80, 160, 200, 200]), format!("{pauses:?}"))?;
    client.send(b"meanwhile")?;
    broken.repair()?;
    client.expect(b"meanwhile")?;
    server.stop()
}

/// Code that never starts ends the server as soon as every slot has tried it, and with the reason.
#[test]
fn a_first_start_that_never_succeeds_ends_the_server() -> TestResult {
    let broken = Broken::new("never")?;
    let (code, text) = echo(2, 1)
        .env("ECHO_FAIL_START_IF_EXISTS", &broken.path)
        .set("boot_timeout_ms", 3_600_000)
        .start_expecting_failure()?;
    check(code == 4, format!("code {code}: {text}"))?;
    let last = text.lines().last().unwrap_or_default();
    let said = last.contains("all 2 workers failed to start: on_worker_start failed: told to fail");
    check(said, text)
}

/// Code that does not come to an end of its start is given the time that it was promised.
#[test]
fn a_first_start_that_hangs_ends_the_server_after_its_time() -> TestResult {
    let broken = Broken::new("hangs")?;
    let (code, text) = TestServer::example("probe")
        .env("PROBE_HANG_START_IF_EXISTS", &broken.path)
        .set("workers", 2)
        .set("boot_timeout_ms", 500)
        .start_expecting_failure()?;
    check(code == 4, format!("code {code}: {text}"))?;
    let said = text.contains("workers became ready within 500 ms")
        || text.contains("all 2 workers failed to start");
    check(said, text)
}

/// Hundreds of starts that fail are a handful of lines.
#[test]
fn starts_that_fail_do_not_fill_the_log() -> TestResult {
    let broken = Broken::new("lines")?;
    broken.repair()?;
    let builder = echo(4, 1)
        .env("ECHO_FAIL_START_IF_EXISTS", &broken.path)
        .set("back_off_min_ms", 1)
        .set("back_off_max_ms", 1)
        .set("fork_interval_ms", 0)
        .expect_log("no worker serves")
        .expect_log("on_worker_start failed")
        .expect_log(OFTEN)
        .expect_log(DIED);
    let server = start(builder, 4)?;
    round_trip(&mut server.connect()?, "before")?;
    broken.destroy()?;
    for worker in server.workers() {
        worker.kill();
    }
    // What was not said one by one is said as a number.
    let line = server.wait_for_log("workers could not start, without a line for each")?;
    check(line.contains("told to fail"), &line)?;
    let lines = server.log().lines().len();
    check(lines < 60, format!("{lines} lines"))?;
    broken.repair()?;
    // Who comes before a worker serves again is refused.
    server.wait_for("a worker to serve again", |server| {
        server.connect().and_then(|mut client| round_trip(&mut client, "after")).is_ok()
    })?;
    server.stop()
}
