use super::*;
use proptest::prelude::*;

const MARKS: WaterMarks = WaterMarks { low: 0, high: 0, max: usize::MAX };

/// Workers that send messages in parts, and a driver that writes as much as the socket takes.
#[derive(Debug, Default)]
struct World {
    queue: SendQueue,
    /// Bytes of each worker's message that has begun.
    begun: [Option<usize>; 3],
    /// Number of each worker's message.
    number: [u8; 3],
    /// Messages that are complete: their mark and their length.
    complete: Vec<(u8, usize)>,
    sent: usize,
    written: Vec<u8>,
}

impl World {
    /// A mark that tells the messages of all workers apart.
    fn mark(&self, lane: usize) -> u8 {
        ((lane as u8) << 6) | (self.number[lane] % 64)
    }

    fn send(&mut self, lane: usize, len: usize, more: bool) {
        let (slot, mark) = (LaneSlot(lane as u32), self.mark(lane));
        let part = Part { offset: self.begun[lane].unwrap_or(0), more };
        let bytes = vec![mark; len];
        match self.queue.route(slot, len, part, &MARKS) {
            Route::Now => {
                assert!(self.queue.may_push(&MARKS));
                self.queue.push(len, |chunk| chunk.extend_from_slice(&bytes));
                if !more {
                    self.queue.end_message(&MARKS).unwrap();
                }
            }
            Route::Behind => self.queue.push_behind(slot, part, bytes),
            Route::Refused(refusal) => panic!("{refusal:?}"),
        }
        self.sent += len;
        if more {
            self.begun[lane] = Some(part.offset + len);
        } else {
            self.begun[lane] = None;
            self.complete.push((mark, part.offset + len));
            self.number[lane] += 1;
        }
        self.check();
    }

    fn write(&mut self, most: usize) {
        let len = self.queue.front().len().min(most);
        self.written.extend_from_slice(&self.queue.front()[..len]);
        self.queue.advance(len);
        self.check();
    }

    fn check(&self) {
        let unsent = self.sent - self.written.len();
        assert_eq!(self.queue.unsent(), unsent);
        assert!(self.queue.charged() >= unsent);
        let is_open = self.begun.iter().any(Option::is_some);
        assert_eq!(self.queue.is_pending(), unsent > 0 || is_open);
        for (lane, begun) in self.begun.iter().enumerate() {
            assert_eq!(self.queue.is_owned_by(LaneSlot(lane as u32)), begun.is_some(), "{lane}");
        }
    }
}

proptest! {
    #[test]
    fn no_message_is_torn_and_each_workers_come_in_their_order(
        steps in proptest::collection::vec(
            (0usize..3, 1usize..40_000, any::<bool>(), 0usize..100_000), 1..60),
    ) {
        let mut world = World::default();
        for (lane, len, more, most) in steps {
            world.send(lane, len, more);
            world.write(most);
        }
        for lane in 0..3 {
            if world.begun[lane].is_some() {
                world.send(lane, 1, false);
            }
        }
        while !world.queue.is_empty() {
            world.write(usize::MAX);
        }
        prop_assert_eq!((world.queue.charged(), world.queue.unsent()), (0, 0));
        let runs: Vec<_> =
            world.written.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
        for lane in 0..3u8 {
            let of_lane = |messages: &[(u8, usize)]| -> Vec<(u8, usize)> {
                messages.iter().copied().filter(|(mark, _)| mark >> 6 == lane).collect()
            };
            prop_assert_eq!(of_lane(&runs), of_lane(&world.complete));
        }
    }
}

const fn part(offset: usize, more: bool) -> Part {
    Part { offset, more }
}

#[test]
fn a_message_that_was_begun_is_queued_to_its_end_and_the_next_is_refused() {
    let marks = WaterMarks { low: 0, high: 5, max: 10 };
    let mut queue = SendQueue::default();
    let (owner, other) = (LaneSlot(0), LaneSlot(1));
    assert_eq!(queue.route(owner, 8, part(0, true), &marks), Route::Now);
    queue.push(8, |chunk| chunk.extend_from_slice(&[0; 8]));
    assert_eq!(queue.route(owner, 8, part(8, true), &marks), Route::Now);
    assert!(queue.may_push(&marks));
    queue.push(8, |chunk| chunk.extend_from_slice(&[0; 8]));
    let refused = Route::Refused(Refusal::TooMuch);
    assert_eq!(queue.route(other, 1, Part::WHOLE, &marks), refused);
    assert_eq!(queue.route(owner, 0, part(16, false), &marks), Route::Now);
    assert_eq!(queue.end_message(&marks), Ok(()));
    assert_eq!(queue.route(other, 1, part(0, true), &marks), refused);
    assert_eq!(queue.route(other, 1, Part::WHOLE, &marks), Route::Now, "it may be written at once");
    assert!(!queue.may_push(&marks), "but not queued");
    queue.advance(6);
    assert!(queue.may_push(&marks), "10 bytes are allowed");
}

#[test]
fn what_waits_behind_counts_and_may_be_too_much_when_its_turn_comes() {
    let marks = WaterMarks { low: 0, high: 5, max: 10 };
    let mut queue = SendQueue::default();
    let (owner, other) = (LaneSlot(0), LaneSlot(1));
    assert_eq!(queue.route(owner, 1, part(0, true), &marks), Route::Now);
    for _ in 0..2 {
        assert_eq!(queue.route(other, 8, Part::WHOLE, &marks), Route::Behind);
        queue.push_behind(other, Part::WHOLE, vec![1; 8]);
    }
    assert_eq!(queue.unsent(), 16);
    assert!(queue.charged() > 16, "a piece costs more than its bytes");
    assert_eq!(queue.route(other, 1, Part::WHOLE, &marks), Route::Refused(Refusal::TooMuch));
    assert_eq!(queue.route(owner, 11, part(1, false), &marks), Route::Now);
    queue.push(11, |chunk| chunk.extend_from_slice(&[0; 11]));
    assert_eq!(queue.end_message(&marks), Err(Refusal::TooMuch));
    assert_eq!(queue.unsent(), 27, "nothing is lost before the session is closed");
}

#[test]
fn a_missing_part_is_noticed_at_the_owner_and_behind_it() {
    let mut queue = SendQueue::default();
    let (owner, other) = (LaneSlot(0), LaneSlot(1));
    let truncated = Route::Refused(Refusal::Truncated);
    assert_eq!(queue.route(owner, 4, part(0, true), &MARKS), Route::Now);
    assert_eq!(queue.route(other, 4, part(0, true), &MARKS), Route::Behind);
    queue.push_behind(other, part(0, true), vec![1; 4]);
    assert!(queue.is_owned_by(owner) && queue.is_owned_by(other));
    queue.push_behind(other, Part::WHOLE, vec![1; 4]);
    assert!(!queue.is_owned_by(other), "its last message is whole");
    assert_eq!(queue.route(owner, 4, part(4, false), &MARKS), Route::Now);
    assert_eq!(queue.end_message(&MARKS), Err(Refusal::Truncated));
    let mut queue = SendQueue::default();
    assert_eq!(queue.route(owner, 4, part(0, true), &MARKS), Route::Now);
    assert_eq!(queue.route(owner, 4, part(0, false), &MARKS), truncated);
}

#[test]
fn a_message_in_parts_is_open_until_nothing_waits_behind_it() {
    let mut queue = SendQueue::default();
    let (owner, other) = (LaneSlot(0), LaneSlot(1));
    assert!(!queue.has_open_message());
    assert_eq!(queue.route(other, 1, Part::WHOLE, &MARKS), Route::Now);
    assert!(!queue.has_open_message(), "it is whole");
    assert_eq!(queue.route(owner, 1, part(0, true), &MARKS), Route::Now);
    assert!(queue.has_open_message());
    assert_eq!(queue.route(other, 1, part(0, true), &MARKS), Route::Behind);
    queue.push_behind(other, part(0, true), vec![1]);
    assert_eq!(queue.route(owner, 1, part(1, false), &MARKS), Route::Now);
    queue.end_message(&MARKS).unwrap();
    assert!(queue.has_open_message(), "the one behind it has not ended");
    assert_eq!(queue.route(other, 1, part(1, false), &MARKS), Route::Now);
    queue.end_message(&MARKS).unwrap();
    assert!(!queue.has_open_message());
}

/// What waits behind an open message is charged with what its bookkeeping takes, and only as long
/// as it waits.
#[test]
fn pieces_that_waited_are_charged_no_more() {
    let mut queue = SendQueue::default();
    let (owner, other) = (LaneSlot(0), LaneSlot(1));
    assert!(matches!(queue.route(owner, 10, part(0, true), &MARKS), Route::Now));
    queue.push(10, |chunk| chunk.extend_from_slice(&[0; 10]));
    let alone = queue.charged();
    for index in 0..3 {
        let more = index < 2;
        assert!(matches!(queue.route(other, 10, part(10 * index, more), &MARKS), Route::Behind));
        queue.push_behind(other, part(10 * index, more), vec![1; 10]);
    }
    assert!(queue.charged() > alone + 30);
    assert!(matches!(queue.route(owner, 10, part(10, false), &MARKS), Route::Now));
    queue.push(10, |chunk| chunk.extend_from_slice(&[0; 10]));
    queue.end_message(&MARKS).unwrap();
    while !queue.is_empty() {
        queue.advance(queue.front().len());
    }
    assert_eq!(queue.charged(), 0);
}
