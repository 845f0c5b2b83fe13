//! What each mode of dispatch promises, and that no mode starves another.

use super::super::{Brain, ConnectionSlot, Content, LaneSlot, PortId, Subject};
use super::*;
use crate::brain::dispatch::Pick;
use crate::brain::run_lists::RunListId;
use crate::ids::ProcessKey;
use std::net::{IpAddr, Ipv4Addr};

fn workers(number: u16, dispatch: Dispatch) -> World {
    serving_with(BrainSettings { workers: number, ..settings(dispatch, CrashPolicy::Close) })
}

/// Lets a session be served to the end.
fn served(world: &mut World, id: u64) -> u16 {
    let item = world.request(id);
    let lane = world.lane_of(id, item);
    world.start_all(lane);
    world.finish_all(lane);
    world.lanes[lane].key.slot.0
}

#[test]
fn all_sessions_of_an_address_go_to_one_worker_and_addresses_spread() {
    let mut homes = Vec::new();
    for last in 0..=255 {
        let settings =
            BrainSettings { workers: 8, ..settings(Dispatch::AddressHash, CrashPolicy::Close) };
        let mut brain = Brain::new(settings);
        let v4 = Ipv4Addr::new(192, 168, 7, last);
        let addresses = [IpAddr::V4(v4), IpAddr::V6(v4.to_ipv6_mapped()), IpAddr::V4(v4)];
        let mut session = 5;
        let of = addresses.map(|address| {
            session += 1;
            let slot = brain.accept(PortId::FIRST, session).unwrap();
            brain.comes_from(slot, address);
            brain.home_of(brain.sessions.get(slot).unwrap()).unwrap()
        });
        assert!(of.iter().all(|home| *home == of[0]), "{v4}: {of:?}");
        homes.push(of[0]);
    }
    for worker in 0..8 {
        let share = homes.iter().filter(|home| **home == worker).count();
        assert!((16..=64).contains(&share), "256 addresses over 8 workers: {share}");
    }
}

#[test]
fn a_user_has_one_worker_and_a_new_number_counts_when_nothing_is_out() {
    let mut world = workers(3, Dispatch::UserId);
    let (one, other) = (world.connected(), world.connected());
    assert_eq!(served(&mut world, one), world.home(one), "unbound: by its id");
    for user in [5, 3, 4] {
        world.bind(one, user);
        world.bind(other, user);
        assert_eq!(served(&mut world, one), (user % 3) as u16);
        assert_eq!(served(&mut world, other), (user % 3) as u16);
    }
    let item = world.request(one);
    let before = world.lane_of(one, item);
    world.bind(one, 5);
    let behind = world.request(one);
    assert_eq!(world.lane_of(one, behind), before, "bound to where the one before is");
    world.start_all(before);
    world.finish_all(before);
    assert_eq!(served(&mut world, one), 2);
}

#[test]
fn nothing_is_given_before_the_users_function_has_chosen() {
    for dispatch in [Dispatch::UserFunction, Dispatch::UserId] {
        let mut world = workers(3, dispatch);
        let id = world.connect().unwrap();
        let item = world.request(id);
        if dispatch == Dispatch::UserId {
            assert_eq!(world.lane_of(id, item), world.lane_of(id, Item::Connect));
            continue;
        }
        assert_eq!(world.state(id, item), State::Unread);
        let lane = world.lane_of(id, Item::Connect);
        world.start(lane);
        let elsewhere = (world.lanes[lane].key.slot.0 + 1) % 3;
        world.bind(id, u32::from(elsewhere));
        world.pump();
        assert_eq!(world.state(id, item), State::Unread);
        world.finish(lane, 0);
        world.pump();
        let lane = world.lane_of(id, item);
        assert_eq!(world.lanes[lane].key.slot.0, elsewhere);
    }
}

#[test]
fn least_in_hand_counts_what_is_deferred_and_idle_first_does_not() {
    for (dispatch, goes_to_the_free) in
        [(Dispatch::LeastInHand, true), (Dispatch::IdleFirst, false)]
    {
        let mut world = workers(2, dispatch);
        let sessions: Vec<_> = (0..4).map(|_| world.connected()).collect();
        let deferred = world.request(sessions[0]);
        let lane = world.lane_of(sessions[0], deferred);
        world.start(lane);
        world.free(lane);
        let mut visits = 0;
        for id in &sessions[1..] {
            let item = world.request(*id);
            let to = world.lane_of(*id, item);
            visits += usize::from(to == lane);
            world.start_all(to);
            while world.lanes[to].started.len() > usize::from(to == lane) {
                let newest = world.lanes[to].started.len() - 1;
                world.finish(to, newest);
            }
        }
        assert_eq!(visits == 0, goes_to_the_free, "{dispatch:?}: {visits}");
    }
}

#[test]
fn a_sticky_session_begins_at_the_least_loaded_and_stays_though_others_idle() {
    let mut world = workers(3, Dispatch::Sticky);
    let busy = world.connected();
    let package = world.request(busy);
    let busy_lane = world.lane_of(busy, package);
    world.start(busy_lane);
    let id = world.connect().unwrap();
    world.pump();
    let lane = world.lane_of(id, Item::Connect);
    assert_ne!(lane, busy_lane);
    world.start_all(lane);
    world.finish_all(lane);
    let home = served(&mut world, id);
    let long = world.request(busy);
    assert_eq!(world.lane_of(busy, long), busy_lane, "where its first package was");
    for _ in 0..5 {
        assert_eq!(served(&mut world, id), home);
    }
}

#[test]
fn a_sticky_session_whose_worker_stays_away_chooses_once_more() {
    let mut world = workers(2, Dispatch::Sticky);
    let id = world.connected();
    let home = served(&mut world, id);
    let at = |world: &World, worker: u16| {
        world.lanes.iter().position(|lane| lane.key.slot.0 == worker).unwrap()
    };
    let lane = at(&world, home);
    world.die(lane);
    let item = world.request(id);
    assert_eq!(world.state(id, item), State::Unread);
    world.pass(world.settings.slot_down_ns);
    world.rehash();
    world.pump();
    let other = at(&world, 1 - home);
    assert_eq!(world.lane_of(id, item), other);
    world.start_all(other);
    world.finish_all(other);
    world.serving(home);
    assert_eq!(served(&mut world, id), 1 - home, "it does not go back");
}

#[test]
fn pull_gives_a_worker_its_next_package_when_it_has_finished_the_one_before() {
    let mut world = workers(2, Dispatch::Pull);
    let id = world.connect().unwrap();
    let items: Vec<_> = (0..4).map(|_| world.request(id)).collect();
    let connects = world.lane_of(id, Item::Connect);
    assert_eq!(world.state(id, items[0]), State::Unread, "the connect event is over first");
    world.start(connects);
    world.finish(connects, 0);
    world.eof(id);
    world.pump();
    let (first, second) = (world.lane_of(id, items[0]), world.lane_of(id, items[1]));
    assert_ne!(first, second, "two workers have packages of one session");
    assert_eq!(world.state(id, items[2]), State::Unread, "nothing waits at a worker");
    world.start(first);
    world.start(second);
    world.finish(second, 0);
    world.pump();
    assert_eq!(world.lane_of(id, items[2]), second, "to the one that has finished");
    world.start(second);
    world.finish(second, 0);
    world.pump();
    world.start(second);
    world.finish(second, 0);
    world.pump();
    assert_eq!(world.state(id, Item::Closed), State::Unread, "the first is not over");
    assert_eq!(world.closed(id), None);
    world.finish(first, 0);
    world.pump();
    assert_eq!(world.closed(id), Some(CloseReason::Peer));
    world.calm_down();
    assert_eq!(world.log.last().map(|(_, item, _)| *item), Some(Item::Closed));
}

const PORTS: [Dispatch; 4] =
    [Dispatch::Pull, Dispatch::IdleFirst, Dispatch::RoundRobin, Dispatch::SessionHash];

/// Two workers, a port for each of four modes, so many sessions on each.
fn crowd(each: usize) -> (Brain, Vec<LaneSlot>, Vec<(ConnectionSlot, Dispatch)>) {
    let port =
        |dispatch| PortSettings { dispatch, ..port_settings(dispatch, CrashPolicy::Close, 4) };
    let settings = BrainSettings {
        ports: PerPort::new(port(PORTS[0]), PORTS[1..].iter().copied().map(port).collect()),
        sessions_max: 64,
        prefetch_ns: 1 << 40,
        ..settings(Dispatch::Pull, CrashPolicy::Close)
    };
    let mut brain = Brain::new(settings);
    let lanes: Vec<_> = (0..2).map(|worker| brain.add_lane(ProcessKey::event(worker, 1))).collect();
    lanes.iter().for_each(|lane| brain.serve(*lane));
    let mut sessions = Vec::new();
    for (port, dispatch) in PORTS.into_iter().enumerate() {
        for _ in 0..each {
            let accepted = brain.accept(PortId(port as u16), 6 + sessions.len() as u64);
            sessions.push((accepted.unwrap(), dispatch));
        }
    }
    (brain, lanes, sessions)
}

/// All clients always have something to ask, and workers finish one package at a time: every
/// session is served as often as any other of its port, to one more or less, and every port is
/// served.
#[test]
fn no_mode_starves_another_and_no_session_its_neighbours() {
    let (mut brain, lanes, sessions) = crowd(3);
    sessions.iter().for_each(|(slot, _)| brain.readable(*slot));
    let mut at: Vec<std::collections::VecDeque<(u64, u64)>> = vec![Default::default(); 2];
    let (mut written, mut served) = (0, std::collections::HashMap::new());
    for _ in 0..2_000 {
        while let Some(assignment) = brain.next_give() {
            let Subject::Session(slot) = assignment.subject else { panic!("no datagrams") };
            let lane = lanes.iter().position(|lane| *lane == assignment.lane).unwrap();
            if !matches!(assignment.content, Content::Connect) {
                *served.entry(slot).or_insert(0) += 1;
            }
            at[lane].push_back((assignment.seq, written));
            brain.record_written(assignment, written, 8, None, true, 0);
            brain.readable(slot);
            written += 128;
        }
        for (lane, slot) in lanes.iter().enumerate() {
            if let Some((seq, position)) = at[lane].pop_front() {
                brain.finish(*slot, seq, position + 1).unwrap();
            }
        }
    }
    for dispatch in PORTS {
        let own = sessions.iter().filter(|(_, of)| *of == dispatch);
        let shares: Vec<i32> =
            own.map(|(slot, _)| served.get(slot).copied().unwrap_or(0)).collect();
        assert!(shares.iter().all(|share| *share > 100), "{dispatch:?}: {shares:?}");
    }
    assert!(brain.books().balance());
}

/// While somebody waits for a worker that has nothing to do, nothing is kept ready at any.
#[test]
fn nothing_is_prefetched_while_a_port_pulls() {
    let (mut brain, lanes, sessions) = crowd(2);
    sessions.iter().for_each(|(slot, _)| brain.readable(*slot));
    let mut written = 0;
    while let Some(assignment) = brain.next_give() {
        brain.record_written(assignment, written, 8, None, true, 0);
        written += 128;
    }
    assert!(!brain.lists.is_empty(RunListId::Free(Pick::Pull)));
    assert!(lanes.iter().all(|lane| brain.in_hand(*lane) == 1));
}
