//! The rows about ends, as [`super::rows`].

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{ReloadOutcome, Restart, SingleSettings};
use super::properties::{Step, lived, running, settings, steps, take};
use super::world::{Manners, State, World};
use super::*;

fn deaths(out: &[SupervisorAction]) -> impl Iterator<Item = ProcessKey> {
    out.iter().filter_map(|action| match action {
        SupervisorAction::Died { worker, .. } => Some(*worker),
        _ => None,
    })
}

/// How a single process lives in `s14`: for so long, and how it ends.
fn life() -> impl Strategy<Value = (Millis, Exit)> {
    let exit = prop_oneof![Just(Exit::Code(0)), Just(Exit::Code(1)), Just(SIGKILL)];
    (prop_oneof![0_u64..500, 900_u64..1_500], exit)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// One that stands still, is late, is too large or was killed has not ended until it was
    /// reaped; and forks that fail hold up neither the others nor the end.
    #[test]
    fn s12_only_an_exit_is_an_exit(
        settings in settings(),
        steps in steps(),
        now in any::<bool>(),
        end_comes_first in any::<bool>(),
    ) {
        let mut world = lived(settings, &steps);
        for told in &world.history {
            let died: Vec<_> = deaths(&told.out).collect();
            match told.event {
                Event::Exited(key, _) if !died.is_empty() => prop_assert_eq!(died, [key]),
                _ => prop_assert_eq!(died, []),
            }
        }
        // Their successors begin at once.
        world.now += world.settings.fork_interval_ms;
        let serving: Vec<_> = world.fakes.keys().copied().collect();
        for key in serving {
            world.happen(Event::TookDelivery(key));
            let (forks, alive) = (world.forks, world.fakes.len());
            world.happen(Event::StandsStill(key));
            world.happen(Event::Tick);
            prop_assert_eq!((world.forks, world.fakes.len()), (forks, alive), "a second one");
            world.happen(Event::Exited(key, SIGKILL));
        }
        let memory = |world: &World| {
            let mut fakes = world.fakes.iter();
            fakes.find(|(_, fake)| fake.state == State::MemoryAsked).map(|(key, _)| *key)
        };
        while let Some(key) = memory(&world) {
            world.happen(Event::MemoryReady(key));
        }
        if end_comes_first && !world.ending {
            world.happen(Event::ShutdownRequested { now });
        }
        while let Some(key) = world.fakes.keys().next().copied() {
            world.happen(Event::ForkFailed(key));
        }
        if !world.ending {
            world.happen(Event::ShutdownRequested { now });
        }
        prop_assert!(world.finished, "the end waits for a fork that fails");
    }

    /// A process of the user comes back as its policy says, after a pause that doubles with each
    /// short life.
    #[test]
    fn s14_a_process_of_the_user_comes_back_by_its_policy(
        restart in prop_oneof![
            Just(Restart::Always), Just(Restart::OnFailure), Just(Restart::Never)
        ],
        lives in vec(life(), 1..12),
    ) {
        let (min, max) = (100, 800);
        let single = SingleSettings {
            restart, back_off_min_ms: min, back_off_max_ms: max, is_reloaded: false,
        };
        let user = GroupSettings {
            slots: 1, singles: vec![single], fork_interval_ms: 0, ..GroupSettings::default()
        };
        let nobody = GroupSettings { slots: 0, ..GroupSettings::default() };
        let mut case = Case::of(Settings { event: nobody, user, ..Settings::default() });
        case.start();
        let mut pause = min;
        for (generation, (lived, exit)) in (1..).zip(lives) {
            let key = ProcessKey::user(0, generation);
            case.on(Event::MemoryReady(key));
            case.on(Event::Forked(key));
            case.on(Event::Ready(key));
            case.now += lived;
            let out = case.on(Event::Exited(key, exit));
            let comes_back = match restart {
                Restart::Always => true,
                Restart::OnFailure => exit != Exit::Code(0),
                Restart::Never => false,
            };
            prop_assert_eq!(out.contains(&SupervisorAction::Retired(key)), !comes_back);
            if !comes_back {
                prop_assert_eq!(case.supervisor.deadline(), None, "it is over");
                break;
            }
            pause = if lived >= max { min } else { pause };
            let next = ProcessKey::user(0, generation + 1);
            prop_assert_eq!(case.wake_after(pause), [SupervisorAction::NeedMemory(next)]);
            pause = (pause * 2).min(max);
        }
    }

    /// The end of a process that belongs to no slot disturbs none.
    #[test]
    fn s15_the_end_of_a_stranger_disturbs_nobody(
        settings in settings(),
        steps in steps(),
        slot in 0_u16..200,
        old in 0_u32..3,
        signal in 1_i32..65,
    ) {
        let mut world = World::start(settings);
        for step in &steps {
            take(&mut world, step);
            world.happen(Event::Tick);
            let stranger = key(slot, if old == 0 { u32::MAX } else { old - 1 });
            if world.fakes.contains_key(&stranger) {
                continue;
            }
            let before = format!("{:?}", world.supervisor);
            let exit = Exit::Signal { signal, core_dumped: false };
            let mut out = Vec::new();
            world.supervisor.on(Event::Exited(stranger, exit), world.now, &mut out);
            prop_assert_eq!(out, []);
            prop_assert_eq!(format!("{:?}", world.supervisor), before);
        }
    }

    /// Whoever a reload waits for may end in any way: it goes on.
    #[test]
    fn s16_a_reload_goes_on_when_whom_it_waits_for_is_gone(
        settings in settings(),
        ends in vec((any::<usize>(), any::<bool>()), 0..20),
    ) {
        let mut world = World::start(settings);
        world.behave();
        world.happen(Event::ReloadRequested);
        for (pick, killed) in ends {
            world.go_on(Manners::Good, |world| {
                !world.reload_runs || world.fakes.values().filter(|fake| fake.is_alive()).count()
                    > usize::from(world.settings.slots)
            });
            let exit = if killed { SIGKILL } else { Exit::Code(0) };
            take(&mut world, &Step::Exited(pick, exit));
        }
        world.behave();
        prop_assert_eq!(world.outcomes.len(), 1);
    }

    /// Each reload that began is told to have ended, once, and of each slot whether it is new.
    #[test]
    fn s17_the_end_of_a_reload_is_told_with_each_slot(settings in settings(), steps in steps()) {
        let world = lived(settings, &steps);
        let (mut runs, mut new, mut slots) = (false, Vec::new(), None);
        for action in world.history.iter().flat_map(|told| &told.out) {
            match action {
                SupervisorAction::ReloadStarted(_) => {
                    prop_assert!(!runs);
                    (runs, new, slots) = (true, Vec::new(), None);
                }
                SupervisorAction::Serve { serve, .. } => new.push(serve.slot),
                SupervisorAction::ReloadSlots(_, told) => {
                    prop_assert!(runs && slots.is_none());
                    slots = Some(told.clone());
                }
                SupervisorAction::ReloadFinished(_, outcome) if runs => {
                    runs = false;
                    let told = slots.take().expect("each slot is told");
                    let all = told.iter().all(|(_, is_new)| *is_new);
                    prop_assert!(all || *outcome != ReloadOutcome::Done, "{:?}", told);
                    for (slot, is_new) in told {
                        prop_assert!(!is_new || new.contains(&slot), "{slot} is not new");
                    }
                }
                _ => {}
            }
        }
        prop_assert!(!runs, "a reload without an end");
    }

    /// Nothing starts after the request, and all are gone in the time of a drain, whoever obeys.
    #[test]
    fn s18_the_end_comes_in_time_whoever_obeys(
        settings in settings(),
        steps in steps(),
        now in any::<bool>(),
    ) {
        let mut world = running(settings.clone(), &steps);
        let (since, begin) = (world.now, world.history.len());
        world.happen(Event::ShutdownRequested { now });
        world.go_on(Manners::Stays, |world| world.finished);
        let most = if now { 0 } else { settings.drain_timeout_ms };
        prop_assert!(world.finished);
        prop_assert!(world.now - since <= most, "it took {}", world.now - since);
        for action in world.history[begin..].iter().flat_map(|told| &told.out) {
            let is_start =
                matches!(action, SupervisorAction::NeedMemory(_) | SupervisorAction::Fork(..));
            prop_assert!(!is_start, "{action:?} during the end");
        }
    }

    /// Every death is told with how it ended, our own kill, and whether it was asked for.
    #[test]
    fn s21_every_death_is_told_with_its_cause(settings in settings(), steps in steps()) {
        let world = lived(settings, &steps);
        let (mut kills, mut started) = (std::collections::BTreeMap::new(), Vec::new());
        for told in &world.history {
            if let Event::TookDelivery(key) = told.event {
                started.push(key);
            }
            for action in &told.out {
                match action {
                    SupervisorAction::Kill(key, cause) => {
                        prop_assert!(kills.insert(*key, *cause).is_none(), "killed twice");
                    }
                    SupervisorAction::Died { worker, exit, killed, took_delivery, expected } => {
                        prop_assert_eq!(&told.event, &Event::Exited(*worker, *exit));
                        prop_assert_eq!(*killed, kills.get(worker).copied());
                        prop_assert_eq!(*took_delivery, started.contains(worker));
                        let is_good = *exit == Exit::Code(0);
                        prop_assert!(!expected || is_good || killed.is_some());
                    }
                    _ => {}
                }
            }
        }
    }
}
