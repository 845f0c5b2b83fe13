//! A master in its sandbox (`sandbox = master`): what it cannot do any more, and that it does all
//! that it has to. A refused call is an error in the log, which every test here would see.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // a test that cannot go on

mod daemon;
mod deployed;
mod encrypted;
mod support;
mod talk;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use deployed::Deployed;
use encrypted::{Authority, NAME, TlsClient, showing};
use ostler_testkit::{
    DEADLINE, ServerBuilder, Signal, TestError, TestResult, TestServer, wait_until,
};
use support::{check, round_trip, wait_lines, wait_serving};
use talk::facts::status;
use talk::{Scratch, Talk, small_probe};

/// Whether this machine has what a sandbox needs; CI's has.
fn has_sandboxes() -> TestResult<bool> {
    match boxed(small_probe()).start() {
        Ok(server) => server.stop().map(|()| true),
        Err(error) if error.to_string().contains("`sandbox`: this kernel") => {
            eprintln!("NOT TESTED: {error}");
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

fn boxed(server: ServerBuilder) -> ServerBuilder {
    server.set("sandbox", "master")
}

/// What the master of this server could do.
fn started(
    server: ServerBuilder,
    file: &std::path::Path,
    is_boxed: bool,
) -> TestResult<TestServer> {
    std::fs::write(file, "secret")?;
    std::fs::write(format!("{}.other", file.display()), "")?;
    let server = server.args([file.as_os_str()]).start()?;
    // What the program does when it listens is not restricted.
    server.wait_for("its file", |_| file.with_extension("ready").exists())?;
    if is_boxed {
        let master = server.master().pid();
        server.wait_for("the sandbox", |_| status(master, "Seccomp:").is_ok_and(|it| it == "2"))?;
    }
    std::fs::write(file.with_extension("go"), "")?;
    server.wait_for("its attempts", |server| tried(server) == 1)?;
    Ok(server)
}

fn tried(server: &TestServer) -> usize {
    server.output().iter().filter(|line| *line == "tried").count()
}

/// Behind the server it does what is done with files.
fn attempts(server: TestServer) -> TestResult<Vec<String>> {
    let master = server.master();
    server.signal(Signal::TERM);
    master.wait_gone(DEADLINE)?;
    server.wait_for("its files", |server| tried(server) == 2)?;
    let lines = server.output().into_iter().skip(1).filter(|line| line != "tried").collect();
    server.abandon();
    Ok(lines)
}

#[test]
fn a_master_that_somebody_else_has_can_do_nothing_outside_of_it() -> TestResult {
    if !has_sandboxes()? {
        return Ok(());
    }
    let scratch = Scratch::new("confined")?;
    let file = scratch.path("secret");
    let program = || TestServer::example("confined").set("workers", 1);
    let open = attempts(started(program(), &file, false)?)?;
    for name in ["program", "thread", "listen", "connect", "datagrams", "read", "write", "remove"] {
        check(open.contains(&format!("{name} done")), format!("without: {open:?}"))?;
    }
    for made in ["ready", "go"] {
        std::fs::remove_file(file.with_extension(made))?;
    }

    let refusal = "the sandbox has refused a system call";
    let server = started(boxed(program()).expect_log(refusal), &file, true)?;
    // It serves on, and says so at the next occasion.
    round_trip(&mut server.connect()?, "served")?;
    server.signal(Signal::USR1);
    wait_lines(&server, "reload finished", 1)?;
    round_trip(&mut server.connect()?, "served")?;
    server.wait_for_log(refusal)?;
    let closed = attempts(server)?;
    check(closed.len() == open.len(), format!("{closed:?}"))?;
    for line in &closed {
        let denied = line.contains("(os error 1)") || line.contains("(os error 13)");
        check(denied && line.contains("ermi"), format!("{closed:?}"))?;
    }
    check(std::fs::read(&file)? == b"secret", "it is there")
}

#[test]
fn every_thread_of_the_master_is_confined_and_no_other_process() -> TestResult {
    if !has_sandboxes()? {
        return Ok(());
    }
    for mode in ["process", "base"] {
        let server = boxed(small_probe()).set("mode", mode).start()?;
        wait_serving(&server, 1)?;
        let is = |pid, seccomp: &str, no_new: &str| {
            let found = (status(pid, "Seccomp:")?, status(pid, "NoNewPrivs:")?);
            check(found == (seccomp.to_owned(), no_new.to_owned()), format!("{pid}: {found:?}"))
        };
        let before =
            (status(std::process::id(), "Seccomp:")?, status(std::process::id(), "NoNewPrivs:")?);
        let master = server.master().pid();
        server.wait_for("the sandbox", |_| status(master, "Seccomp:").is_ok_and(|it| it == "2"))?;
        for task in std::fs::read_dir(format!("/proc/{master}/task"))? {
            is(task?.file_name().to_string_lossy().parse().unwrap_or(0), "2", "1")?;
        }
        for other in [server.manager(), server.spare(), server.worker(0)] {
            is(other.pid(), &before.0, &before.1)?;
        }
        server.stop()?;
    }
    Ok(())
}

/// Everything that lets a master open, make, remove, signal and reap.
#[test]
fn a_server_lives_its_whole_life_in_it() -> TestResult {
    if !has_sandboxes()? {
        return Ok(());
    }
    let scratch = Scratch::new("boxed")?;
    for mode in ["process", "base"] {
        let [log, pid, socket, poison, asks] =
            ["log", "pid", "socket", "poison", "asks"].map(|it| scratch.path(it));
        std::fs::create_dir_all(&poison)?;
        let mut server = boxed(small_probe()).set("mode", mode).set("max_requests", 30);
        if mode == "process" {
            server = server.set("quarantine_dir", poison.display()).set("reactors", 2);
        }
        let server = server
            .set("log_file", log.display())
            .set("pid_file", pid.display())
            .set("operator_socket", asks.display())
            .args(["--own".to_owned(), format!("local=unix://{}", socket.display())])
            .expect_log("worker died")
            .expect_log("manager died")
            .start()?;
        let text = || std::fs::read_to_string(&log).unwrap_or_default();
        let wait =
            |what: &str, times: usize| wait_until(what, || text().matches(what).count() >= times);
        wait("serves worker=", 1)?;
        let mut talk = Talk::new(&server)?;
        check(talk.ask("echo on")? == "on", "it serves")?;
        talk.say("abort")?;
        talk.expect_closed();
        wait("serves worker=", 2)?;
        for _ in 0..40 {
            check(Talk::new(&server)?.ask("echo on")? == "on", "it serves")?;
        }
        wait("serves worker=", 3)?;
        std::fs::rename(&log, scratch.path("log.1"))?;
        server.signal(Signal::HUP);
        wait("reload finished", 1)?;
        server.manager().kill();
        wait("serves worker=", 2)?;
        for signal in [Signal::TTIN, Signal::TTOU] {
            server.signal(signal);
        }
        let mut client = UnixStream::connect(&socket)?;
        client.set_read_timeout(Some(DEADLINE))?;
        client.write_all(b"echo by a file\n")?;
        client.read_exact(&mut [0; 10])?;
        let mut operator = UnixStream::connect(&asks)?;
        operator.set_read_timeout(Some(DEADLINE))?;
        operator.write_all(b"stats\ncheck\nprocesses\nreopen\ncall w0 nothing\nreload\n")?;
        let answers = BufReader::new(operator).lines().take(6).collect::<Result<Vec<_>, _>>()?;
        let done = answers.iter().filter(|it| it.starts_with("{\"ok\":true")).count();
        check(done == 5 && answers[4].contains("no such command"), format!("{answers:?}"))?;
        let master = server.master();
        server.signal(Signal::TERM);
        master.wait_gone(DEADLINE)?;
        server.abandon();
        check(text().contains("master books"), text())?;
        check(!text().contains("sandbox has refused"), text())?;
        check(!text().contains("ERROR master"), text())?;
        check(!pid.exists() && !socket.exists() && !asks.exists(), "all are gone")?;
    }
    Ok(())
}

#[test]
fn certificates_files_datagrams_and_tasks_go_on_in_it() -> TestResult {
    if !has_sandboxes()? {
        return Ok(());
    }
    let authority = Authority::new();
    let pair = authority.pair("pair", &[NAME]);
    for mode in ["process", "base"] {
        let server = boxed(showing(TestServer::echo().set("workers", 1), &pair)).set("mode", mode);
        let server = server.start()?;
        wait_serving(&server, 1)?;
        let shown = || {
            let mut client = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
            client.round_trip(b"who is it?")?;
            Ok::<_, TestError>(client.shown())
        };
        shown()?;
        // By the watch, and by a reload.
        for _ in 0..2 {
            let new = authority.pair("pair", &[NAME]);
            server.signal(Signal::USR1);
            wait_until("the new certificate", || {
                shown().is_ok_and(|shown| shown.as_ref() == Some(&new.der))
            })?;
        }
        server.stop()?;
    }
    let datagrams = boxed(TestServer::echo()).set("listen", "udp://127.0.0.1:0").start()?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(DEADLINE))?;
    socket.send_to(b"datagram", datagrams.address())?;
    check(socket.recv(&mut [0; 16])? == 8, "it came back")?;
    datagrams.stop()?;

    let scratch = Scratch::new("boxed-tasks")?;
    let done = scratch.path("done");
    let foreman = TestServer::example("foreman").set("workers", 1).set("task_workers", 1);
    let server = boxed(foreman).set("task_journal", scratch.path("tasks").display()).start()?;
    wait_lines(&server, "takes tasks", 1)?;
    let order = format!("keep append {} once", done.display());
    Talk::new(&server)?.expect_answer(&order, "kept")?;
    server.wait_for("the task", |_| scratch.lines("done").len() == 1)?;
    server.stop()?;

    let file = scratch.path("file");
    std::fs::write(&file, "sent by a master that could not open it\n")?;
    let server = boxed(small_probe()).start()?;
    let sent = Talk::new(&server)?.ask(&format!("file {} 0", file.display()))?;
    check(sent.starts_with("sent by a master"), sent)?;
    server.stop()
}

#[test]
fn a_new_master_cannot_be_started_from_it() -> TestResult {
    if !has_sandboxes()? {
        return Ok(());
    }
    let deployed = Deployed::new("boxed-master", "ostler-echo")?;
    let running = deployed.start(&[("workers", "1"), ("sandbox", "master")])?;
    running.signal(Signal::USR2)?;
    deployed.place.wait_for_log("no new master is started")?;
    let log = deployed.place.log();
    check(log.contains("its sandbox lets it start no program"), &log)?;
    running.stop(&deployed.place)
}

#[test]
fn where_there_can_be_no_sandbox_a_server_that_wants_one_does_not_start() -> TestResult {
    let deny = TestServer::example_path("deny")?.display().to_string();
    for (call, words) in
        [("seccomp", "refuse system calls"), ("landlock_create_ruleset", "restrict files")]
    {
        let launcher = [deny.as_str(), call, "ENOSYS"];
        let server = boxed(small_probe()).through(launcher);
        let (code, text) = server.start_expecting_failure()?;
        check(code == 2 && text.contains(words), format!("{call}: {code} {text}"))?;
        small_probe().through(launcher).start()?.stop()?;
    }
    Ok(())
}
