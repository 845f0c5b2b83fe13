//! Masters that give their rights away when they have bound (`master_user`): what they keep, that
//! everything goes on as before, and what is refused at the start because it would not.
#![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on

mod daemon;
mod deployed;
mod encrypted;
mod support;
mod talk;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use deployed::Deployed;
use encrypted::{Authority, NAME, TlsClient, showing};
use ostler_testkit::{DEADLINE, ServerBuilder, Signal, TestResult, TestServer, wait_until};
use support::{check, wait_lines, wait_serving};
use talk::facts::status;
use talk::machine::{lets_run_through, may_change_ids, others_may_run};
use talk::{Scratch, Talk, probe, small_probe, successors};

/// Whose masters are, and whose workers, in no list of users.
const MASTER: u32 = 4_711;
const WORKER: u32 = 65_534;
/// Masters that are killed.
const KILLS: usize = 10;
/// Capabilities, as the kernel writes them: none, CAP_KILL, and CAP_SETGID and CAP_SETUID with it.
const NONE: &str = "0000000000000000";
const KILL: &str = "0000000000000020";
const KILL_AND_IDS: &str = "00000000000000e0";

/// A server whose master is nobody's.
fn given_up(server: ServerBuilder) -> ServerBuilder {
    server.set("master_user", MASTER).set("master_group", MASTER)
}

/// The same, and its workers are somebody else's.
fn both(server: ServerBuilder) -> ServerBuilder {
    given_up(server).set("user", WORKER).set("group", WORKER)
}

/// A directory of the user that the master becomes.
fn directory(name: &str) -> TestResult<Scratch> {
    let scratch = Scratch::new(name)?;
    chown(scratch.at(), Some(MASTER), Some(MASTER))?;
    Ok(scratch)
}

/// User ids, group ids, groups, capabilities and `no_new_privs` of a process.
fn rights(pid: u32) -> TestResult<[String; 5]> {
    let of = |label| status(pid, label);
    let ids = |label| Ok::<_, ostler_testkit::TestError>(of(label)?.replace('\t', ","));
    check(of("CapPrm:")? == of("CapEff:")?, "it can use what it has")?;
    check(of("CapInh:")? == NONE && of("CapAmb:")? == NONE, "nothing is passed on")?;
    Ok([ids("Uid:")?, ids("Gid:")?, of("Groups:")?, of("CapEff:")?, of("NoNewPrivs:")?])
}

/// Whether nobody of its user can open it: what root had read may be in its memory.
fn is_closed(pid: u32) -> TestResult<bool> {
    Ok(std::fs::metadata(format!("/proc/{pid}/status"))?.uid() == 0)
}

fn expected(id: u32, capabilities: &str, no_new: &str) -> [String; 5] {
    let all = [id; 4].map(|id| id.to_string()).join(",");
    [all.clone(), all, id.to_string(), capabilities.to_owned(), no_new.to_owned()]
}

/// What each process of a server may do.
fn expect_rights(server: &TestServer, master: &str, managers: &str, worker: u32) -> TestResult {
    let found = rights(server.master().pid())?;
    check(found == expected(MASTER, master, "1"), format!("master {found:?}"))?;
    // Its threads have what it has.
    for task in std::fs::read_dir(format!("/proc/{}/task", server.master().pid()))? {
        let id: u32 = task?.file_name().to_string_lossy().parse().unwrap_or(0);
        check(rights(id)? == found, format!("thread {id}"))?;
    }
    for manager in [server.manager(), server.spare()] {
        let found = rights(manager.pid())?;
        check(found == expected(MASTER, managers, "0"), format!("manager {found:?}"))?;
    }
    for process in server.workers().into_iter().chain(server.task_workers()) {
        let found = rights(process.pid())?;
        check(found == expected(worker, NONE, "0"), format!("worker {found:?}"))?;
    }
    Ok(())
}

#[test]
fn each_process_has_the_rights_that_it_needs_and_no_others() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    for (mode, start) in [("process", "fork"), ("process", "exec"), ("base", "fork")] {
        let of = |server: ServerBuilder| server.set("mode", mode).set("start", start);
        // Also where it is not asked for.
        let server = of(given_up(small_probe())).set("harden", "off").start()?;
        wait_serving(&server, 1)?;
        expect_rights(&server, NONE, NONE, MASTER)?;
        for process in server.workers().into_iter().chain([server.master(), server.manager()]) {
            check(is_closed(process.pid())?, "others of its user can open it")?;
        }
        server.stop()?;
        let server = of(both(small_probe())).start()?;
        wait_serving(&server, 1)?;
        expect_rights(&server, KILL, KILL_AND_IDS, WORKER)?;
        server.stop()?;
    }
    Ok(())
}

/// Workers of another user, who die, are replaced, leave by themselves and lose their manager.
#[test]
fn a_server_without_rights_goes_on_with_workers_of_another_user() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let may_be_executed = others_may_run(&TestServer::example_path("probe")?);
    for (mode, start) in [("process", "fork"), ("process", "exec"), ("base", "fork")] {
        if start == "exec" && !may_be_executed {
            continue;
        }
        let server = both(small_probe()).set("mode", mode).set("start", start);
        let server = server.set("max_requests", 20);
        let server = server.expect_log("worker died").expect_log("manager died").start()?;
        let ids = Talk::new(&server)?.ask("ids")?;
        let start = format!("uid {WORKER},{WORKER},{WORKER} gid {WORKER},{WORKER},{WORKER} groups");
        check(ids.starts_with(&start) && ids.ends_with(NONE), &ids)?;
        successors::have_the_ids_after_a_death_and_a_reload(&server, &ids)?;
        let serving = server.log_lines_with("serves worker=").len();
        for _ in 0..40 {
            Talk::new(&server)?.ask("echo recycled")?;
        }
        wait_serving(&server, serving + 1)?;
        successors::have_the_ids_after_the_loss_of_the_manager(&server, &ids)?;
        server.stop()?;
    }
    Ok(())
}

/// The kernel asks whether the parent may signal its child, also when it tells of its end; and the
/// spare kills by the same right.
#[test]
fn no_worker_of_another_user_outlives_a_master_without_rights() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    for _ in 0..KILLS {
        let server = both(probe()).expect_log("the master is gone").expect_log("worker died");
        let server = server.start()?;
        Talk::new(&server)?.say("spin")?;
        wait_serving(&server, 2)?;
        let workers = server.workers();
        server.master().kill();
        workers.iter().try_for_each(|worker| worker.wait_gone(DEADLINE))?;
        server.wait_end()?;
    }
    Ok(())
}

/// A program of another user's worker, whose manager is lost, is the master's to end.
#[test]
fn programs_of_another_user_end_with_a_master_without_rights() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let server =
        both(small_probe()).expect_log("worker died").expect_log("manager died").start()?;
    let pid = u32::try_from(Talk::new(&server)?.number("start")?).unwrap_or(0);
    let known = server.tree().processes();
    let program = known.into_iter().find(|process| process.pid() == pid).unwrap();
    server.manager().kill();
    wait_serving(&server, 2)?;
    check(program.is_alive(), "it lives on without its manager")?;
    server.stop()?;
    check(!program.is_alive(), "it outlives the server")
}

#[test]
fn files_are_the_users_and_go_on_being_reopened_and_removed() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let scratch = directory("given-up-files")?;
    let [log, pid, socket, deaths, asks] =
        ["log", "pid", "socket", "deaths", "asks"].map(|it| scratch.path(it));
    let server = both(TestServer::echo().set("workers", 1).set("framing", "line"))
        .set("log_file", log.display())
        .set("pid_file", pid.display())
        .set("death_log_file", deaths.display())
        .set("operator_socket", asks.display())
        .args(["--port".to_owned(), format!("local=unix://{}", socket.display())])
        .start()?;
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    wait_until("the worker", || read(&log).contains("serves worker="))?;
    UnixStream::connect(&asks)?.write_all(b"status\n")?;
    for path in [&log, &pid, &socket, &deaths, &asks] {
        let found = std::fs::symlink_metadata(path)?;
        check((found.uid(), found.gid()) == (MASTER, MASTER), format!("{path:?}"))?;
    }
    let mut client = UnixStream::connect(&socket)?;
    client.set_read_timeout(Some(DEADLINE))?;
    client.write_all(b"by a file\n")?;
    let mut answer = [0; 10];
    client.read_exact(&mut answer)?;
    check(&answer == b"by a file\n", format!("{answer:?}"))?;
    drop(client);

    std::fs::rename(&log, scratch.path("log.1"))?;
    server.signal(Signal::HUP);
    wait_until("the new log", || read(&log).contains("reload finished"))?;
    check(std::fs::metadata(&log)?.uid() == MASTER, "whose the new log is")?;
    let master = server.master();
    check(read(&pid).trim() == master.pid().to_string(), "the pid file stays")?;
    // Its books stand in its log.
    server.signal(Signal::TERM);
    master.wait_gone(DEADLINE)?;
    server.abandon();
    check(read(&log).contains("master books"), read(&log))?;
    check(!pid.exists() && !socket.exists() && !asks.exists(), "all are gone")
}

#[test]
fn files_that_the_user_could_not_use_are_errors_at_the_start() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    // Root's: the user can neither make nor remove anything there.
    let scratch = Scratch::new("not-given-up")?;
    let secret = scratch.path("secret");
    std::fs::write(&secret, "")?;
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600))?;
    for (name, file) in [
        ("pid_file", "pid"),
        ("log_file", "log"),
        ("log_file", "secret"),
        ("death_log_file", "deaths"),
        ("request_slowlog_file", "slow"),
        ("quarantine_dir", ""),
        ("operator_socket", "asks"),
        ("listen", "unix"),
    ] {
        let path = scratch.path(file);
        let value = match name {
            "listen" => format!("unix://{}", path.display()),
            _ => path.display().to_string(),
        };
        let server = || given_up(TestServer::echo()).set(name, &value);
        let (code, text) = server().start_expecting_failure()?;
        let names_it = text.contains(&format!("`{name}`")) || text.contains("unix://");
        check(code != 0 && names_it && text.contains("ermi"), format!("{name}: {code} {text}"))?;
        expect_the_same_when_asked(server(), (code, &text))?;
    }
    let journal = || {
        let journal = TestServer::example("foreman").set("task_workers", 1);
        given_up(journal).set("task_journal", scratch.path("tasks").display())
    };
    let (code, text) = journal().start_expecting_failure()?;
    check(code != 0 && text.contains("`task_journal`"), format!("{code} {text}"))?;
    expect_the_same_when_asked(journal(), (code, &text))
}

/// Who only asks (`--check`) is told what who starts is told.
fn expect_the_same_when_asked(server: ServerBuilder, started: (i32, &str)) -> TestResult {
    let (code, text) = server.args(["--check"]).start_expecting_failure()?;
    check(!text.is_empty() && started.1.contains(&text), format!("{text} {started:?}"))?;
    check(code == started.0, format!("{code} {started:?}"))
}

/// Of files that are there and can be used nothing is told, whether a server runs with them or not,
/// and none is made.
#[test]
fn who_asks_makes_no_files_and_disturbs_no_server_that_has_them() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let scratch = directory("given-up-asked")?;
    let files = ["log_file", "death_log_file", "request_slowlog_file", "pid_file"];
    let mut options: Vec<(&str, String)> =
        files.iter().map(|name| (*name, scratch.path(name).display().to_string())).collect();
    options.push(("quarantine_dir", scratch.at().display().to_string()));
    options.extend(["master_user", "master_group"].map(|name| (name, MASTER.to_string())));
    let port = format!("local=unix://{}", scratch.path("socket").display());
    let program = TestServer::example_path("ostler-echo")?;
    let ask = || {
        let mut command = std::process::Command::new(&program);
        for (name, value) in &options {
            command.arg("--set").arg(format!("{name}={value}"));
        }
        let output = command.args(["--check", "--port", &port]).output()?;
        check(output.status.code() == Some(0), format!("{output:?}"))
    };
    ask()?;
    check(std::fs::read_dir(scratch.at())?.next().is_none(), "it has made something")?;
    let server = options.iter().fold(TestServer::echo(), |it, (name, value)| it.set(name, value));
    let server = server.args(["--port".to_owned(), port.clone()]).start()?;
    let log = || std::fs::read_to_string(scratch.path("log_file")).unwrap_or_default();
    wait_until("the worker", || log().contains("serves worker="))?;
    ask()?;
    UnixStream::connect(scratch.path("socket"))?;
    let master = server.master();
    server.signal(Signal::TERM);
    master.wait_gone(DEADLINE)?;
    server.abandon();
    check(log().contains("master books") && !log().contains("ERROR"), log())?;
    // What is of something else is told to who asks, too.
    std::fs::write(scratch.path("pid_file"), "a poem")?;
    check(ask().is_err_and(|told| told.to_string().contains("a file of something else")), "")
}

#[test]
fn whom_the_master_cannot_become_is_an_error_at_the_start() -> TestResult {
    let refused = |options: &[(&str, &str)], words: &str| -> TestResult {
        let server = options.iter().fold(small_probe(), |it, (name, value)| it.set(name, value));
        let (code, text) = server.start_expecting_failure()?;
        check(code == 2 && text.contains(words), format!("{options:?}: {code} {text}"))
    };
    refused(&[("master_user", "nobody-has-this-name")], "`master_user`: this machine has no user")?;
    refused(&[("master_user", "root")], "root was named")?;
    refused(&[("master_group", "root")], "no effect without `master_user`")?;
    refused(&[("master_user", "4711")], "set `master_group`")?;
    let someone = [("master_user", "4711"), ("master_group", "4711")];
    if may_change_ids() {
        refused(&[someone[0], someone[1], ("user", "root")], "workers have no more rights")
    } else {
        refused(&someone, "started as root, and this process lacks CAP_SETGID")
    }
}

/// A server of an ordinary user may say that it is this user's, and nothing else.
#[test]
fn who_is_that_user_already_becomes_nobody_else() -> TestResult {
    const LAUNCHER: [&str; 4] = ["setpriv", "--reuid=4711", "--regid=4711", "--clear-groups"];
    if !may_change_ids() || !lets_run_through(&LAUNCHER, "start a program as another user") {
        return Ok(());
    }
    let server = given_up(small_probe()).through(LAUNCHER).start()?;
    wait_serving(&server, 1)?;
    let no_new = [(server.master(), "1"), (server.manager(), "0"), (server.worker(0), "0")];
    for (process, no_new) in no_new {
        let found = rights(process.pid())?;
        check(found[3..] == [NONE, no_new], format!("{found:?}"))?;
    }
    server.stop()?;
    let server = small_probe().set("master_user", WORKER).set("master_group", WORKER);
    let (code, text) = server.through(LAUNCHER).start_expecting_failure()?;
    check(code == 2 && text.contains("this process lacks CAP_SETGID"), format!("{code} {text}"))
}

#[test]
fn certificates_are_read_anew_as_the_user_and_unreadable_ones_are_told() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    for mode in ["process", "base"] {
        let authority = Authority::new();
        let pair = authority.pair("pair", &[NAME]);
        let close = |uid| {
            chown(&pair.key, Some(uid), None)?;
            std::fs::set_permissions(&pair.key, std::fs::Permissions::from_mode(0o600))
        };
        let server =
            || both(showing(TestServer::echo().set("workers", 1), &pair)).set("mode", mode);
        close(0)?;
        let (code, text) = server().start_expecting_failure()?;
        let told = text.contains("pair") && text.contains("(`master_user`, if it is set)");
        check(code != 0 && told, format!("{mode}: {code} {text}"))?;
        expect_the_same_when_asked(server(), (code, &text))?;
        close(MASTER)?;
        let server = server().start()?;
        wait_serving(&server, 1)?;
        let shown = || {
            let mut client = TlsClient::connect(server.address(), &Arc::new(authority.client()))?;
            client.round_trip(b"who is it?")?;
            Ok::<_, ostler_testkit::TestError>(client.shown())
        };
        check(shown()?.as_ref() == Some(&pair.der), "the first certificate")?;
        let new = authority.pair("pair", &[NAME]);
        close(MASTER)?;
        server.signal(Signal::USR1);
        wait_lines(&server, "reload finished", 1)?;
        wait_until("the new certificate", || {
            shown().is_ok_and(|shown| shown.as_ref() == Some(&new.der))
        })?;
        server.stop()?;
    }
    Ok(())
}

/// What all processes share is nobody's own, also where the manager may not look into its workers.
#[test]
fn memory_that_workers_share_does_not_count_against_them() -> TestResult {
    /// Longer than two looks at the memory of workers.
    const TWO_LOOKS: std::time::Duration = std::time::Duration::from_millis(2_200);
    if !may_change_ids() {
        return Ok(());
    }
    let server = given_up(small_probe())
        .set("worker_memory_soft_max", "64M")
        .env("PROBE_PRELOAD", (96 << 20).to_string())
        .start()?;
    let recycled = || server.log_lines_with("because=worker_memory_soft_max").len();
    let mut talk = Talk::new(&server)?;
    talk.expect_answer("grow 8388608", "grown")?;
    std::thread::sleep(TWO_LOOKS);
    check(recycled() == 0, "it has not grown by much")?;
    talk.expect_answer("grow 83886080", "grown")?;
    server.wait_for_log("serves worker=w0.2")?;
    check(recycled() == 1, "for its memory")?;
    drop(talk);
    server.stop()
}

#[test]
fn tasks_are_kept_by_a_master_without_rights() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let scratch = directory("given-up-journal")?;
    let done = scratch.path("done");
    let server = || {
        let foreman = TestServer::example("foreman").set("workers", 1).set("reactors", 1);
        let foreman = foreman.set("task_workers", 1);
        given_up(foreman).set("task_journal", scratch.path("tasks").display())
    };
    for round in 1..=2 {
        let server = server().start()?;
        wait_lines(&server, "takes tasks", 1)?;
        let order = format!("keep append {} {round}", done.display());
        Talk::new(&server)?.expect_answer(&order, "kept")?;
        server.wait_for("the task", |_| scratch.lines("done").len() == round)?;
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_root_of_their_own_is_made_by_a_manager_without_rights() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    for start in ["fork", "exec"] {
        let root = Scratch::new("given-up-root")?;
        let server = both(small_probe()).set("start", start).set("chroot", root.at().display());
        let server = server.set("capabilities", "net_raw").set("nice", "-1");
        let server = server.set("no_new_privileges", "true").start()?;
        let mut talk = Talk::new(&server)?;
        let ids = talk.ask("ids")?;
        check(ids.contains(" in / ") && ids.starts_with("uid 65534,"), &ids)?;
        check(talk.ask("open /dev/null")? == "refused", "its root is empty")?;
        let worker = server.worker(0).pid();
        check(status(worker, "CapEff:")? == "0000000000002000", "CAP_NET_RAW alone")?;
        check(talk::facts::niceness(worker)? == -1, "less nice than the server")?;
        // CAP_NET_RAW, CAP_SYS_CHROOT, CAP_SYS_NICE beside those for ids.
        let manager = status(server.manager().pid(), "CapEff:")?;
        check(manager == "00000000008420e0", manager)?;
        drop(talk);
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_new_master_takes_over_where_it_needs_no_rights_and_is_refused_where_it_does() -> TestResult {
    if !may_change_ids() {
        return Ok(());
    }
    let deployed = Deployed::new("given-up-master", "ostler-echo")?;
    let place = deployed.place.path("");
    chown(&place, Some(MASTER), Some(MASTER))?;
    let ids = [("master_user", "4711"), ("master_group", "4711"), ("workers", "1")];
    // Its workers' programs may gain rights, those of a new master's could not.
    let running = deployed.start(&ids)?;
    running.signal(Signal::USR2)?;
    deployed.place.wait_for_log("no new master is started")?;
    check(deployed.place.log().contains("no_new_privileges = true"), deployed.place.log())?;
    running.stop(&deployed.place)?;

    let none = [("no_new_privileges", "true")];
    let mut running = deployed.start(&[&ids[..], &none].concat())?;
    for _ in 0..2 {
        let new = deployed.succeed(&running)?;
        deployed.wait_left(&running)?;
        running = new;
        let found = rights(running.pid)?;
        check(found == expected(MASTER, NONE, "1"), format!("{found:?}"))?;
    }
    running.stop(&deployed.place)?;

    let workers = [("user", "65534"), ("group", "65534")];
    let running = deployed.start(&[&ids[..], &workers].concat())?;
    running.signal(Signal::USR2)?;
    let told = "given away the rights by which workers become another user's";
    deployed.place.wait_for_log(told)?;
    let log = deployed.place.log();
    check(log.contains("given away the rights by which workers become another user's"), &log)?;
    running.stop(&deployed.place)
}
