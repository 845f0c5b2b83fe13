//! A program that was executed to be a worker finds out, and takes what was left to it.
//!
//! One descriptor comes through the exec, named by a variable: the control socket. Everything else
//! waits in it, so that programs which `main` starts before its server inherit no lanes.

use std::io::ErrorKind;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ostler_core::ids::ProcessKind;
use ostler_shm::layout::PROTOCOL;

use super::left_socket::{self, LeftBy};
use super::{Charter, ProcessBoot, ProcessEnds, SwitchEnds};
use crate::control::{
    BEQUEST_DESCRIPTORS_FIXED, BEQUEST_PROTOCOL, BEQUEST_SIZE_BYTES, Bequest, FromWorker,
    NotUnderstood, ShortText,
};
use crate::error::{Error, Result};
use crate::options::Mode;
use crate::sys::pidfd::PidFd;
use crate::sys::process::ProcessId;
use crate::sys::{control_socket, poll};

/// Names the control socket of a worker that is started by exec. Not like any option, so that
/// nobody who reads options from the environment takes it for one.
pub(crate) const VARIABLE: &str = "OSTLER_INHERITANCE";

/// How long the manager may take to say what is left: it says so when it lets the process go.
const BEQUEST_MAX: Duration = Duration::from_secs(10);

/// This process has taken an inheritance: what it binds later is no server.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// All that a worker begins with that was started by exec.
#[derive(Debug)]
pub(crate) struct Inherited {
    pub(crate) boot: ProcessBoot,
    pub(crate) charter: Charter,
    /// The log file, if there is one.
    pub(crate) log: Option<OwnedFd>,
}

impl Inherited {
    /// Tells the manager why this program will not serve.
    pub(crate) fn refuse(&self, error: &Error) {
        let text = ShortText::new(&error.to_string());
        let _ = FromWorker::StartFailed(text).send(&self.boot.control);
    }
}

/// What was left to this process; `None` when it was started as everybody is.
///
/// # Errors
/// When the variable lies, when its sender is of another version, or when the program has started
/// threads or a server before.
pub(crate) fn take() -> Result<Option<Inherited>> {
    let Some(control) =
        left_socket::take(VARIABLE, "how a server starts its workers", LeftBy::Parent)?
    else {
        return match TAKEN.load(Ordering::Relaxed) {
            true => Err(Error::start(
                "this process is a worker, and so its program can bind one server only: \
                 start = exec is for programs with one",
                None,
            )),
            false => Ok(None),
        };
    };
    TAKEN.store(true, Ordering::Relaxed);
    let taken = receive(&control).and_then(|parts| assemble(parts, &control));
    match taken {
        Ok(taken) => Ok(Some(taken)),
        Err(problem) => {
            let text = format!("this program cannot be a worker of its server: {problem}");
            let _ = FromWorker::StartFailed(ShortText::new(&text)).send(&control);
            Err(Error::start(text, None))
        }
    }
}

type Parts = (Bequest, Vec<OwnedFd>, Vec<OwnedFd>);

fn receive(control: &OwnedFd) -> std::result::Result<Parts, String> {
    let deadline = Instant::now() + BEQUEST_MAX;
    let (first, fixed) = message(control, deadline)?;
    let bequest = Bequest::decode(&first).map_err(|problem| match problem {
        NotUnderstood::Malformed => "what its manager says is not understood".to_owned(),
        NotUnderstood::Protocol(other) => format!(
            "the server hands over by protocol {other}, this program by {BEQUEST_PROTOCOL}; \
             restart the server"
        ),
    })?;
    if u64::from(bequest.lane_protocol) != PROTOCOL {
        return Err(format!(
            "the server speaks lane protocol {}, this program {PROTOCOL}; restart the server",
            bequest.lane_protocol
        ));
    }
    let (_, ends) = message(control, deadline)?;
    let expected = BEQUEST_DESCRIPTORS_FIXED + usize::from(bequest.has_log);
    if fixed.len() != expected || ends.len() != usize::from(bequest.ends) {
        return Err("descriptors are missing; is the limit of descriptors too low?".to_owned());
    }
    Ok((bequest, fixed, ends))
}

fn message(
    control: &OwnedFd,
    deadline: Instant,
) -> std::result::Result<([u8; BEQUEST_SIZE_BYTES], Vec<OwnedFd>), String> {
    let mut bytes = [0; BEQUEST_SIZE_BYTES];
    loop {
        match control_socket::receive(control, &mut bytes) {
            Ok((0, _)) => return Err("its manager is gone".to_owned()),
            Ok((_, descriptors)) => return Ok((bytes, descriptors)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err("its manager says nothing".to_owned());
                }
                let waited = poll::wait_readable([control.as_fd()], Some(left));
                waited.map_err(|error| error.to_string())?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("its manager cannot be heard: {error}")),
        }
    }
}

fn assemble(parts: Parts, control: &OwnedFd) -> std::result::Result<Inherited, String> {
    let (bequest, fixed, ends) = parts;
    let missing = || "descriptors are missing".to_owned();
    let manager = ProcessId::new(bequest.manager).ok_or("its manager has no number")?;
    let mut fixed = fixed.into_iter();
    let charter = Charter::read(&fixed.next().ok_or_else(missing)?)?;
    let board = fixed.next().ok_or_else(missing)?;
    let master_pidfd = PidFd::from_descriptor(fixed.next().ok_or_else(missing)?);
    let black_box = fixed.next().ok_or_else(missing)?;
    let roster = fixed.next().ok_or_else(missing)?;
    let worker_bell = fixed.next().ok_or_else(missing)?;
    let mut ends = ends;
    let event_link = match bequest.key.kind {
        ProcessKind::Companion => Some(ends.pop().ok_or_else(missing)?),
        ProcessKind::Event | ProcessKind::Task | ProcessKind::User => None,
    };
    let mut ends = ends.into_iter();
    let ends = match charter.options.mode {
        Mode::Process => {
            let reactors = usize::from(charter.options.reactors);
            let (down, up) = (ends.next().ok_or_else(missing)?, ends.next().ok_or_else(missing)?);
            let lane_bells: Vec<_> = ends.by_ref().take(reactors).collect();
            let file_links: Vec<_> = ends.collect();
            if file_links.len() != reactors {
                return Err(missing());
            }
            ProcessEnds::Lanes { down, up, lane_bells, file_links }
        }
        Mode::Base => ProcessEnds::Clients {
            seat: usize::from(bequest.seat),
            link: ends.next().ok_or_else(missing)?,
            switch: match charter.options.has_switch() {
                true => Some(Box::new(SwitchEnds::take(&mut ends).ok_or_else(missing)?)),
                false => None,
            },
            listeners: ends.collect(),
        },
    };
    let control = control.try_clone().map_err(|error| error.to_string())?;
    let boot = ProcessBoot {
        key: bequest.key,
        manager,
        board,
        black_box: Some(black_box),
        roster: Some(roster),
        worker_bell,
        ends,
        event_link,
        control,
        master_pidfd,
    };
    Ok(Inherited { boot, charter, log: fixed.next() })
}
