use std::rc::Rc;

use super::*;
use proptest::prelude::*;

const MARKS: WaterMarks = WaterMarks { low: 0, high: usize::MAX, max: usize::MAX };
const A: LaneSlot = LaneSlot(0);
const B: LaneSlot = LaneSlot(1);

const fn file(file: &'static str, offset: u64, len: u64) -> FilePart<&'static str> {
    FilePart { file, offset, len }
}

const fn part(offset: usize, more: bool) -> Part {
    Part { offset, more, stream: 0 }
}

/// Sends as a driver does.
fn send(queue: &mut SendQueue<&'static str>, lane: LaneSlot, text: &str, part: Part) {
    match queue.route(lane, text.len(), part, &MARKS) {
        Route::Now => {
            queue.push(text.len(), |chunk| chunk.extend_from_slice(text.as_bytes()));
            if !part.more {
                queue.end_message(&MARKS).unwrap();
            }
        }
        Route::Behind => queue.push_behind(lane, part, text.into()),
        Route::Refused(refusal) => panic!("{refusal:?}"),
    }
}

fn send_file(
    queue: &mut SendQueue<&'static str>,
    lane: LaneSlot,
    part: FilePart<&'static str>,
    marks: &WaterMarks,
) -> Route {
    let route = queue.route_file(lane, marks);
    match route {
        Route::Now => queue.push_file(part),
        Route::Behind => queue.push_file_behind(lane, part),
        Route::Refused(_) => {}
    }
    route
}

/// Writes at most so many bytes; what was written.
fn write(queue: &mut SendQueue<&'static str>, most: usize) -> String {
    let written = match queue.front() {
        Front::Bytes(bytes) => {
            std::str::from_utf8(&bytes[..bytes.len().min(most)]).unwrap().to_owned()
        }
        Front::File(part) => {
            let (first, len) = (part.offset as usize, (part.len as usize).min(most));
            part.file[first..first + len].to_owned()
        }
    };
    queue.advance(written.len());
    written
}

fn write_all(queue: &mut SendQueue<&'static str>, most: usize) -> String {
    let mut all = String::new();
    while !queue.is_empty() {
        all.push_str(&write(queue, most));
    }
    all
}

#[test]
fn what_waits_is_copied_unless_a_file_or_the_rest_of_a_message_belongs_to_it() {
    let mut queue = SendQueue::default();
    assert_eq!(queue.copy(), Some(Vec::new()));
    send(&mut queue, A, "whole", Part::WHOLE);
    assert_eq!(queue.copy().as_deref(), Some(&b"whole"[..]));
    send(&mut queue, A, "begun", part(0, true));
    assert_eq!(queue.copy(), None, "its end has not come");
    send(&mut queue, A, "end", part(5, false));
    assert_eq!(queue.copy().as_deref(), Some(&b"wholebegunend"[..]));
    assert_eq!(send_file(&mut queue, A, file("file", 0, 4), &MARKS), Route::Now);
    assert_eq!(queue.copy(), None, "who goes on has no file");
}

#[test]
fn a_file_is_written_where_it_was_sent() {
    for most in [1, 3, usize::MAX] {
        let mut queue = SendQueue::default();
        send(&mut queue, A, "head ", Part::WHOLE);
        assert_eq!(send_file(&mut queue, A, file("0123456789", 2, 6), &MARKS), Route::Now);
        assert_eq!(send_file(&mut queue, B, file("abc", 0, 3), &MARKS), Route::Now);
        send(&mut queue, B, " tail", Part::WHOLE);
        assert_eq!((queue.left(), queue.unsent()), (19, 10 + 2 * FILE_WEIGHT_BYTES));
        assert_eq!(write_all(&mut queue, most), "head 234567abc tail");
        assert_eq!((queue.left(), queue.unsent(), queue.charged()), (0, 0, 0));
        assert!(!queue.is_pending());
    }
}

#[test]
fn an_empty_part_of_a_file_leaves_nothing() {
    let mut queue = SendQueue::default();
    assert_eq!(send_file(&mut queue, A, file("abc", 1, 0), &MARKS), Route::Now);
    assert!(queue.is_empty() && !queue.is_pending());
    assert_eq!(queue.charged(), 0);
}

#[test]
fn a_file_waits_behind_the_message_of_another_and_behind_a_stream_of_its_own_worker() {
    for (lane, stream) in [(B, 0), (A, 7)] {
        let mut queue = SendQueue::default();
        let first = Part { offset: 0, more: true, stream };
        send(&mut queue, A, "one ", first);
        let route = send_file(&mut queue, lane, file("file", 0, 4), &MARKS);
        assert_eq!(route, Route::Behind);
        send(&mut queue, lane, " behind", Part::WHOLE);
        assert_eq!((queue.left(), queue.unsent()), (15, 11 + FILE_WEIGHT_BYTES));
        let counted = if stream == 0 { 11 } else { 7 };
        assert_eq!(queue.counted(), counted + FILE_WEIGHT_BYTES, "a stream has its own credit");
        send(&mut queue, A, "two ", Part { offset: 4, more: false, stream });
        assert_eq!(write_all(&mut queue, 5), "one two file behind");
        assert_eq!((queue.charged(), queue.is_pending()), (0, false));
    }
}

/// A worker that breaks its own message off by a file is noticed.
#[test]
fn a_file_in_the_middle_of_a_message_of_the_same_worker_truncates_it() {
    let mut queue = SendQueue::default();
    send(&mut queue, A, "one", Part { offset: 0, more: true, stream: 0 });
    let route = send_file(&mut queue, A, file("file", 0, 4), &MARKS);
    assert_eq!(route, Route::Refused(Refusal::Truncated));
}

/// What a file counts for the marks does not depend on its length.
#[test]
fn files_count_by_their_number() {
    let marks = WaterMarks { low: 0, high: 2 * FILE_WEIGHT_BYTES, max: 3 * FILE_WEIGHT_BYTES };
    let (mut queue, mut fulls) = (SendQueue::default(), Vec::new());
    for _ in 0..4 {
        let part = file("of a length that no memory has", 0, u64::MAX / 8);
        assert_eq!(send_file(&mut queue, A, part, &marks), Route::Now);
        fulls.push(marks.is_full(queue.counted(), false));
        assert!(queue.charged() < 4 * FILE_WEIGHT_BYTES);
    }
    assert_eq!(fulls, [false, false, true, true]);
    assert!(!queue.may_push(&marks), "four are more than three");
    assert_eq!(queue.left(), u64::MAX / 8 * 4);
}

#[test]
fn what_waited_behind_is_too_much_when_its_turn_comes() {
    let most = FILE_WEIGHT_BYTES + 3;
    let marks = WaterMarks { low: 0, high: most, max: most };
    let mut queue = SendQueue::default();
    send(&mut queue, A, "one", Part { offset: 0, more: true, stream: 0 });
    let mut send_one = || send_file(&mut queue, B, file("file", 0, 4), &marks);
    let refused = Route::Refused(Refusal::TooMuch);
    assert_eq!([send_one(), send_one(), send_one()], [Route::Behind, Route::Behind, refused]);
    send(&mut queue, A, "!", Part { offset: 3, more: true, stream: 0 });
    assert_eq!(queue.route(A, 0, Part { offset: 4, more: false, stream: 0 }, &marks), Route::Now);
    assert_eq!(queue.end_message(&marks), Err(Refusal::TooMuch));
    assert_eq!(queue.left(), 12, "nothing is lost before the session is closed");
}

#[test]
fn files_are_let_go_when_they_are_written_or_their_queue_ends() {
    let open = Rc::new(());
    let mut queue = SendQueue::default();
    let part = |len| FilePart { file: Rc::clone(&open), offset: 0, len };
    queue.push_file(part(4));
    queue.push_file(part(1));
    assert_eq!(queue.route(A, 1, Part { offset: 0, more: true, stream: 0 }, &MARKS), Route::Now);
    queue.push_file_behind(B, part(1));
    queue.push_file(part(0));
    assert_eq!(Rc::strong_count(&open), 4, "an empty part is not kept");
    queue.advance(3);
    assert_eq!(Rc::strong_count(&open), 4);
    queue.advance(1);
    assert_eq!(Rc::strong_count(&open), 3);
    drop(queue);
    assert_eq!(Rc::strong_count(&open), 1);
}

const CONTENTS: &str = "the contents of a file, of which a part is sent";

proptest! {
    /// Whoever sends what, and however little is written at a time: everything comes once, each
    /// worker's in its order, and the accounts are right at each step.
    #[test]
    fn files_and_messages_come_whole_and_in_order(
        steps in proptest::collection::vec((0u32..3, 0usize..3, 1usize..40, 0usize..60), 1..60),
    ) {
        let mut queue = SendQueue::default();
        let (mut sent, mut written) = (vec![String::new(); 3], String::new());
        let mut begun = [0; 3];
        for (lane, what, len, most) in steps {
            let (slot, who) = (LaneSlot(lane), lane as usize);
            // The letters of each worker are its own.
            let text = ["a", "b", "c"][who].repeat(len);
            match what {
                0 if begun[who] == 0 => {
                    let letters = ["AAAAAAAAAA", "BBBBBBBBBB", "CCCCCCCCCC"][who];
                    let len = len.min(10);
                    send_file(&mut queue, slot, file(letters, 0, len as u64), &MARKS);
                    sent[who].push_str(&letters[..len]);
                }
                1 => {
                    send(&mut queue, slot, &text, part(begun[who], true));
                    begun[who] += len;
                    sent[who].push_str(&text);
                }
                _ => {
                    send(&mut queue, slot, &text, part(begun[who], false));
                    begun[who] = 0;
                    sent[who].push_str(&text);
                }
            }
            written.push_str(&write(&mut queue, most));
            let all: usize = sent.iter().map(String::len).sum();
            prop_assert_eq!(queue.left(), (all - written.len()) as u64);
            prop_assert!(queue.charged() as u64 >= queue.unsent() as u64 / 32);
            prop_assert!(queue.counted() == queue.unsent());
        }
        for (who, offset) in begun.into_iter().enumerate() {
            if offset > 0 {
                let part = Part { offset, more: false, stream: 0 };
                send(&mut queue, LaneSlot(who as u32), "", part);
            }
        }
        written.push_str(&write_all(&mut queue, 7));
        for (who, letters) in ["aA", "bB", "cC"].into_iter().enumerate() {
            let of_worker: String = written.chars().filter(|c| letters.contains(*c)).collect();
            prop_assert_eq!(&of_worker, &sent[who]);
        }
        prop_assert_eq!((queue.charged(), queue.unsent(), queue.left()), (0, 0, 0));
        prop_assert!(!queue.is_pending());
    }

    #[test]
    fn a_part_of_a_file_is_written_from_its_offset_to_its_end(
        offset in 0u64..40, len in 1u64..7, most in 1usize..9,
    ) {
        let mut queue = SendQueue::default();
        send_file(&mut queue, A, file(CONTENTS, offset, len), &MARKS);
        let expected = &CONTENTS[offset as usize..(offset + len) as usize];
        prop_assert_eq!(write_all(&mut queue, most), expected);
    }
}
