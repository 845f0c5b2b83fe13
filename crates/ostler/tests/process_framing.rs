//! How bytes become packages, over real sockets and however TCP cuts them.
#![allow(clippy::panic, clippy::indexing_slicing, clippy::expect_used)] // a test that cannot go on

mod talk;

use ostler_testkit::{Random, TestResult, TestServer};
use talk::{Talk, checksum, probe, small_probe};

#[test]
fn lines_arrive_whole_however_they_are_cut() -> TestResult {
    let server = probe().start()?;
    let mut random = Random::from_environment("cuts")?;
    for _ in 0..10 {
        let mut talk = Talk::new(&server)?;
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for index in 0..40 {
            let len = 10 + (random.next_u64() % 3000) as usize;
            let mut line = format!("sum {index} ").into_bytes();
            line.resize(len.max(line.len()), b'.');
            line.push(b'\n');
            expected.push(format!("sum {} {}", line.len(), checksum(&line)));
            stream.extend(line);
        }
        talk.send_in_pieces(&stream, 5000, &mut random)?;
        for line in expected {
            assert_eq!(talk.line()?, line);
        }
    }
    server.stop()
}

#[test]
fn a_line_sent_byte_by_byte_is_one_package() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    for byte in b"echo byte by byte\n" {
        talk.client.send(&[*byte])?;
    }
    talk.expect("byte by byte");
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.received, 1);
    Ok(())
}

#[test]
fn a_delimiter_of_several_bytes_may_be_cut_anywhere() -> TestResult {
    // Also one that begins again inside itself.
    for (eof, bytes) in [("\\r\\n", &b"\r\n"[..]), ("aab", b"aab"), ("\\0\\0\\0\\0", b"\0\0\0\0")] {
        let server = small_probe().set("package_eof", eof).start()?;
        let mut talk = Talk::new(&server)?;
        let messages: [&[u8]; 4] = [b"sum 1", b"sum a", b"sum \r\r", b"sum 4"];
        for message in messages {
            let package = [message, bytes].concat();
            for cut in 1..package.len() {
                let (head, tail) = package.split_at(cut);
                talk.client.send(head)?;
                talk.client.send(tail)?;
                // A package ends at the first delimiter: what looks like one inside the message is
                // none here.
                let answer = talk.line()?;
                assert_eq!(
                    answer,
                    format!("sum {} {}", package.len(), checksum(&package)),
                    "{eof}"
                );
            }
        }
        server.stop()?;
    }
    Ok(())
}

#[test]
fn a_package_may_be_as_long_as_allowed_and_not_a_byte_longer() -> TestResult {
    for max in [64_usize, 4096, 100_000] {
        let server = small_probe().set("package_max_length", max).start()?;
        let mut talk = Talk::new(&server)?;
        let mut line = b"sum ".to_vec();
        line.resize(max - 1, b'x');
        line.push(b'\n');
        talk.client.send(&line)?;
        assert_eq!(talk.line()?, format!("sum {max} {}", checksum(&line)));
        line.insert(4, b'y');
        talk.client.send(&line)?;
        talk.expect_closed();
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.received, books.detail("closed_package_too_long")), (1, 1), "{max}");
    }
    Ok(())
}

#[test]
fn packages_before_one_that_is_too_long_are_received() -> TestResult {
    let server = small_probe().set("package_max_length", 64).start()?;
    let mut talk = Talk::new(&server)?;
    let mut bytes = b"echo one\necho two\n".to_vec();
    bytes.extend([b'x'; 200]);
    talk.client.send(&bytes)?;
    // The session is cut at once: answers may be too late, but nothing else comes instead of them.
    for answer in ["one", "two"] {
        match talk.line() {
            Ok(line) => assert_eq!(line, answer),
            Err(_) => break,
        }
    }
    let books = server.stop_and_report()?.books()?;
    assert_eq!((books.received, books.detail("closed_package_too_long")), (2, 1), "{books}");
    Ok(())
}

#[test]
fn a_client_that_never_ends_its_package_is_closed() -> TestResult {
    let server = probe().set("package_max_length", "1M").start()?;
    let mut endless = server.connect()?;
    let mut other = Talk::new(&server)?;
    // Sent until the server has had enough; more than the limit and all buffers on the way.
    let chunk = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < 64 << 20 {
        if endless.send(&chunk).is_err() {
            break;
        }
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "the server took {sent} bytes without a delimiter");
    assert_eq!(other.ask("echo served")?, "served");
    let books = server.stop_and_report()?.books()?;
    assert_eq!(books.detail("closed_package_too_long"), 1, "{books}");
    Ok(())
}

/// Each length is refused on the header, or the session waits for the rest of its package: nobody
/// hangs, and nothing is allocated for what a client only announces.
#[test]
fn lengths_that_no_package_has_are_refused_on_the_header() -> TestResult {
    for letter in "cCsSnvlLNVqQJP".chars() {
        let size = match letter {
            'c' | 'C' => 1,
            's' | 'S' | 'n' | 'v' => 2,
            'l' | 'L' | 'N' | 'V' => 4,
            _ => 8,
        };
        let written = |value: u64| {
            let (big, little) = (value.to_be_bytes(), value.to_le_bytes());
            if "nNJ".contains(letter) { big[8 - size..].to_vec() } else { little[..size].to_vec() }
        };
        // -1 or the highest length; the lowest number or the middle; 0, where the length counts
        // its own header.
        let mut values = vec![u64::MAX, 1 << (8 * size - 1), 0];
        if size == 8 {
            values.extend([1 << 31, (1 << 32) - 1]);
        }
        let server = TestServer::echo()
            .set("framing", "length")
            .set("package_length_type", letter)
            .set("package_body_offset", 0)
            .set("package_max_length", 64)
            .start()?;
        for value in &values {
            let mut client = server.connect()?;
            client.send(&written(*value))?;
            client.expect_closed()?;
        }
        let books = server.stop_and_report()?.books()?;
        let malformed = if "cslq".contains(letter) { 3 } else { 1 };
        let closed = ["closed_package_malformed", "closed_package_too_long"];
        let closed: Vec<u64> = closed.iter().map(|reason| books.detail(reason)).collect();
        let expected = [malformed, values.len() as u64 - malformed];
        assert_eq!((closed.as_slice(), books.received), (&expected[..], 0), "{letter}: {books}");
    }
    Ok(())
}

/// Whose header does not come whole waits for it, holds nothing, and keeps nobody waiting.
#[test]
fn half_a_header_and_then_silence_harms_nobody() -> TestResult {
    for (framing, half) in [
        ("length", &b"\0\0\0"[..]),
        ("mqtt", b"\x30"),
        ("mqtt", b"\x30\x80\x80"),
        ("resp", b"*1\r\n$"),
        ("line", b"no end"),
    ] {
        let server = TestServer::echo().set("framing", framing).start()?;
        let mut silent = server.connect()?;
        silent.send(half)?;
        let mut other = server.connect()?;
        let package: &[u8] = match framing {
            "length" => b"\0\0\0\x02ok",
            "mqtt" => b"\x30\x02ok",
            "resp" => b"+ok\r\n",
            _ => b"ok\n",
        };
        for _ in 0..100 {
            other.send(package)?;
            other.expect(package)?;
        }
        silent.half_close()?;
        silent.expect_eof()?;
        drop(other);
        let books = server.stop_and_report()?.books()?;
        assert_eq!((books.received, books.detail("closed_peer")), (100, 2), "{framing}: {books}");
    }
    Ok(())
}

/// What came whole before the nonsense is answered, and the session ends behind the answer.
#[test]
fn what_is_no_package_of_the_protocol_ends_its_session_behind_the_answers() -> TestResult {
    for (framing, good, bad) in [
        ("mqtt", &b"\xc0\x00"[..], &b"\x00\x00"[..]),
        ("mqtt", b"\x30\x02ab", b"\x30\xff\xff\xff\xff"),
        ("resp", b"*1\r\n$4\r\nPING\r\n", b"*1\r\n+OK\r\n$-9\r\n"),
        ("resp", b"PING\r\n", b"*1\r\nPING\r\n"),
        ("resp", b"$3\r\nabc\r\n", b"$3\r\nabcde"),
    ] {
        let server = TestServer::echo().set("framing", framing).start()?;
        let mut client = server.connect()?;
        let behind: &[u8] = if bad.starts_with(b"*1\r\n+") { &bad[..9] } else { b"" };
        client.send(&[good, bad].concat())?;
        client.expect(&[good, behind].concat())?;
        client.expect_closed()?;
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.detail("closed_package_malformed"), 1, "{framing}: {books}");
    }
    Ok(())
}

#[test]
fn a_package_is_whole_however_its_header_is_cut() -> TestResult {
    let packages: [(&str, &[u8]); 3] = [
        ("length", b"\0\0\0\x03one"),
        ("mqtt", b"\x30\x85\x00\x00\x01abc"),
        ("resp", b"*2\r\n$3\r\nGET\r\n$5\r\na\r\nbc\r\n"),
    ];
    for (framing, package) in packages {
        let server = TestServer::echo().set("framing", framing).start()?;
        let mut client = server.connect()?;
        for cut in 1..package.len() {
            let (head, tail) = package.split_at(cut);
            client.send(head)?;
            client.send(tail)?;
            client.expect(package)?;
        }
        let books = server.stop_and_report()?.books()?;
        assert_eq!(books.received as usize, package.len() - 1, "{framing}");
    }
    Ok(())
}

#[test]
fn empty_lines_are_packages_too() -> TestResult {
    let server = small_probe().start()?;
    let mut talk = Talk::new(&server)?;
    talk.client.send(b"\n\n\necho x\n")?;
    for _ in 0..3 {
        talk.expect("unknown ");
    }
    talk.expect("x");
    server.stop()
}

#[test]
fn raw_packages_are_what_the_kernel_had_up_to_receive_size() -> TestResult {
    for size in [64_usize, 1000, 16_320, 65_536] {
        let server = TestServer::echo()
            .set("framing", "raw")
            .set("workers", 2)
            .set("reactors", 2)
            .set("receive_size", size)
            .set("lane_size", "512K")
            .start()?;
        let mut client = server.connect()?;
        let bytes: Vec<u8> = (0..300_000).map(|index| (index % 253) as u8).collect();
        client.send(&bytes)?;
        client.expect(&bytes)?;
        let books = server.stop_and_report()?.books()?;
        assert!(books.received >= 300_000 / size as u64, "{size}: {books}");
    }
    Ok(())
}
