//! Operators who are none: too many of them, who say too much or read nothing; and paths.

use std::io::Read as _;
use std::net::Shutdown;

use ostler_testkit::{TestResult, wait_until};

use crate::operator::Operator;
use crate::support::{check, echo, wait_lines};
use crate::talk::{Scratch, Talk, small_probe};
use crate::{beside, start, with};

/// The most that are connected at once.
const PEERS_MAX: usize = 16;
const LINE_BYTES_MAX: usize = 65_536;

#[test]
fn what_is_no_request_is_told_and_the_next_one_is_answered() -> TestResult {
    let scratch = Scratch::new("operator-wrong")?;
    let path = scratch.path("operator");
    let server = start(small_probe(), &path, 1)?;
    let mut operator = Operator::new(&path)?;
    for (wrong, why) in [
        ("statsu", "did you mean `stats`?"),
        ("GET / HTTP/1.1", "`help` lists them"),
        ("stop it", "stands alone"),
        ("workers many", "needs a number"),
        ("call", "needs a slot"),
    ] {
        let told = operator.refused(wrong)?;
        check(told.contains(why), format!("{wrong}: {told}"))?;
    }
    operator.say(b"\n\r\n\xff\xfe\0\n")?;
    check(operator.answer()?.unwrap()["ok"] == false, "bytes that are no text")?;
    // Several at once, the last one without an end.
    operator.say(b"check\nstatus\ncheck")?;
    operator.socket.shutdown(Shutdown::Write)?;
    for _ in 0..3 {
        check(operator.answer()?.unwrap()["ok"] == true, "each is answered")?;
    }
    check(operator.answer()?.is_none(), "and then it is over")?;
    server.stop()
}

#[test]
fn a_line_has_a_longest_length() -> TestResult {
    let scratch = Scratch::new("operator-long")?;
    let path = scratch.path("operator");
    let server = start(small_probe(), &path, 1)?;
    let mut operator = Operator::new(&path)?;
    let long = operator.refused(&"x".repeat(LINE_BYTES_MAX - 1))?;
    check(long.contains("no such request"), long)?;
    operator.say(&vec![b'x'; LINE_BYTES_MAX])?;
    let long = operator.answer()?.unwrap();
    check(long["error"].as_str().unwrap().contains("65536 bytes at most"), long.to_string())?;
    check(operator.answer()?.is_none(), "nobody knows where its next request begins")?;
    server.stop()
}

/// Who is silent makes room; the server and its clients go on.
#[test]
fn operators_without_end_keep_nobody_out() -> TestResult {
    let scratch = Scratch::new("operator-many")?;
    let path = scratch.path("operator");
    let server = start(small_probe(), &path, 1)?;
    let mut first = Operator::new(&path)?;
    first.done("status")?;
    let mut silent = Vec::new();
    for _ in 0..4 * PEERS_MAX {
        silent.push(Operator::new(&path)?);
    }
    Operator::new(&path)?.done("status")?;
    check(silent[0].answer()?.is_none(), "the one that was silent for longest had to go")?;
    Talk::new(&server)?.expect_answer("echo x", "x")?;
    server.stop()
}

/// It gets no second answer before it has read the first, and costs no more than that.
#[test]
fn who_reads_nothing_is_waited_for_by_nobody() -> TestResult {
    let scratch = Scratch::new("operator-deaf")?;
    let path = scratch.path("operator");
    let server = start(small_probe(), &path, 1)?;
    let mut deaf = Operator::new(&path)?;
    deaf.socket.set_nonblocking(true)?;
    let requests = b"stats\n".repeat(10_000);
    let mut said = 0;
    // As far as it is taken: the server stops to read.
    wait_until("the server to read no more", || {
        match std::io::Write::write(&mut deaf.socket, &requests[said % 6..]) {
            Ok(len) => {
                said += len;
                false
            }
            Err(_) => true,
        }
    })?;
    Operator::new(&path)?.done("status")?;
    Talk::new(&server)?.expect_answer("echo x", "x")?;
    deaf.socket.set_nonblocking(false)?;
    let mut some = vec![0; 65_536];
    deaf.socket.read_exact(&mut some)?;
    check(some.starts_with(b"{\"ok\":true"), "the answers are there")?;
    server.stop()
}

#[test]
fn a_path_that_is_taken_is_a_clear_error() -> TestResult {
    let scratch = Scratch::new("operator-taken")?;
    let path = scratch.path("operator");
    let refused = |words: &str| -> TestResult {
        let (code, text) = with(echo(1, 1), &path).beside_others().start_expecting_failure()?;
        check(code == 3 && text.contains(words), format!("{words:?} is not in {code} {text}"))
    };
    let first = with(echo(1, 1), &path).beside_others().start()?;
    refused("another program listens there")?;
    Operator::new(&path)?.done("status")?;
    first.stop()?;
    std::fs::write(&path, "precious")?;
    refused("there is a file that is no socket")?;
    check(std::fs::read(&path)? == b"precious", "it is let alone")?;
    std::fs::remove_file(&path)?;
    std::fs::create_dir(&path)?;
    refused("there is a file that is no socket")?;
    std::fs::remove_dir(&path)?;
    // What a server has left that was killed.
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    let server = with(echo(1, 1), &path).start()?;
    wait_lines(&server, "serves worker", 1)?;
    Operator::new(&path)?.done("status")?;
    server.stop()?;
    check(beside(&path).is_empty(), format!("{:?}", beside(&path)))?;
    let long = "x".repeat(108);
    let (code, text) = with(echo(1, 1), long.as_ref()).start_expecting_failure()?;
    check(code == 2 && text.contains("107"), format!("{code} {text}"))
}
