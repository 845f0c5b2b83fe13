use super::*;
use proptest::prelude::*;

/// Files are known by their contents.
type Queue = SendQueue<&'static str>;

const MARKS: WaterMarks = WaterMarks { low: 0, high: 0, max: usize::MAX };

/// Workers that send messages in parts, and a driver that writes as much as the socket takes.
#[derive(Debug, Default)]
struct World {
    queue: Queue,
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
        let part = part(self.begun[lane].unwrap_or(0), more);
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
        let len = front(&self.queue).len().min(most);
        self.written.extend_from_slice(&front(&self.queue)[..len]);
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

fn front(queue: &Queue) -> &[u8] {
    match queue.front() {
        Front::Bytes(bytes) => bytes,
        Front::File(part) => panic!("{part:?} is in front"),
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
    Part { offset, more, stream: 0 }
}

#[test]
fn a_message_that_was_begun_is_queued_to_its_end_and_the_next_is_refused() {
    let marks = WaterMarks { low: 0, high: 5, max: 10 };
    let mut queue = Queue::default();
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
    let mut queue = Queue::default();
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
    let mut queue = Queue::default();
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
    let mut queue = Queue::default();
    assert_eq!(queue.route(owner, 4, part(0, true), &MARKS), Route::Now);
    assert_eq!(queue.route(owner, 4, part(0, false), &MARKS), truncated);
}

#[test]
fn a_message_in_parts_is_open_until_nothing_waits_behind_it() {
    let mut queue = Queue::default();
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
    let mut queue = Queue::default();
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
        queue.advance(front(&queue).len());
    }
    assert_eq!(queue.charged(), 0);
}

const fn stream_part(offset: usize, more: bool, stream: u32) -> Part {
    Part { offset, more, stream }
}

#[test]
fn the_sender_of_a_stream_is_told_what_is_written_in_steps_and_once() {
    let marks = WaterMarks { low: 10, high: 100, max: 1_000 };
    let (mut queue, lane) = (Queue::default(), LaneSlot(3));
    queue.push(50, |chunk| chunk.extend_from_slice(&[0; 50]));
    let progress = |written| Some(Progress { lane, stream: 7, written });
    assert_eq!(queue.route(lane, 80, stream_part(0, true, 7), &marks), Route::Now);
    queue.push(80, |chunk| chunk.extend_from_slice(&[1; 80]));
    assert_eq!(queue.progress(25), progress(0), "its turn has come");
    assert_eq!(queue.progress(25), None);
    queue.advance(50);
    assert_eq!(queue.progress(25), None, "what was queued before is not the stream's");
    queue.advance(24);
    assert_eq!(queue.progress(25), None);
    while queue.unsent() > 55 {
        queue.advance(1);
    }
    assert_eq!(queue.progress(25), progress(25));
    assert_eq!(queue.progress(25), None, "told once");
    while !queue.is_empty() {
        queue.advance(front(&queue).len());
    }
    assert_eq!(queue.progress(25), progress(80));
    assert_eq!(queue.route(lane, 0, stream_part(80, false, 7), &marks), Route::Now);
    assert_eq!(queue.end_message(&marks), Ok(()));
    assert_eq!(queue.progress(25), None, "it is over");
    assert!(!queue.is_pending());
}

#[test]
fn a_stream_keeps_within_the_high_mark_and_an_ordinary_message_is_queued_to_its_end() {
    let marks = WaterMarks { low: 10, high: 100, max: 1_000 };
    for (stream, expected) in [(7, Route::Refused(Refusal::TooMuch)), (0, Route::Now)] {
        let (mut queue, lane) = (Queue::default(), LaneSlot(3));
        assert_eq!(queue.route(lane, 60, stream_part(0, true, stream), &marks), Route::Now);
        queue.push(60, |chunk| chunk.extend_from_slice(&[1; 60]));
        assert_eq!(queue.route(lane, 40, stream_part(60, true, stream), &marks), Route::Now);
        queue.push(40, |chunk| chunk.extend_from_slice(&[1; 40]));
        assert_eq!(queue.route(lane, 1, stream_part(100, true, stream), &marks), expected);
    }
}

#[test]
fn a_stream_that_waits_behind_another_has_its_own_number_and_account() {
    let marks = WaterMarks { low: 10, high: 100, max: 1_000 };
    let (mut queue, first, second) = (Queue::default(), LaneSlot(0), LaneSlot(1));
    assert_eq!(queue.route(first, 4, stream_part(0, true, 1), &marks), Route::Now);
    for (offset, more) in [(0, true), (12, true)] {
        let part = stream_part(offset, more, 9);
        assert_eq!(queue.route(second, 12, part, &marks), Route::Behind);
        queue.push_behind(second, part, vec![2; 12]);
    }
    assert_eq!(queue.streamers().collect::<Vec<_>>(), [first, second]);
    assert_eq!(queue.progress(50), Some(Progress { lane: first, stream: 1, written: 4 }));
    assert_eq!(queue.route(first, 0, stream_part(4, false, 1), &marks), Route::Now);
    assert_eq!(queue.end_message(&marks), Ok(()));
    assert_eq!(queue.progress(50), Some(Progress { lane: second, stream: 9, written: 0 }));
    queue.advance(12);
    queue.advance(12);
    assert_eq!(queue.progress(50), Some(Progress { lane: second, stream: 9, written: 24 }));
    assert!(queue.is_owned_by(second) && !queue.is_owned_by(first));
    assert_eq!(queue.streamers().collect::<Vec<_>>(), [second, second]);
    let truncated = Route::Refused(Refusal::Truncated);
    assert_eq!(queue.route(second, 1, stream_part(25, true, 9), &marks), truncated);
}

/// Each may send so much before its turn has come, and no more: so there is room for all, and a
/// limit.
#[test]
fn streams_that_wait_have_a_quarter_of_the_window_each_whatever_waits_besides() {
    let marks = WaterMarks { low: 10, high: 100, max: 110 };
    let (mut queue, first) = (Queue::default(), LaneSlot(0));
    assert_eq!(queue.route(first, 4, stream_part(0, true, 1), &marks), Route::Now);
    let too_much = Route::Refused(Refusal::TooMuch);
    for lane in (1..9).map(LaneSlot) {
        assert_eq!(queue.route(lane, 26, stream_part(0, true, 1), &marks), too_much);
        for offset in [0, 20] {
            let (part, len) = (stream_part(offset, true, 1), if offset == 0 { 20 } else { 5 });
            assert_eq!(queue.route(lane, len, part, &marks), Route::Behind);
            queue.push_behind(lane, part, vec![2; len]);
        }
        assert_eq!(queue.route(lane, 1, stream_part(25, true, 1), &marks), too_much);
    }
    assert_eq!(queue.unsent(), 200);
    // More streams of one worker have no credit, nor has one that is complete.
    let end = stream_part(25, false, 1);
    assert_eq!(queue.route(LaneSlot(1), 0, end, &marks), Route::Behind);
    assert_eq!((queue.unsent(), queue.counted()), (200, 0));
    queue.push_behind(LaneSlot(1), end, Vec::new());
    assert_eq!((queue.unsent(), queue.counted()), (200, 25));
    for (stream, lane) in [(2, 1), (2, 2), (3, 2)] {
        let part = stream_part(0, true, stream);
        assert_eq!(queue.route(LaneSlot(lane), 25, part, &marks), Route::Behind);
        queue.push_behind(LaneSlot(lane), part, vec![2; 25]);
    }
    assert_eq!((queue.unsent(), queue.counted()), (275, 75));
    assert_eq!(queue.route(LaneSlot(1), 1, stream_part(25, true, 2), &marks), too_much);
    let part = stream_part(25, true, 3);
    assert_eq!(queue.route(LaneSlot(2), 40, part, &marks), Route::Behind);
    queue.push_behind(LaneSlot(2), part, vec![2; 40]);
    assert_eq!(queue.route(LaneSlot(2), 1, stream_part(65, true, 3), &marks), too_much);
    assert_eq!(queue.route(LaneSlot(1), 1, Part::WHOLE, &marks), too_much);
}

/// The account of what is on credit is right at each step, whoever sends what.
#[test]
fn credit_is_given_back_as_what_waits_becomes_what_is_written() {
    let marks = WaterMarks { low: 10, high: 100, max: 1_000 };
    let (mut queue, first, second) = (Queue::default(), LaneSlot(0), LaneSlot(1));
    assert_eq!(queue.route(first, 4, stream_part(0, true, 1), &marks), Route::Now);
    queue.push(4, |chunk| chunk.extend_from_slice(&[1; 4]));
    for (offset, more, stream) in [(0, true, 1), (10, false, 1), (0, true, 2)] {
        let part = stream_part(offset, more, stream);
        assert_eq!(queue.route(second, 10, part, &marks), Route::Behind);
        queue.push_behind(second, part, vec![2; 10]);
    }
    assert_eq!((queue.unsent(), queue.counted()), (34, 20), "the complete one counts");
    assert_eq!(queue.route(first, 0, stream_part(4, false, 1), &marks), Route::Now);
    assert_eq!(queue.end_message(&marks), Ok(()));
    assert_eq!((queue.unsent(), queue.counted()), (34, 24), "only the open one does not");
    assert_eq!(queue.route(second, 0, stream_part(10, false, 2), &marks), Route::Now);
    assert_eq!(queue.end_message(&marks), Ok(()));
    assert_eq!((queue.unsent(), queue.counted()), (34, 34));
}

/// What a worker sends to a session arrives in its order; what it sends while a stream of it is
/// open comes behind that.
#[test]
fn what_is_sent_beside_a_stream_comes_behind_it_in_order() {
    let marks = WaterMarks { low: 10, high: 100, max: 1_000 };
    let (a, b) = (LaneSlot(0), LaneSlot(1));
    let (mut queue, mut got) = (Queue::default(), String::new());
    let mut send = |lane, text: &str, part: Part, is_last: bool| {
        match queue.route(lane, text.len(), part, &marks) {
            Route::Now => {
                queue.push(text.len(), |chunk| chunk.extend_from_slice(text.as_bytes()));
                if !part.more {
                    queue.end_message(&marks).unwrap();
                }
            }
            Route::Behind => queue.push_behind(lane, part, text.into()),
            Route::Refused(refusal) => panic!("{text}: {refusal:?}"),
        }
        while is_last && !queue.is_empty() {
            got.push_str(std::str::from_utf8(front(&queue)).unwrap());
            queue.advance(front(&queue).len());
        }
        if is_last { got.clone() } else { String::new() }
    };
    send(a, "a1", stream_part(0, true, 1), false);
    send(a, "A", Part::WHOLE, false);
    send(b, "B", Part::WHOLE, false);
    send(b, "b1", stream_part(0, true, 1), false);
    send(b, "C", Part::WHOLE, false);
    send(b, "b2", stream_part(2, true, 1), false);
    send(a, "a2", stream_part(2, false, 1), false);
    // Now b's stream is the one that is written.
    send(a, "D", Part::WHOLE, false);
    send(b, "E", Part::WHOLE, false);
    send(b, "b3", stream_part(4, false, 1), false);
    let all = send(b, "b4", stream_part(0, false, 2), true);
    assert_eq!(all, "a1a2ABb1b2b3CEDb4");
}

/// A stream keeps within its own credit: the marks are for what is sent besides.
#[test]
fn what_a_stream_has_on_credit_keeps_out_nothing_else() {
    let marks = WaterMarks { low: 10, high: 100, max: 100 };
    let (mut queue, lane, other) = (Queue::default(), LaneSlot(0), LaneSlot(1));
    assert_eq!(queue.route(lane, 100, stream_part(0, true, 1), &marks), Route::Now);
    queue.push(100, |chunk| chunk.extend_from_slice(&[1; 100]));
    for (lane, part) in [(lane, Part::WHOLE), (other, stream_part(0, true, 1))] {
        assert_eq!(queue.route(lane, 20, part, &marks), Route::Behind);
        queue.push_behind(lane, part, vec![2; 20]);
    }
    assert_eq!((queue.unsent(), queue.counted()), (140, 20));
    assert!(!marks.is_full(queue.counted(), false));
    for len in [70, 11] {
        assert_eq!(queue.route(lane, len, Part::WHOLE, &marks), Route::Behind);
        queue.push_behind(lane, Part::WHOLE, vec![3; len]);
    }
    let too_much = Route::Refused(Refusal::TooMuch);
    assert_eq!(queue.route(lane, 1, Part::WHOLE, &marks), too_much, "more than the maximum");
    assert_eq!(queue.route(lane, 0, stream_part(100, false, 1), &marks), Route::Now);
    assert_eq!(queue.end_message(&marks), Ok(()), "what was taken is queued");
    assert_eq!((queue.unsent(), queue.counted()), (221, 201));
}
