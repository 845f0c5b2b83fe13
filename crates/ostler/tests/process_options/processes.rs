//! Processes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use ostler_testkit::{DEADLINE, Process, Signal, TestError, TestResult, TestServer};

use crate::Effect;
use crate::talk::{Scratch, Talk, probe, small_probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("name", name_stands_in_titles_and_in_the_log),
    ("mode", mode_says_who_accepts),
    ("workers", workers_and_reactors_are_as_many_as_told),
    ("reactors", workers_and_reactors_are_as_many_as_told),
    ("workers_min", workers_min_and_max_bound_a_change),
    ("workers_max", workers_min_and_max_bound_a_change),
    ("workers_grow_after_ms", workers_grow_and_shrink_after_what_they_say),
    ("workers_shrink_after_ms", workers_grow_and_shrink_after_what_they_say),
    ("harden", harden_closes_processes_to_their_user),
    ("kill_orphans", kill_orphans_says_when_programs_end),
    ("sched_batch", sched_batch_is_the_workers_policy),
    ("start", start_says_whether_a_reload_takes_a_new_program),
    ("program", program_says_what_a_reload_takes),
    ("pid_file", pid_file_has_the_number_of_the_master),
    ("operator_socket", operator_socket_answers_operators),
    ("daemonize", daemonize_gives_the_server_a_session_of_its_own),
];

/// (More of it: `process_operator`.)
#[test]
fn operator_socket_answers_operators() -> TestResult {
    let scratch = Scratch::new("option-operator")?;
    let path = scratch.path("operator");
    let server = small_probe().set("operator_socket", path.display()).start()?;
    let mut operator = UnixStream::connect(&path)?;
    operator.write_all(b"check\n")?;
    let mut answer = String::new();
    BufReader::new(operator).read_line(&mut answer)?;
    let expected = "{\"ok\":true,\"result\":\"the books balance\"}\n";
    if answer != expected {
        return Err(TestError::new(answer));
    }
    server.stop()
}

/// Each value, by what is gone after the death of a worker, and after that of the master. (More of
/// it: `process_orphans.rs`.)
#[test]
fn kill_orphans_says_when_programs_end() -> TestResult {
    for (value, with_worker, with_master) in
        [("end", false, false), ("always", false, true), ("worker", true, true)]
    {
        let server = small_probe().set("kill_orphans", value).expect_log("worker died").start()?;
        let pid = Talk::new(&server)?.number("start")?;
        let is_it = |process: &Process| u64::from(process.pid()) == pid;
        let program = server.tree().processes().into_iter().find(is_it);
        let program = program.ok_or_else(|| TestError::new("no program was started"))?;
        server.worker(0).kill();
        server.wait_for_log("serves worker=w0.2")?;
        if with_worker {
            program.wait_gone(DEADLINE)?;
        } else {
            assert!(program.is_alive(), "{value}: it ended with its worker");
        }
        let worker = server.worker(0);
        server.master().kill();
        worker.wait_gone(DEADLINE)?;
        if with_master {
            program.wait_gone(DEADLINE)?;
        } else {
            assert!(program.is_alive(), "{value}: it ended with the master");
            program.kill();
            program.wait_gone(DEADLINE)?;
        }
        server.wait_end()?;
    }
    Ok(())
}

#[test]
fn workers_min_and_max_bound_a_change() -> TestResult {
    let server = probe().set("workers", 3).set("workers_min", 2).set("workers_max", 4).start()?;
    let mut talk = Talk::new(&server)?;
    let mut kept = Vec::new();
    for (asked, come) in [(9, 4), (1, 2), (3, 3)] {
        assert_eq!(talk.ask(&format!("workers {asked}"))?, "asked");
        server.wait_for("as many workers", |server| server.workers().len() == come)?;
        let pids: Vec<u32> = server.workers().iter().map(Process::pid).collect();
        // Two were more than on the way to less.
        assert!(asked != 3 || kept.iter().all(|pid| pids.contains(pid)), "{kept:?} of {pids:?}");
        kept = pids;
    }
    server.stop()
}

/// An hour and a day would be seen: nobody came, or stayed for ever.
#[test]
fn workers_grow_and_shrink_after_what_they_say() -> TestResult {
    let builder = small_probe().set("workers", 1).set("workers_max", 2);
    let builder = builder.set("dispatch", "idle_first").set("workers_grow_after_ms", 30);
    let server = builder.set("workers_shrink_after_ms", 300).start()?;
    server.wait_for_log("serves worker=w0.")?;
    let (mut busy, mut waits) = (Talk::new(&server)?, Talk::new(&server)?);
    busy.say("sleep 2000")?;
    assert!(waits.ask("whoami")?.starts_with("w1."), "somebody else came");
    server.wait_for("one worker", |server| server.workers().len() == 1)?;
    server.stop()
}

#[test]
fn workers_and_reactors_are_as_many_as_told() -> TestResult {
    for (workers, reactors) in [(1, 1), (3, 2), (2, 5)] {
        let server = probe().set("workers", workers).set("reactors", reactors).start()?;
        for worker in 0..workers {
            server.wait_for_log(&format!("serves worker=w{worker}."))?;
        }
        assert_eq!(server.workers().len(), workers);
        // A thread names itself when it first runs, which may be after workers serve.
        let count = |server: &TestServer| {
            let threads = server.master().threads().unwrap_or_default();
            threads.iter().filter(|name| name.starts_with("reactor-")).count()
        };
        server.wait_for("all reactors", |server| count(server) == reactors)?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn mode_says_who_accepts() -> TestResult {
    for (mode, master_has, worker_has) in [("process", 1, 0), ("base", 2, 1)] {
        let server = small_probe().set("mode", mode).set("reactors", default_reactors());
        // Whoever runs this has to see the descriptors.
        let server = server.set("workers", 2).set("harden", "off").start()?;
        let mut talk = Talk::new(&server)?;
        talk.expect_answer("echo up", "up")?;
        let port = server.address().port();
        assert_eq!(listeners(&server.master(), port)?, master_has, "{mode}");
        for worker in server.workers() {
            assert_eq!(listeners(&worker, port)?, worker_has, "{mode}");
        }
        server.stop()?;
    }
    Ok(())
}

/// As many as there are unless somebody says it: in BASE mode nobody may.
fn default_reactors() -> String {
    ostler::Options::default().get("reactors").unwrap_or_default()
}

/// How many listeners at this port a process has open.
fn listeners(process: &Process, port: u16) -> TestResult<usize> {
    let pid = process.pid();
    let table = std::fs::read_to_string(format!("/proc/{pid}/net/tcp"))?;
    let address = format!(":{port:04X}");
    let inodes: Vec<&str> = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.len() > 9 && words[1].ends_with(&address) && words[3] == "0A")
        .map(|words| words[9])
        .collect();
    let mut count = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let target = std::fs::read_link(entry?.path()).unwrap_or_default();
        let target = target.to_string_lossy().into_owned();
        count += inodes.iter().filter(|inode| target == format!("socket:[{inode}]")).count();
    }
    Ok(count)
}

#[test]
fn harden_closes_processes_to_their_user() -> TestResult {
    // Root may open whatever it likes by its capabilities, which is not what is asked here.
    let without_capabilities = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    for (harden, master, worker) in [
        ("off", "opened", "opened"),
        ("master", "refused", "opened"),
        ("all", "refused", "refused"),
    ] {
        // One worker answers all questions of the session: it may always look into itself.
        let mut builder =
            probe().set("harden", harden).set("workers", 2).set("dispatch", "session_hash");
        if rustix::process::geteuid().is_root() {
            builder = builder.through(without_capabilities);
        }
        let server = builder.start()?;
        let mut talk = Talk::new(&server)?;
        let who = talk.ask("whoami")?;
        let others = [server.worker(0), server.worker(1)];
        let other = others.iter().find(|other| !who.ends_with(&format!(" {}", other.pid())));
        let other = other.ok_or_else(|| TestError::new("there is no other worker"))?;
        for (process, wanted) in [
            (&server.master(), master),
            (&server.manager(), master),
            (&server.spare(), master),
            (other, worker),
        ] {
            // The environment is asked for reading only: tracing may be forbidden by the host
            // besides.
            let answer = talk.ask(&format!("open /proc/{}/environ", process.pid()))?;
            assert_eq!(answer, wanted, "{harden}: {process}");
        }
        server.stop()?;
    }
    Ok(())
}

/// Field 41 of `/proc/PID/stat`: the scheduling policy.
fn policy(process: &Process) -> TestResult<String> {
    policy_of(&process.pid().to_string())
}

fn policy_of(pid: &str) -> TestResult<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let behind_name = text.rsplit(')').next().unwrap_or("");
    Ok(behind_name.split_whitespace().nth(38).unwrap_or("").to_owned())
}

#[test]
fn sched_batch_is_the_workers_policy() -> TestResult {
    const BATCH: &str = "3";
    for (value, wanted) in [("on", BATCH), ("off", "0")] {
        let server = small_probe().set("sched_batch", value).start()?;
        let child = Talk::new(&server)?.ask("start child")?;
        assert_eq!(policy(&server.worker(0))?, wanted);
        assert_eq!(policy_of(&child)?, wanted, "what a worker starts has its policy");
        assert_eq!(policy(&server.master())?, "0");
        server.stop()?;
    }
    Ok(())
}

#[test]
fn name_stands_in_titles_and_in_the_log() -> TestResult {
    for (name, wanted) in [("shop-2", "shop-2"), ("", "probe")] {
        let server = small_probe().set("name", name).start()?;
        assert_eq!(Talk::new(&server)?.ask("echo up")?, "up");
        let title = server.master().cmdline()?.join(" ");
        assert_eq!(title, format!("ostler: master {} ({wanted})", server.address()));
        assert!(server.wait_for_log("starts")?.contains(&format!(" name={wanted} ")));
        server.stop()?;
    }
    Ok(())
}

#[test]
fn pid_file_has_the_number_of_the_master() -> TestResult {
    let scratch = Scratch::new("pid-option")?;
    let path = scratch.path("pid");
    let server = small_probe().set("pid_file", path.display()).start()?;
    assert_eq!(std::fs::read_to_string(&path)?, format!("{}\n", server.master().pid()));
    server.stop()?;
    assert!(!path.exists(), "it is removed at the end");
    Ok(())
}

/// Which file each worker runs after a reload; and the files: the server's program as it was
/// started, what has replaced it since, and another one beside it.
fn programs_after_a_reload(start: &str, elsewhere: bool) -> TestResult<(Vec<u64>, [u64; 3])> {
    let scratch = Scratch::new("start")?;
    let (program, other) = (scratch.path("program"), scratch.path("other"));
    let old = TestServer::example_path("probe")?;
    std::fs::copy(&old, &program)?;
    std::fs::copy(&old, &other)?;
    let inode = |path: &Path| std::fs::metadata(path).map(|file| file.ino());
    let first = inode(&program)?;
    let server = TestServer::program(&program).set("workers", 2).set("reactors", 1);
    let server = server.set("listen", "127.0.0.1:0").set("harden", "off").set("start", start);
    let server = if elsewhere { server.set("program", other.display()) } else { server }.start()?;
    std::fs::copy(&old, scratch.path("new"))?;
    std::fs::rename(scratch.path("new"), &program)?;
    server.signal(Signal::USR1);
    server.wait_for_log("reload finished: every worker is new")?;
    server.wait_for("the old workers to be gone", |server| server.workers().len() == 2)?;
    let of = |worker: &Process| inode(Path::new(&format!("/proc/{}/exe", worker.pid())));
    let running: Vec<u64> = server.workers().iter().map(of).collect::<Result<_, _>>()?;
    let files = [first, inode(&program)?, inode(&other)?];
    server.stop()?;
    Ok((running, files))
}

#[test]
fn start_says_whether_a_reload_takes_a_new_program() -> TestResult {
    let (running, [first, _, _]) = programs_after_a_reload("fork", false)?;
    assert_eq!(running, [first; 2], "forks of the program that was started");
    let (running, [_, deployed, _]) = programs_after_a_reload("exec", false)?;
    assert_eq!(running, [deployed; 2]);
    Ok(())
}

#[test]
fn program_says_what_a_reload_takes() -> TestResult {
    let (running, [_, _, other]) = programs_after_a_reload("exec", true)?;
    assert_eq!(running, [other; 2]);
    Ok(())
}

#[test]
fn daemonize_gives_the_server_a_session_of_its_own() -> TestResult {
    let place = crate::daemon::Place::new("daemonize")?;
    let daemon = place.start("ostler-echo", &[])?;
    daemon.echoes("hello")?;
    assert_eq!(daemon.stat(6)?, i64::from(daemon.pid));
    daemon.stop(&place)?;
    // Without it the process that was started is the server.
    let server = small_probe().start()?;
    assert!(server.master().is_alive());
    server.stop()
}
