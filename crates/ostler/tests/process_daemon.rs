//! A server that goes to the background, and the process that waits until it serves.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod daemon;
mod talk;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Output, Stdio};

use daemon::{Place, check};
use ostler_testkit::{DEADLINE, Signal, TestResult, wait_until};

fn link(pid: u32, name: &str) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_default()
}

/// What a launcher printed on standard error, and its code.
fn failure(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn it_belongs_to_no_terminal_and_serves_when_its_launcher_has_ended() -> TestResult {
    let place = Place::new("daemon-life")?;
    // `output` returns when nobody has the streams any more: no process of the server does.
    let daemon = place.start("ostler-echo", &[("workers", "2")])?;
    daemon.echoes("hello")?;
    check(daemon.stat(6)? == i64::from(daemon.pid), "it has a session of its own")?;
    check(daemon.stat(7)? == 0, "it has a terminal")?;
    check(link(daemon.pid, "fd/0") == Path::new("/dev/null"), link(daemon.pid, "fd/0"))?;
    for stream in ["fd/1", "fd/2"] {
        check(link(daemon.pid, stream) == place.path("log"), link(daemon.pid, stream))?;
    }
    let here = std::env::current_dir()?;
    check(link(daemon.pid, "cwd") == here, "the working directory stays")?;
    let launcher_is_gone = daemon.stat(4)? != i64::from(std::process::id());
    check(launcher_is_gone, "the server is not the process that was started")?;
    daemon.signal(Signal::USR1)?;
    place.wait_for_log("reload finished: every worker is new")?;
    daemon.echoes("hello again")?;
    daemon.stop(&place)
}

#[test]
fn what_is_printed_goes_to_the_log_file_also_after_it_was_rotated() -> TestResult {
    let place = Place::new("daemon-print")?;
    let sizes = [("workers", "1"), ("reactors", "1"), ("lane_size", "65536")];
    let daemon = place.start("probe", &sizes)?;
    let client = TcpStream::connect(daemon.address)?;
    client.set_read_timeout(Some(DEADLINE))?;
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let mut print = |text: &str| -> TestResult {
        (&client).write_all(format!("print {text}\n").as_bytes())?;
        let answer = lines.next().transpose()?;
        check(answer.as_deref() == Some("printed"), answer)
    };
    print("one")?;
    let log = place.log();
    check(log.contains("out one\n") && log.contains("err one\n"), &log)?;

    std::fs::rename(place.path("log"), place.path("log.1"))?;
    daemon.signal(Signal::HUP)?;
    wait_until("the log to be made anew", || place.path("log").exists())?;
    place.wait_for_log("reload finished: every worker is new")?;
    print("two")?;
    let log = place.log();
    check(log.contains("out two\n") && log.contains("err two\n"), &log)?;
    daemon.stop(&place)
}

#[test]
fn a_start_that_fails_is_told_where_it_was_asked_for() -> TestResult {
    let place = Place::new("daemon-fails")?;
    let first = place.start("ostler-echo", &[])?;
    // The port is told at once, the pid file only in the background.
    let address = first.address.to_string();
    let (code, text) = failure(&place.command("ostler-echo", &[("listen", &address)])?.output()?);
    check(code == Some(3) && text.contains(&address), (code, text))?;
    let (code, text) = failure(&place.command("ostler-echo", &[])?.output()?);
    check(code == Some(4) && text.contains("another server runs with it"), (code, text))?;
    first.echoes("undisturbed")?;
    first.stop(&place)?;

    let stop = place.path("no-start");
    std::fs::write(&stop, "")?;
    let mut command = place.command("probe", &[("lane_size", "65536")])?;
    let (code, text) = failure(&command.env("PROBE_FAIL_START_IF_EXISTS", &stop).output()?);
    check(code == Some(4) && text.contains("told to fail"), (code, text))?;
    check(!place.path("pid").exists(), "the pid file was left")
}

#[test]
fn a_daemon_without_a_log_file_is_an_error() -> TestResult {
    let place = Place::new("daemon-log")?;
    let (code, text) = failure(&place.command("ostler-echo", &[("log_file", "")])?.output()?);
    check(code == Some(2) && text.contains("`daemonize` needs `log_file`"), (code, text))
}

/// Who interrupts the launcher interrupts the start.
#[test]
fn signals_to_the_launcher_are_signals_to_the_server() -> TestResult {
    let place = Place::new("daemon-signal")?;
    let hang = place.path("hang");
    std::fs::write(&hang, "")?;
    let mut command = place.command("probe", &[("lane_size", "65536")])?;
    command.env("PROBE_HANG_START_IF_EXISTS", &hang);
    let launcher =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn()?;
    wait_until("the server to begin", || place.path("pid").exists())?;
    let server = std::fs::read_to_string(place.path("pid"))?.trim().to_owned();
    let to = rustix::process::Pid::from_raw(launcher.id().cast_signed()).unwrap();
    rustix::process::kill_process(to, Signal::INT)?;
    let output = launcher.wait_with_output()?;
    check(output.status.signal().is_none(), &output)?;
    check(output.stdout.is_empty(), "it never listened")?;
    check(!Path::new(&format!("/proc/{server}")).exists(), "the server runs on")?;
    check(!place.path("pid").exists(), "the pid file was left")
}

#[test]
fn its_own_program_is_deployed() -> TestResult {
    let place = Place::new("daemon-exec")?;
    let daemon = place.start("ostler-echo", &[("start", "exec"), ("workers", "1")])?;
    daemon.echoes("old")?;
    daemon.signal(Signal::USR1)?;
    place.wait_for_log("reload finished: every worker is new")?;
    daemon.echoes("new")?;
    daemon.stop(&place)
}

/// Both find the file that a crash left, and both want it.
#[test]
fn of_two_servers_that_start_at_once_with_one_pid_file_one_serves() -> TestResult {
    for round in 0..30 {
        let place = Place::new("daemon-race")?;
        if round % 2 == 0 {
            std::fs::write(place.path("pid"), "999999999\n")?;
        }
        let start = || -> TestResult<std::process::Child> {
            let mut command = place.command("ostler-echo", &[("workers", "1")])?;
            Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
        };
        let outputs = [start()?, start()?].map(|started| started.wait_with_output().unwrap());
        let (winners, losers): (Vec<_>, Vec<_>) =
            outputs.iter().partition(|output| output.status.success());
        check(winners.len() == 1 && losers.len() == 1, &outputs)?;
        let (code, text) = failure(losers[0]);
        check(code == Some(4) && text.contains("option `pid_file`"), (code, text))?;
        let daemon = place.daemon_of(winners[0])?;
        daemon.echoes("it serves")?;
        daemon.signal(Signal::TERM)?;
        wait_until("the daemon to end", || daemon.has_ended())?;
        check(!place.path("pid").exists(), "its pid file was left")?;
    }
    Ok(())
}
