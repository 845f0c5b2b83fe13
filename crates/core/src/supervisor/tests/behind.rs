//! Processes that are reloaded behind the event workers.

use super::super::ReloadOutcome;
use super::*;
use crate::ids::ProcessKind;

/// An event worker and task workers that serve.
fn serving(tasks: u16) -> Case {
    let task = GroupSettings { slots: tasks, reloads_behind: true, ..GroupSettings::default() };
    let event = GroupSettings { keeps_accepted: true, ..GroupSettings::default() };
    let settings = Settings { event, task, ..Settings::default() };
    let mut case = Case::of(settings);
    case.start();
    boot(&mut case, ProcessKey::event(0, 1), None, Code::Accepted);
    for slot in 0..tasks {
        boot(&mut case, ProcessKey::task(slot, 1), None, Code::Accepted);
    }
    case.pass(1_000);
    case
}

/// Boots a process; what follows besides its predecessor's leave.
fn boot(
    case: &mut Case,
    key: ProcessKey,
    leave: Option<ProcessKey>,
    code: Code,
) -> Vec<SupervisorAction> {
    assert_eq!(case.on(Event::MemoryReady(key)), [SupervisorAction::Fork(key, code)]);
    assert_eq!(case.on(Event::Forked(key)), []);
    let mut out = case.on(Event::Ready(key));
    assert_eq!(out.remove(0), SupervisorAction::Serve { serve: key, leave });
    out
}

#[test]
fn they_begin_when_the_event_workers_are_through_and_run_what_was_accepted() {
    let mut case = serving(2);
    let out = case.on(Event::ReloadRequested);
    assert_eq!(
        out,
        [
            SupervisorAction::ReloadStarted(ProcessKind::Event),
            SupervisorAction::NeedMemory(ProcessKey::event(0, 2)),
        ],
        "nobody else begins"
    );
    let old = ProcessKey::event(0, 1);
    let out = boot(&mut case, ProcessKey::event(0, 2), Some(old), Code::Candidate);
    assert_eq!(
        out,
        [
            SupervisorAction::ReloadFinished(ProcessKind::Event, ReloadOutcome::Done),
            SupervisorAction::ReloadStarted(ProcessKind::Task),
            SupervisorAction::NeedMemory(ProcessKey::task(0, 2)),
        ]
    );
    let old = ProcessKey::task(0, 1);
    let out = boot(&mut case, ProcessKey::task(0, 2), Some(old), Code::Accepted);
    assert_eq!(out, [SupervisorAction::NeedMemory(ProcessKey::task(1, 2))], "one after another");
    let old = ProcessKey::task(1, 1);
    let out = boot(&mut case, ProcessKey::task(1, 2), Some(old), Code::Accepted);
    let done = SupervisorAction::ReloadFinished(ProcessKind::Task, ReloadOutcome::Done);
    assert_eq!(out, [done]);
}

#[test]
fn a_reload_that_fails_before_them_leaves_them_alone() {
    let mut case = serving(1);
    case.on(Event::ReloadRequested);
    let new = ProcessKey::event(0, 2);
    case.on(Event::MemoryReady(new));
    case.on(Event::Forked(new));
    let out = case.on(Event::Exited(new, Exit::Code(1)));
    let failed = ReloadOutcome::CanaryFailed(crate::ids::Slot(0));
    assert!(out.contains(&SupervisorAction::ReloadFinished(ProcessKind::Event, failed)), "{out:?}");
    let of_tasks = |action: &SupervisorAction| {
        matches!(action, SupervisorAction::ReloadStarted(ProcessKind::Task))
    };
    assert!(!out.iter().any(of_tasks), "{out:?}");
}

/// They work for those who give them work, and so stop behind them.
#[test]
fn they_stop_behind_the_event_workers() {
    let mut case = serving(1);
    let (event, task) = (ProcessKey::event(0, 1), ProcessKey::task(0, 1));
    let out = case.on(Event::ShutdownRequested { now: false });
    assert_eq!(out, [SupervisorAction::Leave(event)]);
    let out = case.on(Event::Exited(event, Exit::Code(0)));
    assert_eq!(out.last(), Some(&SupervisorAction::Leave(task)));
    let out = case.on(Event::Exited(task, Exit::Code(0)));
    assert_eq!(out.last(), Some(&SupervisorAction::Finished));
}

#[test]
fn they_are_reloaded_alone_on_request() {
    const TASK: ProcessKind = ProcessKind::Task;
    let mut case = serving(2);
    let out = case.on(Event::RenewalRequested(TASK, None));
    let need = |slot| SupervisorAction::NeedMemory(ProcessKey::task(slot, 2));
    assert_eq!(out, [SupervisorAction::ReloadStarted(TASK), need(0)]);
    let old = |slot| Some(ProcessKey::task(slot, 1));
    let out = boot(&mut case, ProcessKey::task(0, 2), old(0), Code::Accepted);
    assert_eq!(out, [need(1)]);
    let out = boot(&mut case, ProcessKey::task(1, 2), old(1), Code::Accepted);
    assert_eq!(out, [SupervisorAction::ReloadFinished(TASK, ReloadOutcome::Done)]);
    assert_eq!(case.reloaded, [(0, true), (1, true)]);
}
