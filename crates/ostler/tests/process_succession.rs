//! A new master takes the place of an old one (USR2): listeners go over, clients stay where they
//! are, and what fails changes nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod daemon;
mod deployed;
#[path = "deployed/handing_over.rs"]
mod handing_over;
mod talk;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Command;

use daemon::{Daemon, check};
use deployed::Deployed;
use handing_over::{journal, probe, talk as talk_to};
use ostler_testkit::{DEADLINE, Signal, TestError, TestResult, TestServer, wait_until};
use talk::facts::oom_adjustment;

fn connect(address: SocketAddr) -> TestResult<TcpStream> {
    let client = TcpStream::connect(address)?;
    client.set_read_timeout(Some(DEADLINE))?;
    Ok(client)
}

fn echoes(mut client: impl std::io::Read + std::io::Write, text: &str) -> TestResult {
    client.write_all(text.as_bytes())?;
    let mut answer = vec![0; text.len()];
    client.read_exact(&mut answer)?;
    check(answer == text.as_bytes(), answer)
}

/// What the first master took for itself is not what its program had: a new one gives that to its
/// workers, too.
#[test]
fn workers_of_a_new_master_have_what_the_program_had() -> TestResult {
    let own = oom_adjustment(std::process::id())?;
    let master = own.midpoint(1_000);
    let deployed = Deployed::new("victims", "ostler-echo")?;
    let said = format!("master:{master}");
    let mut running = deployed.start(&[("oom_score_adjust", &said), ("workers", "1")])?;
    for _ in 0..2 {
        let new = deployed.succeed(&running)?;
        deployed.wait_left(&running)?;
        running = new;
        assert_eq!(oom_adjustment(running.pid)?, master);
        let worker = worker_of(running.pid)?;
        assert_eq!(oom_adjustment(worker)?, own);
    }
    running.stop(&deployed.place)
}

/// The children of a process.
fn children_of(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The event worker of a master.
fn worker_of(master: u32) -> TestResult<u32> {
    let is_worker = |pid: &u32| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.starts_with("ostler-w0")
    };
    let found = children_of(master).into_iter().flat_map(children_of).find(is_worker);
    found.ok_or_else(|| TestError::new("the new master has no worker"))
}

/// A probe, and a new master of it whose workers hang in their start: it has the pid file, and
/// serves nobody.
fn with_one_that_hangs(
    name: &str,
    options: &[(&str, &str)],
) -> TestResult<(Deployed, PathBuf, Daemon, Daemon)> {
    let deployed = Deployed::new(name, "probe")?;
    let hang = deployed.place.path("hang");
    let operator = deployed.place.path("operator");
    let operator = [("operator_socket", operator.to_str().unwrap())];
    let small = [("workers", "1"), ("reactors", "1"), ("lane_size", "65536")];
    let mut command = deployed.command(&[&small[..], &operator, options].concat());
    let output = command.env("PROBE_HANG_START_IF_EXISTS", &hang).output()?;
    let old = deployed.place.daemon_of(&output)?;
    std::fs::write(&hang, "")?;
    old.signal(Signal::USR2)?;
    deployed.wait_for_pid("the new master to have the pid file", |pid| pid != old.pid)?;
    let new = deployed.place.daemon_at(old.address)?;
    wait_until("the new master to run", || deployed.count(" starts version=") == 2)?;
    Ok((deployed, hang, old, new))
}

/// The probe answers a client.
fn answers(address: SocketAddr) -> TestResult {
    let mut client = connect(address)?;
    client.write_all(b"echo served\n")?;
    let mut answer = [0; 7];
    client.read_exact(&mut answer)?;
    check(&answer == b"served\n", answer)
}

/// What the masters have put beside their log is gone with the last of them.
fn nothing_is_left(deployed: &Deployed) -> TestResult {
    let entries = std::fs::read_dir(deployed.place.path(""))?;
    let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let is_left = |name: &String| name.starts_with("pid") || name.starts_with("operator");
    let left: Vec<_> = names.filter(is_left).collect();
    check(left.is_empty(), left)
}

fn clients_stay_and_new_ones_come_to_the_new_master(name: &str, reactors: &str) -> TestResult {
    let deployed = Deployed::new(name, "ostler-echo")?;
    let drain = ("succession_sessions", "drain");
    let old = deployed.start(&[("workers", "2"), ("reactors", reactors), drain])?;
    let stays = connect(old.address)?;
    echoes(&stays, "before")?;
    let new = deployed.succeed(&old)?;
    check(!old.has_ended(), "a client is there")?;
    echoes(&stays, "after")?;
    for _ in 0..20 {
        new.echoes("to the new one")?;
    }
    drop(stays);
    deployed.wait_left(&old)?;
    let log = deployed.place.log();
    check(log.contains("the last session has ended"), &log)?;
    // The old one has served one client, whatever came later.
    check(log.contains(" accepted=1 "), &log)?;
    new.echoes("still there")?;
    new.stop(&deployed.place)
}

#[test]
fn clients_stay_and_new_ones_come_to_the_new_master_of_one_reactor() -> TestResult {
    clients_stay_and_new_ones_come_to_the_new_master("succession-one", "1")
}

#[test]
fn clients_stay_and_new_ones_come_to_the_new_master_of_two_reactors() -> TestResult {
    clients_stay_and_new_ones_come_to_the_new_master("succession-two", "2")
}

#[test]
fn no_connection_is_refused_and_no_answer_lost_over_five_successions() -> TestResult {
    let deployed = Deployed::new("succession-load", "ostler-echo")?;
    let first = deployed.start(&[("workers", "2"), ("reactors", "1")])?;
    let address = first.address;
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| -> TestResult {
        let clients: Vec<_> = (0..3)
            .map(|client| {
                let over = &over;
                scope.spawn(move || -> TestResult<u32> {
                    let mut served = 0;
                    while !over.load(std::sync::atomic::Ordering::Relaxed) && served < 200_000 {
                        let connection = connect(address)?;
                        for message in 0..5 {
                            echoes(&connection, &format!("{client} {served} {message}"))?;
                        }
                        served += 1;
                    }
                    Ok(served)
                })
            })
            .collect();
        let mut masters = vec![first];
        let outcome = (0..5).try_for_each(|_| {
            let new = deployed.succeed(masters.last().unwrap())?;
            masters.push(new);
            deployed.wait_left(&masters[masters.len() - 2])
        });
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        let served: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        outcome?;
        for served in served {
            check(served? > 0, "a client was never served")?;
        }
        masters.pop().unwrap().stop(&deployed.place)
    })
}

#[test]
fn ports_of_all_sorts_go_over_and_keep_their_paths() -> TestResult {
    let deployed = Deployed::new("succession-ports", "ostler-echo")?;
    let (stream, datagrams) = (deployed.place.path("s"), deployed.place.path("d"));
    let mut command = deployed.command(&[("workers", "1"), ("reactors", "2")]);
    command.args(["--port", &format!("stream=unix://{}", stream.display())]);
    command.args(["--port", &format!("datagrams=unixgram://{}", datagrams.display())]);
    command.args(["--port", "udp=udp://127.0.0.1:0"]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let listening = |name: &str| -> Option<SocketAddr> {
        let line = text.lines().find(|line| line.ends_with(&format!("({name})")))?;
        line.split("://").nth(1)?.split(' ').next()?.parse().ok()
    };
    let (Some(main), Some(udp)) = (listening("main"), listening("udp")) else {
        return Err(TestError::new(format!("{output:?} {}", deployed.place.log())));
    };
    let old = deployed.place.daemon_at(main)?;
    let here = UdpSocket::bind("127.0.0.1:0")?;
    here.set_read_timeout(Some(DEADLINE))?;
    let local = UnixDatagram::bind(deployed.place.path("c"))?;
    local.set_read_timeout(Some(DEADLINE))?;
    let all = || -> TestResult {
        let client = UnixStream::connect(&stream)?;
        client.set_read_timeout(Some(DEADLINE))?;
        echoes(&client, "stream")?;
        echoes(&connect(main)?, "tcp")?;
        let mut answer = [0; 16];
        here.send_to(b"udp", udp)?;
        let (count, _) = here.recv_from(&mut answer)?;
        check(&answer[..count] == b"udp", &answer[..count])?;
        local.send_to(b"unixgram", &datagrams)?;
        let count = local.recv(&mut answer)?;
        check(&answer[..count] == b"unixgram", &answer[..count])
    };
    all()?;
    let second = deployed.succeed(&old)?;
    deployed.wait_left(&old)?;
    all()?;
    let third = deployed.succeed(&second)?;
    deployed.wait_left(&second)?;
    all()?;
    check(stream.exists() && datagrams.exists(), "the paths are there")?;
    third.stop(&deployed.place)?;
    check(!stream.exists() && !datagrams.exists(), "the paths went with the last master")
}

/// The old master serves on, has its pid file, and can be replaced later.
fn check_goes_on(deployed: &Deployed, old: Daemon, whole: &[u8]) -> TestResult {
    check(deployed.pid() == Some(old.pid), "the pid file is the old one's")?;
    old.echoes("goes on")?;
    deployed.deploy(whole)?;
    let new = deployed.succeed(&old)?;
    deployed.wait_left(&old)?;
    new.stop(&deployed.place)
}

#[test]
fn a_program_that_is_none_or_fails_changes_nothing() -> TestResult {
    const GOES_ON: &str = "the new master did not take over, this one goes on";
    let deployed = Deployed::new("succession-bad", "ostler-echo")?;
    let whole = std::fs::read(&deployed.program)?;
    let old = deployed.start(&[("workers", "1")])?;
    let stays = connect(old.address)?;
    // Not there, half written, no server, and one that ends at once.
    std::fs::remove_file(&deployed.program)?;
    old.signal(Signal::USR2)?;
    deployed.wait_for_another(GOES_ON, 0)?;
    for (number, bytes) in
        [whole[..whole.len() / 2].to_vec(), b"#!/bin/sh\n".to_vec(), std::fs::read("/bin/false")?]
            .iter()
            .enumerate()
    {
        deployed.deploy(bytes)?;
        old.signal(Signal::USR2)?;
        deployed.wait_for_another(GOES_ON, number + 1)?;
        echoes(&stays, "as if nothing had been")?;
    }
    check(deployed.place.log().contains("it ended with code 1"), deployed.place.log())?;
    drop(stays);
    check_goes_on(&deployed, old, &whole)
}

#[test]
fn one_that_is_killed_or_never_serves_changes_nothing() -> TestResult {
    let options = [("boot_timeout_ms", "5000")];
    let (deployed, hang, old, new) = with_one_that_hangs("succession-hang", &options)?;
    let own: Vec<u32> = children_of(old.pid).into_iter().filter(|pid| *pid != new.pid).collect();
    // Who comes meanwhile waits for nobody.
    (0..50).try_for_each(|_| answers(old.address))?;
    new.signal(Signal::KILL)?;
    deployed.place.wait_for_log("it was ended by SIGKILL")?;
    deployed.wait_for_pid("the old master to have its pid file again", |pid| pid == old.pid)?;
    // Its workers do not boot in time, and so it gives up by itself.
    old.signal(Signal::USR2)?;
    deployed.wait_for_another("this one goes on", 1)?;
    std::fs::remove_file(&hang)?;
    wait_until("what the new masters left to be gone", || children_of(old.pid) == own)?;
    answers(old.address)?;
    let new = deployed.succeed(&old)?;
    // The log has the errors of the one that gave up.
    wait_until("the old master to end", || old.has_ended())?;
    new.signal(Signal::TERM)?;
    wait_until("the new master to end", || new.has_ended())
}

/// The old master stands still until the new one has said that it serves. Nobody else accepts then.
fn stopped_until_the_new_one_serves(
    (old, hang): (&Daemon, &PathBuf),
    meanwhile: impl FnOnce() -> TestResult,
) -> TestResult {
    old.signal(Signal::STOP)?;
    wait_until("the old master to stand still", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", old.pid));
        stat.is_ok_and(|stat| stat.contains(") T "))
    })?;
    meanwhile()?;
    std::fs::remove_file(hang)?;
    answers(old.address)
}

/// What it has said is heard before its end, and counts for nothing any more.
#[test]
fn one_that_dies_as_soon_as_it_serves_changes_nothing() -> TestResult {
    let options = [("reactors", "2")];
    let (deployed, hang, old, new) = with_one_that_hangs("succession-dies", &options)?;
    stopped_until_the_new_one_serves((&old, &hang), || Ok(()))?;
    new.signal(Signal::KILL)?;
    wait_until("the new master to end", || new.has_ended())?;
    old.signal(Signal::CONT)?;
    deployed.place.wait_for_log("it was ended by SIGKILL")?;
    deployed.wait_for_pid("the old master to have its pid file again", |pid| pid == old.pid)?;
    answers(old.address)?;
    let log = deployed.place.log();
    check(log.contains("this one goes on") && !log.contains("nobody is accepted here"), &log)?;
    let new = deployed.succeed(&old)?;
    deployed.wait_left(&old)?;
    new.stop(&deployed.place)
}

/// The new master serves already when it is given up: it hears of no succession.
#[test]
fn one_that_is_given_up_when_it_serves_takes_nothing_over() -> TestResult {
    let options = [("reactors", "2")];
    let (deployed, hang, old, new) = with_one_that_hangs("succession-given-up", &options)?;
    stopped_until_the_new_one_serves((&old, &hang), || old.signal(Signal::TERM))?;
    old.signal(Signal::CONT)?;
    wait_until("the old master to end", || old.has_ended())?;
    wait_until("the new master to end", || new.has_ended())?;
    let log = deployed.place.log();
    check(log.contains("this one goes on") && !log.contains("has taken over"), &log)?;
    nothing_is_left(&deployed)
}

/// The new master is told to end before it hears that it is in charge: it answers whom it has, is
/// offered nobody, and the old one goes on.
#[test]
fn one_that_is_told_to_end_when_it_serves_answers_whom_it_has() -> TestResult {
    let (deployed, old) = probe("hand-over-nobody", &[("log_level", "debug")])?;
    let mut client = talk_to(old.address)?;
    client.expect_answer("echo before", "before")?;
    let (serving, hang) = (deployed.count("serves worker="), deployed.place.path("hang"));
    std::fs::write(&hang, "")?;
    old.signal(Signal::USR2)?;
    deployed.wait_for_pid("the new master to have the pid file", |pid| pid != old.pid)?;
    let new = deployed.place.daemon_at(old.address)?;
    // What the new one says is not heard before its workers serve and it is told to end.
    old.signal(Signal::STOP)?;
    std::fs::remove_file(&hang)?;
    deployed.wait_for_another("serves worker=", serving)?;
    check(deployed.count("nobody is accepted here any more") == 0, "the old one was too fast")?;
    // It lives on for the request that it has in hand.
    let mut newcomer = talk_to(old.address)?;
    let rest = deployed.place.path("rest");
    newcomer.say(&format!("until {} rested", rest.display()))?;
    wait_until("the new one to have it", || journal(&deployed, "receive") >= 2)?;
    new.signal(Signal::TERM)?;
    deployed.place.wait_for_log("draining")?;
    old.signal(Signal::CONT)?;
    deployed.place.wait_for_log("the new master listens no more")?;
    client.expect_answer("echo after", "after")?;
    talk_to(old.address)?.expect_answer("echo another", "another")?;
    std::fs::write(&rest, "")?;
    newcomer.expect("rested");
    wait_until("the new master to end", || new.has_ended())?;
    deployed.wait_for_another("did not take over, this one goes on", 0)?;
    deployed.wait_for_pid("the old master to have its pid file again", |pid| pid == old.pid)?;
    client.expect_answer("echo at last", "at last")?;
    drop((client, newcomer));
    let log = deployed.place.log();
    check(!log.contains("are offered") && !log.contains("does not answer"), &log)?;
    let new = deployed.succeed(&old)?;
    deployed.wait_left(&old)?;
    new.stop(&deployed.place)
}

#[test]
fn a_server_that_ends_takes_the_one_that_starts_with_it() -> TestResult {
    let (deployed, _, old, new) = with_one_that_hangs("succession-term", &[])?;
    old.signal(Signal::TERM)?;
    wait_until("the old master to end", || old.has_ended())?;
    wait_until("the new master to end", || new.has_ended())?;
    nothing_is_left(&deployed)
}

#[test]
fn a_new_master_is_refused_where_it_cannot_be() -> TestResult {
    let deployed = Deployed::new("succession-base", "ostler-echo")?;
    let base = deployed.start(&[("workers", "1"), ("mode", "base")])?;
    base.signal(Signal::USR2)?;
    deployed.place.wait_for_log("in BASE mode clients are the workers'")?;
    base.echoes("goes on")?;
    base.stop(&deployed.place)
}

/// It would run twice.
#[test]
fn a_server_with_a_user_process_is_not_followed() -> TestResult {
    let deployed = Deployed::new("succession-crew", "crew")?;
    let mut command = deployed.command(&[("workers", "1")]);
    command.args(["--process", "job=wait"]).env("CREW_DIR", deployed.place.path(""));
    let server = deployed.place.daemon_of(&command.output()?)?;
    server.signal(Signal::USR2)?;
    deployed.place.wait_for_log("its user processes would run twice")?;
    server.echoes("goes on")?;
    server.stop(&deployed.place)
}

#[test]
fn who_is_started_by_hand_with_the_variable_is_told() -> TestResult {
    let output = Command::new(TestServer::example_path("ostler-echo")?)
        .env("OSTLER_PREDECESSOR", "7")
        .args(["--set", "listen=127.0.0.1:0"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    check(!output.status.success() && text.contains("unset it to start a server"), text)
}

/// A socket that somebody else has put at the path of a port is not the server's: no new master
/// serves it or takes it away, and the old one goes on.
#[test]
fn a_strangers_socket_at_the_path_of_a_port_is_let_alone() -> TestResult {
    let deployed = Deployed::new("succession-stranger", "ostler-echo")?;
    let path = deployed.place.path("s");
    let mut command = deployed.command(&[("workers", "1"), ("reactors", "1")]);
    command.args(["--port", &format!("stream=unix://{}", path.display())]);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let main = text.lines().find_map(|line| line.split("tcp://").nth(1)?.split(' ').next());
    let main = main.and_then(|address| address.parse().ok());
    let main = main.ok_or_else(|| TestError::new(format!("{output:?}")))?;
    let old = deployed.place.daemon_at(main)?;
    echoes(&UnixStream::connect(&path)?, "is served")?;
    std::fs::remove_file(&path)?;
    let stranger = UnixListener::bind(&path)?;
    let mode = std::fs::metadata(&path)?.permissions().mode();
    old.signal(Signal::USR2)?;
    deployed.place.wait_for_log("another program listens there")?;
    deployed.wait_for_another("did not take over, this one goes on", 0)?;
    check(std::fs::metadata(&path)?.permissions().mode() == mode, "its mode is its own")?;
    let _client = UnixStream::connect(&path)?;
    stranger.accept()?;
    // One that is dead gives way, as at a start.
    drop(stranger);
    let new = deployed.succeed(&old)?;
    wait_until("the old master to end", || old.has_ended())?;
    echoes(&UnixStream::connect(&path)?, "is served again")?;
    std::fs::remove_file(&path)?;
    let _stranger = UnixListener::bind(&path)?;
    new.signal(Signal::TERM)?;
    wait_until("the new master to end", || new.has_ended())?;
    check(path.exists(), "a stranger's socket stays")
}
