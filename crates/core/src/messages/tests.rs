use super::*;
use crate::ids::Slot;
use proptest::collection::vec;
use proptest::prelude::*;

const MOST: usize = 4 * MESSAGE_OVERHEAD_BYTES;

fn exchange() -> MessageExchange {
    let settings = MessageSettings { queue_max_bytes: MOST, processes: [3, 1, 0, 2] };
    MessageExchange::new(settings)
}

fn place(kind: ProcessKind, slot: u16) -> ProcessKey {
    ProcessKey { kind, slot: Slot(slot), generation: ANYBODY }
}

fn worker(slot: u16) -> ProcessKey {
    place(ProcessKind::Event, slot)
}

fn from(number: u64) -> MessageSender {
    MessageSender { key: ProcessKey::event(0, 1), lane: LaneSlot(99), number }
}

fn send(exchange: &mut MessageExchange, number: u64, to: ProcessKey) -> Result<(), MessageEnd> {
    exchange.send(from(number), to, 0, Vec::new(), |_| true)
}

/// Numbers of what was written, by lane; at most so many of a lane.
fn written(exchange: &mut MessageExchange, most: usize) -> Vec<(u32, u64)> {
    let (mut written, mut of_lane) = (Vec::new(), BTreeMap::new());
    exchange.hand_on(|lane, letter| {
        let count = of_lane.entry(lane.0).or_insert(0);
        if *count == most {
            return false;
        }
        *count += 1;
        written.push((lane.0, letter.sender.number));
        true
    });
    written
}

fn numbers(ended: &Ended) -> Vec<u64> {
    ended.told.iter().map(|sender| sender.number).collect()
}

#[test]
fn a_message_goes_to_who_lives_in_the_slot_and_is_delivered_when_it_is_taken() {
    let mut exchange = exchange();
    exchange.appears(LaneSlot(1), ProcessKey::event(1, 1));
    exchange.appears(LaneSlot(2), ProcessKey::task(1, 1));
    send(&mut exchange, 1, worker(1)).unwrap();
    send(&mut exchange, 2, place(ProcessKind::Task, 1)).unwrap();
    send(&mut exchange, 3, worker(1)).unwrap();
    assert_eq!(written(&mut exchange, 9), [(1, 1), (1, 3), (2, 2)]);
    assert_eq!((exchange.counts().delivered, exchange.counts().open()), (0, 3));
    exchange.look(LaneSlot(1), 1).unwrap();
    exchange.look(LaneSlot(2), 1).unwrap();
    assert_eq!((exchange.counts().delivered, exchange.counts().open()), (2, 1));
    assert_eq!(exchange.untaken().collect::<Vec<_>>(), [LaneSlot(1)]);
}

#[test]
fn what_is_sent_before_a_process_of_the_start_has_begun_waits_for_it_and_after_its_end_not() {
    let mut exchange = exchange();
    send(&mut exchange, 1, worker(2)).unwrap();
    send(&mut exchange, 2, worker(2)).unwrap();
    exchange.appears(LaneSlot(5), ProcessKey::event(2, 1));
    assert_eq!(written(&mut exchange, 9), [(5, 1), (5, 2)]);
    exchange.ended(LaneSlot(5));
    assert_eq!(send(&mut exchange, 3, worker(2)), Err(MessageEnd::NotRunning));
    exchange.appears(LaneSlot(6), ProcessKey::event(2, 2));
    send(&mut exchange, 4, worker(2)).unwrap();
    assert_eq!(written(&mut exchange, 9), [(6, 4)]);
    for unknown in [worker(3), place(ProcessKind::User, 1), place(ProcessKind::Companion, 0)] {
        assert_eq!(send(&mut exchange, 5, unknown), Err(MessageEnd::NotRunning));
    }
    assert_eq!(exchange.counts().refused_not_running, 4);
}

#[test]
fn what_waits_goes_to_the_successor_and_what_the_predecessor_has_it_takes() {
    let mut exchange = exchange();
    exchange.appears(LaneSlot(1), ProcessKey::event(0, 1));
    exchange.appears(LaneSlot(2), ProcessKey::event(0, 2));
    for number in 1..4 {
        send(&mut exchange, number, worker(0)).unwrap();
    }
    assert_eq!(written(&mut exchange, 1), [(1, 1)]);
    exchange.serves(LaneSlot(2));
    assert_eq!(written(&mut exchange, 9), [(2, 2), (2, 3)]);
    exchange.look(LaneSlot(1), 1).unwrap();
    assert_eq!(numbers(&exchange.ended(LaneSlot(1))), []);
    exchange.look(LaneSlot(2), 2).unwrap();
    assert_eq!((exchange.counts().delivered, exchange.counts().open()), (3, 0));
}

#[test]
fn what_a_dead_process_has_not_taken_is_told_in_order_and_its_heir_gets_what_comes() {
    let mut exchange = exchange();
    exchange.appears(LaneSlot(1), ProcessKey::event(0, 1));
    exchange.appears(LaneSlot(2), ProcessKey::event(0, 2));
    for number in 1..5 {
        send(&mut exchange, number, worker(0)).unwrap();
    }
    assert_eq!(written(&mut exchange, 3).len(), 3);
    exchange.look(LaneSlot(1), 1).unwrap();
    let ended = exchange.ended(LaneSlot(1));
    assert_eq!(numbers(&ended), [2, 3, 4]);
    assert_eq!(ended.charged, cost_of(&[]));
    send(&mut exchange, 5, worker(0)).unwrap();
    assert_eq!(written(&mut exchange, 9), [(2, 5)]);
    let counts = exchange.counts();
    assert_eq!((counts.sent, counts.delivered, counts.ended, counts.open()), (5, 1, 3, 1));
}

#[test]
fn a_message_for_one_process_is_never_another_ones() {
    let mut exchange = exchange();
    let (old, new) = (ProcessKey::event(0, 1), ProcessKey::event(0, 2));
    exchange.appears(LaneSlot(1), old);
    exchange.appears(LaneSlot(2), new);
    send(&mut exchange, 1, old).unwrap();
    exchange.serves(LaneSlot(2));
    send(&mut exchange, 2, old).unwrap();
    assert_eq!(written(&mut exchange, 9), [(1, 1), (1, 2)]);
    assert_eq!(numbers(&exchange.ended(LaneSlot(1))), [1, 2]);
    assert_eq!(send(&mut exchange, 3, old), Err(MessageEnd::NotRunning));
}

#[test]
fn a_receiver_that_takes_nothing_is_full_and_has_room_when_it_has_taken() {
    let mut exchange = exchange();
    exchange.appears(LaneSlot(1), ProcessKey::event(1, 1));
    for number in 0..4 {
        send(&mut exchange, number, worker(1)).unwrap();
        written(&mut exchange, 9);
    }
    assert_eq!(send(&mut exchange, 4, worker(1)), Err(MessageEnd::Full));
    exchange.look(LaneSlot(1), 1).unwrap();
    send(&mut exchange, 5, worker(1)).unwrap();
    assert_eq!(send(&mut exchange, 6, worker(1)), Err(MessageEnd::Full));
    // One that is alone has room, however long it is.
    exchange.appears(LaneSlot(2), ProcessKey::event(2, 1));
    exchange.send(from(7), worker(2), 0, vec![0; 2 * MOST], |_| true).unwrap();
    let lacking = exchange.send(from(8), place(ProcessKind::Task, 0), 0, Vec::new(), |_| false);
    assert_eq!(lacking, Err(MessageEnd::NoMemory));
    assert_eq!(exchange.counts().refused_full, 3);
}

#[test]
fn who_takes_what_it_was_not_given_is_found() {
    let mut exchange = exchange();
    exchange.appears(LaneSlot(1), ProcessKey::event(1, 1));
    send(&mut exchange, 1, worker(1)).unwrap();
    exchange.look(LaneSlot(1), 1).unwrap_err();
    written(&mut exchange, 9);
    exchange.look(LaneSlot(1), 2).unwrap_err();
    exchange.look(LaneSlot(1), 1).unwrap();
    exchange.look(LaneSlot(1), 0).unwrap_err();
}

#[test]
fn ends_survive_their_numbers() {
    for end in MessageEnd::ALL {
        assert_eq!(MessageEnd::of_code(end.code()), Some(end));
    }
    assert_eq!(MessageEnd::of_code(0), None);
}

#[derive(Clone, Debug)]
enum Step {
    Appears(u16),
    Serves(u16),
    Ends(u16),
    Send { from: u64, to: u16 },
    Write(usize),
    Take(u16, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = || 0_u16..3;
    prop_oneof![
        2 => slot().prop_map(Step::Appears),
        1 => slot().prop_map(Step::Serves),
        1 => slot().prop_map(Step::Ends),
        8 => (0_u64..3, slot()).prop_map(|(from, to)| Step::Send { from, to }),
        4 => (0_usize..4).prop_map(Step::Write),
        4 => (slot(), 0_u64..3).prop_map(|(slot, count)| Step::Take(slot, count)),
    ]
}

/// Who lives in a slot: lane, generation, numbers that were written to it, how many it has taken.
struct Fake {
    lane: u32,
    slot: u16,
    written: Vec<u64>,
    taken: usize,
}

proptest! {
    /// Whatever happens: each message is taken once, told once or open; what a process gets of one
    /// sender is in the order in which it was sent.
    #[test]
    fn every_message_has_one_fate_and_pairs_keep_their_order(steps in vec(step(), 0..120)) {
        let mut exchange = exchange();
        let (mut fakes, mut next_lane, mut number) = (Vec::<Fake>::new(), 0, 0);
        let (mut accepted, mut taken, mut told) = (Vec::new(), Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Appears(slot) => {
                    next_lane += 1;
                    exchange.appears(LaneSlot(next_lane), ProcessKey::event(slot, next_lane));
                    fakes.push(Fake { lane: next_lane, slot, written: Vec::new(), taken: 0 });
                }
                Step::Serves(slot) => {
                    if let Some(fake) = fakes.iter().rfind(|fake| fake.slot == slot) {
                        exchange.serves(LaneSlot(fake.lane));
                    }
                }
                Step::Ends(slot) => {
                    let at = fakes.iter().position(|fake| fake.slot == slot);
                    let Some(fake) = at.map(|at| fakes.remove(at)) else { continue };
                    told.extend(numbers(&exchange.ended(LaneSlot(fake.lane))));
                    taken.extend_from_slice(&fake.written[..fake.taken]);
                }
                Step::Send { from: sender, to } => {
                    // Three senders, told apart by the remainder of the number.
                    number += 3;
                    if send(&mut exchange, number + sender, worker(to)).is_ok() {
                        accepted.push(number + sender);
                    }
                }
                Step::Write(most) => {
                    for (lane, number) in written(&mut exchange, most) {
                        let fake = fakes.iter_mut().find(|fake| fake.lane == lane).unwrap();
                        fake.written.push(number);
                    }
                }
                Step::Take(slot, count) => {
                    let found = fakes.iter_mut().find(|fake| fake.slot == slot);
                    let Some(fake) = found else { continue };
                    fake.taken = fake.written.len().min(fake.taken + count as usize);
                    exchange.look(LaneSlot(fake.lane), fake.taken as u64).unwrap();
                }
            }
            for fake in &fakes {
                for sender in 0..3 {
                    let of_one = fake.written.iter().filter(|number| *number % 3 == sender);
                    prop_assert!(of_one.is_sorted());
                }
            }
        }
        taken.extend(fakes.iter().flat_map(|fake| &fake.written[..fake.taken]));
        let counts = *exchange.counts();
        prop_assert_eq!(counts.sent, accepted.len() as u64);
        prop_assert_eq!(counts.delivered, taken.len() as u64);
        prop_assert_eq!(counts.ended, told.len() as u64);
        let mut fates = [taken, told].concat();
        fates.sort_unstable();
        let before = fates.len();
        fates.dedup();
        prop_assert_eq!(fates.len(), before, "twice");
        prop_assert_eq!(counts.open(), (accepted.len() - before) as u64);
        exchange.end();
        prop_assert_eq!(exchange.counts().open(), 0);
    }
}
