//! Random peers, workers, deaths, recalls and reloads: the order of every peer holds and nothing
//! vanishes, whatever the crash policy and the dispatch mode are.

use proptest::prelude::*;

use super::super::settings;
use super::world::{Fate, Peers};
use crate::brain::BrainSettings;
use crate::policy::{CrashPolicy, Dispatch};

#[derive(Clone, Copy, Debug)]
enum Step {
    Send(u64),
    Start(usize),
    Finish(usize),
    Expose(usize),
    Recall(usize),
    /// Leaves, finishes what it has, and ends.
    Reload(usize),
    Die(usize),
    Condemn(usize),
    Serve(usize),
    Pass(u64),
}

const WORKERS: usize = 3;

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..WORKERS;
    prop_oneof![
        8 => (0..6_u64).prop_map(Step::Send),
        4 => worker.clone().prop_map(Step::Start),
        6 => worker.clone().prop_map(Step::Finish),
        1 => worker.clone().prop_map(Step::Expose),
        1 => worker.clone().prop_map(Step::Recall),
        1 => worker.clone().prop_map(Step::Reload),
        1 => worker.clone().prop_map(Step::Die),
        1 => worker.clone().prop_map(Step::Condemn),
        2 => worker.prop_map(Step::Serve),
        1 => (0..2_000_000_000_u64).prop_map(Step::Pass),
    ]
}

fn apply(peers: &mut Peers, step: Step) {
    match step {
        Step::Send(peer) => peers.send(peer),
        Step::Start(worker) => drop(peers.start(worker)),
        Step::Finish(worker) => {
            peers.finish_oldest(worker);
            peers.pump();
        }
        Step::Expose(worker) if peers.serves(worker) => peers.expose(worker),
        Step::Recall(worker) => {
            peers.recall(worker, false);
            peers.pump();
        }
        Step::Reload(worker) => {
            peers.recall(worker, true);
            peers.pump();
            while peers.finish_oldest(worker) {}
            peers.die(worker);
        }
        Step::Die(worker) => peers.die(worker),
        Step::Condemn(worker) if peers.serves(worker) => {
            peers.condemn(worker);
            peers.die(worker);
        }
        Step::Serve(worker) if !peers.serves(worker) => peers.serve(worker),
        Step::Pass(ns) => {
            peers.pass(ns);
            peers.brain.rehash(peers.now);
            peers.pump();
        }
        Step::Expose(_) | Step::Condemn(_) | Step::Serve(_) => {}
    }
}

proptest! {
    #[test]
    fn every_peer_is_served_in_its_order_and_every_datagram_is_finished_or_dropped(
        steps in proptest::collection::vec(step(), 0..120),
        dispatch in prop::sample::select(vec![
            Dispatch::RoundRobin, Dispatch::SessionHash, Dispatch::IdleFirst,
        ]),
        policy in prop::sample::select(vec![
            CrashPolicy::Close, CrashPolicy::Drop, CrashPolicy::Redeliver(2),
        ]),
        prefetch_packages in 1..5_u32,
    ) {
        let settings = settings(dispatch, policy);
        let workers = WORKERS as u16;
        let mut peers = Peers::new(BrainSettings { prefetch_packages, workers, ..settings });
        for step in steps {
            apply(&mut peers, step);
        }
        for worker in 0..WORKERS {
            if !peers.serves(worker) {
                peers.serve(worker);
            }
        }
        peers.finish_all();
        peers.check();
        prop_assert!(peers.brain.is_empty(), "nothing is left: {:?}", peers.books());
        for peer in 0..6 {
            prop_assert!(peers.has_no(peer, Fate::Here));
        }
    }
}
