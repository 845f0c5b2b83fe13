//! Any bytes where a message between processes is expected: they are one message in its only form,
//! or none.

use std::fmt::Debug;

use super::channel::Message;
use super::manager::MANAGER_MESSAGE_SIZE_BYTES;
use super::wire::Malformed;
use super::*;

/// What is too short is tried with zeros behind it, too: every message is that long.
pub fn messages(input: &[u8]) {
    all(input);
    let mut whole = input.to_vec();
    whole.resize(MANAGER_MESSAGE_SIZE_BYTES, 0);
    all(&whole);
}

fn all(bytes: &[u8]) {
    apart(parsed::<ToManager>(bytes), parsed::<ToMaster>(bytes));
    apart(parsed::<ToProcess>(bytes), parsed::<FromProcess>(bytes));
    apart(parsed::<ToCompanion>(bytes), parsed::<FromCompanion>(bytes));
    apart(to_new_master(bytes), parsed::<FromNewMaster>(bytes));
    let to_worker = same(bytes, ToWorker::decode(bytes), |it| it.encode().to_vec());
    let from_worker = same(bytes, FromWorker::decode(bytes), |it| it.encode().to_vec());
    apart(to_worker, from_worker);
    let bequest = Bequest::decode(bytes).map_err(|_| Malformed);
    let _ = same(bytes, bequest, |it| it.encode().to_vec());
    if let Ok(ToWorker::Slots(part)) = to_worker {
        let slots: Vec<_> = part.slots().map(|(slot, _)| slot).collect();
        assert!(slots.is_sorted_by(|one, next| one < next), "a slot is told twice");
    }
}

/// No message of one side is one of the other side.
fn apart<One: Debug, Other: Debug>(one: Result<One, Malformed>, other: Result<Other, Malformed>) {
    assert!(one.is_err() || other.is_err(), "{one:?} is also {other:?}");
}

fn parsed<It: Message + Debug>(bytes: &[u8]) -> Result<It, Malformed> {
    same(bytes, It::from_bytes(bytes), |it| it.to_bytes().to_vec())
}

/// There is one way to say it.
fn same<It: Debug>(
    bytes: &[u8],
    found: Result<It, Malformed>,
    to_bytes: impl Fn(&It) -> Vec<u8>,
) -> Result<It, Malformed> {
    if let Ok(message) = &found {
        assert_eq!(to_bytes(message), bytes, "{message:?}");
        // What is told in a log is on one line.
        let words = format!("{message:?}");
        assert!(!words.contains(char::is_control), "{words}");
    }
    found
}

/// Of another version only its number is read.
fn to_new_master(bytes: &[u8]) -> Result<ToNewMaster, Malformed> {
    match ToNewMaster::from_bytes(bytes) {
        Ok(will @ ToNewMaster::Will { protocol, .. }) if !is_known(protocol) => Ok(will),
        other => same(bytes, other, |it| it.to_bytes().to_vec()),
    }
}

/// What goes from process to process in a file.
pub fn slow_turn(input: &[u8]) {
    let Some(turn) = SlowTurn::read(input) else { return };
    let len = turn.stack.as_ref().map_or(0, |stack| stack.stack.len());
    assert!(len <= input.len() / size_of::<u64>(), "a stack of nothing");
}
