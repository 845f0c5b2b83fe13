//! Every signal that can be caught has a declared effect on every kind of process; a stray one ends
//! nobody.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod support;
mod talk;

use std::process::Command;

use ostler_testkit::{Process, Signal, TestResult, TestServer};
use support::{Held, check, echo, orders, round_trip, signal_taken, start};
use talk::{Scratch, Talk, small_probe};

/// Signals that end a process by default, are no fault and mean nothing to a server, with their
/// numbers on x86 and Arm; of the real-time signals the first, one in between and the last.
const STRAY: [(i32, &str); 11] = [
    (14, "SIGALRM"),
    (26, "SIGVTALRM"),
    (27, "SIGPROF"),
    (29, "SIGIO"),
    (30, "SIGPWR"),
    (16, "SIGSTKFLT"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (35, "SIGRTMIN+1"),
    (50, "SIGRTMIN+16"),
    (64, "SIGRTMIN+30"),
];

/// By the shell, because the test kit's signals have no real-time ones.
fn send(process: &Process, signal: i32) -> TestResult {
    let command = format!("kill -{signal} {}", process.pid());
    let status = Command::new("sh").args(["-c", &command]).status()?;
    check(status.success(), format!("`{command}`: {status}"))
}

/// Master, manager and workers died of real-time signals, ALRM, VTALRM, IO and their like.
#[test]
fn a_stray_signal_ends_nobody_and_is_logged_once() -> TestResult {
    let server = start(echo(2, 1), 2)?;
    let mut client = server.connect()?;
    round_trip(&mut client, "before")?;
    let everybody =
        [server.master(), server.manager(), server.spare(), server.worker(0), server.worker(1)];
    for _ in 0..2 {
        for (signal, name) in STRAY {
            for process in &everybody {
                send(process, signal)?;
            }
            server.wait_for_log(&format!(
                "master this signal has no effect here; said once signal={name}"
            ))?;
        }
    }
    round_trip(&mut client, "between")?;
    check(everybody.iter().all(Process::is_alive), "somebody died of a stray signal")?;
    // A reload needs the manager, a delivery a worker.
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    round_trip(&mut client, "after")?;
    for (_, name) in STRAY {
        let lines = server.log_lines_with(&format!("said once signal={name} "));
        let by_master = lines.iter().filter(|line| line.contains(" master ")).count();
        check(by_master == 1, format!("{name}: {lines:?}"))?;
    }
    server.stop()
}

/// A program that has bound its listener and runs its server when the file `run` exists.
fn bound(scratch: &Scratch) -> TestResult<TestServer> {
    small_probe().env("PROBE_RUN_WHEN_EXISTS", scratch.path("run")).start()
}

/// Between `bind` and `run` signals had their default effect, although the address was known: USR1
/// ended the server.
#[test]
fn a_reload_asked_before_the_server_runs_ends_nobody() -> TestResult {
    let scratch = Scratch::new("bound")?;
    let server = bound(&scratch)?;
    for signal in [Signal::USR1, Signal::HUP, Signal::ALARM] {
        server.signal(signal);
    }
    scratch.make("run")?;
    assert_eq!(Talk::new(&server)?.ask("echo served")?, "served");
    server.stop()
}

#[test]
fn a_term_before_the_server_runs_is_a_good_end() -> TestResult {
    let scratch = Scratch::new("bound")?;
    let server = bound(&scratch)?;
    server.signal(Signal::TERM);
    scratch.make("run")?;
    let ended = server.wait_end()?;
    check(ended.code() == Some(0), format!("{:?} {:?}", ended.code(), ended.signal()))
}

/// `timeout` and service managers send TERM to the process and to its group within a millisecond:
/// the second one cut what was in hand.
#[test]
fn two_terms_at_once_are_one() -> TestResult {
    let server = start(orders(1), 1)?;
    let (mut busy, mut idle) = (server.connect()?, server.connect()?);
    round_trip(&mut idle, "hello")?;
    let hold = Held::by(&server, &mut busy, "hold")?;
    server.signal(Signal::TERM);
    // The first has been taken when the idle session is closed, so the second does not merge with
    // it.
    idle.expect_eof()?;
    server.signal(Signal::TERM);
    signal_taken(&server, Signal::TERM)?;
    hold.release()?;
    busy.expect(b"released")?;
    let ended = server.wait_end()?;
    let books = ended.books()?;
    check(ended.code() == Some(0), format!("{:?} {:?}", ended.code(), ended.signal()))?;
    check(books.detail("closed_shutdown_timeout") == 0, format!("{books}"))
}
