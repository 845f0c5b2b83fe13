//! The pid file: who has it, what is replaced, and what is left alone.
#![allow(clippy::unwrap_used)] // a test that cannot go on

mod support;
mod talk;

use std::path::Path;
use std::time::{Duration, SystemTime};

use ostler_testkit::{ServerBuilder, Signal, TestResult};
use support::{check, echo, round_trip, start, wait_lines};
use talk::Scratch;

fn with(path: &Path) -> ServerBuilder {
    // Whoever runs this has to see the descriptors.
    echo(1, 1).set("pid_file", path.display()).set("harden", "off")
}

fn contents(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The names in the directory of a file.
fn beside(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn refused(path: &Path, words: &str) -> TestResult {
    let (code, text) = with(path).start_expecting_failure()?;
    check(code == 4 && text.contains(words), format!("{words:?} is not in {code} {text}"))?;
    check(text.contains("option `pid_file`"), text)
}

#[test]
fn it_stays_through_reloads_and_goes_with_the_server() -> TestResult {
    let scratch = Scratch::new("pid-life")?;
    let path = scratch.path("server.pid");
    let server = start(with(&path), 1)?;
    let expected = format!("{}\n", server.master().pid());
    check(contents(&path) == expected, contents(&path))?;
    for (round, signal) in [Signal::USR1, Signal::HUP].into_iter().enumerate() {
        server.signal(signal);
        wait_lines(&server, "reload finished: every worker is new", round + 1)?;
        check(contents(&path) == expected, "after a reload")?;
    }
    check(beside(&path) == ["server.pid"], format!("{:?}", beside(&path)))?;
    server.stop()?;
    check(beside(&path).is_empty(), format!("{:?}", beside(&path)))
}

#[test]
fn a_second_server_with_it_does_not_start_and_disturbs_nothing() -> TestResult {
    let scratch = Scratch::new("pid-second")?;
    let path = scratch.path("server.pid");
    // The second runs at the same time.
    let first = with(&path).beside_others().start()?;
    let expected = format!("{}\n", first.master().pid());
    let (code, text) = with(&path).beside_others().start_expecting_failure()?;
    let words =
        format!("another server runs with it, process {}: stop that first", expected.trim());
    check(code == 4 && text.contains(&words), format!("{code} {text}"))?;
    check(contents(&path) == expected, contents(&path))?;
    round_trip(&mut first.connect()?, "still served")?;
    first.stop()?;
    check(beside(&path).is_empty(), "it was still the first's to remove")
}

/// The lock is the master's alone: it ends with it, whoever else is left.
#[test]
fn what_a_killed_server_left_is_replaced() -> TestResult {
    let scratch = Scratch::new("pid-left")?;
    let path = scratch.path("server.pid");
    let server = start(with(&path), 1)?;
    let mut others = server.workers();
    others.extend([server.manager(), server.spare()]);
    for process in others {
        for entry in std::fs::read_dir(format!("/proc/{}/fd", process.pid()))? {
            let target = std::fs::read_link(entry?.path()).unwrap_or_default();
            check(target != path, format!("{} has it", process.pid()))?;
        }
    }
    let left = contents(&path);
    server.master().kill();
    server.wait_end()?;
    check(contents(&path) == left, "nobody removes it")?;
    let server = with(&path).start()?;
    check(contents(&path) == format!("{}\n", server.master().pid()), contents(&path))?;
    server.stop()?;
    check(beside(&path).is_empty(), "removed")
}

#[test]
fn a_number_that_now_belongs_to_a_younger_process_is_left_over() -> TestResult {
    let scratch = Scratch::new("pid-reused")?;
    let path = scratch.path("server.pid");
    let own = format!("{}\n", std::process::id());
    std::fs::write(&path, &own)?;
    refused(&path, "which runs and may have written it")?;
    check(contents(&path) == own, "it is left alone")?;
    let day = Duration::from_secs(24 * 3_600);
    std::fs::File::open(&path)?.set_modified(SystemTime::now() - day)?;
    let server = with(&path).start()?;
    check(contents(&path) != own, "it is replaced")?;
    server.stop()
}

#[test]
fn what_is_no_pid_file_is_left_alone() -> TestResult {
    let scratch = Scratch::new("pid-bad")?;
    let path = scratch.path("it");
    for text in ["# my notes\n", "12 34\n", "0\n", "-5\n", "99999999999\n", &"1".repeat(4_096)] {
        std::fs::write(&path, text)?;
        refused(&path, "is a file of something else")?;
        check(contents(&path) == text, "it is left alone")?;
    }
    std::fs::write(&path, [0xFF, 0xFE])?;
    refused(&path, "is a file of something else")?;
    let link = scratch.path("link");
    std::os::unix::fs::symlink(&path, &link)?;
    refused(&link, "is a symbolic link")?;
    let directory = scratch.path("directory");
    std::fs::create_dir(&directory)?;
    refused(&directory, "is no file, give the pid file a path of its own")?;
    let pipe = scratch.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )?;
    refused(&pipe, "is no file, give the pid file a path of its own")?;
    refused(&scratch.path("nowhere/pid"), "its directory has to exist and be writable")?;
    refused(&path.join("below"), "cannot be looked at")?;
    check(beside(&path).len() == 4, format!("{:?}", beside(&path)))
}

#[test]
fn an_empty_file_is_replaced() -> TestResult {
    let scratch = Scratch::new("pid-empty")?;
    let path = scratch.path("server.pid");
    std::fs::write(&path, "")?;
    let server = with(&path).start()?;
    check(contents(&path) == format!("{}\n", server.master().pid()), contents(&path))?;
    server.stop()
}

#[test]
fn a_file_that_somebody_put_in_its_place_is_not_removed() -> TestResult {
    let scratch = Scratch::new("pid-other")?;
    let (path, other) = (scratch.path("server.pid"), scratch.path("other"));
    let server = start(with(&path), 1)?;
    std::fs::write(&other, "1\n")?;
    std::fs::rename(&other, &path)?;
    server.stop()?;
    check(contents(&path) == "1\n", "it is somebody else's")
}
