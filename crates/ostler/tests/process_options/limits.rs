//! Effects of the limits of what one client may take.

use std::time::{Duration, Instant};

use ostler_testkit::{ServerBuilder, TestError, TestResult, TestServer, wait_until};

use crate::Effect;
use crate::talk::{Talk, probe};

pub(crate) const EFFECTS: &[(&str, Effect)] = &[
    ("max_connections_per_address", max_connections_per_address_keeps_out_only_who_has_them),
    ("connection_rate_per_address", connection_rate_per_address_counts_the_clients_of_a_proxy),
    ("package_rate_per_address", package_rate_per_address_is_that_of_each_client_of_a_proxy),
    ("package_rate_max", package_rate_max_reads_a_session_later),
    ("receive_rate_max", receive_rate_max_reads_a_session_later),
    ("accept_rate", accept_rate_makes_clients_wait_and_refuses_none),
    ("max_connections_per_address", max_connections_per_address_counts_the_clients_of_a_proxy),
    ("worker_deaths_per_address", worker_deaths_per_address_refuses_who_kills_as_many),
];

/// A client that is served, with what it says before its first line.
fn served(server: &TestServer, before: &str) -> TestResult<Talk> {
    let mut talk = Talk::new(server)?;
    talk.client.send(before.as_bytes())?;
    match talk.ask("echo served")?.as_str() {
        "served" => Ok(talk),
        other => Err(TestError::new(format!("answered {other:?}"))),
    }
}

#[test]
fn max_connections_per_address_keeps_out_only_who_has_them() -> TestResult {
    let server = probe().set("max_connections_per_address", 2).start()?;
    let mut inside = vec![served(&server, "")?, served(&server, "")?];
    for _ in 0..3 {
        assert!(served(&server, "").is_err(), "a third one");
    }
    for talk in &mut inside {
        assert_eq!(talk.ask("echo still")?, "still");
    }
    inside.pop();
    wait_until("the place of who has left", || {
        inside.extend(served(&server, ""));
        inside.len() == 2
    })?;
    let books = server.stop_and_report()?.books()?;
    assert!(books.detail("refused_address_full") >= 3, "{books}");
    Ok(())
}

#[test]
fn accept_rate_makes_clients_wait_and_refuses_none() -> TestResult {
    for mode in ["process", "base"] {
        let server = TestServer::example("probe").set("mode", mode).set("workers", 1);
        let server = server.set("accept_rate", 5).start()?;
        let begin = Instant::now();
        let mut inside = Vec::new();
        for _ in 0..13 {
            inside.push(served(&server, "")?);
            assert_eq!(inside[0].ask("echo still")?, "still");
        }
        // Five are saved up, and five come in a second.
        assert!(begin.elapsed() > Duration::from_millis(1_500), "{:?}", begin.elapsed());
        server.wait_for_log("accept_rate is reached")?;
        let books = server.stop_and_report()?.books()?;
        assert!(books.detail("accept_rests") >= 1, "{mode}: {books}");
    }
    Ok(())
}

#[test]
fn max_connections_per_address_counts_the_clients_of_a_proxy() -> TestResult {
    let server = probe()
        .set("max_connections_per_address", 1)
        .set("proxy_protocol", "required")
        .set("proxy_protocol_from", "127.0.0.1")
        .start()?;
    let header = |family: &str, from: &str, to: &str| format!("PROXY {family} {from} {to} 1 2\r\n");
    let of = |from: &str| header("TCP4", from, "192.0.2.9");
    let of_6 = |from: &str| header("TCP6", from, "2001:db8::9");
    let mut inside = Vec::new();
    for before in [of("192.0.2.1"), of("192.0.2.2"), of_6("2001:db8::1"), of_6("2001:db8:0:1::1")] {
        inside.push(served(&server, &before)?);
    }
    // Nobody knows whose these are.
    for _ in 0..2 {
        inside.push(served(&server, "PROXY UNKNOWN\r\n")?);
    }
    // The last one by another address of its network.
    for before in [of("192.0.2.2"), of_6("2001:db8::ffff")] {
        assert!(served(&server, &before).is_err(), "{before}");
    }
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("refused_address_full"), 2, "{books}");
    Ok(())
}

#[test]
fn connection_rate_per_address_counts_the_clients_of_a_proxy() -> TestResult {
    let server = behind_a_proxy().set("connection_rate_per_address", 1).start()?;
    let mut inside = Vec::new();
    for from in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        inside.push(served(&server, &client_of_a_proxy(from))?);
    }
    wait_until("one is refused", || served(&server, &client_of_a_proxy("192.0.2.2")).is_err())?;
    wait_until("and served later", || served(&server, &client_of_a_proxy("192.0.2.2")).is_ok())?;
    let books = server.stop_and_report()?.books()?;
    assert!(books.detail("refused_connection_rate") >= 1, "{books}");
    Ok(())
}

#[test]
fn package_rate_per_address_is_that_of_each_client_of_a_proxy() -> TestResult {
    let server = behind_a_proxy()
        .set("package_rate_per_address", 2)
        .set("framing", "line")
        .set("refusal", r"answer:-SLOWER\n")
        .start()?;
    let mut first = served(&server, &client_of_a_proxy("192.0.2.1"))?;
    let mut other = served(&server, &client_of_a_proxy("192.0.2.2"))?;
    wait_until("one is refused", || first.ask("echo on").is_ok_and(|line| line == "-SLOWER"))?;
    assert_eq!(other.ask("echo on")?, "on", "another client");
    wait_until("and served later", || first.ask("echo on").is_ok_and(|line| line == "on"))?;
    drop((first, other));
    let books = server.stop_and_report()?.books()?;
    assert!(books.detail("refused_package_rate") >= 1, "{books}");
    Ok(())
}

fn behind_a_proxy() -> ServerBuilder {
    probe().set("proxy_protocol", "required").set("proxy_protocol_from", "127.0.0.1")
}

fn client_of_a_proxy(address: &str) -> String {
    format!("PROXY TCP4 {address} 192.0.2.9 1 2\r\n")
}

/// What comes too fast is served later, all of it, and others are not held up.
#[test]
fn package_rate_max_reads_a_session_later() -> TestResult {
    for framing in ["line", "stream"] {
        let server = probe().set("package_rate_max", 10).set("framing", framing).start()?;
        let (mut fast, mut other) = (served(&server, "")?, served(&server, "")?);
        let begin = Instant::now();
        if framing == "line" {
            let all: String = (0..25).map(|number| format!("echo {number}\n")).collect();
            fast.client.send(all.as_bytes())?;
            server.wait_for_log("sends more than it may")?;
            assert_eq!(other.ask("echo at once")?, "at once");
            (0..25).for_each(|number| fast.expect(&number.to_string()));
        } else {
            for number in 0..25 {
                assert_eq!(fast.ask(&format!("echo {number}"))?, number.to_string());
            }
        }
        // Nine are saved up, and ten come in a second.
        assert!(begin.elapsed() > Duration::from_millis(1_400), "{:?}", begin.elapsed());
        let books = server.stop_and_report()?.books()?;
        assert!(books.detail("held_back") >= 1, "{books}");
    }
    Ok(())
}

#[test]
fn receive_rate_max_reads_a_session_later() -> TestResult {
    for framing in ["line", "stream", "raw"] {
        let server = probe().set("receive_rate_max", 20_000).set("framing", framing).start()?;
        let mut fast = served(&server, "")?;
        let begin = Instant::now();
        let mut left = 50_000;
        while left > 0 {
            // The probe looks at the first 512 bytes of a package only.
            let line = "x".repeat(400);
            assert_eq!(fast.ask(&format!("echo {line}"))?, line);
            left -= line.len().min(left);
        }
        // Twenty thousand are saved up, and as many come in a second.
        assert!(begin.elapsed() > Duration::from_millis(1_300), "{:?}", begin.elapsed());
        let books = server.stop_and_report()?.books()?;
        assert!(books.detail("held_back") >= 1, "{books}");
    }
    Ok(())
}

#[test]
fn worker_deaths_per_address_refuses_who_kills_as_many() -> TestResult {
    for (most, is_let_in) in [(0, true), (2, true), (1, false)] {
        let server =
            probe().set("worker_deaths_per_address", most).expect_log("worker died").start()?;
        let mut talk = served(&server, "")?;
        let mut other = served(&server, "")?;
        talk.say("abort")?;
        talk.expect_closed();
        if is_let_in {
            assert_eq!(other.ask("echo still")?, "still");
            served(&server, "")?;
        } else {
            other.expect_closed();
            assert!(served(&server, "").is_err());
        }
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("refused_address_deaths"), u64::from(!is_let_in), "{books}");
    }
    Ok(())
}
