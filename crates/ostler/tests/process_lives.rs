//! Processes that live: echo in every shape, names, descriptors and mappings, and signals from
//! outside.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use ostler_testkit::{Process, Signal, TestError, TestResult, TestServer};
use support::{Held, ask, check, echo, orders, round_trip, start, wait_serving};

/// A load that every shape of the server must carry without a fault.
fn carries(workers: u16, reactors: u16) -> TestResult {
    let server = start(echo(workers, reactors), workers)?;
    let load = server.load().connections(12).depth(4).bytes(24, 4096).requests(3_000).start()?;
    let report = load.finish()?;
    report.check_perfect()?;
    check(report.answered == 3_000, format!("{report}"))?;
    let books = server.stop_and_report()?.books()?;
    check(books.accepted == 12 && books.detail("closed_peer") == 12, format!("{books}"))?;
    check(books.finished == books.received, format!("{books}"))
}

#[test]
fn one_worker_and_one_reactor_echo() -> TestResult {
    carries(1, 1)
}

#[test]
fn one_worker_and_two_reactors_echo() -> TestResult {
    carries(1, 2)
}

#[test]
fn three_workers_and_one_reactor_echo() -> TestResult {
    carries(3, 1)
}

#[test]
fn three_workers_and_two_reactors_echo() -> TestResult {
    carries(3, 2)
}

#[test]
fn every_process_has_its_name() -> TestResult {
    let server = start(echo(2, 2), 2)?;
    let named = |process: Process, name: &str| {
        let (comm, line) = (process.comm()?, process.cmdline()?);
        let shown = line.first().map(String::as_str);
        // The title says more: which server it is.
        let title = name.replace("ostler-", "ostler: ");
        let fits = shown.is_some_and(|shown| shown.starts_with(&title));
        check(comm == name && fits, format!("{comm:?} {line:?}, not {name}"))
    };
    named(server.master(), "ostler-master")?;
    named(server.manager(), "ostler-manager")?;
    named(server.spare(), "ostler-spare")?;
    named(server.worker(0), "ostler-w0")?;
    named(server.worker(1), "ostler-w1")?;
    let threads = server.master().threads()?;
    let wanted = ["ostler-master", "lag-watch", "reactor-0", "reactor-1"];
    check(threads == wanted, format!("{threads:?}"))?;
    for process in [server.manager(), server.spare(), server.worker(0), server.worker(1)] {
        check(process.threads()?.len() == 1, format!("{process} has threads"))?;
    }
    check(server.manager().parent()? == server.master().pid(), "the manager's parent")?;
    check(server.worker(1).parent()? == server.manager().pid(), "the worker's parent")?;
    server.stop()
}

/// One session's handler ends its process by `order`; everybody else goes on.
fn only_its_worker_ends_by(order: &str, exit: &str) -> TestResult {
    let server = start(
        orders(2)
            .expect_log("worker died")
            .expect_log("ended before it served")
            // What Rust and the worker say about a panic.
            .expect_log("panicked")
            .expect_log("told to panic")
            .expect_log("note: run with `RUST_BACKTRACE=1`"),
        2,
    )?;
    let mut other = server.connect()?;
    let mut held = server.connect()?;
    let hold = Held::by(&server, &mut held, "hold")?;
    round_trip(&mut other, "before")?;
    let mut victim = server.connect()?;
    let pid: u32 = ask(&mut victim, "pid")?.parse().unwrap_or(0);
    check(pid != hold.pid(), "a worker that is held cannot answer")?;
    victim.send(order.as_bytes())?;
    victim.expect_closed()?;
    let line = server.wait_for_log("worker died")?;
    check(line.contains(exit) && line.contains(&format!("pid={pid}")), line)?;
    round_trip(&mut other, "after")?;
    hold.release()?;
    held.expect(b"released")?;
    let books = server.stop_and_report()?.books()?;
    check(books.detail("closed_worker_died") == 1 && books.closed_by == 1, format!("{books}"))
}

#[test]
fn a_panic_ends_only_its_worker() -> TestResult {
    only_its_worker_ends_by("panic", "code 101")
}

#[test]
fn an_abort_ends_only_its_worker() -> TestResult {
    only_its_worker_ends_by("abort", "SIGABRT")
}

/// Ctrl-C, Ctrl-\ and a closed terminal reach the whole group; only the master answers them
/// (decision 18).
#[test]
fn only_the_master_listens_to_signals_from_outside() -> TestResult {
    let server = start(orders(2), 2)?;
    let mut client = server.connect()?;
    let hold = Held::by(&server, &mut client, "hold")?;
    let others = [server.manager(), server.spare(), server.worker(0), server.worker(1)];
    for signal in [Signal::INT, Signal::HUP, Signal::QUIT, Signal::USR1, Signal::USR2] {
        for process in &others {
            process.signal(signal);
        }
    }
    hold.release()?;
    client.expect(b"released")?;
    // Both workers and the manager have run since: the one takes packages, the other the reload.
    let mut second = server.connect()?;
    let hold = Held::by(&server, &mut client, "again")?;
    round_trip(&mut second, "still here")?;
    check(others.iter().all(Process::is_alive), "somebody ended by a signal")?;
    hold.release()?;
    client.expect(b"released")?;
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished")?;
    check(others[0].is_alive() && others[1].is_alive(), "a manager ended by a signal")?;
    // Only the master reloads.
    server.stop_having_said("reload begins", 1)
}

#[test]
fn a_terminated_worker_is_replaced_and_nobody_notices() -> TestResult {
    let server = start(echo(2, 2), 2)?;
    let load = server.load().connections(8).depth(4).start()?;
    for round in 0..5 {
        load.wait_for_more(200)?;
        let (old, other) = (server.worker(0), server.worker(1));
        old.signal(Signal::TERM);
        wait_serving(&server, 3 + round)?;
        old.wait_gone(ostler_testkit::DEADLINE)?;
        check(other.is_alive() && server.worker(1) == other, "the other worker was replaced too")?;
    }
    load.wait_for_more(200)?;
    load.stop()?.check_perfect()?;
    let ended = server.stop_and_report()?;
    // Start, then stop: the successor serves before the old one has left.
    check(ended.log().lines_with("serves worker=w0.6").len() == 1, "five successors in slot 0")
}

// ---- what each kind of process has open and mapped (decision 3) ---------------------------------

/// Descriptors by kind: what stands before the first `:` or the whole name.
fn kinds(process: &Process, inherited: &BTreeSet<u32>) -> TestResult<BTreeMap<String, usize>> {
    let mut kinds = BTreeMap::new();
    for entry in std::fs::read_dir(format!("/proc/{}/fd", process.pid()))? {
        let entry = entry?;
        let number: u32 = entry.file_name().to_string_lossy().parse().unwrap_or(u32::MAX);
        let Ok(link) = std::fs::read_link(entry.path()) else { continue };
        let link = link.to_string_lossy().into_owned();
        if number <= 2 || inherited.contains(&number) {
            continue;
        }
        let kind = match link.split_once(":[") {
            Some((kind, _)) if kind != "anon_inode" => kind.to_owned(),
            _ => link.replace(" (deleted)", ""),
        };
        *kinds.entry(kind).or_insert(0) += 1;
    }
    Ok(kinds)
}

/// What this test, and so the server, got from whoever started it.
fn inherited() -> TestResult<BTreeSet<u32>> {
    const CLOSE_ON_EXEC: u64 = 0o2_000_000;
    let mut numbers = BTreeSet::new();
    for entry in std::fs::read_dir("/proc/self/fdinfo")? {
        let entry = entry?;
        let Ok(text) = std::fs::read_to_string(entry.path()) else { continue };
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or("0");
        let flags = u64::from_str_radix(flags.trim(), 8).unwrap_or(0);
        if flags & CLOSE_ON_EXEC == 0 {
            numbers.extend(entry.file_name().to_string_lossy().parse::<u32>());
        }
    }
    Ok(numbers)
}

fn expect_kinds(
    process: &Process,
    inherited: &BTreeSet<u32>,
    expected: &[(&str, usize)],
) -> TestResult {
    let expected: BTreeMap<String, usize> =
        expected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
    // What ends meanwhile (a lane that is being settled, a fork that closes what is not its own)
    // takes its moment.
    let mut found = BTreeMap::new();
    let settled = ostler_testkit::wait_until("descriptors to be as listed", || {
        found = kinds(process, inherited).unwrap_or_default();
        found == expected
    });
    settled.map_err(|error| {
        error.followed_by(&format!("{process} has\n  {found:#?}\nand not\n  {expected:#?}"))
    })
}

/// The inodes of the sockets of a process.
fn sockets(process: &Process) -> TestResult<BTreeSet<String>> {
    Ok(process.fds()?.into_iter().filter(|link| link.starts_with("socket:")).collect())
}

/// Mappings of Ostler's memory: name and rights.
fn lane_maps(process: &Process) -> TestResult<Vec<(String, String)>> {
    let mut maps: Vec<(String, String)> = process
        .maps()?
        .iter()
        .filter(|line| line.contains("memfd:") || line.contains("/dev/shm"))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let rights = words.nth(1)?.to_owned();
            Some((words.nth(3)?.to_owned(), rights))
        })
        .collect();
    maps.sort();
    Ok(maps)
}

fn expect_maps(process: &Process, expected: &[(&str, &str)]) -> TestResult {
    let found = lane_maps(process)?;
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(name, rights)| (format!("/memfd:ostler-{name}"), (*rights).to_owned()))
        .collect();
    check(found == expected, format!("{process} maps {found:?}, not {expected:?}"))
}

fn tcp_sockets(server: &TestServer) -> TestResult<BTreeSet<String>> {
    let suffix = format!(":{:04X}", server.address().port());
    let text = std::fs::read_to_string("/proc/net/tcp")?;
    let inodes: BTreeSet<String> = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&suffix)))
        .filter_map(|fields| Some(format!("socket:[{}]", fields.get(9)?)))
        .collect();
    if inodes.is_empty() {
        Err(TestError::new("no socket on the server's port"))
    } else {
        Ok(inodes)
    }
}

/// The shape of the servers whose descriptors are counted.
const WORKERS: usize = 2;
const REACTORS: usize = 2;

#[test]
fn every_process_has_exactly_its_descriptors_and_mappings() -> TestResult {
    let inherited = inherited()?;
    let builder = echo(2, 2)
        .set("harden", "off") // an ordinary user may not look into the master otherwise
        .set("crash_policy", "redeliver:3")
        .expect_log("worker died")
        .expect_log("ended before it served")
        .expect_log("the manager died");
    let server = start(builder, 2)?;
    let mut clients = [server.connect()?, server.connect()?, server.connect()?];
    // Neither a reload nor a death leaves anything behind: the fourth generation has what the first
    // had.
    for round in 0..4 {
        let old = server.workers();
        match round {
            0 => {}
            1 => server.signal(Signal::USR1),
            2 => drop(old.iter().map(Process::kill).collect::<Vec<_>>()),
            _ => drop(server.manager().kill()),
        }
        if round > 0 {
            for worker in old {
                worker.wait_gone(ostler_testkit::DEADLINE)?;
            }
            wait_serving(&server, WORKERS * (round + 1))?;
            // A lane is settled when the last reactor has closed its end; a process is named when
            // it is ready.
            server.wait_for("the lanes of the dead to be closed", |server| {
                lane_maps(&server.master()).is_ok_and(|maps| maps.len() == 2 + 2 * WORKERS)
            })?;
        }
        for client in &mut clients {
            round_trip(client, "hello")?;
        }
        each_has_its_own(&server, &inherited, clients.len())?;
        only_the_control_plane_is_shared(&server)?;
    }
    drop(clients);
    server.stop()
}

/// The descriptors and mappings of each process, by kind and number.
fn each_has_its_own(server: &TestServer, inherited: &BTreeSet<u32>, clients: usize) -> TestResult {
    let listener_and_clients = 1 + clients;
    let (eventfd, pidfd) = ("anon_inode:[eventfd]", "anon_inode:[pidfd]");
    let (epoll, signalfd) = ("anon_inode:[eventpoll]", "anon_inode:[signalfd]");
    let timerfd = "anon_inode:[timerfd]";
    expect_kinds(
        &server.master(),
        inherited,
        &[
            // Manager and spare, file links.
            ("socket", listener_and_clients + 2 + WORKERS * REACTORS),
            (epoll, 1 + REACTORS), // main thread and reactors
            (timerfd, REACTORS),
            // Reports, the one in reserve, mailboxes, bells.
            (eventfd, 2 + REACTORS + 2 * WORKERS * REACTORS),
            (pidfd, 3 + WORKERS * REACTORS), // itself, manager, spare, workers
            (signalfd, 1),
            ("/memfd:ostler-board", 1),
            ("/memfd:ostler-roster", 1),
        ],
    )?;
    expect_kinds(
        &server.manager(),
        inherited,
        &[
            ("socket", 2 + WORKERS), // master, spare, workers
            (epoll, 1),
            (pidfd, 2 + WORKERS), // master, spare, workers
            (signalfd, 1),
            ("/memfd:ostler-board", 1),
            ("/memfd:ostler-roster", 1),
        ],
    )?;
    expect_kinds(
        &server.spare(),
        inherited,
        &[
            ("socket", 2),        // master and manager
            (pidfd, 1 + WORKERS), // the master and the workers that it guards
            ("/memfd:ostler-board", 1),
            ("/memfd:ostler-roster", 1),
        ],
    )?;
    for slot in 0..2 {
        let worker = server.worker(slot);
        expect_kinds(
            &worker,
            inherited,
            &[
                ("socket", 1 + REACTORS), // its words to the manager, its file links
                (epoll, 1),
                (eventfd, 1 + REACTORS + 2), // its bell, one per reactor, TERM's, its threads'
                (pidfd, 1),                  // the master
            ],
        )?;
        let (own, shows) = (("box", "rw-s"), ("roster", "rw-s"));
        expect_maps(&worker, &[("board", "r--s"), own, ("down", "r--s"), shows, ("up", "rw-s")])?;
    }
    let mut master = vec![("board", "rw-s")];
    master.extend([("down", "rw-s")].repeat(WORKERS));
    master.push(("roster", "rw-s"));
    master.extend([("up", "r--s")].repeat(WORKERS));
    expect_maps(&server.master(), &master)?;
    expect_maps(&server.manager(), &[("box", "r--s")].repeat(WORKERS))?;
    expect_maps(&server.spare(), &[])?;
    Ok(())
}

/// No worker, manager or spare has a socket of the port, and no two processes have one socket.
fn only_the_control_plane_is_shared(server: &TestServer) -> TestResult {
    let port = tcp_sockets(server)?;
    let others = [server.manager(), server.spare(), server.worker(0), server.worker(1)];
    let mut seen = sockets(&server.master())?;
    for process in others {
        let own = sockets(&process)?;
        check(own.is_disjoint(&port), format!("{process} has a socket of the port"))?;
        check(own.is_disjoint(&seen), format!("{process} has somebody else's socket"))?;
        seen.extend(own);
    }
    Ok(())
}
