//! The second line: no worker outlives master and manager, whatever it has become.
//!
//! The kernel ends a worker with its manager (`PR_SET_PDEATHSIG`), but forgets that when the worker
//! changes its user or group id, and the worker's own loop may be busy. So the spare manager, which
//! has the ids of the start and sleeps anyway, holds a pidfd of every worker. It kills them when
//! the master ends, and when it takes the manager's place.
//! (`docs/decisions/23-the-spare-guards-the-workers.md`)

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::pidfd::PidFd;
use crate::sys::{control_socket, poll};

/// A worker was forked; with its pidfd.
const FORKED: &[u8] = b"f";
/// A worker has ended.
const ENDED: &[u8] = b"e";
/// Another program was accepted; with its descriptor.
const ACCEPTED: &[u8] = b"a";

/// The manager's end.
#[derive(Debug)]
pub(super) struct Guard {
    socket: OwnedFd,
}

impl Guard {
    /// Hands a worker to the spare; to be called before any of its code runs, so that no moment is
    /// left in which nobody would end it.
    ///
    /// An error means that the spare is gone or does not read (`WouldBlock`): it guards nobody and
    /// has to be replaced.
    pub(super) fn add(&self, worker: &PidFd) -> io::Result<()> {
        control_socket::send(&self.socket, FORKED, &[worker.as_fd()])
    }

    /// Tells the spare which program a worker is started from, should it have to start any.
    ///
    /// An error as of [`Guard::add`].
    pub(super) fn accept(&self, program: &OwnedFd) -> io::Result<()> {
        control_socket::send(&self.socket, ACCEPTED, &[program.as_fd()])
    }

    /// Tells the spare that a worker was reaped, so that it closes the pidfd.
    pub(super) fn look_for_ended(&self) -> io::Result<()> {
        control_socket::send(&self.socket, ENDED, &[])
    }
}

/// The spare's end: the workers of the manager that it was forked by.
#[derive(Debug)]
pub(super) struct Guarded {
    /// `None` once the manager is gone.
    from_manager: Option<OwnedFd>,
    workers: Vec<PidFd>,
    /// The program that was accepted last, if workers are started by exec.
    program: Option<OwnedFd>,
}

/// Makes both ends; the spare inherits the pidfds of the workers that live already, and the program
/// that was accepted last.
pub(super) fn pair(workers: Vec<PidFd>, program: Option<OwnedFd>) -> io::Result<(Guard, Guarded)> {
    let (near, far) = control_socket::pair()?;
    Ok((Guard { socket: near }, Guarded { from_manager: Some(far), workers, program }))
}

impl Guarded {
    /// All descriptors that the spare has to keep for it.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let files = self.from_manager.iter().chain(&self.program).map(AsFd::as_fd);
        files.chain(self.workers.iter().map(AsFd::as_fd))
    }

    /// Sleeps until one of the two others is readable, or the manager has said something.
    pub(super) fn wait(&mut self, [first, second]: [BorrowedFd<'_>; 2]) -> io::Result<[bool; 2]> {
        let Some(socket) = &self.from_manager else {
            return poll::wait_readable([first, second], None);
        };
        let [first, second, said] = poll::wait_readable([first, second, socket.as_fd()], None)?;
        if said {
            self.on_manager_messages();
        }
        Ok([first, second])
    }

    /// Takes all that the manager has said. It is said no more than a few hundred words ahead: that
    /// is what the socket holds.
    fn on_manager_messages(&mut self) {
        while let Some(socket) = &self.from_manager {
            let mut word = [0; FORKED.len()];
            match control_socket::receive(socket, &mut word) {
                Ok((0, _)) => self.from_manager = None,
                Ok((_, programs)) if word == ACCEPTED => match programs.into_iter().next() {
                    Some(program) => self.program = Some(program),
                    None => tracing::error!(
                        "no descriptor left for the program: a spare would start the one before"
                    ),
                },
                Ok((_, pidfds)) => {
                    let has_ended = |worker: &PidFd| worker.has_ended().unwrap_or(false);
                    self.workers.retain(|worker| !has_ended(worker));
                    if word == FORKED && pidfds.is_empty() {
                        tracing::error!("no descriptor left for a pidfd: a worker is not guarded");
                    }
                    self.workers.extend(pidfds.into_iter().map(PidFd::from_descriptor));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.from_manager = None,
            }
        }
    }

    /// Ends all workers that are left, those included that the manager named with its last breath.
    /// Returns the program that was accepted last.
    pub(super) fn kill_all(mut self) -> Option<OwnedFd> {
        self.on_manager_messages();
        for worker in &self.workers {
            // It may have ended by itself.
            let _ = worker.kill();
        }
        self.program
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::eventfd;
    use crate::sys::process::{self, ExitBy, fork_child, in_forked_test};
    use std::time::Duration;

    fn sleeper() -> PidFd {
        let pid = fork_child(&[], ExitBy::Immediately, || {
            std::thread::sleep(Duration::from_secs(60));
            0
        });
        PidFd::open(pid.unwrap()).unwrap()
    }

    fn ends(process: &PidFd) -> bool {
        poll::wait_readable([process.as_fd()], Some(Duration::from_secs(20))).unwrap() == [true]
    }

    #[test]
    fn inherited_and_named_workers_are_killed_also_after_the_managers_death() {
        in_forked_test(|| {
            let (inherited, named, other) = (sleeper(), sleeper(), sleeper());
            let clone = PidFd::from_descriptor(inherited.try_clone().unwrap());
            let (guard, guarded) = pair(vec![clone], None).unwrap();
            guard.add(&named).unwrap();
            drop(guard);
            guarded.kill_all();
            assert!(ends(&inherited) && ends(&named));
            assert!(!other.has_ended().unwrap());
            other.kill().unwrap();
        });
    }

    #[test]
    fn pidfds_of_the_dead_are_closed_and_a_closed_socket_does_not_wake_for_ever() {
        in_forked_test(|| {
            let (first, bell) = (sleeper(), eventfd::create().unwrap());
            let (guard, mut guarded) = pair(Vec::new(), None).unwrap();
            guard.add(&first).unwrap();
            let others = [bell.as_fd(), bell.as_fd()];
            assert_eq!(guarded.wait(others).unwrap(), [false, false]);
            assert_eq!(guarded.descriptors().count(), 2);
            first.kill().unwrap();
            assert!(ends(&first));
            guard.look_for_ended().unwrap();
            assert_eq!(guarded.wait(others).unwrap(), [false, false]);
            assert_eq!(guarded.descriptors().count(), 1);
            drop(guard);
            assert_eq!(guarded.wait(others).unwrap(), [false, false]);
            assert_eq!(guarded.descriptors().count(), 0);
            eventfd::ring(&bell).unwrap();
            assert_eq!(guarded.wait(others).unwrap(), [true, true]);
        });
    }

    #[test]
    fn a_spare_knows_the_program_that_was_accepted_last() {
        in_forked_test(|| {
            let [first, second] = [(); 2].map(|()| eventfd::create().unwrap());
            let (guard, guarded) = pair(Vec::new(), Some(first)).unwrap();
            guard.accept(&second).unwrap();
            drop(guard);
            let last = guarded.kill_all().unwrap();
            eventfd::ring(&last).unwrap();
            assert_eq!(eventfd::drain(&second).unwrap(), 1);
        });
    }

    /// A spare that stands still must not let the manager wait, nor gather pidfds without end.
    #[test]
    fn a_spare_that_does_not_read_is_an_error() {
        let (guard, _guarded) = pair(Vec::new(), None).unwrap();
        let own = PidFd::open(process::current()).unwrap();
        let error = (0..100_000).find_map(|_| guard.add(&own).err()).unwrap();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
}
