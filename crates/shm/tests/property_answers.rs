//! The ring for answers (protocol §5): every answer is read once and in order, whatever the sizes;
//! a worker that says it has read what was never given is found out.
#![cfg(not(loom))]
// test code
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod plain;

use std::collections::VecDeque;

use ostler_shm::answers::{AnswerGiver, AnswerTaker, TakeAnswer};
use ostler_shm::record::{HEADER_SIZE, Header, RecordKind};
use ostler_shm::ring::max_record;
use ostler_shm::sync::Ordering;
use ostler_shm::words::{DownWords, UpWords};
use plain::Plain;
use proptest::collection::vec;
use proptest::prelude::*;

const CAPACITY: u64 = 4_096;
const PAYLOAD_MAX: usize = max_record(CAPACITY) as usize - HEADER_SIZE;

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Publish,
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..=PAYLOAD_MAX).prop_map(Step::Append),
        2 => Just(Step::Publish),
        3 => Just(Step::Take),
    ]
}

fn header(number: u64) -> Header {
    Header { kind: RecordKind::Answer as u8, subject: number, ..Header::default() }
}

fn payload(number: u64, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u64 ^ number) as u8).collect()
}

proptest! {
    #[test]
    fn every_answer_is_read_once_and_in_order(steps in vec(step(), 0..300)) {
        let (down, up, ring) = (DownWords::new(), UpWords::new(), Plain::new(CAPACITY));
        let (mut giver, mut taker) = (AnswerGiver::default(), AnswerTaker::default());
        let (mut staged, mut visible) = (VecDeque::new(), VecDeque::new());
        let mut number = 0;
        for step in steps {
            match step {
                Step::Append(len) => {
                    giver.read(&up).unwrap();
                    if giver.append(&ring, header(number), &payload(number, len)).is_ok() {
                        staged.push_back((number, len));
                        number += 1;
                    } else {
                        prop_assert!(!staged.is_empty() || !visible.is_empty(), "an empty ring");
                    }
                }
                Step::Publish => {
                    prop_assert_eq!(giver.publish(&down), !staged.is_empty());
                    visible.append(&mut staged);
                }
                Step::Take => match taker.take(&down, &ring) {
                    TakeAnswer::Broken => panic!("broken"),
                    TakeAnswer::Empty => prop_assert!(visible.is_empty()),
                    TakeAnswer::Record { header, position } => {
                        let (expected, len) = visible.pop_front().unwrap();
                        let offset = (position & (CAPACITY - 1)) + HEADER_SIZE as u64;
                        prop_assert_eq!(header.subject, expected);
                        prop_assert_eq!(header.payload_len(), len);
                        prop_assert_eq!(ring.bytes(offset, len), payload(expected, len));
                        taker.done(&up);
                    }
                },
            }
            prop_assert_eq!(taker.has_news(&down), !visible.is_empty());
        }
    }

    #[test]
    fn what_was_never_given_cannot_be_read(read in any::<u64>()) {
        let (down, up, ring) = (DownWords::new(), UpWords::new(), Plain::new(CAPACITY));
        let mut giver = AnswerGiver::default();
        giver.append(&ring, header(1), &[0; 100]).unwrap();
        giver.append(&ring, header(2), &[]).unwrap();
        giver.publish(&down);
        up.ctl_read.out_written.store(read, Ordering::Relaxed);
        prop_assert_eq!(giver.read(&up).is_ok(), [0, 64, 128, 192, 256].contains(&read));
    }
}

#[test]
fn a_worker_may_not_take_back_what_it_has_read() {
    let (down, up, ring) = (DownWords::new(), UpWords::new(), Plain::new(CAPACITY));
    let mut giver = AnswerGiver::default();
    giver.append(&ring, header(1), &[0; 64]).unwrap();
    giver.publish(&down);
    up.ctl_read.out_written.store(128, Ordering::Relaxed);
    assert_eq!(giver.read(&up).unwrap(), 128);
    up.ctl_read.out_written.store(64, Ordering::Relaxed);
    assert!(giver.read(&up).is_err());
}

/// Whoever waits for room is told when there is some, and only then.
#[test]
fn who_waits_for_room_is_told_of_it() {
    let (down, up, ring) = (DownWords::new(), UpWords::new(), Plain::new(CAPACITY));
    let (mut giver, mut taker) = (AnswerGiver::default(), AnswerTaker::default());
    while giver.append(&ring, header(1), &[0; PAYLOAD_MAX]).is_ok() {}
    giver.publish(&down);
    assert!(!AnswerTaker::is_awaited(&down) && !giver.has_room_news(&up));
    giver.set_waits(true, &down);
    assert!(AnswerTaker::is_awaited(&down) && !giver.has_room_news(&up));
    assert!(matches!(taker.take(&down, &ring), TakeAnswer::Record { .. }));
    taker.done(&up);
    assert!(giver.has_room_news(&up));
    giver.read(&up).unwrap();
    assert!(giver.append(&ring, header(2), &[0; PAYLOAD_MAX]).is_ok());
    giver.set_waits(false, &down);
    assert!(!AnswerTaker::is_awaited(&down));
}

#[test]
fn a_ring_that_says_nonsense_is_not_read() {
    let (down, ring) = (DownWords::new(), Plain::new(CAPACITY));
    down.control.ctl_written.store(64, Ordering::Relaxed);
    assert_eq!(AnswerTaker::default().take(&down, &ring), TakeAnswer::Broken, "no length");
}
