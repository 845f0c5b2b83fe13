//! A transport and a client at the ends of a socket, in one thread.

use std::io::{ErrorKind, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use super::tls::{LOOKS_MAX, Tls};
use super::{Handshaking, Ready};
use crate::sys::epoll::{Epoll, Events};
use crate::tls::testing::{Authority, Peer, load};

const TOKEN: u64 = 9;

struct Pair {
    client: Peer,
    server: Tls,
    epoll: Epoll,
    _authority: Authority,
}

/// Both sides of a connection, before the handshake.
fn connected(test: &str, config: impl FnOnce(&mut rustls::ClientConfig)) -> Pair {
    let authority = Authority::new(test);
    let (client, server) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    let server_config = load(&authority.settings(&["localhost"])).unwrap();
    let server = Tls::new(OwnedFd::from(server).into(), server_config).unwrap();
    let epoll = Epoll::new().unwrap();
    server.watch(&epoll, TOKEN).unwrap();
    let mut client_config = authority.client_config();
    config(&mut client_config);
    let client = Peer::new(client, client_config, "localhost");
    Pair { client, server, epoll, _authority: authority }
}

impl Pair {
    fn shake_hands(mut self) -> Self {
        for _ in 0..10 {
            self.client.work().unwrap();
            if self.server.handshake().unwrap() == Handshaking::Done {
                self.client.work().unwrap();
                return self;
            }
        }
        panic!("the handshake has no end");
    }

    fn event(&mut self) -> Ready {
        let mut events = Events::with_capacity(1);
        self.epoll.wait(&mut events, None).unwrap();
        let (token, readiness) = events.iter().next().unwrap();
        assert_eq!(token, TOKEN);
        self.server.on_event(readiness)
    }

    /// All that can be read with buffers of this size.
    fn read_all(&mut self, size: usize) -> Vec<u8> {
        let (mut all, mut some) = (Vec::new(), vec![0; size]);
        while let Ok(len @ 1..) = self.server.recv(&mut some) {
            all.extend_from_slice(&some[..len]);
        }
        all
    }
}

#[test]
fn bytes_arrive_whole_and_in_order_however_they_are_read_and_nothing_is_held_afterwards() {
    let data: Vec<u8> = (0..200_000_u32).map(|number| number as u8 ^ (number >> 8) as u8).collect();
    for size in [1_000, 2_048, 16_384, 65_536, 300_000] {
        let mut pair = connected(&format!("read-{size}"), |_| {}).shake_hands();
        assert_eq!(pair.server.held(), 0, "an idle connection holds no buffer");
        let mut received = Vec::new();
        for piece in data.chunks(50_000) {
            pair.client.tls.writer().write_all(piece).unwrap();
            while pair.client.tls.wants_write() {
                pair.client.work().unwrap();
                received.extend(pair.read_all(size));
            }
        }
        assert!(received == data, "{} bytes, read by {size}", received.len());
        assert_eq!(pair.server.held(), 0);
    }
}

#[test]
fn what_is_left_of_a_record_is_told_because_no_event_will() {
    let mut pair = connected("rest", |_| {}).shake_hands();
    pair.client.send(&[7; 10_000]);
    let mut some = [0; 4_000];
    assert_eq!(pair.server.recv(&mut some).unwrap(), 4_000);
    assert!(pair.server.may_hold_more() && pair.server.held() >= 6_000);
    assert_eq!(pair.server.unread(), 6_000);
    assert_eq!(pair.server.recv(&mut some).unwrap(), 4_000);
    assert_eq!(pair.server.recv(&mut some).unwrap(), 2_000);
    assert!(!pair.server.may_hold_more());
    assert_eq!(pair.server.recv(&mut some).unwrap_err().kind(), ErrorKind::WouldBlock);
}

/// The event of what came behind it was spent while the rest of a record was there to be read, and
/// no look at the socket followed: a session slept beside its input.
#[test]
fn what_came_while_a_record_was_being_read_is_told_with_its_rest() {
    let mut pair = connected("behind", |_| {}).shake_hands();
    pair.client.send(&[7; 10_000]);
    let mut some = [0; 6_000];
    assert_eq!(pair.server.recv(&mut some).unwrap(), 6_000);
    pair.client.send(b"behind");
    assert!(pair.event().input);
    assert_eq!(pair.server.recv(&mut some).unwrap(), 4_000);
    assert!(pair.server.may_hold_more());
    assert_eq!(pair.server.recv(&mut some).unwrap(), 6);
    assert!(!pair.server.may_hold_more());
}

#[test]
fn what_the_kernel_does_not_take_is_held_within_a_bound_and_sent_later() {
    let mut pair = connected("blocked", |_| {}).shake_hands();
    let mut sent = 0;
    while pair.server.takes_output() {
        sent += pair.server.send(&vec![3; 1_000_000]).unwrap();
    }
    assert!(pair.server.unsent() > 0 && pair.server.held() <= 80 * 1024, "{}", pair.server.held());
    assert_eq!(pair.server.send(b"more").unwrap_err().kind(), ErrorKind::WouldBlock);
    while pair.client.received.len() < sent {
        pair.client.work().unwrap();
        if pair.event().output {
            pair.server.flush().unwrap();
        }
    }
    assert_eq!((pair.server.unsent(), pair.server.held()), (0, 0));
    assert!(pair.client.received.iter().all(|byte| *byte == 3));
}

#[test]
fn files_are_encrypted_piece_by_piece_and_their_end_is_told() {
    let mut pair = connected("file", |_| {}).shake_hands();
    let path = std::env::temp_dir().join(format!("ostler-tls-file-{}", std::process::id()));
    let contents: Vec<u8> = (0..300_000_u32).map(|number| (number >> 5) as u8).collect();
    std::fs::write(&path, &contents).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut offset = 1_000;
    while offset < 300_000 {
        match pair.server.send_file(&file, offset, 100_000) {
            Ok(len) => offset += len as u64,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                assert!(!pair.server.takes_output());
                pair.client.work().unwrap();
                pair.event();
            }
        }
        assert!(pair.server.held() <= 80 * 1024, "{}", pair.server.held());
    }
    while pair.server.flush().unwrap() {
        pair.client.work().unwrap();
    }
    assert_eq!(pair.server.send_file(&file, 300_000, 100_000).unwrap(), 0);
    assert_eq!(pair.server.unsent(), 0, "an end is not an empty record");
    pair.client.work().unwrap();
    assert!(pair.client.received == contents[1_000..]);
}

#[test]
fn the_end_of_a_client_is_its_goodbye_and_input_before_it_counts() {
    let mut pair = connected("end", |_| {}).shake_hands();
    pair.client.send(b"last words");
    pair.client.tls.send_close_notify();
    pair.client.work().unwrap();
    pair.client.socket.shutdown(std::net::Shutdown::Write).unwrap();
    let ready = pair.event();
    assert!(ready.ended && !ready.failed && ready.input);
    assert!(!pair.server.is_at_end(), "something is left to read");
    assert_eq!(pair.read_all(64), b"last words");
    assert!(pair.server.is_at_end());
    assert_eq!(pair.server.recv(&mut [0; 8]).unwrap(), 0);
    assert_eq!(pair.server.send(b"answer").unwrap(), 6, "this side may go on");
    pair.client.work().unwrap();
    assert_eq!(pair.client.received, b"answer");
}

#[test]
fn a_connection_that_is_cut_off_is_no_end_of_the_input() {
    let mut pair = connected("cut", |_| {}).shake_hands();
    pair.client.send(b"a part of ");
    assert_eq!(pair.read_all(64), b"a part of ");
    pair.client.socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert!(pair.event().failed);
    assert!(!pair.server.is_at_end());
    let error = pair.server.recv(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert!(pair.server.recv(&mut [0; 8]).is_err(), "it stays so");
}

#[test]
fn the_client_hears_the_goodbye_behind_everything_else() {
    let mut pair = connected("goodbye", |_| {}).shake_hands();
    pair.server.send(b"bye").unwrap();
    pair.server.shutdown_write().unwrap();
    pair.client.work().unwrap();
    assert_eq!(pair.client.received, b"bye");
    let state = pair.client.tls.process_new_packets().unwrap();
    assert!(state.peer_has_closed() && pair.client.is_cut);
}

#[test]
fn the_goodbye_waits_for_room_like_everything_else() {
    let mut pair = connected("goodbye-waits", |_| {}).shake_hands();
    while pair.server.takes_output() {
        pair.server.send(&[3; 60_000]).unwrap();
    }
    pair.server.shutdown_write().unwrap();
    pair.server.watch_input(&pair.epoll, TOKEN).unwrap();
    for _ in 0..1_000 {
        pair.client.work().unwrap();
        if pair.client.is_cut {
            break;
        }
        let _ = pair.server.recv(&mut [0; 64]);
    }
    assert!(pair.client.is_cut, "nothing more comes");
    assert!(pair.client.tls.process_new_packets().unwrap().peer_has_closed());
}

/// Records of an attacker: each is an error that the client is told, and nothing goes on.
#[test]
fn what_is_no_record_ends_the_connection_with_an_alert() {
    let plain_http = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec();
    let huge = [&[0x17, 3, 3, 0xff, 0xff][..], &[0; 70_000]].concat();
    let hello_without_end =
        [&[0x16, 3, 1, 0x40, 0][..], &[1, 0xff, 0xff, 0xff], &[0; 16_380]].concat();
    for (what, bytes) in [("http", plain_http), ("huge", huge), ("hello", hello_without_end)] {
        let mut pair = connected(&format!("garbage-{what}"), |_| {});
        let mut rest = &bytes[..];
        let error = loop {
            if !rest.is_empty() {
                let len = pair.client.socket.write(rest).unwrap();
                rest = &rest[len..];
            }
            match pair.server.handshake() {
                Ok(Handshaking::Waits) => assert!(!rest.is_empty(), "{what} is accepted"),
                Ok(Handshaking::Yields) => {}
                Ok(Handshaking::Done) => panic!("{what} is a handshake"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{what}");
        pair.server.shutdown_write().unwrap();
        let mut alert = Vec::new();
        let _ = std::io::Read::read_to_end(&mut pair.client.socket, &mut alert);
        // A message that is too long is the only thing that rustls does not tell the client of.
        let is_told = what != "hello";
        assert_eq!(alert.first() == Some(&0x15), is_told, "{what}: a fatal alert, not {alert:?}");
    }
}

#[test]
fn a_record_that_was_changed_on_the_way_ends_the_session() {
    let mut pair = connected("changed", |_| {}).shake_hands();
    let mut record = Vec::new();
    pair.client.tls.writer().write_all(b"pay ten").unwrap();
    pair.client.tls.write_tls(&mut record).unwrap();
    *record.last_mut().unwrap() ^= 1;
    pair.client.socket.write_all(&record).unwrap();
    assert_eq!(pair.server.recv(&mut [0; 64]).unwrap_err().kind(), ErrorKind::InvalidData);
    assert!(pair.server.recv(&mut [0; 64]).is_err() && pair.server.send(b"x").is_err());
}

#[test]
fn new_keys_may_be_asked_for_in_the_middle() {
    let mut pair = connected("key-update", |_| {}).shake_hands();
    for round in 0..5_u8 {
        pair.client.tls.refresh_traffic_keys().unwrap();
        pair.client.send(&[round; 100]);
        assert_eq!(pair.read_all(64), [round; 100]);
        pair.server.send(&[round; 100]).unwrap();
        pair.client.work().unwrap();
        assert_eq!(std::mem::take(&mut pair.client.received), [round; 100]);
    }
}

/// rustls keeps places in what is not decrypted yet and looks there whenever it is called.
#[test]
fn output_is_written_while_a_part_of_a_message_has_come() {
    let mut pair = connected("part", |_| {}).shake_hands();
    let mut record = Vec::new();
    pair.client.tls.refresh_traffic_keys().unwrap();
    pair.client.tls.writer().write_all(b"behind it").unwrap();
    pair.client.tls.write_tls(&mut record).unwrap();
    for piece in record.chunks(7) {
        pair.client.socket.write_all(piece).unwrap();
        pair.server.send(b"x").unwrap();
        assert!(pair.server.recv(&mut []).is_err());
        pair.server.send(b"y").unwrap();
    }
    assert_eq!(pair.read_all(64), b"behind it");
    pair.server.shutdown_write().unwrap();
    pair.client.work().unwrap();
    assert_eq!(pair.client.received.len(), 2 * record.len().div_ceil(7));
}

/// A handshake message in several records, with output between them: none of it may be thought to
/// lie where it does not.
#[test]
fn a_handshake_message_may_come_in_pieces_with_output_between_them() {
    let mut pair = connected("pieces", |config| config.max_fragment_size = Some(64));
    for _ in 0..50 {
        let mut records = Vec::new();
        while pair.client.tls.wants_write() {
            pair.client.tls.write_tls(&mut records).unwrap();
        }
        let mut outcome = Handshaking::Waits;
        for piece in records.chunks(50) {
            pair.client.socket.write_all(piece).unwrap();
            outcome = pair.server.handshake().unwrap();
        }
        if outcome == Handshaking::Done {
            break;
        }
        pair.client.work().unwrap();
    }
    pair.client.send(b"after all");
    assert_eq!(pair.read_all(64), b"after all");
}

/// A hello that lies in many records, as long as messages may be.
fn long_hello(record_bytes: usize) -> Vec<u8> {
    let message = [&[1, 0, 0xf0, 0][..], &[0; 0xf000]].concat();
    let record = |content: &[u8]| {
        let [high, low] = (content.len() as u16).to_be_bytes();
        [&[0x16, 3, 1, high, low][..], content].concat()
    };
    message.chunks(record_bytes).flat_map(record).collect()
}

/// Beyond the length of a record a message was received byte by byte, each with a copy of all that
/// had come before it.
#[test]
fn a_long_message_in_several_records_is_received_in_few_looks() {
    for record_bytes in [16_384, 10_000, 1_000, 200] {
        let mut pair = connected(&format!("long-hello-{record_bytes}"), |_| {});
        pair.client.socket.write_all(&long_hello(record_bytes)).unwrap();
        let error = pair.server.handshake().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "zeros are no hello");
        assert!(pair.server.looks < 8, "{} looks, records of {record_bytes}", pair.server.looks);
    }
}

/// Each look finds a byte more, however many there were.
#[test]
fn who_sends_bytes_as_fast_as_they_are_looked_at_gives_others_their_turn() {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    let authority = Authority::new("bytes");
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
    let (client, server) = pair.unwrap();
    let config = load(&authority.settings(&["localhost"])).unwrap();
    let mut server = Tls::new(server.into(), config).unwrap();
    for byte in &long_hello(1_000)[..100] {
        rustix::io::write(&client, &[*byte]).unwrap();
    }
    let mut turns = 1;
    while server.handshake().unwrap() == Handshaking::Yields {
        assert_eq!(server.looks, turns * LOOKS_MAX);
        turns += 1;
    }
    assert_eq!(server.looks, 101, "all of it, and one that finds nothing");
    assert_eq!(turns, 101 / LOOKS_MAX + 1);
}

/// What can be read stands in front of what cannot, and was sent by the same client.
#[test]
fn what_came_in_front_of_a_record_that_was_changed_is_read() {
    for size in [64, 7, 3] {
        let mut pair = connected(&format!("changed-behind-{size}"), |_| {}).shake_hands();
        let mut records = Vec::new();
        for content in [b"request", b"pay ten"] {
            pair.client.tls.writer().write_all(content).unwrap();
            pair.client.tls.write_tls(&mut records).unwrap();
        }
        *records.last_mut().unwrap() ^= 1;
        pair.client.socket.write_all(&records).unwrap();
        assert_eq!(pair.read_all(size), b"request", "read by {size}");
        assert!(pair.server.may_hold_more(), "no event tells of the end");
        let error = pair.server.recv(&mut [0; 64]).unwrap_err();
        assert!(error.kind() != ErrorKind::WouldBlock, "{error}");
        assert!(pair.server.send(b"x").is_err());
    }
}

/// The client has said that it sends no more before the server has, and reads slowly.
#[test]
fn last_words_wait_for_room_also_when_the_client_has_said_goodbye_first() {
    let mut pair = connected("goodbye-first", |_| {}).shake_hands();
    let mut sent = 0;
    while pair.server.takes_output() {
        sent += pair.server.send(&[3; 60_000]).unwrap();
    }
    pair.client.tls.send_close_notify();
    pair.client.tls.write_tls(&mut pair.client.socket).unwrap();
    assert_eq!(pair.server.recv(&mut [0; 64]).unwrap(), 0, "the end of the input");
    pair.server.shutdown_write().unwrap();
    pair.server.watch_input(&pair.epoll, TOKEN).unwrap();
    for _ in 0..1_000 {
        match pair.server.recv(&mut [0; 64]) {
            Ok(0) => break,
            Ok(len) => panic!("{len} bytes behind a goodbye"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        pair.client.work().unwrap();
    }
    assert_eq!(pair.server.unsent(), 0, "nothing is left when it is over");
    drop(pair.server);
    while !pair.client.is_cut {
        pair.client.work().unwrap();
    }
    assert_eq!(pair.client.received.len(), sent);
    assert!(pair.client.tls.process_new_packets().unwrap().peer_has_closed());
}

#[test]
fn a_handshake_that_is_given_up_holds_nothing_while_its_client_is_waited_for() {
    let mut pair = connected("given-up", |_| {});
    pair.client.socket.write_all(&long_hello(1_000)[..30_000]).unwrap();
    assert_eq!(pair.server.handshake().unwrap(), Handshaking::Waits);
    assert!(pair.server.held() >= 30_000);
    pair.server.shutdown_write().unwrap();
    assert_eq!(pair.server.held(), 0);
}
