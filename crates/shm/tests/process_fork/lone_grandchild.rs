//! A child that user code forked, and that lives on after its worker.

use super::process::{Child, wait_until};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};
use ostler_shm::lane::{MasterMemory, ReactorLane, WorkerMemory};
use ostler_shm::layout::Sizes;
use ostler_shm::outbox::{Committer, Outbox};
use ostler_shm::record::{Header, RecordKind};
use ostler_shm::sync::Ordering;
use std::time::Duration;

const SIZES: Sizes = Sizes { reactors: 1, lane_size: 65_536 };

fn publish(memory: &WorkerMemory, outbox: &mut Outbox, committer: &mut Committer) {
    let lane = memory.lane(0).unwrap();
    let stamp = committer.open_transaction();
    let header = Header { kind: RecordKind::Out as u8, stamp, ..Header::default() };
    outbox.append(lane.down(), &lane.outputs, header, &[b"from the child"]).unwrap();
    Committer::store_written(outbox, lane.up());
    committer.commit(memory.process().unwrap());
}

/// Everything the master can see of the worker.
fn sight(lane: &ReactorLane) -> (u64, u64, u64, Vec<u8>) {
    (
        lane.process().commit.commit.load(Ordering::Acquire),
        lane.up().out.out_written.load(Ordering::Acquire),
        lane.up().taken.taken.load(Ordering::Acquire),
        lane.outputs.raw(0, 65_536).to_vec(),
    )
}

/// What a child forked by user code does: it waits for its parent's death, then goes on
/// publishing.
fn grandchild(master: Pid, memory: &WorkerMemory, mut state: (Outbox, Committer)) -> ! {
    let _ = prctl::set_pdeathsig(None);
    let limit = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, limit);
    while getppid() != master {
        std::thread::sleep(Duration::from_micros(200));
    }
    publish(memory, &mut state.0, &mut state.1);
    // SAFETY: it has written where it must not; the master sees this end and the bytes.
    unsafe { nix::libc::_exit(0) };
}

pub fn a_child_of_the_worker_cannot_go_on_writing() {
    prctl::set_child_subreaper(true).unwrap();
    let master = getpid();
    let memory = MasterMemory::create(SIZES, 0, 1).unwrap();
    let lane = memory.lane(0).unwrap();
    let mut worker = Child::new(|| {
        let memory = WorkerMemory::open(memory.down_fd(), memory.up_fd()).unwrap();
        let (mut outbox, mut committer) = (Outbox::default(), Committer::default());
        publish(&memory, &mut outbox, &mut committer);
        // SAFETY: the worker of this test has one thread.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => grandchild(master, &memory, (outbox, committer)),
            ForkResult::Parent { .. } => nix::sys::signal::kill(getpid(), Signal::SIGKILL).unwrap(),
        }
    });
    let status = wait_until("the worker's death", || worker.poll());
    assert!(matches!(status, WaitStatus::Signaled(pid, Signal::SIGKILL, _) if pid == worker.pid()));
    let before = sight(&lane);
    assert_eq!((before.0, before.1), (1, 128), "the worker's own output is there");
    let end = wait_until("the grandchild's end", || {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive => None,
            status => Some(status),
        }
    });
    assert!(matches!(end, WaitStatus::Signaled(_, Signal::SIGSEGV, _)), "{end:?}");
    assert_eq!(sight(&lane), before, "the child of a dead worker changed the lane");
    prctl::set_child_subreaper(false).unwrap();
}
