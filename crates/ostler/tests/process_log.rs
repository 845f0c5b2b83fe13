//! What the log says, and how.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod talk;

use std::collections::HashMap;

use ostler_testkit::{LogLine, Process, ServerBuilder, Signal, TestResult, TestServer};
use talk::{Scratch, Talk, small_probe};

/// A life with everything in it: start, a death with its reason, a reload, the end. At the default
/// level.
fn eventful() -> TestResult<Vec<LogLine>> {
    let server = small_probe().default_log_level().expect_log("worker died").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo before")?, "before");
    server.worker(0).kill();
    server.wait_for_log("serves worker=w0.2")?;
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    drop(talk);
    let ended = server.stop_and_report()?;
    Ok(ended.log().parsed())
}

#[test]
fn each_event_has_one_line_and_no_word_stands_twice() -> TestResult {
    let lines = eventful()?;
    let mut times: HashMap<String, usize> = HashMap::new();
    for line in &lines {
        let words: Vec<&str> = line.message.split_whitespace().collect();
        let role = line.label.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        assert_ne!(words.first().copied(), Some(role), "the label is said twice: {line:?}");
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]), "{line:?}");
        for (name, value) in &line.fields {
            assert!(!value.contains("\\n"), "a table in a field: {line:?}");
            let is_total = matches!(name.as_str(), "accepted" | "received" | "finished");
            assert!(is_total || (value != "0" && value != "no"), "{name} says nothing: {line:?}");
        }
        *times.entry(line.message.clone()).or_default() += 1;
    }
    let begins = |text: &str| lines.iter().filter(|line| line.message.starts_with(text)).count();
    for event in
        ["starts", "listening on tcp://", "worker died", "reload begins", "reload finished"]
    {
        assert_eq!(begins(event), 1, "{event}: {lines:#?}");
    }
    assert_eq!(begins("serves"), 3, "the first, the one after the kill, the one of the reload");
    let started = lines.iter().find(|line| line.message == "starts");
    let fields = &started.unwrap_or_else(|| panic!("{lines:#?}")).fields;
    for (name, value) in [
        ("workers", "1"),
        ("reactors", "1"),
        ("lane_size", "64KiB"),
        ("name", "probe"),
        ("budget", "64MiB"),
    ] {
        assert_eq!(fields.get(name).map(String::as_str), Some(value), "{fields:?}");
    }
    Ok(())
}

#[test]
fn listening_is_said_with_url_and_pid_when_the_first_worker_serves() -> TestResult {
    let scratch = Scratch::new("listening")?;
    let server = small_probe().default_log_level().start()?;
    let url = format!("listening on tcp://{}", server.address());
    let line = server.wait_for_log(&url)?;
    assert!(line.contains(&format!(" pid={}", server.master().pid())), "{line}");
    assert_eq!(server.output(), [format!("listening on {}", server.address())]);
    // A server that cannot be talked to says nothing of the kind: it is at its worker's start when
    // it is ended.
    server.stop()?;
    scratch.make("hang")?;
    let (code, text) = small_probe()
        .default_log_level()
        .set("boot_timeout_ms", "300ms")
        .env("PROBE_HANG_START_IF_EXISTS", scratch.path("hang"))
        .start_expecting_failure()?;
    assert_eq!(code, 4, "{text}");
    assert!(!text.contains("listening on"), "{text}");
    Ok(())
}

#[test]
fn a_panic_is_one_line_with_file_line_and_session() -> TestResult {
    let server = small_probe().expect_log("told to panic").expect_log("died").start()?;
    let mut talk = Talk::new(&server)?;
    let session = talk.number("id")?;
    talk.say("panic")?;
    talk.expect_closed();
    let text = server.wait_for_log("panicked: told to panic")?;
    let line = LogLine::parse(&text).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(line.worker(), Some((0, 1)), "{text}");
    assert!(line.field("file").is_some_and(|file| file.ends_with("probe/process.rs")), "{text}");
    let source = include_str!("programs/probe/process.rs");
    let panics = source.lines().position(|line| line.contains("panic!(\"told to panic"));
    assert_eq!(line.number("line"), panics.map(|index| index as u64 + 1), "{text}");
    assert_eq!(line.number("session"), Some(session), "{text}");
    server.stop()
}

#[test]
fn titles_name_the_server_and_only_that() -> TestResult {
    let title = |process: &Process| -> TestResult<String> { Ok(process.cmdline()?.join(" ")) };
    let one = small_probe().set("name", "first-one").start()?;
    let two = small_probe().start()?;
    for (server, name) in [(&one, "first-one"), (&two, "probe")] {
        assert_eq!(Talk::new(server)?.ask("echo up")?, "up");
        let whose = format!("{} ({name})", server.address());
        for (process, role) in [
            (server.master(), "master"),
            (server.manager(), "manager"),
            (server.spare(), "spare"),
            (server.worker(0), "w0"),
        ] {
            assert_eq!(title(&process)?, format!("ostler: {role} {whose}"));
            assert_eq!(process.comm()?, format!("ostler-{role}"), "the short name stays");
        }
    }
    two.stop()?;
    one.stop()
}

/// Each client that met an error of the handler had a line of its own: who connects often enough
/// fills the disk.
#[test]
fn lines_that_clients_cause_are_a_few_and_then_their_number() -> TestResult {
    const ALL: u64 = 200;
    let server =
        small_probe().expect_log("a callback failed").expect_log("callbacks failed").start()?;
    for _ in 0..ALL {
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("fail on purpose")?, "sent before it failed");
        talk.expect_closed();
    }
    let ended = server.stop_and_report()?;
    let told = ended.log().lines_with("a callback failed, its session is closed").len() as u64;
    let lines = ended.log().parsed().into_iter();
    let counts = lines.filter(|line| line.message.starts_with("callbacks failed"));
    let counts: Vec<u64> = counts.filter_map(|line| line.number("more")).collect();
    assert!(told <= 10 * counts.len() as u64, "{told} lines, {counts:?}");
    assert_eq!(told + counts.iter().sum::<u64>(), ALL, "{counts:?}");
    Ok(())
}

// ---- rotation -----------------------------------------------------------------------------------

/// The log is in a file, which the checks at the end do not read.
fn in_file(scratch: &Scratch) -> ServerBuilder {
    small_probe().set("log_file", scratch.path("log").display())
}

fn wait_line(server: &TestServer, scratch: &Scratch, parts: &[&str]) -> TestResult {
    server.wait_for(&format!("{parts:?} in the log"), |_| {
        let has_all = |line: &String| parts.iter().all(|part| line.contains(part));
        scratch.lines("log").iter().any(has_all)
    })
}

/// Whoever rotates makes the new file: every process goes on there, without being told.
#[test]
fn a_rotated_log_file_is_followed_by_every_process() -> TestResult {
    let scratch = Scratch::new("rotated")?;
    let server = in_file(&scratch).start()?;
    wait_line(&server, &scratch, &["listening on"])?;
    std::fs::rename(scratch.path("log"), scratch.path("log.1"))?;
    scratch.make("log")?;
    Talk::new(&server)?.say("panic in the new file")?;
    wait_line(&server, &scratch, &[" w0.1 ", "panicked: told to panic"])?;
    wait_line(&server, &scratch, &[" manager worker died"])?;
    wait_line(&server, &scratch, &[" master serves worker=w0.2"])?;
    // The spare has said nothing until it is the manager.
    server.manager().kill();
    wait_line(&server, &scratch, &[" manager supervises"])?;
    let old = scratch.lines("log.1");
    let is_new = |line: &&String| line.contains("panicked") || line.contains("died");
    assert_eq!(old.iter().find(is_new), None, "somebody still writes to the old file");
    server.signal(Signal::TERM);
    server.wait_end()?;
    Ok(())
}

/// Whoever rotates asks for the new file.
#[test]
fn a_hang_up_makes_the_log_file_anew() -> TestResult {
    let scratch = Scratch::new("hang-up")?;
    let server = in_file(&scratch).start()?;
    wait_line(&server, &scratch, &["listening on"])?;
    std::fs::rename(scratch.path("log"), scratch.path("log.1"))?;
    server.signal(Signal::HUP);
    wait_line(&server, &scratch, &[" manager reload begins"])?;
    wait_line(&server, &scratch, &[" master serves worker=w0.2"])?;
    wait_line(&server, &scratch, &[" master reload finished"])?;
    assert_eq!(Talk::new(&server)?.ask("echo served")?, "served");
    server.signal(Signal::TERM);
    server.wait_end()?;
    let books =
        |name: &str| scratch.lines(name).iter().filter(|line| line.contains(" books ")).count();
    assert_eq!((books("log.1"), books("log")), (0, 1));
    Ok(())
}

/// The same without new workers: one request, and every process goes on in the new file.
#[test]
fn a_real_time_signal_makes_the_log_file_anew_and_nothing_else() -> TestResult {
    let scratch = Scratch::new("real-time")?;
    let server = in_file(&scratch).start()?;
    wait_line(&server, &scratch, &["listening on"])?;
    std::fs::rename(scratch.path("log"), scratch.path("log.1"))?;
    let kill = format!("kill -RTMIN {}", server.master().pid());
    assert!(std::process::Command::new("bash").args(["-c", &kill]).status()?.success());
    wait_line(&server, &scratch, &[" master the log goes on in the file of its name"])?;
    assert_eq!(Talk::new(&server)?.ask("echo served")?, "served");
    server.signal(Signal::TERM);
    server.wait_end()?;
    // Nobody was replaced, and the manager, which nobody has told, writes there, too.
    let lines = |name: &str| scratch.lines(name);
    let said = |name: &str, text: &str| lines(name).iter().any(|line| line.contains(text));
    assert!(said("log", " manager ends") && said("log", " books "));
    assert!(!said("log", "reload") && !said("log.1", " manager ends"));
    Ok(())
}

/// The directory is gone: the old file gets the lines, and says why.
#[test]
fn a_log_file_that_cannot_be_made_anew_goes_on_in_the_old_one() -> TestResult {
    let scratch = Scratch::new("no-new-log")?;
    std::fs::create_dir(scratch.path("there"))?;
    let path = scratch.path("there/log");
    let server = small_probe().set("log_file", path.display()).start()?;
    std::fs::rename(scratch.path("there"), scratch.path("moved"))?;
    server.signal(Signal::HUP);
    server.wait_for("the reason in the log", |_| {
        let lines = scratch.lines("moved/log");
        let said = |text: &str| lines.iter().any(|line| line.contains(text));
        said("cannot open the log file anew") && said("reload finished")
    })?;
    server.signal(Signal::TERM);
    server.wait_end()?;
    Ok(())
}
