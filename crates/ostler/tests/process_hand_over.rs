//! Sessions go to a new master (USR2): clients keep their connections, ids and answers, whoever
//! dies in the middle.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test that cannot go on

mod daemon;
mod deployed;
#[path = "deployed/handing_over.rs"]
mod handing_over;
mod talk;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use daemon::{Daemon, check};
use deployed::Deployed;
use handing_over::{PutOff, counted, journal, probe, put_off, stop, talk};
use ostler_testkit::{Client, DEADLINE, Signal, TestResult, wait_until};
use talk::Talk;

#[test]
fn a_session_keeps_its_id_state_user_groups_and_half_a_package() -> TestResult {
    let (deployed, old) = probe("hand-over-whole", &[])?;
    let mut client = talk(old.address)?;
    let id = client.number("id")?;
    for line in ["state kitchen", "bind 7", "join room", "join hall"] {
        client.expect_answer(line, "ok")?;
    }
    let info = client.ask("info")?;
    client.client.send(b"echo one half and ")?;
    let new = deployed.succeed(&old)?;
    deployed.wait_left(&old)?;
    client.client.send(b"the other\n")?;
    client.expect("one half and the other");
    assert_eq!(client.number("id")?, id);
    assert_eq!(client.ask("info")?, info);
    client.expect_answer("get", "kitchen")?;
    client.expect_answer("user", "7")?;
    client.expect_answer("isin room", "true")?;
    let mut other = talk(new.address)?;
    assert!(other.number("id")? > id, "ids of both never meet");
    other.expect_answer("cast room hello", "ok")?;
    client.expect("hello");
    assert_eq!(journal(&deployed, &format!("connect {id}\n")), 1, "it begins once");
    assert_eq!(journal(&deployed, &format!("close {id} ")), 0, "it has not ended");
    client.client.send(b"close\n")?;
    client.expect("bye");
    wait_until("the close event", || journal(&deployed, &format!("close {id} ")) == 1)?;
    drop((client, other));
    stop(&deployed, new, 1)
}

/// A state that lies in an area of the old master lies in one of the new master then, and the room
/// that it has had is there for others as long as the old one goes on.
#[test]
fn a_long_state_goes_with_its_session() -> TestResult {
    const STATE: usize = 1 << 20;
    let options = [("session_state_max_bytes", "1M")];
    let (deployed, old) = probe("hand-over-state", &options)?;
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = talk(old.address)?;
        client.expect_answer(&format!("bump {STATE} before"), "1")?;
        clients.push(client);
    }
    let new = deployed.succeed(&old)?;
    deployed.wait_left(&old)?;
    let id = clients[0].number("id")?;
    for client in &mut clients {
        client.expect_answer("own", &format!("1 {STATE}"))?;
        client.expect_answer(&format!("bump {STATE} behind"), "2")?;
    }
    clients[3].expect_answer(&format!("peek {id}"), &format!("2 {STATE}"))?;
    drop(clients);
    stop(&deployed, new, 4)
}

#[test]
fn requests_that_come_all_the_time_are_answered_once_and_in_order() -> TestResult {
    const AHEAD: u32 = 40;
    let (deployed, old) = probe("hand-over-pipeline", &[])?;
    let mut client = talk(old.address)?;
    let id = client.number("id")?;
    let (mut asked, mut answered, mut left) = (0, 0, None);
    let mut new = None;
    while left.is_none_or(|left| answered < left + 500) {
        while asked < answered + AHEAD {
            client.client.send(format!("echo {asked}\n").as_bytes())?;
            asked += 1;
        }
        if answered == 500 {
            old.signal(Signal::USR2)?;
        }
        client.expect(&answered.to_string());
        answered += 1;
        if new.is_none() && answered > 500 && deployed.count("has taken over from the old") == 1 {
            new = Some(deployed.place.daemon_at(old.address)?);
        }
        if left.is_none() && new.is_some() && old.has_ended() {
            left = Some(answered);
        }
    }
    (answered..asked).for_each(|number| client.expect(&number.to_string()));
    assert_eq!(client.number("id")?, id);
    drop(client);
    stop(&deployed, new.unwrap(), 1)
}

#[test]
fn what_waits_for_a_slow_reader_arrives_whole() -> TestResult {
    const BYTES: usize = 6_000_000;
    let limits = [("send_queue_high", "8000000"), ("send_queue_max", "16000000")];
    let (deployed, old) = probe("hand-over-slow", &limits)?;
    let mut slow = Talk::with(Client::connect_with_receive_buffer(old.address, 4_096)?);
    let id = slow.number("id")?;
    slow.say(&format!("bigs {BYTES} 100000"))?;
    wait_until("the worker to have it", || journal(&deployed, "receive") >= 2)?;
    let new = deployed.succeed(&old)?;
    deployed.wait_left(&old)?;
    let bytes = slow.bytes(BYTES)?;
    check(bytes.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8), "its bytes")?;
    assert_eq!(slow.number("id")?, id);
    drop(slow);
    stop(&deployed, new, 1)
}

#[test]
fn a_session_that_a_worker_has_in_hand_goes_when_it_is_answered() -> TestResult {
    let (deployed, old) = probe("hand-over-busy", &[])?;
    let mut client = talk(old.address)?;
    let id = client.number("id")?;
    let gate = deployed.place.path("gate");
    client.say(&format!("until {} served", gate.display()))?;
    client.say("id")?;
    wait_until("the worker to have it", || journal(&deployed, "receive") >= 2)?;
    let new = deployed.succeed(&old)?;
    check(!old.has_ended(), "it serves")?;
    std::fs::write(&gate, "")?;
    client.expect("served");
    client.expect(&id.to_string());
    deployed.wait_left(&old)?;
    assert_eq!(client.number("id")?, id);
    drop(client);
    stop(&deployed, new, 1)
}

/// The new master's only group is somebody else's: the session stays where it is in its own, and
/// goes when there is room.
#[test]
fn a_session_stays_with_its_groups_until_the_new_master_has_room_for_them() -> TestResult {
    let PutOff { deployed, old, new, mut client, id, mut other } =
        put_off("hand-over-groups", &[])?;
    client.expect_answer("isin room", "true")?;
    check(!old.has_ended(), "its session is there")?;
    other.expect_answer("part other", "ok")?;
    deployed.wait_left(&old)?;
    client.expect_answer("isin room", "true")?;
    assert_eq!(client.number("id")?, id);
    other.expect_answer("join more", "ok")?;
    other.expect_answer("isin more", "false")?;
    check(!deployed.place.log().contains("ERROR"), deployed.place.log())?;
    drop((client, other));
    stop(&deployed, new, 1)
}

/// Half a package means something else where packages are cut otherwise.
#[test]
fn half_a_package_stays_until_it_is_whole_where_the_new_master_cuts_otherwise() -> TestResult {
    let deployed = Deployed::new("hand-over-framing", "ostler-echo")?;
    let config = deployed.place.path("config");
    std::fs::write(&config, "framing = \"line\"\n")?;
    let mut command = deployed.command(&[("workers", "1"), ("reactors", "1")]);
    let set = [("log_level", "debug")].map(|(name, value)| format!("{name}={value}"));
    command.arg("--config").arg(&config).arg("--set").arg(&set[0]);
    let old = deployed.place.daemon_of(&command.output()?)?;
    let mut client = Client::connect(old.address)?;
    client.send(b"whole\nhalf ")?;
    client.expect(b"whole\n")?;
    std::fs::write(&config, "framing = \"eof\"\npackage_eof = \"|\"\n")?;
    let new = deployed.succeed(&old)?;
    deployed.place.wait_for_log("the new master cannot have these for now")?;
    check(!old.has_ended(), "its session is there")?;
    client.send(b"of it\n")?;
    client.expect(b"half of it\n")?;
    deployed.wait_left(&old)?;
    client.send(b"there|")?;
    client.expect(b"there")?;
    drop(client);
    stop(&deployed, new, 1)
}

/// A file that is being sent to a slow reader is sent to its end by who has begun it.
#[test]
fn a_session_goes_when_the_file_is_sent_that_is_on_its_way_to_it() -> TestResult {
    const BYTES: usize = 12_000_000;
    let (deployed, old) = probe("hand-over-file", &[("reactors", "1")])?;
    let file = deployed.place.path("file");
    let bytes: Vec<u8> = (0..BYTES).map(|at| (at % 251) as u8).collect();
    std::fs::write(&file, &bytes)?;
    let mut slow = Talk::with(Client::connect_with_receive_buffer(old.address, 4_096)?);
    let id = slow.number("id")?;
    slow.say(&format!("file {} 0", file.display()))?;
    wait_until("the worker to have it", || journal(&deployed, "receive") >= 2)?;
    let new = deployed.succeed(&old)?;
    // Of another one that is at rest nothing is left there: all have been looked at.
    let mut other = talk(new.address)?;
    other.expect_answer("echo hello", "hello")?;
    check(!old.has_ended(), "it sends")?;
    check(slow.bytes(BYTES)? == bytes, "its bytes")?;
    deployed.wait_left(&old)?;
    assert_eq!(slow.number("id")?, id);
    drop((slow, other));
    stop(&deployed, new, 1)
}

/// What came and went with a session: bytes received, bytes sent, and when both began.
fn traffic(client: &mut Talk, id: u64) -> TestResult<Vec<u64>> {
    let answer = client.ask(&format!("trafficof {id}"))?;
    Ok(answer.split(' ').filter_map(|number| number.parse().ok()).collect())
}

#[test]
fn what_came_and_went_is_counted_from_the_beginning() -> TestResult {
    let (deployed, old) = probe("hand-over-traffic", &[])?;
    let mut client = talk(old.address)?;
    let id = client.number("id")?;
    client.expect_answer("echo so much", "so much")?;
    let before = traffic(&mut client, id)?;
    let new = deployed.succeed(&old)?;
    deployed.wait_left(&old)?;
    let after = traffic(&mut client, id)?;
    let asked = format!("trafficof {id}\n").len() as u64;
    assert_eq!(after[0], before[0] + asked, "received");
    check(after[1] > before[1], format!("sent: {before:?}, {after:?}"))?;
    // Of both in nanoseconds from the beginning of the session, which is as long ago as it was.
    check(after[4] > before[4] && after[6] >= before[6], format!("{before:?}, {after:?}"))?;
    drop(client);
    stop(&deployed, new, 1)
}

/// A session that is offered to a new master that stands still; its worker waits for the file
/// `tell` to do something to it, which is no delivery.
fn offered(name: &str) -> TestResult<(Deployed, Daemon, Daemon, Talk, u64)> {
    let options = [("reactors", "1"), ("log_level", "debug")];
    let (deployed, old) = probe(name, &options)?;
    let mut client = talk(old.address)?;
    let id = client.number("id")?;
    client.expect_answer("join early", "ok")?;
    let (rest, tell) = (deployed.place.path("rest"), deployed.place.path("tell"));
    client.expect_answer(&format!("tell {} {id}", tell.display()), "waits")?;
    client.say(&format!("until {} rested", rest.display()))?;
    wait_until("the worker to have it", || journal(&deployed, "receive") >= 4)?;
    let new = deployed.succeed(&old)?;
    new.signal(Signal::STOP)?;
    std::fs::write(&rest, "")?;
    client.expect("rested");
    deployed.place.wait_for_log("sessions are offered")?;
    Ok((deployed, old, new, client, id))
}

#[test]
fn what_a_worker_says_of_a_session_that_is_offered_is_not_lost() -> TestResult {
    let (deployed, old, new, mut client, id) = offered("hand-over-said")?;
    std::fs::write(deployed.place.path("tell"), "")?;
    wait_until("it to be told", || journal(&deployed, "told ok ok ok ok ok") == 1)?;
    new.signal(Signal::CONT)?;
    client.expect("hello");
    deployed.wait_left(&old)?;
    client.expect_answer("get", "said")?;
    client.expect_answer("user", "9")?;
    client.expect_answer("isin late", "true")?;
    client.expect_answer("isin early", "false")?;
    assert_eq!(client.number("id")?, id);
    drop(client);
    stop(&deployed, new, 1)
}

#[test]
fn who_is_offered_to_somebody_who_does_not_answer_is_served() -> TestResult {
    let (deployed, old, new, mut client, id) = offered("hand-over-silent")?;
    for _ in 0..3 {
        client.expect_answer("echo still here", "still here")?;
    }
    new.signal(Signal::CONT)?;
    deployed.wait_left(&old)?;
    assert_eq!(client.number("id")?, id);
    drop(client);
    stop(&deployed, new, 1)
}

/// The word that gives a session lies unread when the new master is told to end: the old one has
/// forgotten it, so it is the new one's to end.
#[test]
fn what_was_given_to_a_master_that_ends_is_ended_there() -> TestResult {
    let (deployed, old, new, client, _) = offered("hand-over-ends")?;
    old.signal(Signal::STOP)?;
    new.signal(Signal::CONT)?;
    deployed.place.wait_for_log("sessions can be had")?;
    new.signal(Signal::STOP)?;
    new.signal(Signal::TERM)?;
    old.signal(Signal::CONT)?;
    // On a slow machine that answer came too late.
    wait_until("it to be given", || {
        let log = deployed.place.log();
        log.contains("session handed over") || log.contains("does not answer")
    })?;
    new.signal(Signal::CONT)?;
    wait_until("the new master to end", || new.has_ended())?;
    drop(client);
    wait_until("the old master to end", || old.has_ended())?;
    let count = |name| counted(&deployed, name);
    check(count("taken_over") == count("handed_over"), deployed.place.log())?;
    check(journal(&deployed, "close") == 1, deployed.place.log())
}

#[test]
fn three_masters_in_a_row_keep_a_thousand_connections() -> TestResult {
    let options = [("max_connections", "2000")];
    let (deployed, mut running) = probe("hand-over-many", &options)?;
    let address = running.address;
    let mut clients = Vec::new();
    for _ in 0..1_000 {
        let mut client = talk(address)?;
        let id = client.number("id")?;
        clients.push((client, id));
    }
    for _ in 0..3 {
        let new = deployed.succeed(&running)?;
        deployed.wait_left(&running)?;
        running = new;
        for (client, id) in &mut clients {
            assert_eq!(client.number("id")?, *id);
        }
    }
    drop(clients);
    stop(&deployed, running, 3_000)
}

/// They have the address of their proxy, whose limits do not hold for them at whatever master.
#[test]
fn who_is_not_named_by_its_proxy_is_not_at_the_next_master_either() -> TestResult {
    let options = [
        ("proxy_protocol", "required"),
        ("proxy_protocol_from", "127.0.0.1"),
        ("max_connections_per_address", "1"),
        ("package_rate_per_address", "1"),
    ];
    let (deployed, mut running) = probe("hand-over-unnamed", &options)?;
    let address = running.address;
    let behind = |header: &str| -> TestResult<Talk> {
        let mut client = talk(address)?;
        client.say(header)?;
        client.expect_answer("echo in", "in")?;
        Ok(client)
    };
    let unnamed = (0..3).map(|_| behind("PROXY UNKNOWN\r"));
    let mut clients = unnamed.collect::<TestResult<Vec<_>>>()?;
    for _ in 0..2 {
        let new = deployed.succeed(&running)?;
        deployed.wait_left(&running)?;
        running = new;
        for number in 0..12 {
            clients[number % 3].expect_answer("echo served", "served")?;
        }
        // The proxy's own client has its place and its rate.
        drop(behind("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r")?);
    }
    drop(clients);
    running.stop(&deployed.place)?;
    check(counted(&deployed, "taken_over") >= 6, deployed.place.log())
}

/// Clients of a master that is replaced while they ask.
const CLIENTS: usize = 40;

/// Clients that ask all the time, until their connection ends: how many were answered also when
/// `act` was over.
fn survivors(
    address: SocketAddr,
    clients: usize,
    act: impl FnOnce() -> TestResult,
) -> TestResult<usize> {
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| -> TestResult<usize> {
        let mut threads = Vec::new();
        for client in 0..clients {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(DEADLINE))?;
            let over = &over;
            threads.push(scope.spawn(move || -> TestResult<bool> {
                let mut number = 0;
                loop {
                    let is_last = over.load(std::sync::atomic::Ordering::Relaxed);
                    let text = format!("{client} {number}.");
                    let mut answer = vec![0; text.len()];
                    // With its master a connection may end; what comes is right.
                    if stream.write_all(text.as_bytes()).is_err() {
                        return Ok(false);
                    }
                    match stream.read_exact(&mut answer) {
                        Ok(()) => check(answer == text.as_bytes(), (answer, text))?,
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                            return Err(error.into());
                        }
                        Err(_) => return Ok(false),
                    }
                    if is_last {
                        return Ok(true);
                    }
                    number += 1;
                }
            }));
        }
        let outcome = act();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut alive = 0;
        for thread in threads {
            alive += usize::from(thread.join().unwrap()?);
        }
        outcome.map(|()| alive)
    })
}

#[test]
fn a_new_master_that_is_killed_in_the_middle_takes_with_it_only_what_it_had() -> TestResult {
    for round in 0..3 {
        let deployed = Deployed::new(&format!("hand-over-new-dies-{round}"), "ostler-echo")?;
        let old = deployed.start(&[("workers", "2"), ("reactors", "2")])?;
        let alive = survivors(old.address, CLIENTS, || {
            let new = deployed.succeed(&old)?;
            new.signal(Signal::KILL)?;
            wait_until("the new one to end", || new.has_ended())
        })?;
        // Who was not handed over was served to the end, and then nobody is left.
        deployed.wait_left(&old)?;
        let log = deployed.place.log();
        check(log.contains(" books accepted="), &log)?;
        let (cut, had) = ((CLIENTS - alive) as u64, counted(&deployed, "handed_over"));
        check(cut <= had, format!("{cut} were cut, the new one had {had}"))?;
    }
    Ok(())
}

#[test]
fn an_old_master_that_is_killed_in_the_middle_leaves_what_it_has_handed_over() -> TestResult {
    for round in 0..3 {
        let deployed = Deployed::new(&format!("hand-over-old-dies-{round}"), "ostler-echo")?;
        let old = deployed.start(&[("workers", "2"), ("reactors", "2")])?;
        let mut new = None;
        let alive = survivors(old.address, CLIENTS, || {
            new = Some(deployed.succeed(&old)?);
            old.signal(Signal::KILL)?;
            wait_until("the old one to end", || old.has_ended())
        })?;
        let new = new.unwrap();
        new.echoes("goes on")?;
        new.stop(&deployed.place)?;
        let had = counted(&deployed, "taken_over");
        check(alive as u64 >= had, format!("{alive} live, {had} had been taken over"))?;
    }
    Ok(())
}
