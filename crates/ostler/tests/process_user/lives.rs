//! What user processes do for clients, and who they are.

use ostler_testkit::{Signal, TestResult};

use crate::crew::Crew;
use crate::support::{check, round_trip, start, wait_lines, wait_serving};

/// Each kind of process sends to all sessions, in this kind of server.
fn sends(settings: &[(&str, &str)]) -> TestResult {
    let crew = Crew::new()?;
    let builder = crew.server(2, &["waiter=wait", "ticker=tick"]);
    let builder = settings.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
    let server = start(builder, 2)?;
    crew.wait_for(&server, "waiter start", 1)?;
    crew.wait_for(&server, "ticker posted", 1)?;
    let mut clients = [server.connect()?, server.connect()?, server.connect()?];
    for client in &mut clients {
        round_trip(client, "echo")?;
    }
    for name in ["waiter", "ticker"] {
        crew.order(name, &format!("send from {name}"))?;
        for client in &mut clients {
            client.expect(format!("from {name}\n").as_bytes())?;
        }
    }
    check(crew.count("waiter start") == 1 && crew.count("ticker start") == 1, "they live on")?;
    let books = server.stop_and_report()?.books()?;
    check(books.accepted == 3, format!("{books}"))
}

#[test]
fn they_send_to_all_sessions() -> TestResult {
    sends(&[("reactors", "2")])
}

#[test]
fn they_send_to_all_sessions_in_base_mode() -> TestResult {
    sends(&[("mode", "base")])
}

#[test]
fn they_send_to_all_sessions_when_they_are_executed() -> TestResult {
    sends(&[("start", "exec")])
}

#[test]
fn they_send_to_all_sessions_in_base_mode_when_they_are_executed() -> TestResult {
    sends(&[("mode", "base"), ("start", "exec")])
}

#[test]
fn they_have_names_and_are_children_of_the_manager() -> TestResult {
    let crew = Crew::new()?;
    let server = start(crew.server(1, &["first=wait", "second=tick"]), 1)?;
    for (slot, name) in ["first", "second"].into_iter().enumerate() {
        crew.wait_for(&server, &format!("{name} start u{slot}.1"), 1)?;
        let process = crew.newest(&server, name)?;
        let line = process.cmdline()?.first().cloned().unwrap_or_default();
        check(line.starts_with(&format!("ostler: user {name} 127.0.0.1:")), line)?;
        check(process.comm()? == format!("ostler-u{slot}"), "the short name")?;
        check(process.parent()? == server.manager().pid(), "the parent")?;
        server.wait_for_log(&format!("runs process=u{slot}.1 name={name}"))?;
    }
    server.stop()
}

/// A server whose clients are served while a process of its own never becomes ready.
#[test]
fn a_process_that_does_not_begin_keeps_nobody_waiting() -> TestResult {
    let crew = Crew::new()?;
    let builder = crew.server(1, &["slow=hang"]).set("boot_timeout_ms", 300);
    let server = start(builder.expect_log("could not start"), 1)?;
    round_trip(&mut server.connect()?, "served")?;
    wait_lines(&server, "worker could not start worker=u0", 2)?;
    round_trip(&mut server.connect()?, "still")?;
    server.stop()
}

#[test]
fn a_reload_leaves_them_alone_unless_they_follow_it() -> TestResult {
    for more in [&[][..], &[("start", "exec")], &[("mode", "base")]] {
        let crew = Crew::new()?;
        let processes = ["stays=wait", "follows=wait,reload", "once=wait,never,reload"];
        let builder = crew.server(2, &processes);
        let builder = more.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
        let server = start(builder, 2)?;
        for name in ["stays", "follows", "once"] {
            crew.wait_for(&server, &format!("{name} start"), 1)?;
        }
        crew.order("once", "done")?;
        server.wait_for_log("ended for good")?;
        server.signal(Signal::USR1);
        server.wait_for_log("reload finished: every worker is new")?;
        crew.wait_for(&server, "follows start", 2)?;
        crew.wait_for(&server, "once start", 2)?;
        check(crew.count("stays start") == 1, "it was replaced")?;
        check(crew.count("follows stop") == 1, "it was not asked to leave")?;
        wait_serving(&server, 4)?;
        server.stop()?;
        check(crew.count("stays stop") == 1, "it was not told of the end")?;
    }
    Ok(())
}

/// Event workers first, then the others: what workers do at their end may need them.
#[test]
fn they_end_behind_the_workers() -> TestResult {
    for more in [&[][..], &[("start", "exec")], &[("mode", "base")]] {
        let crew = Crew::new()?;
        let builder = crew.server(2, &["waiter=wait", "ticker=tick"]);
        let builder = more.iter().fold(builder, |builder, (name, value)| builder.set(name, value));
        let server = start(builder, 2)?;
        crew.wait_for(&server, "waiter start", 1)?;
        crew.wait_for(&server, "ticker start", 1)?;
        round_trip(&mut server.connect()?, "served")?;
        server.stop()?;
        let journal = crew.journal();
        let place = |what: &str| journal.iter().position(|line| line.starts_with(what));
        let workers = [place("w0 stop"), place("w1 stop")];
        let others = [place("waiter stop"), place("ticker exit"), place("ticker stop")];
        check(others.iter().all(Option::is_some), format!("{journal:?}"))?;
        check(workers.iter().max() < others.iter().min(), format!("{journal:?}"))?;
    }
    Ok(())
}
