//! What a worker of these tests does: says READY, then obeys commands that come through its `down`
//! descriptor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use ostler_core::supervisor::LeaveReason;

use crate::control::FromWorker;
use crate::inheritance::{ProcessBoot, ProcessEnds};
use crate::sys::process::{self, ExitBy, fork_child};
use crate::sys::{control_socket, eventfd, poll, signal};

/// End in good order.
pub(super) const LEAVE: u64 = 1;
/// Panic.
pub(super) const PANIC: u64 = 2;
/// Say 250 times nonsense, with descriptors, then go on.
pub(super) const TALK_NONSENSE: u64 = 3;
/// Leave a process behind and end.
pub(super) const LEAVE_A_STRAY: u64 = 4;
/// Close the control socket and go on.
pub(super) const HANG_UP: u64 = 5;
/// Say that the first delivery is served.
pub(super) const SERVE_ONE: u64 = 6;
/// Say more than the manager hears in one turn, "served" last, and end with code 4.
pub(super) const DIE_TALKING: u64 = 7;
/// Say 250 times "served", then go on.
pub(super) const TALK_ON: u64 = 8;
/// What is added to eventfds for a command, so that two commands cannot add up to a third.
pub(super) const COMMAND_BASE: u64 = 1_000;

/// Exit code of a worker that is not as it should be.
const EXIT_WRONG: i32 = 9;

/// Its lanes: `down`, `up`, and the bells.
fn lanes(boot: &ProcessBoot) -> (&OwnedFd, &OwnedFd, &[OwnedFd]) {
    match &boot.ends {
        ProcessEnds::Lanes { down, up, lane_bells, .. } => (down, up, lane_bells),
        ProcessEnds::Clients { .. } => panic!("made without BASE mode"),
    }
}

pub(super) fn obedient(boot: ProcessBoot) -> i32 {
    if let Err(what) = check(&boot) {
        let line = format!("[worker {}] wrong: {what}\n", boot.key);
        let _ = rustix::io::write(std::io::stderr(), line.as_bytes());
        return EXIT_WRONG;
    }
    FromWorker::Ready.send(&boot.control).unwrap();
    let (down, _, _) = lanes(&boot);
    let (mut control, mut asked) = (Some(&boot.control), false);
    loop {
        let watched = [down.as_fd(), boot.worker_bell.as_fd(), boot.master_pidfd.as_fd()];
        let [commanded, rung, master_gone] = poll::wait_readable(watched, None).unwrap();
        if master_gone {
            return 0;
        }
        if rung {
            eventfd::drain(&boot.worker_bell).unwrap();
            if signal::termination_requested() && !asked {
                asked = true;
                FromWorker::LeaveRequest(LeaveReason::Asked).send(&boot.control).unwrap();
            }
        }
        if !commanded {
            continue;
        }
        match eventfd::drain(down).unwrap() - COMMAND_BASE {
            LEAVE => return 0,
            PANIC => panic!("on purpose"),
            TALK_NONSENSE => talk_nonsense(&boot),
            TALK_ON => talk_on(&boot),
            LEAVE_A_STRAY => {
                let stray = fork_child(&[], ExitBy::Immediately, || {
                    std::thread::sleep(Duration::from_secs(60));
                    0
                });
                return stray.map_or(EXIT_WRONG, |_| 0);
            }
            HANG_UP => {
                let control = control.take().unwrap();
                rustix::net::shutdown(control, rustix::net::Shutdown::Both).unwrap();
            }
            SERVE_ONE => FromWorker::TookDelivery.send(&boot.control).unwrap(),
            DIE_TALKING => {
                for _ in 0..40 {
                    control_socket::send(&boot.control, b"nonsense", &[]).unwrap();
                }
                FromWorker::TookDelivery.send(&boot.control).unwrap();
                process::exit_immediately(4);
            }
            other => panic!("command {other}"),
        }
    }
}

fn talk_on(boot: &ProcessBoot) {
    for _ in 0..250 {
        while let Err(error) = FromWorker::TookDelivery.send(&boot.control) {
            if error.kind() != std::io::ErrorKind::WouldBlock {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn talk_nonsense(boot: &ProcessBoot) {
    for round in 0..250_u8 {
        let nonsense = vec![round; usize::from(round % 12) + 1];
        let descriptors = [lanes(boot).1.as_fd(), boot.board.as_fd()];
        // Fails once the manager listens no more; waits while its queue is full.
        while let Err(error) = control_socket::send(&boot.control, &nonsense, &descriptors) {
            if error.kind() != std::io::ErrorKind::WouldBlock {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Looks at everything that `child.rs` promises.
fn check(boot: &ProcessBoot) -> Result<(), String> {
    let mut expected: Vec<i32> = boot.descriptors();
    expected.extend([0, 1, 2]);
    let open = process::open_descriptors().unwrap();
    // One more: the termination handler keeps the bell open for ever.
    let more: Vec<_> = open.iter().filter(|descriptor| !expected.contains(descriptor)).collect();
    if more.len() != 1 || open.len() != expected.len() + 1 {
        return Err(format!("descriptors {open:?}, expected {expected:?} and one more"));
    }
    let (down, _, bells) = lanes(boot);
    if bells.len() != 2 || down.as_raw_fd() < 3 {
        return Err(format!("{boot:?}"));
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len() + 1..].trim().to_owned()
    };
    let name = format!("ostler-w{}", boot.key.slot);
    if field("Name") != name || field("SigBlk") != "0000000000000000" {
        return Err(status);
    }
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Field 41: scheduling policy, 3 is SCHED_BATCH.
    let policy = stat.rsplit_once(") ").unwrap().1.split(' ').nth(38).unwrap();
    if policy != "3" {
        return Err(stat);
    }
    if rustix::process::parent_process_death_signal().unwrap()
        != Some(rustix::process::Signal::KILL)
    {
        return Err("no PDEATHSIG".to_owned());
    }
    Ok(())
}
