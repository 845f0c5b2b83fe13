//! A worker that was started by exec is in everything what a fork is.

use std::collections::BTreeMap;

use ostler_testkit::{Process, Signal, TestResult, TestServer};

use crate::scene::Place;
use crate::support::{check, start, wait_serving};

/// What is to be seen of a process, without what is another one's by necessity.
fn look(process: &Process) -> TestResult<BTreeMap<String, String>> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", process.pid()));
    let mut seen = BTreeMap::new();
    let wanted = ["Sig", "Shd", "Cap", "NoNewPrivs", "Seccomp", "Threads", "Uid", "Gid", "Groups"];
    for line in read("status")?.lines() {
        if let Some((name, value)) = line.split_once(':')
            && wanted.iter().any(|wanted| name.starts_with(wanted))
            && name != "SigQ"
        {
            seen.insert(name.to_owned(), value.trim().to_owned());
        }
    }
    seen.insert("limits".to_owned(), read("limits")?);
    seen.insert("comm".to_owned(), process.comm()?);
    let mut kinds: Vec<String> = process
        .fds()?
        .into_iter()
        .map(|link| link.split_once(":[").map_or(link.clone(), |(kind, _)| kind.to_owned()))
        .filter(|kind| !kind.starts_with("pipe") && !kind.starts_with("/dev/null"))
        .collect();
    kinds.sort();
    seen.insert("descriptors".to_owned(), format!("{kinds:?}"));
    let maps = process.maps()?;
    let mut shared: Vec<String> = maps
        .iter()
        .filter(|line| line.contains("/memfd:") || line.contains("/dev/shm"))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let rights = words.nth(1)?.to_owned();
            Some(format!("{rights} {}", words.nth(3)?))
        })
        .collect();
    shared.sort();
    seen.insert("mappings".to_owned(), format!("{shared:?}"));
    // Field 41 of proc_pid_stat(5), counted behind the name.
    let stat = read("stat")?;
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    seen.insert("policy".to_owned(), fields.split_whitespace().nth(38).unwrap_or("").to_owned());
    Ok(seen)
}

fn server(place: &Place, start_by: &str, harden: &str) -> TestResult<TestServer> {
    let builder = place.server(2, 2).set("start", start_by).set("harden", harden);
    let log = place.directory().join(start_by);
    let builder = builder.expect_log("worker died").expect_log("the manager died");
    let server = start(builder.env("LIKENESS", log.as_os_str()), 2)?;
    // Named and tuned when it serves.
    server.wait_for("workers to have their names", |server| {
        server
            .workers()
            .iter()
            .all(|worker| worker.comm().is_ok_and(|name| name.starts_with("ostler-w")))
    })?;
    Ok(server)
}

#[test]
fn a_worker_has_what_a_fork_has_and_no_more_in_every_generation() -> TestResult {
    let place = Place::new("likeness")?;
    let forked = server(&place, "fork", "off")?;
    let expected = look(&forked.worker(0))?;
    forked.stop()?;
    let server = server(&place, "exec", "off")?;
    for round in 0..4 {
        match round {
            0 => {}
            1 => server.signal(Signal::USR1),
            2 => drop(server.workers().iter().map(Process::kill).collect::<Vec<_>>()),
            _ => drop(server.manager().kill()),
        }
        wait_serving(&server, 2 * (round + 1))?;
        let mut seen = BTreeMap::new();
        let settled = server.wait_for("a worker to be as a fork", |server| {
            seen = look(&server.worker(0)).unwrap_or_default();
            seen == expected
        });
        settled.map_err(|error| {
            error.followed_by(&format!("round {round}\n{seen:#?}\nand not\n{expected:#?}"))
        })?;
    }
    server.stop()
}

/// `harden = all` closes a worker, `master` leaves it as open as a program of its own is.
#[test]
fn a_worker_is_as_closed_as_harden_says() -> TestResult {
    let place = Place::new("closed")?;
    for (harden, closed) in [("master", false), ("all", true)] {
        let server = server(&place, "exec", harden)?;
        // Files of a process that is not dumpable are root's; where all are root's it says nothing
        // of a program that is started by root, and the kernel's word is asked otherwise.
        let worker = server.worker(0).pid();
        let limits = std::fs::metadata(format!("/proc/{worker}/environ"))?;
        let own = std::fs::metadata(format!("/proc/{}/environ", std::process::id()))?;
        use std::os::unix::fs::MetadataExt as _;
        if own.uid() != 0 {
            check((limits.uid() == 0) == closed, format!("{harden}: {}", limits.uid()))?;
        }
        server.stop()?;
    }
    Ok(())
}

/// Lines of a worker go to the file that the master has opened, also when that was rotated.
#[test]
fn a_worker_writes_to_the_log_file_of_its_server() -> TestResult {
    let place = Place::new("log")?;
    let (log, old) = (place.directory().join("log"), place.directory().join("log.1"));
    let builder = place.server(1, 1).set("log_level", "debug").set("log_file", log.display());
    let server = builder.start()?;
    let has = |file: &std::path::Path, text: &str| {
        std::fs::read_to_string(file).is_ok_and(|log| log.contains(text))
    };
    server.wait_for("the first worker's line", |_| has(&log, "w0.1 ready"))?;
    std::fs::rename(&log, &old)?;
    std::fs::write(&log, "")?;
    server.signal(Signal::USR1);
    server.wait_for("the second worker's line", |_| has(&log, "w0.2 ready"))?;
    check(!has(&old, "w0.2"), "a line in the file that was moved away")?;
    server.abandon();
    Ok(())
}

/// `main` runs in every worker: with two servers it would not know which it is for.
#[test]
fn a_program_with_two_servers_cannot_be_started_by_exec() -> TestResult {
    let place = Place::new("two")?;
    let builder = TestServer::program(&TestServer::example_path("embedder")?)
        .unset("log_level")
        .set("start", "exec")
        .env("EMBEDDER_LOGS", place.directory());
    let (code, text) = builder.start_expecting_failure()?;
    check(code == 4 && text.contains("programs with one"), format!("{code} {text}"))
}
