//! The chat example, as its users meet it.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{TestResult, TestServer};
use talk::Talk;

fn join(server: &TestServer, name: &str, room: &str) -> TestResult<Talk> {
    let mut talk = Talk::new(server)?;
    let welcome = talk.line()?;
    assert!(welcome.starts_with("* welcome, guest"), "{welcome}");
    talk.say(&format!("/name {name}"))?;
    // Others in the lobby may come and go meanwhile.
    while talk.line()? != format!("* you are {name}") {}
    talk.say(&format!("/join {room}"))?;
    while talk.line()? != format!("* you are in {room}") {}
    Ok(talk)
}

#[test]
fn people_meet_in_rooms() -> TestResult {
    let server = TestServer::chat().set("workers", 2).set("reactors", 2).start()?;
    let mut ada = join(&server, "ada", "kitchen")?;
    let mut bob = join(&server, "bob", "kitchen")?;
    ada.expect("* bob joined");
    let mut eve = join(&server, "eve", "garden")?;
    assert_eq!(ada.ask("/who")?, "* in kitchen: ada bob");
    assert_eq!(eve.ask("/who")?, "* in garden: eve");
    bob.say("hello there")?;
    ada.expect("bob: hello there");
    eve.say("nobody hears me")?;
    assert_eq!(eve.ask("/who")?, "* in garden: eve");
    ada.expect_silence();
    bob.say("/quit")?;
    bob.expect("* bye");
    bob.expect_eof();
    ada.expect("* bob left");
    assert_eq!(ada.ask("/who")?, "* in kitchen: ada");
    assert!(ada.ask("/nonsense")?.starts_with("* commands:"));
    assert!(ada.ask("/name two words")?.starts_with("* write /name"));
    server.stop()
}

#[test]
fn names_and_rooms_survive_the_death_of_every_worker() -> TestResult {
    let server = TestServer::chat()
        .set("workers", 2)
        .set("reactors", 2)
        .expect_log("worker died")
        // Killed again before it had anything to do.
        .expect_log("before it served")
        .start()?;
    let mut ada = join(&server, "ada", "kitchen")?;
    let mut bob = join(&server, "bob", "kitchen")?;
    ada.expect("* bob joined");
    for round in 0..5 {
        // Nobody is in a package whose session would end with its worker.
        server.wait_for_rest()?;
        let before = server.workers();
        for worker in &before {
            worker.kill();
        }
        server.wait_for("all new workers", |server| {
            let now = server.workers();
            now.len() == 2 && now.iter().all(|worker| !before.contains(worker))
        })?;
        assert_eq!(ada.ask("/who")?, "* in kitchen: ada bob");
        bob.say(&format!("round {round}"))?;
        ada.expect(&format!("bob: round {round}"));
    }
    let mark = server.log().mark();
    server.signal(ostler_testkit::Signal::USR1);
    server.log().wait_after(mark, "reload finished")?;
    assert_eq!(ada.ask("/who")?, "* in kitchen: ada bob");
    server.stop()
}

#[test]
fn a_crowd_hears_every_line_once_and_in_order() -> TestResult {
    let server = TestServer::chat().set("workers", 2).set("reactors", 2).start()?;
    let mut crowd = Vec::new();
    for index in 0..10 {
        crowd.push(join(&server, &format!("p{index}"), "hall")?);
    }
    // Everybody has seen the last one come.
    for talk in crowd.iter_mut().take(9) {
        while talk.line()? != "* p9 joined" {}
    }
    for line in 0..50 {
        crowd[0].say(&format!("line {line}"))?;
    }
    for talk in crowd.iter_mut().skip(1) {
        for line in 0..50 {
            talk.expect(&format!("p0: line {line}"));
        }
    }
    server.stop()
}
