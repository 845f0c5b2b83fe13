//! Single processes: restart policies, pauses, never two at a time, and their part in reload and
//! shutdown.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{ReloadOutcome, Restart, SingleSettings};
use super::*;
use crate::ids::Slot;

const MIN_MS: Millis = 100;
const MAX_MS: Millis = 800;

fn single(restart: Restart) -> SingleSettings {
    SingleSettings { restart, back_off_min_ms: MIN_MS, back_off_max_ms: MAX_MS, is_reloaded: false }
}

fn user(slot: u16, generation: u32) -> ProcessKey {
    ProcessKey::user(slot, generation)
}

fn settings(singles: Vec<SingleSettings>) -> Settings {
    let slots = u16::try_from(singles.len()).unwrap();
    let user = GroupSettings { slots, singles, ..GroupSettings::default() };
    let event = GroupSettings { slots: 1, ..GroupSettings::default() };
    Settings { event, user, ..Settings::default() }
}

/// One event worker that serves, and single processes that serve.
fn serving(singles: Vec<SingleSettings>) -> Case {
    let slots = u16::try_from(singles.len()).unwrap();
    let mut case = new(singles);
    case.start();
    case.boot(0, 1);
    for slot in 0..slots {
        boot(&mut case, slot, 1);
    }
    case.pass(1_000);
    case
}

/// Not started.
fn new(singles: Vec<SingleSettings>) -> Case {
    Case::of(settings(singles))
}

fn boot(case: &mut Case, slot: u16, generation: u32) {
    let key = user(slot, generation);
    let out = case.on(Event::MemoryReady(key));
    assert_eq!(out, [SupervisorAction::Fork(key, Code::Accepted)]);
    assert_eq!(case.on(Event::Forked(key)), []);
    let serves = SupervisorAction::Serve { serve: key, leave: None };
    assert_eq!(case.on(Event::Ready(key)).first(), Some(&serves));
}

/// What follows an end besides its being told.
fn exit(case: &mut Case, key: ProcessKey, exit: Exit) -> Vec<SupervisorAction> {
    let mut out = case.on(Event::Exited(key, exit));
    assert!(matches!(out.first(), Some(SupervisorAction::Died { worker, .. }) if *worker == key));
    out.remove(0);
    out
}

fn pause(failures: u32, retry_after_ms: Millis) -> SupervisorAction {
    let (kind, slot) = (ProcessKind::User, user(0, 1).slot);
    SupervisorAction::BackOff { kind, slot, failures, retry_after_ms }
}

fn need_user(generation: u32) -> SupervisorAction {
    SupervisorAction::NeedMemory(user(0, generation))
}

#[test]
fn whether_a_process_is_started_again_is_its_policy() {
    let retired = [SupervisorAction::Retired(user(0, 1))];
    for (restart, code_0, others) in [
        (Restart::Always, false, false),
        (Restart::OnFailure, true, false),
        (Restart::Never, true, true),
    ] {
        for (how, is_over) in [
            (Exit::Code(0), code_0),
            (Exit::Code(1), others),
            (SIGKILL, others),
            (SEGFAULT, others),
        ] {
            let mut case = serving(vec![single(restart)]);
            let out = exit(&mut case, user(0, 1), how);
            assert_eq!(out == retired, is_over, "{restart:?} {how:?}: {out:?}");
            if is_over {
                assert!(case.is_settled());
            } else {
                // It has lived for longer than the longest pause.
                assert_eq!(out, [pause(1, MIN_MS)]);
                assert_eq!(case.wake_after(MIN_MS), [need_user(2)]);
            }
        }
    }
}

#[test]
fn the_end_of_a_single_process_is_no_failure_when_it_says_so() {
    for (how, is_expected) in [(Exit::Code(0), true), (Exit::Code(3), false), (SIGKILL, false)] {
        let mut case = serving(vec![single(Restart::Always)]);
        let out = case.on(Event::Exited(user(0, 1), how));
        assert!(matches!(out.first(), Some(SupervisorAction::Died { expected, .. })
            if *expected == is_expected));
    }
}

#[test]
fn a_crash_loop_pauses_longer_and_longer_up_to_a_bound_and_concerns_nobody_else() {
    let mut case = serving(vec![single(Restart::Always), single(Restart::Always)]);
    exit(&mut case, user(0, 1), SEGFAULT);
    let mut last = MIN_MS;
    for (generation, wait) in (2..).zip([200, 400, 800, 800, 800]) {
        assert_eq!(case.wake_after(last), [need_user(generation)]);
        boot(&mut case, 0, generation);
        assert!(exit(&mut case, user(0, generation), SIGKILL).contains(&pause(generation, wait)));
        last = wait;
    }
    // The event worker and the other process are where they were, and a crash of theirs does not
    // wait for the pause of this one.
    case.on(Event::TookDelivery(key(0, 1)));
    assert_eq!(case.exited(0, 1, SIGKILL), [need(0, 2)]);
    let out = exit(&mut case, user(1, 1), SIGKILL);
    let slot = user(1, 1).slot;
    let first = SupervisorAction::BackOff {
        kind: ProcessKind::User,
        slot,
        failures: 1,
        retry_after_ms: 100,
    };
    assert!(out.contains(&first), "{out:?}");
}

#[test]
fn a_process_that_never_becomes_ready_does_not_end_the_server() {
    let mut case = new(vec![single(Restart::Always)]);
    case.start();
    for generation in 1..6 {
        let key = user(0, generation);
        case.on(Event::MemoryReady(key));
        case.on(Event::Forked(key));
        let out = exit(&mut case, key, Exit::Code(1));
        let told = |action: &SupervisorAction| matches!(action, SupervisorAction::NobodyBoots(_));
        assert!(!out.iter().any(told), "{out:?}");
        case.now += MAX_MS;
        case.on(Event::Tick);
    }
}

#[test]
fn who_asks_to_be_replaced_ends_first() {
    let mut case = serving(vec![single(Restart::Always)]);
    let asked = Event::LeaveRequested(user(0, 1), LeaveReason::Asked);
    assert_eq!(case.on(asked.clone()), [SupervisorAction::Leave(user(0, 1))]);
    assert_eq!(case.on(asked), []);
    assert_eq!(exit(&mut case, user(0, 1), Exit::Code(0)), [pause(1, MIN_MS)]);
    assert_eq!(case.wake_after(MIN_MS), [need_user(2)]);
}

#[test]
fn who_asks_and_does_not_leave_is_killed() {
    let mut case = serving(vec![single(Restart::Always)]);
    case.on(Event::LeaveRequested(user(0, 1), LeaveReason::Asked));
    let killed = SupervisorAction::Kill(user(0, 1), KillCause::DrainTimeout);
    assert_eq!(case.wake_after(10_000), [killed]);
}

#[test]
fn a_reload_leaves_them_alone_unless_they_take_part() {
    let takes_part = SingleSettings { is_reloaded: true, ..single(Restart::Never) };
    let mut case = serving(vec![takes_part, single(Restart::Always)]);
    assert_eq!(
        case.on(Event::ReloadRequested).first(),
        Some(&SupervisorAction::ReloadStarted(EVENT))
    );
    let out = case.boot(0, 2);
    let finished = SupervisorAction::ReloadFinished(EVENT, ReloadOutcome::Done);
    assert!(
        out.contains(&finished) && out.contains(&SupervisorAction::Leave(user(0, 1))),
        "{out:?}"
    );
    assert!(!out.contains(&SupervisorAction::Leave(user(1, 1))));
    // Whatever its policy says.
    assert_eq!(exit(&mut case, user(0, 1), Exit::Code(0)), [need_user(2)]);
    boot(&mut case, 0, 2);
    assert_eq!(exit(&mut case, user(0, 2), Exit::Code(0)), [SupervisorAction::Retired(user(0, 2))]);
}

#[test]
fn an_aborted_reload_replaces_nobody() {
    let takes_part = SingleSettings { is_reloaded: true, ..single(Restart::Always) };
    let mut case = serving(vec![takes_part]);
    case.on(Event::ReloadRequested);
    case.fork(0, 2);
    let out = case.exited(0, 2, Exit::Code(1));
    let left = |action: &SupervisorAction| matches!(action, SupervisorAction::Leave(_));
    assert!(!out.iter().any(left), "{out:?}");
}

#[test]
fn they_leave_when_the_event_workers_are_gone() {
    let mut case = serving(vec![single(Restart::Always), single(Restart::Never)]);
    let out = case.on(Event::ShutdownRequested { now: false });
    assert_eq!(out, [SupervisorAction::Leave(key(0, 1))]);
    let leave = [user(0, 1), user(1, 1)].map(SupervisorAction::Leave);
    assert_eq!(case.exited(0, 1, Exit::Code(0)), leave);
    assert_eq!(exit(&mut case, user(0, 1), Exit::Code(0)), []);
    assert_eq!(exit(&mut case, user(1, 1), SIGKILL), [SupervisorAction::Finished]);
}

#[test]
fn one_that_was_over_before_its_manager_is_not_started() {
    let mut case = new(vec![single(Restart::Never)]);
    assert!(case.start().contains(&need_user(1)));
    assert_eq!(case.on(Event::Retired(user(0, 1))), []);
    case.boot(0, 1);
    assert!(case.is_settled());
    let out = case.on(Event::MemoryReady(user(0, 1)));
    assert_eq!(out, [SupervisorAction::ReleaseMemory(user(0, 1))], "too late");
}

/// What the life of the server is told to lives longest.
#[test]
fn the_companion_is_started_first_and_leaves_last() {
    let alone = |singles| GroupSettings { slots: 1, singles, ..GroupSettings::default() };
    let settings = Settings {
        task: GroupSettings { slots: 0, ..GroupSettings::default() },
        event: alone(Vec::new()),
        user: alone(vec![single(Restart::Always)]),
        companion: alone(vec![single(Restart::Always)]),
    };
    let mut case = Case::of(settings);
    let companion = ProcessKey { kind: ProcessKind::Companion, ..user(0, 1) };
    let all = [companion, user(0, 1), key(0, 1)];
    assert_eq!(case.start(), all.map(SupervisorAction::NeedMemory));
    for key in all {
        case.on(Event::MemoryReady(key));
        case.on(Event::Forked(key));
        case.on(Event::Ready(key));
    }
    let mut out = case.on(Event::ShutdownRequested { now: false });
    for leaves in [key(0, 1), user(0, 1), companion] {
        assert_eq!(out, [SupervisorAction::Leave(leaves)]);
        out = exit(&mut case, leaves, Exit::Code(0));
    }
    assert_eq!(out, [SupervisorAction::Finished]);
}

/// It is told of an end that comes at once, too; the others do not wait for it.
#[test]
fn who_has_last_words_leaves_soon_when_all_others_are_killed() {
    let alone = |singles| GroupSettings { slots: 1, singles, ..GroupSettings::default() };
    let last_words_ms = Some(500);
    let companion = GroupSettings { last_words_ms, ..alone(vec![single(Restart::Always)]) };
    let settings = Settings { event: alone(Vec::new()), companion, ..Settings::default() };
    let companion = ProcessKey { kind: ProcessKind::Companion, ..user(0, 1) };
    for is_leaving in [false, true] {
        let mut case = Case::of(settings.clone());
        case.start();
        for key in [companion, key(0, 1)] {
            case.on(Event::MemoryReady(key));
            case.on(Event::Forked(key));
            case.on(Event::Ready(key));
        }
        let leave = SupervisorAction::Leave(companion);
        if is_leaving {
            case.on(Event::ShutdownRequested { now: false });
            assert_eq!(exit(&mut case, key(0, 1), Exit::Code(0)), [leave]);
            assert_eq!(case.on(Event::ShutdownRequested { now: true }), []);
        } else {
            let out = case.on(Event::ShutdownRequested { now: true });
            assert_eq!(out, [kill(0, 1, KillCause::Shutdown)]);
            assert_eq!(exit(&mut case, key(0, 1), SIGKILL), [leave]);
        }
        let killed = SupervisorAction::Kill(companion, KillCause::DrainTimeout);
        assert_eq!(case.wake_after(500), [killed]);
        assert_eq!(exit(&mut case, companion, SIGKILL), [SupervisorAction::Finished]);
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Works,
    Fails,
    Ends(usize, bool),
    Asks(usize),
    Reload,
    Renew(Option<u16>),
    Later(Millis),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Works),
        1 => Just(Step::Fails),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(pick, well)| Step::Ends(pick, well)),
        1 => any::<usize>().prop_map(Step::Asks),
        1 => Just(Step::Reload),
        1 => prop::option::of(0_u16..5).prop_map(Step::Renew),
        3 => (1..2 * MAX_MS).prop_map(Step::Later),
    ]
}

/// What is known of the processes, each of which is where the actions have put it.
#[derive(Default)]
struct Model {
    wants_memory: Vec<ProcessKey>,
    booting: Vec<ProcessKey>,
    serving: Vec<ProcessKey>,
    told: Vec<ProcessKey>,
    retired: BTreeMap<ProcessKey, ()>,
    forks: BTreeMap<ProcessKey, Millis>,
    /// Requests to replace them: all, those that the renewal under way answers, those that were
    /// answered.
    asked: usize,
    running: Option<usize>,
    answered: usize,
}

impl Model {
    fn alive(&self) -> Vec<ProcessKey> {
        [&self.booting[..], &self.serving[..]].concat()
    }

    fn take(&mut self, case: &Case, out: Vec<SupervisorAction>) {
        for action in out {
            match action {
                SupervisorAction::NeedMemory(key) => {
                    let same =
                        |other: &ProcessKey| (other.kind, other.slot) == (key.kind, key.slot);
                    let is_single = key.kind == ProcessKind::User;
                    assert!(!is_single || !self.alive().iter().any(same), "two of {key}");
                    self.wants_memory.push(key);
                }
                SupervisorAction::Serve { serve, leave } => {
                    self.booting.retain(|key| *key != serve);
                    self.serving.push(serve);
                    self.told.extend(leave);
                }
                SupervisorAction::Leave(key) => {
                    assert!(!self.told.contains(&key), "{key} was told twice");
                    self.told.push(key);
                }
                SupervisorAction::Retired(key) => {
                    assert_eq!(key.kind, ProcessKind::User);
                    self.retired.insert(key, ());
                }
                SupervisorAction::Fork(key, _) => {
                    self.booting.push(key);
                    self.forks.insert(key, case.now);
                }
                SupervisorAction::ReloadStarted(ProcessKind::User) => {
                    assert!(self.running.is_none(), "one at a time");
                    self.running = Some(self.asked - self.answered);
                }
                SupervisorAction::ReloadFinished(ProcessKind::User, _) => {
                    let all = self.asked - self.answered;
                    self.answered += self.running.take().unwrap_or(all);
                }
                _ => {}
            }
        }
    }

    fn ended(&mut self, key: ProcessKey) {
        self.booting.retain(|other| *other != key);
        self.serving.retain(|other| *other != key);
    }
}

fn run(case: &mut Case, model: &mut Model, step: Step) {
    let pick = |keys: &[ProcessKey], at: usize| keys.get(at % keys.len().max(1)).copied();
    let event = match step {
        Step::Works if !model.wants_memory.is_empty() => {
            let key = model.wants_memory.remove(0);
            let out = case.on(Event::MemoryReady(key));
            model.take(case, out);
            if !model.booting.contains(&key) {
                return;
            }
            Some(Event::Forked(key))
        }
        Step::Works => model.booting.first().copied().map(Event::Ready),
        Step::Fails => model.wants_memory.pop().map(Event::MemoryFailed),
        Step::Ends(at, well) => pick(&model.alive(), at).map(|key| {
            model.ended(key);
            Event::Exited(key, if well { Exit::Code(0) } else { SIGKILL })
        }),
        Step::Asks(at) => {
            pick(&model.serving, at).map(|key| Event::LeaveRequested(key, LeaveReason::Asked))
        }
        Step::Reload => Some(Event::ReloadRequested),
        Step::Renew(slot) => {
            model.asked += 1;
            Some(Event::RenewalRequested(ProcessKind::User, slot.map(Slot)))
        }
        Step::Later(millis) => {
            case.now += millis;
            Some(Event::Tick)
        }
    };
    if let Some(event) = event {
        let out = case.on(event);
        model.take(case, out);
    }
}

proptest! {
    #[test]
    fn there_are_never_two_of_one_and_each_that_is_wanted_comes_back(
        steps in vec(step(), 0..200),
        policies in vec(prop_oneof![
            Just(Restart::Always), Just(Restart::OnFailure), Just(Restart::Never)
        ], 1..4),
        is_reloaded: bool,
    ) {
        let singles: Vec<_> = policies
            .iter()
            .map(|restart| SingleSettings { is_reloaded, ..single(*restart) })
            .collect();
        let mut case = new(singles);
        let mut model = Model::default();
        let out = case.start();
        model.take(&case, out);
        for step in steps {
            run(&mut case, &mut model, step);
        }
        // Everybody who was told to leave does, and everything works from now on.
        for _ in 0..200 {
            let told = model.told.iter().copied().find(|key| model.serving.contains(key));
            if let Some(key) = told {
                model.ended(key);
                let out = case.on(Event::Exited(key, Exit::Code(0)));
                model.take(&case, out);
            }
            run(&mut case, &mut model, Step::Works);
            run(&mut case, &mut model, Step::Later(MAX_MS));
        }
        prop_assert!(model.running.is_none());
        prop_assert_eq!(model.answered, model.asked, "a request without an answer");
        for (slot, restart) in (0_u16..).zip(policies) {
            let lives = model.serving.iter().any(|key| {
                key.kind == ProcessKind::User && key.slot.0 == slot
            });
            let newest = model.forks.keys().rfind(|key| {
                key.kind == ProcessKind::User && key.slot.0 == slot
            });
            let is_over = newest.is_some_and(|key| model.retired.contains_key(key));
            prop_assert!(lives != is_over, "{slot} {restart:?}: lives {lives}");
            prop_assert!(!is_over || restart != Restart::Always);
        }
    }

    #[test]
    fn the_end_finds_all_of_them(
        steps in vec(step(), 0..100),
        at_once: bool,
    ) {
        let singles = vec![single(Restart::Always), single(Restart::OnFailure)];
        let mut case = new(singles);
        let mut model = Model::default();
        let out = case.start();
        model.take(&case, out);
        for step in steps {
            run(&mut case, &mut model, step);
        }
        let mut out = case.on(Event::ShutdownRequested { now: at_once });
        let mut finished = out.contains(&SupervisorAction::Finished);
        while let Some(key) = model.alive().first().copied() {
            model.take(&case, std::mem::take(&mut out));
            model.ended(key);
            out = case.on(Event::Exited(key, SIGKILL));
            prop_assert!(!finished);
            finished = out.contains(&SupervisorAction::Finished);
        }
        prop_assert!(finished);
    }
}
