//! Workers that are started by exec: what is left to them, and the last steps of the process that
//! becomes one.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use ostler_core::ids::ProcessKey;
use ostler_shm::layout::PROTOCOL;

use super::gate;
use crate::control::{BEQUEST_SIZE_BYTES, Bequest, FromWorker, ShortText};
use crate::inheritance::exec::VARIABLE;
use crate::inheritance::{
    EXIT_NOT_PREPARED, EXIT_ORPHANED, ProcessBoot, ProcessEnds, Resources, life,
};
use crate::log;
use crate::sys::pidfd::PidFd;
use crate::sys::process::{self, ProcessId};
use crate::sys::{capabilities, control_socket, program, signal};

/// What the manager will say to the program that its child becomes, with the descriptors.
#[derive(Debug)]
pub(super) struct Left {
    bequest: Bequest,
    fixed: Vec<OwnedFd>,
    ends: Vec<OwnedFd>,
}

impl Left {
    /// Takes a boot apart; what the child itself needs comes with it.
    pub(super) fn new(boot: ProcessBoot, charter: &OwnedFd) -> io::Result<(Self, Waiting)> {
        let ProcessBoot { key, manager, board, worker_bell, ends, event_link, .. } = boot;
        let waiting = Waiting {
            key,
            manager,
            control: boot.control,
            master_pidfd: PidFd::from_descriptor(boot.master_pidfd.try_clone()?),
        };
        let (seat, ends) = match ends {
            ProcessEnds::Lanes { down, up, lane_bells, file_links } => {
                let lanes = lane_bells.into_iter().chain(file_links);
                (0, [down, up].into_iter().chain(lanes).collect::<Vec<_>>())
            }
            ProcessEnds::Clients { seat, link, switch, listeners } => {
                let switch = switch.into_iter().flat_map(|switch| switch.into_descriptors());
                (seat, std::iter::once(link).chain(switch).chain(listeners).collect())
            }
        };
        let ends: Vec<_> = ends.into_iter().chain(event_link).collect();
        let mut fixed = vec![charter.try_clone()?, board, boot.master_pidfd.into()];
        fixed.extend(boot.black_box.into_iter().chain(boot.roster));
        fixed.push(worker_bell);
        let log = log::file_descriptor()?;
        let bequest = Bequest {
            lane_protocol: u32::try_from(PROTOCOL).unwrap_or(u32::MAX),
            key,
            manager: manager.get(),
            seat: u16::try_from(seat).unwrap_or(u16::MAX),
            ends: u16::try_from(ends.len()).unwrap_or(u16::MAX),
            has_log: log.is_some(),
        };
        fixed.extend(log);
        Ok((Self { bequest, fixed, ends }, waiting))
    }

    /// Says it; the descriptors are closed here.
    pub(super) fn send(self, control: &OwnedFd) -> io::Result<()> {
        let fixed: Vec<BorrowedFd<'_>> = self.fixed.iter().map(AsFd::as_fd).collect();
        control_socket::send(control, &self.bequest.encode(), &fixed)?;
        let ends: Vec<BorrowedFd<'_>> = self.ends.iter().map(AsFd::as_fd).collect();
        // Only its descriptors say anything.
        control_socket::send(control, &[0; BEQUEST_SIZE_BYTES], &ends)
    }
}

/// A child that is to become a worker's program.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) key: ProcessKey,
    manager: ProcessId,
    pub(super) control: OwnedFd,
    pub(super) master_pidfd: PidFd,
}

impl Waiting {
    /// Waits at the gate and becomes the program, which has these capabilities of its manager's if
    /// that is not root's; returns an exit code when it cannot.
    pub(super) fn live(self, program: &OwnedFd, resources: &Resources, passed: u64) -> i32 {
        life::begin(self.key);
        match gate::opens(&self.control, &self.master_pidfd) {
            Ok(true) => {}
            Ok(false) => return EXIT_ORPHANED,
            Err(error) => return self.cannot("cannot begin", &error),
        }
        if let Err(error) = resources.take(self.key).and_then(|()| self.prepare(passed)) {
            return self.cannot("cannot begin", &error);
        }
        if process::parent() != Some(self.manager) {
            return EXIT_ORPHANED;
        }
        let (arguments, environment) = match (arguments(), self.environment()) {
            (Ok(arguments), Ok(environment)) => (arguments, environment),
            (Err(error), _) | (_, Err(error)) => return self.cannot("cannot begin", &error),
        };
        let error = program::execute(program, &arguments, &environment, self.control.as_fd());
        let advice = match error.raw_os_error() {
            Some(libc::EACCES) => "may it be executed, where it lies?",
            Some(libc::ETXTBSY) => "somebody writes into it: write beside it and rename",
            Some(libc::ENOENT) => "its loader, or what it is linked with, is missing",
            Some(libc::ENOEXEC) => "the kernel does not know its format",
            _ => "",
        };
        self.cannot(&format!("cannot execute the program ({advice})"), &error)
    }

    /// It dies with its manager before the program knows that it is a worker, too. Signals have
    /// their default effect after an exec unless they are ignored; held they stay until the worker
    /// has its handlers, so that a stray one does not end it meanwhile.
    fn prepare(&self, passed: u64) -> io::Result<()> {
        signal::restore_default(&signal::MANAGED)?;
        signal::restore_default(&[signal::PIPE])?;
        if passed != 0 {
            capabilities::pass_to_program(passed)?;
        }
        process::die_with_parent()
    }

    /// What this process has, and the variable.
    fn environment(&self) -> io::Result<Vec<CString>> {
        let number = self.control.as_raw_fd().to_string();
        let others = std::env::vars_os().filter(|(name, _)| name != VARIABLE);
        others
            .chain([(OsString::from(VARIABLE), OsString::from(number))])
            .map(|(name, value)| {
                let mut text = name.into_vec();
                text.push(b'=');
                text.extend(value.into_vec());
                Ok(CString::new(text)?)
            })
            .collect()
    }

    fn cannot(&self, what: &str, error: &io::Error) -> i32 {
        let text = format!("{what}: {error}");
        tracing::debug!("{text}");
        let _ = FromWorker::StartFailed(ShortText::new(&text)).send(&self.control);
        EXIT_NOT_PREPARED
    }
}

/// Those that this program was started with.
fn arguments() -> io::Result<Vec<CString>> {
    std::env::args_os().map(|argument| Ok(CString::new(argument.into_vec())?)).collect()
}
