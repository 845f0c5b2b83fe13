//! Single processes that are replaced on request.

use super::super::{ReloadOutcome, Restart, SingleSettings};
use super::*;
use crate::ids::Slot;

const USER: ProcessKind = ProcessKind::User;
const STARTED: SupervisorAction = SupervisorAction::ReloadStarted(USER);

fn finished(outcome: ReloadOutcome) -> SupervisorAction {
    SupervisorAction::ReloadFinished(USER, outcome)
}

fn need(slot: u16, generation: u32) -> SupervisorAction {
    SupervisorAction::NeedMemory(ProcessKey::user(slot, generation))
}

fn leave(slot: u16, generation: u32) -> SupervisorAction {
    SupervisorAction::Leave(ProcessKey::user(slot, generation))
}

/// A worker and two user processes that serve.
fn serving(restart: Restart) -> Case {
    let single =
        SingleSettings { restart, back_off_min_ms: 100, back_off_max_ms: 800, is_reloaded: false };
    let user = GroupSettings { slots: 2, singles: vec![single; 2], ..GroupSettings::default() };
    let mut case = Case::of(Settings { user, ..Settings::default() });
    case.start();
    case.boot(0, 1);
    for slot in 0..2 {
        begin(&mut case, slot, 1);
        case.on(Event::Ready(ProcessKey::user(slot, 1)));
    }
    case.pass(1_000);
    case
}

fn begin(case: &mut Case, slot: u16, generation: u32) {
    let key = ProcessKey::user(slot, generation);
    case.on(Event::MemoryReady(key));
    assert_eq!(case.on(Event::Forked(key)), []);
}

fn ready(case: &mut Case, slot: u16, generation: u32) -> Vec<SupervisorAction> {
    begin(case, slot, generation);
    let mut out = case.on(Event::Ready(ProcessKey::user(slot, generation)));
    assert!(matches!(out.remove(0), SupervisorAction::Serve { leave: None, .. }));
    out
}

fn ends(case: &mut Case, slot: u16, generation: u32, exit: Exit) -> Vec<SupervisorAction> {
    let mut out = case.on(Event::Exited(ProcessKey::user(slot, generation), exit));
    assert!(matches!(out.remove(0), SupervisorAction::Died { .. }));
    out
}

#[test]
fn all_leave_at_once_and_each_comes_back_when_it_has_ended() {
    let mut case = serving(Restart::Always);
    let out = case.on(Event::RenewalRequested(USER, None));
    assert_eq!(out, [STARTED, leave(0, 1), leave(1, 1)], "and no worker");
    assert_eq!(ends(&mut case, 1, 1, Exit::Code(0)), [need(1, 2)]);
    assert_eq!(ready(&mut case, 1, 2), []);
    assert_eq!(ends(&mut case, 0, 1, SIGKILL), [need(0, 2)]);
    assert_eq!(ready(&mut case, 0, 2), [finished(ReloadOutcome::Done)]);
    assert_eq!(case.reloaded, [(0, true), (1, true)]);
    assert!(case.is_settled());
}

#[test]
fn one_alone_is_replaced_whatever_its_policy_says() {
    let mut case = serving(Restart::Never);
    let out = case.on(Event::RenewalRequested(USER, Some(Slot(1))));
    assert_eq!(out, [STARTED, leave(1, 1)]);
    assert_eq!(ends(&mut case, 1, 1, Exit::Code(0)), [need(1, 2)]);
    assert_eq!(ready(&mut case, 1, 2), [finished(ReloadOutcome::Done)]);
    assert_eq!(case.reloaded, [(1, true)]);
}

#[test]
fn one_that_was_over_begins_again() {
    let mut case = serving(Restart::Never);
    let over = SupervisorAction::Retired(ProcessKey::user(0, 1));
    assert_eq!(ends(&mut case, 0, 1, Exit::Code(0)), [over]);
    let out = case.on(Event::RenewalRequested(USER, Some(Slot(0))));
    assert_eq!(out, [STARTED, need(0, 2)]);
    assert_eq!(ready(&mut case, 0, 2), [finished(ReloadOutcome::Done)]);
}

#[test]
fn one_that_cannot_start_is_told_and_tried_again_later() {
    let mut case = serving(Restart::Always);
    case.on(Event::RenewalRequested(USER, None));
    ends(&mut case, 0, 1, Exit::Code(0));
    ends(&mut case, 1, 1, Exit::Code(0));
    assert_eq!(ready(&mut case, 0, 2), []);
    begin(&mut case, 1, 2);
    let out = ends(&mut case, 1, 2, SEGFAULT);
    let partial = finished(ReloadOutcome::Partial(Slot(1)));
    assert!(matches!(out[..], [SupervisorAction::BackOff { .. }, ref told] if *told == partial));
    assert_eq!(case.reloaded, [(0, true), (1, false)]);
    assert_eq!(case.wake_after(100), [need(1, 3)]);
}

#[test]
fn requests_meanwhile_become_one_more() {
    let mut case = serving(Restart::Always);
    case.on(Event::RenewalRequested(USER, Some(Slot(0))));
    assert_eq!(case.on(Event::RenewalRequested(USER, Some(Slot(1)))), []);
    assert_eq!(case.on(Event::RenewalRequested(USER, None)), []);
    ends(&mut case, 0, 1, Exit::Code(0));
    let done = finished(ReloadOutcome::Done);
    assert_eq!(ready(&mut case, 0, 2), [done, STARTED, leave(0, 2), leave(1, 1)]);
}

#[test]
fn who_asks_for_what_is_not_there_is_told_at_once() {
    let nothing = || [finished(ReloadOutcome::NothingToReload)];
    let mut case = serving(Restart::Always);
    assert_eq!(case.on(Event::RenewalRequested(USER, Some(Slot(2)))), nothing());
    let mut case = Case::serving(1);
    assert_eq!(case.on(Event::RenewalRequested(USER, None)), nothing());
    assert!(case.is_settled());
}

#[test]
fn the_end_of_the_server_answers() {
    let ending = || finished(ReloadOutcome::ShuttingDown);
    let mut case = serving(Restart::Always);
    case.on(Event::RenewalRequested(USER, Some(Slot(0))));
    case.on(Event::ShutdownRequested { now: false });
    assert_eq!(case.on(Event::RenewalRequested(USER, None)), [ending()]);
    // Their own end begins when the workers are gone.
    assert_eq!(case.exited(0, 1, Exit::Code(0)), [ending(), leave(1, 1)]);
}

/// A start that was begun before, and may have read what is old, is replaced as well.
#[test]
fn a_start_from_before_does_not_count() {
    let mut case = serving(Restart::Always);
    ends(&mut case, 0, 1, SIGKILL);
    assert_eq!(case.wake_after(100), [need(0, 2)]);
    begin(&mut case, 0, 2);
    assert_eq!(case.on(Event::RenewalRequested(USER, Some(Slot(0)))), [STARTED]);
    assert_eq!(case.on(Event::Ready(ProcessKey::user(0, 2))).last(), Some(&leave(0, 2)));
    case.now += 1_000;
    assert_eq!(ends(&mut case, 0, 2, Exit::Code(0)), [need(0, 3)]);
    assert_eq!(ready(&mut case, 0, 3), [finished(ReloadOutcome::Done)]);
}
