//! Files in the queues of connections, written in turns.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use ostler_core::send_queue::FilePart;

use super::*;
use crate::reactor::files::HeldFile;
use crate::reactor::turn_share;

/// More than the kernel takes at once.
const LEN: usize = 3 << 20;

fn contents(seed: usize) -> Vec<u8> {
    (0..LEN).map(|index| ((index * seed) >> 7) as u8).collect()
}

fn file(bytes: &[u8]) -> File {
    let name = format!("ostler-sent-{}-{}", std::process::id(), bytes.len());
    let path = std::env::temp_dir().join(name);
    let mut file =
        File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn options() -> Options {
    Options { workers: 1, reactors: 1, max_connections: 64, ..Options::default() }
}

/// Puts a file into the queue of a connection, as if a worker had sent it.
fn queue(reactor: &mut Reactor, slot: ConnectionSlot, file: &File, offset: u64, len: u64) {
    let place = reactor.clients.memory.files().take().unwrap();
    let file = HeldFile::new(file.try_clone().unwrap().into(), place);
    let connection = reactor.clients.connections.get_mut(slot).unwrap();
    connection.output.push_file(FilePart { file, offset, len });
}

fn push(reactor: &mut Reactor, slot: ConnectionSlot, text: &[u8]) {
    let connection = reactor.clients.connections.get_mut(slot).unwrap();
    connection.output.push(text.len(), |chunk| chunk.extend_from_slice(text));
}

/// What a client reads until there is nothing, without waiting.
fn read_some(client: &mut UnixStream, into: &mut Vec<u8>) {
    client.set_nonblocking(true).unwrap();
    let _ = client.read_to_end(into);
}

fn left(reactor: &mut Reactor, slot: ConnectionSlot) -> u64 {
    reactor.clients.connections.get_mut(slot).map_or(0, |connection| connection.left())
}

/// The kernel takes output again, and the reactor is told so.
fn go_on(reactor: &mut Reactor, slot: ConnectionSlot) {
    reactor.clients.go_on_with_files();
    if let Some(connection) = reactor.clients.connections.get_mut(slot) {
        connection.transport.expect_output();
        reactor.clients.flush(slot);
    }
}

#[test]
fn files_are_written_among_messages_in_pieces_of_a_turn() {
    let mut reactor = reactor(&options());
    let (mut client, slot) = connect(&mut reactor);
    let all = contents(3);
    let file = file(&all);
    push(&mut reactor, slot, b"head");
    queue(&mut reactor, slot, &file, 5, 1_000_000);
    push(&mut reactor, slot, b"between");
    queue(&mut reactor, slot, &file, 2_000_000, 1_145_728);
    push(&mut reactor, slot, b"tail");
    let mut expected = b"head".to_vec();
    expected.extend_from_slice(&all[5..1_000_005]);
    expected.extend_from_slice(b"between");
    expected.extend_from_slice(&all[2_000_000..3_145_728]);
    expected.extend_from_slice(b"tail");
    let (mut received, mut turns) = (Vec::new(), 0);
    while left(&mut reactor, slot) > 0 {
        let before = left(&mut reactor, slot);
        go_on(&mut reactor, slot);
        let written = before - left(&mut reactor, slot);
        let bytes_most = 2 * turn_share::SENDING_FILES.session_bytes as u64 + 15;
        assert!(written <= bytes_most, "{written} in one turn");
        read_some(&mut client, &mut received);
        turns += 1;
    }
    read_some(&mut client, &mut received);
    assert!(received == expected && turns >= 4, "{} in {turns} turns", received.len());
    assert!(!reactor.clients.file_share.has_waiting(), "nothing is left for another turn");
}

/// Whoever comes first in one turn is not first in all.
#[test]
fn sessions_with_files_have_their_turns_one_after_another() {
    let mut reactor = reactor(&options());
    let file = file(&contents(5));
    let mut clients: Vec<_> = (0..6).map(|_| connect(&mut reactor)).collect();
    reactor.clients.file_share = share(16 * 1024, 32 * 1024);
    for (_, slot) in &clients {
        queue(&mut reactor, *slot, &file, 0, LEN as u64);
        reactor.clients.flush(*slot);
    }
    let mut received = vec![Vec::new(); clients.len()];
    for _ in 0..9 {
        reactor.clients.go_on_with_files();
        for ((client, _), received) in clients.iter_mut().zip(&mut received) {
            read_some(client, received);
        }
    }
    // The first turn and nine more, of two sessions each.
    let lens: Vec<_> = received.iter().map(Vec::len).collect();
    assert_eq!(lens.iter().sum::<usize>(), 10 * 32 * 1024);
    assert!(lens.iter().all(|len| (3 * 16 * 1024..=4 * 16 * 1024).contains(len)), "{lens:?}");
    assert!(received.iter().all(|bytes| contents(5).starts_with(bytes)));
}

#[test]
fn a_file_that_is_shorter_than_it_was_closes_its_session_as_truncated() {
    let mut reactor = reactor(&options());
    let (mut client, slot) = connect(&mut reactor);
    let file = file(&contents(7));
    queue(&mut reactor, slot, &file, 0, LEN as u64);
    reactor.clients.flush(slot);
    file.set_len(600_000).unwrap();
    let mut received = Vec::new();
    while reactor.clients.connections.get_mut(slot).is_some() {
        go_on(&mut reactor, slot);
        reactor.clients.carry_out();
        read_some(&mut client, &mut received);
    }
    assert!(received == contents(7)[..received.len()] && received.len() <= 600_000);
    let books = reactor.clients.brain.books();
    assert_eq!(books.closed[CloseReason::Truncated as usize], 1);
    assert_eq!(books.output_dropped_bytes, (LEN - received.len()) as u64);
}
