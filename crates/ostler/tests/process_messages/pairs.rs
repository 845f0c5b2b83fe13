//! Who reaches whom, in which order, with what size.

use ostler_testkit::TestResult;

use crate::mesh::{client_of, mesh, pattern, start, tell};
use crate::support::check;

/// Each message goes on from one to the next, so that every kind sends to every other.
#[test]
fn every_process_reaches_every_other_one() -> TestResult {
    let server = start(mesh(2, 2), 2, 2)?;
    let mut talk = client_of(&server, "w0")?;
    tell(&mut talk, "w1 say hello", "w1<-w0 hello")?;
    for (name, slot) in [("t0", "t0"), ("body", "u0"), ("reader", "u1"), ("c", "c0")] {
        tell(&mut talk, &format!("{name} say hello"), &format!("{slot}<-w0 hello"))?;
        tell(&mut talk, &format!("{name} via w0 say back"), &format!("w0<-{slot} back"))?;
        for (other, other_slot) in [("w1", "w1"), ("t1", "t1"), ("body", "u0"), ("reader", "u1")] {
            if other != name {
                let heard = format!("{other_slot}<-{slot} on");
                tell(&mut talk, &format!("{name} via {other} say on"), &heard)?;
            }
        }
    }
    let far = "t1 via c via t0 via body via c via reader say far";
    tell(&mut talk, far, "u1<-c0 far")?;
    let messages = server.stop_and_report()?.messages()?;
    let (all, open) = (messages.get("sent"), messages.get("open"));
    check(all > 0 && messages.get("delivered") == all && open == 0, format!("{messages:?}"))
}

#[test]
fn of_one_process_another_gets_them_in_order() -> TestResult {
    let server = start(mesh(3, 1), 3, 1)?;
    let mut talks = Vec::new();
    for name in ["w0", "w1"] {
        talks.push(client_of(&server, name)?);
    }
    for _ in 0..3 {
        for talk in &mut talks {
            talk.say("flood w2 3000 30")?;
            talk.say("flood t0 1000 300")?;
        }
        for talk in &mut talks {
            let mut lines = Vec::new();
            for _ in 0..4 {
                lines.push(talk.line()?);
            }
            lines.sort();
            let expected = ["flooded 1000", "flooded 3000", "in order 1000", "in order 3000"];
            check(lines == expected, format!("{lines:?}"))?;
        }
    }
    server.stop()
}

/// In records and in parts, up to the limit and not beyond.
#[test]
fn messages_of_any_size_arrive_whole() -> TestResult {
    const MOST: usize = 1_000_000;
    let server = start(mesh(2, 1).set("message_max_length", MOST), 2, 1)?;
    let mut talk = client_of(&server, "w0")?;
    // What stands in front of the pattern is the session and the verb.
    tell(&mut talk, "w1 size ", "w1<-w0 0")?;
    for len in [1, 63, 64, 4_000, 4_031, 4_032, 4_033, 16_300, 16_320, 65_536, 300_000] {
        for (name, slot) in [("w1", "w1"), ("t0", "t0"), ("reader", "u1")] {
            let heard = format!("{slot}<-w0 {len}");
            tell(&mut talk, &format!("{name} size {}", pattern(len)), &heard)?;
        }
    }
    let long = talk.ask(&format!("tell w1 size {}", pattern(MOST)))?;
    check(long.contains("more than `message_max_length` allows (1000000)"), long)?;
    let len = MOST - 100;
    tell(&mut talk, &format!("w1 size {}", pattern(len)), &format!("w1<-w0 {len}"))?;
    server.stop()
}

/// Results of tasks and messages share a ring, and parts of one may stand between those of the
/// other.
#[test]
fn long_messages_do_not_disturb_each_other() -> TestResult {
    let server = start(mesh(3, 1), 3, 1)?;
    let mut talks = Vec::new();
    for name in ["w0", "w1"] {
        talks.push(client_of(&server, name)?);
    }
    let text = pattern(200_000);
    for _ in 0..10 {
        for talk in &mut talks {
            talk.say(&format!("tell w2 size {text}"))?;
            talk.say(&format!("tell t0 via w2 size {text}"))?;
        }
    }
    for (talk, from) in talks.iter_mut().zip(["w0", "w1"]) {
        let (mut sent, mut direct, mut around) = (0, 0, 0);
        for _ in 0..40 {
            match talk.line()? {
                line if line.starts_with("sent") => sent += 1,
                line if line == format!("w2<-{from} 200000") => direct += 1,
                line if line == "w2<-t0 200000" => around += 1,
                line => panic!("{line}"),
            }
        }
        check((sent, direct, around) == (20, 10, 10), format!("{sent} {direct} {around}"))?;
    }
    server.stop()
}

#[test]
fn executed_processes_send_each_other_messages_too() -> TestResult {
    let server = start(mesh(2, 1).set("start", "exec"), 2, 1)?;
    let mut talk = client_of(&server, "w1")?;
    tell(&mut talk, "w0 via reader say hello", "u1<-w0 hello")?;
    server.stop()
}
