//! Each session is served by the settings of its port.

use super::super::{Brain, ConnectionSlot, Content, LaneSlot, PortId, Subject};
use super::*;
use crate::ids::ProcessKey;

const CLOSES: PortId = PortId(0);
const DROPS: PortId = PortId(1);

/// Gives what there is to give; a session has no end of packages. Returns what was given to whom.
fn give_all(brain: &mut Brain, written: &mut u64) -> Vec<(ConnectionSlot, PortId, LaneSlot, u64)> {
    let mut given = Vec::new();
    while let Some(assignment) = brain.next_give() {
        let Subject::Session(slot) = assignment.subject else { panic!("{assignment:?}") };
        given.push((slot, assignment.port, assignment.lane, assignment.seq));
        let more = !matches!(assignment.content, Content::Connect);
        brain.record_written(assignment, *written, 8, None, more, 0);
        *written += 128;
    }
    given
}

#[test]
fn windows_and_crash_policies_are_those_of_the_port() {
    let drops = port_settings(Dispatch::IdleFirst, CrashPolicy::Drop, 3);
    let closes = port_settings(Dispatch::IdleFirst, CrashPolicy::Close, 2);
    let settings = BrainSettings {
        workers: 1,
        prefetch_ns: 1_000_000,
        ports: PerPort::new(closes, vec![drops]),
        ..settings(Dispatch::IdleFirst, CrashPolicy::Close)
    };
    let mut brain = Brain::new(settings);
    let lane = brain.add_lane(ProcessKey::event(0, 1));
    brain.serve(lane);
    let closed = brain.accept(CLOSES, 1).unwrap();
    let dropped = brain.accept(DROPS, 2).unwrap();
    let mut written = 0;
    for (_, _, lane, seq) in give_all(&mut brain, &mut written) {
        brain.finish(lane, seq, written).unwrap(); // the connect events
    }
    brain.readable(closed);
    brain.readable(dropped);
    let given = give_all(&mut brain, &mut written);
    let of = |session| given.iter().filter(|(slot, ..)| *slot == session).count();
    assert_eq!((of(closed), of(dropped)), (2, 3), "as many as the window of the port");
    let ports = given.iter().all(|(slot, port, ..)| (*slot == closed) == (*port == CLOSES));
    assert!(ports, "a delivery names the port of its session: {given:?}");
    brain.worker_died(lane, written, 0, &mut |_| Vec::new());
    assert_eq!(brain.phase(closed), Some(Phase::Ended));
    assert_eq!(brain.phase(dropped), Some(Phase::Open));
    assert_eq!(brain.books().dropped_worker_died, 3);
    assert!(brain.books().balance());
}
