//! Datagrams: the order of each peer, the books, and what becomes of what a dead worker had.

mod properties;
mod world;

use super::super::{DatagramDrop, NotSent};
use super::{one, settings};
use crate::brain::BrainSettings;
use crate::policy::{CrashPolicy, Dispatch};
use world::{Fate, Peers};

const HASH: Dispatch = Dispatch::SessionHash;

/// Two workers, each of which has room for two.
fn two(dispatch: Dispatch, crash_policy: CrashPolicy) -> Peers {
    let settings = settings(dispatch, crash_policy);
    let mut peers = Peers::new(BrainSettings { prefetch_packages: 2, ..settings });
    peers.serve(0);
    peers.serve(1);
    peers
}

#[test]
fn a_peer_stays_with_its_worker_while_a_datagram_of_it_is_out() {
    let mut peers = two(Dispatch::RoundRobin, CrashPolicy::Close);
    peers.send(7);
    peers.send(7);
    let lane = peers.lane_of(7, 0);
    assert_eq!(peers.lane_of(7, 1), lane, "whoever's turn it is");
    peers.send(8);
    assert_ne!(peers.lane_of(8, 0), lane, "another one's goes to the next in turn");
    peers.finish_all();
    peers.send(7);
    assert_eq!(peers.lane_of(7, 2), lane, "two were given since: it is free again");
    peers.check();
}

#[test]
fn what_waits_for_a_busy_worker_keeps_nobody_else_out() {
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Close);
    (0..5).for_each(|_| peers.send(7));
    assert_eq!((peers.at_lanes(), peers.books().waiting), (2, 3));
    assert!(peers.brain.datagrams_wanted() > 0, "the other worker has credit");
    peers.send(8);
    assert_eq!(peers.at_lanes(), 3, "it did not wait behind them");
    peers.finish_all();
    assert_eq!(peers.fates(7), [Fate::Finished; 5]);
    assert!(peers.brain.is_empty());
    peers.check();
}

#[test]
fn nothing_is_read_while_no_worker_has_credit() {
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Close);
    assert_eq!(peers.brain.datagrams_wanted(), 4);
    (0..4).for_each(|peer| peers.send(peer));
    assert_eq!(peers.brain.datagrams_wanted(), 0);
    peers.finish_oldest(0);
    assert_eq!(peers.brain.datagrams_wanted(), 1);
    peers.brain.pause_reading(true);
    assert_eq!(peers.brain.datagrams_wanted(), 0, "nor while memory is short");
    peers.brain.pause_reading(false);
    peers.brain.drain();
    assert_eq!(peers.brain.datagrams_wanted(), 0, "nor when the server drains");
    peers.finish_all();
    assert!(peers.brain.is_empty());
}

#[test]
fn hashed_peers_go_to_one_worker_and_wait_for_it_until_it_is_down_for_too_long() {
    let mut peers = two(HASH, CrashPolicy::Close);
    let lanes: Vec<usize> = (0..16)
        .map(|_| {
            peers.send(7);
            let lane = peers.newest_lane(7);
            peers.finish_all();
            lane
        })
        .collect();
    assert!(lanes.iter().all(|lane| *lane == lanes[0]), "{lanes:?}");
    peers.die(lanes[0]);
    peers.send(7);
    assert_eq!(peers.books().waiting, 1, "it waits for the successor");
    peers.pass(2_000_000_000);
    assert!(peers.brain.rehash_due().is_some_and(|due| due <= peers.now));
    peers.brain.rehash(peers.now);
    peers.pump();
    assert_eq!(peers.newest_lane(7), 1 - lanes[0], "the other one");
    peers.finish_all();
    peers.serve(lanes[0]);
    peers.send(7);
    assert_eq!(peers.newest_lane(7), lanes[0], "and back");
}

#[test]
fn a_started_datagram_of_a_dead_worker_is_dropped_or_delivered_again() {
    for policy in [CrashPolicy::Close, CrashPolicy::Drop] {
        let mut peers = two(Dispatch::IdleFirst, policy);
        peers.send(7);
        peers.send(7);
        let lane = peers.lane_of(7, 0);
        peers.start(lane);
        peers.die(lane);
        peers.finish_all();
        assert_eq!(peers.fates(7), [Fate::Dropped, Fate::Finished], "{policy:?}");
        assert_eq!(peers.books().dropped[DatagramDrop::WorkerDied as usize], 1);
    }
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Redeliver(1));
    peers.send(7);
    peers.send(7);
    for (redelivered, dropped) in [(1, 0), (1, 1)] {
        let lane = peers.newest_lane(7);
        peers.start(lane);
        peers.die(lane);
        assert_eq!(
            (peers.books().redelivered, peers.books().dropped_total()),
            (redelivered, dropped),
            "once, not twice"
        );
        peers.serve(lane);
    }
    peers.finish_all();
    assert_eq!(peers.fates(7), [Fate::Dropped, Fate::Finished]);
    peers.check();
}

#[test]
fn what_was_seen_or_may_have_been_is_never_delivered_again() {
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Redeliver(3));
    peers.send(7);
    let lane = peers.lane_of(7, 0);
    peers.start(lane);
    peers.expose(lane);
    peers.die(lane);
    assert_eq!(peers.fates(7), [Fate::Dropped]);
    peers.serve(lane);
    peers.send(7);
    let lane = peers.newest_lane(7);
    peers.condemn(lane);
    peers.die(lane);
    assert_eq!(peers.fates(7), [Fate::Dropped; 2]);
    peers.check();
}

#[test]
fn a_datagram_that_kills_unannounced_does_not_go_round_for_ever() {
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Close);
    peers.send(7);
    for _ in 0..4 {
        let lane = peers.newest_lane(7);
        peers.die(lane);
        peers.serve(lane);
    }
    assert_eq!(peers.fates(7), [Fate::Dropped]);
    assert_eq!(peers.books().dropped[DatagramDrop::Unservable as usize], 1);
    assert!(peers.brain.is_empty());
}

#[test]
fn as_many_wait_as_may_and_no_more() {
    use super::super::peers::{PEER_WAITING_MAX, WAITING_MAX};
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Close);
    (0..PEER_WAITING_MAX + 12).for_each(|_| peers.send(7));
    assert_eq!(peers.books().waiting, PEER_WAITING_MAX as u64);
    assert_eq!(peers.books().dropped[DatagramDrop::PeerFull as usize], 10, "two are at the worker");
    for peer in 8..8 + WAITING_MAX as u64 {
        peers.send_unread(peer);
    }
    assert!(peers.books().waiting >= WAITING_MAX as u64);
    assert_eq!(peers.brain.datagrams_wanted(), 0, "what comes now waits in the kernel");
    peers.brain.close_all(super::super::CloseReason::ShutdownTimeout);
    assert_eq!(peers.books().waiting, 0);
    assert!(peers.books().dropped[DatagramDrop::Shutdown as usize] > 0);
    assert!(peers.brain.books().balance());
}

/// All that could wait waited for it, and nothing was read any more, for whomever it was.
#[test]
fn what_waits_for_a_worker_that_stands_still_keeps_nothing_from_the_others() {
    use super::super::dispatch::session_hash::home;
    use super::super::peers::{WAITING_MAX, WORKER_WAITING_PART};
    let mut peers = two(HASH, CrashPolicy::Close);
    let of = |worker| (1_u64..).filter(move |key| home(*key, 2) == worker);
    for peer in of(0).take(5) {
        (0..1_030).for_each(|_| peers.send_unread(peer));
    }
    let part = (WAITING_MAX / WORKER_WAITING_PART) as u64;
    assert_eq!((peers.at_lanes(), peers.books().waiting), (2, part));
    assert_eq!(peers.brain.datagrams_wanted(), 2, "the other worker has credit");
    let other = of(1).next().unwrap();
    (0..5).for_each(|_| peers.send(other));
    assert_eq!((peers.at_lanes(), peers.books().waiting), (4, part + 3), "there is room for it");
    assert_eq!(peers.brain.datagrams_wanted(), 0, "now nobody has");
    for peer in of(1).skip(1).take(5) {
        (0..1_030).for_each(|_| peers.send_unread(peer));
    }
    assert_eq!(peers.books().waiting, WAITING_MAX as u64, "both together");
    peers.finish_all();
    assert_eq!(peers.fates(other), [Fate::Finished; 5]);
    assert!(peers.brain.is_empty());
    peers.check();
}

#[test]
fn without_a_worker_for_too_long_what_waits_is_dropped_and_what_comes_too() {
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Redeliver(3));
    peers.send(7);
    peers.send(7);
    peers.die(0);
    peers.die(1);
    assert_eq!(peers.books().waiting, 2);
    peers.pass(2_000_000_000);
    assert!(peers.brain.refusal_due().is_some_and(|due| due <= peers.now));
    peers.brain.begin_refusing();
    assert_eq!(peers.books().dropped[DatagramDrop::NoWorker as usize], 2);
    peers.send_unread(7);
    assert_eq!(peers.books().dropped[DatagramDrop::NoWorker as usize], 3);
    assert!(peers.brain.is_empty() && peers.brain.books().balance());
    peers.serve(0);
    peers.send(7);
    assert_eq!(peers.at_lanes(), 1);
}

#[test]
fn a_worker_cannot_leave_a_part_of_a_datagram_or_skip_it() {
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Close);
    peers.send(7);
    let lane = peers.lane_of(7, 0);
    peers.start(lane);
    let (slot, seq, t) = peers.started(lane);
    let partly = peers.brain.finish_partly(slot, seq, 1, t, &mut |_| Vec::new());
    assert!(partly.is_err());
    assert!(peers.brain.skip(slot, seq, t).is_err());
    peers.finish_all();
    peers.check();
}

#[test]
fn sessions_and_datagrams_that_wait_take_turns() {
    let (mut world, id) = one(CrashPolicy::Close);
    let slot = world.sessions[&id].place;
    world.brain.set_full(world.lanes[0].slot);
    for key in 0..4 {
        let offer = world.brain.offer_datagram(crate::ids::PortId::FIRST, key);
        let super::super::Offer::Wait(peer) = offer else { panic!("{offer:?}") };
        assert!(world.brain.keep_datagram(peer, vec![1]));
    }
    world.brain.readable(slot);
    world.brain.room_freed(world.lanes[0].slot);
    let first_two: Vec<_> = (0..2)
        .map(|_| {
            let given = world.brain.next_give().unwrap();
            let is_datagram = matches!(given.subject, crate::ids::Subject::Peer(_));
            world.brain.record_written(given, 1 << 40, 1, None, false, 1);
            is_datagram
        })
        .collect();
    assert!(first_two.contains(&true) && first_two.contains(&false), "{first_two:?}");
}

#[test]
fn what_is_sent_and_what_is_not_is_counted() {
    let mut peers = two(Dispatch::IdleFirst, CrashPolicy::Close);
    peers.brain.count_sent(3);
    peers.brain.count_not_sent(NotSent::QueueFull, 2);
    peers.brain.count_kernel_drops(5);
    peers.brain.datagram_too_long();
    let books = peers.books();
    assert_eq!((books.sent, books.not_sent_total(), books.kernel_dropped), (3, 2, 5));
    assert_eq!(books.dropped[DatagramDrop::TooLong as usize], 1);
    assert!(peers.brain.books().balance());
}
