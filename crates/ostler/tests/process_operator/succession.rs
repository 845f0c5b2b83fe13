//! Operators come to the master that is in charge.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use ostler_testkit::{Signal, TestResult, TestServer, wait_until};

use crate::beside;
use crate::daemon::{Daemon, check};
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

/// A probe whose program can be replaced, with an operator.
fn with_operator(
    name: &str,
    files: &str,
    sessions: &str,
) -> TestResult<(Deployed, Daemon, Operator)> {
    let deployed = Deployed::new(name, "probe")?;
    let path = deployed.place.path("operator");
    let said = path.display().to_string();
    let mut options = vec![("operator_socket", said.as_str()), ("workers", "1")];
    options.extend([("reactors", "1"), ("succession_sessions", sessions)]);
    let mut command = deployed.command(&options);
    let output = command.env(files, deployed.place.path("trouble")).output()?;
    let running = deployed.place.daemon_of(&output)?;
    let operator = Operator::new(&path)?;
    Ok((deployed, running, operator))
}

const FAILS: &str = "PROBE_FAIL_START_IF_EXISTS";
const HANGS: &str = "PROBE_HANG_START_IF_EXISTS";

/// Whoever asks for a new master reads which one it is, as soon as it is in charge.
#[test]
fn a_new_master_is_asked_for_and_answered_when_it_is_in_charge() -> TestResult {
    let (deployed, mut running, mut operator) =
        with_operator("operator-asks-new", FAILS, "hand_over")?;
    for _ in 0..2 {
        let answer = operator.done("succeed")?;
        let new = deployed.place.daemon_at(running.address)?;
        check(new.pid != running.pid && answer["pid"] == new.pid, answer.to_string())?;
        check(answer["connections"] == 0, answer.to_string())?;
        deployed.wait_left(&running)?;
        running = new;
        operator = Operator::new(&deployed.place.path("operator"))?;
        check(operator.done("status")?["pid"] == running.pid, "it is in charge")?;
    }
    running.stop(&deployed.place)
}

/// Nothing has changed, and the answer says why.
#[test]
fn a_new_master_that_fails_is_answered_with_the_reason() -> TestResult {
    let (deployed, running, mut operator) =
        with_operator("operator-fails-new", FAILS, "hand_over")?;
    let whole = std::fs::read(&deployed.program)?;
    std::fs::remove_file(&deployed.program)?;
    // One after another, also of those that are known to fail at once.
    operator.say(&b"succeed\n".repeat(100))?;
    for _ in 0..100 {
        let answer = operator.answer()?.unwrap_or_default();
        let why = answer["error"].as_str().unwrap_or_default();
        check(why.starts_with("the new master did not take over: "), answer.to_string())?;
        check(why.contains("No such file"), why)?;
    }
    deployed.deploy(&whole[..whole.len() / 2])?;
    let why = operator.refused("succeed")?;
    check(why.starts_with("the new master did not take over: "), &why)?;
    deployed.deploy(&std::fs::read("/bin/false")?)?;
    let why = operator.refused("succeed")?;
    check(why.contains("it ended with code 1"), &why)?;
    deployed.deploy(&whole)?;
    std::fs::write(deployed.place.path("trouble"), "")?;
    let why = operator.refused("succeed")?;
    check(why.contains("it ended with code 4"), &why)?;
    check(operator.done("status")?["pid"] == running.pid, "it goes on")?;
    running.stop(&deployed.place)
}

#[test]
fn one_new_master_starts_at_a_time_and_the_end_of_the_server_ends_it() -> TestResult {
    let (deployed, running, mut operator) = with_operator("operator-one-new", HANGS, "hand_over")?;
    std::fs::write(deployed.place.path("trouble"), "")?;
    operator.say(b"succeed\n")?;
    deployed.wait_for_pid("the new master to have the pid file", |pid| pid != running.pid)?;
    let mut other = Operator::new(&deployed.place.path("operator"))?;
    let why = other.refused("succeed")?;
    check(why.starts_with("a new master starts already, process "), &why)?;
    other.done("stop")?;
    let answer = operator.answer()?.unwrap_or_default();
    let why = "the new master did not take over: the server ends";
    check(answer["error"] == why, answer.to_string())?;
    wait_until("the old master to end", || running.has_ended())
}

/// The one that is left says where to ask.
#[test]
fn a_master_that_is_left_starts_no_other() -> TestResult {
    let (deployed, running, mut operator) = with_operator("operator-left", FAILS, "drain")?;
    let mut other = Operator::new(&deployed.place.path("operator"))?;
    let stays = TcpStream::connect(running.address)?;
    wait_until("the client to be seen", || {
        other.done("status").is_ok_and(|status| status["connections"] == 1)
    })?;
    operator.done("succeed")?;
    check(other.done("status")?["phase"] == "leaves", "the old one is still there")?;
    let why = other.refused("succeed")?;
    check(why == "another master is in charge already: ask that one", &why)?;
    let new = deployed.place.daemon_at(running.address)?;
    drop(stays);
    deployed.wait_left(&running)?;
    new.stop(&deployed.place)
}

#[test]
fn a_new_master_is_refused_where_it_cannot_be() -> TestResult {
    let scratch = crate::talk::Scratch::new("operator-base-new")?;
    let path = scratch.path("operator");
    let builder = TestServer::example("probe").set("mode", "base").set("workers", 1);
    let server = crate::start(builder.expect_log("no new master is started"), &path, 1)?;
    let why = Operator::new(&path)?.refused("succeed")?;
    check(why.starts_with("no new master is started: in BASE mode"), &why)?;
    server.stop()
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
