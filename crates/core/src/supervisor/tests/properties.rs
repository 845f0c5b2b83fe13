//! Random events against the fake world.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::ReloadOutcome;
use super::world::{Fake, State, World};
use super::*;

/// One thing that happens. The number picks among the processes it can happen to; when there is
/// none, nothing happens.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// The master answers a request for memory.
    Memory(usize, bool),
    /// The kernel answers a fork.
    Fork(usize, bool),
    Ready(usize),
    TookDelivery(usize),
    LeaveRequested(usize),
    Condemned(usize),
    TooLarge(usize),
    Exited(usize, Exit),
    /// A process that was killed or told to leave ends.
    Obeys(usize),
    Reload,
    Resize(u16),
    Shutdown(bool),
    Later(Millis),
    JumpBack(Millis),
    /// Sleep until the deadline.
    Wake,
    /// News of a process that is gone or never was.
    Stale(usize, u8),
}

fn exit() -> impl Strategy<Value = Exit> {
    prop_oneof![Just(Exit::Code(0)), Just(Exit::Code(1)), Just(SIGKILL), Just(SEGFAULT)]
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let pick = || any::<usize>();
    prop_oneof![
        12 => (pick(), prop::bool::weighted(0.85)).prop_map(|(pick, ok)| Step::Memory(pick, ok)),
        12 => (pick(), prop::bool::weighted(0.85)).prop_map(|(pick, ok)| Step::Fork(pick, ok)),
        12 => pick().prop_map(Step::Ready),
        5 => pick().prop_map(Step::TookDelivery),
        5 => pick().prop_map(Step::LeaveRequested),
        1 => pick().prop_map(Step::Condemned),
        1 => pick().prop_map(Step::TooLarge),
        6 => (pick(), exit()).prop_map(|(pick, exit)| Step::Exited(pick, exit)),
        6 => pick().prop_map(Step::Obeys),
        4 => Just(Step::Reload),
        3 => (0_u16..9).prop_map(Step::Resize),
        5 => (0_u64..300).prop_map(Step::Later),
        1 => (0_u64..30_000).prop_map(Step::Later),
        1 => (0_u64..2_000).prop_map(Step::JumpBack),
        6 => Just(Step::Wake),
        2 => (pick(), any::<u8>()).prop_map(|(pick, what)| Step::Stale(pick, what)),
    ]
}

/// Most runs end with a shutdown at a random place, followed by more steps.
pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let ending = prop_oneof![
        Just(vec![]),
        Just(vec![Step::Shutdown(false)]),
        Just(vec![Step::Shutdown(true)]),
        (vec(step(), 0..10), any::<bool>()).prop_map(|(between, now)| {
            let mut steps = vec![Step::Shutdown(false)];
            steps.extend(between);
            steps.push(Step::Shutdown(now));
            steps
        }),
    ];
    (vec(step(), 0..300), ending, vec(step(), 0..40))
        .prop_map(|(before, ending, after)| [before, ending, after].concat())
}

pub(super) fn settings() -> impl Strategy<Value = GroupSettings> {
    (
        (1_u16..5, 0_u16..4, 0_u16..8, 0_u16..4),
        (1_u64..2_000, 1_u64..2_000, 0_u64..200, 0_u64..100),
        0_u32..4,
        any::<bool>(),
    )
        .prop_map(|(counts, times, intensity, keeps_accepted)| {
            let (workers, recycle_at_once, slots_max, reload_at_once) = counts;
            let (boot, drain, back_off, fork_interval_ms) = times;
            GroupSettings {
                slots: workers,
                slots_max,
                boot_timeout_ms: boot,
                drain_timeout_ms: drain,
                last_words_ms: None,
                back_off_min_ms: back_off,
                back_off_max_ms: back_off * 10,
                fork_interval_ms,
                recycle_at_once,
                reload_at_once,
                restart_intensity: intensity,
                restart_period_ms: 1_000,
                reloads_behind: false,
                keeps_accepted,
                // A world in which somebody grows old never settles; `recycle` tests ages.
                age_max_ms: None,
                singles: Vec::new(),
            }
        })
}

pub(super) fn pick(
    world: &World,
    pick: usize,
    wanted: impl Fn(&Fake) -> bool,
) -> Option<ProcessKey> {
    let keys: Vec<_> =
        world.fakes.iter().filter(|(_, fake)| wanted(fake)).map(|(key, _)| *key).collect();
    (!keys.is_empty()).then(|| keys[pick % keys.len()])
}

pub(super) fn stale(world: &World, pick: usize, what: u8) -> Event {
    let mut keys = world.gone.clone();
    keys.extend([key(0, 0), key(0, u32::MAX), key(99, 1)]);
    let key = keys[pick % keys.len()];
    match what % 9 {
        0 => Event::MemoryFailed(key),
        1 => Event::Forked(key),
        2 => Event::ForkFailed(key),
        3 => Event::Ready(key),
        4 => Event::TookDelivery(key),
        5 => Event::LeaveRequested(key, LeaveReason::Asked),
        6 => Event::Condemned(key),
        7 => Event::TooLarge(key),
        _ => Event::Exited(key, SIGKILL),
    }
}

pub(super) fn take(world: &mut World, step: &Step) {
    let is = |state: State| move |fake: &Fake| fake.state == state;
    let event = match *step {
        Step::Memory(n, true) => pick(world, n, is(State::MemoryAsked)).map(Event::MemoryReady),
        Step::Memory(n, false) => pick(world, n, is(State::MemoryAsked)).map(Event::MemoryFailed),
        Step::Fork(n, true) => pick(world, n, is(State::ForkAsked)).map(Event::Forked),
        Step::Fork(n, false) => pick(world, n, is(State::ForkAsked)).map(Event::ForkFailed),
        // Also of one that was killed: its last words.
        Step::Ready(n) => pick(world, n, is(State::Booting)).map(Event::Ready),
        Step::TookDelivery(n) => {
            pick(world, n, |fake| matches!(fake.state, State::Serving | State::Leaving))
                .map(Event::TookDelivery)
        }
        Step::LeaveRequested(n) => pick(world, n, Fake::is_alive)
            .map(|key| Event::LeaveRequested(key, LeaveReason::MaxRequests)),
        Step::Condemned(n) => pick(world, n, |_| true).map(Event::Condemned),
        Step::TooLarge(n) => pick(world, n, Fake::is_alive).map(Event::TooLarge),
        Step::Exited(n, exit) => pick(world, n, Fake::is_alive).map(|key| Event::Exited(key, exit)),
        Step::Obeys(n) => {
            pick(world, n, |fake| fake.state == State::Leaving || fake.killed.is_some()).map(
                |key| {
                    let killed = world.fakes[&key].killed.is_some();
                    Event::Exited(key, if killed { SIGKILL } else { Exit::Code(0) })
                },
            )
        }
        Step::Reload => Some(Event::ReloadRequested),
        Step::Resize(wanted) => Some(Event::Resize(EVENT, wanted)),
        Step::Shutdown(now) => Some(Event::ShutdownRequested { now }),
        Step::Later(millis) => {
            world.now += millis;
            Some(Event::Tick)
        }
        Step::JumpBack(millis) => {
            world.now = world.now.saturating_sub(millis);
            Some(Event::Tick)
        }
        Step::Wake => world.supervisor.deadline().map(|deadline| {
            world.now = deadline;
            Event::Tick
        }),
        Step::Stale(n, what) => {
            let event = stale(world, n, what);
            world.pretend(event);
            None
        }
    };
    if let Some(event) = event {
        world.happen(event);
    }
}

/// A world after these steps, which has come to rest.
pub(super) fn lived(settings: GroupSettings, steps: &[Step]) -> World {
    let mut world = World::start(settings);
    for step in steps {
        take(&mut world, step);
    }
    world.behave();
    world
}

/// A world in the midst of these steps, which does not end and whose clock does not jump.
pub(super) fn running(settings: GroupSettings, steps: &[Step]) -> World {
    let mut world = World::start(settings);
    let may_be = |step: &&Step| !matches!(step, Step::Shutdown(_) | Step::JumpBack(_));
    for step in steps.iter().filter(may_be) {
        take(&mut world, step);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The rules that [`World`] checks hold after every step, and when the world behaves again,
    /// everything is in order within a bounded number of steps.
    #[test]
    fn whatever_happens_the_rules_hold_and_it_settles(settings in settings(), steps in steps()) {
        lived(settings, &steps);
    }

    /// Reloads and recycling in a world where nothing fails: not one moment without a serving
    /// process in every slot, and every reload is done.
    #[test]
    fn capacity_never_drops_while_nothing_dies(
        settings in settings(),
        steps in vec(step(), 0..300),
    ) {
        let settings = GroupSettings { boot_timeout_ms: Millis::MAX, ..settings };
        let mut world = World::start(settings);
        world.behave();
        for step in &steps {
            match step {
                Step::Memory(_, false) | Step::Fork(_, false) | Step::Condemned(_)
                | Step::TooLarge(_)
                | Step::Resize(_) | Step::Exited(..) => continue,
                step => take(&mut world, step),
            }
            prop_assert!(world.is_at_capacity());
        }
        world.behave();
        prop_assert!(world.outcomes.iter().all(|outcome| *outcome == ReloadOutcome::Done));
    }

    /// A user's code that never boots costs forks at the pace of the back-off and not faster.
    #[test]
    fn broken_code_does_not_spin(settings in settings()) {
        let settings = GroupSettings { back_off_min_ms: 100, back_off_max_ms: 30_000, ..settings };
        let workers = usize::from(settings.slots);
        let mut world = World::start(settings);
        let end = world.now + 60_000;
        while world.now < end {
            let keys: Vec<_> = world.fakes.keys().copied().collect();
            for key in keys {
                world.happen(Event::MemoryReady(key));
                world.happen(Event::Forked(key));
                world.happen(Event::Exited(key, Exit::Code(255)));
            }
            world.now = world.supervisor.deadline().expect("keeps trying");
            world.happen(Event::Tick);
        }
        // 100 ms * (1 + 2 + 4 + ... + 256) = 51.1 s, so the tenth attempt is the last within 60 s.
        prop_assert_eq!(world.forks, 10 * workers);
    }
}
