use super::*;
use crate::brain::datagram_books::{DATAGRAM_DROPS, NOT_SENT};
use crate::proxy_protocol::BAD_HEADERS;

/// The numbers in the text of a value, in their order.
fn numbers(books: &Books) -> Vec<u64> {
    let text = format!("{books:?}");
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// What a package may go through: from nowhere to a worker, back, and out of the books.
#[test]
fn a_package_is_in_one_place_and_leaves_by_one_way() {
    let mut books = Books::default();
    for _ in 0..10 {
        books.package_received();
    }
    assert_eq!((books.received, books.in_hand), (10, 10));
    let fates = [
        PackageFate::Finished,
        PackageFate::DroppedWorkerDied,
        PackageFate::DroppedSessionGone,
        PackageFate::ClosedBy(CloseReason::WorkerDied),
        PackageFate::Waits,
        PackageFate::Waits,
        PackageFate::Waits,
    ];
    for fate in fates {
        books.package_left_worker(fate);
        assert!(books.balance(), "{fate:?} {books:?}");
    }
    assert_eq!((books.in_hand, books.recalled), (3, 3));
    books.package_given_again();
    assert_eq!((books.in_hand, books.recalled), (4, 2));
    books.waiting_dropped(2);
    assert!(books.balance(), "{books:?}");
    assert_eq!((books.in_hand, books.recalled, books.finished), (4, 0, 1));
    assert_eq!((books.dropped_worker_died, books.dropped_session_gone), (1, 3));
    assert_eq!((books.dropped_total(), books.closed_by_total()), (4, 1));
    assert_eq!(books.closed_by[CloseReason::WorkerDied as usize], 1);
}

#[test]
fn a_session_is_open_or_closed_for_a_reason() {
    let mut books = Books::default();
    (0..3).for_each(|_| books.session_accepted());
    assert_eq!((books.accepted, books.open), (3, 3));
    books.session_closed(CloseReason::Peer);
    books.session_closed(CloseReason::SlowReader);
    assert_eq!((books.open, books.closed_total()), (1, 2));
    assert_eq!(books.closed[CloseReason::SlowReader as usize], 1);
    assert!(books.balance());
}

/// What is thrown away is counted in bytes, and outputs for ended sessions one by one as well.
#[test]
fn what_is_thrown_away_is_counted() {
    let mut books = Books::default();
    books.output_gone(100);
    books.output_gone(20);
    books.output_dropped(3);
    books.output_dropped(4);
    assert_eq!((books.output_session_gone, books.output_dropped_bytes), (2, 127));
    books.input_dropped(CloseReason::Peer, 10);
    books.input_dropped(CloseReason::Peer, 5);
    books.input_dropped(CloseReason::Shutdown, 1);
    assert_eq!(books.input_dropped_bytes[CloseReason::Peer as usize], 15);
    assert_eq!(books.input_dropped_total(), 16);
    (0..2).for_each(|_| books.delivery_recalled());
    (0..3).for_each(|_| books.package_redelivered());
    (0..4).for_each(|_| books.package_continued());
    (0..5).for_each(|_| books.memory_lacked());
    assert_eq!((books.recalls, books.redelivered), (2, 3));
    assert_eq!((books.continued, books.memory_shortages), (4, 5));
    assert!(books.balance(), "none of it is part of the balance");
}

/// One package or session too many or too few anywhere, and the books do not balance.
#[test]
fn the_balance_sees_every_counter_that_is_a_part_of_it() {
    let right = Books {
        accepted: 40,
        open: 10,
        closed: [2; CLOSE_REASONS],
        received: 300,
        finished: 100,
        in_hand: 20,
        recalled: 30,
        refused: 4,
        dropped_worker_died: 50,
        dropped_session_gone: 6,
        closed_by: [6; CLOSE_REASONS],
        ..Books::default()
    };
    let sessions = right.open + right.closed_total();
    let packages = right.finished
        + right.in_hand
        + right.recalled
        + right.refused
        + right.dropped_total()
        + right.closed_by_total();
    let right = Books { accepted: sessions, received: packages, ..right };
    assert!(right.balance());
    let parts: [fn(&mut Books) -> &mut u64; 11] = [
        |books| &mut books.accepted,
        |books| &mut books.open,
        |books| &mut books.closed[3],
        |books| &mut books.received,
        |books| &mut books.finished,
        |books| &mut books.in_hand,
        |books| &mut books.recalled,
        |books| &mut books.refused,
        |books| &mut books.dropped_worker_died,
        |books| &mut books.dropped_session_gone,
        |books| &mut books.closed_by[7],
    ];
    for (index, part) in parts.iter().enumerate() {
        for change in [1, u64::MAX] {
            let mut wrong = right.clone();
            let counter = part(&mut wrong);
            *counter = counter.wrapping_add(change);
            assert!(!wrong.balance(), "{index}");
        }
    }
}

fn some_tasks() -> TaskCounts {
    let (mut tasks, mut next) = (TaskCounts::default(), 149..);
    tasks.visit(&mut |count| *count = next.next().unwrap());
    tasks
}

fn some_messages() -> MessageCounts {
    let (mut messages, mut next) = (MessageCounts::default(), 179..);
    messages.visit(&mut |count| *count = next.next().unwrap());
    messages
}

fn group_counts() -> GroupCounts {
    GroupCounts {
        joined: 101,
        left: 103,
        ended: 107,
        members: 109,
        refused: 113,
        messages: 127,
        addressed: 131,
        delivered: 137,
        skipped: 139,
        closed: 149,
        gone: 151,
    }
}

fn header_counts() -> HeaderCounts {
    HeaderCounts {
        awaited: 103,
        read: 107,
        untrusted: 109,
        bad: [113; BAD_HEADERS],
        left: 127,
        timed_out: 131,
        crowded_out: 137,
        ended: 139,
    }
}

fn some_traffic() -> Traffic {
    Traffic {
        received_bytes: 151,
        sent_bytes: 157,
        messages: 163,
        charged_bytes: 167,
        unsent_bytes: 173,
        long_states: 179,
        state_bytes: 181,
        states_refused: 191,
    }
}

/// Every counter of the sum is the sum of the counters, also of one that is added later: a
/// counter without a value here fails the test.
#[test]
fn the_books_of_reactors_are_added_counter_by_counter() {
    let one = Books {
        accepted: 3,
        taken_over: 2,
        handed_over: 4,
        open: 5,
        closed: [7; CLOSE_REASONS],
        received: 11,
        finished: 13,
        in_hand: 17,
        recalled: 19,
        refused: 23,
        dropped_worker_died: 29,
        dropped_session_gone: 31,
        closed_by: [37; CLOSE_REASONS],
        redelivered: 41,
        recalls: 43,
        output_session_gone: 47,
        memory_shortages: 53,
        output_dropped_bytes: 59,
        input_dropped_bytes: [61; CLOSE_REASONS],
        continued: 67,
        refused_queue_full: 71,
        refused_queue_wait: 73,
        held_back: 79,
        refused_package_rate: 83,
        datagrams: DatagramBooks {
            received: 71,
            finished: 73,
            in_hand: 79,
            waiting: 83,
            dropped: [89; DATAGRAM_DROPS],
            redelivered: 97,
            kernel_dropped: 101,
            sent: 103,
            not_sent: [107; NOT_SENT],
        },
        handshakes: HandshakeCounts {
            begun: 71,
            done: 73,
            resumed: 79,
            failed: 83,
            timed_out: 89,
            crowded_out: 97,
            ended: 101,
        },
        proxy_headers: header_counts(),
        accepting: AcceptCounts {
            refused_no_descriptor: 103,
            refused_address_full: 107,
            refused_connection_rate: 109,
            refused_address_deaths: 113,
            accept_rests: 109,
        },
        files: FileCounts { taken: 113, sent: 127, failed: 131, refused: 137, disk_waits: 139 },
        groups: group_counts(),
        tasks: some_tasks(),
        messages: some_messages(),
        given: 149,
        traffic: some_traffic(),
    };
    assert!(!numbers(&one).contains(&0));
    let mut sum = one.clone();
    sum.add(&one);
    sum.add(&one);
    let tripled: Vec<u64> = numbers(&one).into_iter().map(|number| 3 * number).collect();
    assert_eq!(numbers(&sum), tripled);
}
