//! Deploys: with `start = exec` a reload puts the program into service that lies on disk then.

mod bad;
mod environment;
mod faults;
mod likeness;
mod scene;
#[path = "../support/mod.rs"]
mod support;

use std::os::unix::fs::symlink;

use ostler_testkit::{DEADLINE, Signal, TestResult};
use scene::{Place, program_of, wait_running};
use support::{check, round_trip, start, wait_lines};

const DONE: &str = "reload finished: every worker is new";

#[test]
fn a_reload_deploys_what_lies_on_disk_and_no_client_notices() -> TestResult {
    const WORKERS: u16 = 3;
    const DEPLOYS: usize = 8;
    let place = Place::new("deploys")?;
    let server = start(place.server(WORKERS, 2), WORKERS)?;
    let load = server.load().connections(24).depth(4).bytes(24, 2_048).start()?;
    for round in 0..DEPLOYS {
        let old = server.workers();
        load.wait_for_more(200)?;
        let deployed = place.deploy()?;
        server.signal(Signal::USR1);
        wait_lines(&server, DONE, round + 1)?;
        wait_running(&server, WORKERS, deployed)?;
        for worker in &old {
            worker.wait_gone(DEADLINE)?;
        }
    }
    load.wait_for_more(200)?;
    load.stop()?.check_perfect()?;
    let ended = server.stop_and_report()?;
    let accepted = ended.log().lines_with("another program is accepted").len();
    check(accepted == DEPLOYS, format!("{accepted} programs were accepted"))?;
    let books = ended.books()?;
    check(books.accepted == 24 && books.closed_by == 0, format!("{books}"))
}

/// A reload without a deploy makes new processes of the same program, as with forks.
#[test]
fn a_reload_without_a_deploy_changes_no_program() -> TestResult {
    let place = Place::new("same")?;
    let server = start(place.server(2, 1), 2)?;
    let mut client = server.connect()?;
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    wait_running(&server, 2, place.inode()?)?;
    round_trip(&mut client, "still here")?;
    let ended = server.stop_and_report()?;
    check(ended.log().lines_with("another program").is_empty(), "nothing else was deployed")
}

/// Who deploys by a link to a directory for each release switches the link.
#[test]
fn a_deploy_may_switch_a_link() -> TestResult {
    let place = Place::new("link")?;
    let (first, second) = (place.directory().join("1"), place.directory().join("2"));
    for release in [&first, &second] {
        std::fs::create_dir(release)?;
        std::fs::copy(place.program(), release.join("echo"))?;
    }
    let link = place.directory().join("current");
    symlink(&first, &link)?;
    let server = start(place.server_at(&link.join("echo"), 2, 1), 2)?;
    let switched = place.directory().join("next");
    symlink(&second, &switched)?;
    std::fs::rename(&switched, &link)?;
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    wait_running(&server, 2, scene::inode(&second.join("echo"))?)?;
    server.stop()
}

#[test]
fn the_option_program_says_where_it_is_deployed() -> TestResult {
    let place = Place::new("option")?;
    let elsewhere = place.directory().join("elsewhere");
    std::fs::copy(place.program(), &elsewhere)?;
    let server = start(place.server(1, 1).set("program", elsewhere.display()), 1)?;
    check(program_of(&server.worker(0))? == place.inode()?, "the server's own at first")?;
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    wait_running(&server, 1, scene::inode(&elsewhere)?)?;
    server.stop()
}

/// What only workers read is what the new program says; what the master has stays.
#[test]
fn new_values_of_options_take_effect_or_are_said_to_wait() -> TestResult {
    let place = Place::new("options")?;
    let file = place.directory().join("server.toml");
    std::fs::write(&file, "workers = 2\nmax_requests = 0\n")?;
    let builder = place.server(2, 1).unset("workers").args(["--config", &file.to_string_lossy()]);
    let server = start(builder.expect_log("new values of options wait for a restart"), 2)?;
    std::fs::write(&file, "workers = 3\nmax_requests = 5\n")?;
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    let line = server.wait_for_log("new values of options wait for a restart")?;
    check(line.contains("options=workers") && line.contains("WARN"), line)?;
    let load = server.load().connections(4).requests(200).start()?;
    load.finish()?.check_perfect()?;
    server.wait_for("workers to be recycled", |server| {
        server.log_lines_with("serves worker=w0.").len() > 2
    })?;
    check(server.log_lines_with("serves worker=w2.").is_empty(), "a third worker")?;
    let ended = server.stop_and_report()?;
    check(ended.log().lines_with("new values of options").len() == 1, "said by each worker")
}

/// Options that are wrong are told before anything is replaced.
#[test]
fn wrong_options_abort_the_reload() -> TestResult {
    let place = Place::new("wrong-options")?;
    let file = place.directory().join("server.toml");
    std::fs::write(&file, "max_requests = 0\n")?;
    let builder = place.server(2, 1).args(["--config", &file.to_string_lossy()]);
    let builder = builder
        .expect_log("nothing changed")
        .expect_log("could not start")
        // What the program itself says on standard error.
        .expect_log("max_request");
    let server = start(builder, 2)?;
    let old = server.workers();
    std::fs::write(&file, "max_request = 5\n")?;
    server.signal(Signal::USR1);
    let line = server.wait_for_log("nothing changed")?;
    // A reason that is passed on is cut; in whole it is what the program itself has said.
    check(line.contains("why=") && !line.contains("why=\"\""), line)?;
    server.wait_for_log("did you mean `max_requests`")?;
    check(server.workers() == old, "an old worker was touched")?;
    server.stop()
}

/// In BASE mode a worker begins with listeners.
#[test]
fn workers_that_serve_their_own_clients_are_deployed_too() -> TestResult {
    let place = Place::new("base")?;
    let server =
        start(place.server(2, 1).set("mode", "base").unset("reactors").unset("dispatch"), 2)?;
    let mut before = server.connect()?;
    round_trip(&mut before, "before")?;
    let deployed = place.deploy()?;
    server.signal(Signal::USR1);
    server.wait_for_log(DONE)?;
    let mut after = server.connect()?;
    round_trip(&mut after, "after")?;
    drop((before, after));
    wait_running(&server, 2, deployed)?;
    server.stop()
}
