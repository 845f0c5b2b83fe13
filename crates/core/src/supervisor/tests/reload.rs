//! Reload: canary, order, failures, follow-up.

use super::super::ReloadOutcome;
use super::*;
use crate::ids::Slot;

fn finished(outcome: ReloadOutcome) -> SupervisorAction {
    SupervisorAction::ReloadFinished(EVENT, outcome)
}

const DONE: SupervisorAction = SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::Done);

#[test]
fn slots_are_replaced_one_after_another_successor_first() {
    let mut case = Case::serving(2);
    assert_eq!(
        case.on(Event::ReloadRequested),
        [SupervisorAction::ReloadStarted(EVENT), need(0, 2)]
    );
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1)), need(1, 2)]);
    assert_eq!(case.boot(1, 2), [serve(1, 2, Some(1)), DONE]);
    let out = case.on(Event::Exited(key(0, 1), Exit::Code(0)));
    let died = SupervisorAction::Died {
        worker: key(0, 1),
        exit: Exit::Code(0),
        killed: None,
        took_delivery: false,
        expected: true,
    };
    assert_eq!(out, [died]);
    assert_eq!(case.exited(1, 1, Exit::Code(0)), []);
    assert!(case.is_settled());
}

#[test]
fn one_that_does_not_leave_is_killed() {
    let mut case = Case::serving(1);
    case.on(Event::ReloadRequested);
    case.boot(0, 2);
    assert_eq!(case.wake_after(10_000), [kill(0, 1, KillCause::DrainTimeout)]);
    assert!(case.is_settled());
    let out = case.on(Event::Exited(key(0, 1), SIGKILL));
    assert!(
        matches!(
            out.as_slice(),
            [SupervisorAction::Died { expected: true, killed: Some(KillCause::DrainTimeout), .. }]
        ),
        "{out:?}"
    );
}

#[test]
fn a_crash_while_leaving_is_unexpected_but_needs_nothing() {
    let mut case = Case::serving(1);
    case.on(Event::ReloadRequested);
    case.boot(0, 2);
    let out = case.on(Event::Exited(key(0, 1), SEGFAULT));
    assert!(matches!(out.as_slice(), [SupervisorAction::Died { expected: false, .. }]), "{out:?}");
    assert!(case.is_settled());
}

#[test]
fn a_canary_that_fails_ends_the_reload_and_nothing_else() {
    let failed = || finished(ReloadOutcome::CanaryFailed(Slot(0)));
    let reloading = || {
        let mut case = Case::serving(2);
        case.on(Event::ReloadRequested);
        case
    };

    let mut case = reloading();
    assert_eq!(case.on(Event::MemoryFailed(key(0, 2))), [failed()]);
    assert!(case.is_settled(), "no back-off: the old generation serves");

    let mut case = reloading();
    case.on(Event::MemoryReady(key(0, 2)));
    let out = case.on(Event::ForkFailed(key(0, 2)));
    assert_eq!(out, [SupervisorAction::ReleaseMemory(key(0, 2)), failed()]);
    assert!(case.is_settled());

    for exit in [SEGFAULT, Exit::Code(1), Exit::Code(0)] {
        let mut case = reloading();
        case.fork(0, 2);
        assert_eq!(case.exited(0, 2, exit), [failed()]);
        assert!(case.is_settled());
    }

    let mut case = reloading();
    case.fork(0, 2);
    assert_eq!(case.wake_after(30_000), [kill(0, 2, KillCause::BootTimeout)]);
    assert_eq!(case.exited(0, 2, SIGKILL), [failed()]);
    assert!(case.is_settled());
}

#[test]
fn a_later_failure_leaves_the_reload_partial() {
    let mut case = Case::serving(3);
    case.on(Event::ReloadRequested);
    case.boot(0, 2);
    case.fork(1, 2);
    assert_eq!(case.exited(1, 2, SEGFAULT), [finished(ReloadOutcome::Partial(Slot(1)))]);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), []);
    assert!(case.is_settled());
}

#[test]
fn requests_during_a_reload_become_one_follow_up() {
    let mut case = Case::serving(1);
    case.on(Event::ReloadRequested);
    assert_eq!(case.on(Event::ReloadRequested), []);
    assert_eq!(case.on(Event::ReloadRequested), []);
    let out = case.boot(0, 2);
    assert_eq!(out, [serve(0, 2, Some(1)), DONE, SupervisorAction::ReloadStarted(EVENT)]);
    // Decision 17: the follow-up waits for the predecessor to be gone, and for the fork interval.
    case.pass(1_000);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), [need(0, 3)]);
    assert_eq!(case.boot(0, 3), [serve(0, 3, Some(2)), DONE]);
}

#[test]
fn a_failed_reload_does_not_swallow_the_follow_up() {
    let mut case = Case::serving(1);
    case.on(Event::ReloadRequested);
    case.on(Event::ReloadRequested);
    case.fork(0, 2);
    case.now += 100;
    let failed = finished(ReloadOutcome::CanaryFailed(Slot(0)));
    assert_eq!(
        case.exited(0, 2, SEGFAULT),
        [failed, SupervisorAction::ReloadStarted(EVENT), need(0, 3)]
    );
}

#[test]
fn the_canary_is_a_slot_that_serves() {
    let mut case = Case::serving(2);
    case.exited(0, 1, SIGKILL);
    // Slot 0 is in back-off.
    assert_eq!(
        case.on(Event::ReloadRequested),
        [SupervisorAction::ReloadStarted(EVENT), need(1, 2)]
    );
    case.fork(1, 2);
    let out = case.exited(1, 2, SEGFAULT);
    assert_eq!(out, [finished(ReloadOutcome::CanaryFailed(Slot(1)))]);
    assert_eq!(case.wake_after(100), [need(0, 2)]);
}

#[test]
fn a_reload_does_not_wait_for_the_back_off_of_an_empty_slot() {
    let mut case = Case::serving(1);
    case.exited(0, 1, SIGKILL);
    assert_eq!(
        case.on(Event::ReloadRequested),
        [SupervisorAction::ReloadStarted(EVENT), need(0, 2)]
    );
    case.fork(0, 2);
    let out = case.exited(0, 2, SEGFAULT);
    let back_off =
        SupervisorAction::BackOff { kind: EVENT, slot: Slot(0), failures: 2, retry_after_ms: 200 };
    assert_eq!(out, [back_off, finished(ReloadOutcome::CanaryFailed(Slot(0)))]);
}

#[test]
fn a_crash_of_the_slot_being_reloaded_is_an_ordinary_crash() {
    let mut case = Case::serving(1);
    case.on(Event::TookDelivery(key(0, 1)));
    case.on(Event::ReloadRequested);
    case.fork(0, 2);
    assert_eq!(case.exited(0, 1, SIGKILL), [], "the successor is under way already");
    assert_eq!(case.on(Event::Ready(key(0, 2))), [serve(0, 2, None), DONE]);
}

#[test]
fn a_crash_elsewhere_is_refilled_and_counts_as_reloaded() {
    let mut case = Case::serving(2);
    case.on(Event::TookDelivery(key(1, 1)));
    case.on(Event::ReloadRequested);
    assert_eq!(case.exited(1, 1, SIGKILL), [need(1, 2)]);
    assert_eq!(case.boot(1, 2), [serve(1, 2, None)]);
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1)), DONE]);
}

#[test]
fn a_boot_from_before_the_reload_is_replaced_and_its_failure_is_not_the_reloads() {
    let mut case = Case::new(1);
    case.start();
    case.fork(0, 1);
    assert_eq!(case.on(Event::ReloadRequested), [SupervisorAction::ReloadStarted(EVENT)]);
    case.pass(60);
    let out = case.exited(0, 1, SEGFAULT);
    let back_off = matches!(out.first(), Some(SupervisorAction::BackOff { .. }));
    assert!(back_off && out[1..] == [SupervisorAction::NobodyBoots(EVENT), need(0, 2)], "{out:?}");
    assert_eq!(case.boot(0, 2), [serve(0, 2, None), DONE]);
}

#[test]
fn a_condemned_predecessor_is_handed_over_without_a_second_kill() {
    let mut case = Case::serving(1);
    case.on(Event::ReloadRequested);
    case.fork(0, 2);
    assert_eq!(case.on(Event::Condemned(key(0, 1))), [kill(0, 1, KillCause::Condemned)]);
    assert_eq!(case.on(Event::Ready(key(0, 2))), [serve(0, 2, Some(1)), DONE]);
    assert!(case.is_settled());
    assert_eq!(case.exited(0, 1, SIGKILL), []);
}

#[test]
fn a_request_before_the_start_is_kept() {
    let mut case = Case::new(1);
    assert_eq!(case.on(Event::ReloadRequested), []);
    assert_eq!(case.start(), [SupervisorAction::ReloadStarted(EVENT), need(0, 1)]);
    assert_eq!(case.boot(0, 1), [serve(0, 1, None), DONE]);
}

/// Some that serve, of which `reload_at_once` are reloaded at once.
fn in_parallel(slots: u16, reload_at_once: u16) -> Case {
    Case::serving_with(GroupSettings { slots, reload_at_once, ..GroupSettings::default() })
}

#[test]
fn some_slots_are_reloaded_at_once_when_the_canary_serves() {
    let mut case = in_parallel(4, 2);
    let begins = [SupervisorAction::ReloadStarted(EVENT), need(0, 2)];
    assert_eq!(case.on(Event::ReloadRequested), begins, "the canary is alone");
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1)), need(1, 2), need(2, 2)]);
    case.fork(1, 2);
    // Whoever is through makes room for the next.
    assert_eq!(case.boot(2, 2), [serve(2, 2, Some(1)), need(3, 2)]);
    assert_eq!(case.boot(3, 2), [serve(3, 2, Some(1))]);
    assert_eq!(case.on(Event::Ready(key(1, 2))), [serve(1, 2, Some(1)), DONE]);
    assert_eq!(case.reloaded, [(0, true), (1, true), (2, true), (3, true)]);
}

#[test]
fn a_failure_ends_what_starts_beside_it_and_says_who_is_new() {
    let mut case = in_parallel(5, 4);
    case.on(Event::ReloadRequested);
    case.boot(0, 2);
    // One serves, one fails; one is forked, one waits for memory.
    case.boot(2, 2);
    case.fork(1, 2);
    case.fork(3, 2);
    let out = case.exited(3, 2, SEGFAULT);
    let partial = finished(ReloadOutcome::Partial(Slot(3)));
    assert_eq!(out, [kill(1, 2, KillCause::ReloadAborted), partial]);
    assert_eq!(case.reloaded, [(0, true), (1, false), (2, true), (3, false), (4, false)]);
    assert_eq!(case.exited(1, 2, SIGKILL), [], "its predecessor serves");
    let out = case.on(Event::MemoryReady(key(4, 2)));
    assert_eq!(out, [SupervisorAction::ReleaseMemory(key(4, 2))]);
    for slot in [0, 2] {
        assert_eq!(case.exited(slot, 1, Exit::Code(0)), []);
    }
    assert!(case.is_settled());
}

/// Its end says nothing of its code, so its slot does not wait.
#[test]
fn one_that_was_aborted_and_has_lost_its_predecessor_is_followed_at_once() {
    let mut case = in_parallel(3, 2);
    case.on(Event::TookDelivery(key(1, 1)));
    case.on(Event::ReloadRequested);
    case.boot(0, 2);
    case.fork(1, 2);
    case.fork(2, 2);
    case.exited(2, 2, SEGFAULT);
    assert_eq!(case.exited(1, 1, SIGKILL), []);
    case.pass(50);
    assert_eq!(case.exited(1, 2, SIGKILL), [need(1, 3)]);
}

#[test]
fn who_asked_learns_what_became_of_each_slot() {
    let mut case = Case::serving(3);
    case.on(Event::ReloadRequested);
    case.boot(0, 2);
    case.fork(1, 2);
    case.exited(1, 2, SEGFAULT);
    assert_eq!(case.reloaded, [(0, true), (1, false), (2, false)]);
    case.pass(1_000);
    case.on(Event::ReloadRequested);
    // The canary is another one than the first: those below it are not new.
    let mut case = Case::serving(3);
    case.exited(0, 1, SIGKILL);
    case.on(Event::ReloadRequested);
    case.boot(1, 2);
    case.fork(0, 2);
    case.exited(0, 2, SEGFAULT);
    assert_eq!(case.reloaded, [(0, false), (1, true), (2, false)]);
}

/// Two slots that serve, of a server that can start the code that was accepted last.
fn keeping_accepted() -> Case {
    let settings = GroupSettings { slots: 2, keeps_accepted: true, ..GroupSettings::default() };
    let mut case = Case::serving_with(settings);
    case.on(Event::TookDelivery(key(0, 1)));
    case.on(Event::TookDelivery(key(1, 1)));
    case
}

#[test]
fn whoever_dies_before_the_canary_serves_comes_back_with_the_accepted_code_and_is_reloaded() {
    let mut case = keeping_accepted();
    case.on(Event::ReloadRequested);
    assert_eq!(case.exited(1, 1, SIGKILL), [need(1, 2)]);
    assert_eq!(case.fork_of(1, 2), Code::Accepted);
    assert_eq!(case.on(Event::Ready(key(1, 2))), [serve(1, 2, None)]);
    assert_eq!(case.fork_of(0, 2), Code::Candidate);
    case.pass(50);
    assert_eq!(case.on(Event::Ready(key(0, 2))), [serve(0, 2, Some(1)), need(1, 3)]);
    assert_eq!(case.fork_of(1, 3), Code::Candidate);
    assert_eq!(case.on(Event::Ready(key(1, 3))), [serve(1, 3, Some(2)), DONE]);
}

#[test]
fn whoever_dies_after_the_canary_serves_comes_back_with_the_new_code_and_is_through() {
    let mut case = keeping_accepted();
    case.on(Event::ReloadRequested);
    assert_eq!(case.fork_of(0, 2), Code::Candidate);
    assert_eq!(case.on(Event::Ready(key(0, 2))), [serve(0, 2, Some(1)), need(1, 2)]);
    assert_eq!(case.exited(1, 1, SIGKILL), []);
    assert_eq!(case.fork_of(1, 2), Code::Candidate);
    assert_eq!(case.on(Event::Ready(key(1, 2))), [serve(1, 2, None), DONE]);
}

#[test]
fn a_death_outside_of_a_reload_is_replaced_by_the_accepted_code() {
    let mut case = keeping_accepted();
    case.on(Event::ReloadRequested);
    case.fork(0, 2);
    let failed = finished(ReloadOutcome::CanaryFailed(Slot(0)));
    assert_eq!(case.exited(0, 2, SEGFAULT), [failed]);
    assert_eq!(case.exited(1, 1, SIGKILL), [need(1, 2)]);
    assert_eq!(case.fork_of(1, 2), Code::Accepted);
}

/// Where there is one code, a death during a reload has brought it already.
#[test]
fn without_an_accepted_code_everybody_runs_the_newest() {
    let mut case = Case::serving(2);
    case.on(Event::TookDelivery(key(1, 1)));
    case.on(Event::ReloadRequested);
    assert_eq!(case.exited(1, 1, SIGKILL), [need(1, 2)]);
    assert_eq!(case.fork_of(1, 2), Code::Candidate);
}

/// The memory for a start may come when the reload that it was begun in is over.
#[test]
fn a_start_from_before_a_reload_runs_the_accepted_code() {
    let mut case = keeping_accepted();
    assert_eq!(case.exited(1, 1, SIGKILL), [need(1, 2)]);
    case.on(Event::ReloadRequested);
    assert_eq!(case.fork_of(1, 2), Code::Accepted);
    assert_eq!(case.boot(0, 2), [serve(0, 2, Some(1))]);
    case.pass(50);
    assert_eq!(case.on(Event::Ready(key(1, 2))), [serve(1, 2, None), need(1, 3)]);
    assert_eq!(case.fork_of(1, 3), Code::Candidate);
}
