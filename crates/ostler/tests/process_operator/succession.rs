//! Operators come to the master that is in charge.

use std::os::unix::net::UnixStream;

use ostler_testkit::{Signal, TestResult, wait_until};

use crate::beside;
use crate::daemon::check;
use crate::deployed::Deployed;
use crate::operator::Operator;

#[test]
fn operators_come_to_the_new_master() -> TestResult {
    let deployed = Deployed::new("operator-succeed", "probe")?;
    let path = deployed.place.path("operator");
    let said = path.display().to_string();
    let options = [("operator_socket", said.as_str()), ("workers", "1"), ("reactors", "1")];
    let mut running = deployed.start(&options)?;
    for _ in 0..2 {
        let mut operator = Operator::new(&path)?;
        check(operator.done("status")?["pid"] == running.pid, "the old one's")?;
        let new = deployed.succeed(&running)?;
        let status = Operator::new(&path)?.done("status")?;
        check(status["pid"] == new.pid, status.to_string())?;
        deployed.wait_left(&running)?;
        running = new;
        check(Operator::new(&path)?.done("check")? == "the books balance", "it stays")?;
    }
    running.stop(&deployed.place)?;
    check(!path.exists(), "nothing is left")
}

/// A new master that does not come up takes nothing away.
#[test]
fn operators_stay_with_a_master_that_is_not_succeeded() -> TestResult {
    let deployed = Deployed::new("operator-stays", "probe")?;
    let (path, broken) = (deployed.place.path("operator"), deployed.place.path("broken"));
    let said = path.display().to_string();
    let options = [("operator_socket", said.as_str()), ("workers", "1"), ("reactors", "1")];
    let mut command = deployed.command(&options);
    let output = command.env("PROBE_FAIL_START_IF_EXISTS", &broken).output()?;
    let running = deployed.place.daemon_of(&output)?;
    std::fs::write(&broken, "")?;
    running.signal(Signal::USR2)?;
    deployed.wait_for_another("did not take over, this one goes on", 0)?;
    check(Operator::new(&path)?.done("status")?["pid"] == running.pid, "it is still there")?;
    std::fs::remove_file(&broken)?;
    running.stop(&deployed.place)?;
    wait_until("the socket to go", || UnixStream::connect(&path).is_err())?;
    check(!path.exists(), "nothing is left")
}

/// What a new master has not shown yet goes with it, also when it is killed.
#[test]
fn a_new_master_that_is_killed_leaves_no_socket() -> TestResult {
    let deployed = Deployed::new("operator-killed", "probe")?;
    let (path, hang) = (deployed.place.path("operator"), deployed.place.path("hang"));
    let said = path.display().to_string();
    let options = [("operator_socket", said.as_str()), ("workers", "1"), ("reactors", "1")];
    let mut command = deployed.command(&options);
    let output = command.env("PROBE_HANG_START_IF_EXISTS", &hang).output()?;
    let running = deployed.place.daemon_of(&output)?;
    std::fs::write(&hang, "")?;
    running.signal(Signal::USR2)?;
    wait_until("the new master to run", || deployed.count(" starts version=") == 2)?;
    let new = deployed.place.daemon_at(running.address)?;
    let hidden = |name: &String| name.starts_with("operator.");
    check(beside(&path).iter().any(hidden), format!("{:?}", beside(&path)))?;
    new.signal(Signal::KILL)?;
    deployed.wait_for_another("did not take over, this one goes on", 0)?;
    check(!beside(&path).iter().any(hidden), format!("{:?}", beside(&path)))?;
    check(Operator::new(&path)?.done("status")?["pid"] == running.pid, "it is still there")?;
    running.stop(&deployed.place)
}
