//! Starting, dying, backing off, being condemned.

use super::SupervisorAction::NobodyBoots;
use super::*;
use crate::ids::Slot;

fn back_off(slot: u16, failures: u32, retry_after_ms: Millis) -> SupervisorAction {
    SupervisorAction::BackOff { kind: EVENT, slot: Slot(slot), failures, retry_after_ms }
}

#[test]
fn start_fills_all_slots_at_once() {
    let mut case = Case::new(2);
    assert!(case.is_settled());
    assert_eq!(case.on(Event::Tick), []);
    assert_eq!(case.start(), [need(0, 1), need(1, 1)]);
    assert_eq!(case.start(), []);
    assert_eq!(case.boot(1, 1), [serve(1, 1, None)]);
    assert_eq!(case.boot(0, 1), [serve(0, 1, None)]);
    assert!(case.is_settled(), "no wake-ups when idle");
}

#[test]
fn unknown_stale_and_untimely_news_is_ignored() {
    let mut case = Case::serving(1);
    for key in [key(0, 0), key(0, 2), key(7, 1)] {
        for event in [
            Event::MemoryReady(key),
            Event::MemoryFailed(key),
            Event::Forked(key),
            Event::ForkFailed(key),
            Event::Ready(key),
            Event::TookDelivery(key),
            Event::LeaveRequested(key, LeaveReason::Asked),
            Event::Condemned(key),
            Event::Exited(key, SIGKILL),
        ] {
            assert_eq!(case.on(event.clone()), [], "{event:?}");
        }
    }
    let known = key(0, 1);
    for event in [
        Event::MemoryReady(known),
        Event::MemoryFailed(known),
        Event::Forked(known),
        Event::ForkFailed(known),
        Event::Ready(known),
    ] {
        assert_eq!(case.on(event.clone()), [], "{event:?}");
    }
    assert!(case.is_settled());
}

#[test]
fn news_of_a_process_before_its_fork_is_ignored() {
    let mut case = Case::new(1);
    case.start();
    let early = key(0, 1);
    for event in [Event::Ready(early), Event::Exited(early, SIGKILL), Event::Condemned(early)] {
        assert_eq!(case.on(event.clone()), [], "{event:?}");
    }
    assert_eq!(case.boot(0, 1), [serve(0, 1, None)]);
}

#[test]
fn one_that_served_is_replaced_at_once() {
    let mut case = Case::serving(1);
    case.on(Event::TookDelivery(key(0, 1)));
    let out = case.on(Event::Exited(key(0, 1), SEGFAULT));
    let died = SupervisorAction::Died {
        worker: key(0, 1),
        exit: SEGFAULT,
        killed: None,
        took_delivery: true,
        expected: false,
    };
    assert_eq!(out, [died, need(0, 2)]);
}

#[test]
fn at_most_one_fork_per_interval() {
    let mut case = Case::serving(1);
    for generation in 1..20 {
        case.on(Event::TookDelivery(key(0, generation)));
        let out = case.exited(0, generation, SIGKILL);
        if generation == 1 {
            assert_eq!(out, [need(0, 2)]);
        } else {
            let reported =
                matches!(out.as_slice(), [] | [SupervisorAction::IntensityExceeded { .. }]);
            assert!(reported, "{out:?}");
            assert_eq!(case.wake_after(50), [need(0, generation + 1)]);
        }
        case.boot(0, generation + 1);
    }
}

#[test]
fn the_interval_is_between_forks_even_when_memory_is_slow() {
    let mut case = Case::new(1);
    case.start();
    case.pass(40);
    case.boot(0, 1);
    case.on(Event::TookDelivery(key(0, 1)));
    assert_eq!(case.exited(0, 1, SIGKILL), []);
    assert_eq!(case.wake_after(50), [need(0, 2)]);
}

#[test]
fn exit_0_unasked_is_replaced_and_no_boot_failure() {
    let mut case = Case::serving(1);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), [need(0, 2)]);
}

/// A storm of deaths at work, after starts that failed: no death makes its successor wait.
#[test]
fn deaths_at_work_never_back_off() {
    let mut case = Case::new(1);
    case.start();
    case.fork(0, 1);
    assert_eq!(case.exited(0, 1, SIGKILL), [back_off(0, 1, 100), NobodyBoots(EVENT)]);
    assert_eq!(case.wake_after(100), [need(0, 2)]);
    for generation in 2..40 {
        case.boot(0, generation);
        case.on(Event::TookDelivery(key(0, generation)));
        case.exited(0, generation, SEGFAULT);
        assert_eq!(case.wake_after(50), [need(0, generation + 1)]);
    }
}

#[test]
fn deaths_before_the_first_delivery_back_off() {
    let mut case = Case::serving(1);
    let mut generation = 1;
    for (failures, pause) in [(1, 100), (2, 200), (3, 400)] {
        let out = case.exited(0, generation, SIGKILL);
        assert_eq!(out, [back_off(0, failures, pause)]);
        generation += 1;
        assert_eq!(case.wake_after(pause), [need(0, generation)]);
        case.boot(0, generation);
    }
    // A delivery ends the series.
    case.on(Event::TookDelivery(key(0, generation)));
    case.pass(1_000);
    assert_eq!(case.exited(0, generation, SIGKILL), [need(0, generation + 1)]);
    case.fork(0, generation + 1);
    assert_eq!(case.exited(0, generation + 1, Exit::Code(0)), [back_off(0, 1, 100)]);
}

#[test]
fn memory_and_fork_failures_back_off() {
    let mut case = Case::new(1);
    case.start();
    assert_eq!(case.on(Event::MemoryFailed(key(0, 1))), [back_off(0, 1, 100), NobodyBoots(EVENT)]);
    assert_eq!(case.wake_after(100), [need(0, 2)]);
    assert_eq!(
        case.on(Event::MemoryReady(key(0, 2))),
        [SupervisorAction::Fork(key(0, 2), Code::Accepted)]
    );
    let out = case.on(Event::ForkFailed(key(0, 2)));
    assert_eq!(out, [SupervisorAction::ReleaseMemory(key(0, 2)), back_off(0, 2, 200)]);
    assert_eq!(case.wake_after(200), [need(0, 3)]);
}

#[test]
fn without_back_off_the_fork_interval_still_holds() {
    let mut case = Case::with(GroupSettings { back_off_min_ms: 0, ..GroupSettings::default() });
    case.start();
    assert_eq!(case.on(Event::MemoryFailed(key(0, 1))), [back_off(0, 1, 0), NobodyBoots(EVENT)]);
    assert_eq!(case.wake_after(50), [need(0, 2)]);
}

#[test]
fn one_that_does_not_get_ready_is_killed() {
    let mut case = Case::new(1);
    case.start();
    case.fork(0, 1);
    assert_eq!(case.wake_after(30_000), [kill(0, 1, KillCause::BootTimeout)]);
    assert!(case.is_settled(), "killed once; only its exit is waited for");
    assert_eq!(case.on(Event::Ready(key(0, 1))), [], "too late");
    let out = case.on(Event::Exited(key(0, 1), SIGKILL));
    let died = SupervisorAction::Died {
        worker: key(0, 1),
        exit: SIGKILL,
        killed: Some(KillCause::BootTimeout),
        took_delivery: false,
        expected: false,
    };
    assert_eq!(out, [died, back_off(0, 1, 100), NobodyBoots(EVENT)]);
}

#[test]
fn a_clock_that_jumps_back_stands_still() {
    let mut case = Case::new(1);
    case.start();
    case.fork(0, 1);
    let due = case.supervisor.deadline();
    case.now = 5;
    assert_eq!(case.on(Event::Tick), []);
    assert_eq!(case.supervisor.deadline(), due);
    assert_eq!(case.exited(0, 1, SIGKILL), [back_off(0, 1, 100), NobodyBoots(EVENT)]);
    assert_eq!(case.supervisor.deadline(), Some(1_100));
}

#[test]
fn a_time_out_of_for_ever_needs_no_timer() {
    let mut case =
        Case::with(GroupSettings { boot_timeout_ms: Millis::MAX, ..GroupSettings::default() });
    case.start();
    case.fork(0, 1);
    assert!(case.is_settled());
}

#[test]
fn a_condemned_process_dies_in_every_phase() {
    let condemned = |slot, generation| kill(slot, generation, KillCause::Condemned);
    let mut case = Case::new(1);
    case.start();
    let first = key(0, 1);
    case.on(Event::MemoryReady(first));
    assert_eq!(case.on(Event::Condemned(first)), [], "perhaps not forked yet");
    assert_eq!(case.on(Event::Forked(first)), [condemned(0, 1)]);
    assert_eq!(case.on(Event::Condemned(first)), []);
    assert_eq!(case.exited(0, 1, SIGKILL), [back_off(0, 1, 100), NobodyBoots(EVENT)]);
    case.wake_after(100);

    case.fork(0, 2);
    assert_eq!(case.on(Event::Condemned(key(0, 2))), [condemned(0, 2)]);
    assert_eq!(case.exited(0, 2, SIGKILL), [back_off(0, 2, 200)]);
    case.wake_after(200);

    case.boot(0, 3);
    case.on(Event::TookDelivery(key(0, 3)));
    assert_eq!(case.on(Event::Condemned(key(0, 3))), [condemned(0, 3)]);
    case.pass(1_000);
    let out = case.on(Event::Exited(key(0, 3), SIGKILL));
    let died = SupervisorAction::Died {
        worker: key(0, 3),
        exit: SIGKILL,
        killed: Some(KillCause::Condemned),
        took_delivery: true,
        expected: false,
    };
    assert_eq!(out, [died, need(0, 4)]);

    case.boot(0, 4);
    case.pass(1_000);
    case.on(Event::ReloadRequested);
    case.boot(0, 5);
    assert_eq!(case.on(Event::Condemned(key(0, 4))), [condemned(0, 4)], "leaving");
    assert!(case.is_settled(), "no second kill at the drain deadline");
    assert_eq!(case.exited(0, 4, SIGKILL), []);
}

#[test]
fn too_many_deaths_are_reported_once_per_period() {
    let settings = GroupSettings { restart_intensity: 2, ..GroupSettings::default() };
    let mut case = Case::serving_with(settings);
    let mut reports = 0;
    for generation in 1..=10 {
        case.on(Event::TookDelivery(key(0, generation)));
        case.pass(100);
        let out = case.exited(0, generation, SIGKILL);
        reports += out
            .iter()
            .filter(|action| {
                matches!(action, SupervisorAction::IntensityExceeded { deaths: 3, .. })
            })
            .count();
        assert_eq!(out.last(), Some(&need(0, generation + 1)));
        case.boot(0, generation + 1);
    }
    assert_eq!(reports, 1);
}

#[test]
fn a_server_without_workers() {
    let mut case = Case::new(0);
    assert_eq!(case.start(), []);
    assert_eq!(case.on(Event::ReloadRequested).len(), 2);
    assert_eq!(case.on(Event::ShutdownRequested { now: false }), [SupervisorAction::Finished]);
}

/// Nobody serves and nobody will: that is said once, when the last slot has failed, and not when
/// one has been ready.
#[test]
fn that_nobody_boots_is_said_when_every_slot_has_failed() {
    let mut case = Case::new(2);
    case.start();
    case.fork(0, 1);
    case.fork(1, 1);
    assert_eq!(case.exited(0, 1, Exit::Code(3)), [back_off(0, 1, 100)]);
    assert_eq!(case.wake_after(100), [need(0, 2)]);
    case.fork(0, 2);
    assert_eq!(case.exited(0, 2, Exit::Code(3)), [back_off(0, 2, 200)]);
    assert_eq!(case.exited(1, 1, Exit::Code(3)), [back_off(1, 1, 100), NobodyBoots(EVENT)]);
    case.wake_after(100);
    case.fork(1, 2);
    assert_eq!(case.exited(1, 2, Exit::Code(3)), [back_off(1, 2, 200)], "once");

    let mut case = Case::serving(2);
    assert_eq!(case.exited(0, 1, SIGKILL), [back_off(0, 1, 100)]);
    assert_eq!(case.exited(1, 1, SIGKILL), [back_off(1, 1, 100)], "they were ready before");
}
