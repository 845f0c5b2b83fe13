//! Operators come to the master that is in charge.

use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use ostler_testkit::{Client, Signal, TestResult, TestServer, wait_until};

use crate::beside;
use crate::daemon::{Daemon, check};
use crate::deployed::Deployed;
use crate::operator::Operator;
use crate::talk::Talk;

/// Operators that are accepted in one turn, as many as may be connected.
const ACCEPTED_AT_ONCE: usize = 16;

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

/// The word of the end comes before that of another master: there is none.
#[test]
fn a_server_that_ends_is_followed_by_nobody() -> TestResult {
    let (deployed, running, mut operator) = with_operator("operator-ends-new", FAILS, "drain")?;
    let mut client = Talk::with(Client::connect(running.address)?);
    let gate = deployed.place.path("gate");
    client.say(&format!("until {} served", gate.display()))?;
    wait_until("the worker to have it", || {
        operator.done("stats").is_ok_and(|stats| stats["packages"]["received"] == 1)
    })?;
    operator.done("stop")?;
    let why = operator.refused("succeed")?;
    check(why == "the server ends", &why)?;
    std::fs::write(&gate, "")?;
    client.expect("served");
    wait_until("the server to end", || running.has_ended())
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).map(|found| found.ino()).ok()
}

fn stop_still(master: &Daemon) -> TestResult {
    master.signal(Signal::STOP)?;
    wait_until("the master to stand still", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", master.pid));
        stat.is_ok_and(|stat| stat.contains(") T "))
    })
}

/// It has not heard that it is in charge: it answers whom it has, in its own time.
#[test]
fn a_new_master_that_was_told_to_end_is_followed_when_it_has_ended() -> TestResult {
    let (deployed, running, mut operator) = with_operator("operator-declined", HANGS, "drain")?;
    let (path, hang) = (deployed.place.path("operator"), deployed.place.path("trouble"));
    std::fs::write(&hang, "")?;
    running.signal(Signal::USR2)?;
    deployed.wait_for_pid("the new master to have the pid file", |pid| pid != running.pid)?;
    let (new, before) = (deployed.place.daemon_at(running.address)?, inode(&path));
    stop_still(&running)?;
    std::fs::remove_file(&hang)?;
    wait_until("the new master to have the path", || inode(&path) != before)?;
    let mut newcomer = Talk::with(Client::connect(running.address)?);
    let rest = deployed.place.path("rest");
    newcomer.say(&format!("until {} rested", rest.display()))?;
    let mut of_new = Operator::new(&path)?;
    wait_until("the new one to have it", || {
        of_new.done("stats").is_ok_and(|stats| stats["packages"]["received"] == 1)
    })?;
    of_new.done("stop")?;
    running.signal(Signal::CONT)?;
    wait_until("the old one to know", || {
        let why = operator.refused("succeed").unwrap_or_default();
        why == format!("a new master was told to end, process {}: ask when it has ended", new.pid)
    })?;
    std::fs::write(&rest, "")?;
    newcomer.expect("rested");
    drop((newcomer, of_new));
    deployed.wait_for_another("did not take over, this one goes on", 0)?;
    let answer = operator.done("succeed")?;
    deployed.wait_left(&running)?;
    let last = deployed.place.daemon_at(running.address)?;
    check(answer["pid"] == last.pid, answer.to_string())?;
    last.stop(&deployed.place)
}

/// Whoever has connected before the new master has the path is answered by the old one, also those
/// who are too many to be accepted at once.
#[test]
fn operators_who_wait_to_be_accepted_are_answered_by_the_master_that_is_left() -> TestResult {
    let (deployed, running, operator) = with_operator("operator-waits-left", HANGS, "drain")?;
    let (path, hang) = (deployed.place.path("operator"), deployed.place.path("trouble"));
    drop(operator);
    let mut stays = Talk::with(Client::connect(running.address)?);
    stays.expect_answer("echo x", "x")?;
    std::fs::write(&hang, "")?;
    running.signal(Signal::USR2)?;
    deployed.wait_for_pid("the new master to have the pid file", |pid| pid != running.pid)?;
    let new = deployed.place.daemon_at(running.address)?;
    let before = inode(&path);
    stop_still(&running)?;
    let mut waiting = Vec::new();
    for _ in 0..ACCEPTED_AT_ONCE + 1 {
        let mut operator = Operator::new(&path)?;
        operator.say(b"status\n")?;
        waiting.push(operator);
    }
    std::fs::remove_file(&hang)?;
    wait_until("the new master to have the path", || inode(&path) != before)?;
    running.signal(Signal::CONT)?;
    deployed.place.wait_for_log("nobody is accepted here any more")?;
    let answer = waiting.pop().unwrap().answer()?.unwrap_or_default();
    check(answer["result"]["pid"] == running.pid, answer.to_string())?;
    drop((stays, waiting));
    deployed.wait_left(&running)?;
    new.stop(&deployed.place)
}
