//! A worker that writes nonsense into its lanes harms itself and the sessions it has in hand,
//! nobody else.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{TestResult, TestServer, wait_until};
use talk::{Talk, probe, small_probe};

/// Two workers and two reactors; the log lines that a condemnation brings are expected.
fn server() -> TestResult<TestServer> {
    let server = probe()
        .expect_log("worker wrote nonsense")
        .expect_log("worker died")
        .expect_log("before it served")
        .start()?;
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    Ok(server)
}

/// The harm is done, the doer condemned and replaced, its client closed, everybody else served.
fn is_condemned(harm: &str) -> TestResult {
    let server = server()?;
    let mut others = Vec::new();
    for index in 0..4 {
        let mut other = Talk::new(&server)?;
        assert_eq!(other.ask(&format!("state {index}"))?, "ok");
        others.push(other);
    }
    let mut villain = Talk::new(&server)?;
    let who = villain.ask("whoami")?;
    assert_eq!(villain.ask("echo warm")?, "warm");
    // What was answered is finished: the harm is done in one package.
    server.wait_for_rest()?;
    villain.say(&format!("hostile {harm}"))?;
    villain.expect_closed();
    server.wait_for_log("worker wrote nonsense, condemned")?;
    server.wait_for_log("worker died")?;
    server.wait_for("two workers again", |server| server.workers().len() == 2)?;
    for (index, other) in others.iter_mut().enumerate() {
        for _ in 0..5 {
            assert_eq!(other.ask("get")?, index.to_string(), "{harm} of {who}");
        }
    }
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("echo new")?, "new");
    drop((others, talk));
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_worker_condemned"), 1, "{harm}: {books}");
    assert_eq!(books.closed_by, 1, "{harm}: {books}");
    Ok(())
}

macro_rules! condemned {
    ($($name:ident: $harm:literal,)*) => {$(
        #[test]
        fn $name() -> TestResult {
            is_condemned($harm)
        }
    )*};
}

condemned! {
    random_words_are_condemned: "words 1",
    a_random_ring_is_condemned: "ring 2",
    a_commit_that_goes_back_is_condemned: "commit_back",
    an_out_position_beyond_the_ring_is_condemned: "written_far",
    an_out_position_that_goes_back_is_condemned: "written_back",
    an_out_position_within_a_record_is_condemned: "written_odd",
    a_start_of_what_was_not_given_is_condemned: "taken_far",
    a_start_taken_back_is_condemned: "taken_back",
    space_freed_that_was_not_given_is_condemned: "freed_far",
    space_freed_within_a_record_is_condemned: "freed_odd",
    the_end_of_an_unknown_delivery_is_condemned: "fin_unknown",
    a_skip_of_an_unknown_delivery_is_condemned: "skip_unknown",
    the_end_of_no_delivery_is_condemned: "fin_zero",
    an_unknown_delivery_exposed_is_condemned: "expose_unknown",
    an_unknown_kind_is_condemned: "kind_unknown",
    a_record_of_the_other_direction_is_condemned: "kind_down",
    a_record_out_of_sequence_is_condemned: "seq_wrong",
    a_record_without_length_is_condemned: "len_zero",
    a_record_longer_than_the_ring_is_condemned: "len_huge",
    a_record_beyond_what_was_written_is_condemned: "len_beyond",
    a_reference_outside_its_package_is_condemned: "reference 1",
    a_mark_that_is_the_reactors_own_is_condemned: "mark 9 1",
    a_mark_that_is_set_and_taken_away_at_once_is_condemned: "mark 9 8 8",
    a_stream_without_a_number_is_condemned: "stream 1",
    endless_bells_are_condemned: "bells",
    a_file_that_was_not_passed_is_condemned: "file_none 1 1",
    a_message_without_its_file_is_condemned: "file_nothing 1 1",
    two_files_for_one_record_are_condemned: "file_two 1 1",
    a_pipe_instead_of_a_file_is_condemned: "file_pipe 1 1",
    a_socket_instead_of_a_file_is_condemned: "file_socket 1 1",
    a_directory_instead_of_a_file_is_condemned: "file_directory 1 1",
    a_device_instead_of_a_file_is_condemned: "file_device 1 1",
    a_file_that_a_driver_answers_is_condemned: "file_answered 1 1",
    a_file_that_cannot_be_read_is_condemned: "file_write_only 1 1",
    a_file_whose_record_has_another_number_is_condemned: "file_number 1 1",
    a_file_whose_message_has_another_number_is_condemned: "file_number 1 7",
    a_file_without_a_part_is_condemned: "file_no_range 1 1",
    a_part_of_a_file_behind_all_files_is_condemned: "file_range 1 1",
    a_state_whose_file_was_not_passed_is_condemned: "state_none 1 1",
    a_state_whose_message_is_without_its_file_is_condemned: "state_nothing 1 1",
    two_files_for_one_state_are_condemned: "state_two 1 1",
    a_state_in_a_pipe_is_condemned: "state_pipe 1 1",
    a_state_whose_record_has_another_number_is_condemned: "state_number 1 1",
    a_state_in_a_file_on_a_disk_is_condemned: "state_regular 1 1",
    a_state_that_can_still_be_changed_is_condemned: "state_open 1 1",
    a_state_that_is_longer_than_its_file_is_condemned: "state_short 1 1",
    a_state_that_does_not_begin_with_its_file_is_condemned: "state_later 1 1",
    a_state_without_a_length_is_condemned: "state_no_range 1 1",
    a_state_behind_all_files_is_condemned: "state_range 1 1",
    a_state_longer_than_any_is_condemned: "state_huge 1 1",
    joining_a_group_without_a_name_is_condemned: "join_nameless",
    leaving_a_group_without_a_name_is_condemned: "leave_nameless",
    a_message_to_a_group_without_anything_is_condemned: "to_group_empty",
    a_message_to_a_group_without_a_name_is_condemned: "to_group_nameless",
    a_message_that_is_shorter_than_the_name_of_its_group_is_condemned: "to_group_short",
    a_part_of_a_message_that_continues_nothing_is_condemned: "to_group_part",
}

/// A package that lies in the ring, and one that lies in the area for long ones.
const LENGTHS: [usize; 2] = [200, 100_000];

/// Where the length of a package stands in it: behind the longest command.
const LENGTH_AT: usize = 60;

/// A command of `len` bytes: a line, or with its length in it.
fn command(text: &str, len: usize) -> Vec<u8> {
    let mut bytes = format!("{text:<LENGTH_AT$}").into_bytes();
    bytes.extend((len as u32).to_be_bytes().map(|byte| if len > 255 { byte } else { b' ' }));
    bytes.resize(len - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// The number of the villain's package at the lane, behind its connect event.
const OWN: u64 = 2;

/// A server with one worker, which says that a reply lies in a package in its hand, of `len` bytes;
/// `offset` and `total` say where. Behind it the client that asked for this.
fn refers(len: usize, cause: u64, offset: u32, total: u32) -> TestResult<(TestServer, Talk)> {
    let server = small_probe().expect_log("worker wrote nonsense").expect_log("worker died");
    let server = server.expect_log("before it served");
    let server = match len {
        ..256 => server,
        _ => server
            .set("framing", "length")
            .set("package_length_type", "N")
            .set("package_length_offset", LENGTH_AT)
            .set("package_body_offset", 0),
    };
    let server = server.start()?;
    let mut villain = Talk::new(&server)?;
    let harm = format!("hostile refer 1 {cause} {offset} {total}");
    villain.client.send(&command(&harm, len))?;
    Ok((server, villain))
}

/// Such a reply is none: nothing of it is written, and the worker is condemned, for these words.
fn is_refused(len: usize, cause: u64, offset: u32, total: u32, why: &str) -> TestResult {
    let what = format!("{len}: {cause} {offset} {total}");
    let (server, villain) = refers(len, cause, offset, total)?;
    villain.expect_closed();
    let line = server.wait_for_log("worker wrote nonsense, condemned")?;
    assert!(line.contains(why), "{what}: {line}");
    server.wait_for_log("worker died")?;
    let mut other = Talk::new(&server)?;
    other.client.send(&command("id", len))?;
    other.line()?;
    drop(other);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_worker_condemned"), 1, "{what}: {books}");
    Ok(())
}

#[test]
fn a_reference_is_written_as_far_as_its_package_reaches() -> TestResult {
    for len in LENGTHS {
        let (server, mut villain) = refers(len, OWN, 0, 7)?;
        assert_eq!(villain.bytes(7)?, b"hostile", "{len}");
        server.worker(0).kill();
        villain.expect_closed();
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_reference_beyond_its_package_is_condemned() -> TestResult {
    for len in LENGTHS {
        let all = len as u32;
        for (offset, total) in
            [(0, all + 1), (all, 1), (all + 1, 0), (1, all), (u32::MAX, 2), (2, u32::MAX)]
        {
            is_refused(len, OWN, offset, total, "outside its delivery")?;
        }
    }
    Ok(())
}

#[test]
fn a_reference_to_what_is_not_in_hand_is_condemned() -> TestResult {
    for len in LENGTHS {
        for cause in [0, OWN - 1, OWN + 1, u64::MAX] {
            is_refused(len, cause, 0, 7, "not in hand")?;
        }
    }
    Ok(())
}

/// A package that waits at the villain, unstarted, must not be lost to space that it frees behind
/// its back.
#[test]
fn space_freed_under_a_package_that_was_not_taken_is_condemned() -> TestResult {
    let server = probe()
        .set("workers", 1)
        .set("reactors", 1)
        .set("prefetch_us", 100_000)
        .expect_log("worker wrote nonsense")
        .expect_log("worker died")
        .expect_log("before it served")
        .start()?;
    let mut other = Talk::new(&server)?;
    assert_eq!(other.ask("echo warm")?, "warm");
    let mut villain = Talk::new(&server)?;
    assert_eq!(villain.ask("echo warm")?, "warm");
    // All in one write, so that the second package is given behind the first: 128 bytes further is
    // the end of it.
    villain.client.send(b"hostile freed_untaken 7 256\necho never\n")?;
    villain.expect_closed();
    let line = server.wait_for_log("worker wrote nonsense, condemned")?;
    assert!(line.contains("freed"), "{line}");
    assert_eq!(other.ask("echo on")?, "on");
    drop(other);
    server.stop()
}

#[test]
fn what_waits_at_a_condemned_worker_is_closed_and_the_rest_is_served() -> TestResult {
    let server = probe()
        .set("workers", 1)
        .set("prefetch_us", 100_000)
        .expect_log("worker wrote nonsense")
        .expect_log("worker died")
        .expect_log("before it served")
        .start()?;
    let mut idle = Talk::new(&server)?;
    assert_eq!(idle.ask("state kept")?, "ok");
    let mut villain = Talk::new(&server)?;
    assert_eq!(villain.ask("echo warm")?, "warm");
    villain.say("hostile len_zero")?;
    // Comes while the worker is the only one, before or after its condemnation: closed or served,
    // never forgotten.
    let mut late = Vec::new();
    for _ in 0..10 {
        let mut talk = Talk::new(&server)?;
        talk.say("echo late")?;
        late.push(talk);
    }
    villain.expect_closed();
    for mut talk in late {
        match talk.line() {
            Ok(line) => assert_eq!(line, "late"),
            Err(error) => assert!(!error.is_timeout(), "forgotten: {error}"),
        }
    }
    assert_eq!(idle.ask("get")?, "kept");
    server.stop()
}

#[test]
fn some_bells_for_nothing_are_forgiven() -> TestResult {
    let server = server()?;
    let mut talk = Talk::new(&server)?;
    // They are forgotten as soon as there is something to ring for; at the other reactor there
    // never is.
    for _ in 0..2 {
        assert_eq!(talk.ask("hostile few_bells")?, "rung");
        assert_eq!(talk.ask("echo fine")?, "fine");
    }
    assert_eq!(server.log_lines_with("nonsense").len(), 0);
    server.stop()
}

#[test]
fn the_masters_memory_cannot_be_written() -> TestResult {
    let server = server()?;
    let mut talk = Talk::new(&server)?;
    assert_eq!(talk.ask("hostile down")?, "refused refused");
    assert_eq!(talk.ask("echo fine")?, "fine");
    server.stop()
}

/// Workers that say of their work what they like get too much or too little ahead. Nobody is
/// condemned for it, and what waits behind a slow delivery at one of them is still taken back.
fn lies_about_its_work(work_ns: u64) -> TestResult {
    let server = probe().set("reactors", 1).start()?;
    for worker in 0..2 {
        server.wait_for_log(&format!("serves worker=w{worker}."))?;
    }
    let mut talks = (0..20).map(|_| Talk::new(&server)).collect::<TestResult<Vec<_>>>()?;
    let mut liars = std::collections::BTreeSet::new();
    while liars.len() < 2 {
        for talk in &mut talks {
            talk.say(&format!("hostile work 0 {work_ns}"))?;
        }
        for talk in &mut talks {
            let answer = talk.line()?;
            let (liar, lie) = answer.split_once(" lies ").unwrap_or_default();
            assert_eq!(lie, work_ns.to_string(), "{answer:?}");
            liars.insert(liar.to_owned());
        }
    }
    for round in 0..50 {
        talks.iter_mut().try_for_each(|talk| talk.say(&format!("echo {round}")))?;
        talks.iter_mut().for_each(|talk| talk.expect(&round.to_string()));
    }
    let release = server.directory().join("release");
    let mut slow = Talk::new(&server)?;
    slow.say(&format!("until {} released", release.display()))?;
    for round in 0..50 {
        talks.iter_mut().try_for_each(|talk| talk.say(&format!("echo {round}")))?;
        talks.iter_mut().for_each(|talk| talk.expect(&round.to_string()));
    }
    std::fs::write(&release, "")?;
    slow.expect("released");
    assert_eq!(server.log_lines_with("nonsense").len(), 0);
    drop((talks, slow));
    server.stop()
}

#[test]
fn a_worker_that_says_it_measured_nothing_harms_nobody() -> TestResult {
    lies_about_its_work(0)
}

#[test]
fn a_worker_that_says_it_takes_no_time_harms_nobody() -> TestResult {
    lies_about_its_work(1)
}

#[test]
fn a_worker_that_says_it_takes_for_ever_harms_nobody() -> TestResult {
    lies_about_its_work(u64::MAX)
}

/// Whatever a worker scribbles, the master lives, keeps its books, and serves the others.
#[test]
fn workers_that_scribble_at_random_end_and_the_master_does_not() -> TestResult {
    let server = probe()
        .set("fork_interval_ms", 0)
        .set("back_off_min_ms", 1)
        .set("back_off_max_ms", 5)
        .expect_log("worker wrote nonsense")
        .expect_log("worker died")
        .expect_log("before it served")
        .expect_log("many")
        .expect_log("worker")
        .start()?;
    let mut good = Talk::new(&server)?;
    assert_eq!(good.ask("state good")?, "ok");
    let master = server.master();
    for round in 0..40 {
        let mut villain = Talk::new(&server)?;
        villain.say(&format!("hostile fuzz {round} {}", 1 + round % 7))?;
        // A few flipped words may harm nobody; then the villain answers.
        match villain.line() {
            Ok(_) => drop(villain),
            Err(error) => assert!(!error.is_timeout(), "round {round}: {error}"),
        }
        // The worker may be broken in a way that shows only now; a session that it has in hand goes
        // with it.
        match good.ask("get") {
            Ok(state) => assert_eq!(state, "good"),
            Err(error) => {
                assert!(!error.is_timeout(), "round {round}: {error}");
                good = Talk::new(&server)?;
                if good.ask("state good").is_err() {
                    good = Talk::new(&server)?;
                    let _again = good.ask("state good");
                }
            }
        }
    }
    assert_eq!(server.master(), master);
    for worker in server.workers() {
        worker.kill();
    }
    wait_until("somebody to serve", || {
        Talk::new(&server).and_then(|mut talk| talk.ask("echo end")).is_ok_and(|line| line == "end")
    })?;
    drop(good);
    server.stop()
}

/// The lanes are not inherited: neither by a fork (`dc`: do not copy) nor through an exec (no
/// descriptor is left).
#[test]
fn a_child_of_a_worker_has_no_lanes() -> TestResult {
    // What was answered a moment ago may be unfinished when the worker is killed.
    let server = probe().set("crash_policy", "drop").expect_log("died").start()?;
    let mut talk = Talk::new(&server)?;
    let who = talk.ask("whoami")?;
    let worker = server
        .workers()
        .into_iter()
        .find(|worker| who.ends_with(&format!(" {}", worker.pid())))
        .expect("the worker is in the tree");
    let smaps = std::fs::read_to_string(format!("/proc/{}/smaps", worker.pid()))?;
    let (mut lanes, mut inside) = (0, false);
    for line in smaps.lines() {
        if line.contains("memfd:ostler-") {
            inside = true;
        } else if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
            assert!(flags.split(' ').any(|flag| flag == "dc"), "{flags}");
            (lanes, inside) = (lanes + 1, false);
        }
    }
    assert!(lanes >= 3, "down, up and board");
    let answer = talk.ask("hostile child")?;
    let pid: u32 = answer.trim_start_matches("child ").parse().expect("a number");
    let child =
        server.tree().processes().into_iter().find(|child| child.pid() == pid).expect("a child");
    wait_until("the exec", || child.comm().is_ok_and(|name| name == "sleep"))?;
    for target in child.fds()? {
        let ours = ["socket:", "anon_inode:", "memfd:"].iter().any(|kind| target.contains(kind));
        assert!(!ours, "{target}");
    }
    assert!(child.maps()?.iter().all(|line| !line.contains("ostler-")));
    // It lives on when its parent is killed, and holds nothing up.
    worker.kill();
    for _ in 0..10 {
        assert_eq!(talk.ask("echo on")?, "on");
    }
    drop(talk);
    server.stop()
}

/// The client is the first of its server: its connect event has the number 1, the hostile line 2.
#[test]
fn a_worker_that_has_used_more_than_it_was_given_is_condemned() -> TestResult {
    for (framing, used) in [("stream", "32"), ("stream", "4294967295"), ("eof", "1")] {
        let server = small_probe()
            .set("framing", framing)
            .expect_log("worker wrote nonsense")
            .expect_log("worker died")
            .start()?;
        let mut villain = Talk::new(&server)?;
        // With its end the line has 32 bytes, or more.
        let line = format!("hostile fin_partly 0 2 {used:<8}");
        villain.say(&line)?;
        villain.expect_closed();
        server.wait_for_log("FIN with more bytes used than the delivery has")?;
        let mut talk = Talk::new(&server)?;
        assert_eq!(talk.ask("echo new")?, "new");
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.closed_by, books.detail("continued")), (1, 0), "{framing}: {books}");
    }
    Ok(())
}

/// Each port has its own limit, and a worker that says nothing of it is held to that one.
#[test]
fn a_message_longer_than_the_sessions_own_port_allows_is_condemned() -> TestResult {
    let server = small_probe()
        .set("port.big.listen", "tcp://127.0.0.1:0")
        .set("port.big.max_send_bytes", "64K")
        .set("max_send_bytes", "1K")
        .expect_log("worker wrote nonsense")
        .expect_log("worker died")
        .start()?;
    let mut talk = Talk::with(server.connect_to("big")?);
    let mut villain = Talk::new(&server)?;
    talk.expect_answer("echo warm", "warm")?;
    villain.expect_answer("echo warm", "warm")?;
    server.wait_for_rest()?;
    // No longer than the other port allows.
    villain.say("hostile out 0 2000")?;
    villain.expect_closed();
    server.wait_for_log("a message longer than max_send_bytes")?;
    talk.expect_answer("echo on", "on")?;
    drop(talk);
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.closed_by, 1, "{books}");
    Ok(())
}
