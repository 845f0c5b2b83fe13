//! Sessions as handlers see them: state, lists, sends that are refused, closing.

use ostler_testkit::{Client, TestResult};

use crate::talk::{Talk, pattern, probe, small_probe};

#[test]
fn state_is_read_as_it_was_written_at_once_and_by_every_worker() -> TestResult {
    let server = probe().set("dispatch", "round_robin").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("get")?, "");
    assert_eq!(talk.ask("rw first")?, "first");
    assert_eq!(talk.ask("state second")?, "ok");
    let id = talk.number("id")?;
    let mut workers = std::collections::HashSet::new();
    for round in 0..8 {
        assert_eq!(talk.ask("get")?, if round == 0 { "second" } else { "again" });
        workers.insert(talk.ask("whoami")?);
        assert_eq!(talk.ask("rw again")?, "again");
        if round % 2 == 1 {
            // A round has an even number of deliveries, and would always meet the same worker.
            assert_eq!(talk.ask("echo odd")?, "odd");
        }
        let mut other = Talk::new(&server)?;
        assert_eq!(other.ask(&format!("getof {id}"))?, "again");
    }
    assert_eq!(workers.len(), 2, "round robin went to both");
    assert_eq!(talk.ask("statebig 65536")?, "ok");
    assert_eq!(talk.ask("statebig 65537")?, "too_long");
    assert_eq!(talk.ask("statebig 0")?, "ok");
    assert_eq!(talk.ask("get")?, "");
    server.stop()
}

#[test]
fn state_survives_a_death_and_a_reload() -> TestResult {
    let server = small_probe().expect_log("died").expect_log("killed").start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("state precious")?, "ok");
    // Whose package was answered before this one's is not in hand any more.
    assert_eq!(Talk::new(&server)?.ask("echo x")?, "x");
    let old = server.worker(0);
    old.kill();
    server.wait_for("a successor", |s| s.worker(0) != old)?;
    assert_eq!(talk.ask("get")?, "precious");
    let mark = server.log().mark();
    server.signal(ostler_testkit::Signal::USR1);
    server.log().wait_after(mark, "reload finished")?;
    assert_eq!(talk.ask("get")?, "precious");
    server.stop()
}

#[test]
fn sessions_lists_who_is_there_and_info_says_who_it_is() -> TestResult {
    let server = probe().start()?;
    let mut talks = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let mut talk = Talk::new(&server)?;
        ids.push(talk.number("id")?);
        talks.push(talk);
    }
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), 5, "no id twice");
    let words: Vec<String> = sorted.iter().map(u64::to_string).collect();
    assert_eq!(talks[0].ask("sessions")?, words.join(" "));
    let own = talks[0].client.local_address()?;
    assert_eq!(talks[0].ask("info")?, format!("{} {own} false", ids[0]));
    assert_eq!(talks[0].ask(&format!("infoof {}", ids[4]))?, "some");
    drop(talks.pop());
    server.wait_for("one session less", |_| {
        talks[0].ask(&format!("infoof {}", ids[4])).is_ok_and(|answer| answer == "none")
    })?;
    assert_eq!(talks[0].ask("sessions")?.split(' ').count(), 4);
    server.stop()
}

#[test]
fn a_session_knows_the_port_on_which_its_client_came_as_long_as_it_is_there() -> TestResult {
    let server = probe().set("dispatch", "round_robin").start()?;
    let (mut talk, mut other) = (Talk::new(&server)?, Talk::new(&server)?);
    let port = format!("0 main {}", server.address());
    for _ in 0..4 {
        assert_eq!(talk.ask("port")?, port, "in every worker");
    }
    let id = other.number("id")?;
    assert_eq!(talk.ask(&format!("portof {id}"))?, "some");
    drop(other);
    server.wait_for("the end of the other", |_| {
        talk.ask(&format!("portof {id}")).is_ok_and(|answer| answer == "none")
    })?;
    server.stop()
}

#[test]
fn a_send_to_a_session_that_is_gone_or_never_was_says_so() -> TestResult {
    let server = probe().start()?;
    let mut talk = Talk::new(&server)?;
    let mut other = Talk::new(&server)?;
    let id = other.number("id")?;
    assert_eq!(talk.ask(&format!("send {id} hello"))?, "ok");
    other.expect("hello");
    drop(other);
    server.wait_for("the end of the other", |_| {
        talk.ask(&format!("send {id} hello")).is_ok_and(|answer| answer == "gone")
    })?;
    for never in [0, 1, 63, 64, u64::MAX, id + 64, 1 << 53] {
        assert_eq!(talk.ask(&format!("send {never} hello"))?, "gone", "{never}");
        assert_eq!(talk.ask(&format!("closeof {never}"))?, "gone", "{never}");
        assert_eq!(talk.ask(&format!("resetof {never}"))?, "gone", "{never}");
        assert_eq!(talk.ask(&format!("getof {never}"))?, "", "{never}");
        assert_eq!(talk.ask(&format!("infoof {never}"))?, "none", "{never}");
    }
    server.stop()
}

#[test]
fn a_message_that_is_too_long_is_refused_as_a_whole() -> TestResult {
    let server = probe().set("max_send_bytes", 10_000).start()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("big 10001")?, "too_long");
    talk.say("big 10000")?;
    assert!(talk.bytes(10_000)? == pattern(10_000), "the bytes differ");
    talk.say("deferbig 1 10001")?;
    assert_eq!(talk.ask("sleep 5 nothing of it")?, "nothing of it");
    server.stop()
}

#[test]
fn close_comes_after_the_output_and_reset_does_not_wait_for_it() -> TestResult {
    let server = small_probe().set("send_queue_max", "4M").start()?;
    let mut talk = Talk::new(&server)?;
    talk.say("close")?;
    talk.expect("bye");
    talk.expect_eof();
    // More than the kernel's buffers take at once from a client that reads late.
    let client = Client::connect_with_receive_buffer(server.address(), 4096)?;
    let mut talk = Talk::with(client);
    talk.say(&format!("closebig {}", 2_000_000))?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo served meanwhile")?, "served meanwhile");
    let all = talk.rest()?;
    assert!(all == pattern(2_000_000), "{} bytes came", all.len());
    let mut talk = Talk::new(&server)?;
    talk.say("reset")?;
    talk.client.expect_reset()?;
    let mut victim = Talk::new(&server)?;
    let id = victim.number("id")?;
    assert_eq!(other.ask(&format!("closeof {id}"))?, "ok");
    victim.expect_eof();
    let mut victim = Talk::new(&server)?;
    let id = victim.number("id")?;
    assert_eq!(other.ask(&format!("resetof {id}"))?, "ok");
    victim.client.expect_reset()?;
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.detail("closed_worker"), books.detail("closed_worker_reset")), (3, 2));
    Ok(())
}
