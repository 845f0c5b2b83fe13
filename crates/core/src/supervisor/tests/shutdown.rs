//! The end, from every state.

use super::super::ReloadOutcome;
use super::super::group::Group;
use super::*;

const LEAVE: Event = Event::ShutdownRequested { now: false };
const NOW: Event = Event::ShutdownRequested { now: true };
const ABORTED: SupervisorAction =
    SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::ShuttingDown);

#[test]
fn processes_leave_and_the_end_is_told_once() {
    let mut case = Case::serving(2);
    assert_eq!(
        case.on(LEAVE),
        [SupervisorAction::Leave(key(0, 1)), SupervisorAction::Leave(key(1, 1))]
    );
    assert_eq!(case.on(LEAVE), []);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), []);
    let out = case.on(Event::Exited(key(1, 1), Exit::Code(0)));
    assert!(
        matches!(
            out.as_slice(),
            [SupervisorAction::Died { expected: true, .. }, SupervisorAction::Finished]
        ),
        "{out:?}"
    );
    for event in [Event::Tick, LEAVE, NOW, Event::Exited(key(1, 1), SIGKILL)] {
        assert_eq!(case.on(event), []);
    }
    assert!(case.is_settled());
}

#[test]
fn who_does_not_leave_is_killed() {
    let mut case = Case::serving(1);
    case.on(LEAVE);
    assert_eq!(case.wake_after(10_000), [kill(0, 1, KillCause::DrainTimeout)]);
    assert_eq!(case.exited(0, 1, SIGKILL), [SupervisorAction::Finished]);
}

#[test]
fn a_second_request_kills_all() {
    let mut case = Case::serving(2);
    case.on(LEAVE);
    case.exited(0, 1, Exit::Code(0));
    assert_eq!(case.on(NOW), [kill(1, 1, KillCause::Shutdown)]);
    assert_eq!(case.on(NOW), []);
    assert!(case.is_settled());
    assert_eq!(case.exited(1, 1, SIGKILL), [SupervisorAction::Finished]);
}

#[test]
fn at_once_kills_serving_leaving_and_starting() {
    let mut case = Case::serving(3);
    case.on(Event::ReloadRequested);
    case.boot(0, 2);
    case.fork(1, 2);
    assert_eq!(
        case.on(NOW),
        [
            ABORTED,
            kill(0, 2, KillCause::Shutdown),
            kill(0, 1, KillCause::Shutdown),
            kill(1, 2, KillCause::Shutdown),
            kill(1, 1, KillCause::Shutdown),
            kill(2, 1, KillCause::Shutdown),
        ]
    );
    for (slot, generation) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
        assert_eq!(case.exited(slot, generation, SIGKILL), []);
    }
    assert_eq!(case.exited(2, 1, SIGKILL), [SupervisorAction::Finished]);
}

#[test]
fn a_reload_is_given_up() {
    let mut case = Case::serving(1);
    case.on(Event::ReloadRequested);
    case.on(Event::ReloadRequested);
    case.fork(0, 2);
    let out = case.on(LEAVE);
    let killed = kill(0, 2, KillCause::ReloadAborted);
    assert_eq!(out, [ABORTED, killed, SupervisorAction::Leave(key(0, 1))]);
    assert_eq!(case.on(Event::Ready(key(0, 2))), [], "too late");
    assert_eq!(case.on(Event::ReloadRequested), [ABORTED]);
    let out = case.on(Event::Exited(key(0, 2), SIGKILL));
    assert!(matches!(out.as_slice(), [SupervisorAction::Died { expected: true, .. }]), "{out:?}");
    assert_eq!(case.exited(0, 1, Exit::Code(0)), [SupervisorAction::Finished]);
}

#[test]
fn a_start_that_waits_for_memory_is_dropped_and_the_memory_released() {
    let mut case = Case::new(1);
    case.start();
    assert_eq!(case.on(LEAVE), [SupervisorAction::Finished]);
    assert_eq!(
        case.on(Event::MemoryReady(key(0, 1))),
        [SupervisorAction::ReleaseMemory(key(0, 1))]
    );
}

#[test]
fn a_fork_under_way_is_waited_for() {
    let forking = || {
        let mut case = Case::new(1);
        case.start();
        case.on(Event::MemoryReady(key(0, 1)));
        assert_eq!(case.on(LEAVE), [], "perhaps there is a process");
        case
    };
    let mut case = forking();
    let out = case.on(Event::ForkFailed(key(0, 1)));
    assert_eq!(out, [SupervisorAction::ReleaseMemory(key(0, 1)), SupervisorAction::Finished]);

    let mut case = forking();
    assert_eq!(case.on(Event::Forked(key(0, 1))), [kill(0, 1, KillCause::Shutdown)]);
    assert_eq!(case.exited(0, 1, SIGKILL), [SupervisorAction::Finished]);
}

#[test]
fn crashes_and_requests_during_the_end_start_nothing() {
    let mut case = Case::serving(2);
    case.on(LEAVE);
    assert_eq!(case.leave_requested(0, 1), []);
    assert_eq!(case.exited(0, 1, SEGFAULT), []);
    assert_eq!(case.on(Event::Condemned(key(1, 1))), [kill(1, 1, KillCause::Condemned)]);
    assert_eq!(case.exited(1, 1, SIGKILL), [SupervisorAction::Finished]);
}

#[test]
fn recycling_ends_with_the_server() {
    let mut case = Case::serving(1);
    case.leave_requested(0, 1);
    case.on(Event::MemoryFailed(key(0, 2)));
    assert_eq!(case.on(NOW), [kill(0, 1, KillCause::Shutdown)]);
    assert!(case.is_settled(), "the retry is off");
}

#[test]
fn back_off_ends_with_the_server() {
    let mut case = Case::serving(1);
    case.exited(0, 1, SIGKILL);
    assert_eq!(case.on(LEAVE), [SupervisorAction::Finished]);
    assert!(case.is_settled());
}

#[test]
fn before_the_start() {
    let mut case = Case::new(1);
    assert_eq!(case.on(LEAVE), [SupervisorAction::Finished]);
    assert_eq!(case.start(), []);
}

/// There is one kind of process today; so the second group is of the same, and told apart by its
/// place.
#[test]
fn groups_stop_one_after_another_and_the_later_ones_are_kept_alive_until_then() {
    let mut case = Case::serving(1);
    let mut later = Group::new(EVENT, GroupSettings::default());
    let (first, second, mut out) = (key(0, 1), key(0, 2), Vec::new());
    later.start();
    later.pass_to(case.now);
    later.reconcile(&mut out);
    later.memory_ready(first, &mut out);
    later.forked(first, &mut out);
    later.ready(first, &mut out);
    later.took_delivery(first);
    case.supervisor.groups.push(later);

    let leave = [SupervisorAction::Leave(first)];
    assert_eq!(case.on(Event::ShutdownRequested { now: false }), leave);
    case.now += 1_000;
    out.clear();
    case.supervisor.groups[1].exited(first, SIGKILL, &mut out);
    assert_eq!(case.on(Event::Tick), [need(0, 2)], "the later group still serves");
    for event in [Group::memory_ready, Group::forked, Group::ready] {
        event(&mut case.supervisor.groups[1], second, &mut out);
    }
    assert_eq!(case.exited(0, 1, Exit::Code(0)), [SupervisorAction::Leave(second)]);
    out.clear();
    case.supervisor.groups[1].exited(second, Exit::Code(0), &mut out);
    assert_eq!(case.on(Event::Tick), [SupervisorAction::Finished]);
}
