//! More and fewer slots while the server runs.

use super::super::ReloadOutcome;
use super::*;
use crate::ids::Slot;

fn roomy(slots: u16, slots_max: u16) -> Case {
    Case::serving_with(GroupSettings { slots, slots_max, ..GroupSettings::default() })
}

fn resize(case: &mut Case, wanted: u16) -> Vec<SupervisorAction> {
    case.on(Event::Resize(EVENT, wanted))
}

fn resized(wanted: u16) -> SupervisorAction {
    SupervisorAction::Resized(EVENT, wanted)
}

#[test]
fn more_slots_are_filled_and_fewer_drain_from_the_last() {
    let mut case = roomy(2, 4);
    assert_eq!(resize(&mut case, 4), [resized(4), need(2, 1), need(3, 1)]);
    assert_eq!(case.boot(2, 1), [serve(2, 1, None)]);
    assert_eq!(case.boot(3, 1), [serve(3, 1, None)]);
    let leave = |slot| SupervisorAction::Leave(key(slot, 1));
    assert_eq!(resize(&mut case, 1), [resized(1), leave(1), leave(2), leave(3)]);
    for slot in 1..4 {
        assert_eq!(case.exited(slot, 1, Exit::Code(0)), [], "nobody follows");
    }
    assert!(case.is_settled());
}

#[test]
fn a_number_is_brought_into_the_room_there_is() {
    let mut case = roomy(2, 3);
    assert_eq!(resize(&mut case, 0), [resized(1), SupervisorAction::Leave(key(1, 1))]);
    assert_eq!(resize(&mut case, 9)[0], resized(3));
    let mut case = Case::serving(2);
    assert_eq!(resize(&mut case, 3), [], "there is no room");
}

#[test]
fn one_that_leaves_for_good_has_a_deadline() {
    let mut case = roomy(2, 2);
    resize(&mut case, 1);
    assert_eq!(case.wake_after(10_000), [kill(1, 1, KillCause::DrainTimeout)]);
    let out = case.on(Event::Exited(key(1, 1), SIGKILL));
    assert!(matches!(out.as_slice(), [SupervisorAction::Died { expected: true, .. }]), "{out:?}");
}

#[test]
fn a_slot_that_is_wanted_again_is_filled_beside_the_one_that_leaves() {
    let mut case = roomy(2, 2);
    resize(&mut case, 1);
    assert_eq!(resize(&mut case, 2), [resized(2), need(1, 2)]);
    assert_eq!(case.boot(1, 2), [serve(1, 2, None)]);
    // Again, before the first is gone: one leaves at a time.
    assert_eq!(resize(&mut case, 1), [resized(1)]);
    assert_eq!(case.exited(1, 1, Exit::Code(0)), [SupervisorAction::Leave(key(1, 2))]);
}

#[test]
fn starts_in_slots_that_are_taken_away_are_ended_at_each_stage() {
    let mut case = roomy(1, 2);
    // Asked for memory.
    resize(&mut case, 2);
    assert_eq!(resize(&mut case, 1), [resized(1)]);
    let release = SupervisorAction::ReleaseMemory(key(1, 1));
    assert_eq!(case.on(Event::MemoryReady(key(1, 1))), [release]);
    case.pass(1_000);
    // Being forked.
    assert_eq!(resize(&mut case, 2), [resized(2), need(1, 2)]);
    case.on(Event::MemoryReady(key(1, 2)));
    assert_eq!(resize(&mut case, 1), [resized(1)]);
    assert_eq!(case.on(Event::Forked(key(1, 2))), [kill(1, 2, KillCause::Surplus)]);
    assert_eq!(case.on(Event::Ready(key(1, 2))), [], "its last words");
    // Wanted again before it is gone: that was no failure of a boot.
    assert_eq!(resize(&mut case, 2), [resized(2)]);
    let out = case.on(Event::Exited(key(1, 2), SIGKILL));
    assert!(matches!(out.first(), Some(SupervisorAction::Died { expected: true, .. })));
    assert_eq!(case.wake_after(50), [need(1, 3)], "no back-off");
}

#[test]
fn a_crash_in_a_slot_that_was_taken_away_is_told_and_not_mended() {
    let mut case = roomy(2, 2);
    resize(&mut case, 1);
    let out = case.on(Event::Exited(key(1, 1), SEGFAULT));
    assert!(matches!(out.as_slice(), [SupervisorAction::Died { expected: false, .. }]));
    assert!(case.is_settled());
}

#[test]
fn a_reload_is_waited_for() {
    let mut case = roomy(2, 3);
    case.on(Event::ReloadRequested);
    assert_eq!(resize(&mut case, 1), []);
    assert_eq!(resize(&mut case, 3), [], "the last word counts");
    case.boot(0, 2);
    let done = SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::Done);
    assert_eq!(case.boot(1, 2), [serve(1, 2, Some(1)), done, resized(3), need(2, 1)]);
    // A reload of fewer leaves out those that are gone.
    case.boot(2, 1);
    case.exited(0, 1, Exit::Code(0));
    case.exited(1, 1, Exit::Code(0));
    resize(&mut case, 1);
    case.exited(1, 2, Exit::Code(0));
    case.exited(2, 1, Exit::Code(0));
    case.pass(1_000);
    case.on(Event::ReloadRequested);
    let done = SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::Done);
    assert_eq!(case.boot(0, 3), [serve(0, 3, Some(2)), done]);
}

#[test]
fn a_token_of_a_slot_that_is_taken_away_goes_to_the_next() {
    let mut case = roomy(2, 2);
    assert_eq!(case.leave_requested(1, 1), [need(1, 2)]);
    assert_eq!(case.leave_requested(0, 1), []);
    let out = resize(&mut case, 1);
    assert_eq!(out, [resized(1), SupervisorAction::Leave(key(1, 1)), need(0, 2)]);
    let release = SupervisorAction::ReleaseMemory(key(1, 2));
    assert_eq!(case.on(Event::MemoryReady(key(1, 2))), [release]);
}

#[test]
fn nobody_comes_or_goes_during_a_drain() {
    let mut case = roomy(2, 3);
    case.on(Event::Draining);
    assert_eq!(resize(&mut case, 3), []);
    assert_eq!(resize(&mut case, 1), []);
}

#[test]
fn nobody_boots_is_about_the_slots_that_are_wanted() {
    let mut case = Case::with(GroupSettings { slots: 1, slots_max: 3, ..GroupSettings::default() });
    case.start();
    let out = case.on(Event::MemoryFailed(key(0, 1)));
    let back_off =
        SupervisorAction::BackOff { kind: EVENT, slot: Slot(0), failures: 1, retry_after_ms: 100 };
    assert_eq!(out, [back_off, SupervisorAction::NobodyBoots(EVENT)]);
}
