//! Random events; the world checks after every one.

use super::super::CloseReason;
use super::super::LaneState;
use super::world::{ONE_RECORD, ROOM};
use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// One thing that happens. Numbers pick among those to which it can happen; when there is none,
/// nothing happens.
#[derive(Clone, Debug)]
enum Step {
    Connect,
    Send(usize, u8, usize),
    Eof(usize),
    Close(usize, CloseReason),
    /// The client's connection fails.
    Lose(usize),
    Output(usize, bool, bool),
    /// All clients send, all is given, all workers start so many.
    Rush(u8),
    Give(u8),
    Pump,
    Act,
    Start(usize, u8),
    Finish(usize, usize),
    Expose(usize, usize),
    Nonsense(usize, u64),
    Free(usize),
    Part(usize),
    Room(usize, usize),
    /// Every slot without a serving worker gets one.
    Repair,
    Boot(u16),
    Serve(usize),
    Leave(usize),
    Condemn(usize),
    Die(usize),
    Recall(usize),
    RecallIfDue,
    SetWork(usize, u64),
    Pass(u64),
    Rehash,
    Pause(bool),
    Bind(usize, u32),
    RefuseOverdue,
    RefuseBeyond,
    LookForLack,
    HoldBack(usize, bool),
    ExceedRate(usize),
    CalmDown,
    Workers(u16),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let who = || 0usize..32;
    let reason = prop_oneof![
        Just(CloseReason::PeerError),
        Just(CloseReason::Worker),
        Just(CloseReason::WorkerReset),
        Just(CloseReason::SlowReader),
    ];
    prop_oneof![
        6 => Just(Connect),
        16 => (who(), 1u8..6, prop_oneof![9 => 0usize..40, 1 => 2_000usize..2_100])
            .prop_map(|(who, count, len)| Send(who, count, len)),
        1 => who().prop_map(Eof),
        1 => (who(), reason).prop_map(|(who, reason)| Close(who, reason)),
        2 => who().prop_map(Lose),
        6 => (who(), 0u8..6).prop_map(|(who, what)| Output(who, what < 2, what < 1)),
        8 => (0u8..12).prop_map(Rush),
        6 => (1u8..4).prop_map(Give),
        12 => Just(Pump),
        2 => Just(Act),
        20 => (who(), 1u8..6).prop_map(|(lane, count)| Start(lane, count)),
        16 => (who(), 0usize..8).prop_map(|(lane, which)| Finish(lane, which)),
        1 => (who(), 0usize..8).prop_map(|(lane, which)| Expose(lane, which)),
        1 => (who(), 0u64..40).prop_map(|(lane, number)| Nonsense(lane, number)),
        3 => who().prop_map(Free),
        6 => who().prop_map(Part),
        2 => (who(), prop_oneof![0usize..6, Just(ROOM)]).prop_map(|(lane, room)| Room(lane, room)),
        4 => Just(Repair),
        3 => (0u16..4).prop_map(Boot),
        3 => who().prop_map(Serve),
        1 => who().prop_map(Leave),
        1 => who().prop_map(Condemn),
        3 => who().prop_map(Die),
        1 => who().prop_map(Recall),
        2 => Just(RecallIfDue),
        3 => (who(), any_work()).prop_map(|(which, ns)| SetWork(which, ns)),
        4 => prop_oneof![0u64..100_000, 900_000u64..2_000_000_000].prop_map(Pass),
        3 => Just(Rehash),
        2 => any::<bool>().prop_map(Pause),
        2 => (who(), 0u32..9).prop_map(|(who, user)| Bind(who, user)),
        2 => Just(RefuseOverdue),
        1 => Just(RefuseBeyond),
        1 => Just(LookForLack),
        2 => (who(), any::<bool>()).prop_map(|(who, held)| HoldBack(who, held)),
        2 => who().prop_map(ExceedRate),
        1 => Just(CalmDown),
        2 => (1u16..5).prop_map(Workers),
    ]
}

fn apply(world: &mut World, step: Step) {
    if let Some(step) = apply_to_client(world, step)
        && let Some(step) = apply_to_lane(world, step)
    {
        apply_to_all(world, step);
    }
}

/// What happens to one client; else the step comes back.
fn apply_to_client(world: &mut World, step: Step) -> Option<Step> {
    let present = world.sessions.values().rev().filter(|session| !session.freed);
    let ids: Vec<u64> = present.map(|session| session.id).collect();
    let who = |which: usize| ids.get(which % ids.len().max(1)).copied();
    match step {
        Step::Send(which, count, len) => {
            if let Some(id) = who(which) {
                for more in 0..usize::from(count) {
                    world.send(id, len + more);
                }
            }
        }
        Step::Eof(which) => who(which).into_iter().for_each(|id| world.eof(id)),
        Step::Close(which, reason) => who(which).into_iter().for_each(|id| world.close(id, reason)),
        Step::Bind(which, user) => who(which).into_iter().for_each(|id| world.bind(id, user)),
        Step::HoldBack(which, held) => {
            who(which).into_iter().for_each(|id| world.hold_back(id, held));
        }
        Step::ExceedRate(which) => {
            who(which).into_iter().for_each(|id| world.exceed_rate(id));
        }
        Step::Lose(which) => who(which).into_iter().for_each(|id| world.lose(id)),
        Step::Output(which, pending, high) => {
            who(which).into_iter().for_each(|id| world.output_changed(id, pending, high));
        }
        Step::Rush(count) => {
            for id in ids {
                for more in 0..1 + usize::from(count) % 3 {
                    world.send(id, more);
                }
            }
            world.pump();
            for lane in 0..world.lanes.len() {
                (0..count).for_each(|_| _ = world.start(lane));
            }
        }
        other => return Some(other),
    }
    None
}

/// What happens to one worker or its lane; else the step comes back.
fn apply_to_lane(world: &mut World, step: Step) -> Option<Step> {
    let lanes = world.lanes.len();
    let lane = |which: usize| (lanes > 0).then(|| which % lanes.max(1));
    match step {
        Step::Start(which, count) => {
            if let Some(lane) = lane(which) {
                for _ in 0..count {
                    world.start(lane);
                }
            }
        }
        Step::Finish(which, item) => lane(which).into_iter().for_each(|l| world.finish(l, item)),
        Step::Expose(which, item) => lane(which).into_iter().for_each(|l| world.expose(l, item)),
        Step::Nonsense(which, number) => {
            lane(which).into_iter().for_each(|l| world.nonsense(l, number));
        }
        Step::Free(which) => lane(which).into_iter().for_each(|l| world.free(l)),
        Step::Part(which) => lane(which).into_iter().for_each(|l| world.part(l)),
        Step::Room(which, room) => lane(which).into_iter().for_each(|l| world.set_room(l, room)),
        Step::Serve(which) => {
            let booting = (0..lanes)
                .filter(|l| world.lanes[*l].state == LaneState::Booting)
                .collect::<Vec<_>>();
            if !booting.is_empty() {
                world.serve(booting[which % booting.len()]);
            }
        }
        Step::Leave(which) => lane(which).into_iter().for_each(|l| world.leave(l)),
        Step::Condemn(which) => lane(which).into_iter().for_each(|l| world.condemn(l)),
        Step::Die(which) => {
            // Most often the one with the most in hand.
            let busiest = (0..lanes).max_by_key(|lane| world.lanes[*lane].started.len());
            let dies = if which % 4 > 0 { busiest } else { lane(which) };
            dies.into_iter().for_each(|lane| world.die(lane));
        }
        Step::Recall(which) => lane(which).into_iter().for_each(|l| world.recall(l)),
        Step::SetWork(which, ns) => lane(which).into_iter().for_each(|l| world.set_work(l, ns)),
        other => return Some(other),
    }
    None
}

/// What happens to all, or to the reactor.
fn apply_to_all(world: &mut World, step: Step) {
    match step {
        Step::Connect => {
            // Of some there is something to tell, of some more than a record holds.
            let told = [0, 8, 2 * ONE_RECORD][world.sessions.len() % 3];
            world.connect_told(told);
        }
        Step::Give(count) => (0..count).for_each(|_| _ = world.give()),
        Step::Pump => world.pump(),
        Step::Act => _ = world.action(),
        Step::Repair => world.repair(),
        Step::Boot(worker) => {
            let worker = worker % world.settings.workers;
            let boots = |lane: &super::world::FakeLane| {
                lane.key.slot.0 == worker && lane.state == LaneState::Booting
            };
            if !world.lanes.iter().any(boots) && world.lanes.len() < 12 {
                world.boot(worker);
            }
        }
        Step::RecallIfDue => drop(world.recall_if_due()),
        Step::Pass(ns) => world.pass(ns),
        Step::Rehash => world.rehash(),
        Step::RefuseOverdue => world.refuse_overdue(),
        Step::RefuseBeyond => world.refuse_beyond(),
        Step::LookForLack => _ = world.lacks_workers(),
        Step::Pause(paused) => world.pause(paused),
        Step::CalmDown => world.calm_down(),
        Step::Workers(workers) => world.set_workers(workers),
        other => panic!("{other:?} is applied by nobody"),
    }
}

/// What a worker says of its work, be it true or not.
fn any_work() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), 100u64..100_000_000, Just(u64::MAX)]
}

/// How many may wait for a worker, for how long, and after which time workers are lacking.
fn any_limits() -> impl Strategy<Value = (u32, u64, u64)> {
    proptest::sample::select(vec![
        (0, 0, 0),
        (0, 0, 1_000_000),
        (2, 0, 0),
        (0, 1_000_000, 0),
        (3, 50_000_000, 0),
        (3, 50_000_000, 20_000_000),
    ])
}

fn any_settings() -> impl Strategy<Value = BrainSettings> {
    let dispatch = proptest::sample::select(&Dispatch::ALL[..]);
    let crash_policy = prop_oneof![
        Just(CrashPolicy::Close),
        Just(CrashPolicy::Drop),
        (0u8..4).prop_map(CrashPolicy::Redeliver)
    ];
    let windows =
        (prop_oneof![Just(1u32), Just(2), Just(16)], prop_oneof![Just(1u32), Just(3), Just(64)]);
    (
        dispatch,
        crash_policy,
        windows,
        0u8..4,
        1u16..4,
        prop_oneof![Just(4u32), Just(16)],
        (prop_oneof![Just(100_000u64), Just(1 << 50)], any_limits()),
        any::<bool>(),
    )
        .prop_map(
            |(
                dispatch,
                crash_policy,
                (window, packages),
                deaths_while_waiting_max,
                workers,
                sessions_max,
                (prefetch_ns, (queue_max, queue_wait_max_ns, lack_after_ns)),
                answers_refused,
            )| {
                let port = port_settings(dispatch, crash_policy, window);
                let port = PortSettings { queue_max, queue_wait_max_ns, answers_refused, ..port };
                BrainSettings {
                    ports: PerPort::new(port, Vec::new()),
                    prefetch_ns,
                    prefetch_packages: packages,
                    deaths_while_waiting_max,
                    workers,
                    sessions_max,
                    lack_after_ns,
                    ..settings(dispatch, crash_policy)
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2 * ProptestConfig::default().cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_account_is_right_and_in_the_end_all_is_served(
        settings in any_settings(),
        steps in vec(step(), 1..300),
        drains_at in 50usize..600,
        sessions in 0usize..12,
    ) {
        let mut world = World::new(settings);
        for worker in 0..world.settings.workers {
            world.serving(worker);
        }
        for _ in 0..sessions {
            world.connect();
        }
        for (index, step) in steps.into_iter().enumerate() {
            if index == drains_at {
                let open = world.sessions.values().filter(|session| {
                    let is_open = world.phase(session.id) == Some(Phase::Open);
                    is_open && session.unread().is_some()
                });
                let held: Vec<_> = open.map(|session| (session.id, 1)).collect();
                world.drain_holding(&held);
            }
            apply(&mut world, step);
        }
        world.calm_down();
        world.drain();
        world.calm_down();
    }
}

/// A client is lost while its connect event, a package and its close event wait at a worker that
/// dies, and then it is closed: nobody has seen it, and nothing of it stays behind.
#[test]
fn a_session_that_nobody_saw_leaves_no_close_event_behind() {
    let mut world = World::new(BrainSettings {
        ports: port(Dispatch::RoundRobin, CrashPolicy::Drop, 16),
        prefetch_ns: 1 << 50,
        prefetch_packages: 64,
        workers: 1,
        sessions_max: 4,
        ..settings(Dispatch::RoundRobin, CrashPolicy::Drop)
    });
    world.serving(0);
    world.connect();
    world.connect();
    for step in [
        Step::Serve(0),
        Step::Connect,
        Step::Connect,
        Step::Send(3, 1, 0),
        Step::Give(1),
        Step::Lose(3),
        Step::Give(3),
        Step::Die(0),
        Step::Close(27, CloseReason::Worker),
    ] {
        apply(&mut world, step);
    }
    world.calm_down();
    world.drain();
    world.calm_down();
}
