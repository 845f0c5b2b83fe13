//! Big messages, replies by reference, order.

use ostler_testkit::{Client, TestResult};

use crate::talk::{Talk, checksum, pattern, probe};

#[test]
fn big_replies_arrive_whole_whatever_the_policy() -> TestResult {
    for policy in ["close", "drop", "redeliver:3"] {
        let server = probe()
            .set("crash_policy", policy)
            .set("max_send_bytes", "8M")
            .set("send_queue_high", "16M")
            .set("send_queue_max", "16M")
            .start()?;
        let mut talk = Talk::new(&server)?;
        let wanted = pattern(8 << 20);
        talk.say(&format!("big {}", 8 << 20))?;
        assert!(talk.bytes(8 << 20)? == wanted, "{policy}: one message");
        talk.say(&format!("bigs {} {}", 8 << 20, 1 << 20))?;
        assert!(talk.bytes(8 << 20)? == wanted, "{policy}: in pieces");
        // A ring has 64 KiB: sizes around a record, half a ring and a ring.
        for size in [1, 2047, 2048, 16_319, 16_320, 16_321, 32_767, 32_768, 65_535, 65_536, 65_537]
        {
            talk.say(&format!("big {size}"))?;
            assert!(talk.bytes(size)? == pattern(size), "{policy}: {size} bytes");
        }
        assert_eq!(talk.ask("echo on")?, "on");
        server.stop()?;
    }
    Ok(())
}

/// A line of so many bytes, delimiter included, which begins with a command.
fn long_line(command: &str, len: usize) -> Vec<u8> {
    let mut line = format!("{command} ").into_bytes();
    line.extend((b'a'..=b'z').cycle().take(len - line.len() - 1));
    line.push(b'\n');
    line
}

#[test]
fn big_packages_go_down_in_parts_and_arrive_whole() -> TestResult {
    for policy in ["close", "redeliver:3"] {
        let server = probe().set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        for len in [16_319, 16_320, 16_321, 16_384, 65_536, 100_000, 1_500_000, 2 << 20] {
            let line = long_line("sum", len);
            talk.client.send(&line)?;
            assert_eq!(talk.line()?, format!("sum {len} {}", checksum(&line)), "{policy} {len}");
        }
        // Several at once, from several sessions, with small ones between.
        let line = long_line("sum", 1_500_000);
        let expected = format!("sum {} {}", line.len(), checksum(&line));
        let mut talks = Vec::new();
        for _ in 0..4 {
            let mut talk = Talk::new(&server)?;
            let line = line.clone();
            talks.push(std::thread::spawn(move || -> TestResult<Talk> {
                for _ in 0..2 {
                    talk.client.send(&line)?;
                    talk.say("echo between")?;
                }
                Ok(talk)
            }));
        }
        for round in 0..50 {
            assert_eq!(talk.ask(&format!("echo {round}"))?, round.to_string());
        }
        for sending in talks {
            let mut talk = sending.join().expect("a sender panicked")?;
            for _ in 0..2 {
                talk.expect(&expected);
                talk.expect("between");
            }
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_reply_that_lies_in_its_request_is_sent_from_there() -> TestResult {
    for policy in ["close", "redeliver:3"] {
        let server = probe().set("lane_size", "512K").set("crash_policy", policy).start()?;
        let mut talk = Talk::new(&server)?;
        for round in 0..40 {
            for len in [2048, 4096, 65_536] {
                let line = long_line(&format!("ref {round}"), len);
                talk.client.send(&line)?;
                assert!(talk.bytes(len)? == line, "{policy}: {len} bytes");
            }
        }
        // Pipelined: the ring wraps with replies that refer to it.
        for round in 0..20 {
            let mut lines = Vec::new();
            for index in 0..8 {
                lines.extend(long_line(&format!("ref {round}-{index}"), 60_000));
            }
            talk.client.send(&lines)?;
            assert!(talk.bytes(lines.len())? == lines, "{policy}: round {round}");
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_hundred_packages_in_one_write_are_answered_in_order() -> TestResult {
    let server = probe().start()?;
    let mut talk = Talk::new(&server)?;
    let lines: String = (0..100).map(|index| format!("echo {index}\n")).collect();
    for _ in 0..5 {
        talk.client.send(lines.as_bytes())?;
        for index in 0..100 {
            talk.expect(&index.to_string());
        }
    }
    server.stop()
}

#[test]
fn who_half_closes_gets_all_answers_and_then_the_end() -> TestResult {
    for workers in [1, 2] {
        let server = probe().set("workers", workers).start()?;
        for (count, command) in
            [(0, ""), (1, "echo"), (100, "echo"), (3, "sleep 30"), (2, "defer 50")]
        {
            let mut talk = Talk::new(&server)?;
            for index in 0..count {
                talk.say(&format!("{command} {index}"))?;
            }
            talk.client.half_close()?;
            let answers = String::from_utf8_lossy(&talk.rest()?).into_owned();
            let expected: String = (0..count).map(|index| format!("{index}\n")).collect();
            assert_eq!(answers, expected, "{count} times {command}");
        }
        // An unfinished line is no package.
        let mut talk = Talk::new(&server)?;
        talk.client.send(b"echo one\necho tw")?;
        talk.client.half_close()?;
        assert_eq!(talk.rest()?, b"one\n");
        // A big answer to one that has half-closed and reads late.
        let client = Client::connect_with_receive_buffer(server.address(), 4096)?;
        let mut talk = Talk::with(client);
        talk.say("big 900000")?;
        talk.client.half_close()?;
        assert!(talk.rest()? == pattern(900_000), "the bytes differ");
        server.stop()?;
    }
    Ok(())
}
