//! The rows of `docs/requirements.md` about the manager, one law for each that random events must
//! not break: most are read off the history of a [`World`], in the words of the row. `s13`, `s19`
//! and `s20` are about other machines and stand beside those.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::ReloadOutcome;
use super::properties::{Step, lived, running, settings, stale, step, steps, take};
use super::world::{Manners, State, Told, World};
use super::*;
use crate::ids::Slot;

/// Calm steps: nothing fails, nobody dies who was not asked to leave, nobody asks to be recycled.
fn is_calm(step: &Step) -> bool {
    matches!(
        step,
        Step::Memory(_, true)
            | Step::Fork(_, true)
            | Step::Ready(_)
            | Step::TookDelivery(_)
            | Step::Obeys(_)
            | Step::Reload
            | Step::Later(_)
            | Step::Wake
    )
}

/// Who is there after each event: forked, and not reaped.
fn alive(history: &[Told]) -> impl Iterator<Item = (&Told, BTreeSet<ProcessKey>)> {
    let mut alive = BTreeSet::new();
    history.iter().map(move |told| {
        match told.event {
            Event::Forked(key) => drop(alive.insert(key)),
            Event::Exited(key, _) => drop(alive.remove(&key)),
            _ => {}
        }
        (told, alive.clone())
    })
}

fn starts(out: &[SupervisorAction]) -> bool {
    out.iter().any(|action| {
        matches!(action, SupervisorAction::NeedMemory(_) | SupervisorAction::Fork(..))
    })
}

/// What a supervisor knows, whole.
fn knowledge(supervisor: &Supervisor) -> String {
    format!("{supervisor:?}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// What comes before the loop is ready waits for it and is done then.
    #[test]
    fn s1_what_is_asked_before_the_start_waits_for_it(
        settings in settings(),
        early in vec(prop_oneof![
            Just(Step::Reload), (0_u16..9).prop_map(Step::Resize), Just(Step::Later(5)),
        ], 0..6),
        end in any::<bool>(),
    ) {
        let mut world = World::new(settings);
        for step in &early {
            take(&mut world, step);
        }
        prop_assert!(!world.history.iter().any(|told| starts(&told.out)));
        if end {
            world.happen(Event::ShutdownRequested { now: false });
            world.begin();
            prop_assert!(world.finished && world.forks == 0);
            return Ok(());
        }
        world.begin();
        world.behave();
        let asked = early.iter().any(|step| matches!(step, Step::Reload));
        prop_assert_eq!(world.outcomes.len(), usize::from(asked), "one for all of them");
    }

    /// What is done follows from the events, their order and their times, and from nothing else.
    #[test]
    fn s2_the_same_events_have_the_same_effects(settings in settings(), steps in steps()) {
        let world = lived(settings.clone(), &steps);
        let mut again = Case::with(settings);
        let mut started = Vec::new();
        again.supervisor.start(again.now, &mut started);
        for told in &world.history {
            let mut out = Vec::new();
            again.supervisor.on(told.event.clone(), told.at, &mut out);
            prop_assert_eq!(&out, &told.out);
        }
        prop_assert_eq!(knowledge(&again.supervisor), knowledge(&world.supervisor));
    }

    /// Requests during a reload are one follow-up, and none is dropped.
    #[test]
    fn s3_all_requests_during_a_reload_are_one_more(settings in settings(), steps in steps()) {
        let world = lived(settings, &steps);
        let (mut is_due, mut runs) = (false, false);
        for told in &world.history {
            is_due |= told.event == Event::ReloadRequested;
            for action in &told.out {
                match action {
                    SupervisorAction::ReloadStarted(_) => {
                        prop_assert!(is_due && !runs, "nobody asked, or one runs");
                        (is_due, runs) = (false, true);
                    }
                    SupervisorAction::ReloadFinished(_, outcome) => {
                        runs = false;
                        is_due &= *outcome != ReloadOutcome::ShuttingDown;
                    }
                    _ => {}
                }
            }
        }
        prop_assert!(!is_due && !runs, "a request was dropped");
    }

    /// A clock that is set back makes nothing due, and puts nothing off.
    #[test]
    fn s4_a_clock_that_jumps_back_changes_nothing(
        settings in settings(),
        steps in steps(),
        back in 1_u64..100_000,
    ) {
        let mut world = World::start(settings);
        for step in &steps {
            take(&mut world, step);
            // What time has made due already is done by the time that was seen.
            world.happen(Event::Tick);
            let before = knowledge(&world.supervisor);
            let mut out = Vec::new();
            let earlier = world.now.saturating_sub(back);
            world.supervisor.on(Event::Tick, earlier, &mut out);
            prop_assert_eq!(out, []);
            prop_assert_eq!(knowledge(&world.supervisor), before);
        }
    }

    /// Whatever could be done was done before falling asleep; and when the time comes that is
    /// slept to, it is later than before.
    #[test]
    fn s5_nothing_is_left_to_do_when_it_falls_asleep(settings in settings(), steps in steps()) {
        let mut world = World::start(settings);
        for step in &steps {
            take(&mut world, step);
            let out = world.history.len();
            world.happen(Event::Tick);
            prop_assert!(world.history[out..].iter().all(|told| told.out.is_empty()));
            if let Some(deadline) = world.supervisor.deadline() {
                world.now = deadline.max(world.now);
                world.happen(Event::Tick);
                prop_assert!(world.supervisor.deadline().is_none_or(|next| next > deadline));
            }
        }
    }

    /// News of a process that is gone, or never was, starts nobody and ends nobody.
    #[test]
    fn s6_news_of_who_is_gone_does_nothing(
        settings in settings(),
        steps in steps(),
        news in vec((any::<usize>(), any::<u8>()), 1..20),
    ) {
        let mut world = World::start(settings);
        for (step, (pick, what)) in steps.iter().zip(news.iter().cycle()) {
            take(&mut world, step);
            world.happen(Event::Tick);
            let before = knowledge(&world.supervisor);
            let event = stale(&world, *pick, *what);
            world.pretend(event);
            prop_assert_eq!(knowledge(&world.supervisor), before);
        }
    }

    /// All are dead and no fork succeeds: the supervisor waits between its attempts.
    #[test]
    fn s7_without_any_process_there_are_pauses(settings in settings(), steps in steps()) {
        let settings = GroupSettings { back_off_min_ms: 100, back_off_max_ms: 1_000, ..settings };
        let mut world = World::start(settings);
        for step in &steps {
            take(&mut world, step);
        }
        let end = world.now + 20_000;
        let (forks, mut turns) = (world.forks, 0_u32);
        while world.now < end && !world.finished {
            let keys: Vec<_> = world.fakes.iter().map(|(key, fake)| (*key, fake.state)).collect();
            for (key, state) in keys {
                match state {
                    State::MemoryAsked => world.happen(Event::MemoryReady(key)),
                    State::ForkAsked => world.happen(Event::ForkFailed(key)),
                    _ => world.happen(Event::Exited(key, SIGKILL)),
                }
            }
            // Per slot 100 + 200 + 400 + 800 ms, then a second each; at most eight slots.
            let attempts = world.forks - forks;
            prop_assert!(attempts <= 9 * 27 && turns <= 9 * 60, "{attempts} forks, {turns} turns");
            let is_waiting = |state| matches!(state, State::MemoryAsked | State::ForkAsked);
            if !world.fakes.values().any(|fake| is_waiting(fake.state)) && !world.finished {
                world.now = world.supervisor.deadline().expect("keeps trying");
                world.happen(Event::Tick);
                turns += 1;
            }
        }
    }

    /// One after another, or so many at a time as are allowed, the canary alone.
    #[test]
    fn s8_a_reload_replaces_as_many_at_once_as_it_may(
        settings in settings(),
        steps in vec(step(), 0..400),
    ) {
        let settings = GroupSettings { boot_timeout_ms: Millis::MAX, ..settings };
        let at_once = usize::from(settings.reload_at_once.max(1));
        let mut world = World::start(settings);
        world.behave();
        let begin = world.history.len();
        for step in steps.iter().filter(|step| is_calm(step)) {
            take(&mut world, step);
        }
        world.behave();
        let (mut starting, mut has_canary) = (BTreeSet::new(), false);
        for told in &world.history[begin..] {
            for action in &told.out {
                match action {
                    SupervisorAction::ReloadStarted(_) => has_canary = false,
                    SupervisorAction::NeedMemory(key) => drop(starting.insert(*key)),
                    SupervisorAction::Serve { serve, .. } => {
                        has_canary = true;
                        starting.remove(serve);
                    }
                    _ => {}
                }
            }
            let most = if has_canary { at_once } else { 1 };
            prop_assert!(starting.len() <= most, "{starting:?} at once");
        }
    }

    /// What there is nothing of is not reloaded: that is said at once, and nothing of it remains.
    #[test]
    fn s9_who_cannot_be_reloaded_is_refused_without_a_trace(
        settings in settings(),
        steps in steps(),
        kind in select(vec![ProcessKind::Task, ProcessKind::User, ProcessKind::Companion]),
        slot in prop::option::of(0_u16..3),
    ) {
        let mut world = World::start(settings);
        for step in &steps {
            take(&mut world, step);
            world.happen(Event::Tick);
            let before = knowledge(&world.supervisor);
            let mut out = Vec::new();
            let request = Event::RenewalRequested(kind, slot.map(Slot));
            world.supervisor.on(request, world.now, &mut out);
            let refusal = if world.ending {
                ReloadOutcome::ShuttingDown
            } else {
                ReloadOutcome::NothingToReload
            };
            prop_assert_eq!(out, [SupervisorAction::ReloadFinished(kind, refusal)]);
            prop_assert_eq!(knowledge(&world.supervisor), before);
        }
    }

    /// A reload ends in time with processes that die by themselves, and others that never leave
    /// or never become ready.
    #[test]
    fn s10_who_does_not_leave_cannot_stall_a_reload(
        settings in settings(),
        steps in steps(),
        manners in select(vec![Manners::Stays, Manners::NeitherBootsNorLeaves]),
    ) {
        let mut world = running(settings.clone(), &steps);
        world.happen(Event::ReloadRequested);
        let answers = world.outcomes.len();
        let since = world.now;
        world.go_on(manners, |world| !world.has_reloads());
        let slots = u64::from(settings.slots.max(settings.slots_max)) + 2;
        let each = settings.fork_interval_ms + settings.drain_timeout_ms + settings.boot_timeout_ms;
        let most = 2 * slots * (each + settings.back_off_max_ms);
        prop_assert!(world.now - since <= most, "it took {}", world.now - since);
        prop_assert!(world.outcomes.len() > answers);
    }

    /// Whoever is killed or told to leave is there: forked, and not reaped.
    #[test]
    fn s11_only_who_is_there_is_signalled(settings in settings(), steps in steps()) {
        let world = lived(settings, &steps);
        for (told, alive) in alive(&world.history) {
            for action in &told.out {
                let (SupervisorAction::Kill(key, _)
                | SupervisorAction::Leave(key)
                | SupervisorAction::Serve { leave: Some(key), .. }) = action
                else {
                    continue;
                };
                prop_assert!(alive.contains(key), "{key} is not there: {:?}", told.event);
            }
        }
    }
}
