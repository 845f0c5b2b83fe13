//! The process that makes frames and names of captured stacks, and tells all that waits.
//!
//! It is a fork of the manager, so that it has the programs of workers at the same addresses, and
//! ends at once. What it reads is hostile, and may take its time: neither harms the manager.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use ostler_core::Millis;
use ostler_shm::board::Board;

use super::case::{Case, Stack};
use super::tell;
use crate::manager::setup::ManagerSetup;
use crate::stacks::{Frame, Stacks, own_modules_text};
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, ExitBy, ProcessId, fork_child};
use crate::sys::{clock, control_socket, poll, scheduling};

/// How long it may take: to read the largest programs from a slow disk.
const LIFE_MAX_MS: Millis = 30_000;
/// How long a manager that ends waits for it.
const LAST_WAIT_MAX: Duration = Duration::from_millis(2_000);
/// Bytes of a message from it: the place of a case among those that it tells, and its fingerprint.
const WORD_BYTES: usize = 16;

/// A helper that lives.
pub(super) struct Helper {
    pid: ProcessId,
    pidfd: PidFd,
    /// What it says of the cases that it has told.
    words: OwnedFd,
    cases: Rc<Vec<Case>>,
    until: Millis,
}

impl Helper {
    /// Forks it. `seen` is how often each fingerprint was told before.
    pub(super) fn start(
        setup: &ManagerSetup,
        cases: Rc<Vec<Case>>,
        seen: &HashMap<u64, u64>,
        now: Millis,
    ) -> io::Result<Self> {
        let (near, far) = control_socket::pair()?;
        let keep = setup.kept_with([far.as_raw_fd(), setup.board.as_raw_fd()]);
        let told = Rc::clone(&cases);
        let pid = fork_child(&keep, ExitBy::Immediately, move || {
            live(setup, &told, seen, &far);
            0
        })?;
        let pidfd = PidFd::open(pid)?;
        Ok(Self { pid, pidfd, words: near, cases, until: now.saturating_add(LIFE_MAX_MS) })
    }

    pub(super) const fn pid(&self) -> ProcessId {
        self.pid
    }

    pub(super) const fn until(&self) -> Millis {
        self.until
    }

    pub(super) fn end_if_late(&self, now: Millis) {
        if now >= self.until {
            // It may have ended meanwhile.
            let _ = self.pidfd.kill();
        }
    }

    /// Waits for its end, but not for ever.
    pub(super) fn wait(&self) {
        use std::os::fd::AsFd as _;
        let ended = poll::wait_readable([self.pidfd.as_fd()], Some(LAST_WAIT_MAX));
        if !matches!(ended, Ok([true])) {
            let _ = self.pidfd.kill();
        }
        let _ = self.pidfd.try_reap();
    }

    /// It has ended: tells what it has not told, and answers the fingerprints of what it has.
    pub(super) fn end(self, setup: &ManagerSetup) -> Vec<u64> {
        let mut told = vec![false; self.cases.len()];
        let mut fingerprints = Vec::new();
        let mut word = [0; WORD_BYTES];
        while let Ok(WORD_BYTES) =
            control_socket::receive_without_descriptors(&self.words, &mut word)
        {
            let [index, fingerprint] = numbers(word);
            if let Some(told) = told.get_mut(usize::try_from(index).unwrap_or(usize::MAX)) {
                *told = true;
            }
            fingerprints.extend((fingerprint != 0).then_some(fingerprint));
        }
        for (case, _) in self.cases.iter().zip(told).filter(|(_, told)| !told) {
            tell::without_stack(&setup.diagnosis, case, "the process that read it has failed");
        }
        fingerprints
    }
}

fn numbers(word: [u8; WORD_BYTES]) -> [u64; 2] {
    let word = u128::from_le_bytes(word);
    [word as u64, (word >> 64) as u64]
}

fn live(setup: &ManagerSetup, cases: &[Case], seen: &HashMap<u64, u64>, words: &OwnedFd) {
    setup.attributes.names.take("helper");
    // Neither can make a difference to what it says.
    let _ = process::die_with_parent();
    let _ = scheduling::be_nice();
    let settings = &setup.diagnosis;
    let board = if settings.has_board { Board::open(&setup.board).ok() } else { None };
    let mut stacks = Stacks::new();
    let mut seen = seen.clone();
    for (index, case) in cases.iter().enumerate() {
        let frames = frames_of(case, &mut stacks);
        let fingerprint = match case {
            Case::Slow(case) => {
                tell::slow(settings, case, board.as_ref(), &frames);
                0
            }
            Case::Turn(case) => {
                tell::turn(case, &frames);
                0
            }
            Case::Death(case) => {
                let fingerprint = tell::fingerprint(case, frames.as_deref().unwrap_or_default());
                let count = seen.entry(fingerprint).or_insert(0);
                *count = count.saturating_add(1).saturating_add(case.more);
                tell::death(settings, case, board.as_ref(), &frames, Some((fingerprint, *count)));
                fingerprint
            }
        };
        let word = u128::from(index as u64) | u128::from(fingerprint) << 64;
        // There is room for all of them.
        let _ = control_socket::send(words, &word.to_le_bytes(), &[]);
    }
    tracing::trace!(cases = cases.len(), at_ms = clock::monotonic_ms(), "helper ends");
}

fn frames_of(case: &Case, stacks: &mut Stacks) -> Result<Vec<Frame>, String> {
    match case.stack() {
        Stack::Missing(why) => Err(why.clone()),
        Stack::Captured(capture) => {
            Ok(match case {
                Case::Slow(case) => stacks.frames(capture, Some(case.pid.get()), &case.modules),
                // The master may be closed to this process, which has descended from it and has
                // its programs at the same addresses.
                Case::Turn(_) => stacks.frames(capture, None, &own_modules_text()),
                Case::Death(case) => stacks.frames(capture, None, &case.modules),
            })
        }
    }
}
