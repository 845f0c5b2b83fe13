//! Packages whose length a function of the program tells.
#![allow(clippy::expect_used, clippy::panic)] // a test that cannot go on

use ostler::test::TestServer;
use ostler::{
    ByLength, Framing, Handler, Outcome, Package, PackageLength, Server, ServerBuilder, Session,
    Worker,
};

/// What comes, and what is done with it by its second byte.
#[derive(Default)]
struct Messages {
    seen: Vec<Vec<u8>>,
    kept: Vec<ostler::Deferred>,
}

impl Handler for Messages {
    fn on_receive(&mut self, _: &Worker, session: &Session, message: &Package) -> Outcome {
        self.seen.push(message.to_vec());
        // Neither of these says anything about a message that was cut by its length.
        message.consume(1);
        match message.get(1) {
            Some(b'd') => {
                let mut deferred = message.defer().ok_or("deferred already")?;
                deferred.consume(1);
                self.kept.push(deferred);
            }
            Some(b'c') => session.close()?,
            _ => session.send(message)?,
        }
        Ok(())
    }
}

/// The first byte is the length of the whole, but for some.
fn length(bytes: &[u8]) -> PackageLength {
    match bytes.first() {
        None => PackageLength::NeedMore,
        Some(0) => PackageLength::Bytes(0),
        Some(b'h') => PackageLength::Bytes(usize::MAX),
        Some(b'l') => PackageLength::Bytes(65),
        Some(b'm') => PackageLength::Bytes(64),
        Some(b'x') => PackageLength::Malformed,
        Some(len) => PackageLength::Bytes(usize::from(*len)),
    }
}

type Length = fn(&[u8]) -> PackageLength;

fn start(builder: ServerBuilder) -> TestServer<ByLength<Length, Messages>> {
    let make = |_: &Worker| ByLength::new(length as Length, Messages::default());
    TestServer::start(builder, make).expect("a server")
}

fn server() -> TestServer<ByLength<Length, Messages>> {
    start(Server::builder().package_max_length(64))
}

#[test]
fn messages_are_whole_however_they_are_cut() {
    let stream = b"\x03ab\x02x\x01\x05yefg".as_slice();
    for size in 1..=stream.len() {
        let server = server();
        let mut client = server.connect();
        for piece in stream.chunks(size) {
            client.send(piece);
        }
        client.expect(stream);
    }
}

#[test]
fn a_length_that_no_package_has_closes_the_session_behind_the_answers() {
    for bad in [b"\0".as_slice(), b"h", b"l", b"x"] {
        let server = server();
        let mut client = server.connect();
        client.send(&[b"\x03ab", bad, b"\x03cd"].concat());
        client.expect(b"\x03ab");
        client.expect_end();
    }
}

#[test]
fn a_message_may_be_as_long_as_allowed() {
    let server = server();
    let mut client = server.connect();
    let message = [b"m".as_slice(), &[b'-'; 63]].concat();
    client.send(message.get(..63).expect("a part of it"));
    client.send(message.get(63..).expect("the rest"));
    client.expect(&message);
}

#[test]
fn behind_a_deferred_message_the_next_one_waits() {
    let server = server();
    let mut client = server.connect();
    client.send(b"\x03ab\x02d\x03gh\x02d\x03e");
    client.expect(b"\x03ab");
    for answer in [b"one".as_slice(), b"two"] {
        let mut deferred = server
            .handler(|messages| messages.handler_mut().kept.pop())
            .expect("one at a time is deferred");
        assert_eq!(deferred.as_bytes(), b"\x02d");
        assert!(server.handler(|messages| messages.handler_mut().kept.is_empty()));
        deferred.send(answer).expect("the client is there");
        deferred.finish();
        client.expect(answer);
        if answer == b"one" {
            client.expect(b"\x03gh");
        }
    }
    client.send(b"f");
    client.expect(b"\x03ef");
}

#[test]
fn what_comes_behind_a_message_that_closed_its_session_is_not_seen() {
    let server = server();
    let mut client = server.connect();
    client.send(b"\x02a\x02c\x02b");
    client.expect(b"\x02a");
    client.expect_end();
    let seen = server.handler(|messages| messages.handler_mut().seen.clone());
    assert_eq!(seen, [b"\x02a".to_vec(), b"\x02c".to_vec()]);
}

#[test]
fn half_a_message_at_the_end_is_not_seen() {
    let server = server();
    let mut client = server.connect();
    client.send(b"\x02a\x09half");
    client.expect(b"\x02a");
    client.shutdown();
    client.expect_end();
    assert_eq!(server.handler(|messages| messages.handler_mut().seen.len()), 1);
}

#[test]
fn another_framing_leaves_nothing_to_be_cut() {
    let server = start(Server::builder().framing(Framing::lines()));
    let mut client = server.connect();
    client.send(b"\x02a\n");
    client.expect_end();
    assert!(server.handler(|messages| messages.handler_mut().seen.is_empty()));
}
