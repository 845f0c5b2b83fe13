//! Recycling: tokens, order, retries, and a reload that comes in between.

use super::super::ReloadOutcome;
use super::*;
use crate::ids::Slot;

#[test]
fn a_successor_first_then_the_old_one_leaves() {
    let mut case = Case::serving(1);
    assert_eq!(case.leave_requested(0, 1), [need(0, 2)]);
    assert_eq!(case.leave_requested(0, 1), [], "asking twice");
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1))]);
    assert_eq!(case.leave_requested(0, 1), [], "leaves already");
    assert_eq!(case.exited(0, 1, Exit::Code(0)), []);
    assert!(case.is_settled());
}

#[test]
fn tokens_bound_how_many_and_others_wait_in_order() {
    let mut case = Case::serving(3);
    assert_eq!(case.leave_requested(2, 1), [need(2, 2)]);
    assert_eq!(case.leave_requested(1, 1), []);
    assert_eq!(case.leave_requested(0, 1), []);
    assert_eq!(case.boot(2, 2), [serve(2, 2, Some(1))], "token held until the old one is gone");
    assert_eq!(case.exited(2, 1, Exit::Code(0)), [need(1, 2)]);
    case.boot(1, 2);
    assert_eq!(case.exited(1, 1, Exit::Code(0)), [need(0, 2)]);
}

#[test]
fn several_tokens() {
    let mut case = Case::serving_with(GroupSettings {
        slots: 3,
        recycle_at_once: 2,
        ..GroupSettings::default()
    });
    assert_eq!(case.leave_requested(0, 1), [need(0, 2)]);
    assert_eq!(case.leave_requested(1, 1), [need(1, 2)]);
    assert_eq!(case.leave_requested(2, 1), []);
}

#[test]
fn no_tokens_count_as_one() {
    let mut case =
        Case::serving_with(GroupSettings { recycle_at_once: 0, ..GroupSettings::default() });
    assert_eq!(case.leave_requested(0, 1), [need(0, 2)]);
}

#[test]
fn a_failed_successor_is_retried_with_back_off_and_others_pass() {
    let mut case = Case::serving(2);
    case.leave_requested(0, 1);
    case.leave_requested(1, 1);
    let back_off = |failures, retry_after_ms| SupervisorAction::BackOff {
        kind: EVENT,
        slot: Slot(0),
        failures,
        retry_after_ms,
    };
    let out = case.on(Event::MemoryFailed(key(0, 2)));
    assert_eq!(out, [back_off(1, 100), need(1, 2)]);
    assert!(case.is_settled(), "the token is taken: only an event helps");
    case.boot(1, 2);
    assert_eq!(case.exited(1, 1, Exit::Code(0)), []);
    assert_eq!(case.wake_after(100), [need(0, 3)]);
    case.fork(0, 3);
    assert_eq!(case.exited(0, 3, SEGFAULT), [back_off(2, 200)]);
    assert_eq!(case.wake_after(200), [need(0, 4)]);
    assert_eq!(case.boot(0, 4), [serve(0, 4, Some(1))]);
}

#[test]
fn pauses_of_recycling_do_not_hold_up_a_crashed_slot() {
    let mut case = Case::serving(1);
    case.on(Event::TookDelivery(key(0, 1)));
    case.leave_requested(0, 1);
    case.on(Event::MemoryFailed(key(0, 2)));
    case.now += 60;
    assert_eq!(case.exited(0, 1, SIGKILL), [need(0, 3)]);
    assert_eq!(case.boot(0, 3), [serve(0, 3, None)]);
    assert!(case.is_settled(), "the request died with its process");
}

#[test]
fn a_death_while_the_successor_boots_gives_the_token_back() {
    let mut case = Case::serving(2);
    case.on(Event::TookDelivery(key(0, 1)));
    case.leave_requested(0, 1);
    case.leave_requested(1, 1);
    assert_eq!(case.exited(0, 1, SIGKILL), [need(1, 2)]);
    assert_eq!(case.boot(0, 2), [serve(0, 2, None)]);
}

#[test]
fn a_request_before_ready_is_served_when_ready() {
    let mut case = Case::new(1);
    case.start();
    case.fork(0, 1);
    assert_eq!(case.leave_requested(0, 1), []);
    assert_eq!(case.on(Event::Ready(key(0, 1))), [serve(0, 1, None)]);
    assert_eq!(case.wake_after(50), [need(0, 2)]);
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1))]);
}

#[test]
fn a_request_before_ready_is_remembered_when_it_exits() {
    let mut case = Case::new(1);
    case.start();
    case.fork(0, 1);
    case.leave_requested(0, 1);
    case.on(Event::Ready(key(0, 1)));
    let out = case.on(Event::Exited(key(0, 1), Exit::Code(0)));
    assert!(matches!(out.as_slice(), [SupervisorAction::Died { expected: true, .. }]), "{out:?}");
}

#[test]
fn a_reload_that_replaces_it_is_enough() {
    let mut case = Case::serving(2);
    case.on(Event::ReloadRequested);
    assert_eq!(case.leave_requested(1, 1), []);
    assert_eq!(case.leave_requested(0, 1), []);
    case.boot(0, 2);
    let out = case.boot(1, 2);
    assert_eq!(
        out,
        [serve(1, 2, Some(1)), SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::Done)]
    );
    case.exited(0, 1, Exit::Code(0));
    case.exited(1, 1, Exit::Code(0));
    assert!(case.is_settled());
}

#[test]
fn a_request_outlives_a_failed_reload() {
    let mut case = Case::serving(2);
    case.on(Event::ReloadRequested);
    case.leave_requested(1, 1);
    let out = case.on(Event::MemoryFailed(key(0, 2)));
    let failed = SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::CanaryFailed(Slot(0)));
    assert_eq!(out, [failed, need(1, 2)]);
}

#[test]
fn a_reload_waits_for_a_recycling_under_way_and_then_replaces_its_result() {
    let mut case = Case::serving(1);
    case.leave_requested(0, 1);
    assert_eq!(case.on(Event::ReloadRequested), [SupervisorAction::ReloadStarted(EVENT)]);
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1))]);
    case.pass(1_000);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), [need(0, 3)]);
    let out = case.boot(0, 3);
    assert_eq!(
        out,
        [serve(0, 3, Some(2)), SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::Done)]
    );
}

#[test]
fn the_next_recycling_waits_until_the_predecessor_is_gone() {
    let mut case =
        Case::serving_with(GroupSettings { recycle_at_once: 9, ..GroupSettings::default() });
    case.leave_requested(0, 1);
    case.boot(0, 2);
    case.pass(1_000);
    assert_eq!(case.leave_requested(0, 2), []);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), [need(0, 3)]);
}

#[test]
fn who_cannot_use_a_token_lets_others_pass() {
    // Slot 0: the predecessor still leaves (and not for recycling, so it holds no token).
    let mut case = Case::serving(2);
    case.on(Event::ReloadRequested);
    case.boot(0, 2);
    case.boot(1, 2);
    case.exited(1, 1, Exit::Code(0));
    case.pass(1_000);
    assert_eq!(case.leave_requested(0, 2), []);
    assert_eq!(case.leave_requested(1, 2), [need(1, 3)]);

    // Slot 0: the process was killed and is about to be replaced as a crash.
    let mut case = Case::serving(2);
    case.on(Event::Condemned(key(0, 1)));
    assert_eq!(case.leave_requested(0, 1), []);
    assert_eq!(case.leave_requested(1, 1), [need(1, 2)]);
}

#[test]
fn exit_0_after_asking_is_expected() {
    let mut case = Case::serving(1);
    case.on(Event::ReloadRequested);
    case.leave_requested(0, 1);
    let out = case.on(Event::Exited(key(0, 1), Exit::Code(0)));
    assert!(matches!(out.as_slice(), [SupervisorAction::Died { expected: true, .. }]), "{out:?}");
}

#[test]
fn nobody_is_recycled_during_a_drain() {
    let mut case = Case::serving(3);
    assert_eq!(case.leave_requested(0, 1), [need(0, 2)]);
    assert_eq!(case.on(Event::Draining), []);
    for slot in [1, 2] {
        assert_eq!(case.leave_requested(slot, 1), []);
    }
    // What has begun is finished, and its token goes to nobody.
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1))]);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), []);
    assert!(case.is_settled());
    // Who dies is replaced: there may be work for it.
    case.on(Event::TookDelivery(key(1, 1)));
    assert_eq!(case.exited(1, 1, SIGKILL), [need(1, 2)]);
    let leave =
        [0, 2].map(|slot| SupervisorAction::Leave(key(slot, if slot == 0 { 2 } else { 1 })));
    assert_eq!(case.on(Event::ShutdownRequested { now: false }), leave);
}

fn aging(slots: u16, age_max_ms: Millis) -> Case {
    let settings =
        GroupSettings { slots, age_max_ms: Some(age_max_ms), ..GroupSettings::default() };
    Case::serving_with(settings)
}

#[test]
fn who_has_served_for_long_enough_is_replaced_without_asking() {
    let mut case = aging(1, 10_000);
    // One second has passed since it began to serve.
    assert_eq!(case.wake_after(9_000), [need(0, 2)]);
    assert_eq!(case.recycled, [(key(0, 1), LeaveReason::Age)]);
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1))]);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), []);
    assert_eq!(case.wake_after(10_000), [need(0, 3)], "each serves as long");
}

#[test]
fn ages_are_spread_over_the_slots_and_none_is_older_than_the_maximum() {
    let mut case = aging(4, 8_000);
    let mut order = Vec::new();
    let begin = case.now - 1_000;
    while order.len() < 4 {
        let now = case.supervisor.deadline().unwrap();
        let out = case.wake_after(now - case.now);
        let [SupervisorAction::NeedMemory(key)] = out[..] else { panic!("{out:?}") };
        order.push((key.slot.0, case.now - begin));
        case.boot(key.slot.0, 2);
        case.exited(key.slot.0, 1, Exit::Code(0));
    }
    assert_eq!(order, [(3, 5_000), (2, 6_000), (1, 7_000), (0, 8_000)]);
}

#[test]
fn who_is_old_waits_for_a_token_and_is_asked_once() {
    let mut case = aging(2, 8_000);
    case.leave_requested(0, 1);
    case.on(Event::MemoryReady(key(0, 2)));
    case.on(Event::Forked(key(0, 2)));
    case.now += 20_000;
    assert_eq!(case.on(Event::Tick), [], "the token is taken");
    assert_eq!(case.on(Event::Ready(key(0, 2))), [serve(0, 2, Some(1))]);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), [need(1, 2)]);
    assert_eq!(case.recycled.len(), 2);
}

#[test]
fn the_age_of_who_is_leaving_or_ends_wakes_nobody() {
    let mut case = aging(1, 8_000);
    case.on(Event::ShutdownRequested { now: false });
    assert_eq!(case.supervisor.deadline(), Some(case.now + 10_000), "the drain alone");
    let mut case = aging(1, Millis::MAX);
    assert!(case.is_settled(), "an age that is never reached");
    assert_eq!(case.leave_requested(0, 1), [need(0, 2)]);
}

#[test]
fn who_has_grown_is_replaced_only_when_it_has_worked() {
    let mut case = Case::serving(1);
    let grown = Event::LeaveRequested(key(0, 1), LeaveReason::Memory);
    assert_eq!(case.on(grown.clone()), [], "its successor would be as large");
    case.on(Event::TookDelivery(key(0, 1)));
    assert_eq!(case.on(grown.clone()), [need(0, 2)]);
    assert_eq!(case.on(grown), [], "asking twice");
    assert_eq!(case.recycled, [(key(0, 1), LeaveReason::Memory)]);
}

#[test]
fn who_is_too_large_is_killed_and_that_is_no_good_order() {
    let mut case = Case::serving(1);
    case.on(Event::TookDelivery(key(0, 1)));
    assert_eq!(case.on(Event::TooLarge(key(0, 1))), [kill(0, 1, KillCause::Memory)]);
    assert_eq!(case.on(Event::TooLarge(key(0, 1))), [], "once");
    let out = case.on(Event::Exited(key(0, 1), SIGKILL));
    assert!(matches!(
        out.as_slice(),
        [
            SupervisorAction::Died { expected: false, killed: Some(KillCause::Memory), .. },
            SupervisorAction::NeedMemory(_)
        ]
    ));
    // Also one that is not ready yet, or leaves.
    let mut case = Case::new(1);
    case.start();
    case.fork(0, 1);
    assert_eq!(case.on(Event::TooLarge(key(0, 1))), [kill(0, 1, KillCause::Memory)]);
    let mut case = Case::serving(1);
    case.leave_requested(0, 1);
    case.boot(0, 2);
    assert_eq!(case.on(Event::TooLarge(key(0, 1))), [kill(0, 1, KillCause::Memory)]);
}
